//! Coinbase's tokens: what they say, and that their signatures hold.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use exchanges::{Credentials, ExchangeError, Method, Nonce, UnixMillis, coinbase};
use serde_json::Value;

use crate::support::cases;

/// Whether `answer` holds the token that `expected` describes.
pub(crate) fn difference(expected: &Value, answer: &Value) -> Option<String> {
    let token = answer["jwt"].as_str()?;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let [header, claims] = [header, claims].map(decoded);
    for (name, wanted) in expected["jwt_header"].as_object().unwrap() {
        if name == "nonce" {
            assert_eq!(header["nonce"].as_str().unwrap().len(), 32);
        } else if header[name] != *wanted {
            return Some(format!("{name}: {header}"));
        }
    }
    for (name, wanted) in expected["jwt_claims"].as_object().unwrap() {
        if claims[name] != *wanted {
            return Some(format!("{name}: {claims}"));
        }
    }
    let pem = expected["verify_with_public_key_pem"].as_str().unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    verifies(pem, signed, &signature).then_some(()).is_none().then(|| "signature".to_owned())
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The key stands at the end of its wrapping: 32 bytes, or 65 of a point.
fn verifies(pem: &str, signed: &str, signature: &[u8]) -> bool {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(text).unwrap();
    assert_eq!(signature.len(), 64);
    if der.len() == 44 {
        let key = UnparsedPublicKey::new(&ED25519, &der[der.len() - 32..]);
        key.verify(signed.as_bytes(), signature).is_ok()
    } else {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &der[der.len() - 65..]);
        key.verify(signed.as_bytes(), signature).is_ok()
    }
}

struct Vector {
    name: String,
    secret: String,
    expected: Value,
}

/// The published vectors: ES256 first, then EdDSA.
fn vectors() -> Vec<Vector> {
    let published =
        cases("coinbase").into_iter().filter(|case| !case["expect"]["jwt_header"].is_null());
    let vectors: Vec<Vector> = published
        .map(|case| Vector {
            name: case["request"]["api_key"].as_str().unwrap().to_owned(),
            secret: case["request"]["api_secret"].as_str().unwrap().to_owned(),
            expected: case["expect"].clone(),
        })
        .collect();
    assert_eq!(vectors.len(), 2);
    vectors
}

const NONCE: Nonce = Nonce([7; 16]);

fn token(credentials: &Credentials<'_>) -> Result<String, ExchangeError> {
    let at = UnixMillis(1_717_286_400_999);
    let path = "/api/v3/brokerage/accounts";
    coinbase::token(credentials, Method::Get, "api.coinbase.com", path, at, &NONCE)
        .map(|token| token.to_string())
}

fn with(name: &str, secret: &str, passphrase: Option<&str>) -> Result<String, ExchangeError> {
    let passphrase = passphrase.map(str::as_bytes);
    token(&Credentials { key: name, secret: secret.as_bytes(), passphrase })
}

#[test]
fn the_nonce_is_the_one_that_was_handed_in() {
    for vector in vectors() {
        let token = with(&vector.name, &vector.secret, None).unwrap();
        let header = decoded(token.split('.').next().unwrap());
        assert_eq!(header["nonce"], "07".repeat(16));
        let answer = serde_json::json!({ "jwt": token });
        assert_eq!(difference(&vector.expected, &answer), None);
    }
}

#[test]
fn a_signature_that_does_not_hold_is_seen() {
    for vector in vectors() {
        let token = with(&vector.name, &vector.secret, None).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        signature[9] ^= 1;
        let answer =
            serde_json::json!({ "jwt": format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)) });
        assert_eq!(difference(&vector.expected, &answer).as_deref(), Some("signature"));
    }
}

#[test]
fn an_ed25519_token_is_the_same_each_time() {
    let vector = &vectors()[1];
    let made = || with(&vector.name, &vector.secret, None).unwrap();
    assert_eq!(made(), made());
}

#[test]
fn every_form_of_a_key_signs_alike() {
    let vectors = vectors();
    let [es256, ed25519] = vectors.as_slice() else { panic!() };
    let pkcs8 = |prefix: &str, key: &[u8]| {
        let der = [&hex(prefix), key].concat();
        let body = STANDARD.encode(der);
        format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
    };
    let both = STANDARD.decode(&ed25519.secret).unwrap();
    let seed = &both[..32];
    let sec1: String = es256.secret.lines().filter(|line| !line.starts_with('-')).collect();
    let sec1 = STANDARD.decode(sec1).unwrap();
    // RFC 8410, and RFC 5208 around the key of RFC 5915.
    let ed25519_pkcs8 = pkcs8("302e020100300506032b657004220420", seed);
    let es256_pkcs8 =
        pkcs8("308193020100301306072a8648ce3d020106082a8648ce3d030107047930", &sec1[1..]);
    for (vector, secret) in [
        (es256, es256.secret.replace('\n', "\\n")),
        (es256, es256.secret.replace('\n', "\r\n")),
        (es256, format!("  {}\n\n", es256.secret.trim())),
        (es256, es256_pkcs8),
        (ed25519, format!("{}\n", ed25519.secret)),
        (ed25519, STANDARD.encode(seed)),
        (ed25519, ed25519_pkcs8),
    ] {
        let made =
            with(&vector.name, &secret, None).unwrap_or_else(|error| panic!("{secret}: {error}"));
        let answer = serde_json::json!({ "jwt": made });
        assert_eq!(difference(&vector.expected, &answer), None, "{secret}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn the_name_of_a_key_is_a_path_or_a_uuid() {
    let secret = &vectors()[1].secret;
    let long =
        format!("organizations/o/apiKeys/{}", "x".repeat(exchanges::limits::API_KEY_LEN_MAX));
    for name in ["organizations/o-1/apiKeys/k-2", "0F0E0D0C-0b0a-0908-0706-050403020100"] {
        assert!(with(name, secret, None).is_ok(), "{name}");
    }
    for name in [
        "",
        "k",
        "organizations/o",
        "organizations//apiKeys/k",
        "organizations/o/apiKeys/",
        "organizations/o/apiKeys/k/more",
        "organizations/o/apiKeys/k\"",
        "organizations/o/apiKeys/k\r\nX-Evil: 1",
        "0f0e0d0c-0b0a-0908-0706-05040302010",
        "0f0e0d0c-0b0a-0908-0706-05040302010g",
        &long,
    ] {
        assert_eq!(
            with(name, secret, None).err(),
            Some(ExchangeError::InvalidCredentials),
            "{name}"
        );
    }
}

#[test]
fn a_retired_key_is_told_from_a_wrong_one() {
    let [es256, ed25519] = vectors().try_into().unwrap_or_else(|_| panic!());
    let pro = STANDARD.encode([5; 64]);
    for (name, secret, passphrase) in [
        // Coinbase Pro.
        ("0123456789abcdef0123456789abcdef", pro.as_str(), Some("words")),
        ("0123456789abcdef0123456789abcdef", pro.as_str(), None),
        ("anything", pro.as_str(), Some("words")),
        // The older interface.
        ("AbCdEfGhIjKlMnOp", "abcdefghijklmnopqrstuvwxyzABCDEF", None),
    ] {
        let refused = with(name, secret, passphrase).unwrap_err();
        assert!(matches!(refused, ExchangeError::RetiredCredentials(_)), "{name}");
        assert!(refused.to_string().contains("CDP"), "{refused}");
        assert!(!refused.to_string().contains(secret) && !refused.to_string().contains(name));
    }
    let rsa = std::fs::read_to_string(crate::support::test_data("signing/rsa-pkcs8.pem")).unwrap();
    let long = "A".repeat(exchanges::limits::API_SECRET_LEN_MAX + 1);
    let cut = es256.secret.replace("oGCCqG", "");
    let crossed = {
        let mut both = STANDARD.decode(&ed25519.secret).unwrap();
        both[40] ^= 1;
        STANDARD.encode(both)
    };
    for secret in ["", " ", "words with spaces", "!!!!", &pro, &rsa, &long, &cut, &crossed, "AAAA"]
    {
        let refused = with(&es256.name, secret, None).err();
        assert_eq!(refused, Some(ExchangeError::InvalidCredentials), "{secret}");
    }
    let refused = with(&es256.name, &es256.secret, Some("words")).err();
    assert_eq!(refused, Some(ExchangeError::InvalidCredentials));
    assert!(with(&es256.name, &es256.secret, Some("")).is_ok());
}
