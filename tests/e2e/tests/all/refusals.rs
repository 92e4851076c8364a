//! A failed step ends with exit 3, names the step, and nothing is sent after it.

use std::fs;

use e2e::wire::{Tap, application_records};
use e2e::world::{Options, Ran, World};

/// Connects through a tap and shows that the customer sent one request and nothing after it.
fn connect_is_refused(world: &World, args: &[&str], names: &str) -> Ran {
    if !world.path("portfolio.key").exists() {
        world.perfagg(&["keygen", "--out", "portfolio.key"]).succeeded();
    }
    let tap = Tap::start(world.service);
    let connect = [
        "connect",
        "--accounts",
        "accounts.json",
        "--portfolio-key",
        "portfolio.key",
        "--session-file",
        "never.json",
    ];
    let ran = world.at(tap.addr, &[connect.as_slice(), args].concat()).failed_with(3);
    assert!(ran.err().contains(names), "{}", ran.err());
    assert!(!world.path("never.json").exists());
    for connection in tap.recorded() {
        // TLS 1.3 hides alerts and the handshake's end in application-data records. The
        // customer's: its Finished, one request, one close.
        let sent = application_records(&connection.to_server);
        assert!(sent.len() <= 3, "{sent:?}");
        let bytes: usize = sent.iter().sum();
        assert!(bytes < 600, "{bytes} bytes are more than a handshake's end and one GET");
    }
    ran
}

#[test]
fn another_measurement_is_refused_before_anything_is_sent() {
    let world = World::start(Options::default());
    let text = fs::read_to_string(world.path("measurements.json")).unwrap();
    let mut other: serde_json::Value = serde_json::from_str(&text).unwrap();
    let pcr0 = other["pcr0"].as_str().unwrap().to_owned();
    let last = if pcr0.ends_with('0') { '1' } else { '0' };
    other["pcr0"] = format!("{}{last}", pcr0.split_at(95).0).into();
    fs::write(world.path("other.json"), other.to_string()).unwrap();
    let ran = connect_is_refused(&world, &["--measurements", "other.json"], "step 30");
    assert!(ran.err().contains("PCR0"), "{}", ran.err());
}

#[test]
fn another_root_is_refused_before_anything_is_sent() {
    let world = World::start(Options::default());
    let mut root = fs::read(world.path("root.der")).unwrap();
    let last = root.len() - 1;
    root[last] ^= 1;
    fs::write(world.path("other.der"), root).unwrap();
    connect_is_refused(&world, &["--root", "other.der"], "step 22");
}

#[test]
fn an_unpinned_configuration_is_refused_before_anything_is_sent() {
    let world = World::start(Options::default());
    let pin = "00".repeat(32);
    connect_is_refused(&world, &["--deployment-sha256", &pin], "step 33");
}

#[test]
fn a_key_that_may_do_more_than_read_is_refused_and_the_permission_named() {
    for (permissions, named) in [
        ("read,trade", "enableSpotAndMarginTrading"),
        ("read,withdraw", "enableWithdrawals"),
        ("read,internal-transfer", "enableInternalTransfer"),
        ("read,enableSomethingNew", "enableSomethingNew"),
    ] {
        let world = World::start(Options { permissions, ..Options::default() });
        let ran = world.connect().failed_with(4);
        assert!(ran.err().contains(named), "{}", ran.err());
        assert!(!world.path("session.json").exists());
    }
}
