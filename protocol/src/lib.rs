//! What the enclave, the parent and the customer agree on: wire types, the sealed envelope,
//! attestation, the signed report, and every bound.
//!
//! # What it refuses to do
//!
//! No I/O, no clock, no entropy, no threads, no async. Time, nonces and ephemeral secrets are
//! arguments. It compiles for `wasm32-unknown-unknown`.
//!
//! # Map
//!
//! | module | subject |
//! | --- | --- |
//! | [`attestation`], [`user_data`] | verifying a document, and what ours vouches for |
//! | [`limits`] | every bound, with its unit and its reason |
//! | [`category`] | the closed list of error categories |
//! | [`time`] | milliseconds since the Unix epoch, and their one text form |
//! | [`encoding`] | strict base64 and hexadecimal |
//! | [`canonical`] | JSON with exactly one encoding |
//! | [`secret`] | byte strings that must not leave by accident |
//! | [`keys`] | the enclave's encryption key and its identifier |
//! | [`envelope`] | sealing credentials to an attested enclave |
//! | [`reply`] | sealed answers |
//! | [`request_auth`] | the authentication of later calls |
//! | [`portfolio`] | the customer's key and what it signs |
//! | [`session`] | the messages of a session |
//! | [`key_bundle`] | the keys and the configuration that an attestation document vouches for |
//! | [`measurements`] | the expected measurements of a release |
//! | [`report`], [`report_payload`] | the signed report and what it says |
//! | [`claim`] | a signed word on whether a metric keeps a bound |
//!
//! # Invariants
//!
//! * Everything that is parsed is bounded first, and unknown or duplicate fields are refused.
//! * A check that matters returns a type that the next step demands.
//! * Errors carry no text of foreign libraries: such text may quote its input.
#![warn(missing_docs)]

pub mod attestation;
pub mod canonical;
pub mod category;
pub mod claim;
pub mod encoding;
pub mod envelope;
mod json;
pub mod key_bundle;
pub mod keys;
pub mod limits;
pub mod measurements;
pub mod portfolio;
pub mod reply;
pub mod report;
pub mod report_payload;
pub mod request_auth;
pub mod secret;
pub mod session;
pub mod time;
pub mod user_data;
