//! Every bound of this program that is not the wire's, unit last, with its reason.
//!
//! The wire's own are in [`protocol::limits`]; those an operator may set, in
//! `image.toml`, have their bounds in [`crate::image_config`].

use std::time::Duration;

// Clock

/// How often wall time is anchored to the security module again: a quartz
/// drifts 100 ppm at worst, so 30 ms between two anchors.
pub const ANCHOR_INTERVAL: Duration = Duration::from_mins(5);

// Security module

/// Requests to the module at once: its driver serialises them, more would only
/// hold blocking threads.
pub const NSM_PERMITS: usize = 4;

/// How long a request waits for its turn at the module before it is refused.
pub const NSM_TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest document the module may give, in bytes: its response buffer.
pub const NSM_DOCUMENT_LEN_MAX: usize = 0x3000;

// Start

/// How long the parent may take to hand the deployment configuration over.
pub const DEPLOYMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the HTTP head before the deployment configuration.
pub const DEPLOYMENT_HEAD_LEN_MAX: usize = 4 * 1024;

/// Largest `image.toml`, in bytes: ours has under 2 kB.
pub const IMAGE_CONFIG_LEN_MAX: usize = 64 * 1024;

/// How long requests in flight may take to finish at the end.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

// Connections

/// The PROXY header is one segment that the parent sends first.
pub const PREAMBLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A TLS 1.3 handshake is one round trip; this is many.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A request head, from the first wait for it to its end: idle connections end too.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Silence inside a body.
pub const BODY_SILENCE_TIMEOUT: Duration = Duration::from_secs(5);

/// A whole body; the largest is 96 KiB.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// A whole request, from its head to the answer being ready.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Opening a session waits for exchanges.
pub const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// What of [`OPEN_TIMEOUT`] the exchanges may take.
pub const VERIFY_ACCOUNTS_TIMEOUT: Duration = Duration::from_secs(35);

/// A connection ends after this long, whatever it does: a customer attests
/// again on the next one, and a reader that never reads is let go.
pub const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);

/// How long a connection that was asked to end may finish its request.
pub const CONNECTION_GRACE: Duration = Duration::from_secs(10);

/// Requests of one connection.
pub const REQUESTS_PER_CONNECTION_MAX: u32 = 256;

/// Client addresses remembered by the rate limits; past it, unknown addresses
/// are refused until old ones are forgotten.
pub const ADDRESSES_MAX: usize = 100_000;

// Requests

/// Header fields of a request: ours send under ten.
pub const HEADERS_MAX: usize = 32;

/// Bytes of a request's head; also hyper's read buffer.
pub const HEAD_LEN_MAX: usize = 16 * 1024;

/// Bytes of all header names and values.
pub const HEADERS_LEN_MAX: usize = 8 * 1024;

// Sessions

/// Used `ephemeral_pub`s remembered at once. Kept 20 minutes each: about 54
/// envelopes a second, far more than exchanges let us check.
pub const REPLAY_ENTRIES_MAX: usize = 65_536;

/// Request nonces of one session remembered within the timestamp window of two
/// minutes; the session's rate limit stays below it.
pub const NONCES_PER_SESSION_MAX: usize = 1024;

/// Requests of one session in a minute.
pub const SESSION_REQUESTS_PER_MIN: u32 = 240;

/// Requests of one session at once.
pub const SESSION_BURST: u32 = 60;

/// How soon somebody must speak for a session after its opening. The answer may
/// have been lost on the way, and nobody could end the session then.
pub const CONFIRM_WITHIN: Duration = Duration::from_mins(1);

/// The backstop behind the expiry timer.
pub const SWEEP_INTERVAL: Duration = Duration::from_hours(1);
