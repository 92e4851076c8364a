//! Keys that sign requests, and the encoding that is signed.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::error::ExchangeError;
use crate::{Credentials, Method, limits};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// RFC 3986 percent-encoding: a space is `%20`, never `+`.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `name=value&…` in the given order, both sides encoded.
pub(crate) fn query_string<N: AsRef<str>, V: AsRef<str>>(pairs: &[(N, V)]) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.push_str(&percent_encoded(name.as_ref()));
        query.push('=');
        query.push_str(&percent_encoded(value.as_ref()));
    }
    query
}

/// How a request is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HMAC-SHA256 under a shared secret.
    HmacSha256,
    /// Ed25519.
    Ed25519,
    /// RSA, PKCS#1 v1.5, SHA-256.
    RsaSha256,
}

/// A key as an exchange takes it from its customers.
///
/// The shared secret is borrowed from where it lives. The other keys live in
/// AWS-LC, which wipes them when they are dropped.
pub(crate) enum SigningKey<'a> {
    /// HMAC-SHA256 under a shared secret; the signature is lower-case hex.
    Hmac(&'a [u8]),
    /// Ed25519; the signature is base64.
    Ed25519(Box<Ed25519KeyPair>),
    /// RSA, PKCS#1 v1.5, SHA-256; the signature is base64.
    Rsa(Box<rsa::KeyPair>),
}

impl<'a> SigningKey<'a> {
    /// Reads a secret: PEM is a private key, anything else a shared secret.
    pub(crate) fn read(secret: &'a [u8]) -> Result<Self, ExchangeError> {
        let fits = (1..=limits::API_SECRET_LEN_MAX).contains(&secret.len());
        if !fits {
            return Err(ExchangeError::InvalidCredentials);
        }
        if secret.trim_ascii_start().starts_with(b"-----BEGIN") {
            return Self::read_pem(secret).ok_or(ExchangeError::InvalidCredentials);
        }
        // A shared secret with white space was pasted wrongly: signing with
        // it would only fail later, with a worse message.
        if secret.iter().all(u8::is_ascii_graphic) {
            Ok(Self::Hmac(secret))
        } else {
            Err(ExchangeError::InvalidCredentials)
        }
    }

    fn read_pem(pem: &[u8]) -> Option<Self> {
        let (label, der) = pem_contents(pem)?;
        match label {
            Label::Sec1 => None,
            Label::Pkcs8 => Ed25519KeyPair::from_pkcs8(&der)
                .map(|key| Self::Ed25519(Box::new(key)))
                .or_else(|_| rsa::KeyPair::from_pkcs8(&der).map(|key| Self::Rsa(Box::new(key))))
                .ok(),
            Label::Pkcs1 => rsa::KeyPair::from_der(&der).map(|key| Self::Rsa(Box::new(key))).ok(),
        }
    }

    /// Which algorithm signs.
    pub(crate) const fn scheme(&self) -> Scheme {
        match self {
            Self::Hmac(_) => Scheme::HmacSha256,
            Self::Ed25519(_) => Scheme::Ed25519,
            Self::Rsa(_) => Scheme::RsaSha256,
        }
    }

    /// The signature in the exchange's text form, not yet percent-encoded.
    pub(crate) fn sign(&self, payload: &[u8]) -> Result<Zeroizing<String>, ExchangeError> {
        match self {
            Self::Hmac(secret) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(secret)
                    .map_err(|_| ExchangeError::InvalidCredentials)?;
                mac.update(payload);
                Ok(Zeroizing::new(hex::encode(mac.finalize().into_bytes())))
            }
            Self::Ed25519(key) => Ok(Zeroizing::new(BASE64.encode(key.sign(payload)))),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), payload, &mut signature)
                    .map_err(|_| ExchangeError::InvalidCredentials)?;
                Ok(Zeroizing::new(BASE64.encode(signature)))
            }
        }
    }
}

/// HMAC-SHA-512 under a secret that is handed out as base64; the result is
/// base64 too.
pub(crate) struct HmacSha512(Hmac<Sha512>);

impl HmacSha512 {
    pub(crate) fn of_base64(secret: &[u8]) -> Result<Self, ExchangeError> {
        let fits = (1..=limits::API_SECRET_LEN_MAX).contains(&secret.len());
        let mut key = Zeroizing::new(vec![0; if fits { secret.len() } else { 0 }]);
        let len = BASE64
            .decode_slice(secret, &mut key)
            .ok()
            .filter(|len| *len > 0)
            .ok_or(ExchangeError::InvalidCredentials)?;
        key.truncate(len);
        Hmac::new_from_slice(&key).map(Self).map_err(|_| ExchangeError::InvalidCredentials)
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        self.0.update(part);
    }

    pub(crate) fn finish(self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.0.finalize().into_bytes()))
    }
}

/// The private-key formats that are read.
pub(crate) enum Label {
    /// Any algorithm.
    Pkcs8,
    /// RSA.
    Pkcs1,
    /// Elliptic curves.
    Sec1,
}

/// The DER inside one PEM block. Tolerates what pasting does: white space
/// around and inside, and line ends written as `\n` in two characters.
pub(crate) fn pem_contents(pem: &[u8]) -> Option<(Label, Zeroizing<Vec<u8>>)> {
    let text = std::str::from_utf8(pem).ok()?.trim_ascii();
    let formats = [(PKCS8, Label::Pkcs8), (PKCS1, Label::Pkcs1), (SEC1, Label::Sec1)];
    let (label, rest) = formats.into_iter().find_map(|((begin, end), label)| {
        let rest = text.strip_prefix(begin)?;
        let rest = rest.strip_suffix(end).or_else(|| rest.strip_suffix("\\n")?.strip_suffix(end));
        Some((label, rest?))
    })?;
    // Both buffers are made once, at full length, and wiped.
    let mut encoded = Zeroizing::new(Vec::with_capacity(rest.len()));
    let mut bytes = rest.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = byte == b'\\' && matches!(bytes.peek(), Some(b'n' | b'r'));
        if escaped {
            bytes.next();
        } else if !byte.is_ascii_whitespace() {
            encoded.push(byte);
        }
    }
    let mut der = Zeroizing::new(vec![0; encoded.len()]);
    let len = BASE64.decode_slice(encoded.as_slice(), &mut der).ok()?;
    der.truncate(len);
    Some((label, der))
}

const PKCS8: (&str, &str) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
const PKCS1: (&str, &str) = ("-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----");
const SEC1: (&str, &str) = ("-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----");

/// What makes a request signed where the signature travels in a header.
pub struct SignedHeaders {
    /// What was signed.
    pub payload: Zeroizing<String>,
    /// In the exchange's text form.
    pub signature: Zeroizing<String>,
    /// Names in the exchange's spelling, values as they go on the wire.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
}

impl fmt::Debug for SignedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedHeaders(..)")
    }
}

/// Signs as several exchanges do that know a passphrase: HMAC-SHA256 in base64
/// over timestamp, method, `target` (the path with its query) and body. `names`
/// are the headers of key, signature, timestamp and passphrase.
///
/// Fails with [`ExchangeError::InvalidCredentials`] if the key or the
/// passphrase is missing or cannot stand in a header, or the secret is no
/// shared secret.
pub(crate) fn with_passphrase(
    credentials: &Credentials<'_>,
    method: Method,
    target: &str,
    body: &str,
    timestamp: &str,
    names: [&'static str; 4],
) -> Result<SignedHeaders, ExchangeError> {
    let key = credentials.header_key()?;
    let passphrase = credentials.header_passphrase()?;
    let payload = Zeroizing::new([timestamp, method.name(), target, body].concat());
    let signature = hmac_sha256_base64(credentials.secret, payload.as_bytes())?;
    let values =
        [header_value(key), signature.clone(), header_value(timestamp), header_value(passphrase)];
    Ok(SignedHeaders { payload, signature, headers: names.into_iter().zip(values).collect() })
}

/// A copy that is wiped, for a header.
pub(crate) fn header_value(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_owned())
}

/// HMAC-SHA256 in base64 under a shared secret.
pub(crate) fn hmac_sha256_base64(
    secret: &[u8],
    payload: &[u8],
) -> Result<Zeroizing<String>, ExchangeError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(shared_secret(secret)?)
        .map_err(|_| ExchangeError::InvalidCredentials)?;
    mac.update(payload);
    Ok(Zeroizing::new(BASE64.encode(mac.finalize().into_bytes())))
}

/// HMAC-SHA256 in lower-case hex under a shared secret.
pub(crate) fn hmac_sha256_hex(
    secret: &[u8],
    payload: &[u8],
) -> Result<Zeroizing<String>, ExchangeError> {
    SigningKey::Hmac(shared_secret(secret)?).sign(payload)
}

/// HMAC-SHA512 in lower-case hex under a shared secret.
pub(crate) fn hmac_sha512_hex(
    secret: &[u8],
    payload: &[u8],
) -> Result<Zeroizing<String>, ExchangeError> {
    let mut mac = Hmac::<Sha512>::new_from_slice(shared_secret(secret)?)
        .map_err(|_| ExchangeError::InvalidCredentials)?;
    mac.update(payload);
    Ok(Zeroizing::new(hex::encode(mac.finalize().into_bytes())))
}

/// The secret, if it is one that both sides hold and not a private key.
fn shared_secret(secret: &[u8]) -> Result<&[u8], ExchangeError> {
    match SigningKey::read(secret)? {
        SigningKey::Hmac(secret) => Ok(secret),
        SigningKey::Ed25519(_) | SigningKey::Rsa(_) => Err(ExchangeError::InvalidCredentials),
    }
}
