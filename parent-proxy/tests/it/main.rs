//! The proxy as a process: what it does with customers, the enclave, exchanges,
//! operators and hostile input.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are part of the test")]

mod admin;
mod allow_list;
mod common;
mod egress;
mod ingress;
mod lifecycle;
mod relay;
mod vsock;
