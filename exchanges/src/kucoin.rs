//! KuCoin: how a request is signed. There is no connector.
//!
//! ```text
//! payload    = timestamp ++ METHOD ++ path?query ++ body
//! signature  = base64(HMAC-SHA256(secret, payload))
//! passphrase = base64(HMAC-SHA256(secret, passphrase))      key version 2
//! ```
//!
//! The timestamp is in milliseconds.

use crate::error::ExchangeError;
use crate::sign::{self, SignedHeaders, header_value, hmac_sha256_base64};
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
    let names = ["KC-API-KEY", "KC-API-SIGN", "KC-API-TIMESTAMP", "KC-API-PASSPHRASE"];
    let mut signed = sign::with_passphrase(credentials, method, target, body, timestamp, names)?;
    for (name, value) in &mut signed.headers {
        if *name == "KC-API-PASSPHRASE" {
            *value = hmac_sha256_base64(credentials.secret, value.as_bytes())?;
        }
    }
    signed.headers.push(("KC-API-KEY-VERSION", header_value("2")));
    Ok(signed)
}
