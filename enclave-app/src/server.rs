//! From an accepted connection to HTTP requests.
//!
//! The accept loop does nothing but accept: the preamble, the handshake and
//! every request run in the connection's own task, within limits of its own,
//! so that a silent client costs one slot and nobody's time.
//!
//! ```text
//! accept ─► a slot ─► PROXY v2 header ─► the address's share ─► TLS ─► HTTP/1.1
//!            in all     5 s                open and rate         10 s
//! ```

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};
use transport::{Backoff, Listener, proxy_v2};

use crate::addresses::{Addresses, Origin};
use crate::counters::{Counters, Event};
use crate::limits::{
    CONNECTION_GRACE, CONNECTION_LIFETIME, HANDSHAKE_TIMEOUT, HEAD_LEN_MAX, HEAD_TIMEOUT,
    HEADERS_MAX, PREAMBLE_TIMEOUT, REQUESTS_PER_CONNECTION_MAX,
};

/// What every connection of a listener shares.
#[derive(Clone)]
pub struct Service {
    pub router: Router,
    /// `None` for the health listener: no TLS, and no PROXY header either.
    pub tls: Option<TlsAcceptor>,
    pub addresses: Arc<Addresses>,
    pub counters: Arc<Counters>,
    pub connections_max: usize,
    /// The clock that customers' connections hold, where time is a scenario's.
    #[cfg(feature = "simulator")]
    pub scenario: Option<Arc<crate::clock::ScenarioClock>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl Service {
    /// Accepts until `stop`; connections are tracked in `tasks`.
    pub async fn accept(self, listener: Listener, stop: CancellationToken, tasks: TaskTracker) {
        let slots = Arc::new(Semaphore::new(self.connections_max));
        let mut backoff = Backoff::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept_next(&mut backoff, |kind, _| {
                    warn!(?kind, "cannot accept");
                }) => accepted,
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                self.counters.count(Event::ConnectionOverCapacity);
                continue;
            };
            self.counters.count(Event::ConnectionAccepted);
            let (service, stop) = (self.clone(), stop.clone());
            tasks.spawn(async move { service.connection(accepted, slot, stop).await });
        }
    }

    /// One connection, from its first byte to its last.
    async fn connection<S>(self, mut stream: S, slot: OwnedSemaphorePermit, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(tls) = self.tls.clone() else {
            self.http(stream, Origin::Parent, stop).await;
            drop(slot);
            return;
        };
        let preamble = timeout(PREAMBLE_TIMEOUT, proxy_v2::read(&mut stream));
        let Ok(Ok(preamble)) = preamble.await else {
            self.counters.count(Event::PreambleRefused);
            return;
        };
        let origin = Origin::of(preamble.client().map(|address| address.ip()));
        let Some(_counted) = self.addresses.connect(origin) else {
            self.counters.count(Event::ConnectionOverAddressLimit);
            return;
        };
        let handshake = timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await;
        let Ok(Ok(stream)) = handshake else {
            self.counters.count(Event::HandshakeFailed);
            return;
        };
        // A scenario's clock stands still while a customer is connected.
        #[cfg(feature = "simulator")]
        let _held = match &self.scenario {
            Some(clock) => Some(clock.hold().await),
            None => None,
        };
        self.http(stream, origin, stop).await;
        drop(slot);
    }

    /// Requests, until the client or a limit ends the connection.
    async fn http<S>(&self, stream: S, origin: Origin, stop: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let served = AtomicU32::new(0);
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS_PER_CONNECTION_MAX;
            respond(self.router.clone(), request, origin, last)
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_headers(HEADERS_MAX)
                .max_header_size(HEAD_LEN_MAX)
                .max_buf_size(HEAD_LEN_MAX)
                // It would read the system's clock.
                .auto_date_header(false)
                .serve_connection(TokioIo::new(stream), service)
        );
        let asked_to_end = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(CONNECTION_LIFETIME) => {}
            }
        };
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = asked_to_end => {
                connection.as_mut().graceful_shutdown();
                timeout(CONNECTION_GRACE, connection).await.ok()
            }
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) if error.is_parse() => self.counters.count(Event::HeadRefused),
            Some(Err(error)) => {
                debug!(timeout = error.is_timeout(), "connection failed");
                self.counters.count(Event::ConnectionCut);
            }
            None => self.counters.count(Event::ConnectionCut),
        }
    }
}

async fn respond(
    router: Router,
    request: hyper::Request<Incoming>,
    origin: Origin,
    last: bool,
) -> Result<Response, Infallible> {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(origin);
    let mut response = router.oneshot(request).await?;
    if last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;
