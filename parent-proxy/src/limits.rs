//! Every bound of the proxy that its configuration does not set, unit last.

use std::time::Duration;

/// The configuration and the allow-list as files.
pub const CONFIG_LEN_MAX: u64 = 256 * 1024;

/// Entries of the allow-list: a few dozen venues with a few hosts each.
pub const ALLOWED_HOSTS_MAX: usize = 512;

/// Ingress listeners of one proxy.
pub const INGRESS_MAX: usize = 64;

/// `deployment.json`; the enclave refuses more as well (`protocol::limits`).
pub const DEPLOYMENT_LEN_MAX: usize = 16 * 1024;

/// Request line and headers of an egress or administration request. A CONNECT
/// client sends a few hundred bytes; a proxy-authorization token fits too.
pub const REQUEST_HEAD_LEN_MAX: usize = 8 * 1024;

/// Header lines of such a request.
pub const REQUEST_HEADERS_MAX: usize = 64;

/// The head of the enclave's answer to a health probe.
pub const HEALTH_HEAD_LEN_MAX: usize = 4 * 1024;

/// A health probe, from dialling to the last byte of the answer. Load
/// balancers wait five seconds for theirs.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// A health answer serves every probe within this, so that probes cannot
/// hammer the enclave.
pub const HEALTH_CACHED: Duration = Duration::from_secs(1);

/// Administration connections at once: a few probes and a scraper.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

/// An administration request and its answer, together.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// After a refusal, how long and how much of what a client still sends is
/// read, so that closing does not destroy the answer on its way.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// See [`LINGER_TIMEOUT`].
pub const LINGER_LEN_MAX: usize = 64 * 1024;

/// What one read of a relay takes at most. One such buffer exists per thread,
/// none per connection; a connection whose other side does not read holds at
/// most this much for each direction. Three vsock writes; it fits a processor's
/// first cache and, unlike 64 KiB, never splits into a full TCP segment and a
/// rest of a few bytes.
pub const SCRATCH_LEN: usize = 48 * 1024;

/// What a relay moves in one direction before it lets others run.
pub const TURN_LEN_MAX: usize = 1024 * 1024;

/// Name look-ups at once; each holds a thread of the system's resolver.
pub const LOOKUPS_MAX: usize = 16;

/// Addresses of one name that are tried.
pub const RESOLVED_MAX: usize = 16;
