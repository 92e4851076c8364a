//! Signing.
//!
//! ```text
//! digest   = SHA-256(post data ++ nonce ++ path)
//! Authent  = base64(HMAC-SHA-512(base64⁻¹(secret), digest))
//! ```
//!
//! The post data is the query string or the form exactly as it is sent. The
//! path is signed without `/derivatives` in front. The nonce may be left out,
//! and is: two programs with one key then do not disturb each other.

use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::route::Route;
use crate::sign::{HmacSha512, query_string};
use crate::{Credentials, Request};

/// The signature of one request.
pub struct Signed<'a> {
    /// The path as it was signed.
    pub path: &'a str,
    /// The header `Authent`.
    pub signature: Zeroizing<String>,
}

impl fmt::Debug for Signed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signed(..)")
    }
}

/// Signs a request to `path` with `post_data`.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key cannot stand in
/// a header or the secret is no base64.
pub fn sign<'a>(
    credentials: &Credentials<'_>,
    path: &'a str,
    post_data: &str,
    nonce: Option<&str>,
) -> Result<Signed<'a>, ExchangeError> {
    credentials.header_key()?;
    let mut mac = HmacSha512::of_base64(credentials.secret)?;
    let path = path.strip_prefix("/derivatives").unwrap_or(path);
    let digest = Sha256::new()
        .chain_update(post_data)
        .chain_update(nonce.unwrap_or_default())
        .chain_update(path)
        .finalize();
    mac.update(&digest);
    Ok(Signed { path, signature: mac.finish() })
}

/// `route` with its signature.
pub(super) fn request(
    route: Route,
    credentials: &Credentials<'_>,
) -> Result<Request, ExchangeError> {
    let query = query_string(&route.query);
    let signature = sign(credentials, route.path(), &query, None)?.signature;
    let key = Zeroizing::new(credentials.header_key()?.to_owned());
    Ok(route.unsigned().with_header("APIKey", key).with_header("Authent", signature))
}
