//! The program itself, read by a client in another language.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use exchange_sim::Announcement;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::scenario;

/// Ends the program whatever the test does.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_program_announces_serves_and_ends_on_sigterm() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("sim");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("exchange-sim.json"), "of an earlier run").unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_exchange-sim"))
        .args(["--scenario".as_ref(), scenario("quirks.json").as_os_str()])
        .args(["--out".as_ref(), out.as_os_str()])
        .args(["--permissions", "kraken-spot=read,trade"])
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut program = Program(child);
    let mut log = BufReader::new(program.0.stderr.take().unwrap());
    let mut lines = String::new();
    while !lines.contains(r#""message":"ready""#) {
        assert_ne!(log.read_line(&mut lines).unwrap(), 0, "ended before it was ready: {lines}");
    }

    let announced = fs::read(out.join("exchange-sim.json")).unwrap();
    let announced: Announcement = serde_json::from_slice(&announced).unwrap();
    assert_eq!(announced.hosts, exchange_sim::HOSTS);
    let rights: Vec<_> = announced.keys.iter().map(|key| key.permissions.to_string()).collect();
    assert_eq!(rights, ["read", "read,trade"]);

    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client.py");
    let read = Command::new("python3").arg(client).arg(&out).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let read: Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read["server_time"], read["clock"]["now_ms"]);
    assert_eq!(read["tether"], "0.99905");
    assert_eq!(
        read["trades"],
        serde_json::json!([[501, "60001.50000000"], [502, "60002.00000000"]])
    );
    assert_eq!(read["wrong_secret"], serde_json::json!([400, -1022]));

    let pid = Pid::from_child(&program.0);
    kill_process(pid, Signal::TERM).unwrap();
    log.read_to_string(&mut lines).unwrap();
    assert!(program.0.wait().unwrap().success(), "{lines}");
    assert!(lines.contains(r#""message":"stopped""#), "{lines}");
    for key in &announced.keys {
        assert!(!lines.contains(&key.api_key) && !lines.contains(&key.api_secret));
    }
    for line in lines.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not JSON: {line}");
    }
    let mut stdout = String::new();
    program.0.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    assert_eq!(stdout, "");
}
