//! Documents that AWS signed, each with its origin beside it: they verify at their own time and
//! at no time outside their chain's.

#![cfg(feature = "conformance")]
#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop its test")]

use std::fs;
use std::path::Path;

use protocol::attestation::internal::{Demands, aws_root, verify};
use protocol::attestation::{AttestationError, ChainCache};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Guards against a folder that quietly holds nothing.
const DOCUMENTS: usize = 15;
const NOW: i64 = 1_795_000_000;

struct Real {
    name: String,
    document: Vec<u8>,
    facts: Value,
}

impl Real {
    fn time(&self, key: &str) -> i64 {
        self.facts[key].as_i64().unwrap()
    }
}

fn all() -> Vec<Real> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attestation/real");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "cose") {
            let facts = fs::read(path.with_extension("json")).unwrap();
            found.push(Real {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                document: fs::read(&path).unwrap(),
                facts: serde_json::from_slice(&facts).unwrap(),
            });
        }
    }
    assert_eq!(found.len(), DOCUMENTS);
    found
}

fn at(real: &Real, time: i64) -> Result<(), AttestationError> {
    verify(&real.document, aws_root(), time, None, &mut ChainCache::new(0))
}

#[test]
fn root_is_the_published_one() {
    assert_eq!(
        protocol::encoding::to_hex(&Sha256::digest(aws_root())),
        "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
    );
}

#[test]
fn genuine_documents_verify_at_their_own_time_only() {
    for real in all() {
        assert_eq!(at(&real, real.time("verify_at_unix")), Ok(()), "{}", real.name);
        assert_eq!(at(&real, real.time("chain_valid_from")), Ok(()), "{}", real.name);
        assert_eq!(at(&real, real.time("chain_valid_to")), Ok(()), "{}", real.name);
        for time in
            [real.time("chain_valid_from") - 1, real.time("chain_valid_to") + 1, NOW, 0, i64::MAX]
        {
            assert_eq!(at(&real, time), Err(AttestationError::Validity), "{}", real.name);
        }
    }
}

#[test]
fn policy_sees_what_the_document_says() {
    for real in all() {
        let time = real.time("verify_at_unix");
        let check = |demands: &Demands<'_>| {
            verify(&real.document, aws_root(), time, Some(demands), &mut ChainCache::new(0))
        };
        let debug = real.facts["debug_mode"].as_bool().unwrap();
        let expected = if debug { Err(AttestationError::Debug) } else { Ok(()) };
        assert_eq!(
            check(&Demands { max_clock_skew_s: 5, ..Demands::default() }),
            expected,
            "{}",
            real.name
        );

        let pcr0 = protocol::encoding::from_hex(real.facts["pcrs"]["0"].as_str().unwrap()).unwrap();
        let mut demands = Demands {
            pcrs: vec![(0, &pcr0)],
            allow_debug: true,
            max_age_s: Some(24 * 60 * 60),
            max_clock_skew_s: 5,
            ..Demands::default()
        };
        assert_eq!(check(&demands), Ok(()), "{}", real.name);
        demands.pcrs = vec![(0, &pcr0[1..])];
        assert_eq!(check(&demands), Err(AttestationError::Pcr { index: 0 }));
        demands.pcrs = vec![];
        demands.nonce = Some(b"not that one");
        assert_eq!(check(&demands), Err(AttestationError::Nonce), "{}", real.name);
    }
}

#[test]
fn cached_chain_gives_the_same_verdicts() {
    let mut cache = ChainCache::new(4);
    for _ in 0..2 {
        for real in all() {
            let time = real.time("verify_at_unix");
            let verdict = verify(&real.document, aws_root(), time, None, &mut cache);
            assert_eq!(verdict, Ok(()), "{}", real.name);
            let late = real.time("chain_valid_to") + 1;
            let verdict = verify(&real.document, aws_root(), late, None, &mut cache);
            assert_eq!(verdict, Err(AttestationError::Validity), "{}", real.name);
        }
    }
}

#[cfg(feature = "portable")]
#[test]
fn portable_curve_gives_the_same_verdicts() {
    for real in all() {
        let time = real.time("verify_at_unix");
        let portable = protocol::attestation::internal::verify_portable;
        assert_eq!(portable(&real.document, aws_root(), time, None), Ok(()), "{}", real.name);
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let real = all().into_iter().max_by_key(|real| real.time("verify_at_unix")).unwrap();
    let time = real.time("verify_at_unix");
    // Every byte of the envelope's ends, and a spread over the middle.
    let len = real.document.len();
    for index in (0..len).filter(|index| *index < 64 || *index + 110 > len || index % 37 == 0) {
        let mut document = real.document.clone();
        document[index] ^= 0x01;
        let verdict = verify(&document, aws_root(), time, None, &mut ChainCache::new(0));
        assert!(verdict.is_err(), "byte {index} of {len}");
    }
    for cut in (0..len).step_by(7) {
        let verdict =
            verify(&real.document[..cut], aws_root(), time, None, &mut ChainCache::new(0));
        assert!(verdict.is_err(), "cut at {cut}");
    }
}
