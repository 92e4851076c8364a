//! The test kit's envelopes, and others, through the built command.

#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop its test")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const PRIVATE: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";

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

fn vector(name: &str, field: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../protocol/tests/testkit/envelope")
        .join(name);
    let text = fs::read_to_string(path).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("{field}: ")));
    value.map(str::to_owned)
}

fn question(id: &str, purpose: &str, envelope: &str) -> String {
    format!(
        "{{\"id\":\"{id}\",\"enclave_priv_hex\":\"{PRIVATE}\",\"purpose\":\"{purpose}\",\"envelope\":{envelope}}}\n"
    )
}

#[test]
fn a_batch_answers_every_vector_under_its_id() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/tests/testkit/envelope");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let envelopes = names.iter().map(|name| (name, vector(name, "envelope").unwrap()));
    // What is no JSON value cannot stand in a question.
    let (inside, outside): (Vec<_>, Vec<_>) = envelopes.partition(|(_, envelope)| {
        serde_json::from_str::<&serde_json::value::RawValue>(envelope).is_ok()
    });
    assert_eq!(outside.len(), 3);
    let input: String =
        inside.iter().map(|(name, envelope)| question(name, "credentials", envelope)).collect();
    let (code, output) = conformance(&["envelope", "--batch"], &input);
    assert_eq!(code, Some(0));
    assert_eq!(output.lines().count(), inside.len());
    for ((name, _), line) in inside.iter().zip(output.lines()) {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["id"], name.as_str());
        let opens = vector(name, "expect").unwrap() == "opens";
        assert_eq!(answer["opens"], opens, "{name}: {line}");
        if let Some(plaintext) = vector(name, "plaintext") {
            assert_eq!(answer["plaintext_hex"], plaintext, "{name}");
        }
        assert_eq!(answer["plaintext_hex"].is_null(), !opens, "{name}");
    }
}

#[test]
fn a_refusal_of_one_envelope_is_an_answer() {
    let envelope = vector("flipped_tag.txt", "envelope").unwrap();
    let (code, output) = conformance(&["envelope"], &question("x", "credentials", &envelope));
    let answer: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(
        (code, &answer["opens"], &answer["id"]),
        (Some(0), &Value::Bool(false), &"x".into())
    );
}

#[test]
fn the_purpose_is_the_question_s() {
    let all_of_reply = vector("all_of_reply.txt", "envelope").unwrap();
    let credentials = vector("opens.txt", "envelope").unwrap();
    for (purpose, envelope, opens) in [
        ("reply", &all_of_reply, true),
        ("credentials", &all_of_reply, false),
        ("credentials", &credentials, true),
        ("reply", &credentials, false),
        ("", &credentials, false),
        (&"p".repeat(256), &credentials, false),
    ] {
        let (code, output) = conformance(&["envelope"], &question("x", purpose, envelope));
        let answer: Value = serde_json::from_str(&output).unwrap();
        assert_eq!((code, &answer["opens"]), (Some(0), &Value::Bool(opens)), "{purpose}");
    }
}

#[test]
fn what_is_no_question_is_refused() {
    let (code, _) = conformance(&["envelope"], "{");
    assert_eq!(code, Some(2));
    let lines = "{\n[]\n{\"id\":1}\n{\"id\":2,\"enclave_priv_hex\":\"00\",\"envelope\":{}}\n";
    let (code, output) = conformance(&["envelope", "--batch"], lines);
    assert_eq!((code, output.lines().count()), (Some(0), 4));
    for line in output.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["opens"], false, "{line}");
    }
}
