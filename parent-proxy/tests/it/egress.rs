//! The enclave's way out: a real proxy where the route is the operator's, the
//! library with a resolver of the test's own where DNS is the subject.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use parent_proxy::config::Config;
use parent_proxy::egress::{self, resolve::Resolver};
use parent_proxy::shared::Shared;
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transport::{Address, Listener, Side, dial};

use crate::common::{Proxy, SOON, config, connect_unix, until};

const BULK_LEN: usize = 1 << 20;
const OPENED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// An exchange on loopback: reads to the end, then says how much it read.
fn exchange() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut all = Vec::new();
                if stream.read_to_end(&mut all).is_ok() {
                    drop(write!(stream, "read {}: ", all.len()));
                    drop(stream.write_all(&all[all.len().saturating_sub(5)..]));
                }
            });
        }
    });
    at
}

/// A proxy whose list sends `api.example.com` to `to`.
fn start(to: SocketAddr, more: &str) -> Proxy {
    let dir = tempfile::tempdir().unwrap();
    let list = format!(
        "[[host]]\nname = \"api.example.com\"\nport = 443\nconnect_to = \"{to}\"\n\
         [[host]]\nname = \"unresolvable.invalid\"\nport = 443\n"
    );
    std::fs::write(dir.path().join("hosts.toml"), list).unwrap();
    let egress = "[egress]\nlisten = \"unix://{dir}/egress.sock\"\nallow_list = \"hosts.toml\"\n";
    Proxy::start(dir, &config(&[], &format!("{egress}{more}")))
}

fn open(proxy: &Proxy) -> UnixStream {
    connect_unix(&proxy.path("egress.sock"))
}

/// Sends `request` and reads the answer to its end.
fn ask(proxy: &Proxy, request: &[u8]) -> String {
    let mut stream = open(proxy);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ask_for(proxy: &Proxy, target: &str) -> String {
    ask(proxy, format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes())
}

/// Opens a tunnel and consumes the answer.
fn tunnel(proxy: &Proxy) -> UnixStream {
    let mut stream = open(proxy);
    stream
        .write_all(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
        .unwrap();
    let mut answer = vec![0; OPENED.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, OPENED.as_bytes());
    stream
}

fn outcome(word: &str) -> String {
    format!("pa_proxy_egress_requests_total{{outcome=\"{word}\"}}")
}

#[test]
fn a_tunnel_half_closes_and_counts_every_byte() {
    let proxy = start(exchange(), "");
    let mut stream = tunnel(&proxy);
    stream.write_all(&vec![b'x'; BULK_LEN]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("read {BULK_LEN}: xxxxx"));
    proxy.wait_for_metric(&outcome("closed"), 1);
    let sent = "pa_proxy_bytes_total{road=\"egress\",direction=\"from_enclave\"}";
    assert_eq!(proxy.metric(sent), u64::try_from(BULK_LEN).unwrap());
}

#[test]
fn bytes_sent_behind_the_request_reach_the_exchange() {
    let proxy = start(exchange(), "");
    let mut stream = open(&proxy);
    stream
        .write_all(
            b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\nearly",
        )
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("{OPENED}read 5: early"));
}

#[test]
fn every_road_of_the_enclave_leads_out() {
    let dir = tempfile::tempdir().unwrap();
    let (to, path) = (exchange(), dir.path().display());
    for road in [
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix://{path}/u.sock"),
        format!("hvsock://{path}/v.sock:5002"),
    ] {
        let list =
            format!("[[host]]\nname = \"api.example.com\"\nport = 443\nconnect_to = \"{to}\"\n");
        let own = tempfile::tempdir().unwrap();
        std::fs::write(own.path().join("hosts.toml"), list).unwrap();
        let egress = format!("[egress]\nlisten = \"{road}\"\nallow_list = \"hosts.toml\"\n");
        let proxy = Proxy::start(own, &config(&[], &egress));
        let at: Address = proxy.egress.as_ref().unwrap().parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let mut stream = dial(&at, Side::Enclave).await.unwrap();
            let request = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
            stream.write_all(request).await.unwrap();
            stream.write_all(&vec![b'x'; BULK_LEN]).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        });
        assert_eq!(answer, format!("{OPENED}read {BULK_LEN}: xxxxx"), "{road}");
    }
}

#[test]
fn an_old_client_without_host_is_served() {
    let proxy = start(exchange(), "");
    let mut stream = open(&proxy);
    stream.write_all(b"CONNECT api.example.com:443 HTTP/1.0\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("{OPENED}read 0: "));
}

#[test]
fn hosts_off_the_list_are_refused_in_every_spelling() {
    let proxy = start(exchange(), "");
    let targets = [
        "api.example.org:443",
        "api.example.com:80",
        "API.example.com:443",
        "api.example.com.:443",
        "x.api.example.com:443",
        "example.com:443",
        "localhost:443",
        "127.0.0.1:443",
        "127.1:443",
        "0x7f.0.0.1:443",
        "2130706433:443",
        "169.254.169.254:443",
        "[::1]:443",
        "[::ffff:127.0.0.1]:443",
        "[fe80::1]:443",
    ];
    for target in targets {
        let answer = ask_for(&proxy, target);
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{target}: {answer}");
        assert!(answer.ends_with("\r\n\r\nnot_allowed\n"), "{target}: {answer}");
    }
    proxy.wait_for_metric(&outcome("not_allowed"), u64::try_from(targets.len()).unwrap());
    // Only what is a host name is named in the log, which may be a moment behind.
    proxy.wait_for_lines(|lines| {
        lines.iter().filter(|line| line.contains("not on the allow-list")).count() == targets.len()
    });
    let log = proxy.log().join("\n");
    assert!(log.contains("\"host\":\"api.example.org\""), "{log}");
    for unsafe_text in ["169.254.169.254", "API.example", "0x7f", "[::1]"] {
        assert!(!log.contains(unsafe_text), "{unsafe_text} in {log}");
    }
}

#[test]
fn malformed_requests_are_refused_at_once() {
    let proxy = start(exchange(), "");
    let requests = [
        &b"CONNECT api.example.com HTTP/1.1\r\nHost: api.example.com\r\n\r\n"[..],
        b"CONNECT api.example.com:0443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"CONNECT https://api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"CONNECT user@api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
        b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: other.example.com:443\r\n\r\n",
        b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n",
        b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT api.example.com:443 HTTP/3\r\nHost: a\r\n\r\n",
        b"CONNECT api.example.com:443 HTTP/1.1\nHost: a\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x00\x00\x00",
        b"SSH-2.0-OpenSSH_10.0\r\n",
    ];
    for request in requests {
        let answer = ask(&proxy, request);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request:?}: {answer}");
        assert!(answer.ends_with("\r\n\r\nmalformed\n"), "{request:?}: {answer}");
    }
    proxy.wait_for_metric(&outcome("malformed"), u64::try_from(requests.len()).unwrap());
    // Nobody else noticed.
    drop(tunnel(&proxy));
}

#[test]
fn an_oversized_request_is_refused_before_it_is_complete() {
    let proxy = start(exchange(), "");
    let mut long =
        b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\nX: ".to_vec();
    long.resize(9000, b'y');
    let many = format!(
        "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n{}\r\n",
        "A: b\r\n".repeat(100)
    );
    for request in [long.as_slice(), many.as_bytes()] {
        let answer = ask(&proxy, request);
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\ntoo_large\n"), "{answer}");
    }
    proxy.wait_for_metric(&outcome("too_large"), 2);
}

#[test]
fn a_slow_request_and_a_silent_client_are_told_so() {
    let proxy = start(exchange(), "[timeouts]\nheader_secs = 1\n");
    let mut silent = open(&proxy);
    let mut slow = open(&proxy);
    slow.write_all(b"CONNECT api.example.com:443 HTTP/1.1\r\nHo").unwrap();
    for stream in [&mut silent, &mut slow] {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\ntoo_slow\n"), "{answer}");
    }
    proxy.wait_for_metric(&outcome("too_slow"), 2);
}

#[test]
fn a_client_that_leaves_early_is_counted_and_forgotten() {
    let proxy = start(exchange(), "");
    let mut stream = open(&proxy);
    stream.write_all(b"CONNECT api.exa").unwrap();
    drop(stream);
    proxy.wait_for_metric(&outcome("abandoned"), 1);
    proxy.wait_for_metric("pa_proxy_connections_open{road=\"egress\"}", 0);
}

#[test]
fn other_methods_and_paths_are_not_found() {
    let proxy = start(exchange(), "");
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /deployment HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://api.example.com/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /deployment HTTP/1.1\r\nHost: a\r\n\r\n",
        "connect api.example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let answer = ask(&proxy, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{request}: {answer}");
    }
    proxy.wait_for_metric(&outcome("not_found"), 5);
}

#[test]
fn the_deployment_configuration_is_served_as_it_is_now() {
    let proxy = start(exchange(), "[deployment]\npath = \"deployment.json\"\n");
    let request = b"GET /deployment HTTP/1.1\r\nHost: parent\r\n\r\n";
    let missing = ask(&proxy, request);
    assert!(missing.starts_with("HTTP/1.1 503 "), "{missing}");
    assert!(missing.ends_with("\r\n\r\ndeployment_unavailable\n"), "{missing}");

    let longest = "x".repeat(16 * 1024);
    for text in ["{\"v\":1}", "{\"v\":2}", &longest] {
        std::fs::write(proxy.path("deployment.json"), text).unwrap();
        let answer = ask(&proxy, request);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("Content-Type: application/json\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{text}")));
    }
    std::fs::write(proxy.path("deployment.json"), format!("{longest}y")).unwrap();
    assert!(ask(&proxy, request).starts_with("HTTP/1.1 503 "));
    proxy.wait_for_metric(&outcome("deployment"), 3);
    proxy.wait_for_metric(&outcome("deployment_unavailable"), 2);
}

#[test]
fn an_exchange_that_refuses_is_a_bad_gateway() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = start(gone, "");
    let answer = ask_for(&proxy, "api.example.com:443");
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nconnect_failed\n"), "{answer}");
}

#[test]
fn an_exchange_that_does_not_answer_is_a_gateway_timeout() {
    // A full queue: the kernel drops what more comes, as a dead host would.
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let full: SocketAddr = rustix::net::getsockname(&socket).unwrap().try_into().unwrap();
    let _first = crate::common::connect(full);
    let proxy = start(full, "[timeouts]\nconnect_secs = 1\n");
    let answer = ask_for(&proxy, "api.example.com:443");
    assert!(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nconnect_timeout\n"), "{answer}");
}

#[test]
fn connections_past_the_limit_are_told_so() {
    let proxy = start(exchange(), "[limits]\negress_connections = 2\n");
    let (first, _second) = (tunnel(&proxy), tunnel(&proxy));
    let answer = ask(&proxy, b"");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nrefused_total\n"), "{answer}");
    proxy.wait_for_metric(&outcome("refused_total"), 1);
    drop(first);
    proxy.wait_for_metric("pa_proxy_connections_open{road=\"egress\"}", 1);
    drop(tunnel(&proxy));
}

#[test]
fn an_exchange_that_resets_ends_the_tunnel() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = start(listener.local_addr().unwrap(), "");
    let mut stream = tunnel(&proxy);
    let (mut accepted, _) = listener.accept().unwrap();
    accepted.write_all(b"last words").unwrap();
    let mut words = [0; 10];
    stream.read_exact(&mut words).unwrap();
    set_socket_linger(&accepted, Some(std::time::Duration::ZERO)).unwrap();
    drop(accepted);
    assert_eq!(stream.read(&mut words).unwrap(), 0);
    proxy.wait_for_metric(&outcome("host_lost"), 1);
}

#[test]
fn curl_can_use_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /time HTTP/1.1\r\n"));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    });
    let dir = tempfile::tempdir().unwrap();
    let list = format!("[[host]]\nname = \"api.example.com\"\nport = 443\nconnect_to = \"{to}\"\n");
    std::fs::write(dir.path().join("hosts.toml"), list).unwrap();
    let egress = "[egress]\nlisten = \"tcp://127.0.0.1:0\"\nallow_list = \"hosts.toml\"\n";
    let proxy = Proxy::start(dir, &config(&[], egress));
    let through = proxy.egress.as_ref().unwrap().replace("tcp://", "http://");
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--proxytunnel", "--proxy", &through, "http://api.example.com:443/time"])
        .output();
    let Ok(output) = curl else {
        transport::probe::skip("curl through egress", "curl is not installed").unwrap();
        return;
    };
    assert_eq!(output.stdout, b"hello", "{}", String::from_utf8_lossy(&output.stderr));
}

/// The status line that egress answers when the resolver is `ask`.
async fn answer_with(
    private_ok: bool,
    ask: impl Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) -> String {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared_in(dir.path(), private_ok, ask);
    let at = Address::Unix(dir.path().join("egress.sock"));
    let listener = Listener::bind(&at, Side::Parent).await.unwrap();
    let serving = async {
        let stream = listener.accept().await.unwrap();
        egress::accepted(stream, &at, &shared).unwrap().await;
    };
    let asking = async {
        let mut stream = dial(&at, Side::Enclave).await.unwrap();
        let request = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
        stream.write_all(request).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let both = tokio::time::timeout(SOON, async { tokio::join!(serving, asking).1 });
    let answer = both.await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().to_owned();
    let body = answer.split_once("\r\n\r\n").unwrap().1.trim_end().to_owned();
    format!("{status} {body}")
}

fn shared_in(
    dir: &Path,
    private_ok: bool,
    ask: impl Fn(&str, u16) -> std::io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
) -> Arc<Shared> {
    let list =
        format!("[[host]]\nname = \"api.example.com\"\nport = 443\nprivate_ok = {private_ok}\n");
    std::fs::write(dir.join("hosts.toml"), list).unwrap();
    let text = "[egress]\nlisten = \"unix:///unused\"\nallow_list = \"hosts.toml\"\n\
                [timeouts]\nlookup_secs = 1\nconnect_secs = 2\n\
                [admin]\nlisten = \"unix:///unused2\"\nenclave_health = \"unix:///unused3\"\n";
    std::fs::write(dir.join("proxy.toml"), text).unwrap();
    let config = Config::load(&dir.join("proxy.toml")).unwrap();
    Arc::new(Shared::new(config, Resolver::new(ask)))
}

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_is_refused() {
    for ip in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00:ec2::254",
        "fe80::1",
        "::ffff:10.0.0.1",
    ] {
        let at = SocketAddr::new(ip.parse().unwrap(), 443);
        let answer = answer_with(false, move |_, _| Ok(vec![at])).await;
        assert_eq!(answer, "403 private_address", "{ip}");
    }
}

#[tokio::test]
async fn an_entry_may_allow_private_addresses() {
    let to = exchange();
    let answer = answer_with(true, move |host, port| {
        assert_eq!((host, port), ("api.example.com", 443));
        Ok(vec![to])
    })
    .await;
    assert_eq!(answer, "200 read 0:");
    let group = SocketAddr::from(([224, 0, 0, 1], 443));
    assert_eq!(answer_with(true, move |_, _| Ok(vec![group])).await, "403 private_address");
}

#[tokio::test]
async fn a_dead_address_is_passed_over_for_the_next() {
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let alive = exchange();
    let answer = answer_with(true, move |_, _| Ok(vec![dead, alive])).await;
    assert_eq!(answer, "200 read 0:");
}

#[tokio::test]
async fn a_name_without_an_address_is_a_bad_gateway() {
    let failed = answer_with(false, |_, _| Err(std::io::Error::other("NXDOMAIN"))).await;
    assert_eq!(failed, "502 lookup_failed");
    let empty = answer_with(false, |_, _| Ok(Vec::new())).await;
    assert_eq!(empty, "502 lookup_failed");
}

#[tokio::test]
async fn a_slow_lookup_is_a_gateway_timeout() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let answer = answer_with(false, move |_, _| {
        // Until the test has its answer.
        let _gone = held.lock().unwrap().recv().is_err();
        Ok(Vec::new())
    })
    .await;
    assert_eq!(answer, "504 lookup_timeout");
    drop(release);
}

#[test]
fn the_systems_resolver_says_when_there_is_no_such_name() {
    let proxy = start(exchange(), "[timeouts]\nlookup_secs = 2\n");
    let answer = ask_for(&proxy, "unresolvable.invalid:443");
    // Without a resolver the system may also be silent until the time-out.
    assert!(
        answer.ends_with("lookup_failed\n") || answer.ends_with("lookup_timeout\n"),
        "{answer}"
    );
    until(
        || proxy.metric(&outcome("lookup_failed")) + proxy.metric(&outcome("lookup_timeout")) == 1,
        || "not counted".to_owned(),
    );
}
