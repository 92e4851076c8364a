//! The connectors against recorded replies, published vectors and hostile
//! input.

#![expect(
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected shall stop"
)]

mod addresses;
#[path = "../../../tests/conformance/src/exchange.rs"]
mod answers;
mod cases;
mod compare;
mod errors;
mod grants;
mod hostile;
mod paging;
mod permissions;
mod readers;
mod recorded;
mod refusals;
mod requests;
mod signing;
mod support;
mod tokens;
mod walks;
