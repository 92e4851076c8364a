//! A failed step ends with exit 3, names the step, and nothing is sent after it; a key that may
//! do more than read ends with exit 4 and the permission's name.
//!
//! The enclaves here are false: their TLS, their security module and its signatures are real, and
//! each tells one lie. So what is shown is the customer's check and nothing that the enclave does.

use std::fs;
use std::process::Command;
use std::time::Duration;

use e2e::fake::{DEPLOYMENT, Fake, Identity, Story, measured};
use e2e::wire::{ALERT_LEN, Tap, application_records};
use e2e::world::{Options, Ran, Road, World, secret_file};
use e2e::{simulator, tls::Tls};
use enclave_app::nsm::simulated::Measured;
use protocol::measurements::Measurements;
use protocol::user_data::Purpose;

/// A customer in front of a false enclave, with a tap between them.
struct Scene {
    dir: tempfile::TempDir,
    fake: Fake,
    tap: Tap,
}

impl Scene {
    fn set(story: impl FnOnce(&Identity) -> Story) -> Self {
        let identity = Identity::new();
        let story = story(&identity);
        let root = story.root();
        Self::with(&identity, &root, move |path| story.answer(path))
    }

    fn with(
        identity: &Identity,
        root: &[u8],
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Fake::start(identity, answer);
        let tap = Tap::start(fake.addr);
        let Measured { pcr0, pcr1, pcr2 } = measured();
        let expected = Measurements::new("0.1.0".into(), true, [pcr0, pcr1, pcr2]);
        fs::write(dir.path().join("measurements.json"), expected.to_json()).unwrap();
        fs::write(dir.path().join("root.der"), root).unwrap();
        let scene = Self { dir, fake, tap };
        let accounts = r#"{"accounts":[{"label":"main","venue":"binance","market":"spot","credentials":
            {"api_key":"APIKEYCANARY","api_secret":"APISECRETCANARY"}}]}"#;
        secret_file(&scene.dir.path().join("accounts.json"), accounts.as_bytes());
        scene.run(&["keygen", "--out", "portfolio.key"]).succeeded();
        scene
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(simulator("perfagg"));
        Ran(command.current_dir(self.dir.path()).args(args).output().unwrap())
    }

    fn connect(&self) -> Ran {
        let url = format!("https://{}", self.tap.addr);
        self.run(&[
            "connect",
            "--url",
            &url,
            "--measurements",
            "measurements.json",
            "--root",
            "root.der",
            "--accounts",
            "accounts.json",
            "--portfolio-key",
            "portfolio.key",
            "--session-file",
            "session.json",
        ])
    }

    /// The customer ends with exit 3, names the step, and says nothing more.
    #[track_caller]
    fn is_refused_at(&self, step: &str) {
        let ran = self.connect().failed_with(3);
        assert!(ran.err().contains(step), "{step}: {}", ran.err());
        assert!(ran.err().contains("help: "), "{}", ran.err());
        assert!(!self.dir.path().join("session.json").exists());
        let heard = self.fake.heard();
        assert!(heard.starts_with("GET /attestation?nonce="), "{heard}");
        assert_eq!(heard.matches("HTTP/1.1").count(), 1, "one request: {heard}");
        assert!(heard.ends_with("\r\n\r\n"), "and nothing after it: {heard}");
        said_nothing_more(&self.tap);
    }
}

/// On the recorded wire, too: after the answer at most a goodbye, which TLS 1.3 hides in an
/// application-data record of a length of its own.
#[track_caller]
fn said_nothing_more(tap: &Tap) {
    let recorded = tap.recorded();
    assert_eq!(recorded.len(), 1, "one connection");
    let after = application_records(recorded[0].after_the_answer());
    assert!(after.is_empty() || after == [ALERT_LEN], "{after:?}");
    // Its end of the handshake, one request, one goodbye.
    let all = application_records(&recorded[0].to_server);
    assert!((2..=3).contains(&all.len()), "{all:?}");
}

#[test]
fn an_honest_enclave_is_sent_the_envelope() {
    // The control of everything below: with nothing to refuse, more is sent, and it is seen.
    let scene = Scene::set(Story::honest);
    let ran = scene.connect();
    let heard = scene.fake.heard();
    assert!(heard.contains("POST /v1/sessions HTTP/1.1"), "{heard}{}", ran.err());
    assert!(!heard.contains("CANARY"), "sealed");
    let recorded = scene.tap.recorded();
    let all = application_records(&recorded[0].to_server);
    assert!(all.get(2).is_some_and(|length| *length > ALERT_LEN), "{all:?}");
}

#[test]
fn another_measurement_is_refused() {
    let other = || Measured::of(&b"another program"[..], b"the expected configuration").unwrap();
    Scene::set(|id| Story::told(id, other(), DEPLOYMENT, Duration::ZERO)).is_refused_at("step 30");
}

#[test]
fn a_debug_document_is_refused() {
    let zeros = Measured { pcr0: [0; 48], pcr1: [0; 48], pcr2: [0; 48] };
    Scene::set(|id| Story::told(id, zeros, DEPLOYMENT, Duration::ZERO)).is_refused_at("step 31");
}

#[test]
fn another_nonce_is_refused() {
    Scene::set(|id| Story { nonce: |_| Some(vec![7; 32]), ..Story::honest(id) })
        .is_refused_at("step 32");
}

#[test]
fn a_missing_nonce_is_refused() {
    Scene::set(|id| Story { nonce: |_| None, ..Story::honest(id) }).is_refused_at("step 32");
}

#[test]
fn a_stale_document_is_refused() {
    let age = Duration::from_mins(4);
    Scene::set(|id| Story::told(id, measured(), DEPLOYMENT, age)).is_refused_at("step 34");
}

#[test]
fn a_document_of_an_expired_certificate_is_refused() {
    let age = Duration::from_hours(5);
    Scene::set(|id| Story::told(id, measured(), DEPLOYMENT, age)).is_refused_at("step 25");
}

#[test]
fn a_tls_key_that_is_not_in_the_document_is_refused() {
    Scene::set(|id| Story { tls_spki_sha256: [9; 32], ..Story::honest(id) })
        .is_refused_at("TLS key");
}

#[test]
fn another_root_is_refused() {
    let identity = Identity::new();
    let other = Story::honest(&identity);
    let root = Story::honest(&identity).root();
    Scene::with(&identity, &root, move |path| other.answer(path)).is_refused_at("step 22");
}

#[test]
fn a_document_that_nobody_signed_is_refused() {
    fn last_byte(mut document: Vec<u8>) -> Vec<u8> {
        *document.last_mut().unwrap() ^= 1;
        document
    }
    Scene::set(|id| Story { document: last_byte, ..Story::honest(id) }).is_refused_at("step 8");
}

#[test]
fn a_document_made_for_a_report_is_refused() {
    Scene::set(|id| Story { purpose: Purpose::Report, ..Story::honest(id) })
        .is_refused_at("purpose");
}

#[test]
fn a_key_beside_the_document_is_refused() {
    Scene::set(|id| Story { other_x25519: Some([5; 32]), ..Story::honest(id) })
        .is_refused_at("step 33");
}

#[test]
fn a_configuration_that_is_not_the_documents_is_refused() {
    let other = DEPLOYMENT.replace("200", "100").into_bytes();
    Scene::set(|id| Story { hashed_deployment: other, ..Story::honest(id) })
        .is_refused_at("step 33");
    let other = DEPLOYMENT.replace("200", "100").into_bytes();
    Scene::set(|id| Story {
        hashed_deployment: other.clone(),
        deployment: other,
        ..Story::honest(id)
    })
    .is_refused_at("PCR16");
}

#[test]
fn a_configuration_that_widens_trust_is_refused() {
    for widened in ["allow_trading_keys", "operator_can_read"] {
        let given = format!("\"{widened}\": false");
        assert!(DEPLOYMENT.contains(&given));
        let deployment = DEPLOYMENT.replace(&given, &format!("\"{widened}\": true"));
        Scene::set(|id| Story::told(id, measured(), &deployment, Duration::ZERO))
            .is_refused_at(widened);
    }
}

#[test]
fn an_answer_that_is_no_document_is_refused() {
    let identity = Identity::new();
    let root = Story::honest(&identity).root();
    for answer in ["", "{}", "not json", r#"{"document":"","key_bundle":{}}"#] {
        Scene::with(&identity, &root, move |_| answer.as_bytes().to_vec())
            .is_refused_at("attestation document");
    }
}

#[test]
fn somebody_between_the_customer_and_the_real_enclave_is_refused() {
    let world = World::start(Options { road: Road::Tcp, ..Options::default() });
    let identity = Identity::new();
    let service = world.service;
    // Everything is genuine and fresh but the TLS key.
    let between =
        Fake::start(&identity, move |path| Tls::open(service).ask("GET", path, &[], b"").body);
    let tap = Tap::start(between.addr);
    world.perfagg(&["keygen", "--out", "portfolio.key"]).succeeded();
    let ran = world.connect_at(tap.addr).failed_with(3);
    assert!(ran.err().contains("TLS key"), "{}", ran.err());
    assert_eq!(between.heard().matches("HTTP/1.1").count(), 1, "{}", between.heard());
    said_nothing_more(&tap);
    world.connect().succeeded();
}

#[test]
fn a_configuration_that_is_not_the_pinned_one_is_refused() {
    let world = World::start(Options::default());
    let (right, wrong) = (world.deployment_sha256(), "00".repeat(32));
    let ran = world.at_service(&["attest", "--deployment-sha256", &wrong]).failed_with(3);
    assert!(ran.err().contains("step 33"), "{}", ran.err());
    world.at_service(&["attest", "--deployment-sha256", &right]).succeeded();
}

#[test]
fn a_key_that_may_do_more_than_read_is_refused_and_the_permission_named() {
    let world = World::start(Options::default());
    for (permissions, named) in [
        ("read,trade", "enableSpotAndMarginTrading"),
        ("read,withdraw", "enableWithdrawals"),
        ("read,internal-transfer", "enableInternalTransfer"),
        ("read,universal-transfer", "permitsUniversalTransfer"),
        ("read,margin", "enableMargin"),
        ("read,futures", "enableFutures"),
        ("read,enableSomethingNew", "enableSomethingNew"),
    ] {
        world.permit(permissions);
        let ran = world.connect().failed_with(4);
        assert!(ran.err().contains(named), "{permissions}: {}", ran.err());
        assert!(ran.err().contains("remove") && ran.err().contains("main"), "{}", ran.err());
        assert!(!world.path("session.json").exists());
    }
    world.permit("read");
    world.connect().succeeded();
}
