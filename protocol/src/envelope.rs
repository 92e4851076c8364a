//! The sealed envelope that carries exchange credentials to the enclave. `docs/envelope.md` is
//! normative.
//!
//! ```text
//! key_id = SHA-256("performance-aggregator/v1/key-id" || suite || enclave_pub)
//! shared = X25519(ephemeral, enclave)                                        RFC 7748 §5
//! salt   = ephemeral_pub || enclave_pub                                      64 bytes
//! key    = HKDF-SHA256(salt, shared, "performance-aggregator/v1/" purpose, 32)  RFC 5869
//! aad    = u8 v || u8 suite || u8 len(purpose) || purpose || key_id
//! sealed = AES-256-GCM(key, nonce, plaintext, aad)                           NIST SP 800-38D
//! ```
//!
//! # Guarantees
//!
//! * The plaintext is readable only by the holder of the enclave's private key.
//! * [`seal_to`] takes that key out of a verified, fresh attestation and from nowhere else.
//! * What was sealed for one purpose never opens for another, nor under another key.
//! * A low-order `ephemeral_pub` is refused before any key is derived.
//! * One exchange gives three keys: `credentials` (used here, dropped here), `reply`, `request`.
//!
//! # What it does not give
//!
//! * No sender authentication: anyone may seal to a public key. The portfolio's signature inside
//!   authenticates ([`crate::portfolio`]).
//! * No replay protection: the enclave keeps `ephemeral_pub` for
//!   [`EPHEMERAL_KEPT_MS`](crate::limits::EPHEMERAL_KEPT_MS).
//! * No forward secrecy against theft of the enclave's private key while that key lives.
//!
//! # Limits
//!
//! Sizes are checked before decryption. [`EnvelopeError::Crypto`] is the one value for every
//! cryptographic failure, so that an answer cannot be used as an oracle.

use std::fmt;

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use crate::attestation::LiveAttestation;
use crate::category::Category;
use crate::encoding::{b64, b64_array};
use crate::json::{self, JsonError};
use crate::keys::{EnclavePublicKey, EnclaveSecret, KeyId, SUITE};
use crate::limits::{ENVELOPE_JSON_LEN_MAX, ENVELOPE_PLAINTEXT_LEN_MAX};
use crate::reply::ReplyKey;
use crate::request_auth::RequestKey;

/// The version every envelope and reply carries.
pub const VERSION: u8 = 1;

const INFO_PREFIX: &str = "performance-aggregator/v1/";

/// What a derived key is for; its name is in the HKDF info and in the AAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Client to enclave, once.
    Credentials,
    /// Enclave to client.
    Reply,
    /// Authenticates later calls.
    Request,
}

impl Purpose {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Reply => "reply",
            Self::Request => "request",
        }
    }
}

/// An envelope as it is on the wire: `POST /v1/sessions` has one as its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    v: u8,
    suite: u8,
    #[serde(with = "b64_array")]
    key_id: [u8; 32],
    #[serde(with = "b64_array")]
    ephemeral_pub: [u8; 32],
    #[serde(with = "b64_array")]
    nonce: [u8; 12],
    #[serde(with = "b64")]
    ciphertext: Vec<u8>,
    #[serde(with = "b64_array")]
    tag: [u8; 16],
}

/// Why an envelope was not read or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// More bytes than [`ENVELOPE_JSON_LEN_MAX`] or [`ENVELOPE_PLAINTEXT_LEN_MAX`].
    #[error("envelope is larger than allowed")]
    TooLong,
    /// Not the JSON of an envelope.
    #[error("envelope is malformed")]
    Malformed,
    /// Not version 1.
    #[error("envelope version is not supported")]
    UnsupportedVersion,
    /// Not suite 1.
    #[error("envelope suite is not supported")]
    UnsupportedSuite,
    /// Sealed to another key: attest again and seal again.
    #[error("envelope is sealed to another key")]
    WrongKey,
    /// It did not open. Says no more, on purpose.
    #[error("envelope could not be opened")]
    Crypto,
}

impl EnvelopeError {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::WrongKey => Category::WrongKey,
            Self::TooLong
            | Self::Malformed
            | Self::UnsupportedVersion
            | Self::UnsupportedSuite
            | Self::Crypto => Category::Invalid,
        }
    }
}

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The plaintext is larger than allowed.
    #[error("message is larger than allowed")]
    TooLong,
    /// The enclave's public key is of low order: no honest enclave has such a key.
    #[error("the enclave's key is unusable")]
    BadKey,
}

impl Envelope {
    /// Reads an envelope. Field order is free; unknown, missing and duplicate fields, other
    /// versions and suites, and non-canonical base64 are refused.
    ///
    /// # Errors
    /// [`TooLong`](EnvelopeError::TooLong), [`Malformed`](EnvelopeError::Malformed),
    /// [`UnsupportedVersion`](EnvelopeError::UnsupportedVersion) or
    /// [`UnsupportedSuite`](EnvelopeError::UnsupportedSuite).
    pub fn from_json(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        let read: Self =
            json::read_owned(bytes, ENVELOPE_JSON_LEN_MAX).map_err(|error| match error {
                JsonError::TooLong => EnvelopeError::TooLong,
                JsonError::TooDeep | JsonError::Malformed => EnvelopeError::Malformed,
            })?;
        if read.v != VERSION {
            return Err(EnvelopeError::UnsupportedVersion);
        }
        if read.suite != SUITE {
            return Err(EnvelopeError::UnsupportedSuite);
        }
        if read.ciphertext.len() > ENVELOPE_PLAINTEXT_LEN_MAX {
            return Err(EnvelopeError::TooLong);
        }
        Ok(read)
    }

    /// Writes the envelope.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and integers only")
    }

    /// The key this envelope says it is sealed to.
    pub const fn key_id(&self) -> KeyId {
        KeyId(self.key_id)
    }

    /// The sender's single-use key: what the enclave remembers against replays.
    pub const fn ephemeral_pub(&self) -> &[u8; 32] {
        &self.ephemeral_pub
    }
}

/// The keys that outlive an envelope, wiped on drop.
#[derive(Debug)]
pub struct SessionKeys {
    /// Seals the enclave's answers.
    pub reply: ReplyKey,
    /// Authenticates the client's later calls.
    pub request: RequestKey,
}

/// The sender's side of one exchange. Not `Clone`, and eaten by sealing: one key, one envelope.
pub struct Ephemeral {
    secret: Box<StaticSecret>,
    public: [u8; 32],
}

impl Ephemeral {
    /// Makes a single-use key of 32 fresh random bytes, which are wiped.
    pub fn new(random: Zeroizing<[u8; 32]>) -> Self {
        let secret = Box::new(StaticSecret::from(*random));
        let public = PublicKey::from(&*secret).to_bytes();
        drop(random);
        Self { secret, public }
    }

    /// The public half, which the portfolio's signature covers.
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Debug for Ephemeral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ephemeral(..)")
    }
}

/// Seals credentials to the key of a verified, fresh attestation; `nonce` is 12 fresh random
/// bytes.
///
/// # Errors
/// As [`SealError`] says.
pub fn seal_to(
    attested: &LiveAttestation,
    ephemeral: Ephemeral,
    nonce: [u8; 12],
    plaintext: &[u8],
) -> Result<(Envelope, SessionKeys), SealError> {
    seal(&attested.encryption_key(), ephemeral, nonce, plaintext)
}

fn seal(
    enclave: &EnclavePublicKey,
    ephemeral: Ephemeral,
    nonce: [u8; 12],
    plaintext: &[u8],
) -> Result<(Envelope, SessionKeys), SealError> {
    let Ephemeral { secret, public: ephemeral_pub } = ephemeral;
    if plaintext.len() > ENVELOPE_PLAINTEXT_LEN_MAX {
        return Err(SealError::TooLong);
    }
    let shared = secret.diffie_hellman(&PublicKey::from(enclave.0));
    let schedule = Schedule::new(&shared, &ephemeral_pub, &enclave.0).ok_or(SealError::BadKey)?;
    let key_id = enclave.key_id();

    let mut ciphertext = plaintext.to_vec();
    let tag = cipher(&schedule, Purpose::Credentials.name())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            &aad(Purpose::Credentials.name(), &key_id),
            ciphertext.as_mut_slice().into(),
        )
        .map_err(|_| SealError::TooLong)?;
    let envelope = Envelope {
        v: VERSION,
        suite: SUITE,
        key_id: key_id.0,
        ephemeral_pub,
        nonce,
        ciphertext,
        tag: tag.into(),
    };
    Ok((envelope, schedule.session_keys()))
}

/// Opens an envelope of credentials, and derives the keys of the answers and later calls.
///
/// # Errors
/// [`WrongKey`](EnvelopeError::WrongKey) if it names another key, else
/// [`Crypto`](EnvelopeError::Crypto) for every failure.
pub fn open(
    enclave: &EnclaveSecret,
    envelope: &Envelope,
) -> Result<(Zeroizing<Vec<u8>>, SessionKeys), EnvelopeError> {
    let (plaintext, schedule) = open_as(enclave, Purpose::Credentials.name(), envelope)?;
    Ok((plaintext, schedule.session_keys()))
}

/// Opens an envelope under any purpose. For the conformance tool, which is handed one.
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub fn open_for_purpose(
    enclave: &EnclaveSecret,
    purpose: &str,
    envelope: &Envelope,
) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    open_as(enclave, purpose, envelope).map(|(plaintext, _)| plaintext)
}

/// Seals to a key that no attestation vouches for. For tests and tools that play the client.
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub fn seal_unattested(
    enclave: &EnclavePublicKey,
    ephemeral: Ephemeral,
    nonce: [u8; 12],
    plaintext: &[u8],
) -> Result<(Envelope, SessionKeys), SealError> {
    seal(enclave, ephemeral, nonce, plaintext)
}

fn open_as(
    enclave: &EnclaveSecret,
    purpose: &str,
    envelope: &Envelope,
) -> Result<(Zeroizing<Vec<u8>>, Schedule), EnvelopeError> {
    if envelope.key_id != enclave.key_id().0 {
        return Err(EnvelopeError::WrongKey);
    }
    if purpose.len() > usize::from(u8::MAX) {
        return Err(EnvelopeError::Crypto);
    }
    let shared = enclave.secret().diffie_hellman(&PublicKey::from(envelope.ephemeral_pub));
    let schedule = Schedule::new(&shared, &envelope.ephemeral_pub, enclave.public().as_bytes())
        .ok_or(EnvelopeError::Crypto)?;

    let mut plaintext = Zeroizing::new(envelope.ciphertext.clone());
    cipher(&schedule, purpose)
        .decrypt_inout_detached(
            &Nonce::from(envelope.nonce),
            &aad(purpose, enclave.key_id()),
            plaintext.as_mut_slice().into(),
            &Tag::from(envelope.tag),
        )
        .map_err(|_| EnvelopeError::Crypto)?;
    Ok((plaintext, schedule))
}

/// HKDF after its extract step: every key of one exchange comes out of it.
struct Schedule(Hkdf<Sha256>);

impl Schedule {
    /// `None` if the exchange contributed nothing: an all-zero shared secret.
    fn new(
        shared: &SharedSecret,
        ephemeral_pub: &[u8; 32],
        enclave_pub: &[u8; 32],
    ) -> Option<Self> {
        if !shared.was_contributory() {
            return None;
        }
        let mut salt = [0_u8; 64];
        let (left, right) = salt.split_at_mut(32);
        left.copy_from_slice(ephemeral_pub);
        right.copy_from_slice(enclave_pub);
        Some(Self(Hkdf::new(Some(&salt), shared.as_bytes())))
    }

    fn key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0_u8; 32]);
        self.0
            .expand_multi_info(&[INFO_PREFIX.as_bytes(), purpose.as_bytes()], key.as_mut_slice())
            .expect("32 bytes is within HKDF's output limit");
        key
    }

    fn session_keys(&self) -> SessionKeys {
        SessionKeys {
            reply: ReplyKey::from_bytes(&self.key(Purpose::Reply.name())),
            request: RequestKey::from_bytes(&self.key(Purpose::Request.name())),
        }
    }
}

fn cipher(schedule: &Schedule, purpose: &str) -> Aes256Gcm {
    Aes256Gcm::new((&*schedule.key(purpose)).into())
}

/// `u8 v || u8 suite || u8 len(purpose) || purpose || key_id`
pub(crate) fn aad(purpose: &str, key_id: &KeyId) -> Vec<u8> {
    let len = u8::try_from(purpose.len()).expect("callers bound the purpose");
    let mut aad = Vec::with_capacity(3 + purpose.len() + 32 + 48);
    aad.extend_from_slice(&[VERSION, SUITE, len]);
    aad.extend_from_slice(purpose.as_bytes());
    aad.extend_from_slice(&key_id.0);
    aad
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    use super::{Envelope, EnvelopeError, Ephemeral, SealError, SessionKeys, open, seal};
    use crate::category::Category;
    use crate::keys::{EnclavePublicKey, EnclaveSecret};
    use crate::limits::ENVELOPE_PLAINTEXT_LEN_MAX;

    static_assertions::assert_not_impl_any!(
        SessionKeys: Clone, std::fmt::Display, PartialEq, serde::Serialize
    );
    static_assertions::assert_not_impl_any!(
        Ephemeral: Clone, std::fmt::Display, PartialEq, serde::Serialize
    );

    fn ephemeral(bytes: [u8; 32]) -> Ephemeral {
        Ephemeral::new(Zeroizing::new(bytes))
    }

    fn sealed(plaintext: &[u8]) -> (EnclaveSecret, Envelope, SessionKeys) {
        let enclave = EnclaveSecret::from_bytes(&[7; 32]);
        let (envelope, keys) =
            seal(enclave.public(), ephemeral([8; 32]), [9; 12], plaintext).unwrap();
        (enclave, envelope, keys)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_with_the_same_keys(
            enclave: [u8; 32],
            sender: [u8; 32],
            nonce: [u8; 12],
            plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let enclave = EnclaveSecret::from_bytes(&enclave);
            let (envelope, sent) =
                seal(enclave.public(), ephemeral(sender), nonce, &plaintext).unwrap();
            let read = Envelope::from_json(&envelope.to_json()).unwrap();
            prop_assert_eq!(&read, &envelope);
            let (opened, received) = open(&enclave, &read).unwrap();
            prop_assert_eq!(&*opened, &plaintext);
            prop_assert_eq!(sent.reply.expose(), received.reply.expose());
            prop_assert_eq!(sent.request.expose(), received.request.expose());
            prop_assert_ne!(sent.reply.expose(), sent.request.expose());
        }

        #[test]
        fn no_byte_of_an_envelope_can_be_changed(at: prop::sample::Index, to: u8) {
            let (enclave, envelope, _) = sealed(b"credentials");
            let mut bytes = envelope.to_json();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let opened = Envelope::from_json(&bytes).and_then(|read| open(&enclave, &read));
            prop_assert!(opened.is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Envelope::from_json(&bytes).is_err());
        }
    }

    #[test]
    fn another_enclave_is_told_from_a_broken_envelope() {
        let (_, envelope, _) = sealed(b"credentials");
        let other = EnclaveSecret::from_bytes(&[1; 32]);
        let error = open(&other, &envelope).unwrap_err();
        assert_eq!(error, EnvelopeError::WrongKey);
        assert_eq!(error.category(), Category::WrongKey);
        assert_eq!(EnvelopeError::Crypto.category(), Category::Invalid);
    }

    #[test]
    fn plaintext_is_bounded_when_sealing_too() {
        let enclave = EnclaveSecret::from_bytes(&[7; 32]);
        let at_limit = vec![0; ENVELOPE_PLAINTEXT_LEN_MAX];
        assert!(seal(enclave.public(), ephemeral([8; 32]), [9; 12], &at_limit).is_ok());
        let too_long = vec![0; ENVELOPE_PLAINTEXT_LEN_MAX + 1];
        let error = seal(enclave.public(), ephemeral([8; 32]), [9; 12], &too_long).unwrap_err();
        assert_eq!(error, SealError::TooLong);
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_low_order() {
        for low in [0, 1] {
            let mut key = [0; 32];
            key[0] = low;
            let error = seal(&EnclavePublicKey(key), ephemeral([8; 32]), [9; 12], b"").unwrap_err();
            assert_eq!(error, SealError::BadKey);
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let (_, _, keys) = sealed(b"credentials");
        assert_eq!(
            format!("{keys:?}"),
            "SessionKeys { reply: ReplyKey(..), request: RequestKey(..) }"
        );
        assert_eq!(format!("{:?}", ephemeral([8; 32])), "Ephemeral(..)");
    }
}
