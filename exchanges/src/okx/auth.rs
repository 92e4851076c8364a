//! Signing.
//!
//! ```text
//! payload   = timestamp ++ METHOD ++ path?query ++ body
//! signature = base64(HMAC-SHA256(secret, payload))
//! ```
//!
//! The timestamp is RFC 3339 in UTC with milliseconds.

use zeroize::Zeroizing;

use super::routes::Route;
use crate::error::ExchangeError;
use crate::sign::{SignedHeaders, header_value, hmac_sha256_base64};
use crate::{Credentials, Method, Request, UnixMillis, times};

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
        ("OK-ACCESS-KEY", header_value(key)),
        ("OK-ACCESS-SIGN", signature.clone()),
        ("OK-ACCESS-TIMESTAMP", header_value(timestamp)),
        ("OK-ACCESS-PASSPHRASE", header_value(passphrase)),
    ];
    Ok(SignedHeaders { payload, signature, headers })
}

/// `route` with its headers.
pub(super) fn request(
    route: &Route,
    credentials: &Credentials<'_>,
    at: UnixMillis,
) -> Result<Request, ExchangeError> {
    let timestamp = times::rfc3339(at).ok_or(ExchangeError::InvalidQuery { field: "at" })?;
    let request = route.unsigned();
    let target = request.path_and_query();
    let signed = sign(credentials, Method::Get, &target, "", &timestamp)?;
    Ok(signed
        .headers
        .into_iter()
        .fold(request, |request, (name, value)| request.with_header(name, value)))
}
