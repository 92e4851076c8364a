//! One token a request: a JWT (RFC 7519) signed with ES256 or EdDSA.
//!
//! It names the key in `kid` and `sub`, the request in `uri` (method, host and
//! path without the query), and holds for two minutes from `nbf` at most.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde::Deserialize;

use crate::keys::{self, Key, KeyForm, KeyRing};
use crate::scenario::Stamp;
use crate::venue::COINBASE;

/// Seconds a token holds at most.
const LIFE_SECS: u64 = 120;

#[derive(Debug, Deserialize)]
struct Head {
    alg: String,
    kid: String,
    #[serde(default)]
    nonce: String,
}

/// `uri` is what the documentation has; some clients send a list.
#[derive(Debug, Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    nbf: u64,
    exp: u64,
    #[serde(default)]
    uri: Option<String>,
    #[serde(default)]
    uris: Vec<String>,
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn part<T: for<'a> Deserialize<'a>>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// The key a request names, whether or not it is its own.
pub(crate) fn named_key(headers: &HeaderMap) -> Option<String> {
    let (head, _) = token(headers)?.split_once('.')?;
    part::<Head>(head).map(|head| head.kid)
}

/// The key's name and the key, if the token is its own, made for this request, and fresh.
pub(super) fn verify(
    ring: &KeyRing,
    headers: &HeaderMap,
    path: &str,
    server_time: Stamp,
) -> Option<(String, Key)> {
    let (signed, signature) = token(headers)?.rsplit_once('.')?;
    let (head, claims) = signed.split_once('.')?;
    let (head, claims): (Head, Claims) = (part(head)?, part(claims)?);
    let key = ring.find(&head.kid).filter(|key| key.form.is_coinbase())?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let public = keys::public_key(key.form, &key.secret)?;
    let checked = match (key.form, head.alg.as_str()) {
        (KeyForm::Coinbase, "ES256") => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .verify(signed.as_bytes(), &signature),
        (KeyForm::CoinbaseEd25519, "EdDSA") => {
            UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature)
        }
        _ => return None,
    };
    checked.ok()?;
    let now = server_time.millis() / 1000;
    let sound = !head.nonce.is_empty()
        && claims.sub == head.kid
        && matches!(claims.iss.as_str(), "cdp" | "coinbase-cloud")
        && claims.nbf <= now
        && now < claims.exp
        && claims.exp.checked_sub(claims.nbf).is_some_and(|life| life <= LIFE_SECS)
        && claims.uri.iter().chain(&claims.uris).any(|uri| names(uri, path));
    sound.then_some((head.kid, key))
}

/// `GET api.coinbase.com/path`. A port may stand behind the host, for here it is not the usual one.
fn names(uri: &str, path: &str) -> bool {
    let named = uri.strip_prefix("GET ").and_then(|uri| uri.strip_prefix(COINBASE));
    let port = named.and_then(|rest| rest.strip_prefix(':'));
    let named = port.map(|rest| rest.trim_start_matches(|it: char| it.is_ascii_digit())).or(named);
    named == Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_one_request() {
        let path = "/api/v3/brokerage/accounts";
        for uri in [
            "GET api.coinbase.com/api/v3/brokerage/accounts",
            "GET api.coinbase.com:4433/api/v3/brokerage/accounts",
        ] {
            assert!(names(uri, path), "{uri}");
        }
        for uri in [
            "POST api.coinbase.com/api/v3/brokerage/accounts",
            "GET api.coinbase.com/api/v3/brokerage/accounts?limit=1",
            "GET api.example.com/api/v3/brokerage/accounts",
            "GET api.coinbase.com.example.com/api/v3/brokerage/accounts",
            "",
        ] {
            assert!(!names(uri, path), "{uri}");
        }
    }
}
