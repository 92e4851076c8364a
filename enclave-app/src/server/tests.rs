//! Connections: preamble, TLS, HTTP/1.1 on the wire, and clients that misbehave.

use std::net::SocketAddr;

use protocol::limits::ENVELOPE_JSON_LEN_MAX;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, ProtocolVersion, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::TaskTracker;
use transport::proxy_v2::Header;
use transport::{Address, Side};

use super::*;
use crate::testing::{Customer, Enclave};

/// Takes any certificate: the enclave's means nothing by itself.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn connector(provider: CryptoProvider) -> TlsConnector {
    let verifier = AnyCertificate(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn preamble() -> Vec<u8> {
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    proxy_v2::encode(&Header::Proxied {
        source: address("192.0.2.1:5000"),
        destination: address("192.0.2.2:443"),
    })
}

fn service(enclave: &Enclave) -> Service {
    Service {
        router: enclave.router.clone(),
        tls: Some(TlsAcceptor::from(enclave.tls.config())),
        addresses: Arc::clone(&enclave.front.addresses),
        counters: Arc::clone(&enclave.front.counters),
        connections_max: 10,
        scenario: None,
    }
}

/// The client's end of a connection, and the task that serves the other.
fn connected(enclave: &Enclave, stop: &CancellationToken) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(256 * 1024);
    let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let task = TaskTracker::new().spawn(service(enclave).connection(theirs, slot, stop.clone()));
    (ours, task)
}

async fn tls_with(mut stream: DuplexStream, connector: TlsConnector) -> TlsStream<DuplexStream> {
    stream.write_all(&preamble()).await.unwrap();
    let name = ServerName::try_from("enclave.invalid").unwrap();
    connector.connect(name, stream).await.unwrap()
}

async fn tls(enclave: &Enclave) -> (TlsStream<DuplexStream>, JoinHandle<()>) {
    let (stream, task) = connected(enclave, &CancellationToken::new());
    (tls_with(stream, connector(aws_lc_rs::default_provider())).await, task)
}

/// Everything until the server closes.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut out = Vec::new();
    // A reset after the answer is as good as an end.
    let _ended: Result<usize, _> = stream.read_to_end(&mut out).await;
    String::from_utf8_lossy(&out).into_owned()
}

#[tokio::test]
async fn tls_is_1_3_with_the_hybrid_group_and_the_attested_key() {
    let enclave = Enclave::new().await;
    let (stream, _) = tls(&enclave).await;
    let connection = stream.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = connection.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
    let certificate = connection.peer_certificates().unwrap().first().unwrap();
    let spki = webpki::EndEntityCert::try_from(certificate).unwrap().subject_public_key_info();
    assert_eq!(<[u8; 32]>::from(Sha256::digest(spki)), enclave.tls.spki_sha256());
}

#[tokio::test]
async fn a_client_without_the_hybrid_group_gets_x25519() {
    let enclave = Enclave::new().await;
    let (stream, _) = connected(&enclave, &CancellationToken::new());
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let stream = tls_with(stream, connector(provider)).await;
    let group = stream.get_ref().1.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    assert_eq!(group, Some(NamedGroup::X25519));
}

#[tokio::test]
async fn a_hello_of_tls_1_2_is_refused() {
    let enclave = Enclave::new().await;
    let (mut stream, task) = connected(&enclave, &CancellationToken::new());
    // ECDHE-ECDSA-AES128-GCM-SHA256 and no supported_versions extension.
    let mut hello = vec![0x03, 0x03];
    hello.extend_from_slice(&[0x11; 32]);
    hello.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let groups = [0, 10, 0, 4, 0, 2, 0, 23];
    let schemes = [0, 13, 0, 4, 0, 2, 4, 3];
    hello.extend_from_slice(&[0, 16]);
    hello.extend_from_slice(&[groups, schemes].concat());
    let len = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, 1, 0, len + 4, 1, 0, 0, len];
    record.extend_from_slice(&hello);
    stream.write_all(&preamble()).await.unwrap();
    stream.write_all(&record).await.unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).await.unwrap();
    assert_eq!(alert, [0x15, 3, 3, 0, 2, 2, 70], "fatal alert, protocol version");
    task.await.unwrap();
    assert_eq!(enclave.front.counters.of(Event::HandshakeFailed), 1);
}

#[tokio::test]
async fn requests_are_answered_over_one_connection() {
    let enclave = Enclave::new().await;
    let (mut stream, task) = tls(&enclave).await;
    for _ in 0..2 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        let mut body = Vec::new();
        while !body.ends_with(b"\"simulated\":true}") {
            body.push(stream.read_u8().await.unwrap());
        }
    }
    stream.shutdown().await.unwrap();
    task.await.unwrap();
    assert_eq!(enclave.front.counters.of(Event::ConnectionCut), 0);
}

#[tokio::test]
async fn a_session_opens_over_the_wire() {
    let enclave = Enclave::new().await;
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let (mut stream, _) = tls(&enclave).await;
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        sent.json.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&sent.json).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 Created"), "{answer}");
    assert!(!answer.contains("date:"), "{answer}");
}

#[tokio::test]
async fn anything_but_a_preamble_closes_the_connection() {
    let enclave = Enclave::new().await;
    for start in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x2f\x11\0\x0c", &[0; 64]] {
        let (mut stream, task) = connected(&enclave, &CancellationToken::new());
        stream.write_all(start).await.unwrap();
        assert_eq!(rest(&mut stream).await, "");
        task.await.unwrap();
    }
    assert_eq!(enclave.front.counters.of(Event::PreambleRefused), 3);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_let_go_at_each_stage() {
    let enclave = Enclave::new().await;
    // No preamble; a preamble and no hello; a hello's beginning.
    for (start, event) in [
        (Vec::new(), Event::PreambleRefused),
        (preamble()[..7].to_vec(), Event::PreambleRefused),
        (preamble(), Event::HandshakeFailed),
        ([preamble(), vec![0x16, 3, 1]].concat(), Event::HandshakeFailed),
    ] {
        let before = enclave.front.counters.of(event);
        let (mut stream, task) = connected(&enclave, &CancellationToken::new());
        stream.write_all(&start).await.unwrap();
        task.await.unwrap();
        assert_eq!(enclave.front.counters.of(event), before + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_and_an_endless_head_end() {
    let enclave = Enclave::new().await;
    for start in [&b""[..], b"GET /health HTTP/1.1\r\nx: y\r\n"] {
        let (mut stream, task) = tls(&enclave).await;
        let before = Instant::now();
        stream.write_all(start).await.unwrap();
        assert!(!rest(&mut stream).await.starts_with("HTTP/1.1 200"));
        task.await.unwrap();
        assert!(before.elapsed() <= 2 * HEAD_TIMEOUT);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_answered_and_the_connection_closed() {
    let enclave = Enclave::new().await;
    let (mut stream, task) = tls(&enclave).await;
    let head = "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
                content-length: 1000\r\n\r\n{\"v\":";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    task.await.unwrap();
}

#[tokio::test]
async fn oversized_and_malformed_heads_are_refused_by_the_parser() {
    let enclave = Enclave::new().await;
    let fields = "a: b\r\n".repeat(HEADERS_MAX + 1);
    let many = format!("GET /health HTTP/1.1\r\n{fields}\r\n");
    let wide = format!("GET /health HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(2 * HEAD_LEN_MAX));
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "b".repeat(2 * HEAD_LEN_MAX));
    for (request, status) in [
        ("NONSENSE\r\n\r\n", "400"),
        ("GET /health HTTP/1.1\r\nbad header\r\n\r\n", "400"),
        ("GET /health HTTP/1.1\r\na: b\r\n folded\r\n\r\n", "400"),
        ("POST /v1/sessions HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400"),
        ("POST /v1/sessions HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        (&many, "431"),
        (&wide, "431"),
        (&long, "4"),
    ] {
        let before = enclave.front.counters.of(Event::HeadRefused);
        let (mut stream, task) = tls(&enclave).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        let shown: String = request.chars().take(60).collect();
        // HTTP/2's preface closes the connection without an answer.
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) || request.starts_with("PRI"),
            "{shown}: {answer}"
        );
        drop(stream);
        task.await.unwrap();
        let counters = &enclave.front.counters;
        let counted = counters.of(Event::HeadRefused) - before;
        assert_eq!(counted, 1, "{shown}: {:?}", counters.snapshot());
    }
}

#[tokio::test]
async fn a_body_longer_than_allowed_is_not_read_to_its_end() {
    let enclave = Enclave::new().await;
    let (mut stream, task) = tls(&enclave).await;
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        ENVELOPE_JSON_LEN_MAX + 1
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large"), "{answer}");
    task.await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_after_its_last_request() {
    let enclave = Enclave::with_image(|image| {
        image.firewall.burst = std::num::NonZeroU32::new(1000).unwrap();
    })
    .await;
    let (mut stream, task) = tls(&enclave).await;
    let all = b"GET /health HTTP/1.1\r\nhost: e\r\n\r\n"
        .repeat(usize::try_from(REQUESTS_PER_CONNECTION_MAX).unwrap() + 5);
    let (mut reading, mut writing) = tokio::io::split(stream);
    let (answers, _) = tokio::join!(rest(&mut reading), writing.write_all(&all));
    stream = reading.unsplit(writing);
    drop(stream);
    task.await.unwrap();
    let answered = answers.matches("HTTP/1.1 200 OK").count();
    assert_eq!(answered, usize::try_from(REQUESTS_PER_CONNECTION_MAX).unwrap());
    assert_eq!(answers.matches("connection: close").count(), 1);
}

#[tokio::test]
async fn one_address_may_open_so_many_connections() {
    let enclave = Enclave::with_image(|image| image.firewall.connections_per_address_max = 2).await;
    let one = tls(&enclave).await;
    let _two = tls(&enclave).await;
    let (mut third, task) = connected(&enclave, &CancellationToken::new());
    third.write_all(&preamble()).await.unwrap();
    assert_eq!(rest(&mut third).await, "");
    task.await.unwrap();
    assert_eq!(enclave.front.counters.of(Event::ConnectionOverAddressLimit), 1);
    drop(one.0);
    one.1.await.unwrap();
    tls(&enclave).await;
}

#[tokio::test(start_paused = true)]
async fn stopping_lets_a_request_in_flight_finish() {
    let enclave = Enclave::new().await;
    let stop = CancellationToken::new();
    let (stream, task) = connected(&enclave, &stop);
    let mut stream = tls_with(stream, connector(aws_lc_rs::default_provider())).await;
    *enclave.engine.hang.lock().unwrap() = true;
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let head = format!(
        "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        sent.json.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&sent.json).await.unwrap();
    while enclave.engine.checks.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    // It hangs for longer than the grace, so the connection is cut; with an
    // engine that answers it would be served.
    task.await.unwrap();
    assert_eq!(enclave.front.counters.of(Event::ConnectionCut), 1);

    *enclave.engine.hang.lock().unwrap() = false;
    let stop = CancellationToken::new();
    let (stream, task) = connected(&enclave, &stop);
    let mut stream = tls_with(stream, connector(aws_lc_rs::default_provider())).await;
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
    let mut first = [0; 15];
    stream.read_exact(&mut first).await.unwrap();
    stop.cancel();
    assert!(rest(&mut stream).await.ends_with("\"simulated\":true}"));
    task.await.unwrap();
}

#[tokio::test]
async fn silent_clients_hold_up_nobody_and_those_past_the_limit_are_closed() {
    let enclave = Enclave::new().await;
    let any: Address = "tcp://127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind(&any, Side::Enclave).await.unwrap();
    let at = listener.local_address().unwrap();
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let serving = tasks.spawn(service(&enclave).accept(listener, stop.clone(), tasks.clone()));

    let mut silent = Vec::new();
    for _ in 0..9 {
        silent.push(transport::dial(&at, Side::Parent).await.unwrap());
    }
    // The tenth slot serves; its client is not kept waiting by the nine.
    let mut stream = transport::dial(&at, Side::Parent).await.unwrap();
    stream.write_all(&preamble()).await.unwrap();
    let name = ServerName::try_from("enclave.invalid").unwrap();
    let connector = connector(aws_lc_rs::default_provider());
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: e\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    // The eleventh finds no slot.
    let mut eleventh = transport::dial(&at, Side::Parent).await.unwrap();
    assert_eq!(rest(&mut eleventh).await, "");
    assert_eq!(enclave.front.counters.of(Event::ConnectionOverCapacity), 1);

    drop((silent, stream));
    stop.cancel();
    serving.await.unwrap();
    tasks.close();
    tasks.wait().await;
}

#[tokio::test]
async fn the_health_listener_needs_neither_preamble_nor_tls() {
    let enclave = Enclave::new().await;
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let slot = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let health = Service {
        router: crate::http::health_only(&enclave.front),
        tls: None,
        ..service(&enclave)
    };
    let task = TaskTracker::new().spawn(health.connection(theirs, slot, CancellationToken::new()));
    ours.write_all(b"GET /health HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n").await.unwrap();
    let answer = rest(&mut ours).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"status\":\"ok\""));
    task.await.unwrap();
}
