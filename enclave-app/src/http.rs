//! The customers' API.
//!
//! ```text
//! connection ─► firewall ─► authenticate ─► route ─► custody, notary, engine
//!  (server)      every       session's        wire structs end here
//!                request     requests
//! ```
//!
//! * [`firewall`]: what a request may look like and cost, before any route.
//! * [`authenticate`]: the `pa-*` headers.
//! * [`error`]: the only place that knows a status code.
//! * [`openapi`]: the description, held against [`ROUTES`] by a test.
//!
//! **Invariant:** no handler reads a body but [`body::read`], which is bounded
//! in bytes and time, and no answer quotes what a request said.

mod attestation;
mod authenticate;
mod body;
mod claim;
pub mod error;
pub mod firewall;
mod health;
mod openapi;
mod report;
mod sessions;
#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use protocol::reply;

use crate::addresses::Addresses;
use crate::attest::Notary;
use crate::counters::Counters;
use crate::engine_api::Signer as _;
use crate::entropy::Entropy;
use crate::limits::{OPEN_TIMEOUT, REQUEST_TIMEOUT};
use crate::sessions::custody::Custody;
use firewall::Doorkeeper;

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Front {
    pub custody: Arc<Custody>,
    pub notary: Arc<Notary>,
    pub entropy: Arc<Entropy>,
    pub counters: Arc<Counters>,
    pub addresses: Arc<Addresses>,
    /// Requests at once.
    pub requests_max: usize,
}

impl Front {
    fn simulated(&self) -> bool {
        self.notary.simulated()
    }
}

/// A route, and what its requests may carry.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub body: bool,
    pub query: bool,
    pub timeout: Duration,
}

const fn route(method: &'static str, path: &'static str) -> Route {
    Route { method, path, body: false, query: false, timeout: REQUEST_TIMEOUT }
}

/// Everything a customer may ask for. What is not here is refused before it
/// reaches a router.
pub const ROUTES: &[Route] = &[
    route("GET", "/health"),
    route("GET", "/openapi.json"),
    Route { query: true, ..route("GET", "/attestation") },
    Route { body: true, timeout: OPEN_TIMEOUT, ..route("POST", "/v1/sessions") },
    route("GET", "/v1/session"),
    route("DELETE", "/v1/session"),
    route("GET", "/v1/session/report"),
    Route { body: true, ..route("POST", "/v1/session/claim") },
];

/// What the health listener serves, without TLS: nothing secret.
pub const HEALTH_ROUTES: &[Route] = &[route("GET", "/health")];

/// The customers' router.
pub fn customers(front: &Front) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/openapi.json", get(openapi::document))
        .route("/attestation", get(attestation::attestation))
        .route("/v1/sessions", post(sessions::open))
        .route("/v1/session", get(sessions::status).delete(sessions::end))
        .route("/v1/session/report", get(report::report))
        .route("/v1/session/claim", post(claim::claim))
        .with_state(front.clone())
        .layer(middleware::from_fn_with_state(Doorkeeper::new(front, ROUTES), firewall::guard))
}

/// The router of the health listener.
pub fn health_only(front: &Front) -> Router {
    Router::new().route("/health", get(health::health)).with_state(front.clone()).layer(
        middleware::from_fn_with_state(Doorkeeper::new(front, HEALTH_ROUTES), firewall::guard),
    )
}

/// An answer in plain JSON.
fn json(status: StatusCode, body: Vec<u8>) -> Response {
    answer(status, HeaderValue::from_static("application/json"), body)
}

/// An answer that only the envelope's maker can read.
fn sealed(status: StatusCode, body: Vec<u8>) -> Response {
    answer(status, HeaderValue::from_static(reply::CONTENT_TYPE), body)
}

fn answer(status: StatusCode, media_type: HeaderValue, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}
