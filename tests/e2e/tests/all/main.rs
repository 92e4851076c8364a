//! End to end: what is promised in README and docs, on the programs themselves.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::items_after_statements,
    clippy::vec_init_then_push,
    clippy::unused_self,
    reason = "helpers of tests fail like tests, and are written in the order of their story"
)]

mod bad_input;
mod canary;
mod claim;
mod faults;
mod flow;
mod ownership;
mod refusals;
mod release;
mod report;
