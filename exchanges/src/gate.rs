//! Gate: how a request is signed. There is no connector.
//!
//! ```text
//! payload   = METHOD \n path \n query \n hex(SHA-512(body)) \n timestamp
//! signature = hex(HMAC-SHA512(secret, payload))
//! ```
//!
//! The timestamp is in seconds.

use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::sign::{SignedHeaders, header_value, hmac_sha512_hex};
use crate::{Credentials, Method};

/// Signs a request.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is no shared secret.
pub fn sign(
    credentials: &Credentials<'_>,
    method: Method,
    path: &str,
    query: &str,
    body: &str,
    timestamp: &str,
) -> Result<SignedHeaders, ExchangeError> {
    let key = credentials.header_key()?;
    let digest = hex::encode(Sha512::digest(body.as_bytes()));
    let payload = Zeroizing::new([method.name(), path, query, &digest, timestamp].join("\n"));
    let signature = hmac_sha512_hex(credentials.secret, payload.as_bytes())?;
    let headers = vec![
        ("KEY", header_value(key)),
        ("SIGN", signature.clone()),
        ("Timestamp", header_value(timestamp)),
    ];
    Ok(SignedHeaders { payload, signature, headers })
}
