//! The authentication of every call after the first.
//!
//! ```text
//! mac = HMAC-SHA256(request key, "performance-aggregator/v1/request"
//!         || field(method) || field(path with query) || field(session id) || field(request nonce)
//!         || field(timestamp as u64 BE milliseconds) || field(SHA-256(body)))
//! field(x) = u32 BE length || x
//! ```
//!
//! Four headers carry it: `pa-session`, `pa-nonce`, `pa-mac` in base64 and `pa-timestamp` in
//! decimal, each with exactly one text.
//!
//! # Guarantees
//!
//! * Only the client that sealed the session's envelope can make a MAC; the session id alone
//!   authorises nothing.
//! * Verification takes the same time wherever the MAC differs.
//!
//! # What it does not give
//!
//! * No replay protection: the enclave refuses a request nonce it has seen within
//!   [`REQUEST_SKEW_MS_MAX`] either way, and every timestamp outside it ([`is_fresh`]).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::encoding::{from_base64_array, to_base64};
use crate::limits::{METHOD_LEN_MAX, PATH_LEN_MAX, REQUEST_SKEW_MS_MAX};
use crate::secret::key_type;
use crate::session::SessionId;
use crate::time::UnixMillis;

/// Header with the session id.
pub const HEADER_SESSION: &str = "pa-session";
/// Header with the request nonce.
pub const HEADER_NONCE: &str = "pa-nonce";
/// Header with the timestamp.
pub const HEADER_TIMESTAMP: &str = "pa-timestamp";
/// Header with the MAC.
pub const HEADER_MAC: &str = "pa-mac";

const DOMAIN: &[u8] = b"performance-aggregator/v1/request";

key_type! {
    /// Authenticates requests, and does nothing else.
    RequestKey
}

/// What a request consists of, besides its authentication.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The HTTP method, upper-case.
    pub method: &'a str,
    /// The path with its query, as in the request line.
    pub path_and_query: &'a str,
    /// The body, empty if there is none.
    pub body: &'a [u8],
}

/// The four headers, parsed.
#[derive(Clone, Debug)]
pub struct RequestAuth {
    /// The session the caller means.
    pub session: SessionId,
    /// Fresh for each request; the answer is bound to it.
    pub nonce: [u8; 16],
    /// When the caller made it.
    pub timestamp: UnixMillis,
    mac: [u8; 32],
}

/// A request is not authenticated. Says no more, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("request is not authenticated")]
pub struct AuthError;

impl RequestAuth {
    /// Reads the four headers.
    ///
    /// # Errors
    /// If any is not in its one encoding.
    pub fn parse(
        session: &str,
        nonce: &str,
        timestamp: &str,
        mac: &str,
    ) -> Result<Self, AuthError> {
        Ok(Self {
            session: SessionId::from_base64(session).map_err(|_| AuthError)?,
            nonce: from_base64_array(nonce).map_err(|_| AuthError)?,
            timestamp: parse_timestamp(timestamp).ok_or(AuthError)?,
            mac: from_base64_array(mac).map_err(|_| AuthError)?,
        })
    }

    /// The four headers, by name.
    pub fn headers(&self) -> [(&'static str, String); 4] {
        [
            (HEADER_SESSION, self.session.to_base64()),
            (HEADER_NONCE, to_base64(&self.nonce)),
            (HEADER_TIMESTAMP, self.timestamp.0.to_string()),
            (HEADER_MAC, to_base64(&self.mac)),
        ]
    }

    /// Checks the MAC, in constant time. Freshness and reuse of the nonce are other checks.
    ///
    /// # Errors
    /// If the MAC is not that of `request` under `key`.
    pub fn verify(&self, key: &RequestKey, request: &Request<'_>) -> Result<(), AuthError> {
        mac(key, request, &self.session, &self.nonce, self.timestamp)
            .ok_or(AuthError)?
            .verify(&self.mac.into())
            .map_err(|_| AuthError)
    }
}

/// Authenticates a request; `nonce` is 16 fresh random bytes.
///
/// # Errors
/// If method or path are longer than a server accepts.
pub fn sign(
    key: &RequestKey,
    request: &Request<'_>,
    session: &SessionId,
    nonce: [u8; 16],
    timestamp: UnixMillis,
) -> Result<RequestAuth, AuthError> {
    let mac = mac(key, request, session, &nonce, timestamp).ok_or(AuthError)?.finalize();
    Ok(RequestAuth { session: session.clone(), nonce, timestamp, mac: mac.into_bytes().into() })
}

/// Whether a timestamp is within [`REQUEST_SKEW_MS_MAX`] of `now`, either way.
pub const fn is_fresh(timestamp: UnixMillis, now: UnixMillis) -> bool {
    timestamp.distance_ms(now) <= REQUEST_SKEW_MS_MAX
}

fn mac(
    key: &RequestKey,
    request: &Request<'_>,
    session: &SessionId,
    nonce: &[u8; 16],
    timestamp: UnixMillis,
) -> Option<Hmac<Sha256>> {
    if request.method.len() > METHOD_LEN_MAX || request.path_and_query.len() > PATH_LEN_MAX {
        return None;
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.expose()).ok()?;
    mac.update(DOMAIN);
    for field in [
        request.method.as_bytes(),
        request.path_and_query.as_bytes(),
        session.expose(),
        nonce,
        &timestamp.0.to_be_bytes(),
        &Sha256::digest(request.body),
    ] {
        mac.update(&u32::try_from(field.len()).ok()?.to_be_bytes());
        mac.update(field);
    }
    Some(mac)
}

/// Decimal without sign or leading zeros.
fn parse_timestamp(text: &str) -> Option<UnixMillis> {
    let value: u64 = text.parse().ok()?;
    (value.to_string() == text).then_some(UnixMillis(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AuthError, Request, RequestAuth, RequestKey, is_fresh, sign};
    use crate::limits::{METHOD_LEN_MAX, PATH_LEN_MAX};
    use crate::session::SessionId;
    use crate::time::UnixMillis;

    static_assertions::assert_not_impl_any!(
        RequestKey: Clone, std::fmt::Display, PartialEq, serde::Serialize, std::ops::Deref
    );

    proptest! {
        #[test]
        fn what_is_signed_verifies_out_of_its_headers(
            key: [u8; 32],
            session: [u8; 32],
            nonce: [u8; 16],
            stamp: u64,
            method in "[A-Z]{1,16}",
            path in "/[a-z/?=&]{0,40}",
            body in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let key = RequestKey::from_bytes(&key);
            let session = SessionId::from_bytes(session);
            let request = Request { method: &method, path_and_query: &path, body: &body };
            let signed = sign(&key, &request, &session, nonce, UnixMillis(stamp)).unwrap();
            let [session_text, nonce_text, stamp_text, mac] = signed.headers().map(|(_, text)| text);
            let read = RequestAuth::parse(&session_text, &nonce_text, &stamp_text, &mac).unwrap();
            prop_assert_eq!(read.verify(&key, &request), Ok(()));
            prop_assert_eq!(&read.session, &session);
            prop_assert_eq!((read.nonce, read.timestamp), (nonce, UnixMillis(stamp)));
        }
    }

    #[test]
    fn a_minute_either_way_is_fresh() {
        let now = UnixMillis(1_768_464_000_000);
        for (stamp, fresh) in [
            (now.0, true),
            (now.0 - 60_000, true),
            (now.0 - 60_001, false),
            (now.0 + 60_000, true),
            (now.0 + 60_001, false),
            (0, false),
            (u64::MAX, false),
        ] {
            assert_eq!(is_fresh(UnixMillis(stamp), now), fresh, "{stamp}");
        }
    }

    #[test]
    fn method_and_path_are_bounded() {
        let key = RequestKey::from_bytes(&[1; 32]);
        let session = SessionId::from_bytes([2; 32]);
        let signed = |method: &str, path: &str| {
            let request = Request { method, path_and_query: path, body: b"" };
            sign(&key, &request, &session, [3; 16], UnixMillis(4)).map(|_| ())
        };
        let (method, path) = ("M".repeat(METHOD_LEN_MAX), "/".repeat(PATH_LEN_MAX));
        assert_eq!(signed(&method, &path), Ok(()));
        assert_eq!(signed(&(method.clone() + "M"), &path), Err(AuthError));
        assert_eq!(signed(&method, &(path.clone() + "/")), Err(AuthError));
    }
}
