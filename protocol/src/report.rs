//! The signed report: a DSSE envelope, and beside it the attestation document that binds its key
//! and its moment. `docs/report.md` is normative.
//!
//! ```text
//! pae       = "DSSEv1 " len(type) " " type " " len(payload) " " payload
//! signature = Ed25519(signing key, pae)
//! document  = attestation of purpose `report`, nonce = SHA-256(pae)
//! ```
//!
//! # Guarantees
//!
//! * A report has exactly one encoding: what was parsed is encoded again, and unequal bytes are
//!   refused. Of the forms that a COSE document has for the same content, one is accepted.
//! * The key is the document's. The document vouches for this payload alone, within a minute of
//!   `issued_at`: a leaked signing key cannot go on signing under an old document.
//!
//! # What it does not give
//!
//! * No freshness: a report is as old as its `issued_at` says.
//! * No continuity: `log` is null until there is a log, and nothing shows that no other report
//!   of the same portfolio exists.

mod low_s;

use std::fmt;
use std::marker::PhantomData;

use ed25519_dalek::{Signature, Signer, SigningKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::attestation::{
    self, AttestationError, ExpectedPcrs, HistoricalAttestation, HistoricalPolicy, Root,
};
use crate::canonical::{self, CanonicalError};
use crate::category::Category;
use crate::encoding::{b64, b64_array};
use crate::json::Version1;
use crate::key_bundle::{Attested, Deployment, DeploymentRule, KeyBundle, KeyBundleError};
use crate::limits::{
    DEPLOYMENT_LEN_MAX, DOCUMENT_LEN_MAX, REPORT_LEN_MAX, REPORT_PAYLOAD_LEN_MAX,
    REPORT_SKEW_MS_MAX,
};
use crate::portfolio::strict_key;
use crate::report_payload::{PayloadError, ReportPayload};
use crate::time::UnixMillis;

/// How an untagged COSE_Sign1 begins: an array of four.
const COSE_ARRAY: u8 = 0x84;

/// What is signed: a payload with one encoding, in canonical JSON.
pub trait Statement: Serialize + DeserializeOwned {
    /// The DSSE payload type, so that no kind of statement passes for another.
    const PAYLOAD_TYPE: &'static str;

    /// Whether its values are in their bounds and none contradicts another.
    ///
    /// # Errors
    /// [`Unsound`](PayloadError::Unsound), with the field's name.
    fn check(&self) -> Result<(), PayloadError>;

    /// Whether a simulated security module vouches for it: then it proves nothing.
    fn simulated(&self) -> bool;

    /// When it was signed.
    fn issued_at(&self) -> UnixMillis;

    /// Reads the exact bytes.
    ///
    /// # Errors
    /// As [`PayloadError`] says.
    fn parse_exact(bytes: &[u8]) -> Result<Self, PayloadError> {
        let read: Self = canonical::parse_exact(bytes, REPORT_PAYLOAD_LEN_MAX)
            .map_err(PayloadError::Canonical)?;
        read.check()?;
        Ok(read)
    }

    /// Writes the exact bytes.
    ///
    /// # Errors
    /// As [`PayloadError`] says: nothing is signed that would not be read.
    fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        self.check()?;
        let bytes = canonical::encode(self).map_err(PayloadError::Canonical)?;
        if bytes.len() > REPORT_PAYLOAD_LEN_MAX {
            return Err(PayloadError::Canonical(CanonicalError::TooLong));
        }
        Ok(bytes)
    }
}

/// A report with its signature.
pub type SignedReport = SignedStatement<ReportPayload>;

/// A report that was verified.
pub type VerifiedReport = Verified<ReportPayload>;

/// A signed statement as parsed. Nothing in it is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedStatement<P> {
    parts: Parts,
    kind: PhantomData<fn() -> P>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    v: Version1,
    #[serde(with = "b64")]
    attestation: Vec<u8>,
    dsse: Dsse,
    key_bundle: KeyBundle,
    log: (),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dsse {
    #[serde(with = "b64")]
    payload: Vec<u8>,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: [DsseSignature; 1],
}

/// Without `keyid`: it would be text that nothing signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseSignature {
    #[serde(with = "b64_array")]
    sig: [u8; 64],
}

/// A statement that was verified, with what vouches for it.
///
/// No public constructor but [`SignedStatement::verify`].
#[derive(Debug)]
pub struct Verified<P> {
    payload: P,
    attestation: HistoricalAttestation,
    deployment: Deployment,
}

/// Why a report is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Not the one encoding of a report.
    #[error("the report is not canonical")]
    Canonical(#[source] CanonicalError),
    /// Not the payload type of this kind of statement.
    #[error("the payload is of another kind")]
    PayloadType,
    /// The document has a tag, or the larger of its two signatures: another encoding of it.
    #[error("the attestation document is not in its one form")]
    DocumentForm,
    /// The document does not verify, or vouches for something else.
    #[error("the attestation document does not verify: step {}", .0.step())]
    Document(#[source] AttestationError),
    /// Keys or configuration are not the document's, or not acceptable.
    #[error("the keys beside the attestation document are refused")]
    KeyBundle(#[source] KeyBundleError),
    /// The signature is not the document's key's, over these bytes.
    #[error("the report's signature does not verify")]
    Signature,
    /// The payload is not the one encoding of a sound statement.
    #[error("the report's payload is refused")]
    Payload(#[source] PayloadError),
    /// The payload says that it is not simulated under a simulator's root, or the reverse.
    #[error("the report's word on whether it is simulated is not that of its root")]
    Simulated,
    /// Document and payload are not of the same minute.
    #[error("the report was not issued when its attestation document was made")]
    IssuedAt,
}

impl ReportError {
    /// Who must act: nobody retries a report that did not verify.
    pub const fn category(&self) -> Category {
        match self {
            Self::Canonical(_)
            | Self::PayloadType
            | Self::DocumentForm
            | Self::Document(_)
            | Self::KeyBundle(_)
            | Self::Signature
            | Self::Payload(_)
            | Self::Simulated
            | Self::IssuedAt => Category::Integrity,
        }
    }
}

/// The key that signs reports, wiped on drop. Absent: `Clone`, `Display`, `Serialize`.
pub struct ReportSigningKey(Box<SigningKey>);

impl ReportSigningKey {
    /// Makes a key of 32 random bytes (an RFC 8032 seed); the caller wipes the original.
    pub fn from_bytes(seed: &[u8; 32]) -> Self {
        Self(Box::new(SigningKey::from_bytes(seed)))
    }

    /// The public half, as it is in `user_data` and the key bundle.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }
}

impl fmt::Debug for ReportSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReportSigningKey(..)")
    }
}

/// A payload ready to be attested and signed.
#[derive(Debug)]
pub struct Prepared {
    payload_type: &'static str,
    payload: Vec<u8>,
    pae: Vec<u8>,
    nonce: [u8; 32],
}

impl Prepared {
    /// Encodes a payload.
    ///
    /// # Errors
    /// If the payload is unsound or too long.
    pub fn new<P: Statement>(payload: &P) -> Result<Self, PayloadError> {
        let payload = payload.encode()?;
        let pae = pae(P::PAYLOAD_TYPE, &payload);
        let nonce = Sha256::digest(&pae).into();
        Ok(Self { payload_type: P::PAYLOAD_TYPE, payload, pae, nonce })
    }

    /// The nonce to ask an attestation document of purpose `report` for.
    pub const fn nonce(&self) -> &[u8; 32] {
        &self.nonce
    }

    /// The exact payload bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Signs, and puts the report together: the bytes of `report.json`. The document's signature
    /// is brought into the smaller of its two forms, which verifies as well.
    ///
    /// # Errors
    /// If document or configuration are longer than a verifier reads.
    pub fn assemble(
        self,
        key: &ReportSigningKey,
        document: Vec<u8>,
        key_bundle: KeyBundle,
    ) -> Result<Vec<u8>, ReportError> {
        let sig = key.0.sign(&self.pae).to_bytes();
        self.assemble_signed(sig, document, key_bundle)
    }

    /// What is to be signed.
    pub fn pae(&self) -> &[u8] {
        &self.pae
    }

    /// [`assemble`](Self::assemble) with a signature of [`pae`](Self::pae) that was made elsewhere.
    ///
    /// # Errors
    /// As [`assemble`](Self::assemble).
    pub fn assemble_signed(
        self,
        sig: [u8; 64],
        mut document: Vec<u8>,
        key_bundle: KeyBundle,
    ) -> Result<Vec<u8>, ReportError> {
        low_s::normalize(&mut document);
        let parts = Parts {
            v: Version1,
            attestation: document,
            dsse: Dsse {
                payload: self.payload,
                payload_type: self.payload_type.to_owned(),
                signatures: [DsseSignature { sig }],
            },
            key_bundle,
            log: (),
        };
        parts.check_form()?;
        canonical::encode(&parts).map_err(ReportError::Canonical)
    }
}

impl<P: Statement> SignedStatement<P> {
    /// Reads the exact bytes of a file such as `report.json`.
    ///
    /// # Errors
    /// [`Canonical`](ReportError::Canonical) unless they are the one encoding of what they say,
    /// [`PayloadType`](ReportError::PayloadType) for another kind of statement.
    pub fn parse_exact(bytes: &[u8]) -> Result<Self, ReportError> {
        let parts: Parts =
            canonical::parse_exact(bytes, REPORT_LEN_MAX).map_err(ReportError::Canonical)?;
        if parts.dsse.payload_type != P::PAYLOAD_TYPE {
            return Err(ReportError::PayloadType);
        }
        parts.check_form()?;
        Ok(Self { parts, kind: PhantomData })
    }

    /// Verifies everything, at the document's own time, with no clock and no network:
    ///
    /// 1. the document, under `root`, for the expected registers, for purpose `report`, for this
    ///    configuration, its nonce SHA-256 of the PAE;
    /// 2. the keys and the configuration beside it, and the configuration by `rule`;
    /// 3. the signature, under the document's key;
    /// 4. the payload, in its one encoding, `simulated` exactly under a root other than AWS's;
    /// 5. that it was issued within a minute of the document.
    ///
    /// # Errors
    /// As [`ReportError`] says: the first that fails.
    pub fn verify(
        &self,
        root: &Root,
        pcrs: ExpectedPcrs<'_>,
        rule: &DeploymentRule,
    ) -> Result<Verified<P>, ReportError> {
        let parts = &self.parts;
        let pae = self.pae();
        let nonce: [u8; 32] = Sha256::digest(&pae).into();
        let policy = HistoricalPolicy::new(root, pcrs, &parts.key_bundle.deployment, &nonce);
        let attestation = attestation::verify_historical(&parts.attestation, &policy)
            .map_err(ReportError::Document)?; // 1
        let deployment = parts
            .key_bundle
            .verify(&Attested::from(&attestation), rule)
            .map_err(ReportError::KeyBundle)?; // 2
        let [DsseSignature { sig }] = &parts.dsse.signatures;
        strict_key(&attestation.user_data().ed25519)
            .and_then(|key| key.verify_strict(&pae, &Signature::from_bytes(sig)).ok())
            .ok_or(ReportError::Signature)?; // 3
        let payload = P::parse_exact(&parts.dsse.payload).map_err(ReportError::Payload)?; // 4
        if payload.simulated() == (*root == Root::AWS) {
            return Err(ReportError::Simulated);
        }
        if payload.issued_at().distance_ms(attestation.timestamp()) > REPORT_SKEW_MS_MAX {
            return Err(ReportError::IssuedAt); // 5
        }
        Ok(Verified { payload, attestation, deployment })
    }

    /// The attestation document.
    pub fn document(&self) -> &[u8] {
        &self.parts.attestation
    }

    /// What the document is to vouch for.
    pub const fn key_bundle(&self) -> &KeyBundle {
        &self.parts.key_bundle
    }

    /// The bytes that are signed.
    pub fn pae(&self) -> Vec<u8> {
        let dsse = &self.parts.dsse;
        pae(&dsse.payload_type, &dsse.payload)
    }
}

impl Parts {
    /// Sizes, and the form of the document that its signature does not cover: no COSE tag, and of
    /// `s` and `n - s`, which both verify, the smaller.
    fn check_form(&self) -> Result<(), ReportError> {
        if self.attestation.len() > DOCUMENT_LEN_MAX
            || self.key_bundle.deployment.len() > DEPLOYMENT_LEN_MAX
        {
            return Err(ReportError::Canonical(CanonicalError::TooLong));
        }
        if self.attestation.first() == Some(&COSE_ARRAY) && low_s::is_low(&self.attestation) {
            Ok(())
        } else {
            Err(ReportError::DocumentForm)
        }
    }
}

impl<P> Verified<P> {
    /// What the statement says.
    pub const fn payload(&self) -> &P {
        &self.payload
    }

    /// What vouches for it.
    pub const fn attestation(&self) -> &HistoricalAttestation {
        &self.attestation
    }

    /// The configuration it was made under.
    pub const fn deployment(&self) -> &Deployment {
        &self.deployment
    }
}

/// DSSE's pre-authentication encoding.
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut pae =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    pae.extend_from_slice(payload);
    pae
}
