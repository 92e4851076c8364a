//! KuCoin: how a request is signed. There is no connector.
//!
//! ```text
//! payload    = timestamp ++ METHOD ++ path?query ++ body
//! signature  = base64(HMAC-SHA256(secret, payload))
//! passphrase = base64(HMAC-SHA256(secret, passphrase))      key version 2
//! ```
//!
//! The timestamp is in milliseconds.

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
        ("KC-API-KEY", header_value(key)),
        ("KC-API-SIGN", signature.clone()),
        ("KC-API-TIMESTAMP", header_value(timestamp)),
        ("KC-API-PASSPHRASE", hmac_sha256_base64(credentials.secret, passphrase.as_bytes())?),
        ("KC-API-KEY-VERSION", header_value("2")),
    ];
    Ok(SignedHeaders { payload, signature, headers })
}
