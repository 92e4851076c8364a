//! Signing.
//!
//! ```text
//! payload   = query string ++ body            percent-encoded, no separator
//! signature = hex(HMAC-SHA256(secret, payload))         shared secret
//!           | base64(Ed25519(key, payload))             PEM, PKCS#8
//!           | base64(RSA-PKCS1-v1.5-SHA-256(key, payload))   PEM
//! ```
//!
//! The signature is the last parameter of the body, or of the query string if
//! there is no body.

use std::fmt;

use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::route::Route;
use crate::sign::{Scheme, SigningKey, percent_encoded, query_string};
use crate::{Credentials, Request, UnixMillis};

/// The header that carries the key.
pub(super) const KEY_HEADER: &str = "X-MBX-APIKEY";

/// How long after its timestamp Binance may still accept a request.
const RECV_WINDOW_MS: u32 = 5000;

/// A signed pair of query string and body.
pub struct Signed {
    /// By which algorithm: the secret's form decides.
    pub scheme: Scheme,
    /// What was signed.
    pub payload: Zeroizing<String>,
    /// In Binance's text form, before percent-encoding.
    pub signature: Zeroizing<String>,
    /// As it is sent.
    pub query: Zeroizing<String>,
    /// As it is sent.
    pub body: Zeroizing<String>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(..)")
    }
}

/// Signs parameters in the given order.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is neither a shared secret nor a private key.
pub fn sign<N: AsRef<str>, V: AsRef<str>>(
    credentials: &Credentials<'_>,
    query: &[(N, V)],
    body: &[(N, V)],
) -> Result<Signed, ExchangeError> {
    credentials.header_key()?;
    let key = SigningKey::read(credentials.secret)?;
    let query = query_string(query);
    let body = query_string(body);
    let payload = Zeroizing::new([query.as_str(), body.as_str()].concat());
    let signature = key.sign(payload.as_bytes())?;
    let (query, body) = if body.is_empty() {
        (with_signature(&query, &signature), Zeroizing::new(body))
    } else {
        (Zeroizing::new(query), with_signature(&body, &signature))
    };
    Ok(Signed { scheme: key.scheme(), payload, signature, query, body })
}

fn with_signature(parameters: &str, signature: &str) -> Zeroizing<String> {
    let signature = Zeroizing::new(percent_encoded(signature));
    let name = if parameters.is_empty() { "signature=" } else { "&signature=" };
    // `concat` allocates once, so no unwiped copy of the signature stays.
    Zeroizing::new([parameters, name, &signature].concat())
}

/// `route` with time and signature.
pub(super) fn request(
    route: &Route,
    credentials: &Credentials<'_>,
    at: UnixMillis,
) -> Result<Request, ExchangeError> {
    let mut query: Vec<(&str, &str)> =
        route.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let window = RECV_WINDOW_MS.to_string();
    let timestamp = at.0.to_string();
    query.push(("recvWindow", &window));
    query.push(("timestamp", &timestamp));
    let signed = sign(credentials, &query, &[])?;
    let key = Zeroizing::new(credentials.header_key()?.to_owned());
    Ok(Request::get(route.host, route.template, signed.query).with_header(KEY_HEADER, key))
}
