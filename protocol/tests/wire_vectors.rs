//! Every file in `tests/testkit` is one message and what must become of it. Another
//! implementation wrote them (`testkit/README.md` says how), so a mistake that our two halves
//! share cannot pass.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a broken vector has to stop its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use protocol::envelope::{self, Envelope, EnvelopeError};
use protocol::keys::{EnclaveSecret, KeyId};
use protocol::portfolio::{Action, PortfolioKey, Signed};
use protocol::reply::{self, ReplyContext, ReplyError, ReplyKey, SealedReply};
use protocol::request_auth::{Request, RequestAuth, RequestKey};
use protocol::session::{OpenError, VerifiedOpen};
use protocol::time::UnixMillis;
use sha2::{Digest, Sha256};

/// Guards against a glob that quietly matches nothing.
const ENVELOPES: usize = 108;
const REPLIES: usize = 29;
const REQUESTS: usize = 39;
const PORTFOLIOS: usize = 31;
const OPENINGS: usize = 108;

struct Vector {
    name: String,
    fields: BTreeMap<String, String>,
}

impl Vector {
    fn text(&self, field: &str) -> &str {
        self.fields.get(field).unwrap_or_else(|| panic!("{} has no field {field:?}", self.name))
    }

    fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).unwrap()
    }

    fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap()
    }

    fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }
}

fn testkit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit")
}

fn vectors(folder: &str, expected: usize) -> Vec<Vector> {
    let mut vectors: Vec<_> = fs::read_dir(testkit().join(folder))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            Vector {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                fields: text
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            }
        })
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(vectors.len(), expected, "{folder}");
    vectors
}

/// Runs every vector and reports all that differ, not only the first.
fn run(folder: &str, expected: usize, outcome: impl Fn(&Vector) -> String) {
    let mut wrong = String::new();
    for vector in vectors(folder, expected) {
        let got = outcome(&vector);
        if got != vector.text("expect") {
            let (want, comment) = (vector.text("expect"), vector.text("comment"));
            writeln!(wrong, "{}: {got}, not {want} ({comment})", vector.name).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{folder}:\n{wrong}");
}

#[test]
fn envelopes_open_or_fail_as_another_implementation_says() {
    run("envelope", ENVELOPES, |vector| {
        let enclave = EnclaveSecret::from_bytes(&vector.array("enclave_priv"));
        let opened = Envelope::from_json(vector.text("envelope").as_bytes())
            .and_then(|envelope| envelope::open(&enclave, &envelope));
        match opened {
            Ok((plaintext, keys)) => {
                if vector.has("plaintext_sha256") {
                    assert_eq!(Sha256::digest(&*plaintext)[..], vector.bytes("plaintext_sha256"));
                } else {
                    assert_eq!(*plaintext, vector.bytes("plaintext"), "{}", vector.name);
                }
                if vector.has("reply_key") {
                    assert_eq!(keys.reply.expose(), &vector.array("reply_key"));
                    assert_eq!(keys.request.expose(), &vector.array("request_key"));
                }
                "opens"
            }
            Err(EnvelopeError::TooLong) => "too_long",
            Err(EnvelopeError::Malformed) => "malformed",
            Err(EnvelopeError::UnsupportedVersion) => "unsupported_version",
            Err(EnvelopeError::UnsupportedSuite) => "unsupported_suite",
            Err(EnvelopeError::WrongKey) => "wrong_key",
            Err(EnvelopeError::Crypto) => "crypto",
            Err(other) => panic!("{other:?}"),
        }
        .to_owned()
    });
}

#[test]
fn replies_open_or_fail_as_another_implementation_says() {
    run("reply", REPLIES, |vector| {
        let key = ReplyKey::from_bytes(&vector.array("reply_key"));
        let (key_id, ephemeral_pub) =
            (KeyId(vector.array("key_id")), vector.array("ephemeral_pub"));
        let context = ReplyContext {
            key_id: &key_id,
            ephemeral_pub: &ephemeral_pub,
            request_nonce: &vector.array("request_nonce"),
        };
        let opened = SealedReply::from_json(vector.text("sealed").as_bytes())
            .and_then(|sealed| reply::open(&key, &context, &sealed));
        match opened {
            Ok(plaintext) => {
                assert_eq!(*plaintext, vector.bytes("plaintext"), "{}", vector.name);
                "opens"
            }
            Err(ReplyError::Malformed) => "malformed",
            Err(ReplyError::Crypto) => "crypto",
            Err(other) => panic!("{other:?}"),
        }
        .to_owned()
    });
}

#[test]
fn requests_verify_or_fail_as_another_implementation_says() {
    run("request_auth", REQUESTS, |vector| {
        let key = RequestKey::from_bytes(&vector.array("request_key"));
        let parsed = RequestAuth::parse(
            vector.text("session"),
            vector.text("nonce"),
            vector.text("timestamp"),
            vector.text("mac"),
        );
        let Ok(auth) = parsed else {
            return "malformed".to_owned();
        };
        let request = Request {
            method: vector.text("method"),
            path_and_query: vector.text("path"),
            body: &vector.bytes("body"),
        };
        if auth.verify(&key, &request).is_ok() { "verifies" } else { "refused" }.to_owned()
    });
}

#[test]
fn portfolio_signatures_verify_or_fail_as_another_implementation_says() {
    run("portfolio", PORTFOLIOS, |vector| {
        let Ok(key) = PortfolioKey::from_bytes(&vector.array("public_key")) else {
            return "key_refused".to_owned();
        };
        let action = match vector.text("action") {
            "open" => Action::Open,
            "renew" => Action::Renew,
            "claim" => Action::Claim,
            "erase" => Action::Erase,
            other => panic!("{other}"),
        };
        let signed = Signed {
            action,
            key_id: &KeyId(vector.array("key_id")),
            ephemeral_pub: &vector.array("ephemeral_pub"),
            attested_at: UnixMillis(vector.text("attested_at").parse().unwrap()),
            body: &vector.bytes("body"),
        };
        let verified = key.verify_strict(&signed, &vector.array("signature"));
        if verified.is_ok() { "verifies" } else { "refused" }.to_owned()
    });
}

#[test]
fn openings_are_read_or_refused_as_another_implementation_says() {
    run("opening", OPENINGS, |vector| {
        let plaintext =
            [vector.bytes("signature"), vector.text("body").as_bytes().to_vec()].concat();
        let key_id = KeyId(vector.array("key_id"));
        match VerifiedOpen::read(&plaintext, &key_id, &vector.array("ephemeral_pub")) {
            Ok(verified) => {
                let open = verified.into_inner();
                assert_eq!(open.accounts.len().to_string(), vector.text("accounts"));
                let credentials = &open.accounts[0].credentials;
                if vector.has("secret") {
                    assert!(credentials.api_secret.matches(&vector.bytes("secret")));
                }
                if vector.has("passphrase") {
                    let passphrase = credentials.passphrase.as_ref().unwrap();
                    assert!(passphrase.matches(&vector.bytes("passphrase")));
                }
                "opens".to_owned()
            }
            Err(OpenError::Malformed) => "malformed".to_owned(),
            Err(OpenError::Signature) => "signature".to_owned(),
            Err(OpenError::OutOfBounds(field)) => format!("out_of_bounds {field}"),
            Err(other) => panic!("{other:?}"),
        }
    });
}

/// A requirement is a line that starts with its name in bold, `**E1**`, and ends with the
/// vectors that hold it.
#[test]
fn every_must_of_the_document_names_vectors_and_every_vector_is_named() {
    let document =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/envelope.md"))
            .unwrap();
    let folders = [
        ("E", "envelope", ENVELOPES),
        ("R", "reply", REPLIES),
        ("A", "request_auth", REQUESTS),
        ("P", "portfolio", PORTFOLIOS),
        ("B", "opening", OPENINGS),
    ];
    let mut unnamed: BTreeSet<String> = BTreeSet::new();
    for (_, folder, expected) in folders {
        unnamed.extend(vectors(folder, expected).iter().map(|v| format!("{folder}/{}", v.name)));
    }
    let all = unnamed.clone();
    let mut requirements = 0;
    for line in document.lines() {
        let Some(rest) = line.strip_prefix("**") else {
            assert!(!line.contains("MUST"), "a MUST outside a numbered requirement: {line}");
            continue;
        };
        let (name, _) = rest.split_once("**").unwrap();
        assert!(line.contains("MUST"), "{name} demands nothing");
        let (_, folder, _) = folders.iter().find(|(letter, ..)| name.starts_with(letter)).unwrap();
        let (_, named) = line.split_once("Vectors: ").unwrap_or_else(|| panic!("{name}"));
        for vector in named.trim_end_matches('.').split(", ") {
            let vector = format!("{folder}/{}", vector.trim_matches('`'));
            if let Some(prefix) = vector.strip_suffix('*') {
                let found: Vec<_> = all.iter().filter(|name| name.starts_with(prefix)).collect();
                assert!(!found.is_empty(), "{name}: there is no {vector}");
                unnamed.retain(|name| !found.contains(&name));
            } else {
                assert!(all.contains(&vector), "{name}: there is no {vector}");
                unnamed.remove(&vector);
            }
        }
        requirements += 1;
    }
    assert_eq!(requirements, 37);
    assert!(unnamed.is_empty(), "named by no requirement: {unnamed:?}");
}
