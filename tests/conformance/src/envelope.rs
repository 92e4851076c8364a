//! `conformance envelope`: an enclave's key and an envelope in, the plaintext out.
//!
//! ```text
//! in   {"id": "...", "enclave_priv_hex": "...", "purpose": "credentials", "envelope": {...}}
//! out  {"id": "...", "opens": true | false, "plaintext_hex": "..." | null, "error": null | "text"}
//! ```
//!
//! The envelope is read from the question's own bytes, as the enclave reads a request's body, so
//! that a field given twice or a number written as `1.0` is still seen. A refusal is an answer.

use protocol::encoding::{from_hex, to_hex};
use protocol::envelope::{Envelope, open_for_purpose};
use protocol::keys::EnclaveSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Deserialize)]
struct Question<'a> {
    enclave_priv_hex: String,
    #[serde(default = "credentials")]
    purpose: String,
    #[serde(borrow)]
    envelope: &'a RawValue,
}

fn credentials() -> String {
    "credentials".to_owned()
}

pub(crate) fn answer(text: &[u8]) -> Map<String, Value> {
    let opened = open(text);
    let (plaintext, error) = match opened {
        Ok(plaintext) => (Value::String(to_hex(&plaintext)), Value::Null),
        Err(error) => (Value::Null, Value::String(error)),
    };
    Map::from_iter([
        ("opens".to_owned(), Value::Bool(error.is_null())),
        ("plaintext_hex".to_owned(), plaintext),
        ("error".to_owned(), error),
    ])
}

fn open(text: &[u8]) -> Result<Vec<u8>, String> {
    let question: Question<'_> =
        serde_json::from_slice(text).map_err(|error| format!("not a question: {error}"))?;
    let secret = from_hex(&question.enclave_priv_hex.to_ascii_lowercase())
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or("enclave_priv_hex is not 32 bytes of hexadecimal")?;
    let enclave = EnclaveSecret::from_bytes(&secret);
    Envelope::from_json(question.envelope.get().as_bytes())
        .and_then(|envelope| open_for_purpose(&enclave, &question.purpose, &envelope))
        .map(|plaintext| plaintext.to_vec())
        .map_err(|error| error.to_string())
}
