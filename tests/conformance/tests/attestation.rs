//! Documents that break one rule each, and genuine ones, through the built command.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop its test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Guards against a file that quietly holds less.
const CASES: usize = 667;
const GENUINE: usize = 15;

fn conformance(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../protocol/tests/attestation"))
}

/// Questions, each with the step that answers it.
fn questions() -> Vec<(Value, Value)> {
    let mut parts = BTreeMap::new();
    let mut questions = Vec::new();
    for line in fs::read_to_string(folder().join("refused.jsonl")).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let bytes = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
        if let Some(name) = line["part"].as_str() {
            parts.insert(format!("@{name}"), bytes(&line["bytes"]));
            continue;
        }
        let join = |pieces: &Value| {
            let pieces = pieces.as_array().unwrap().iter();
            let pieces = pieces.map(|piece| {
                parts.get(piece.as_str().unwrap()).cloned().unwrap_or_else(|| bytes(piece))
            });
            STANDARD.encode(pieces.collect::<Vec<_>>().concat())
        };
        let question = json!({
            "id": line["id"],
            "document_b64": join(&line["document"]),
            "root_der_b64": join(&line["root"]),
            "at_unix": line["at_unix"],
            "policy": line["policy"],
        });
        questions.push((question, line["step"].clone()));
    }
    assert_eq!(questions.len(), CASES);
    questions
}

fn genuine() -> Vec<(Value, Value)> {
    let mut questions = Vec::new();
    for entry in fs::read_dir(folder().join("real")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "cose") {
            continue;
        }
        let facts = fs::read(path.with_extension("json")).unwrap();
        let facts: Value = serde_json::from_slice(&facts).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let document = STANDARD.encode(fs::read(&path).unwrap());
        let pcrs = json!({"0": facts["pcrs"]["0"], "2": facts["pcrs"]["2"], "3": null});
        for (id, at, policy, step) in [
            ("own time", "verify_at_unix", Value::Null, Value::Null),
            ("measured", "verify_at_unix", json!({"pcrs": pcrs, "allow_debug": true}), Value::Null),
            (
                "other nonce",
                "verify_at_unix",
                json!({"nonce": "00", "allow_debug": true}),
                32.into(),
            ),
            ("last second", "chain_valid_to", Value::Null, Value::Null),
        ] {
            let question = json!({
                "id": format!("{name}, {id}"),
                "document_b64": document,
                "root_der_b64": null,
                "at_unix": facts[at],
                "policy": policy,
            });
            questions.push((question, step));
        }
    }
    assert_eq!(questions.len(), 4 * GENUINE);
    questions
}

#[test]
fn a_batch_gives_every_document_its_step() {
    let questions = [questions(), genuine()].concat();
    let input: Vec<_> = questions.iter().map(|(question, _)| question.to_string()).collect();
    let input = input.join("\n");
    let (code, output) = conformance(&["attestation", "--batch"], &input);
    assert_eq!(code, Some(0));
    assert_eq!(output.lines().count(), questions.len());
    for ((question, step), line) in questions.iter().zip(output.lines()) {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["id"], question["id"]);
        assert_eq!(answer["step"], *step, "{line}");
        assert_eq!(answer["accepted"], step.is_null(), "{line}");
        assert_eq!(answer["error"].is_null(), step.is_null(), "{line}");
    }
}

#[test]
fn a_single_question_has_its_answer() {
    for wanted in ["base", "34-future-6"] {
        let questions = questions();
        let (question, step) =
            questions.iter().find(|(question, _)| question["id"] == wanted).unwrap();
        let (code, output) = conformance(&["attestation"], &question.to_string());
        let answer: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &answer["step"]), (Some(0), step));
        assert_eq!(answer["accepted"], step.is_null());
    }
}

#[test]
fn a_time_beyond_every_certificate_is_no_mistake_of_the_question() {
    let (mut question, _) = questions().remove(0);
    for (at, step) in [("18446744073709551615", 25), ("-99999999999999999999", 25)] {
        question["at_unix"] = serde_json::from_str(at).unwrap();
        let (code, output) = conformance(&["attestation"], &question.to_string());
        let answer: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &answer["step"]), (Some(0), &step.into()), "{at}");
    }
}

#[test]
fn what_is_no_question_is_refused() {
    for input in ["", "{", "document"] {
        assert_eq!(conformance(&["attestation"], input), (Some(2), String::new()));
    }
    let lines = "{\n[]\n{\"id\":1}\n{\"id\":2,\"document_b64\":\"!\",\"at_unix\":0}\n";
    let (code, output) = conformance(&["attestation", "--batch"], lines);
    assert_eq!((code, output.lines().count()), (Some(0), 4));
    for line in output.lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["accepted"], false, "{line}");
        assert!(answer["step"].is_null() && answer["error"].is_string(), "{line}");
    }
}
