//! The administration port: health that is true, metrics that are closed.

use std::io::{Read, Write};

use crate::common::{Behaviour, Enclave, Proxy, config, connect};

fn health_config(health: &str) -> String {
    let admin = format!("[admin]\nlisten = \"tcp://127.0.0.1:0\"\nenclave_health = \"{health}\"\n");
    config(&["unix:///nonexistent/e.sock"], &admin)
}

fn ask(proxy: &Proxy, request: &[u8]) -> String {
    let mut stream = connect(proxy.admin);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn health_is_good_only_after_a_round_trip_into_the_enclave() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display();
    for road in [
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix://{dir}/h.sock"),
        format!("hvsock://{dir}/v.sock:5001"),
    ] {
        let enclave = Enclave::start(&road, Behaviour::Health(200));
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &health_config(&enclave.address));
        let (status, body) = proxy.admin("/health");
        assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "{\"status\":\"ok\"}\n"));
        assert_eq!(enclave.wait_for(1).len(), 1, "{road}");
        assert_eq!(proxy.metric("pa_proxy_enclave_up"), 1);
        assert_eq!(proxy.metric("pa_proxy_health_probes_total{outcome=\"ok\"}"), 1);
    }
}

#[test]
fn health_says_in_a_word_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/h.sock", dir.path().display());
    let sick = Enclave::start(&road, Behaviour::Health(500));
    let silent_path = dir.path().join("s.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&silent_path).unwrap();
    for (health, reason) in [
        (sick.address.clone(), "unhealthy"),
        ("unix:///nonexistent/h.sock".to_owned(), "unreachable"),
        (format!("unix://{}", silent_path.display()), "timeout"),
    ] {
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &health_config(&health));
        let (status, body) = proxy.admin("/health");
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable", "{reason}");
        assert_eq!(body, format!("{{\"status\":\"unavailable\",\"reason\":\"{reason}\"}}\n"));
        let probes = format!("pa_proxy_health_probes_total{{outcome=\"{reason}\"}}");
        assert_eq!(proxy.metric(&probes), 1);
        assert_eq!(proxy.metric("pa_proxy_enclave_up"), 0);
    }
}

#[test]
fn malformed_and_unknown_requests_get_their_own_answers() {
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&["unix:///x"], ""));
    for (request, status) in [
        (&b"GET /metrics HTTP/1.1\r\n\r\n"[..], "400"),
        (b"\x16\x03\x01", "400"),
        (b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (b"GET /health/ HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (b"POST /health HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (b"CONNECT api.binance.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (&[b'A'; 9000], "431"),
    ] {
        let answer = ask(&proxy, request);
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
    let answer = ask(&proxy, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.contains("Content-Type: application/openmetrics-text"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    for (outcome, count) in [("malformed", 2), ("not_found", 4), ("too_large", 1)] {
        let sample = format!("pa_proxy_admin_requests_total{{outcome=\"{outcome}\"}}");
        assert_eq!(proxy.metric(&sample), count, "{outcome}");
    }
}
