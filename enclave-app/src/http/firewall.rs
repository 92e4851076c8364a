//! What every request must look like, and what it may cost, before any route.
//!
//! In this order, the cheapest first; each has its own [`Refusal`]:
//!
//! 1. a place among the requests at once;
//! 2. the share of the client's address;
//! 3. the form: HTTP/1.1, a plain path, no absolute form, no fragment;
//! 4. the header: number of fields and bytes (the parser bounds both before);
//! 5. the allow-list: path, then method;
//! 6. a query only where one is read, a body only where one is read, and then
//!    `application/json`, not encoded, not longer than an envelope;
//! 7. the route's time limit around everything that follows.
//!
//! Every answer, good or bad, is marked `no-store` and carries its request id.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Version, header};
use axum::middleware::Next;
use axum::response::Response;
use protocol::category::Category;
use protocol::encoding::to_hex;
use protocol::limits::{ENVELOPE_JSON_LEN_MAX, PATH_LEN_MAX};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{debug, error};

use super::error::{Refusal, RequestId};
use super::{Front, Route};
use crate::addresses::Origin;
use crate::counters::Event;
use crate::limits::{HEADERS_LEN_MAX, HEADERS_MAX};

/// The header that names a request to its sender.
pub const HEADER_REQUEST_ID: &str = "pa-request-id";

/// What the guard needs.
#[derive(Clone, Debug)]
pub struct Doorkeeper {
    front: Front,
    routes: &'static [Route],
    places: Arc<Semaphore>,
}

impl Doorkeeper {
    pub fn new(front: &Front, routes: &'static [Route]) -> Self {
        Self { front: front.clone(), routes, places: Arc::new(Semaphore::new(front.requests_max)) }
    }

    /// Steps 3 to 6.
    fn inspect(&self, request: &Request) -> Result<&'static Route, Refusal> {
        // 3
        let uri = request.uri();
        if request.version() != Version::HTTP_11 {
            return Err(Refusal::Form("HTTP version"));
        }
        if uri.scheme().is_some() || uri.authority().is_some() {
            return Err(Refusal::Form("request target"));
        }
        if uri.path_and_query().is_none_or(|target| target.as_str().len() > PATH_LEN_MAX) {
            return Err(Refusal::PathTooLong);
        }
        // 4
        let headers = request.headers();
        let bytes: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if headers.len() > HEADERS_MAX || bytes > HEADERS_LEN_MAX {
            return Err(Refusal::HeadersTooLarge);
        }
        // 5
        let route = self.route(request.method(), uri.path())?;
        // 6
        if uri.query().is_some() && !route.query {
            return Err(Refusal::Form("query"));
        }
        if route.body {
            json_of_bounded_length(headers, request.body().size_hint().exact())?;
        } else if request.body().size_hint().exact() != Some(0) {
            return Err(Refusal::Form("body"));
        }
        Ok(route)
    }

    fn route(&self, method: &Method, path: &str) -> Result<&'static Route, Refusal> {
        let mut same_path = self.routes.iter().filter(|route| route.path == path).peekable();
        if same_path.peek().is_none() {
            return Err(Refusal::NoSuchRoute);
        }
        same_path.find(|route| route.method == method.as_str()).ok_or(Refusal::Method(match path {
            "/v1/sessions" | "/v1/session/claim" => "POST",
            "/v1/session" => "GET, DELETE",
            _ => "GET",
        }))
    }
}

fn json_of_bounded_length(headers: &HeaderMap, len: Option<u64>) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let json = types.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"application/json"));
    if !json || types.next().is_some() || headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Refusal::MediaType);
    }
    let fits = |len: u64| usize::try_from(len).is_ok_and(|len| len <= ENVELOPE_JSON_LEN_MAX);
    if len.is_some_and(|len| !fits(len)) {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(())
}

/// The middleware. See the module.
pub async fn guard(State(door): State<Doorkeeper>, mut request: Request, next: Next) -> Response {
    let request_id = RequestId(door.front.entropy.array::<8>().map_or_else(
        // Without entropy nothing else works either; the answer still goes out.
        |_| "0000000000000000".into(),
        |bytes| to_hex(&bytes),
    ));
    let origin = request.extensions().get().copied().unwrap_or(Origin::Unknown);
    request.extensions_mut().insert(request_id.clone());
    let mut response = match answer(&door, origin, request, next).await {
        Ok(response) => response,
        Err(refusal) => refuse(&door.front, &refusal, &request_id).answer(&request_id),
    };
    door.front.counters.count(Event::RequestServed);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&request_id.0) {
        headers.insert(HEADER_REQUEST_ID, value);
    }
    response
}

async fn answer(
    door: &Doorkeeper,
    origin: Origin,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    // 1
    let _place = door.places.try_acquire().map_err(|_| Refusal::Busy)?;
    // 2
    if !door.front.addresses.may_request(origin) {
        return Err(Refusal::AddressLimit);
    }
    let route = door.inspect(&request)?;
    // 7
    timeout(route.timeout, next.run(request)).await.map_err(|_| Refusal::TooSlow)
}

/// Counts and logs a refusal on its way out; every one passes here once.
pub(super) fn refuse<'a>(
    front: &Front,
    refusal: &'a Refusal,
    request_id: &RequestId,
) -> &'a Refusal {
    let category = refusal.category();
    front.counters.refuse(category);
    if category == Category::Internal {
        error!(request_id = request_id.0, "internal error");
    } else {
        debug!(request_id = request_id.0, code = category.code(), "refused");
    }
    refusal
}
