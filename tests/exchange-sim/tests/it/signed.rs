//! Requests signed for Kraken, Kraken Futures and Coinbase, written from their documentation.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use exchange_sim::keys::{IssuedKey, KeyForm, KeySpec};
use exchange_sim::{COINBASE, KRAKEN, KRAKEN_FUTURES, Options, Sim};
use hmac::{Hmac, KeyInit, Mac};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};

use crate::client::{Reply, call, start_with};

pub(crate) fn spec(account: &str, form: KeyForm) -> KeySpec {
    KeySpec {
        account: account.to_owned(),
        api_key: None,
        api_secret: None,
        permissions: "read".parse().unwrap(),
        form,
    }
}

/// The scenario `venues` at a minute, with options, and a key of a form for an account.
pub(crate) async fn venue(
    account: &str,
    form: KeyForm,
    minute: u64,
    options: Options,
) -> (Sim, IssuedKey) {
    let sim = start_with("venues.json", options).await;
    let key = sim.add_key(spec(account, form)).unwrap();
    while sim.clock.view().now_ms < sim.clock.view().start_ms + minute * 60_000 {
        sim.clock.round(sim.clock.view().now_ms).unwrap();
    }
    (sim, key)
}

fn mac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(&STANDARD.decode(secret).unwrap()).unwrap();
    for part in parts {
        mac.update(part);
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A call to Kraken Spot with this nonce and these parameters.
pub(crate) async fn kraken(
    sim: &Sim,
    key: &IssuedKey,
    method: &str,
    nonce: u64,
    params: &str,
) -> Value {
    let path = format!("/0/private/{method}");
    let nonce = nonce.to_string();
    let body = if params.is_empty() {
        format!("nonce={nonce}")
    } else {
        format!("nonce={nonce}&{params}")
    };
    let digest = Sha256::new().chain_update(&nonce).chain_update(&body).finalize();
    let signature = mac(&key.api_secret, &[path.as_bytes(), &digest]);
    let headers = [
        ("API-Key", key.api_key.as_str()),
        ("API-Sign", signature.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let reply = call(sim, KRAKEN, "POST", &path, &headers, &body).await.unwrap();
    assert_eq!(reply.status, 200);
    reply.json()
}

/// A call to Kraken Futures, signed as documented, with a nonce if there is one.
pub(crate) async fn futures(
    sim: &Sim,
    key: &IssuedKey,
    path: &str,
    query: &str,
    nonce: Option<u64>,
) -> Reply {
    let nonce = nonce.map(|nonce| nonce.to_string());
    let signed = path.strip_prefix("/derivatives").unwrap_or(path);
    let digest = Sha256::new()
        .chain_update(query)
        .chain_update(nonce.as_deref().unwrap_or_default())
        .chain_update(signed)
        .finalize();
    let authent = mac(&key.api_secret, &[&digest]);
    let mut headers = vec![("APIKey", key.api_key.as_str()), ("Authent", authent.as_str())];
    headers.extend(nonce.as_deref().map(|nonce| ("Nonce", nonce)));
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    call(sim, KRAKEN_FUTURES, "GET", &target, &headers, "").await.unwrap()
}

/// The claims of a token for this request, fresh at the scenario's time.
pub(crate) fn claims(sim: &Sim, key: &IssuedKey, path: &str) -> Value {
    let now = sim.clock.view().now_ms / 1000;
    json!({"sub": key.api_key, "iss": "cdp", "nbf": now, "exp": now + 120,
        "uri": format!("GET {COINBASE}{path}")})
}

pub(crate) fn token(key: &IssuedKey, claims: &Value) -> String {
    let alg = if key.form == KeyForm::Coinbase { "ES256" } else { "EdDSA" };
    let head = json!({"alg": alg, "kid": key.api_key, "typ": "JWT", "nonce": "6e6f6e6365"});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&head), part(claims));
    let signature = if key.form == KeyForm::Coinbase {
        let der = PrivateKeyDer::from_pem_slice(key.api_secret.as_bytes()).unwrap();
        let pair =
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
        pair.unwrap().sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
    } else {
        let bytes = STANDARD.decode(&key.api_secret).unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&bytes[..32]).unwrap();
        pair.sign(signed.as_bytes()).as_ref().to_vec()
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

pub(crate) async fn bearing(sim: &Sim, token: &str, target: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    call(sim, COINBASE, "GET", target, &[("Authorization", &bearer)], "").await.unwrap()
}

/// A call to Coinbase with a token of its own.
pub(crate) async fn coinbase(sim: &Sim, key: &IssuedKey, path: &str, query: &str) -> Reply {
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    bearing(sim, &token(key, &claims(sim, key, path)), &target).await
}
