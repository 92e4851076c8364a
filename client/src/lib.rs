//! The customer's side: verify an enclave, hand it sealed credentials, verify
//! what comes back. `perfagg` is this library with a command line.
//!
//! # What it refuses to do
//!
//! * It submits nothing over a connection that did not pass every step of
//!   `docs/verify.md`: only [`attest::Attested`] has a method to submit.
//! * It takes expected measurements from the caller alone, never from the
//!   service or from a report.
//! * It never asks the network anything to verify a report.
//!
//! # Map
//!
//! | module | subject |
//! | --- | --- |
//! | [`connection`], `tls` | one TLS 1.3 connection, whose key is remembered |
//! | [`attest`] | from a bare connection to an attested one |
//! | [`session`] | open, status, report, revoke |
//! | [`verify`] | documents and reports against the caller's demands |
//! | [`figures`], [`tear_sheet`] | what a verified report says, for people |
//! | [`service`] | those demands |
//! | [`accounts`], [`portfolio_key`], [`session_file`], [`files`] | what the customer keeps |
//! | [`clock`], `random` | the two seams to the machine |
//! | [`error`] | what went wrong, and the exit code |

pub mod accounts;
pub mod attest;
pub mod clock;
pub mod connection;
pub mod error;
pub mod figures;
pub mod files;
pub mod portfolio_key;
mod random;
pub mod service;
pub mod session;
pub mod session_file;
pub mod tear_sheet;
mod tls;
pub mod verify;
