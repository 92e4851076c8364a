//! Documents that break one rule each, and accepted ones at the edges of the same rules, written
//! by other code than ours (`attestation/README.md`); and whatever chance makes of a genuine one.

#![cfg(all(feature = "conformance", feature = "portable"))]
#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use protocol::attestation::internal::{Demands, aws_root, verify, verify_portable};
use protocol::attestation::{AttestationError, ChainCache};
use protocol::encoding::{from_base64, from_hex};
use serde_json::Value;

/// Guards against a file that quietly holds less.
const REFUSED: usize = 573;
const ACCEPTED: usize = 94;
/// Skew of a policy that names none, in seconds.
const CLOCK_SKEW_S: u64 = 5;

struct Case {
    id: String,
    document: Vec<u8>,
    root: Vec<u8>,
    at_unix: i64,
    policy: Option<Policy>,
    step: Option<u8>,
}

#[derive(Default)]
struct Policy {
    pcrs: Vec<(u8, Vec<u8>)>,
    nonce: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    allow_debug: bool,
    max_age_s: Option<u64>,
    max_clock_skew_s: Option<u64>,
}

impl Policy {
    fn read(policy: &Value) -> Self {
        let bytes = |value: &Value| value.as_str().map(|text| from_hex(text).unwrap());
        let pcrs = policy["pcrs"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(index, value)| (index.parse().unwrap_or(u8::MAX), bytes(value).unwrap()));
        Self {
            pcrs: pcrs.collect(),
            nonce: bytes(&policy["nonce"]),
            user_data: bytes(&policy["user_data"]),
            allow_debug: policy["allow_debug"].as_bool().unwrap_or(false),
            max_age_s: policy["max_age_s"].as_u64(),
            max_clock_skew_s: policy["max_clock_skew_s"].as_u64(),
        }
    }

    fn demands(&self) -> Demands<'_> {
        Demands {
            pcrs: self.pcrs.iter().map(|(index, pcr)| (*index, pcr.as_slice())).collect(),
            nonce: self.nonce.as_deref(),
            user_data: self.user_data.as_deref(),
            allow_debug: self.allow_debug,
            max_age_s: self.max_age_s,
            max_clock_skew_s: self.max_clock_skew_s.unwrap_or(CLOCK_SKEW_S),
        }
    }
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attestation"))
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(folder().join("refused.jsonl")).unwrap();
    let mut parts = BTreeMap::new();
    let mut cases = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if let Some(name) = line["part"].as_str() {
            parts.insert(name.to_owned(), from_base64(line["bytes"].as_str().unwrap()).unwrap());
            continue;
        }
        let join = |pieces: &Value| {
            let pieces = pieces.as_array().unwrap().iter().map(|piece| piece.as_str().unwrap());
            pieces.fold(Vec::new(), |mut whole, piece| {
                match piece.strip_prefix('@') {
                    Some(name) => whole.extend_from_slice(&parts[name]),
                    None => whole.extend(from_base64(piece).unwrap()),
                }
                whole
            })
        };
        cases.push(Case {
            id: line["id"].as_str().unwrap().to_owned(),
            document: join(&line["document"]),
            root: join(&line["root"]),
            at_unix: line["at_unix"].as_i64().unwrap(),
            policy: line["policy"].is_object().then(|| Policy::read(&line["policy"])),
            step: line["step"].as_u64().map(|step| step.try_into().unwrap()),
        });
    }
    cases
}

/// Asks about each case and compares the step, so that one run names every difference.
fn compare(ask: impl Fn(&Case, Option<&Demands<'_>>) -> Result<(), AttestationError>) {
    let differences: Vec<_> = cases()
        .iter()
        .filter_map(|case| {
            let demands = case.policy.as_ref().map(Policy::demands);
            let step = ask(case, demands.as_ref()).err().map(AttestationError::step);
            (step != case.step).then(|| format!("{}: {step:?}, not {:?}", case.id, case.step))
        })
        .collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn every_rule_has_its_cases() {
    let cases = cases();
    let steps: BTreeSet<_> = cases.iter().filter_map(|case| case.step).collect();
    // No document can break 29: no revocation list is consulted.
    assert_eq!(steps, (1..=35).filter(|step| *step != 29).collect());
    assert_eq!(cases.iter().filter(|case| case.step.is_some()).count(), REFUSED);
    assert_eq!(cases.iter().filter(|case| case.step.is_none()).count(), ACCEPTED);
    let ids: BTreeSet<_> = cases.iter().map(|case| &case.id).collect();
    assert_eq!(ids.len(), cases.len());
}

#[test]
fn the_document_for_strangers_has_every_step() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.md");
    let text = fs::read_to_string(path).unwrap();
    let (steps, _) = text.split_once("\n## Constants\n").unwrap();
    let number = |line: &str| line.split_once(". ")?.0.parse::<u8>().ok();
    assert!(steps.lines().filter_map(number).eq(1..=35));
}

#[test]
fn every_document_is_refused_for_its_rule_and_no_other() {
    compare(|case, demands| {
        verify(&case.document, &case.root, case.at_unix, demands, &mut ChainCache::new(0))
    });
}

#[test]
fn portable_curve_refuses_the_same() {
    compare(|case, demands| verify_portable(&case.document, &case.root, case.at_unix, demands));
}

#[test]
fn a_warm_cache_refuses_the_same() {
    let mut cache = ChainCache::new(64);
    for case in cases().iter().filter(|case| case.step.is_none()) {
        let demands = case.policy.as_ref().map(Policy::demands);
        let verdict =
            verify(&case.document, &case.root, case.at_unix, demands.as_ref(), &mut cache);
        assert_eq!(verdict, Ok(()), "{}", case.id);
    }
    let cache = cache;
    compare(|case, demands| {
        verify(&case.document, &case.root, case.at_unix, demands, &mut cache.clone())
    });
}

struct Original {
    document: Vec<u8>,
    root: Vec<u8>,
    at_unix: i64,
}

/// A genuine document, and a shorter one.
static ORIGINALS: LazyLock<[Original; 2]> = LazyLock::new(|| {
    let document = fs::read(folder().join("real/2026-02-06_1ad417fab6ed.cose")).unwrap();
    let genuine = Original { document, root: aws_root().to_vec(), at_unix: 1_770_366_258 };
    let Case { document, root, at_unix, .. } = cases().into_iter().next().unwrap();
    [genuine, Original { document, root, at_unix }]
});

#[derive(Clone, Debug)]
enum Change {
    Flip { at: prop::sample::Index, mask: u8 },
    Set { at: prop::sample::Index, byte: u8 },
    Cut { at: prop::sample::Index },
    Remove { at: prop::sample::Index, len: usize },
    Insert { at: prop::sample::Index, bytes: Vec<u8> },
    Repeat { from: prop::sample::Index, len: usize, at: prop::sample::Index },
}

fn change() -> impl Strategy<Value = Change> {
    use prop::sample::Index;
    prop_oneof![
        4 => (any::<Index>(), 1..=u8::MAX).prop_map(|(at, mask)| Change::Flip { at, mask }),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set { at, byte }),
        1 => any::<Index>().prop_map(|at| Change::Cut { at }),
        2 => (any::<Index>(), 1..64_usize).prop_map(|(at, len)| Change::Remove { at, len }),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..64))
            .prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        2 => (any::<Index>(), 1..512_usize, any::<Index>())
            .prop_map(|(from, len, at)| Change::Repeat { from, len, at }),
    ]
}

fn apply(document: &mut Vec<u8>, change: Change) {
    if document.is_empty() {
        return;
    }
    let len = document.len();
    let end = |start: usize, wanted: usize| start.saturating_add(wanted).min(len);
    match change {
        Change::Flip { at, mask } => document[at.index(len)] ^= mask,
        Change::Set { at, byte } => document[at.index(len)] = byte,
        Change::Cut { at } => document.truncate(at.index(len)),
        Change::Remove { at, len: wanted } => {
            let start = at.index(len);
            document.drain(start..end(start, wanted));
        }
        Change::Insert { at, bytes } => {
            let start = at.index(len);
            document.splice(start..start, bytes);
        }
        Change::Repeat { from, len: wanted, at } => {
            let from = from.index(len);
            let copy = document[from..end(from, wanted)].to_vec();
            let start = at.index(len);
            document.splice(start..start, copy);
        }
    }
}

/// The one thing that is not signed and may differ is the tag.
fn untagged(document: &[u8]) -> &[u8] {
    document.strip_prefix(&[0xd2]).unwrap_or(document)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_changed_document_verifies(
        which in 0..2_usize,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let original = &ORIGINALS[which];
        let mut document = original.document.clone();
        for change in changes {
            apply(&mut document, change);
        }
        let mut cache = ChainCache::new(0);
        let verdict = verify(&document, &original.root, original.at_unix, None, &mut cache);
        let same = untagged(&document) == untagged(&original.document);
        prop_assert_eq!(verdict.is_ok(), same);
    }

    #[test]
    fn no_string_of_bytes_verifies(document in prop::collection::vec(any::<u8>(), 0..2048)) {
        let verdict = verify(&document, aws_root(), 0, None, &mut ChainCache::new(0));
        prop_assert!(verdict.is_err());
    }
}
