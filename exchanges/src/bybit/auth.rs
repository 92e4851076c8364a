//! Signing.
//!
//! ```text
//! payload   = timestamp ++ key ++ receive window ++ query (or body)
//! signature = hex(HMAC-SHA256(secret, payload))             shared secret
//!           | base64(RSA-PKCS1-v1.5-SHA-256(key, payload))  PEM
//! ```
//!
//! Timestamp and window are in milliseconds.

use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::route::Route;
use crate::sign::{Scheme, SignedHeaders, SigningKey, header_value, query_string};
use crate::{Credentials, Request, UnixMillis};

/// Signs a request; `parameters` are the query of a GET, the body of a POST.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is neither a shared secret nor an RSA key.
pub fn sign(
    credentials: &Credentials<'_>,
    parameters: &str,
    timestamp: &str,
    window: &str,
) -> Result<SignedHeaders, ExchangeError> {
    let name = credentials.header_key()?;
    let key = SigningKey::read(credentials.secret)?;
    if key.scheme() == Scheme::Ed25519 {
        return Err(ExchangeError::InvalidCredentials);
    }
    let payload = Zeroizing::new([timestamp, name, window, parameters].concat());
    let signature = key.sign(payload.as_bytes())?;
    let headers = vec![
        ("X-BAPI-API-KEY", header_value(name)),
        ("X-BAPI-SIGN", signature.clone()),
        ("X-BAPI-TIMESTAMP", header_value(timestamp)),
        ("X-BAPI-RECV-WINDOW", header_value(window)),
    ];
    Ok(SignedHeaders { payload, signature, headers })
}

/// How long after its timestamp the exchange may still accept a request, in
/// milliseconds.
const RECV_WINDOW: &str = "5000";

/// `route` with its headers.
pub(super) fn request(
    route: Route,
    credentials: &Credentials<'_>,
    at: UnixMillis,
) -> Result<Request, ExchangeError> {
    let query = query_string(&route.query);
    let signed = sign(credentials, &query, &at.0.to_string(), RECV_WINDOW)?;
    Ok(route.unsigned().with_headers(signed.headers))
}
