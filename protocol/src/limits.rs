//! Every bound of the wire, the unit last in its name, each with its reason.

/// Largest plaintext of an envelope, in bytes: 16 accounts with a PEM key and 128 symbols each.
pub const ENVELOPE_PLAINTEXT_LEN_MAX: usize = 64 * 1024;

/// Largest envelope as JSON, in bytes: base64 of the plaintext, other fields, generous white space.
pub const ENVELOPE_JSON_LEN_MAX: usize = 96 * 1024;

/// Largest plaintext of a sealed reply, in bytes: a whole report.
pub const REPLY_PLAINTEXT_LEN_MAX: usize = REPORT_LEN_MAX;

/// Largest sealed reply as JSON, in bytes: base64 of the plaintext and four short fields.
pub const REPLY_JSON_LEN_MAX: usize = REPLY_PLAINTEXT_LEN_MAX / 3 * 4 + 1024;

/// Largest report payload, in bytes: a year of hourly buckets is under 1 MiB.
pub const REPORT_PAYLOAD_LEN_MAX: usize = 4 * 1024 * 1024;

/// Largest report, in bytes: base64 of payload, document and configuration.
pub const REPORT_LEN_MAX: usize = 6 * 1024 * 1024;

/// Largest attestation document, in bytes: a payload of 16384 bytes and its envelope.
pub const DOCUMENT_LEN_MAX: usize = 17 * 1024;

/// Largest `user_data` of our documents, in bytes: what the device promises to take.
pub const USER_DATA_LEN_MAX: usize = 512;

/// Largest answer to `GET /attestation`, in bytes: base64 of document and configuration.
pub const ATTESTATION_REPLY_LEN_MAX: usize = 64 * 1024;

/// Largest deployment configuration, in bytes.
pub const DEPLOYMENT_LEN_MAX: usize = 16 * 1024;

/// Largest `measurements.json`, in bytes: three required values and a few optional ones.
pub const MEASUREMENTS_LEN_MAX: usize = 16 * 1024;

/// Largest plain error body, in bytes.
pub const ERROR_BODY_LEN_MAX: usize = 4 * 1024;

/// Largest body of a status, opening or ending reply, in bytes: 16 accounts.
pub const STATUS_LEN_MAX: usize = 64 * 1024;

/// Predicates of one claim: a return, a drawdown, and two more.
pub const CLAIM_PREDICATES_MAX: usize = 4;

/// Predicates that may be asked of a portfolio in one calendar month. A whole percent of a return
/// between -100 % and +100 % takes eight questions to find; every one of them is in the next
/// statement's count.
pub const CLAIM_PREDICATES_PER_MONTH_MAX: u64 = 8;

/// Largest body of a claim's request, in bytes: a signature, and four predicates in base64.
pub const CLAIM_BODY_LEN_MAX: usize = 2 * 1024;

/// No claim is signed over a period of which fewer polls than this share are complete.
pub const CLAIM_COVERAGE_MIN: &str = "0.95";

/// Length of every answer to a claim, in bytes, signed or refused: document, deployment and
/// statement in base64 twice.
pub const CLAIM_REPLY_LEN: usize = 128 * 1024;

/// Deepest nesting of any JSON we read, in levels: the report's results need eight.
pub const JSON_DEPTH_MAX: usize = 16;

/// Shortest attestation nonce, in bytes: 128 bits cannot be guessed or repeated.
pub const ATTESTATION_NONCE_LEN_MIN: usize = 16;

/// Longest attestation nonce, in bytes: a SHA-512.
pub const ATTESTATION_NONCE_LEN_MAX: usize = 64;

/// Accounts in a session, at least.
pub const ACCOUNTS_MIN: usize = 1;

/// Accounts in a session, at most: what one poll round can serve.
pub const ACCOUNTS_MAX: usize = 16;

/// Longest account label, in bytes: it is printed in tables.
pub const LABEL_LEN_MAX: usize = 32;

/// Longest venue or market name, in bytes.
pub const SLUG_LEN_MAX: usize = 24;

/// Symbols of an account, at most: each costs weighted requests at every poll.
pub const SYMBOLS_MAX: usize = 128;

/// Longest symbol, in bytes.
pub const SYMBOL_LEN_MAX: usize = 32;

/// Shortest asset code, in bytes.
pub const ASSET_LEN_MIN: usize = 2;

/// Longest asset code that may be a base currency, in bytes.
pub const ASSET_LEN_MAX: usize = 12;

/// Longest API key, in bytes: Coinbase's are resource names of about 100.
pub const API_KEY_LEN_MAX: usize = 256;

/// Longest API secret, in bytes: a PEM-encoded RSA-4096 key is about 3.3 kB.
pub const API_SECRET_LEN_MAX: usize = 4096;

/// Longest API passphrase, in bytes.
pub const PASSPHRASE_LEN_MAX: usize = 256;

/// Shortest time to live of a session, in seconds: one poll interval.
pub const TTL_SECS_MIN: u64 = 5 * 60;

/// Longest time to live of a session, in seconds: a week.
pub const TTL_SECS_MAX: u64 = 7 * 24 * 60 * 60;

/// How old an attestation may be when the envelope made from it arrives, in milliseconds.
pub const ATTESTED_AGE_MS_MAX: u64 = 10 * 60 * 1000;

/// How far ahead of the enclave's clock `attested_at` may lie, in milliseconds: it is another
/// instance's clock.
pub const ATTESTED_AHEAD_MS_MAX: u64 = 60 * 1000;

/// How long a used `ephemeral_pub` is remembered, in milliseconds: twice what is accepted.
pub const EPHEMERAL_KEPT_MS: u64 = 20 * 60 * 1000;

/// How far a request's timestamp may be from the enclave's clock either way, in milliseconds.
pub const REQUEST_SKEW_MS_MAX: u64 = 60 * 1000;

/// How far a report's document may be from its `issued_at` either way, in milliseconds.
pub const REPORT_SKEW_MS_MAX: u64 = 60 * 1000;

/// Longest HTTP method that is authenticated, in bytes.
pub const METHOD_LEN_MAX: usize = 16;

/// Longest path with query that is authenticated, in bytes.
pub const PATH_LEN_MAX: usize = 2048;

/// Largest integer in canonical JSON: what every JSON reader keeps exactly (RFC 7493 §2.2).
pub const JSON_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Longest short text in a message, in bytes: identities, versions, method names.
pub const TEXT_LEN_MAX: usize = 256;

/// Longest list of short texts in a message: permissions, rate sources, venues.
pub const LIST_LEN_MAX: usize = 256;

/// Accounts ever opened under a portfolio that a report lists, at most.
pub const REPORT_ACCOUNTS_MAX: usize = 1024;

/// Days in a report's series, at most: ten years of calendar days, about 0.5 MiB.
pub const SERIES_DAYS_MAX: usize = 3660;

/// Longest decimal string in a report's series, in bytes: a `Decimal` with sign and point.
pub const DECIMAL_LEN_MAX: usize = 31;
