//! Sealed answers: what the enclave says after an envelope has opened.
//!
//! ```text
//! aad    = u8 v || u8 suite || u8 len("reply") || "reply" || key_id || ephemeral_pub || request_nonce
//! sealed = AES-256-GCM(reply key, random 96-bit nonce, plaintext, aad)
//! JSON   = {"v":1,"nonce","ciphertext","tag"}
//! ```
//!
//! # Guarantees
//!
//! * Only the client that sealed the session's envelope can read an answer, and only the enclave
//!   that opened it can have made one.
//! * An answer opens only as the answer to the request that carried its `request_nonce`.
//!
//! # Limits
//!
//! A key seals at most 2^30 messages, which a session's rate limits keep far away: nonces are
//! random, and GCM allows 2^32.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::{b64, b64_array};
use crate::envelope::{self, Purpose};
use crate::json::{self, Version1};
use crate::keys::KeyId;
use crate::limits::{REPLY_JSON_LEN_MAX, REPLY_PLAINTEXT_LEN_MAX};
use crate::secret::key_type;

/// The media type of a sealed answer.
pub const CONTENT_TYPE: &str = "application/vnd.performance-aggregator.sealed+json";

/// The request nonce of an answer to an envelope that opened, but whose body could not be read.
pub const NONCE_UNREAD: [u8; 16] = [0; 16];

key_type! {
    /// Seals and opens answers, and does nothing else.
    ReplyKey
}

/// What an answer is bound to besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyContext<'a> {
    /// The enclave key the session's envelope was sealed to.
    pub key_id: &'a KeyId,
    /// The session's envelope.
    pub ephemeral_pub: &'a [u8; 32],
    /// The request that is answered.
    pub request_nonce: &'a [u8; 16],
}

/// A sealed answer as it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedReply {
    v: Version1,
    #[serde(with = "b64_array")]
    nonce: [u8; 12],
    #[serde(with = "b64")]
    ciphertext: Vec<u8>,
    #[serde(with = "b64_array")]
    tag: [u8; 16],
}

/// An answer was not sealed, read or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// More bytes than allowed.
    #[error("sealed reply is larger than allowed")]
    TooLong,
    /// Not the JSON of a sealed answer.
    #[error("sealed reply is malformed")]
    Malformed,
    /// It did not open. Says no more, on purpose.
    #[error("sealed reply could not be opened")]
    Crypto,
}

impl SealedReply {
    /// Reads a sealed answer; unknown, missing and duplicate fields are refused.
    ///
    /// # Errors
    /// [`TooLong`](ReplyError::TooLong) or [`Malformed`](ReplyError::Malformed).
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReplyError> {
        if bytes.len() > REPLY_JSON_LEN_MAX {
            return Err(ReplyError::TooLong);
        }
        let read: Self =
            json::read_owned(bytes, REPLY_JSON_LEN_MAX).map_err(|_| ReplyError::Malformed)?;
        if read.ciphertext.len() > REPLY_PLAINTEXT_LEN_MAX {
            return Err(ReplyError::TooLong);
        }
        Ok(read)
    }

    /// Writes the sealed answer.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and integers only")
    }
}

/// Seals an answer; `nonce` is 12 fresh random bytes.
///
/// # Errors
/// [`TooLong`](ReplyError::TooLong).
pub fn seal(
    key: &ReplyKey,
    context: &ReplyContext<'_>,
    nonce: [u8; 12],
    plaintext: &[u8],
) -> Result<SealedReply, ReplyError> {
    if plaintext.len() > REPLY_PLAINTEXT_LEN_MAX {
        return Err(ReplyError::TooLong);
    }
    let mut ciphertext = plaintext.to_vec();
    let tag = Aes256Gcm::new(key.expose().into())
        .encrypt_inout_detached(
            &Nonce::from(nonce),
            &aad(context),
            ciphertext.as_mut_slice().into(),
        )
        .map_err(|_| ReplyError::TooLong)?;
    Ok(SealedReply { v: Version1, nonce, ciphertext, tag: tag.into() })
}

/// Opens an answer.
///
/// # Errors
/// [`Crypto`](ReplyError::Crypto) for every failure.
pub fn open(
    key: &ReplyKey,
    context: &ReplyContext<'_>,
    sealed: &SealedReply,
) -> Result<Zeroizing<Vec<u8>>, ReplyError> {
    let mut plaintext = Zeroizing::new(sealed.ciphertext.clone());
    Aes256Gcm::new(key.expose().into())
        .decrypt_inout_detached(
            &Nonce::from(sealed.nonce),
            &aad(context),
            plaintext.as_mut_slice().into(),
            &Tag::from(sealed.tag),
        )
        .map_err(|_| ReplyError::Crypto)?;
    Ok(plaintext)
}

fn aad(context: &ReplyContext<'_>) -> Vec<u8> {
    let mut aad = envelope::aad(Purpose::Reply.name(), context.key_id);
    aad.extend_from_slice(context.ephemeral_pub);
    aad.extend_from_slice(context.request_nonce);
    aad
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ReplyContext, ReplyError, ReplyKey, SealedReply, open, seal};
    use crate::keys::KeyId;
    use crate::limits::REPLY_PLAINTEXT_LEN_MAX;

    static_assertions::assert_not_impl_any!(
        ReplyKey: Clone, std::fmt::Display, PartialEq, serde::Serialize, std::ops::Deref
    );

    const CONTEXT: ReplyContext<'_> =
        ReplyContext { key_id: &KeyId([1; 32]), ephemeral_pub: &[2; 32], request_nonce: &[3; 16] };

    proptest! {
        #[test]
        fn what_is_sealed_opens(
            key: [u8; 32],
            nonce: [u8; 12],
            plaintext in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            let key = ReplyKey::from_bytes(&key);
            let sealed = seal(&key, &CONTEXT, nonce, &plaintext).unwrap();
            let read = SealedReply::from_json(&sealed.to_json()).unwrap();
            prop_assert_eq!(&*open(&key, &CONTEXT, &read).unwrap(), &plaintext);
        }

        #[test]
        fn no_byte_of_a_reply_can_be_changed(at: prop::sample::Index, to: u8) {
            let key = ReplyKey::from_bytes(&[4; 32]);
            let mut bytes = seal(&key, &CONTEXT, [5; 12], b"answer").unwrap().to_json();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let opened =
                SealedReply::from_json(&bytes).and_then(|read| open(&key, &CONTEXT, &read));
            prop_assert!(opened.is_err());
        }
    }

    #[test]
    fn a_reply_as_long_as_allowed_passes_and_a_longer_one_does_not() {
        let key = ReplyKey::from_bytes(&[4; 32]);
        let mut plaintext = vec![0; REPLY_PLAINTEXT_LEN_MAX];
        let sealed = seal(&key, &CONTEXT, [5; 12], &plaintext).unwrap();
        let read = SealedReply::from_json(&sealed.to_json()).unwrap();
        assert_eq!(open(&key, &CONTEXT, &read).unwrap().len(), REPLY_PLAINTEXT_LEN_MAX);
        plaintext.push(0);
        assert_eq!(seal(&key, &CONTEXT, [5; 12], &plaintext), Err(ReplyError::TooLong));
    }
}
