//! Release programs hold nothing of the simulator, and refuse what it signs.

use std::fs;
use std::process::Command;

use e2e::world::{Options, World};
use e2e::{release, root, simulator};

const MARKER: &[u8] = b"performance-aggregator simulated security module";

#[test]
fn the_marker_is_in_the_simulator_build_alone() {
    let holds = |path| memchr::memmem::find(&fs::read(path).unwrap(), MARKER).is_some();
    assert!(holds(simulator("enclave-app")));
    assert!(!holds(release("enclave-app")));
}

#[test]
fn the_release_tree_has_no_simulator_feature() {
    let tree = |of: &[&str]| {
        let out = Command::new("cargo")
            .current_dir(root())
            .args(["tree", "--offline", "--locked", "-e", "features"])
            .args(of)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).contains("simulator")
    };
    assert!(!tree(&["-p", "enclave-app", "--no-default-features"]));
    assert!(tree(&["-p", "e2e"]), "the search finds what is there");
}

#[test]
fn a_release_enclave_refuses_every_test_switch_by_name() {
    for switch in [
        "MOCK_ENCLAVE",
        "MOCK_EXCHANGES",
        "SKIP_ATTESTATION",
        "TEST_PRIVATE_KEYS",
        "ENABLE_CRYPTO_TESTING",
        "MOCK_EXCHANGE_RESPONSES",
    ] {
        let out = Command::new(release("enclave-app"))
            .env(switch, "1")
            .args(["--listen", "tcp://127.0.0.1:1", "--health-listen", "tcp://127.0.0.1:1"])
            .args(["--egress", "tcp://127.0.0.1:1", "--image-config", "enclave-app/image.toml"])
            .current_dir(root())
            .output()
            .unwrap();
        assert_eq!(out.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&out.stderr).contains(switch));
    }
}

#[test]
fn release_perfagg_knows_no_other_root_and_refuses_a_simulated_enclave() {
    let world = World::start(Options::default());
    let url = format!("https://{}", world.service);
    let run = |args: &[&str]| {
        Command::new(release("perfagg")).current_dir(world.dir.path()).args(args).output().unwrap()
    };
    let attest = ["attest", "--url", &url, "--measurements", "measurements.json"];
    let out = run(&attest);
    assert_eq!(out.status.code(), Some(3), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stderr).contains("step 22"));
    let out = run(&[attest.as_slice(), &["--root", "root.der"]].concat());
    assert_eq!(out.status.code(), Some(2));
}
