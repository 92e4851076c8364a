//! The service keys of one boot.
//!
//! | key | for | bound by |
//! | --- | --- | --- |
//! | X25519 | envelopes | the document's `public_key` |
//! | Ed25519 | reports | `user_data` |
//!
//! The TLS key is made in [`crate::tls`]. All are made from [`Entropy`] after
//! the security module has given its share, live in memory alone and go with
//! the process.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use protocol::keys::{EnclavePublicKey, EnclaveSecret};

use crate::engine_api::Pae;
use crate::entropy::{Entropy, EntropyError};

/// X25519 and Ed25519. Wiped on drop; absent: `Clone`, `Display`, `Serialize`.
pub struct Keys {
    encryption: EnclaveSecret,
    signing: Box<SigningKey>,
}

impl Keys {
    /// Makes new keys.
    pub fn generate(entropy: &Entropy) -> Result<Self, EntropyError> {
        let encryption = entropy.secret::<32>()?;
        let signing = entropy.secret::<32>()?;
        Ok(Self {
            encryption: EnclaveSecret::from_bytes(&encryption),
            signing: Box::new(SigningKey::from_bytes(&signing)),
        })
    }

    /// The key that opens envelopes.
    pub const fn encryption(&self) -> &EnclaveSecret {
        &self.encryption
    }

    /// Its public half.
    pub const fn encryption_public(&self) -> &EnclavePublicKey {
        self.encryption.public()
    }

    /// The public half of the report key.
    pub fn signing_public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// Signs the encoding of a report, and nothing else.
    pub fn sign(&self, pae: &Pae<'_>) -> [u8; 64] {
        self.signing.sign(pae.bytes()).to_bytes()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signature, VerifyingKey};

    static_assertions::assert_not_impl_any!(Keys: Clone, fmt::Display);

    #[test]
    fn each_boot_has_keys_of_its_own_and_signs_with_them() {
        let entropy = Entropy::new(&(0..64).collect::<Vec<u8>>()).unwrap();
        let (one, other) = (Keys::generate(&entropy).unwrap(), Keys::generate(&entropy).unwrap());
        assert_ne!(one.encryption_public(), other.encryption_public());
        assert_ne!(one.signing_public(), other.signing_public());
        let pae = Pae::new(b"DSSEv1 4 test 2 {}").unwrap();
        let key = VerifyingKey::from_bytes(&one.signing_public()).unwrap();
        let signature = Signature::from_bytes(&one.sign(&pae));
        assert!(key.verify_strict(pae.bytes(), &signature).is_ok());
        assert_eq!(format!("{one:?}"), "Keys(..)");
    }

    #[test]
    fn nothing_but_a_pre_authentication_encoding_can_be_signed() {
        assert!(Pae::new(b"performance-aggregator/v1/open").is_none());
        assert!(Pae::new(b"").is_none());
    }
}
