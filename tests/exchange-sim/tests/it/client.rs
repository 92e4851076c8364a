//! A client as plain as can be: one request a connection, bytes in, bytes out.
//!
//! It shows what a library would hide: a truncated body, a reset, a header's exact text.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use exchange_sim::keys::IssuedKey;
use exchange_sim::scenario::Scenario;
use exchange_sim::{BINANCE, Options, Sim};
use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

pub(crate) async fn start(name: &str) -> Sim {
    start_with(name, Options::default()).await
}

pub(crate) async fn start_with(name: &str, options: Options) -> Sim {
    Sim::start(&Scenario::read(&scenario(name)).unwrap(), options).await.unwrap()
}

/// A reply as it came, and whether all of it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) whole: bool,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
    }

    /// Status and Binance's error code.
    pub(crate) fn refusal(&self) -> (u16, i64) {
        (self.status, self.json()["code"].as_i64().unwrap())
    }
}

pub(crate) fn tls(root_pem: &str, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[expect(clippy::disallowed_methods, reason = "a test's client")]
pub(crate) async fn dial(addr: SocketAddr) -> TcpStream {
    TcpStream::connect(addr).await.unwrap()
}

/// One request to a venue. An error when the connection broke before a whole head came.
pub(crate) async fn call(
    sim: &Sim,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<Reply> {
    let stream = dial(sim.addr).await;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let versions = [&version::TLS13];
    let stream = tls(&sim.root_pem, &versions).connect(name, stream).await?;
    exchange(stream, &request(host, method, target, headers, body)).await
}

pub(crate) fn request(
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let mut lines = vec![
        format!("{method} {target} HTTP/1.1"),
        format!("Host: {host}"),
        "Connection: close".to_owned(),
    ];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if !body.is_empty() {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    lines.join("\r\n") + "\r\n\r\n" + body
}

pub(crate) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> std::io::Result<Reply> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(split) = split else {
        return Err(end.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into()));
    };
    let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
    let body = bytes[split + 4..].to_vec();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let mut reply = Reply { status, head, body, whole: true };
    let announced: usize = reply.header("content-length").unwrap().parse().unwrap();
    reply.whole = reply.body.len() == announced;
    Ok(reply)
}

pub(crate) async fn get(sim: &Sim, host: &str, target: &str) -> Reply {
    call(sim, host, "GET", target, &[], "").await.unwrap()
}

/// A public call to Binance.
pub(crate) async fn public(sim: &Sim, target: &str) -> Reply {
    get(sim, BINANCE, target).await
}

/// A query signed at the scenario's time.
pub(crate) fn sign(sim: &Sim, key: &IssuedKey, query: &str) -> String {
    sign_at(key, query, sim.clock.view().now_ms)
}

pub(crate) fn sign_at(key: &IssuedKey, query: &str, timestamp: u64) -> String {
    let separator = if query.is_empty() { "" } else { "&" };
    let payload = format!("{query}{separator}timestamp={timestamp}");
    let signature = hmac(&key.api_secret, &payload);
    format!("{payload}&signature={signature}")
}

pub(crate) fn hmac(secret: &str, payload: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(payload.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// A signed GET for an account of the scenario.
pub(crate) async fn private(sim: &Sim, account: &str, path: &str, query: &str) -> Reply {
    let key = sim.key_of(account).unwrap();
    let target = format!("{path}?{}", sign(sim, key, query));
    call(sim, BINANCE, "GET", &target, &[("X-MBX-APIKEY", &key.api_key)], "").await.unwrap()
}

/// A call to the control port.
pub(crate) async fn control(sim: &Sim, method: &str, path: &str, body: &str) -> Reply {
    let stream = dial(sim.control).await;
    exchange(stream, &request("localhost", method, path, &[], body)).await.unwrap()
}

/// Milliseconds of a minute of the scenario `quirks`.
pub(crate) fn minute(sim: &Sim, minute: u64) -> u64 {
    sim.clock.view().start_ms + minute * 60_000
}
