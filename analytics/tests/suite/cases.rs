//! Every scenario in `tests/cases` gives the result it must give.

use std::fs;
use std::path::{Path, PathBuf};

use analytics::{Case, DigestKey, Engine, method};
use serde_json::Value;

/// Guards against a glob that quietly matches nothing.
const CASES: usize = 14;

pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with('S'))
        .collect();
    files.sort();
    assert_eq!(files.len(), CASES);
    files
}

pub(crate) fn read(path: &Path) -> (Case, Value) {
    let mut case: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let expected = case.as_object_mut().unwrap().remove("expected").unwrap();
    (serde_json::from_value(case).unwrap(), expected)
}

#[test]
fn every_scenario_gives_its_result() {
    let mut wrong = Vec::new();
    for path in files() {
        let (case, expected) = read(&path);
        let got = serde_json::to_value(case.run().unwrap()).unwrap();
        for difference in crate::common::differences(&expected, &got) {
            wrong.push(format!("{}: {difference}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{} values differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Event by event, folding as early as can be, and with the state sealed and
/// restored after each one: not a digit differs.
#[test]
fn every_scenario_gives_the_same_folded_and_sealed() {
    for path in files() {
        let (case, _) = read(&path);
        let as_of = case.config.as_of.unwrap();
        let whole = case.run().unwrap();
        let mut engine = Engine::new(case.config.clone(), DigestKey::PUBLIC).unwrap();
        for event in case.events.iter().filter(|event| event.seen() <= as_of) {
            engine.feed(event).unwrap();
            engine.fold();
            let sealed = engine.seal();
            engine = Engine::restore(&sealed, DigestKey::PUBLIC).unwrap();
            assert!(engine.seal() == sealed, "{}", case.id);
        }
        assert_eq!(engine.result(as_of).unwrap(), whole, "{}", case.id);
    }
}

#[test]
fn every_value_has_a_method_and_a_unit() {
    for path in files() {
        let (case, _) = read(&path);
        let got = serde_json::to_value(case.run().unwrap()).unwrap();
        for key in crate::common::leaves(&got).into_keys() {
            let plain: String = {
                let mut depth = 0;
                key.chars()
                    .filter(|c| {
                        depth += i32::from(*c == '[');
                        let keep = depth == 0 && *c != '#';
                        depth -= i32::from(*c == ']');
                        keep
                    })
                    .collect()
            };
            assert!(method(&plain).is_some(), "{plain} has no method");
        }
    }
}
