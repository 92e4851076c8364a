//! Every bound of the simulator, unit last, with its reason.

use std::time::Duration;

/// A scenario file: sixty days of several accounts at five-minute ticks is about 30 MiB.
pub(crate) const SCENARIO_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Ticks of one scenario: ten years of five-minute polls.
pub(crate) const TICKS_MAX: i64 = 1_100_000;
/// A key file: thousands of accounts with 64-character keys fit.
pub(crate) const KEYS_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Keys a simulator knows at once.
pub(crate) const KEYS_MAX: usize = 20_000;

/// Connections served at once on a port, unless the options say otherwise; the next one is closed
/// unanswered. Two thousand simulated accounts with a few connections each fit.
pub(crate) const CONNECTIONS_MAX: usize = 8_192;
/// From accept to the end of the TLS handshake.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// One request head, and how long a kept-alive connection may idle.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// From the head of a request to the end of its body and its answer, unless a fault holds it.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Request line and headers; a signed query with two hundred symbols fits.
pub(crate) const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of one request.
pub(crate) const HEADERS_MAX: usize = 64;
/// A venue's request body: form parameters.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// A control request's body: a list of fault rules.
pub(crate) const CONTROL_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Pause after a failed accept, so that a full descriptor table does not spin the loop.
pub(crate) const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);
/// How long connections may finish after the stop.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Parameters of one venue request.
pub(crate) const PARAMS_MAX: usize = 64;
/// Symbols in one `symbols` parameter.
pub(crate) const SYMBOLS_MAX: usize = 500;

/// Fault rules in force at once.
pub(crate) const FAULTS_MAX: usize = 1_024;
/// A body that a fault serves instead of the venue's.
pub(crate) const FAULT_BODY_BYTES_MAX: usize = 64 * 1024;
/// Clock skew a fault may apply, in milliseconds: thirty days.
pub(crate) const SKEW_MS_MAX: i64 = 30 * 24 * 3600 * 1000;
/// `Retry-After` a fault may announce, in seconds: three days, Binance's longest ban.
pub(crate) const RETRY_AFTER_SECS_MAX: u64 = 3 * 24 * 3600;
/// Distinct (host, method, path, status) lines in the request log; the rest is counted as `*`.
pub(crate) const REQUEST_LINES_MAX: usize = 1_000;
/// Addresses whose request weight is tracked at once; a full table forgets ended windows.
pub(crate) const METERS_MAX: usize = 100_000;
