//! The simulated module's documents, as the protocol's own verifier sees them.

use std::time::Duration;

use protocol::attestation::internal::{self, Demands};
use protocol::attestation::{AttestationError, ChainCache};
use protocol::time::UnixMillis;
use serde_cbor::Value;

use super::*;
use crate::clock::ScenarioClock;

const START: UnixMillis = UnixMillis(1_767_600_000_000);

fn module() -> (Simulated, Arc<ScenarioClock>) {
    let clock = Arc::new(ScenarioClock::unset());
    clock.set(START);
    let measured = Measured::of(&b"executable"[..], b"configuration").unwrap();
    (Simulated::new(measured, Arc::<ScenarioClock>::clone(&clock)).unwrap(), clock)
}

fn root(module: &Simulated) -> Vec<u8> {
    match module.trust_anchor() {
        TrustAnchor::Simulated(root) => root,
        TrustAnchor::Aws => panic!("not simulated"),
    }
}

/// Step of refusal, or `None`.
fn verdict(
    module: &Simulated,
    document: &[u8],
    at: UnixMillis,
    demands: &Demands<'_>,
) -> Option<u8> {
    let at_unix = i64::try_from(at.0 / 1000).unwrap();
    let root = root(module);
    let mut cache = ChainCache::new(0);
    internal::verify(document, &root, at_unix, Some(demands), &mut cache)
        .err()
        .map(AttestationError::step)
}

/// The payload's bytes and its fields.
fn payload(document: &[u8]) -> (Vec<u8>, std::collections::BTreeMap<Value, Value>) {
    let Value::Array(parts) = serde_cbor::from_slice(document).unwrap() else { panic!("array") };
    assert_eq!(parts[1], Value::Map([].into()));
    let Value::Bytes(payload) = parts[2].clone() else { panic!("payload") };
    let Value::Map(fields) = serde_cbor::from_slice(&payload).unwrap() else { panic!("map") };
    (payload, fields)
}

fn field(fields: &std::collections::BTreeMap<Value, Value>, name: &str) -> Value {
    fields[&Value::Text(name.into())].clone()
}

fn registers(document: &[u8]) -> Vec<i128> {
    let Value::Map(pcrs) = field(&payload(document).1, "pcrs") else { panic!("pcrs") };
    pcrs.keys()
        .map(|key| {
            let Value::Integer(index) = key else { panic!("{key:?}") };
            *index
        })
        .collect()
}

#[test]
fn a_document_verifies_and_has_the_form_of_todays() {
    let (module, _) = module();
    let request = AttestRequest { nonce: Some(vec![7; 32]), ..AttestRequest::default() };
    let document = module.attest(&request).unwrap();
    let demands = Demands { nonce: Some(&[7; 32]), max_age_s: Some(0), ..Demands::default() };
    assert_eq!(verdict(&module, &document, START, &demands), None);
    assert_eq!(document[0], 0x84, "untagged array of four");
    let (bytes, fields) = payload(&document);
    assert_eq!((bytes[0], bytes[bytes.len() - 1]), (0xbf, 0xff), "indefinite-length map");
    assert_eq!(fields.len(), 9);
    assert_eq!(field(&fields, "public_key"), Value::Null);
    assert_eq!(field(&fields, "user_data"), Value::Null);
    let Value::Array(cabundle) = field(&fields, "cabundle") else { panic!("cabundle") };
    assert_eq!(cabundle.len(), 4);
    assert_eq!(cabundle[0], Value::Bytes(root(&module)));
}

#[test]
fn every_document_is_fresh() {
    let (module, clock) = module();
    let first = module.attest(&AttestRequest::default()).unwrap();
    clock.set(UnixMillis(START.0 + 1000));
    let second = module.attest(&AttestRequest::default()).unwrap();
    assert_ne!(first, second);
    let at = |document: &[u8]| field(&payload(document).1, "timestamp");
    assert_eq!(at(&first), Value::Integer(START.0.into()));
    assert_eq!(at(&second), Value::Integer(i128::from(START.0) + 1000));
}

#[test]
fn a_document_is_refused_under_another_modules_root() {
    let (other, _) = module();
    let (module, _) = module();
    let document = module.attest(&AttestRequest::default()).unwrap();
    assert_eq!(verdict(&other, &document, START, &Demands::default()), Some(22));
    let at = i64::try_from(START.0 / 1000).unwrap();
    let mut cache = ChainCache::new(0);
    let aws = internal::verify(&document, internal::aws_root(), at, None, &mut cache);
    assert_eq!(aws.unwrap_err().step(), 22);
}

#[test]
fn chains_are_renewed_as_the_clock_moves_and_old_documents_expire() {
    let (module, clock) = module();
    let first = module.attest(&AttestRequest::default()).unwrap();
    let mut now = START;
    for _ in 0..100 {
        now = now.saturating_add(Duration::from_hours(7));
        clock.set(now);
        let document = module.attest(&AttestRequest::default()).unwrap();
        let demands = Demands { max_age_s: Some(1), ..Demands::default() };
        assert_eq!(verdict(&module, &document, now, &demands), None);
    }
    assert_eq!(verdict(&module, &first, now, &Demands::default()), Some(25));
    // The leaf lives for three hours, less what it was backdated.
    let nearly = START.saturating_add(Duration::from_mins(178));
    assert_eq!(verdict(&module, &first, nearly, &Demands::default()), None);
    let over = START.saturating_add(Duration::from_mins(181));
    assert_eq!(verdict(&module, &first, over, &Demands::default()), Some(25));
}

#[test]
fn within_one_chains_life_the_chain_is_the_same() {
    let (module, clock) = module();
    let chain = |document: &[u8]| field(&payload(document).1, "cabundle");
    let first = module.attest(&AttestRequest::default()).unwrap();
    clock.set(START.saturating_add(Duration::from_mins(5)));
    let second = module.attest(&AttestRequest::default()).unwrap();
    assert_eq!(chain(&first), chain(&second));
}

#[test]
fn registers_measure_executable_and_configuration_apart() {
    let of = |executable: &[u8], config: &[u8]| Measured::of(executable, config).unwrap();
    let base = of(b"executable", b"configuration");
    let other_executable = of(b"executablE", b"configuration");
    let other_config = of(b"executable", b"configuratioN");
    assert_eq!(base, of(b"executable", b"configuration"));
    assert_eq!(base.pcr1, other_executable.pcr1);
    assert_ne!(base.pcr2, other_executable.pcr2);
    assert_eq!(base.pcr2, other_config.pcr2);
    assert_ne!(base.pcr1, other_config.pcr1);
    assert_ne!(base.pcr0, other_executable.pcr0);
    assert_ne!(base.pcr0, other_config.pcr0);
    // A byte moved from one to the other is seen.
    assert_ne!(of(b"ab", b"c").pcr0, of(b"a", b"bc").pcr0);

    let (module, _) = module();
    let document = module.attest(&AttestRequest::default()).unwrap();
    let demands = |pcr0| Demands { pcrs: vec![(0, pcr0)], ..Demands::default() };
    assert_eq!(verdict(&module, &document, START, &demands(&base.pcr0)), None);
    assert_eq!(verdict(&module, &document, START, &demands(&other_config.pcr0)), Some(30));
}

#[test]
fn a_document_shows_pcr16_once_it_is_extended_and_locked() {
    let (module, _) = module();
    let shown = |module: &Simulated| registers(&module.attest(&AttestRequest::default()).unwrap());
    assert_eq!(shown(&module), (0..16).collect::<Vec<_>>());
    let deployment = b"{}";
    let extension = protocol::key_bundle::pcr16_extension(deployment);
    assert_eq!(module.extend(16, &extension), Ok(protocol::key_bundle::pcr16(deployment)));
    assert_eq!(shown(&module), (0..16).collect::<Vec<_>>(), "not locked yet");
    module.lock(32).unwrap();
    assert_eq!(shown(&module), (0..17).collect::<Vec<_>>());
    assert_eq!(module.extend(16, &extension), Err(NsmError::Locked));
    assert_eq!(module.extend(31, &extension), Err(NsmError::Locked));
}

#[test]
fn measured_registers_are_locked_from_the_start() {
    let (module, _) = module();
    for index in 0..16 {
        assert_eq!(module.extend(index, b"x"), Err(NsmError::Locked));
        assert!(module.describe(index).unwrap().locked);
    }
    assert!(!module.describe(16).unwrap().locked);
    assert_eq!(module.describe(32), Err(NsmError::Refused("invalid index")));
    assert_eq!(module.extend(32, b"x"), Err(NsmError::Refused("invalid index")));
    assert_eq!(module.lock(33), Err(NsmError::Refused("invalid argument")));
}

#[test]
fn fields_are_bounded_as_the_module_bounds_them() {
    let (module, _) = module();
    let with = |len| AttestRequest { user_data: Some(vec![1; len]), ..AttestRequest::default() };
    assert!(module.attest(&with(FIELD_LEN_MAX)).is_ok());
    let long = module.attest(&with(FIELD_LEN_MAX + 1));
    assert_eq!(long, Err(NsmError::Refused("input too large")));
}

#[test]
fn random_bytes_differ() {
    let (module, _) = module();
    assert_ne!(module.random().unwrap(), module.random().unwrap());
}
