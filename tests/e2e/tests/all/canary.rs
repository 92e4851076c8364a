//! Secrets occur nowhere they do not belong: no log, no metric, no file, no plaintext wire, and
//! no memory after their session ended.

use std::fs;
use std::io::{Read, Seek, SeekFrom};

use e2e::process::wait_until;
use e2e::wire::Tap;
use e2e::world::{Options, World};
use serde_json::Value;

/// Whether a readable mapping of a process holds `needle`.
fn memory_holds(pid: u32, needle: &[u8]) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    maps.lines().any(|line| {
        let mut fields = line.split(' ');
        let (range, flags) = (fields.next().unwrap(), fields.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) =
            (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        if !flags.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            return false;
        }
        let mut bytes = Vec::new();
        if memory.seek(SeekFrom::Start(start)).is_err() {
            return false;
        }
        // A guard page inside ends the reading; what came before it counts.
        drop((&mut memory).take(end - start).read_to_end(&mut bytes));
        memchr::memmem::find(&bytes, needle).is_some()
    })
}

#[test]
fn secrets_leave_memory_when_their_session_ends() {
    let world = World::start(Options::default());
    let (api_key, api_secret) = world.key(0);
    world.connect().succeeded();
    world.report("2026-01-15T08:10:00Z").succeeded();
    let pid = world.enclave.pid();
    // The scanner works: this program's own measured file name is there.
    assert!(memory_holds(pid, b"image.toml"));
    // And it sees the simulator's copies, which is another process.
    assert!(memory_holds(world.simulator.pid(), api_secret.as_bytes()));
    world.perfagg(&["revoke", "--session-file", "session.json"]).succeeded();
    wait_until("wiped memory", || {
        !memory_holds(pid, api_key.as_bytes()) && !memory_holds(pid, api_secret.as_bytes())
    });
}

#[test]
fn secrets_occur_in_no_log_metric_file_or_plaintext_wire() {
    let world = World::start(Options::default());
    let (api_key, api_secret) = world.key(0);
    world.perfagg(&["keygen", "--out", "portfolio.key"]).succeeded();
    let tap = Tap::start(world.service);
    world
        .at(
            tap.addr,
            &[
                "connect",
                "--accounts",
                "accounts.json",
                "--portfolio-key",
                "portfolio.key",
                "--session-file",
                "session.json",
            ],
        )
        .succeeded();
    world.report("2026-01-15T08:10:00Z").succeeded();
    // A failing run as well: the exchange refuses, then the customer's key is unknown there.
    world.control(
        "POST",
        "/faults",
        &serde_json::json!([
            {"path": "/api/v3/account", "times": 3, "fault": {"kind": "html", "status": 403}}
        ]),
    );
    let unknown = "K".repeat(64);
    let accounts =
        fs::read_to_string(world.path("accounts.json")).unwrap().replace(&api_key, &unknown);
    world.write_secret("unknown.json", accounts.as_bytes());
    world
        .at_service(&[
            "connect",
            "--accounts",
            "unknown.json",
            "--portfolio-key",
            "portfolio.key",
            "--session-file",
            "second.json",
        ])
        .failed_with(4);

    let session: Value =
        serde_json::from_slice(&fs::read(world.path("session.json")).unwrap()).unwrap();
    let portfolio: Value =
        serde_json::from_slice(&fs::read(world.path("portfolio.key")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let canaries = [
        api_key,
        api_secret,
        unknown,
        text(&session["session_id"]),
        text(&session["reply_key"]),
        text(&session["request_key"]),
        text(&portfolio["portfolio_secret"]),
    ];
    // What the customer and the exchange keep for themselves.
    let owned =
        ["accounts.json", "unknown.json", "session.json", "portfolio.key", "exchange-sim.json"];
    let said = world.said();
    for canary in &canaries {
        assert!(!said.contains(canary.as_str()), "a program said a secret");
        for entry in fs::read_dir(world.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Ok(bytes) = fs::read(&path) else { continue };
            let found = memchr::memmem::find(&bytes, canary.as_bytes()).is_some();
            assert!(!found || owned.contains(&name.as_str()), "{name} holds a secret");
        }
        for connection in tap.recorded() {
            for bytes in [&connection.to_server, &connection.to_client] {
                assert!(memchr::memmem::find(bytes, canary.as_bytes()).is_none());
            }
        }
    }
}
