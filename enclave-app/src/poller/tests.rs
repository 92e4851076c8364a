//! The engine against the exchange simulator, over real TLS, to the signed report.

mod faults;
mod keys;
mod kraken_futures;
mod runs;
mod sessions;
mod story;
mod venues;
mod world;
