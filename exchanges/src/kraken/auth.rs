//! Signing.
//!
//! ```text
//! body      = form with `nonce`                         percent-encoded
//! digest    = SHA-256(nonce ++ body)
//! API-Sign  = base64(HMAC-SHA-512(base64⁻¹(secret), path ++ digest))
//! ```
//!
//! Kraken keeps the largest nonce of each key for ever and refuses all below
//! it. Ours are nanoseconds: no program in use counts in anything finer, so a
//! key that another one has used still goes on.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::route::Route;
use crate::sign::{HmacSha512, query_string};
use crate::{Credentials, Request, UnixMillis};

/// The media type of a signed body.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// A signed form.
pub struct Signed {
    /// As it is sent.
    pub body: Zeroizing<String>,
    /// The header `API-Sign`.
    pub signature: Zeroizing<String>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(..)")
    }
}

/// Signs a form for `path`, in the given order. `nonce` must be its field
/// `nonce`.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is no base64.
pub fn sign<N: AsRef<str>, V: AsRef<str>>(
    credentials: &Credentials<'_>,
    path: &str,
    nonce: &str,
    form: &[(N, V)],
) -> Result<Signed, ExchangeError> {
    credentials.header_key()?;
    let mut mac = HmacSha512::of_base64(credentials.secret)?;
    let body = Zeroizing::new(query_string(form));
    let digest = Sha256::new().chain_update(nonce).chain_update(body.as_bytes()).finalize();
    mac.update(path.as_bytes());
    mac.update(&digest);
    Ok(Signed { body, signature: mac.finish() })
}

/// `route` as a signed form.
pub(super) fn request(
    route: &Route,
    credentials: &Credentials<'_>,
    at: UnixMillis,
) -> Result<Request, ExchangeError> {
    let nonce = at.0.checked_mul(1_000_000).ok_or(ExchangeError::InvalidQuery { field: "at" })?;
    let nonce = nonce.to_string();
    let mut form = vec![("nonce", nonce.as_str())];
    form.extend(route.query.iter().map(|(name, value)| (*name, value.as_str())));
    let signed = sign(credentials, route.path(), &nonce, &form)?;
    let key = Zeroizing::new(credentials.header_key()?.to_owned());
    Ok(Request::post(route.host, route.template, signed.body)
        .with_header("API-Key", key)
        .with_header("API-Sign", signed.signature)
        .with_header("Content-Type", Zeroizing::new(FORM.to_owned())))
}
