//! The program inside the enclave.
//!
//! It holds what nobody else may: exchange credentials in plaintext, the keys
//! that open envelopes and sign reports, and where TLS ends. Everything around
//! it (the parent, the network, the operator, the clock the parent shows) is
//! untrusted.
//!
//! # What it refuses to do
//!
//! * It sends no order, withdrawal or transfer: no connector can express one.
//! * It writes no file and no secret to any log; trading data leaves it only
//!   as aggregates, sealed to the customer.
//! * It never reads the system's clock, and the environment only in
//!   [`config`].
//! * A release build has no simulated part, and refuses to start where the
//!   environment asks for one.
//!
//! # Map
//!
//! | module | subject |
//! | --- | --- |
//! | [`boot`] | the start, step by step, and the stop |
//! | [`config`], [`image_config`], [`deployment`] | flags; the measured file; the parent's file, which may only narrow it |
//! | [`nsm`], [`attest`], [`keys`], [`tls`] | the security module, documents, keys, and what binds them |
//! | [`clock`], [`entropy`] | the two seams to the outside world's state |
//! | [`server`], [`addresses`], [`http`] | connections, fairness, the API and its firewall |
//! | [`sessions`], [`replay`] | custody: who may read which accounts, until when |
//! | [`engine_api`] | the seam between custody and the engine |
//! | [`egress`], [`poller`], [`portfolio`], [`report`] | the engine: reaching exchanges, polling, metrics, signing |
//! | [`supervisor`], [`logs`], [`counters`], [`limits`] | running |
//!
//! **Invariant:** nothing is served before PCR16 is extended and locked, and
//! keys are dropped after the last request.

pub mod addresses;
pub mod attest;
pub mod boot;
pub mod claim;
pub mod clock;
pub mod config;
pub mod counters;
pub mod deployment;
pub mod egress;
pub mod engine_api;
pub mod entropy;
pub mod http;
pub mod image_config;
pub mod keys;
pub mod limits;
pub mod logs;
pub mod nsm;
pub mod poller;
pub mod portfolio;
pub mod replay;
pub mod report;
pub mod server;
pub mod sessions;
pub mod supervisor;
#[cfg(test)]
#[cfg(feature = "simulator")]
mod testing;
pub mod tls;

/// The release this is.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
