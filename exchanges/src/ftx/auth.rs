//! How requests were signed, for archived ones.
//!
//! ```text
//! payload   = timestamp ++ METHOD ++ path?query ++ body
//! signature = hex(HMAC-SHA256(secret, payload))
//! ```
//!
//! The timestamp is in milliseconds.

use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::sign::{SignedHeaders, header_value, hmac_sha256_hex, percent_encoded};
use crate::{Credentials, Method};

/// Signs as FTX asked for it; no request is made of it.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is no shared secret.
pub fn sign(
    credentials: &Credentials<'_>,
    method: Method,
    target: &str,
    body: &str,
    timestamp: &str,
    subaccount: Option<&str>,
) -> Result<SignedHeaders, ExchangeError> {
    let key = credentials.header_key()?;
    let payload = Zeroizing::new([timestamp, method.name(), target, body].concat());
    let signature = hmac_sha256_hex(credentials.secret, payload.as_bytes())?;
    let mut headers = vec![
        ("FTX-KEY", header_value(key)),
        ("FTX-SIGN", signature.clone()),
        ("FTX-TS", header_value(timestamp)),
    ];
    if let Some(name) = subaccount {
        headers.push(("FTX-SUBACCOUNT", header_value(&percent_encoded(name))));
    }
    Ok(SignedHeaders { payload, signature, headers })
}
