//! Bitget: how a request is signed. There is no connector.
//!
//! ```text
//! payload   = timestamp ++ METHOD ++ path?query ++ body
//! signature = base64(HMAC-SHA256(secret, payload))
//! ```
//!
//! The query is signed before it is percent-encoded; the timestamp is in
//! milliseconds.

use crate::error::ExchangeError;
use crate::sign::{self, SignedHeaders};
use crate::{Credentials, Method};

/// Signs a request; `target` is the path with its query.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key or the
/// passphrase is missing or cannot stand in a header, or the secret is no
/// shared secret.
pub fn sign(
    credentials: &Credentials<'_>,
    method: Method,
    target: &str,
    body: &str,
    timestamp: &str,
) -> Result<SignedHeaders, ExchangeError> {
    let names = ["ACCESS-KEY", "ACCESS-SIGN", "ACCESS-TIMESTAMP", "ACCESS-PASSPHRASE"];
    sign::with_passphrase(credentials, method, target, body, timestamp, names)
}
