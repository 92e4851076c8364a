//! The road between the parent instance and the enclave, in four kinds.
//!
//! Both programs are written against [`Address`], [`dial`], [`Listener`] and
//! [`Stream`], and never against a socket family: what a test proves over
//! `unix://` or `hvsock://` holds over `vsock://`, because the code above is
//! the same.
//!
//! | text | kind |
//! |---|---|
//! | `vsock://CID:PORT`, `vsock://any:PORT` | `AF_VSOCK`; `any` only to listen |
//! | `hvsock:///path.sock:PORT` | hybrid vsock of Firecracker, Cloud Hypervisor and QEMU's vhost-device-vsock |
//! | `unix:///path` | a Unix stream socket |
//! | `tcp://host:port` | TCP, `TCP_NODELAY` set |
//!
//! # Map
//!
//! * [`address`]: the strict parser; `Display` is its exact inverse
//! * [`Stream`]: one type for all kinds. Half-close works; on vsock and hybrid
//!   vsock no write is larger than [`limits::VSOCK_WRITE_LEN_MAX`]
//! * [`Listener`], [`dial`]: the two ends, each from an address and a [`Side`]
//! * [`Backoff`], [`Listener::accept_next`]: the accept-error policy
//! * [`proxy_v2`]: the PROXY protocol v2 header that carries a client's address
//! * [`limits`]: every bound, with its reason
//!
//! # What it refuses to do
//!
//! * It encrypts and authenticates nothing: the parent is not trusted, TLS ends
//!   above this layer.
//! * It sets no time-out on [`dial`], since only the caller knows its budget;
//!   the hybrid handshake alone is bounded here.
//! * It keeps no data: a stream has no buffer of its own.

pub mod address;
mod backoff;
mod dial;
mod hybrid;
pub mod limits;
mod listener;
#[cfg(feature = "test-util")]
pub mod probe;
pub mod proxy_v2;
mod socket;
mod stream;

pub use address::{Address, AddressError};
pub use backoff::{AcceptErrorKind, Backoff};
pub use dial::{dial, dial_tcp};
pub use listener::Listener;
pub use stream::{Peer, Stream};

/// Which end of the road this process is.
///
/// Only hybrid vsock needs to know: there the two ends are asymmetric, and the
/// host is the one that names a port when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The parent instance. Hybrid: dials `path` with `CONNECT PORT`, listens
    /// on `path_PORT`.
    Parent,
    /// The enclave, or a plain process in its place. Hybrid: dials `path_PORT`
    /// and listens on `path`, answering `CONNECT PORT` as the device would.
    Enclave,
}
