//! HTTPS to the admitted hosts, by `reqwest` over each host's socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exchanges::{Reply, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use protocol::category::Category;
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use rustls::client::ClientConfig;
use zeroize::{Zeroize, Zeroizing};

/// Socket, tunnel and TLS handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Silence inside an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A whole request and its answer; the longest are a few megabytes.
const TIMEOUT: Duration = Duration::from_secs(25);
/// Idle connections end before exchanges close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// Firewalls in front of exchanges turn nameless programs away.
const USER_AGENT: &str = concat!("performance-aggregator/", env!("CARGO_PKG_VERSION"));
/// Header fields of an answer that are kept, at most.
const HEADERS_MAX: usize = 100;

/// A client with connections of its own.
#[derive(Debug)]
pub struct Http {
    clients: BTreeMap<&'static str, Client>,
}

/// An answer, bounded.
#[derive(Debug)]
pub struct Fetched {
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Zeroizing<Vec<u8>>,
}

impl Fetched {
    /// As connectors read it.
    pub fn reply(&self) -> Reply<'_> {
        Reply { status: self.status, headers: &self.headers, body: &self.body }
    }
}

/// Why there is no answer. Says nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The host is not on the list of this image.
    #[error("the host is not admitted")]
    NotAdmitted,
    /// No connection, or none that TLS accepts.
    #[error("the host cannot be reached")]
    Unreachable,
    /// Not in time.
    #[error("the host is too slow")]
    TooSlow,
    /// The answer was cut off.
    #[error("the answer was cut off")]
    Cut,
    /// The answer is longer than it may be.
    #[error("the answer is longer than allowed")]
    TooLong,
    /// The request cannot be sent as it is: a bug of ours.
    #[error("the request is malformed")]
    Malformed,
}

impl FetchError {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::NotAdmitted | Self::Malformed => Category::Internal,
            Self::Unreachable | Self::TooSlow | Self::Cut | Self::TooLong => Category::Unavailable,
        }
    }
}

impl Http {
    pub(super) fn new(
        sockets: impl Iterator<Item = (&'static str, PathBuf)>,
        tls: &Arc<ClientConfig>,
    ) -> Self {
        let clients = sockets.filter_map(|(host, path)| Some((host, client(path, tls)?))).collect();
        Self { clients }
    }

    /// Sends `request` and reads at most `len_max` bytes of its answer.
    /// Cancel safe: the connection is dropped with the future.
    pub async fn send(&self, request: &Request, len_max: usize) -> Result<Fetched, FetchError> {
        let client = self.clients.get(request.host()).ok_or(FetchError::NotAdmitted)?;
        let method = Method::from_bytes(request.method().name().as_bytes())
            .map_err(|_| FetchError::Malformed)?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            let name =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| FetchError::Malformed)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| FetchError::Malformed)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let mut sent = client.request(method, request.url().as_str()).headers(headers);
        if !request.body().is_empty() {
            sent = sent.body(request.body().to_vec());
        }
        let answer = sent.send().await.map_err(|error| kind(&error))?;
        read(answer, len_max).await
    }

    /// Sends what carries no secret: the scenario clock's own calls.
    #[cfg(feature = "simulator")]
    pub(crate) async fn plain(
        &self,
        host: &'static str,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Fetched, FetchError> {
        let client = self.clients.get(host).ok_or(FetchError::NotAdmitted)?;
        let sent = client
            .request(method, format!("https://{host}{path}"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body);
        read(sent.send().await.map_err(|error| kind(&error))?, PLAIN_LEN_MAX).await
    }
}

/// Longest answer of the scenario clock, in bytes.
#[cfg(feature = "simulator")]
const PLAIN_LEN_MAX: usize = 4096;

async fn read(mut answer: reqwest::Response, len_max: usize) -> Result<Fetched, FetchError> {
    let status = answer.status().as_u16();
    let headers = answer
        .headers()
        .iter()
        .take(HEADERS_MAX)
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let mut body = Zeroizing::new(Vec::new());
    while let Some(chunk) = answer.chunk().await.map_err(|error| kind(&error))? {
        if body.len().saturating_add(chunk.len()) > len_max {
            body.zeroize();
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, headers, body })
}

/// One host, one socket, no environment, no cookies, no redirects.
fn client(path: PathBuf, tls: &Arc<ClientConfig>) -> Option<Client> {
    Client::builder()
        .unix_socket(path)
        .tls_backend_preconfigured((**tls).clone())
        .https_only(true)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(2)
        .build()
        .ok()
}

/// Keeps the kind and drops the text, which quotes the URL.
fn kind(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::TooSlow
    } else if error.is_connect() {
        FetchError::Unreachable
    } else if error.is_builder() {
        FetchError::Malformed
    } else {
        FetchError::Cut
    }
}
