//! Bitget: how a request is signed. There is no connector.
//!
//! ```text
//! payload   = timestamp ++ METHOD ++ path?query ++ body
//! signature = base64(HMAC-SHA256(secret, payload))
//! ```
//!
//! The query is signed before it is percent-encoded; the timestamp is in
//! milliseconds.

use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::sign::{SignedHeaders, header_value, hmac_sha256_base64};
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
    let key = credentials.header_key()?;
    let passphrase = credentials.header_passphrase()?;
    let payload = Zeroizing::new([timestamp, method.name(), target, body].concat());
    let signature = hmac_sha256_base64(credentials.secret, payload.as_bytes())?;
    let headers = vec![
        ("ACCESS-KEY", header_value(key)),
        ("ACCESS-SIGN", signature.clone()),
        ("ACCESS-TIMESTAMP", header_value(timestamp)),
        ("ACCESS-PASSPHRASE", header_value(passphrase)),
    ];
    Ok(SignedHeaders { payload, signature, headers })
}
