//! Secrets occur nowhere they do not belong: no log, no metric, no file, no plaintext wire, and
//! no memory after their session ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use e2e::customer::Customer;
use e2e::memory;
use e2e::wire::Tap;
use e2e::world::{Options, Ran, Road, TWO_ACCOUNTS, World, get};
use memchr::memmem;
use protocol::encoding::{from_base64, to_hex};
use serde_json::{Value, json};

#[test]
fn secrets_leave_memory_when_their_session_ends() {
    let world = World::start(Options { scenario: TWO_ACCOUNTS, ..Options::default() });
    let (api_key, api_secret) = world.key(0);
    let customer = Customer::of(&world, 1);
    // A label is no secret and goes the same way as the keys: it shows that the search finds
    // what a session holds.
    let label = format!("label-{}", to_hex(&e2e::customer::random::<8>()));
    let mut door = customer.attest();
    let mut body = customer.opening(&door, &world.key(0));
    body["accounts"][0]["label"] = json!(label);
    let sealed = customer.seal(&door, &body);
    let answer = door.submit(&sealed);
    assert_eq!(answer.status, 201, "{:?}", sealed.unseal(&answer));
    drop(door);
    let session = sealed.into_session(&answer);
    // It is used: rounds are signed with it.
    session.until(&customer, "polls", |account| account["polls_complete"].as_u64() > Some(3));

    let pid = world.enclave.pid();
    let control = memory::find(pid, &[label.as_bytes()]);
    if control.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied) {
        transport::probe::skip(
            "secrets leave memory",
            "this user may not read another process's memory",
        )
        .unwrap();
        return;
    }
    assert_eq!(control.unwrap(), [0], "the search finds what is there");
    assert_eq!(memory::find(world.simulator.pid(), &[api_secret.as_bytes()]).unwrap(), [0]);

    assert_eq!(session.ask(&customer, "DELETE", "/v1/session").0, 200);
    let found = memory::find(pid, &[api_secret.as_bytes()]).unwrap();
    assert_eq!(found, [0; 0], "right when the answer is there");
    // The key goes out in a header: its buffers are freed, and so wiped, with the connection.
    let mut looks = 0;
    while memory::find(pid, &[api_key.as_bytes()]).unwrap() != [0; 0] {
        looks += 1;
        assert!(looks < 50, "the API key stays in memory");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn refused_credentials_leave_memory_too() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    // Made at run time, so that they are in no program. The exchange knows none of them.
    let made = || to_hex(&e2e::customer::random::<32>());
    let (key, secret, passphrase) = (made(), made(), made());
    let mut body = customer.opening(&door, &(key.clone(), secret.clone()));
    body["accounts"][0]["credentials"]["passphrase"] = json!(passphrase);
    let sealed = customer.seal(&door, &body);
    let answer = door.submit(&sealed);
    assert_eq!(answer.status, 403, "{:?}", sealed.unseal(&answer));
    let secrets = [key.as_bytes(), secret.as_bytes(), passphrase.as_bytes()];
    match memory::find(world.enclave.pid(), &secrets) {
        Ok(found) => assert_eq!(found, [0; 0]),
        Err(error) => {
            transport::probe::skip("refused credentials leave memory", &error.to_string()).unwrap();
        }
    }
}

/// What must not be seen, by name, in the forms in which it may be written.
struct Canaries(BTreeMap<String, Vec<u8>>);

impl Canaries {
    fn of(world: &World, more: &[(&str, &str)]) -> Self {
        let mut all = Self(BTreeMap::new());
        let (api_key, api_secret) = world.key(0);
        all.text("API key", &api_key);
        all.text("API secret", &api_secret);
        for (name, value) in more {
            all.text(name, value);
        }
        let json = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(world.path(name)).unwrap()).unwrap()
        };
        let (session, portfolio) = (json("session.json"), json("portfolio.key"));
        for name in ["session_id", "reply_key", "request_key"] {
            all.bytes(name, session[name].as_str().unwrap());
        }
        all.bytes("portfolio secret", portfolio["portfolio_secret"].as_str().unwrap());
        all
    }

    fn text(&mut self, name: &str, value: &str) {
        assert!(value.len() >= 16, "{name} is too short to be searched for");
        self.0.insert(name.to_owned(), value.as_bytes().to_vec());
        self.0.insert(format!("{name}, hex"), to_hex(value.as_bytes()).into_bytes());
    }

    /// A key that is kept as base64: it, its bytes, and hex.
    fn bytes(&mut self, name: &str, base64: &str) {
        let raw = from_base64(base64).unwrap();
        self.0.insert(format!("{name}, hex"), to_hex(&raw).into_bytes());
        self.0.insert(format!("{name}, base64"), base64.as_bytes().to_vec());
        self.0.insert(format!("{name}, raw"), raw);
    }

    #[track_caller]
    fn are_not_in(&self, bytes: &[u8], place: &str) {
        for (name, canary) in &self.0 {
            assert!(memmem::find(bytes, canary).is_none(), "{place} holds the {name}");
        }
    }

    /// Every file under the folder but those that belong to the customer or to the exchange.
    fn are_in_no_file(&self, dir: &Path, owned: &[&str]) {
        let mut searched = 0;
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if owned.contains(&name.as_str()) {
                continue;
            }
            // Sockets cannot be read.
            let Ok(bytes) = fs::read(&path) else { continue };
            self.are_not_in(&bytes, &name);
            searched += 1;
        }
        assert!(searched >= 8, "only {searched} files were searched");
    }
}

/// What the customer and the exchange keep for themselves.
const OWNED: [&str; 5] =
    ["accounts.json", "unknown.json", "session.json", "portfolio.key", "exchange-sim.json"];

#[test]
fn secrets_occur_in_no_log_metric_file_or_plaintext_wire() {
    let mut world = World::start(Options { road: Road::Tcp, tapped: true, ..Options::default() });
    let front = Tap::start(world.service);
    let mut ran: Vec<Ran> = Vec::new();

    // A run that passes.
    ran.push(world.connect_at(front.addr).succeeded());
    ran.push(world.report("2026-01-15T08:10:00Z").succeeded());
    ran.push(world.perfagg(&["status", "--session-file", "session.json"]).succeeded());
    ran.push(world.perfagg(&["--json", "status", "--session-file", "session.json"]).succeeded());

    // A run that fails: faults of every kind, a key that the exchange does not know, a key that
    // may trade, a session that is not one.
    let status = |status: u16| json!({"kind": "status", "status": status});
    world.inject(&json!([
        {"path": "/api/v3/account", "times": 1, "fault": {"kind": "html", "status": 502}},
        {"path": "/sapi", "times": 1, "fault": status(500)},
        {"path": "/api", "times": 1, "fault": {"kind": "truncate"}},
        {"path": "/api", "times": 1, "fault": {"kind": "reset"}},
        {"path": "/api", "times": 1, "fault": {"kind": "body", "status": 200, "body": "{\"a\":"}},
    ]));
    ran.push(world.report("2026-01-15T08:25:00Z"));
    world.end_faults();
    let (api_key, api_secret) = world.key(0);
    let (unknown, passphrase) = ("K".repeat(64), "passphrase-canary-of-this-test");
    let accounts = fs::read_to_string(world.path("accounts.json")).unwrap();
    let mut accounts: Value = serde_json::from_str(&accounts).unwrap();
    accounts["accounts"][0]["credentials"] =
        json!({"api_key": unknown, "api_secret": api_secret, "passphrase": passphrase});
    world.write_secret("unknown.json", accounts.to_string().as_bytes());
    let open = |world: &World, accounts: &str| {
        world.at_service(&[
            "connect",
            "--accounts",
            accounts,
            "--portfolio-key",
            "portfolio.key",
            "--session-file",
            "never.json",
        ])
    };
    ran.push(open(&world, "unknown.json").failed_with(4));
    world.permit("read,trade");
    ran.push(open(&world, "accounts.json").failed_with(4));
    world.permit("read");
    ran.push(world.perfagg(&["status", "--session-file", "accounts.json"]).failed_with(2));

    let canaries = Canaries::of(&world, &[("unknown key", &unknown), ("passphrase", passphrase)]);
    let control = format!("{api_key}{unknown}");
    assert!(control.contains(&unknown));
    for path in ["/metrics", "/health"] {
        let (status, body) = get(world.admin, path);
        assert_eq!(status, 200, "{path}");
        canaries.are_not_in(body.as_bytes(), path);
    }
    ran.push(world.perfagg(&["revoke", "--session-file", "session.json"]));
    for process in [&mut world.enclave, &mut world.proxy] {
        process.terminate();
    }
    for ran in &ran {
        canaries.are_not_in(&ran.0.stdout, "what perfagg printed");
        canaries.are_not_in(&ran.0.stderr, "what perfagg told");
    }
    for process in [&world.enclave, &world.proxy, &world.simulator] {
        let text = process.text();
        assert!(!text.is_empty(), "{} wrote a log", process.name);
        canaries.are_not_in(text.as_bytes(), process.name);
    }
    canaries.are_in_no_file(world.dir.path(), &OWNED);
    let front = [("front", front)];
    for (name, tap) in front.iter().chain(&world.taps) {
        for recorded in tap.recorded() {
            canaries.are_not_in(&recorded.to_server, name);
            canaries.are_not_in(&recorded.to_client, name);
        }
        assert!(tap.heard(b"").0 > 1000, "something passed the tap {name}");
    }
    // The taps hear what is said in plain: egress is asked for hosts by name.
    assert!(
        world
            .taps
            .iter()
            .any(|(name, tap)| *name == "egress" && tap.heard(b"CONNECT api.binance.com:443").1)
    );
}
