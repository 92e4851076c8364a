//! Signing: a token of its own for each request.
//!
//! ```text
//! header = {"alg", "kid": key name, "nonce": 16 random bytes in hex, "typ": "JWT"}
//! claims = {"sub": key name, "iss": "cdp", "nbf": now, "exp": now + 120,
//!           "uri": "METHOD host/path"}                      without the query
//! token  = base64url(header) . base64url(claims) . base64url(signature)
//! ```
//!
//! The key's form decides the algorithm: a P-256 key in PEM (SEC1 or PKCS#8)
//! signs with ES256, whose signature is r and s, 32 bytes each; an Ed25519 key
//! (base64 of seed and public half, base64 of the seed, or PKCS#8 in PEM) signs
//! with EdDSA. Keys of Coinbase Pro and of the older interface are recognised
//! and refused: the exchange no longer takes them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::request::Nonce;
use crate::sign::{Label, pem_contents};
use crate::{Credentials, Method, UnixMillis, limits};

/// What to do with a retired key.
const CREATE: &str = "a CDP API key, Ed25519 or ECDSA, that can view and nothing else";

/// How long a token is good, in seconds; Coinbase takes no more.
const LIFETIME_S: u64 = 120;

/// The token for one request.
///
/// Fails with [`ExchangeError::RetiredCredentials`] for a key of Coinbase Pro
/// or of the older interface, with [`ExchangeError::InvalidCredentials`] for
/// what is no key of Coinbase at all.
pub fn token(
    credentials: &Credentials<'_>,
    method: Method,
    host: &str,
    path: &str,
    at: UnixMillis,
    nonce: &Nonce,
) -> Result<Zeroizing<String>, ExchangeError> {
    let key = Key::read(credentials)?;
    let name = credentials.key;
    let now = at.0.checked_div(1000).unwrap_or_default();
    let expiry = now.checked_add(LIFETIME_S).ok_or(ExchangeError::InvalidQuery { field: "at" })?;
    let header = json!({
        "alg": key.algorithm(),
        "kid": name,
        "nonce": nonce.hex(),
        "typ": "JWT",
    });
    let claims = json!({
        "sub": name,
        "iss": "cdp",
        "nbf": now,
        "exp": expiry,
        "uri": format!("{} {host}{path}", method.name()),
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = [part(&header), part(&claims)].join(".");
    let signature = Zeroizing::new(URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())?));
    Ok(Zeroizing::new([signed.as_str(), ".", signature.as_str()].concat()))
}

/// A private key; both sorts live in AWS-LC, which wipes them.
enum Key {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl Key {
    fn read(credentials: &Credentials<'_>) -> Result<Self, ExchangeError> {
        let secret = credentials.secret;
        let fits = (1..=limits::API_SECRET_LEN_MAX).contains(&secret.len());
        if is_retired(credentials) {
            return Err(ExchangeError::RetiredCredentials(CREATE));
        }
        if !fits || has_passphrase(credentials) || !is_name(credentials.key) {
            return Err(ExchangeError::InvalidCredentials);
        }
        let key = if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
            Self::from_pem(secret)
        } else {
            Self::from_base64(secret)
        };
        key.ok_or(ExchangeError::InvalidCredentials)
    }

    fn from_pem(pem: &[u8]) -> Option<Self> {
        let (label, der) = pem_contents(pem)?;
        let es256 = || {
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der)
                .map(|key| Self::Es256(Box::new(key)))
                .ok()
        };
        match label {
            Label::Sec1 => es256(),
            Label::Pkcs8 => Ed25519KeyPair::from_pkcs8(&der)
                .or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der))
                .map(|key| Self::EdDsa(Box::new(key)))
                .ok()
                .or_else(es256),
            Label::Pkcs1 => None,
        }
    }

    fn from_base64(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let len = STANDARD.decode_slice(text, &mut bytes).ok()?;
        bytes.truncate(len);
        let key = match bytes.as_slice() {
            seed if seed.len() == SEED_LEN => Ed25519KeyPair::from_seed_unchecked(seed),
            // That both halves belong together is checked: 64 bytes are also
            // the secret of a Pro key.
            both => {
                let (seed, public) = both.split_at_checked(SEED_LEN)?;
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
        };
        key.map(|key| Self::EdDsa(Box::new(key))).ok()
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, ExchangeError> {
        let signature = match self {
            // AWS-LC draws the number that ECDSA needs by itself.
            Self::Es256(key) => key.sign(&SystemRandom::new(), message).ok(),
            Self::EdDsa(key) => key.try_sign(message).ok(),
        };
        let signature = signature.ok_or(ExchangeError::InvalidCredentials)?;
        Ok(Zeroizing::new(signature.as_ref().to_vec()))
    }
}

const SEED_LEN: usize = 32;

/// `organizations/{org}/apiKeys/{id}`, or the bare UUID of newer keys.
fn is_name(key: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let long = || {
        let (organization, id) = key.strip_prefix("organizations/")?.split_once("/apiKeys/")?;
        Some(plain(organization) && plain(id))
    };
    key.len() <= limits::API_KEY_LEN_MAX && (is_uuid(key) || long() == Some(true))
}

fn is_uuid(text: &str) -> bool {
    text.len() == UUID_LEN
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

const UUID_LEN: usize = 36;

/// A key of Coinbase Pro (32 hex digits, a secret in base64 and a passphrase)
/// or of the older interface (16 letters and digits, a secret of 32).
fn is_retired(credentials: &Credentials<'_>) -> bool {
    let Credentials { key, secret, .. } = *credentials;
    let secret = secret.trim_ascii();
    let pro = is_hex(key, 32);
    let old = key.len() == 16
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && secret.len() == 32
        && secret.iter().all(u8::is_ascii_alphanumeric);
    pro || old || (has_passphrase(credentials) && is_base64(secret))
}

fn has_passphrase(credentials: &Credentials<'_>) -> bool {
    credentials.passphrase.is_some_and(|passphrase| !passphrase.is_empty())
}

fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
