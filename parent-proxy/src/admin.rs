//! The administration port: `GET /health` for load balancers, `GET /metrics`
//! for a scraper. Plain HTTP, nothing secret, not for the world.

use std::sync::Arc;

use tokio::time::timeout;
use tracing::{debug, info};
use transport::{Address, Stream};

use crate::health::Health;
use crate::http::{self, Method, Request, RequestError, Status};
use crate::limits::{ADMIN_CONNECTIONS_MAX, ADMIN_TIMEOUT};
use crate::metrics::{AdminOutcome, Road};
use crate::shared::Shared;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// What scrapers ask for; `prometheus-client` writes no other.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Takes one accepted connection to its end.
pub fn accepted(
    stream: Stream,
    _listen: &Address,
    shared: &Arc<Shared>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let place = shared.admin.admit(None, ADMIN_CONNECTIONS_MAX, ADMIN_CONNECTIONS_MAX);
    let Ok(place) = place else {
        shared.metrics.admin(AdminOutcome::RefusedTotal);
        return None;
    };
    let shared = Arc::clone(shared);
    Some(async move {
        let _open = shared.metrics.open(Road::Admin);
        let served = timeout(ADMIN_TIMEOUT, serve(stream, &shared)).await;
        shared.metrics.admin(served.unwrap_or(AdminOutcome::TooSlow));
        drop(place);
    })
}

async fn serve(mut stream: Stream, shared: &Shared) -> AdminOutcome {
    let request = timeout(ADMIN_TIMEOUT / 2, http::read_request(&mut stream)).await;
    let (outcome, status, kind, body) = match request {
        Ok(Ok(request)) => route(&request, shared).await,
        Ok(Err(RequestError::Abandoned(_))) => return AdminOutcome::Abandoned,
        Ok(Err(RequestError::Malformed)) => refusal(AdminOutcome::Malformed, Status::BadRequest),
        Ok(Err(RequestError::TooLarge)) => {
            refusal(AdminOutcome::TooLarge, Status::HeaderFieldsTooLarge)
        }
        Err(_) => refusal(AdminOutcome::TooSlow, Status::RequestTimeout),
    };
    if let Err(error) = http::answer(&mut stream, status, kind, body.as_bytes()).await {
        debug!(kind = ?error.kind(), "answer not delivered");
    }
    outcome
}

type Answer = (AdminOutcome, Status, &'static str, String);

async fn route(request: &Request, shared: &Shared) -> Answer {
    match (request.method, request.target.as_str()) {
        (Method::Get, "/health") => health(shared).await,
        (Method::Get, "/metrics") => match shared.metrics.render() {
            Ok(text) => (AdminOutcome::Metrics, Status::Ok, OPEN_METRICS, text),
            Err(_) => refusal(AdminOutcome::Metrics, Status::ServiceUnavailable),
        },
        _ => refusal(AdminOutcome::NotFound, Status::NotFound),
    }
}

async fn health(shared: &Shared) -> Answer {
    let reason = if shared.is_draining() {
        Some("draining")
    } else {
        let enclave = shared.config.load().admin.enclave_health.clone();
        let found = shared.prober.check(&enclave, |health| {
            shared.metrics.probe(health);
            if health != Health::Ok {
                info!(reason = health.word(), "enclave is not healthy");
            }
        });
        Some(found.await).filter(|found| *found != Health::Ok).map(Health::word)
    };
    match reason {
        None => (AdminOutcome::Health, Status::Ok, JSON, "{\"status\":\"ok\"}\n".to_owned()),
        Some(reason) => (
            AdminOutcome::Health,
            Status::ServiceUnavailable,
            JSON,
            format!("{{\"status\":\"unavailable\",\"reason\":\"{reason}\"}}\n"),
        ),
    }
}

fn refusal(outcome: AdminOutcome, status: Status) -> Answer {
    (outcome, status, TEXT, format!("{}\n", outcome.word()))
}
