//! Claims: signed where bounds are kept and where they are not, counted, and never off the grid.

use std::fs;

use e2e::world::{Options, Ran, World};
use serde_json::Value;

fn claim(world: &World, extra: &[&str], predicates: &[&str]) -> Ran {
    let mut args = vec!["claim"];
    args.extend(predicates);
    args.extend(["--session-file", "session.json"]);
    for (option, usual) in [("--out", "claim.json"), ("--portfolio-key", "portfolio.key")] {
        if !extra.contains(&option) {
            args.extend([option, usual]);
        }
    }
    args.extend(extra);
    world.perfagg(&args)
}

/// What the verified claim says, as `perfagg verify --json` prints it.
fn verified(world: &World) -> Value {
    let args = [
        "--json",
        "verify",
        "claim.json",
        "--measurements",
        "measurements.json",
        "--root",
        "root.der",
    ];
    let said: Value = serde_json::from_str(&world.perfagg(&args).succeeded().out()).unwrap();
    assert_eq!(said["verified"], true);
    said["payload"].clone()
}

fn truths(payload: &Value) -> Vec<bool> {
    let predicates = payload["predicates"].as_array().unwrap().iter();
    predicates.map(|predicate| predicate["holds"].as_bool().unwrap()).collect()
}

#[test]
fn a_claim_says_which_bounds_are_kept_and_nothing_of_the_metrics() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    // The end: from here on the clock stands still, and no poll is due that is not made.
    world.report("2026-01-15T09:40:00Z").succeeded();
    let report: Value =
        serde_json::from_slice(&fs::read(world.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["v"], 1);

    claim(&world, &[], &["twr >= -0.50", "twr >= 9"]).succeeded();
    let first = verified(&world);
    assert_eq!(truths(&first), [true, false]);
    assert_eq!(
        (first["asked"].as_str(), first["predicates_before"].as_u64()),
        (Some("all"), Some(0))
    );
    let fields: Vec<&str> = first.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "asked",
            "base_currency",
            "coverage",
            "coverage_min",
            "issued_at",
            "period",
            "portfolio_id",
            "portfolio_key",
            "predicates",
            "predicates_before",
            "release",
            "schema",
            "simulated",
        ]
    );

    claim(&world, &[], &["max_drawdown <= 0.99"]).succeeded();
    assert_eq!(verified(&world)["predicates_before"], 2);

    // A month that has not ended, and one before the portfolio began.
    for period in ["2026-01", "2025-12", "2025"] {
        claim(&world, &["--period", period], &["twr >= 0.1"]).failed_with(4);
    }
    // Nothing was judged, so nothing was counted.
    claim(&world, &[], &["twr >= 0", "twr <= 1", "volatility <= 1"]).succeeded();
    assert_eq!(verified(&world)["predicates_before"], 3);

    // Eight in a month.
    let used_up = claim(&world, &[], &["twr >= 0", "twr <= 1", "volatility <= 1"]).failed_with(4);
    assert!(used_up.err().contains("no more predicates"), "{}", used_up.err());
    claim(&world, &[], &["twr >= 0", "twr <= 1"]).succeeded();
    assert_eq!(verified(&world)["predicates_before"], 6);
    claim(&world, &[], &["twr >= 0"]).failed_with(4);
}

#[test]
fn a_claim_is_the_owners_and_on_the_grid() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    world.report("2026-01-15T09:40:00Z").succeeded();
    for predicate in ["twr >= 0.123", "gain >= 1", "twr > 0.1", "sharpe >= 1.55"] {
        claim(&world, &[], &[predicate]).failed_with(2);
    }
    world.perfagg(&["keygen", "--out", "other.key"]).succeeded();
    claim(&world, &["--portfolio-key", "other.key"], &["twr >= 0.1"]).failed_with(4);
    assert!(!world.path("claim.json").exists());

    claim(&world, &[], &["twr >= -0.5"]).succeeded();
    assert_eq!(verified(&world)["predicates_before"], 0);
    let bytes = fs::read(world.path("claim.json")).unwrap();
    let verify = |name: &str| {
        let args = ["verify", name, "--measurements", "measurements.json", "--root", "root.der"];
        world.perfagg(&args)
    };
    for at in (0..bytes.len()).step_by(bytes.len() / 23) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(world.path("changed.json"), changed).unwrap();
        verify("changed.json").failed_with(3);
    }
    // A report is no claim, and does not take a claim's place on disk.
    claim(&world, &["--out", "report.json"], &["twr >= 0.1"]).failed_with(2);
}
