//! The main job over every road, and its numbers against the scenario's.

use std::fs;

use e2e::world::{Options, Road, World, scenario};
use protocol::report::SignedReport;
use rust_decimal::Decimal;
use serde_json::Value;

/// Runs a scenario to its end and returns the report's results and what was expected.
fn run(options: Options) -> (World, Value, Value) {
    let case: Value =
        serde_json::from_slice(&fs::read(scenario(options.scenario)).unwrap()).unwrap();
    let world = World::start(options);
    world.connect().succeeded();
    world.report(case["config"]["as_of"].as_str().unwrap()).succeeded();
    let bytes = fs::read(world.path("report.json")).unwrap();
    let file: Value = serde_json::from_slice(&bytes).unwrap();
    SignedReport::parse_exact(&bytes).unwrap();
    let payload = protocol::encoding::from_base64(file["dsse"]["payload"].as_str().unwrap());
    let payload: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    (world, payload["results"].clone(), case["expected"].clone())
}

#[test]
fn spot_hours_over_unix_sockets_gives_the_scenarios_numbers() {
    let (world, got, expected) =
        run(Options { scenario: "spot-hours", road: Road::Unix, ..Options::default() });
    compare(&expected, &got, "binance-spot");
    // Long after everything stopped, and without asking anybody.
    world.perfagg(&["revoke", "--session-file", "session.json"]).succeeded();
    let dir = world.dir.path().to_owned();
    let verify = |world: &World| {
        world.perfagg(&[
            "verify",
            "report.json",
            "--measurements",
            "measurements.json",
            "--root",
            "root.der",
        ])
    };
    let mut world = world;
    for process in [&mut world.enclave, &mut world.proxy, &mut world.simulator] {
        process.terminate();
    }
    assert!(dir.exists());
    let ran = verify(&world).succeeded();
    assert_eq!(ran.out().lines().last(), Some("report verified"));
    assert!(ran.out().contains("SIMULATED") && ran.out().contains("audit log"));
}

#[test]
fn a_deposit_over_tcp_is_a_flow_and_no_profit() {
    let (_world, got, expected) =
        run(Options { scenario: "deposit", road: Road::Tcp, ..Options::default() });
    compare(&expected, &got, "kraken-spot");
}

#[test]
fn a_withdrawal_over_hybrid_vsock_is_a_flow_and_no_loss() {
    let (_world, got, expected) =
        run(Options { scenario: "withdrawal", road: Road::Hybrid, ..Options::default() });
    compare(&expected, &got, "coinbase");
}

#[test]
fn a_deposit_over_the_kernels_vsock_is_a_flow_and_no_profit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(reason) = runtime.block_on(transport::probe::vsock_loopback(5999)) {
        transport::probe::skip("flow over vsock", &reason).unwrap();
        return;
    }
    let (_world, got, expected) =
        run(Options { scenario: "deposit", road: Road::Vsock, ..Options::default() });
    compare(&expected, &got, "kraken-spot");
}

/// What the wire of a spot account cannot carry: nothing of these scenarios.
const NOT_CARRIED: [&str; 0] = [];

/// Tolerances: money 1e-6, ratios 1e-9, or 1e-12 of the value.
fn compare(expected: &Value, got: &Value, account: &str) {
    let mut differ = Vec::new();
    walk(expected, got, "", account, &mut differ);
    assert!(differ.is_empty(), "{differ:#?}");
}

fn walk(expected: &Value, got: &Value, path: &str, account: &str, differ: &mut Vec<String>) {
    if NOT_CARRIED.contains(&path) {
        return;
    }
    match expected {
        Value::Object(fields) => {
            for (key, value) in fields {
                // The account is called what it is connected as.
                let name = if key == account { "binance-spot" } else { key.as_str() };
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match got.get(name) {
                    Some(found) => walk(value, found, &below, account, differ),
                    None => differ.push(format!("{below}: missing")),
                }
            }
        }
        Value::Array(items) => {
            let found = got.as_array().map(Vec::as_slice).unwrap_or_default();
            if items.len() != found.len() {
                differ.push(format!("{path}: {} of {}", found.len(), items.len()));
            }
            for (index, (item, found)) in items.iter().zip(found).enumerate() {
                walk(item, found, &format!("{path}[{index}]"), account, differ);
            }
        }
        _ if expected == got => {}
        Value::String(text) => {
            let numbers =
                text.parse::<Decimal>().ok().zip(got.as_str().and_then(|found| found.parse().ok()));
            let close = numbers.is_some_and(|(wanted, found): (Decimal, Decimal)| {
                (wanted - found).abs() <= tolerance(path).max(wanted.abs() * Decimal::new(1, 12))
            });
            if !close {
                differ.push(format!("{path}: expected {expected}, got {got}"));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            differ.push(format!("{path}: expected {expected}, got {got}"));
        }
    }
}

fn tolerance(path: &str) -> Decimal {
    let ratio = ["returns.", "risk.", "quality.coverage", "fees.rate_bps", "activity.turnover"];
    if path != "returns.gain" && ratio.iter().any(|prefix| path.starts_with(prefix)) {
        Decimal::new(1, 9)
    } else {
        Decimal::new(1, 6)
    }
}
