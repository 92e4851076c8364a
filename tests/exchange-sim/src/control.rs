//! The control port and the scenario clock's host.
//!
//! ```text
//! GET    /clock         where the scenario clock stands
//! POST   /clock/round   {"tick_ms": n}: every account was polled at this tick
//! GET    /faults        the rules in force and how often each hit
//! POST   /faults        [rule, ...]: adds rules                         control port only, as
//! DELETE /faults        ends them all                                   everything below
//! POST   /permissions   {"api_key" or "account", "permissions": "read,trade"}
//! POST   /keys          {"account", "api_key"?, "api_secret"?, "permissions"?, "form"?}
//! GET    /requests      what was served; DELETE empties the list
//! GET    /health        {"status":"ok"}
//! ```
//! Bodies are closed JSON schemas; an error is `{"code", "message"}`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use bytes::Bytes;
use http::Response;
use serde::{Deserialize, Serialize};

use crate::clock::Round;
use crate::faults::FaultRule;
use crate::keys::{KeyError, KeySpec, Permissions};
use crate::limits;
use crate::venue::{HOSTS, Shared, plain};

type World = State<Arc<Shared>>;

/// The clock alone, for `clock.sim.test`.
pub(crate) fn clock_router(shared: Arc<Shared>) -> Router {
    clock_routes().layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX)).with_state(shared)
}

/// Everything, for the control port.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    clock_routes()
        .route("/health", get(async || json(200, &Health { status: "ok" })))
        .route("/faults", get(list_faults).post(add_faults).delete(clear_faults))
        .route("/permissions", post(permit))
        .route("/keys", post(add_key))
        .route("/requests", get(list_requests).delete(clear_requests))
        .layer(DefaultBodyLimit::max(limits::CONTROL_BODY_BYTES_MAX))
        .with_state(shared)
}

fn clock_routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/clock", get(show_clock))
        .route("/clock/round", post(end_round))
        .fallback(async || error(404, "not_found", "no such path"))
        .method_not_allowed_fallback(async || error(405, "not_found", "no such method here"))
}

async fn show_clock(State(shared): World) -> Response<Body> {
    json(200, &shared.clock.view())
}

/// 409 with the clock when the tick is another: whoever asked can go on from there.
async fn end_round(State(shared): World, body: Bytes) -> Response<Body> {
    let round: Round = match read(&body) {
        Ok(round) => round,
        Err(refused) => return *refused,
    };
    match shared.clock.round(round.tick_ms) {
        Ok(view) => json(200, &view),
        Err(elsewhere) => json(409, &elsewhere.0),
    }
}

async fn list_faults(State(shared): World) -> Response<Body> {
    json(200, &shared.faults.list())
}

async fn add_faults(State(shared): World, body: Bytes) -> Response<Body> {
    let rules: Vec<FaultRule> = match read(&body) {
        Ok(rules) => rules,
        Err(refused) => return *refused,
    };
    let knows = |account: &str| shared.world.account(account).is_some();
    match shared.faults.add(rules, &HOSTS, knows) {
        Ok(()) => json(200, &shared.faults.list()),
        Err(wrong) => error(400, "invalid", &wrong.to_string()),
    }
}

async fn clear_faults(State(shared): World) -> Response<Body> {
    shared.faults.clear();
    json(200, &shared.faults.list())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permit {
    #[serde(default)]
    api_key: Option<String>,
    #[serde(default)]
    account: Option<String>,
    permissions: Permissions,
}

#[derive(Serialize)]
struct Changed {
    keys: usize,
}

async fn permit(State(shared): World, body: Bytes) -> Response<Body> {
    let permit: Permit = match read(&body) {
        Ok(permit) => permit,
        Err(refused) => return *refused,
    };
    if permit.api_key.is_some() == permit.account.is_some() {
        return error(400, "invalid", "name either an api_key or an account");
    }
    let changed = shared.keys.permit(
        permit.api_key.as_deref(),
        permit.account.as_deref(),
        &permit.permissions,
    );
    match changed {
        Ok(keys) => json(200, &Changed { keys }),
        Err(wrong) => error(404, "not_found", &wrong.to_string()),
    }
}

async fn add_key(State(shared): World, body: Bytes) -> Response<Body> {
    let spec: KeySpec = match read(&body) {
        Ok(spec) => spec,
        Err(refused) => return *refused,
    };
    let added = if shared.world.account(&spec.account).is_some() {
        shared.keys.add(spec)
    } else {
        Err(KeyError::NoSuchAccount)
    };
    match added {
        Ok(issued) => json(201, &issued),
        Err(wrong) => error(400, "invalid", &wrong.to_string()),
    }
}

async fn list_requests(State(shared): World) -> Response<Body> {
    json(200, &shared.requests.log())
}

async fn clear_requests(State(shared): World) -> Response<Body> {
    shared.requests.clear();
    json(200, &shared.requests.log())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Box<Response<Body>>> {
    // The parser's own words could quote a secret out of the body.
    serde_json::from_slice(body).map_err(|wrong| {
        let place = format!("line {}, column {}", wrong.line(), wrong.column());
        Box::new(error(400, "invalid", &format!("the body does not fit the schema at {place}")))
    })
}

fn json(status: u16, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(body) => plain(status, "application/json", body),
        Err(_) => {
            plain(500, "application/json", r#"{"code":"internal","message":"internal error"}"#)
        }
    }
}

fn error(status: u16, code: &str, message: &str) -> Response<Body> {
    json(status, &Failure { code, message })
}
