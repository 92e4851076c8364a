//! `conformance attestation`: a document against a root, a time and a policy.

use protocol::attestation::ChainCache;
use protocol::attestation::internal::{Demands, aws_root, verify};
use protocol::encoding::{from_base64, from_hex};
use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use std::collections::BTreeMap;

use crate::batch::Failure;

#[derive(Deserialize)]
struct Question {
    document_b64: String,
    #[serde(default)]
    root_der_b64: Option<String>,
    at_unix: Number,
    #[serde(default)]
    policy: Option<Policy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(default)]
    pcrs: Option<BTreeMap<String, Option<String>>>,
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    user_data: Option<String>,
    #[serde(default)]
    allow_debug: Option<bool>,
    #[serde(default)]
    max_age_s: Option<u64>,
    #[serde(default)]
    max_clock_skew_s: Option<u64>,
}

/// Clocks may differ by this many seconds unless the policy says otherwise.
const CLOCK_SKEW_S: u64 = 5;

pub(crate) fn answer(question: &Value, _batch: bool) -> Result<Map<String, Value>, Failure> {
    let question: Question =
        Question::deserialize(question).map_err(|error| refused(&error.to_string()))?;
    let document = from_base64(&question.document_b64)
        .map_err(|_| refused("document_b64 is not canonical base64"))?;
    let root = match &question.root_der_b64 {
        Some(text) => {
            from_base64(text).map_err(|_| refused("root_der_b64 is not canonical base64"))?
        }
        None => aws_root().to_vec(),
    };
    // Beyond i64 no certificate is valid either.
    let at_unix = question.at_unix.as_i128().ok_or_else(|| refused("at_unix is not an integer"))?;
    let at_unix = i64::try_from(at_unix.clamp(i64::MIN.into(), i64::MAX.into()));
    let at_unix = at_unix.map_err(|_| refused("at_unix is out of range"))?;
    let policy = question.policy.as_ref().map(Owned::read).transpose()?;
    let demands = policy.as_ref().map(Owned::demands);
    let verdict = verify(&document, &root, at_unix, demands.as_ref(), &mut ChainCache::new(0));
    let fields = match verdict {
        Ok(()) => json!({"accepted": true, "step": null, "error": null}),
        Err(error) => {
            json!({"accepted": false, "step": error.step(), "error": error.to_string()})
        }
    };
    if let Value::Object(fields) = fields { Ok(fields) } else { Err(refused("internal error")) }
}

/// A policy's bytes, decoded.
struct Owned {
    pcrs: Vec<(u8, Vec<u8>)>,
    nonce: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    allow_debug: bool,
    max_age_s: Option<u64>,
    max_clock_skew_s: u64,
}

impl Owned {
    fn read(policy: &Policy) -> Result<Self, Failure> {
        let bytes = |name: &str, text: &String| {
            from_hex(&text.to_ascii_lowercase())
                .map_err(|_| refused(&format!("{name} is not hexadecimal")))
        };
        let option = |name: &str, text: &Option<String>| {
            text.as_ref().map(|text| bytes(name, text)).transpose()
        };
        let pcrs = policy
            .pcrs
            .iter()
            .flatten()
            .filter_map(|(index, text)| Some((index, text.as_ref()?)))
            .map(|(index, text)| {
                let index =
                    index.parse::<u64>().map_err(|_| refused("a PCR index is not a number"))?;
                // No document has a register beyond 31.
                Ok((u8::try_from(index).unwrap_or(u8::MAX), bytes("a PCR", text)?))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            pcrs,
            nonce: option("nonce", &policy.nonce)?,
            user_data: option("user_data", &policy.user_data)?,
            allow_debug: policy.allow_debug.unwrap_or(false),
            max_age_s: policy.max_age_s,
            max_clock_skew_s: policy.max_clock_skew_s.unwrap_or(CLOCK_SKEW_S),
        })
    }

    fn demands(&self) -> Demands<'_> {
        Demands {
            pcrs: self.pcrs.iter().map(|(index, pcr)| (*index, pcr.as_slice())).collect(),
            nonce: self.nonce.as_deref(),
            user_data: self.user_data.as_deref(),
            allow_debug: self.allow_debug,
            max_age_s: self.max_age_s,
            max_clock_skew_s: self.max_clock_skew_s,
        }
    }
}

/// In a batch a question that cannot be understood is a refusal as well.
fn refused(text: &str) -> Failure {
    let mut failure = Failure::new(text);
    failure.fields.insert("accepted".to_owned(), Value::Bool(false));
    failure.fields.insert("step".to_owned(), Value::Null);
    failure
}
