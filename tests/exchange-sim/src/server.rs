//! Sockets: the accept loops, TLS handshakes and one HTTP/1.1 connection.
//!
//! The accept loop only accepts; a handshake runs in the connection's own
//! task, so a slow one delays nobody. Everything is bounded in time and size.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::limits;
use crate::venue::{self, Connection, Venues};

/// What listens behind a port.
#[derive(Clone)]
pub(crate) enum Door {
    /// The venues: TLS, chosen by server name.
    Venues { tls: TlsAcceptor, venues: Venues },
    /// The control port: plain HTTP.
    Control { router: Router },
}

/// Accepts until `stop`, and serves `places` connections at once.
pub(crate) async fn listen(
    listener: TcpListener,
    door: Door,
    places: usize,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(places));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    debug!("connection refused: all places are taken");
                    continue;
                };
                let (door, stop) = (door.clone(), stop.clone());
                tracker.spawn(async move {
                    Box::pin(connection(stream, peer, door, stop)).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(kind = ?error.kind(), "accept failed");
                sleep(limits::ACCEPT_BACKOFF).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, door: Door, stop: CancellationToken) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    match door {
        Door::Venues { tls, venues } => {
            let reset = Arc::new(AtomicBool::new(false));
            let wire = Wire { stream, reset: Arc::clone(&reset) };
            let stream = match timeout(limits::HANDSHAKE_TIMEOUT, tls.accept(wire)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(kind = ?error.kind(), "handshake failed"),
                Err(_) => return debug!("handshake timed out"),
            };
            let Some(host) = stream.get_ref().1.server_name() else { return };
            let connection =
                Connection { peer: peer.ip(), host: host.to_owned(), reset, stop: stop.clone() };
            let service = service_fn(move |request: Request<Incoming>| {
                venue::answer(venues.clone(), connection.clone(), request.map(Body::new))
            });
            serve(TokioIo::new(stream), service, stop).await;
        }
        Door::Control { router } => {
            let service = service_fn(move |request: Request<Incoming>| {
                let router = router.clone();
                async move {
                    let response: Result<Response<Body>, Infallible> =
                        router.oneshot(request.map(Body::new)).await;
                    response
                }
            });
            serve(TokioIo::new(stream), service, stop).await;
        }
    }
}

async fn serve<I, S>(io: I, service: S, stop: CancellationToken)
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = Body>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_buf_size(limits::HEAD_BYTES_MAX)
        .max_headers(limits::HEADERS_MAX)
        // The date is the scenario's; venue::answer sets it.
        .auto_date_header(false)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if ended.is_err() {
        debug!("connection ended early");
    }
}

/// A TCP stream that can be told to end with a reset instead of a farewell.
#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if self.reset.load(Ordering::Acquire) {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // With a zero linger time the kernel sends RST on close.
        if self.reset.load(Ordering::Acquire) && self.stream.set_zero_linger().is_err() {
            debug!("cannot reset the connection");
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
