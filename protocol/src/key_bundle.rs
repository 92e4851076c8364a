//! What an attestation document vouches for, but is too small to hold: the keys in full and the
//! deployment configuration.
//!
//! # Guarantees
//!
//! * [`KeyBundle::verify`] compares every part with the document it came with: both keys, the
//!   hash of the configuration, and PCR16, recomputed.
//! * A configuration from the untrusted parent may only choose or narrow, and is accepted only if
//!   it is the pinned one or meets the default rule.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha384};
use subtle::ConstantTimeEq;

use crate::attestation::{HistoricalAttestation, LiveAttestation};
use crate::encoding::{b64, b64_array, b64_array_option};
use crate::json::{self, Version1};
use crate::keys::EnclavePublicKey;
use crate::limits::{
    ATTESTATION_REPLY_LEN_MAX, DEPLOYMENT_LEN_MAX, DOCUMENT_LEN_MAX, LIST_LEN_MAX, SLUG_LEN_MAX,
    TEXT_LEN_MAX,
};
use crate::measurements::Pcr;
use crate::session::is_text;

/// The register that is extended with the deployment configuration.
pub const PCR_DEPLOYMENT: u8 = 16;

/// The answer to `GET /attestation`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationReply {
    /// The COSE_Sign1 document, as the security module made it.
    #[serde(with = "b64")]
    pub document: Vec<u8>,
    /// What it vouches for.
    pub key_bundle: KeyBundle,
}

/// The enclave's keys and configuration. Nothing but [`verify`](Self::verify) makes them true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBundle {
    v: Version1,
    /// The encryption key.
    #[serde(with = "b64_array")]
    pub x25519: [u8; 32],
    /// The report signing key.
    #[serde(with = "b64_array")]
    pub ed25519: [u8; 32],
    /// The bytes of `deployment.json`.
    #[serde(with = "b64")]
    pub deployment: Vec<u8>,
}

/// What a verified document says about the bundle beside it.
#[derive(Clone, Copy, Debug)]
pub struct Attested<'a> {
    /// The document's `public_key`.
    pub x25519: EnclavePublicKey,
    /// The report signing key in its `user_data`.
    pub ed25519: &'a [u8; 32],
    /// The hash of the configuration in its `user_data`.
    pub deployment_sha256: &'a [u8; 32],
    /// Its PCR16, if it has one.
    pub pcr16: Option<&'a Pcr>,
}

macro_rules! attested_from {
    ($($name:ident),*) => {$(
        impl<'a> From<&'a $name> for Attested<'a> {
            fn from(attestation: &'a $name) -> Self {
                Self {
                    x25519: attestation.encryption_key(),
                    ed25519: &attestation.user_data().ed25519,
                    deployment_sha256: &attestation.user_data().deployment_sha256,
                    pcr16: attestation.pcr(PCR_DEPLOYMENT),
                }
            }
        }
    )*};
}

attested_from!(LiveAttestation, HistoricalAttestation);

/// Which configurations a customer accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentRule {
    /// Exactly the one with this SHA-256.
    Pinned([u8; 32]),
    /// Any in which no key that may trade is admitted, nothing is escrowed, and the operator
    /// cannot read.
    Default,
}

/// Why a bundle is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyBundleError {
    /// The encryption key is not the document's.
    #[error("the encryption key is not the one in the attestation document")]
    EncryptionKey,
    /// The signing key is not the document's.
    #[error("the signing key is not the one in the attestation document")]
    SigningKey,
    /// The configuration's hash is not the document's.
    #[error("the deployment configuration is not the one in the attestation document")]
    DeploymentHash,
    /// PCR16, recomputed from the configuration, is not the document's.
    #[error("PCR16 is not that of the deployment configuration")]
    Pcr16,
    /// Not the pinned configuration.
    #[error("the deployment configuration is not the pinned one")]
    NotPinned,
    /// Not a configuration this version understands.
    #[error("the deployment configuration is malformed")]
    Deployment,
    /// The default rule forbids what it allows.
    #[error("the deployment configuration allows `{0}`, which is not accepted by default")]
    Forbidden(&'static str),
}

/// `deployment.json`: what the operator chose, within what the image allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    v: Version1,
    /// The exchanges served, out of those the image has.
    pub venues: Vec<String>,
    /// Sessions at once, at most; the image has a bound of its own.
    pub max_sessions: u32,
    /// What decides who must be trusted.
    pub trust: Trust,
}

/// The part of a configuration that decides who must be trusted. Nothing in it has a default.
#[expect(clippy::struct_excessive_bools, reason = "independent switches of a file's schema")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trust {
    /// The KMS key that seals what is stored, in full.
    #[serde(deserialize_with = "Option::deserialize")]
    pub kms_key_arn: Option<String>,
    /// The region of that key.
    #[serde(deserialize_with = "Option::deserialize")]
    pub kms_region: Option<String>,
    /// Whether service keys are escrowed.
    pub escrow: bool,
    /// Whether keys that may trade are admitted. Withdrawal never is.
    pub allow_trading_keys: bool,
    /// Whether keys are admitted whose permissions their exchange does not tell.
    pub allow_unreadable_permissions: bool,
    /// Whether the operator, alone or with others, can come to read what is stored.
    pub operator_can_read: bool,
    /// The Ed25519 key that certifies operators and auditors, base64.
    #[serde(with = "b64_array_option")]
    pub role_root_key: Option<[u8; 32]>,
}

impl AttestationReply {
    /// Reads the answer; unknown, missing and duplicate fields are refused.
    ///
    /// # Errors
    /// If it is not of its closed schema, or too long.
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyBundleError> {
        let read: Self = json::read_owned(bytes, ATTESTATION_REPLY_LEN_MAX)
            .map_err(|_| KeyBundleError::Deployment)?;
        if read.document.len() > DOCUMENT_LEN_MAX
            || read.key_bundle.deployment.len() > DEPLOYMENT_LEN_MAX
        {
            return Err(KeyBundleError::Deployment);
        }
        Ok(read)
    }

    /// Writes the answer.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and integers only")
    }
}

impl KeyBundle {
    /// Makes a bundle of the enclave's own keys and configuration.
    pub const fn new(x25519: EnclavePublicKey, ed25519: [u8; 32], deployment: Vec<u8>) -> Self {
        Self { v: Version1, x25519: x25519.0, ed25519, deployment }
    }

    /// Compares the bundle with what a verified document says, and the configuration with what
    /// the customer accepts.
    ///
    /// # Errors
    /// As [`KeyBundleError`] says: the first part that differs.
    pub fn verify(
        &self,
        attested: &Attested<'_>,
        rule: &DeploymentRule,
    ) -> Result<Deployment, KeyBundleError> {
        let same = |a: &[u8], b: &[u8], error: KeyBundleError| {
            if bool::from(a.ct_eq(b)) { Ok(()) } else { Err(error) }
        };
        if self.deployment.len() > DEPLOYMENT_LEN_MAX {
            return Err(KeyBundleError::Deployment);
        }
        let hash: [u8; 32] = Sha256::digest(&self.deployment).into();
        same(&self.x25519, attested.x25519.as_bytes(), KeyBundleError::EncryptionKey)?;
        same(&self.ed25519, attested.ed25519, KeyBundleError::SigningKey)?;
        same(&hash, attested.deployment_sha256, KeyBundleError::DeploymentHash)?;
        let register = attested.pcr16.ok_or(KeyBundleError::Pcr16)?;
        same(&pcr16(&self.deployment), register, KeyBundleError::Pcr16)?;
        let deployment = Deployment::from_json(&self.deployment)?;
        match rule {
            DeploymentRule::Pinned(pinned) => same(&hash, pinned, KeyBundleError::NotPinned)?,
            DeploymentRule::Default => deployment.trust.meets_default()?,
        }
        Ok(deployment)
    }
}

impl Deployment {
    /// Reads `deployment.json`; unknown, missing and duplicate fields are refused, and
    /// contradictions.
    ///
    /// # Errors
    /// [`Deployment`](KeyBundleError::Deployment).
    pub fn from_json(bytes: &[u8]) -> Result<Self, KeyBundleError> {
        let read: Self =
            json::read_owned(bytes, DEPLOYMENT_LEN_MAX).map_err(|_| KeyBundleError::Deployment)?;
        let trust = &read.trust;
        let texts = [trust.kms_key_arn.as_ref(), trust.kms_region.as_ref()];
        let sound = !read.venues.is_empty()
            && read.venues.len() <= LIST_LEN_MAX
            && read.venues.iter().all(|venue| is_text(venue, SLUG_LEN_MAX))
            && read.max_sessions > 0
            && texts.into_iter().flatten().all(|text| is_text(text, TEXT_LEN_MAX))
            && trust.kms_key_arn.is_some() == trust.kms_region.is_some()
            && (trust.operator_can_read || !trust.escrow);
        if sound { Ok(read) } else { Err(KeyBundleError::Deployment) }
    }

    /// Whether keys at `venue` may be opened here.
    pub fn serves(&self, venue: &str) -> bool {
        self.venues.iter().any(|served| served == venue)
    }
}

impl Trust {
    fn meets_default(&self) -> Result<(), KeyBundleError> {
        // Keys whose permissions cannot be read may be keys that trade.
        let forbidden = [
            ("allow_trading_keys", self.allow_trading_keys),
            ("allow_unreadable_permissions", self.allow_unreadable_permissions),
            ("escrow", self.escrow),
            ("operator_can_read", self.operator_can_read),
        ];
        match forbidden.into_iter().find(|(_, allowed)| *allowed) {
            Some((name, _)) => Err(KeyBundleError::Forbidden(name)),
            None => Ok(()),
        }
    }
}

/// SHA-256 of a configuration's bytes, as it is in `user_data` and as customers pin it.
pub fn deployment_sha256(deployment: &[u8]) -> [u8; 32] {
    Sha256::digest(deployment).into()
}

/// What PCR16 is extended with: SHA-384 of the configuration's bytes.
pub fn pcr16_extension(deployment: &[u8]) -> [u8; 48] {
    Sha384::digest(deployment).into()
}

/// PCR16 after it was extended once from zero: SHA-384(zeros || SHA-384(configuration)).
pub fn pcr16(deployment: &[u8]) -> Pcr {
    let mut hash = Sha384::new();
    hash.update([0; 48]);
    hash.update(pcr16_extension(deployment));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::{
        AttestationReply, Attested, Deployment, DeploymentRule, KeyBundle, KeyBundleError,
        deployment_sha256, pcr16,
    };
    use crate::encoding::to_hex;
    use crate::keys::EnclavePublicKey;
    use crate::limits::{DEPLOYMENT_LEN_MAX, DOCUMENT_LEN_MAX};

    const DEPLOYMENT: &str = r#"{"v":1,"venues":["binance"],"max_sessions":100,"trust":{"kms_key_arn":null,"kms_region":null,"escrow":false,"allow_trading_keys":false,"allow_unreadable_permissions":false,"operator_can_read":false,"role_root_key":null}}"#;

    fn verify(deployment: &str, rule: &DeploymentRule) -> Result<Deployment, KeyBundleError> {
        let bytes = deployment.as_bytes();
        let bundle = KeyBundle::new(EnclavePublicKey([1; 32]), [2; 32], bytes.to_vec());
        let attested = Attested {
            x25519: EnclavePublicKey([1; 32]),
            ed25519: &[2; 32],
            deployment_sha256: &deployment_sha256(bytes),
            pcr16: Some(&pcr16(bytes)),
        };
        bundle.verify(&attested, rule)
    }

    #[test]
    fn a_pinned_configuration_may_allow_what_the_default_forbids() {
        let readable = DEPLOYMENT.replace("can_read\":false", "can_read\":true");
        let pinned = DeploymentRule::Pinned(deployment_sha256(readable.as_bytes()));
        assert!(verify(&readable, &pinned).unwrap().trust.operator_can_read);
        let error = verify(&readable, &DeploymentRule::Default).unwrap_err();
        assert_eq!(error, KeyBundleError::Forbidden("operator_can_read"));
        assert_eq!(verify(DEPLOYMENT, &pinned).unwrap_err(), KeyBundleError::NotPinned);
        assert!(verify(DEPLOYMENT, &DeploymentRule::Default).unwrap().serves("binance"));
        assert!(!verify(DEPLOYMENT, &DeploymentRule::Default).unwrap().serves("kraken"));
    }

    #[test]
    fn every_part_is_compared_with_the_document() {
        let bytes = DEPLOYMENT.as_bytes();
        let (hash, register) = (deployment_sha256(bytes), pcr16(bytes));
        let good = Attested {
            x25519: EnclavePublicKey([1; 32]),
            ed25519: &[2; 32],
            deployment_sha256: &hash,
            pcr16: Some(&register),
        };
        let bundle = KeyBundle::new(EnclavePublicKey([1; 32]), [2; 32], bytes.to_vec());
        let verify = |attested| bundle.verify(&attested, &DeploymentRule::Default).map(|_| ());
        assert_eq!(verify(good), Ok(()));
        for (attested, error) in [
            (Attested { x25519: EnclavePublicKey([9; 32]), ..good }, KeyBundleError::EncryptionKey),
            (Attested { ed25519: &[9; 32], ..good }, KeyBundleError::SigningKey),
            (Attested { deployment_sha256: &[9; 32], ..good }, KeyBundleError::DeploymentHash),
            (Attested { pcr16: Some(&[9; 48]), ..good }, KeyBundleError::Pcr16),
            (Attested { pcr16: None, ..good }, KeyBundleError::Pcr16),
        ] {
            assert_eq!(verify(attested), Err(error));
        }
    }

    #[test]
    fn pcr16_is_one_extension_from_zero() {
        // Python: sha384(bytes(48) + sha384(b"abc").digest()).hexdigest()
        assert_eq!(
            to_hex(&pcr16(b"abc")),
            "93732e3733514a841c982cfa75ea76ab55fe011acb9cd980ef4523913c65be1b0998e04d77f8c174f81a82151619ca40"
        );
    }

    #[test]
    fn the_answer_reads_back_and_is_bounded() {
        let reply = |document: usize, deployment: usize| AttestationReply {
            document: vec![0; document],
            key_bundle: KeyBundle::new(EnclavePublicKey([1; 32]), [2; 32], vec![0; deployment]),
        };
        let largest = reply(DOCUMENT_LEN_MAX, DEPLOYMENT_LEN_MAX);
        assert_eq!(AttestationReply::from_json(&largest.to_json()), Ok(largest));
        for large in [reply(DOCUMENT_LEN_MAX + 1, 0), reply(0, DEPLOYMENT_LEN_MAX + 1)] {
            assert!(AttestationReply::from_json(&large.to_json()).is_err());
        }
    }

    #[test]
    fn nothing_in_a_configuration_has_a_default() {
        let parsed: serde_json::Value = serde_json::from_str(DEPLOYMENT).unwrap();
        let trust = parsed["trust"].as_object().unwrap();
        for name in trust.keys() {
            let mut without = parsed.clone();
            without["trust"].as_object_mut().unwrap().remove(name);
            let read = Deployment::from_json(without.to_string().as_bytes());
            assert_eq!(read, Err(KeyBundleError::Deployment), "{name}");
        }
        assert_eq!(trust.len(), 7);
    }
}
