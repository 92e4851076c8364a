//! Start, reload, drain, and what an operator is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;

use rustix::process::Signal;

use crate::common::{
    Behaviour, Enclave, Proxy, command, config, connect, connect_unix, in_dir, until,
};

fn echo_enclave(dir: &tempfile::TempDir) -> Enclave {
    Enclave::start(&format!("unix://{}/e.sock", dir.path().display()), Behaviour::Echo)
}

fn echo(stream: &mut TcpStream) {
    stream.write_all(b"hello").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
}

/// Replaces the proxy's configuration and asks for a reload.
fn reload(proxy: &Proxy, text: &str, message: &str) {
    std::fs::write(proxy.path("proxy.toml"), in_dir(text, proxy.dir.path())).unwrap();
    let wanted = format!("\"message\":\"{message}\"");
    let count = |lines: &[String]| lines.iter().filter(|line| line.contains(&wanted)).count();
    let before = count(&proxy.log());
    proxy.signal(Signal::HUP);
    proxy.wait_for_lines(|lines| count(lines) > before);
}

fn run(text: &str, more: &[&str]) -> (Output, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy.toml");
    std::fs::write(&path, in_dir(text, dir.path())).unwrap();
    (command(&path).args(more).output().unwrap(), dir)
}

#[test]
fn a_reload_changes_limits_the_list_and_listeners_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let base = config(&[&enclave.address], "");
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &base);
    let mut client = connect(proxy.customer());
    echo(&mut client);

    let hosts = "[[host]]\nname = \"api.example.com\"\nport = 443\nconnect_to = \"127.0.0.1:1\"\n";
    std::fs::write(proxy.path("hosts.toml"), hosts).unwrap();
    let more = "[egress]\nlisten = \"unix://{dir}/egress.sock\"\nallow_list = \"hosts.toml\"\n\
                [limits]\ningress_connections = 1\n";
    reload(&proxy, &format!("{base}{more}"), "configuration reloaded");

    // The connection from before lives, the new limit counts it, the new
    // listener answers from the new list.
    echo(&mut client);
    let refused = connect(proxy.customer()).read(&mut [0; 1]);
    assert!(refused.is_err() || refused.is_ok_and(|read| read == 0));
    let ask = || {
        let mut stream = connect_unix(&proxy.path("egress.sock"));
        let request = b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask().ends_with("connect_failed\n"));

    std::fs::write(proxy.path("hosts.toml"), "").unwrap();
    reload(&proxy, &format!("{base}{more}"), "configuration reloaded");
    assert!(ask().ends_with("not_allowed\n"));

    reload(&proxy, &base, "configuration reloaded");
    until(|| !proxy.path("egress.sock").exists(), || "egress still listens".to_owned());
    echo(&mut connect(proxy.customer()));
    proxy.wait_for_metric("pa_proxy_reloads_total{outcome=\"applied\"}", 3);
}

#[test]
fn a_bad_reload_keeps_everything_as_it_was_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let base = config(&[&enclave.address], "");
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &base);
    let taken = tempfile::tempdir().unwrap();
    let taken_path = taken.path().join("taken.sock");
    let _taken = std::os::unix::net::UnixListener::bind(&taken_path).unwrap();
    let unbindable = format!(
        "{base}[[ingress]]\nlisten = \"unix://{{dir}}/new.sock\"\nenclave = \"unix:///x\"\n\
         [[ingress]]\nlisten = \"unix://{}\"\nenclave = \"unix:///x\"\n",
        taken_path.display()
    );
    for (text, told) in [
        (format!("{base}[limits]\ningress_connections = 0\nwild = 1\n"), "limits.wild: is unknown"),
        (
            format!("{base}[egress]\nlisten = \"unix:///x\"\nallow_list = \"gone.toml\"\n"),
            "egress.allow_list",
        ),
        ("= nonsense".to_owned(), "not TOML"),
        (unbindable, "cannot be bound"),
    ] {
        reload(&proxy, &text, "reload refused; the old configuration stays");
        let log = proxy.log();
        let last = log.iter().rfind(|line| line.contains("reload refused")).unwrap();
        assert!(last.contains(told), "{last}");
        echo(&mut connect(proxy.customer()));
    }
    assert!(!proxy.path("new.sock").exists(), "a listener of a refused configuration stayed");
    proxy.wait_for_metric("pa_proxy_reloads_total{outcome=\"refused\"}", 4);
    proxy.wait_for_metric("pa_proxy_reloads_total{outcome=\"applied\"}", 0);
}

#[test]
fn a_drain_lets_connections_finish_and_takes_no_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let mut proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
    let at = proxy.customer();
    let mut client = connect(at);
    echo(&mut client);
    proxy.signal(Signal::TERM);
    proxy.wait_for_message("stopping");
    until(
        || TcpStream::connect_timeout(&at, crate::common::SOON).is_err(),
        || "still accepts".to_owned(),
    );
    let (status, body) = proxy.admin("/health");
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(body, "{\"status\":\"unavailable\",\"reason\":\"draining\"}\n");
    echo(&mut client);
    drop(client);
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.wait_for_message("stopped");
}

#[test]
fn a_drain_cuts_what_is_left_at_its_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let more = "[timeouts]\ndrain_secs = 1\n";
    let mut proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut client = connect(proxy.customer());
    echo(&mut client);
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(3));
    proxy.wait_for_message("grace period over; closing what is left");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let more = "[timeouts]\ndrain_secs = 3600\n";
    let mut proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut client = connect(proxy.customer());
    echo(&mut client);
    proxy.signal(Signal::TERM);
    proxy.wait_for_message("stopping");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(4));
}

#[test]
fn every_mistake_is_told_before_anything_is_bound() {
    let text = "[[ingress]]\nlisten = \"unix://{dir}/in.sock\"\nenclave = \"vsock://x:1\"\n\
                [timeouts]\nidle = 5\n";
    for more in [&[][..], &["--check"]] {
        let (output, dir) = run(text, more);
        assert_eq!(output.status.code(), Some(2));
        let told = String::from_utf8(output.stderr).unwrap();
        for mistake in ["ingress[0].enclave: ", "timeouts.idle: is unknown", "admin: is missing"] {
            assert!(told.contains(mistake), "{told}");
        }
        assert!(!dir.path().join("in.sock").exists());
    }
}

#[test]
fn a_good_configuration_passes_the_check_without_running() {
    let (output, dir) = run(&config(&["unix:///x"], ""), &["--check"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty());
    let listening = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(listening, 1, "the check made files");
}

#[test]
fn a_log_level_that_is_none_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy.toml");
    std::fs::write(&path, config(&["unix:///x"], "")).unwrap();
    let output = command(&path).env("LOG_LEVEL", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("LOG_LEVEL: must be error, warn, info, debug or trace"), "{told}");
}

#[test]
fn an_address_in_use_keeps_it_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let taken = dir.path().join("taken.sock");
    let _taken = std::os::unix::net::UnixListener::bind(&taken).unwrap();
    let more =
        format!("[[ingress]]\nlisten = \"unix://{}\"\nenclave = \"unix:///x\"\n", taken.display());
    let (output, _) = run(&config(&[], &more), &[]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("cannot be bound"), "{told}");
}

#[test]
fn every_line_of_the_log_is_json() {
    let dir = tempfile::tempdir().unwrap();
    let enclave = echo_enclave(&dir);
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
    echo(&mut connect(proxy.customer()));
    reload(&proxy, "= \"\u{1b}[31m", "reload refused; the old configuration stays");
    for line in proxy.log() {
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(parsed["level"].is_string() && parsed["message"].is_string(), "{line}");
    }
}
