//! One TLS connection to one enclave, and the order in which it may be used.
//!
//! [`Connection::open`] gives a connection that can fetch an attestation
//! document and nothing else. [`Connection::attest`] consumes it and gives an
//! [`Attested`](crate::attest::Attested) one, the only kind that has a method to submit anything. So a
//! failed check ends the connection: no later byte of ours follows it.

use std::time::Duration;

use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use protocol::limits;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::error::ClientError;
use crate::tls;

/// TCP and TLS together; a far region takes under two seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// One request: the enclave asks the exchange before it answers an opening.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection whose peer has proved possession of a TLS key, nothing more.
#[derive(Debug)]
pub struct Connection {
    pub(crate) http: Http,
    pub(crate) spki_sha256: [u8; 32],
}

/// What came back: status and a bounded body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) sealed: bool,
    pub(crate) body: Bytes,
}

impl Connection {
    /// Connects to `https://host:port` and completes the TLS handshake.
    pub async fn open(url: &Url) -> Result<Self, ClientError> {
        let (host, port, name) = target(url)?;
        let what =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let stream = timeout(CONNECT_TIMEOUT, dial(&host, port))
            .await
            .map_err(|_| ClientError::unreachable(&what, "no answer in time"))?
            .map_err(|error| ClientError::unreachable(&what, &error.kind()))?;
        let config =
            tls::config().map_err(|_| ClientError::Internal("TLS cannot be set up".into()))?;
        let tls = timeout(CONNECT_TIMEOUT, TlsConnector::from(config).connect(name, stream))
            .await
            .map_err(|_| ClientError::unreachable(&what, "no TLS handshake in time"))?
            .map_err(|_| ClientError::unreachable(&what, "the TLS 1.3 handshake failed"))?;
        let certificate =
            tls.get_ref().1.peer_certificates().and_then(|chain| chain.first()).ok_or_else(
                || ClientError::not_verified("TLS key", "the server showed no certificate"),
            )?;
        let spki_sha256 = tls::spki_sha256(certificate).map_err(|_| {
            ClientError::not_verified("TLS key", "the server's certificate is malformed")
        })?;

        let (sender, driver) = http1::handshake(TokioIo::new(tls))
            .await
            .map_err(|_| ClientError::unreachable(&what, "no HTTP/1.1 there"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { driver.await.is_ok() });
        Ok(Self { http: Http { sender, host: what, _driver: tasks }, spki_sha256 })
    }
}

/// One HTTP/1.1 exchange after another on the one connection.
#[derive(Debug)]
pub(crate) struct Http {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    /// Dropped with the connection, which ends the task.
    _driver: JoinSet<bool>,
}

impl Http {
    pub(crate) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, ClientError> {
        let has_body = !body.is_empty();
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::ACCEPT, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| ClientError::Internal("a request could not be built".into()))?;
        request.headers_mut().extend(headers);
        if has_body {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        }
        let unreachable = |reason: &str| ClientError::unreachable(&self.host, reason);
        let response = timeout(REQUEST_TIMEOUT, async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        })
        .await
        .map_err(|_| unreachable("no answer in time"))?
        .map_err(|_| unreachable("the connection was closed"))?;

        let (head, body) = response.into_parts();
        let body =
            timeout(REQUEST_TIMEOUT, Limited::new(body, limits::REPLY_JSON_LEN_MAX).collect())
                .await
                .map_err(|_| unreachable("no whole answer in time"))?
                .map_err(|_| unreachable("the answer was cut off or too long"))?
                .to_bytes();
        let sealed = head
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes() == protocol::reply::CONTENT_TYPE.as_bytes());
        Ok(Answer { status: head.status, sealed, body })
    }
}

#[expect(clippy::disallowed_methods, reason = "the customer's machine has an ordinary network")]
async fn dial(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn target(url: &Url) -> Result<(String, u16, ServerName<'static>), ClientError> {
    let help = "an address looks like https://enclave.example.com or https://127.0.0.1:8443";
    let bad = |why: &str| ClientError::usage(format!("the address {why}"), help);
    if url.scheme() != "https" {
        return Err(bad("does not begin with https://"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("has a path or a query"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user name or a password"));
    }
    let port = url.port_or_known_default().ok_or_else(|| bad("has no port"))?;
    match url.host() {
        Some(Host::Domain(name)) => {
            let server =
                ServerName::try_from(name.to_owned()).map_err(|_| bad("has no valid host"))?;
            Ok((name.to_owned(), port, server))
        }
        Some(Host::Ipv4(ip)) => Ok((ip.to_string(), port, ServerName::IpAddress(ip.into()))),
        Some(Host::Ipv6(ip)) => Ok((ip.to_string(), port, ServerName::IpAddress(ip.into()))),
        None => Err(bad("has no host")),
    }
}
