//! One request to a venue: who is meant, what fault befalls it, who answers, what is noted.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::task::yield_now;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::{Fault, Faults, Target};
use crate::keys::KeyRing;
use crate::limits;
use crate::requests::Requests;
use crate::scenario::Stamp;
use crate::weights::Meter;
use crate::world::World;
use crate::{binance, bybit, coinbase, control, kraken, kraken_futures};

/// Binance: Spot, margin and the wallet API.
pub const BINANCE: &str = "api.binance.com";
/// Binance: USD-M futures.
pub const BINANCE_USDM: &str = "fapi.binance.com";
/// Binance: COIN-M futures.
pub const BINANCE_COINM: &str = "dapi.binance.com";
/// Kraken Spot.
pub const KRAKEN: &str = "api.kraken.com";
/// Kraken Futures.
pub const KRAKEN_FUTURES: &str = "futures.kraken.com";
/// Coinbase Advanced Trade.
pub const COINBASE: &str = "api.coinbase.com";
/// Bybit.
pub const BYBIT: &str = "api.bybit.com";
/// The scenario clock, as the enclave reaches it.
pub const CLOCK: &str = "clock.sim.test";
/// Every host that is imitated.
pub const HOSTS: [&str; 8] =
    [BINANCE, BINANCE_USDM, BINANCE_COINM, KRAKEN, KRAKEN_FUTURES, COINBASE, BYBIT, CLOCK];

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) keys: KeyRing,
    pub(crate) faults: Arc<Faults>,
    pub(crate) requests: Requests,
    pub(crate) meter: Meter,
    pub(crate) counters: Counters,
}

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: IpAddr,
    /// The server name of the handshake.
    pub(crate) host: String,
    /// Set to end the connection with a TCP reset.
    pub(crate) reset: Arc<AtomicBool>,
    pub(crate) stop: CancellationToken,
}

/// What a venue's handler is told of the request beside the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: IpAddr,
    /// The instant of the world.
    pub(crate) now: Stamp,
    /// The venue's own clock: `now`, or off by a fault.
    pub(crate) server_time: Stamp,
}

/// The connection ends here, without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is cut")]
pub(crate) struct Cut;

/// The venues behind the TLS port.
#[derive(Clone, Debug)]
pub(crate) struct Venues {
    shared: Arc<Shared>,
    binance: Router,
    usdm: Router,
    coinm: Router,
    kraken: Router,
    kraken_futures: Router,
    coinbase: Router,
    bybit: Router,
    clock: Router,
}

impl Venues {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            binance: binance::router(Arc::clone(&shared)),
            usdm: binance::usdm_router(Arc::clone(&shared)),
            coinm: binance::coinm_router(Arc::clone(&shared)),
            kraken: kraken::router(Arc::clone(&shared)),
            kraken_futures: kraken_futures::router(Arc::clone(&shared)),
            coinbase: coinbase::router(Arc::clone(&shared)),
            bybit: bybit::router(Arc::clone(&shared)),
            clock: control::clock_router(Arc::clone(&shared)),
            shared,
        }
    }
}

/// Answers one request, or cuts the connection when a fault says so.
pub(crate) async fn answer(
    venues: Venues,
    connection: Connection,
    mut request: Request<Body>,
) -> Result<Response<Body>, Cut> {
    let shared = &venues.shared;
    let (host, now) = (connection.host.as_str(), shared.clock.now());
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let key = named_key(host, request.headers());
    let account = key.and_then(|key| shared.keys.find(&key)).map(|key| key.account);
    let target = Target { host, path: &path, account: account.as_deref(), now_ms: now.millis() };
    let server_time = now.plus_millis(shared.faults.skew_ms(&target));
    let caller = Caller { peer: connection.peer, now, server_time };
    let note = |status: u16| shared.requests.record(host, &method, &path, status);

    let meant = named_host(&request) == Some(host);
    request.extensions_mut().insert(caller);
    let router = match host {
        BINANCE => venues.binance.clone(),
        BINANCE_USDM => venues.usdm.clone(),
        BINANCE_COINM => venues.coinm.clone(),
        KRAKEN => venues.kraken.clone(),
        KRAKEN_FUTURES => venues.kraken_futures.clone(),
        COINBASE => venues.coinbase.clone(),
        BYBIT => venues.bybit.clone(),
        _ => venues.clock.clone(),
    };
    let mut response = if meant {
        match shared.faults.befalls(&target) {
            None => run(router, request).await,
            Some(hit) => match hit.fault {
                Fault::Hang {} => {
                    note(0);
                    tokio::select! {
                        () = connection.stop.cancelled() => return Err(Cut),
                        () = hit.deleted.cancelled() => {}
                    }
                    run(router, request).await
                }
                Fault::Reset {} => {
                    note(0);
                    connection.reset.store(true, Ordering::Release);
                    return Err(Cut);
                }
                Fault::Truncate {} => truncated(run(router, request).await).await?,
                Fault::Status { status, retry_after_secs } => {
                    refused(host, status, retry_after_secs, caller)
                }
                Fault::Html { status } => page(status),
                Fault::Body { status, body } => plain(status, "application/json", body),
                // These two act elsewhere and never befall a request.
                Fault::ClockSkew { .. } | Fault::WrongCertificate { .. } => {
                    run(router, request).await
                }
            },
        }
    } else {
        plain(421, "text/plain", "misdirected request\n")
    };
    note(response.status().as_u16());
    if let Ok(date) = HeaderValue::from_str(&http_date(server_time)) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response)
}

async fn run(router: Router, request: Request<Body>) -> Response<Body> {
    match timeout(limits::BODY_TIMEOUT, router.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => plain(408, "text/plain", "the request took too long\n"),
    }
}

/// The host in the request, without a port.
fn named_host(request: &Request<Body>) -> Option<&str> {
    let named = request.headers().get(HOST)?.to_str().ok()?;
    Some(named.split_once(':').map_or(named, |(host, _)| host))
}

/// The API key a request names, whether or not it is its own.
fn named_key(host: &str, headers: &HeaderMap) -> Option<String> {
    let header = match host {
        KRAKEN => kraken::KEY_HEADER,
        KRAKEN_FUTURES => kraken_futures::KEY_HEADER,
        BYBIT => bybit::KEY_HEADER,
        COINBASE => return coinbase::named_key(headers),
        _ => binance::KEY_HEADER,
    };
    headers.get(header).and_then(|key| key.to_str().ok()).map(str::to_owned)
}

/// What the venue itself says under a status.
fn refused(
    host: &str,
    status: u16,
    retry_after_secs: Option<u64>,
    caller: Caller,
) -> Response<Body> {
    let body = match host {
        BINANCE | BINANCE_USDM | BINANCE_COINM => {
            binance::refusal_body(status, retry_after_secs, caller)
        }
        KRAKEN => kraken::refusal_body(status),
        KRAKEN_FUTURES => kraken_futures::refusal_body(status, caller.server_time),
        COINBASE => coinbase::refusal_body(status),
        BYBIT => bybit::refusal_body(status, caller.server_time),
        _ => r#"{"code":"unavailable","message":"a fault rule"}"#.to_owned(),
    };
    let mut response = plain(status, "application/json", body);
    if let Some(secs) = retry_after_secs {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// What a web firewall answers in the venue's place.
fn page(status: u16) -> Response<Body> {
    let body = "<!DOCTYPE html>\n<html><head><title>Attention Required!</title></head>\
        <body><h1>Sorry, you have been blocked</h1></body></html>\n";
    plain(status, "text/html; charset=UTF-8", body)
}

/// The head of the true answer, the first half of its body, and then nothing.
async fn truncated(response: Response<Body>) -> Result<Response<Body>, Cut> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map_err(|_| Cut)?.to_bytes();
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    // The pause lets the connection flush the half before it learns of the end.
    let end = stream::once(async {
        yield_now().await;
        Err::<Bytes, Cut>(Cut)
    });
    let chunks = stream::once(async { Ok(half) }).chain(end);
    Ok(Response::from_parts(parts, Body::from_stream(chunks)))
}

pub(crate) fn plain(
    status: u16,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// RFC 9110 §5.6.7.
fn http_date(at: Stamp) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::routing::post;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        let router = Router::new().route("/", post(async |body: Bytes| body));
        let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
        let request = Request::builder().method("POST").body(body).unwrap();
        assert_eq!(run(router, request).await.status(), StatusCode::REQUEST_TIMEOUT);
    }
}
