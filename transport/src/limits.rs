//! Every bound of this crate, unit last.

use std::time::Duration;

/// An address as text. A path in `sun_path` has at most 107 bytes and a DNS
/// name 253, so anything longer is noise.
pub const ADDRESS_LEN_MAX: usize = 320;

/// `sockaddr_un.sun_path` has 108 bytes, one of them the final NUL.
pub const UNIX_PATH_LEN_MAX: usize = 107;

/// A hybrid path leaves room for `_` and ten digits of a port.
pub const HYBRID_PATH_LEN_MAX: usize = UNIX_PATH_LEN_MAX - 11;

/// RFC 1035 §2.3.4, in text form.
pub const HOST_LEN_MAX: usize = 253;

/// RFC 1035 §2.3.4: one label of a host name.
pub const HOST_LABEL_LEN_MAX: usize = 63;

/// The largest single write on vsock and hybrid vsock. Some kernels and vhost
/// devices lose a part of larger ones.
pub const VSOCK_WRITE_LEN_MAX: usize = 16 * 1024;

/// A line of the hybrid handshake, its newline included: `CONNECT ` and ten
/// digits are 19 bytes.
pub const HYBRID_LINE_LEN_MAX: usize = 32;

/// How long either side of a hybrid handshake waits for the other's line.
pub const HYBRID_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Hybrid handshakes under way at once on a listening path; further ones wait
/// in the kernel's queue.
pub const HYBRID_HANDSHAKES_MAX: usize = 1024;

/// Connections that finished the handshake and wait for [`accept`] of their
/// port; the next is closed.
///
/// [`accept`]: crate::Listener::accept
pub const HYBRID_QUEUE_LEN_MAX: usize = 4096;

/// The queue of connections that the kernel keeps for us; `somaxconn` cuts it.
pub const BACKLOG_LEN: i32 = 4096;

/// First wait after an accept error that will not pass by itself.
pub const BACKOFF_MIN: Duration = Duration::from_millis(5);

/// Longest wait after accept errors: a freed descriptor is noticed within this.
pub const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// A Unix listener whose queue is full refuses with `EAGAIN`; the dialler
/// tries again after this, doubling up to [`DIAL_RETRY_MAX`].
pub const DIAL_RETRY_MIN: Duration = Duration::from_millis(1);

/// The longest wait between two attempts at a full Unix queue.
pub const DIAL_RETRY_MAX: Duration = Duration::from_millis(64);

/// Addresses and extensions of a PROXY v2 header, after its 16 fixed bytes.
/// Ours has 36 at most; a load balancer's extensions fit as well.
pub const PROXY_V2_BODY_LEN_MAX: usize = 512;
