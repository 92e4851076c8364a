//! `report.json` has one encoding, and every other byte is refused.

use std::fs;

use client::service::Demands;
use client::verify;
use e2e::world::{Options, World};
use protocol::attestation::Root;
use protocol::key_bundle::DeploymentRule;
use protocol::measurements::Measurements;

#[test]
fn every_changed_byte_of_a_report_is_refused() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    world.report("2026-01-15T08:10:00Z").succeeded();
    let bytes = fs::read(world.path("report.json")).unwrap();
    let demands = Demands {
        measurements: Measurements::from_json(&fs::read(world.path("measurements.json")).unwrap())
            .unwrap(),
        deployment: DeploymentRule::Default,
        root: Root::simulated(fs::read(world.path("root.der")).unwrap()),
    };
    assert!(verify::report(&bytes, &demands).is_ok());
    // Each byte to its neighbour, its other case, a space and a digit; in the gate every 11th in
    // the middle.
    let step = if e2e::full() { 1 } else { 11 };
    let edges =
        |index: usize| index < 400 || index + 400 > bytes.len() || index.is_multiple_of(step);
    for index in (0..bytes.len()).filter(|index| edges(*index)) {
        for change in [1_u8, 0x20, 0x10, 0x41] {
            let mut changed = bytes.clone();
            changed[index] ^= change;
            let error = verify::report(&changed, &demands).unwrap_err();
            assert_eq!(error.exit_code(), 3, "byte {index} ^ {change:#x}");
        }
    }

    let pretty: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    for (name, changed) in [
        ("newline.json", [bytes.as_slice(), b"\n"].concat()),
        ("space.json", [b" ".as_slice(), &bytes].concat()),
        ("pretty.json", serde_json::to_vec_pretty(&pretty).unwrap()),
        ("cut.json", bytes[..bytes.len() - 1].to_vec()),
        ("empty.json", Vec::new()),
        ("words.json", b"not json".to_vec()),
    ] {
        fs::write(world.path(name), changed).unwrap();
        let args = ["verify", name, "--measurements", "measurements.json", "--root", "root.der"];
        world.perfagg(&args).failed_with(3);
    }
}

#[test]
fn a_page_is_made_of_a_verified_report_alone() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    world.report("2026-01-15T08:10:00Z").succeeded();
    let verify = |report: &str, page: &str| {
        let args = ["verify", report, "--measurements", "measurements.json", "--root", "root.der"];
        world.perfagg(&[args.as_slice(), &["--html", page]].concat())
    };
    verify("report.json", "sheet.html").succeeded();
    let page = fs::read_to_string(world.path("sheet.html")).unwrap();
    let report = fs::read_to_string(world.path("report.json")).unwrap();
    assert!(
        page.contains(&format!("id=\"report\">{report}</script>")),
        "the report, byte for byte"
    );
    assert!(page.contains("SIMULATED"));
    assert!(!page.contains("Verified"), "a simulated report has no badge");
    assert!(page.contains("data-day=\"2026-01-15\""), "the signed series");

    // A page may be made again, and nothing else is replaced.
    verify("report.json", "sheet.html").succeeded();
    fs::write(world.path("letter.html"), "<!DOCTYPE html><p>a letter").unwrap();
    verify("report.json", "letter.html").failed_with(2);
    let changed = report.replacen("\"sig\":\"", "\"sig\":\"A", 1);
    fs::write(world.path("changed.json"), changed).unwrap();
    verify("changed.json", "none.html").failed_with(3);
    assert!(!world.path("none.html").exists());
}
