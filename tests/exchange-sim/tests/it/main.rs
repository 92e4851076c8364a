//! The simulator over real sockets and real TLS.

#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

mod client;
mod control;
mod faults;
mod program;
mod refusals;
mod tls;
mod wallets;
mod weights;
mod world;
