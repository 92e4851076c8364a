//! The enclave's encryption key, and the name it goes by.

use std::fmt;

use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};

use crate::encoding::to_hex;

/// Suite 1: X25519, HKDF-SHA256, AES-256-GCM. Suite 2 (hybrid post-quantum) is reserved.
pub const SUITE: u8 = 1;

const KEY_ID_DOMAIN: &[u8] = b"performance-aggregator/v1/key-id";

/// An enclave's X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnclavePublicKey(pub [u8; 32]);

impl EnclavePublicKey {
    /// The bytes, as they are on the wire.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The identifier of this key under suite 1.
    pub fn key_id(&self) -> KeyId {
        KeyId::derive(SUITE, &self.0)
    }
}

impl fmt::Debug for EnclavePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnclavePublicKey({})", to_hex(&self.0))
    }
}

/// `SHA-256("performance-aggregator/v1/key-id" || suite || public key)`. Computed from the
/// attested key by whoever seals; never taken from the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 32]);

impl KeyId {
    /// The identifier of `public_key` under `suite`.
    pub fn derive(suite: u8, public_key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(KEY_ID_DOMAIN);
        hash.update([suite]);
        hash.update(public_key);
        Self(hash.finalize().into())
    }

    /// The bytes, as they are on the wire.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The enclave's X25519 private key, wiped on drop, with its public half computed once.
///
/// Absent: `Clone`, `Display`, `Serialize`, `PartialEq`.
pub struct EnclaveSecret {
    secret: Box<StaticSecret>,
    public: EnclavePublicKey,
    key_id: KeyId,
}

impl EnclaveSecret {
    /// Makes a key of 32 random bytes; the caller wipes the original.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let secret = Box::new(StaticSecret::from(*bytes));
        let public = EnclavePublicKey(PublicKey::from(&*secret).to_bytes());
        Self { secret, public, key_id: public.key_id() }
    }

    /// The public half.
    pub const fn public(&self) -> &EnclavePublicKey {
        &self.public
    }

    /// The identifier clients address this key by.
    pub const fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.secret
    }
}

impl fmt::Debug for EnclaveSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnclaveSecret({:?}, ..)", self.key_id)
    }
}

#[cfg(test)]
mod tests {
    use super::EnclaveSecret;

    static_assertions::assert_not_impl_any!(
        EnclaveSecret: Clone, std::fmt::Display, PartialEq, serde::Serialize
    );

    #[test]
    fn debug_shows_the_name_of_the_key_only() {
        let text = format!("{:?}", EnclaveSecret::from_bytes(&[0xab; 32]));
        assert!(text.starts_with("EnclaveSecret(KeyId("), "{text}");
        assert!(!text.contains("abababab"), "{text}");
    }
}
