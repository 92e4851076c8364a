//! End to end: what is promised in README and docs, on the programs themselves.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod canary;
mod flow;
mod ownership;
mod refusals;
mod release;
mod report;
