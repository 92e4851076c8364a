//! The simulator over real sockets and real TLS.

#![expect(clippy::unwrap_used, reason = "a test's helper fails like the test")]

mod bybit;
mod client;
mod coinbase;
mod control;
mod faults;
mod kraken;
mod kraken_futures;
mod program;
mod refusals;
mod signed;
mod tls;
mod wallets;
mod weights;
mod world;
