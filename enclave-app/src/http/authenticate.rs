//! Who is asking: the four `pa-*` headers.
//!
//! Whatever is wrong with them, the answer is the same 401: a caller cannot
//! tell a stolen session id from an invented one, nor a wrong key from an old
//! timestamp.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, Uri};
use protocol::request_auth::{
    self, HEADER_MAC, HEADER_NONCE, HEADER_SESSION, HEADER_TIMESTAMP, RequestAuth,
};

use super::Front;
use super::error::Refusal;
use crate::sessions::custody::NotAdmitted;
use crate::sessions::table::Live;

/// A live session's own request.
pub(super) struct Authentic {
    pub(super) live: Arc<Live>,
    pub(super) nonce: [u8; 16],
}

/// Authenticates a request that has no body; the firewall saw to that.
pub(super) fn authenticate(front: &Front, request: &Request) -> Result<Authentic, Refusal> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    authenticate_parts(front, method, uri, headers, &[])
}

/// Authenticates a request whose body was read.
pub(super) fn authenticate_parts(
    front: &Front,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Authentic, Refusal> {
    let auth = parse(headers).ok_or(Refusal::Unauthorized)?;
    let target = uri.path_and_query().ok_or(Refusal::Unauthorized)?;
    let signed =
        request_auth::Request { method: method.as_str(), path_and_query: target.as_str(), body };
    match front.custody.admit(&auth, &signed) {
        Ok(live) => Ok(Authentic { live, nonce: auth.nonce }),
        Err(NotAdmitted::Unauthorized) => Err(Refusal::Unauthorized),
        Err(NotAdmitted::Throttled) => Err(Refusal::SessionLimit),
    }
}

fn parse(headers: &HeaderMap) -> Option<RequestAuth> {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(value)
    };
    RequestAuth::parse(
        one(HEADER_SESSION)?,
        one(HEADER_NONCE)?,
        one(HEADER_TIMESTAMP)?,
        one(HEADER_MAC)?,
    )
    .ok()
}
