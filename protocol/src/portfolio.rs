//! A portfolio is keyed by the customer's Ed25519 key, which the client makes and keeps.
//!
//! ```text
//! message = "performance-aggregator/v1/" || action || 0x00 || key_id || ephemeral_pub
//!           || attested_at (u64 BE milliseconds) || SHA-256(body without the signature)
//! ```
//!
//! # Guarantees
//!
//! * Keys and signatures are verified strictly (RFC 8032 with the checks it leaves open): one
//!   encoding each, no small-order points, so no signature fits two messages or two keys.
//! * A signature is bound to the envelope that carries it, by `key_id` and `ephemeral_pub`.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::encoding::{b64_array, to_hex};
use crate::keys::KeyId;
use crate::time::UnixMillis;

const DOMAIN: &[u8] = b"performance-aggregator/v1/";

/// What a customer's signature allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start a session.
    Open,
    /// Prolong a session.
    Renew,
    /// Have a claim signed.
    Claim,
    /// Erase the portfolio.
    Erase,
}

impl Action {
    /// The name that is signed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Renew => "renew",
            Self::Claim => "claim",
            Self::Erase => "erase",
        }
    }
}

/// A customer's public key, known to be canonical and not of small order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PortfolioKey(VerifyingKey);

/// A key or signature was refused. Says no more, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("portfolio signature does not verify")]
pub struct PortfolioError;

impl PortfolioKey {
    /// Reads a public key.
    ///
    /// # Errors
    /// If the bytes are not the one encoding of a point, or the point is of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PortfolioError> {
        strict_key(bytes).map(Self).ok_or(PortfolioError)
    }

    /// The bytes, as they are on the wire.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The portfolio's identifier: SHA-256 of the key, hexadecimal.
    pub fn portfolio_id(&self) -> PortfolioId {
        PortfolioId(Sha256::digest(self.0.as_bytes()).into())
    }

    /// Verifies that this key's owner allows `signed`.
    ///
    /// # Errors
    /// If the signature is not canonical or not of this message.
    pub fn verify_strict(
        &self,
        signed: &Signed<'_>,
        signature: &[u8; 64],
    ) -> Result<(), PortfolioError> {
        self.0
            .verify_strict(&signed.message(), &Signature::from_bytes(signature))
            .map_err(|_| PortfolioError)
    }
}

impl fmt::Debug for PortfolioKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortfolioKey({})", to_hex(self.0.as_bytes()))
    }
}

impl Serialize for PortfolioKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        b64_array::serialize(self.0.as_bytes(), to)
    }
}

impl<'de> Deserialize<'de> for PortfolioKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_bytes(&b64_array::deserialize(from)?)
            .map_err(|_| serde::de::Error::custom("not an acceptable Ed25519 key"))
    }
}

/// SHA-256 of a portfolio key; lower-case hexadecimal on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortfolioId(#[serde(with = "crate::encoding::hex_array")] pub [u8; 32]);

impl fmt::Display for PortfolioId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for PortfolioId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortfolioId({self})")
    }
}

/// A customer's private key, wiped on drop. Absent: `Clone`, `Display`, `Serialize`.
pub struct PortfolioSecret(Box<SigningKey>);

impl PortfolioSecret {
    /// Makes a key of 32 random bytes (an RFC 8032 seed); the caller wipes the original.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(seed)))
    }

    /// Borrows the seed, for keeping it where keys are kept.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PortfolioKey {
        PortfolioKey(self.0.verifying_key())
    }

    /// Signs.
    pub fn sign(&self, signed: &Signed<'_>) -> [u8; 64] {
        self.0.sign(&signed.message()).to_bytes()
    }
}

impl fmt::Debug for PortfolioSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortfolioSecret(..)")
    }
}

/// Everything a customer's signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What is allowed.
    pub action: Action,
    /// The enclave key that the envelope is sealed to.
    pub key_id: &'a KeyId,
    /// The envelope that carries the signature.
    pub ephemeral_pub: &'a [u8; 32],
    /// When the attestation was made that the client verified.
    pub attested_at: UnixMillis,
    /// The message without its signature.
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// The exact bytes that are signed.
    pub fn message(&self) -> Vec<u8> {
        [
            DOMAIN,
            self.action.name().as_bytes(),
            &[0],
            &self.key_id.0,
            self.ephemeral_pub,
            &self.attested_at.0.to_be_bytes(),
            &Sha256::digest(self.body),
        ]
        .concat()
    }
}

/// A verifying key with exactly one encoding and no small-order component to hide behind.
///
/// `VerifyingKey::from_bytes` accepts a few encodings of y ≥ p; re-encoding the point tells.
pub(crate) fn strict_key(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    let canonical = VerifyingKey::from(key.to_edwards());
    (canonical.to_bytes() == *bytes && !key.is_weak()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::PortfolioSecret;

    static_assertions::assert_not_impl_any!(
        PortfolioSecret: Clone, std::fmt::Display, PartialEq, serde::Serialize, std::ops::Deref
    );
}
