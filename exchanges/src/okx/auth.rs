//! Signing.
//!
//! ```text
//! payload   = timestamp ++ METHOD ++ path?query ++ body
//! signature = base64(HMAC-SHA256(secret, payload))
//! ```
//!
//! The timestamp is RFC 3339 in UTC with milliseconds.

use crate::error::ExchangeError;
use crate::route::Route;
use crate::sign::{self, SignedHeaders};
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
    let names = ["OK-ACCESS-KEY", "OK-ACCESS-SIGN", "OK-ACCESS-TIMESTAMP", "OK-ACCESS-PASSPHRASE"];
    sign::with_passphrase(credentials, method, target, body, timestamp, names)
}

/// `route` with its headers.
pub(super) fn request(
    route: Route,
    credentials: &Credentials<'_>,
    at: UnixMillis,
) -> Result<Request, ExchangeError> {
    let timestamp = times::rfc3339(at).ok_or(ExchangeError::InvalidQuery { field: "at" })?;
    let request = route.unsigned();
    let target = request.path_and_query();
    let signed = sign(credentials, Method::Get, &target, "", &timestamp)?;
    Ok(request.with_headers(signed.headers))
}
