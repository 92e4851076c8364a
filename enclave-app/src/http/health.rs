//! `GET /health`: whether this process answers. Nothing secret.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::Front;
use super::error::Refusal;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    simulated: bool,
}

pub(super) async fn health(State(front): State<Front>) -> Response {
    let health = Health { status: "ok", version: crate::VERSION, simulated: front.simulated() };
    match serde_json::to_vec(&health) {
        Ok(body) => super::json(StatusCode::OK, body),
        Err(_) => super::json(Refusal::Internal.status(), Vec::new()),
    }
}
