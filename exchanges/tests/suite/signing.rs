//! Signatures and encodings against vectors of another implementation
//! (`test_data/signing/make_vectors.py`).

use exchanges::{Credentials, ExchangeError, Scheme, binance};
use serde_json::Value;

use crate::support::test_data;

const SIGNATURES: usize = 11;
const ENCODINGS: usize = 18;

fn vectors() -> Value {
    let text = std::fs::read_to_string(test_data("signing/vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn pairs(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn credentials(secret: &str) -> Credentials<'_> {
    Credentials { key: "key", secret: secret.as_bytes(), passphrase: None }
}

#[test]
fn every_signature_is_as_made_by_python() {
    let vectors = vectors();
    let vectors = vectors["signing"].as_array().unwrap();
    for vector in vectors {
        let secret = vector["secret"].as_str().unwrap();
        let signed = binance::sign(
            &credentials(secret),
            &pairs(&vector["query_params"]),
            &pairs(&vector["body_params"]),
        )
        .unwrap();
        let scheme = match vector["kind"].as_str().unwrap() {
            "hmac" => Scheme::HmacSha256,
            "ed25519" => Scheme::Ed25519,
            "rsa" | "rsa-pkcs1" => Scheme::RsaSha256,
            other => panic!("{other}"),
        };
        assert_eq!(signed.scheme, scheme);
        assert_eq!(signed.payload.as_str(), vector["payload"]);
        assert_eq!(signed.signature.as_str(), vector["signature"]);
        assert_eq!(signed.query.as_str(), vector["query"]);
        assert_eq!(signed.body.as_str(), vector["body"]);
        assert_eq!(format!("{signed:?}"), "Signed(..)");
    }
    assert_eq!(vectors.len(), SIGNATURES);
}

#[test]
fn every_text_is_encoded_as_by_python() {
    let vectors = vectors();
    let encodings = vectors["percent_encoding"].as_array().unwrap();
    for pair in encodings {
        let [text, encoded] = [&pair[0], &pair[1]].map(|value| value.as_str().unwrap());
        let signed = binance::sign(&credentials("secret"), &[(text, text)], &[]).unwrap();
        assert_eq!(*signed.payload, format!("{encoded}={encoded}"));
    }
    assert_eq!(encodings.len(), ENCODINGS);
}

#[test]
fn a_pasted_private_key_may_have_odd_white_space() {
    let pem = std::fs::read_to_string(test_data("signing/rsa-pkcs8.pem")).unwrap();
    let sign = |secret: &str| {
        binance::sign(&credentials(secret), &[("a", "b")], &[]).unwrap().signature.to_string()
    };
    let expected = sign(&pem);
    for pasted in [
        pem.trim().to_owned(),
        format!("\n  {pem}\n\n"),
        pem.replace('\n', "\r\n"),
        pem.replace('\n', "\\n"),
        pem.trim().replace('\n', " "),
    ] {
        assert_eq!(sign(&pasted), expected);
    }
}

#[test]
fn a_secret_that_is_no_key_is_refused() {
    let pem = std::fs::read_to_string(test_data("signing/rsa-pkcs8.pem")).unwrap();
    let long = "x".repeat(exchanges::limits::API_SECRET_LEN_MAX + 1);
    let cut = pem.lines().take(5).collect::<Vec<_>>().join("\n");
    let holed = pem.lines().filter(|line| !line.starts_with('M')).collect::<Vec<_>>().join("\n");
    for secret in [
        "",
        " ",
        "secret with a space",
        "secret\n",
        "s\u{e9}cret",
        &long,
        &cut,
        &holed,
        &pem.replace("PRIVATE KEY", "PUBLIC KEY"),
        &pem.replace("PRIVATE KEY", "EC PRIVATE KEY"),
        &pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
        &pem.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----",
        "-----BEGIN",
    ] {
        let refused = binance::sign(&credentials(secret), &[("a", "b")], &[]).err();
        assert_eq!(refused, Some(ExchangeError::InvalidCredentials), "{secret}");
    }
}

#[test]
fn a_key_that_cannot_stand_in_a_header_is_refused() {
    let long = "x".repeat(exchanges::limits::API_KEY_LEN_MAX + 1);
    for key in ["", " ", "two words", "line\r\nX-Evil: 1", "k\u{e9}y", "nul\0", &long] {
        let credentials = Credentials { key, secret: b"secret", passphrase: None };
        let refused = binance::sign(&credentials, &[("a", "b")], &[]).err();
        assert_eq!(refused, Some(ExchangeError::InvalidCredentials), "{key:?}");
    }
}
