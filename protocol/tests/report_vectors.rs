//! Signed reports made by another implementation, under a PKI of its own (`testkit/README.md`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken vector has to stop its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use protocol::attestation::{ExpectedPcrs, Root};
use protocol::encoding::from_base64;
use protocol::key_bundle::{DeploymentRule, KeyBundleError};
use protocol::measurements::Measurements;
use protocol::report::{
    Prepared, ReportError, ReportSigningKey, SignedReport, VerifiedReport, pae,
};
use sha2::{Digest, Sha256};

/// Guards against a glob that quietly matches nothing.
const REPORTS: usize = 92;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit/report")
}

struct Verifier {
    root: Root,
    measurements: Measurements,
}

impl Verifier {
    fn new() -> Self {
        let read = |name| fs::read(folder().join(name)).unwrap();
        Self {
            root: Root::simulated(read("root.der")),
            measurements: Measurements::from_json(&read("measurements.json")).unwrap(),
        }
    }

    fn verify(&self, report: &[u8]) -> Result<VerifiedReport, ReportError> {
        let pcrs = ExpectedPcrs { image: self.measurements.pcrs(), signer: None };
        SignedReport::parse_exact(report)?.verify(&self.root, pcrs, &DeploymentRule::Default)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no vector expects any other")]
fn name(error: &ReportError) -> String {
    match error {
        ReportError::Canonical(_) => "canonical".to_owned(),
        ReportError::PayloadType => "payload_type".to_owned(),
        ReportError::DocumentForm => "document_form".to_owned(),
        ReportError::Document(error) => format!("document {}", error.step()),
        ReportError::KeyBundle(KeyBundleError::EncryptionKey) => "encryption_key".to_owned(),
        ReportError::KeyBundle(KeyBundleError::SigningKey) => "signing_key".to_owned(),
        ReportError::KeyBundle(KeyBundleError::Deployment) => "deployment".to_owned(),
        ReportError::KeyBundle(KeyBundleError::Forbidden(what)) => format!("forbidden {what}"),
        ReportError::Signature => "signature".to_owned(),
        ReportError::Payload(_) => "payload".to_owned(),
        ReportError::Simulated => "simulated".to_owned(),
        ReportError::IssuedAt => "issued_at".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn vectors() -> BTreeMap<String, BTreeMap<String, String>> {
    let texts = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let vectors: BTreeMap<_, _> = texts
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let fields = text.lines().filter_map(|line| line.split_once(": "));
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fields)
        })
        .collect();
    assert_eq!(vectors.len(), REPORTS);
    vectors
}

#[test]
fn reports_verify_or_fail_as_another_implementation_says() {
    let verifier = Verifier::new();
    let mut wrong = Vec::new();
    for (vector, fields) in vectors() {
        let got = match verifier.verify(fields["report"].as_bytes()) {
            Ok(_) => "verifies".to_owned(),
            Err(error) => name(&error),
        };
        if got != fields["expect"] {
            let (want, comment) = (&fields["expect"], &fields["comment"]);
            wrong.push(format!("{vector}: {got}, not {want} ({comment})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_verified_report_says_what_was_signed() {
    let verified =
        Verifier::new().verify(&fs::read(folder().join("report.json")).unwrap()).unwrap();
    let payload = verified.payload();
    assert!(payload.simulated);
    assert_eq!(payload.issued_at.to_rfc3339().unwrap(), "2026-01-15T08:00:00Z");
    let twr = payload.results.get("returns").and_then(|returns| returns.get("twr"));
    assert_eq!(twr.and_then(|twr| twr.as_str()), Some("-0.015539429223"));
    assert_eq!(payload.methods["returns.twr"].id, "twr/dietz-tick/1");
    assert_eq!(verified.attestation().timestamp(), payload.issued_at);
    assert_eq!(verified.deployment().venues, ["binance"]);
}

/// The enclave's half writes the same bytes, whichever of its two signatures the document has.
#[test]
fn a_report_is_assembled_to_the_bytes_of_another_implementation() {
    let expected = fs::read(folder().join("report.json")).unwrap();
    let parsed = SignedReport::parse_exact(&expected).unwrap();
    let payload = Verifier::new().verify(&expected).unwrap().payload().clone();
    let key =
        ReportSigningKey::from_bytes(&std::array::from_fn(|n| 0x80 + u8::try_from(n).unwrap()));
    assert_eq!(key.public(), parsed.key_bundle().ed25519);

    let high_s: serde_json::Value = serde_json::from_str(&vectors()["high_s"]["report"]).unwrap();
    let high_s = from_base64(high_s["attestation"].as_str().unwrap()).unwrap();
    assert_ne!(high_s, parsed.document());
    for document in [parsed.document().to_vec(), high_s] {
        let prepared = Prepared::new(&payload).unwrap();
        assert_eq!(prepared.nonce()[..], Sha256::digest(parsed.pae())[..]);
        let report = prepared.assemble(&key, document, parsed.key_bundle().clone()).unwrap();
        assert_eq!(report, expected);
    }
    let tagged = [&[0xd2], parsed.document()].concat();
    let prepared = Prepared::new(&payload).unwrap();
    let refused = prepared.assemble(&key, tagged, parsed.key_bundle().clone());
    assert_eq!(refused, Err(ReportError::DocumentForm));
}

#[test]
fn the_signed_bytes_are_those_of_the_dsse_specification() {
    // protocol.md of the specification, "Test vectors"
    assert_eq!(
        pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
}

/// Every byte to several others: another of its kind, another case, white space.
#[test]
fn no_byte_of_a_report_can_be_changed() {
    let verifier = Verifier::new();
    let report = fs::read(folder().join("report.json")).unwrap();
    assert!(verifier.verify(&report).is_ok());
    let refuse = &|at: usize| {
        let byte = report[at];
        for other in [byte ^ 1, byte ^ 0x20, b' '] {
            if other != byte {
                let mut changed = report.clone();
                changed[at] = other;
                assert!(verifier.verify(&changed).is_err(), "byte {at}: {byte} to {other}");
            }
        }
    };
    thread::scope(|scope| {
        for worker in 0..4 {
            let mine = (worker..report.len()).step_by(4);
            scope.spawn(move || mine.for_each(refuse));
        }
    });
}

#[test]
fn nothing_can_be_added_to_or_cut_off_a_report() {
    let verifier = Verifier::new();
    let report = fs::read(folder().join("report.json")).unwrap();
    for extra in [" ", "\n", "\0", "{}"] {
        assert!(verifier.verify(&[&report, extra.as_bytes()].concat()).is_err(), "{extra:?}");
        assert!(verifier.verify(&[extra.as_bytes(), &report].concat()).is_err(), "{extra:?}");
    }
    for len in 0..report.len() {
        assert!(verifier.verify(&report[..len]).is_err(), "{len}");
    }
}
