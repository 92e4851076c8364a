//! Real programs on loopback: the exchange simulator, the enclave with its simulated security
//! module, the parent proxy, and `perfagg` as the customer.
//!
//! A [`World`](world::World) is one such set with a folder, sockets and log files of its own; it ends its
//! processes when it is dropped. Programs come from `target/sim` (built by the scripts), so that
//! building a test never replaces the program a measurement was taken of.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "a test harness fails by panicking"
)]

pub mod customer;
pub mod fake;
pub mod memory;
pub mod process;
pub mod tls;
pub mod wire;
pub mod world;

use std::path::{Path, PathBuf};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program of the simulator build.
pub fn simulator(name: &str) -> PathBuf {
    program("sim", name)
}

/// A program as it is released.
pub fn release(name: &str) -> PathBuf {
    program("plain", name)
}

fn program(set: &str, name: &str) -> PathBuf {
    let path = root().join("target").join(set).join(name);
    assert!(path.exists(), "{} is not built: run scripts/build", path.display());
    path
}

/// Whether the full counts are wanted, not the gate's.
pub fn full() -> bool {
    std::env::var_os("PA_FULL").is_some()
}
