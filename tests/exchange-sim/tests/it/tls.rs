//! What the venues show of themselves before any request.

use exchange_sim::{BINANCE, HOSTS, Options};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{call, dial, exchange, get, request, start, start_with, tls};

#[tokio::test]
async fn every_host_has_a_certificate_under_one_root() {
    let sim = start("deposit.json").await;
    for (host, path) in HOSTS.into_iter().zip([
        "/api/v3/ping",
        "/fapi/v1/ping",
        "/dapi/v1/ping",
        "/0/public/Time",
        "/derivatives/api/v3/tickers",
        "/api/v3/brokerage/time",
        "/v5/market/time",
        "/clock",
    ]) {
        assert_eq!(get(&sim, host, path).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let sim = start("deposit.json").await;
    for version in [&TLS12, &TLS13] {
        let name = ServerName::try_from(BINANCE).unwrap();
        let tls = tls(&sim.root_pem, &[version]);
        let stream = tls.connect(name, dial(sim.addr).await).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        let request = request(BINANCE, "GET", "/api/v3/ping", &[], "");
        assert_eq!(exchange(stream, &request).await.unwrap().text(), "{}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_imitated_gets_no_certificate() {
    let sim = start("deposit.json").await;
    let error = call(&sim, "api.example.com", "GET", "/", &[], "").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let sim = start("deposit.json").await;
    let name = ServerName::try_from(BINANCE).unwrap();
    let stream = tls(&sim.root_pem, &[&TLS13]).connect(name, dial(sim.addr).await).await.unwrap();
    let request = request("api.kraken.com", "GET", "/0/public/Time", &[], "");
    assert_eq!(exchange(stream, &request).await.unwrap().status, 421);
}

#[tokio::test]
async fn a_connection_too_many_is_closed() {
    let options = Options { connections_max: 2, ..Options::default() };
    let sim = start_with("deposit.json", options).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let name = ServerName::try_from(BINANCE).unwrap();
        let tls = tls(&sim.root_pem, &[&TLS13]);
        held.push(tls.connect(name, dial(sim.addr).await).await.unwrap());
    }
    call(&sim, BINANCE, "GET", "/api/v3/ping", &[], "").await.unwrap_err();
    // A place that is given back is taken again.
    let request = request(BINANCE, "GET", "/api/v3/ping", &[], "");
    assert_eq!(exchange(held.pop().unwrap(), &request).await.unwrap().status, 200);
    while call(&sim, BINANCE, "GET", "/api/v3/ping", &[], "").await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// The paused clock runs ahead whenever everybody waits, so the time-outs cost no time.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed() {
    let sim = start("deposit.json").await;
    let mut rest = Vec::new();
    // Before the handshake, before a head, in the middle of a head.
    assert_eq!(dial(sim.addr).await.read_to_end(&mut rest).await.unwrap(), 0);
    for said in ["", "GET /clock HTTP/1.1\r\nHost:"] {
        let mut stream = dial(sim.control).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        stream.read_to_end(&mut rest).await.unwrap();
    }
}

#[tokio::test]
async fn dates_are_the_scenarios() {
    let sim = start("deposit.json").await;
    let reply = get(&sim, BINANCE, "/api/v3/time").await;
    assert_eq!(reply.header("date"), Some("Thu, 15 Jan 2026 08:00:00 GMT"));
    assert_eq!(reply.json()["serverTime"], sim.clock.view().now_ms);
}
