//! The engine against the exchange simulator, over real TLS, to the signed report.

mod faults;
mod keys;
mod runs;
mod sessions;
mod story;
mod venues;
mod world;
