//! Verification of an enclave's attestation document (COSE_Sign1 under AWS's Nitro PKI).
//!
//! The steps are numbered as in `docs/verify.md`, which a stranger can follow without this code:
//!
//! * 1 to 9, `cose`: the envelope;
//! * 10 to 21, `document`: the payload's fields;
//! * 22 to 28, `chain` and `certificate`: from the pinned root to the signing key
//!   (29: no revocation list is consulted, as in AWS's own process);
//! * 8: the signature over the payload;
//! * 30 to 34, `policy` and [`Evidence`]: measurements, debug mode, nonce, bindings, age;
//! * 35 everywhere: bounded input, bounded work, no panic.
//!
//! # Guarantees
//!
//! * [`LiveAttestation`] exists only for a document that is fresh by the caller's clock, answers
//!   the caller's nonce, and was made by an enclave with the expected measurements and
//!   configuration, not in debug mode. Only it yields an encryption key to seal to.
//! * [`HistoricalAttestation`] is the same at the document's own time, for purpose `report`.
//!
//! # What it does not give
//!
//! * Roots of other AWS partitions. Simulated roots exist under the feature `simulator` alone.

mod cbor;
mod certificate;
mod chain;
mod cose;
mod der;
mod document;
mod error;
mod p384;
mod policy;

use std::time::Duration;

pub use chain::ChainCache;
pub use error::AttestationError;

use crate::key_bundle::{PCR_DEPLOYMENT, pcr16};
use crate::keys::EnclavePublicKey;
use crate::measurements::Pcr;
use crate::time::UnixMillis;
use crate::user_data::{Purpose, UserData};
use chain::verify as verify_chain;
use cose::Sign1;
use document::Document;
use policy::Demands;

/// AWS Nitro Enclaves Root G1.
const AWS_ROOT_G1: &[u8] = include_bytes!("attestation/AWS_NitroEnclaves_Root-G1.der");
/// How far a document may be ahead of the caller's clock, in seconds.
const SKEW_S_MAX: u64 = 5;

/// Where trust begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(RootDer);

#[derive(Clone, Debug, PartialEq, Eq)]
enum RootDer {
    Aws,
    #[cfg(feature = "simulator")]
    Simulated(Vec<u8>),
}

impl Root {
    /// AWS Nitro Enclaves Root G1, of the commercial partition.
    pub const AWS: Self = Self(RootDer::Aws);

    /// The root of a simulated security module.
    #[cfg(feature = "simulator")]
    pub const fn simulated(der: Vec<u8>) -> Self {
        Self(RootDer::Simulated(der))
    }

    /// The certificate, DER.
    pub fn der(&self) -> &[u8] {
        match &self.0 {
            RootDer::Aws => AWS_ROOT_G1,
            #[cfg(feature = "simulator")]
            RootDer::Simulated(der) => der,
        }
    }
}

/// The registers that a caller expects.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedPcrs<'a> {
    /// PCR0, PCR1, PCR2: image, kernel, application.
    pub image: [&'a Pcr; 3],
    /// PCR8: the certificate that signed the image, where one is demanded.
    pub signer: Option<&'a Pcr>,
}

/// What a caller demands of a live enclave. Every part is required, and debug mode cannot be
/// expressed.
#[derive(Clone, Debug)]
pub struct Policy<'a> {
    root: &'a Root,
    pcrs: ExpectedPcrs<'a>,
    deployment: &'a [u8],
    nonce: &'a [u8],
    max_age: Duration,
}

impl<'a> Policy<'a> {
    /// `deployment` are the bytes of the configuration that the document must vouch for,
    /// `nonce` the challenge that was sent for this document alone. `max_age` counts in whole
    /// seconds.
    pub const fn new(
        root: &'a Root,
        pcrs: ExpectedPcrs<'a>,
        deployment: &'a [u8],
        nonce: &'a [u8],
        max_age: Duration,
    ) -> Self {
        Self { root, pcrs, deployment, nonce, max_age }
    }
}

/// What a verifier demands of a report's document.
#[derive(Clone, Debug)]
pub struct HistoricalPolicy<'a> {
    root: &'a Root,
    pcrs: ExpectedPcrs<'a>,
    deployment: &'a [u8],
    nonce: &'a [u8],
}

impl<'a> HistoricalPolicy<'a> {
    /// `nonce` is SHA-256 of what the report signs.
    pub const fn new(
        root: &'a Root,
        pcrs: ExpectedPcrs<'a>,
        deployment: &'a [u8],
        nonce: &'a [u8],
    ) -> Self {
        Self { root, pcrs, deployment, nonce }
    }
}

/// What a verified document says.
#[derive(Clone, Debug)]
struct Evidence {
    module_id: String,
    timestamp: UnixMillis,
    pcrs: Vec<(u8, Pcr)>,
    nonce: Vec<u8>,
    encryption_key: EnclavePublicKey,
    user_data: UserData,
}

/// A document that was verified against the caller's clock, nonce and age.
#[derive(Clone, Debug)]
pub struct LiveAttestation(Evidence);

/// A document that was verified at its own time, for a report.
#[derive(Clone, Debug)]
pub struct HistoricalAttestation(Evidence);

macro_rules! accessors {
    ($($name:ident),*) => {$(
        impl $name {
            /// The instance and the enclave on it.
            pub fn module_id(&self) -> &str {
                &self.0.module_id
            }

            /// When the security module made the document.
            pub const fn timestamp(&self) -> UnixMillis {
                self.0.timestamp
            }

            /// A register, if the document has it.
            pub fn pcr(&self, index: u8) -> Option<&Pcr> {
                self.0.pcrs.iter().find(|(at, _)| *at == index).map(|(_, pcr)| pcr)
            }

            /// Every register of the document, by index.
            pub fn pcrs(&self) -> impl Iterator<Item = (u8, &Pcr)> {
                self.0.pcrs.iter().map(|(index, pcr)| (*index, pcr))
            }

            /// The challenge, which was compared with the policy's.
            pub fn nonce(&self) -> &[u8] {
                &self.0.nonce
            }

            /// The enclave's X25519 key.
            pub const fn encryption_key(&self) -> EnclavePublicKey {
                self.0.encryption_key
            }

            /// What the enclave had the security module vouch for.
            pub const fn user_data(&self) -> &UserData {
                &self.0.user_data
            }
        }
    )*};
}

accessors!(LiveAttestation, HistoricalAttestation);

/// Verifies a document for sealing to it, at `now` by the caller's clock.
///
/// # Errors
/// The first rule that is broken, in the order of the module's documentation.
pub fn verify(
    document: &[u8],
    policy: &Policy<'_>,
    now: UnixMillis,
) -> Result<LiveAttestation, AttestationError> {
    verify_cached(document, policy, now, &mut ChainCache::new(0))
}

/// [`verify`], with chains that verified before.
///
/// # Errors
/// As [`verify`].
pub fn verify_cached(
    document: &[u8],
    policy: &Policy<'_>,
    now: UnixMillis,
    cache: &mut ChainCache,
) -> Result<LiveAttestation, AttestationError> {
    let at = i64::try_from(now.0 / 1000).map_err(|_| AttestationError::Validity)?;
    let read = authentic::<p384::Default>(document, policy.root.der(), At::Seconds(at), cache)?;
    let demands = demands(policy.pcrs, policy.nonce, Some(policy.max_age.as_secs()));
    demands.check(&read, i128::from(now.0))?;
    Evidence::bind(&read, Purpose::Session, policy.deployment).map(LiveAttestation)
}

/// Verifies the document of a report, at the document's own time.
///
/// # Errors
/// The first rule that is broken, in the order of the module's documentation.
pub fn verify_historical(
    document: &[u8],
    policy: &HistoricalPolicy<'_>,
) -> Result<HistoricalAttestation, AttestationError> {
    let mut cache = ChainCache::new(0);
    let read = authentic::<p384::Default>(document, policy.root.der(), At::Own, &mut cache)?;
    let demands = demands(policy.pcrs, policy.nonce, None);
    demands.check(&read, i128::from(read.timestamp))?;
    Evidence::bind(&read, Purpose::Report, policy.deployment).map(HistoricalAttestation)
}

fn demands<'a>(pcrs: ExpectedPcrs<'a>, nonce: &'a [u8], max_age_s: Option<u64>) -> Demands<'a> {
    let image = (0..).zip(pcrs.image).map(|(index, pcr)| (index, pcr.as_slice()));
    let signer = pcrs.signer.map(|pcr| (8, pcr.as_slice()));
    Demands {
        pcrs: image.chain(signer).collect(),
        nonce: Some(nonce),
        user_data: None,
        allow_debug: false,
        max_age_s,
        max_clock_skew_s: SKEW_S_MAX,
    }
}

/// When certificates must be valid.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Seconds since the Unix epoch.
    Seconds(i64),
    /// The document's own time.
    Own,
}

/// Authenticity, steps 1 to 29: who made the document, not what it says.
fn authentic<'b, P: p384::P384>(
    document: &'b [u8],
    root: &[u8],
    at: At,
    cache: &mut ChainCache,
) -> Result<Document<'b>, AttestationError> {
    let envelope = Sign1::read(document)?;
    let read = Document::read(envelope.payload)?;
    let at = match at {
        At::Seconds(at) => at,
        At::Own => i64::try_from(read.timestamp / 1000).map_err(|_| AttestationError::Validity)?,
    };
    let key = verify_chain::<P>(&read, root, at, cache)?;
    if !P::verify(&key, &envelope.signed(), envelope.signature()) {
        return Err(AttestationError::Signature); // 8
    }
    Ok(read)
}

impl Evidence {
    /// Step 33: what the protocol puts into a document is there, in full.
    fn bind(
        read: &Document<'_>,
        purpose: Purpose,
        deployment: &[u8],
    ) -> Result<Self, AttestationError> {
        let absent = |what| move || AttestationError::Binding(what);
        let key = read.public_key.and_then(|key| <[u8; 32]>::try_from(key).ok());
        let encryption_key = EnclavePublicKey(key.ok_or_else(absent("public_key"))?);
        let user_data = read.user_data.and_then(|bytes| UserData::read(bytes).ok());
        let user_data = user_data.ok_or_else(absent("user_data"))?;
        if user_data.purpose != purpose {
            return Err(AttestationError::Binding("purpose"));
        }
        if user_data.deployment_sha256 != crate::key_bundle::deployment_sha256(deployment) {
            return Err(AttestationError::Binding("the deployment configuration's hash"));
        }
        if read.pcrs.get(PCR_DEPLOYMENT) != Some(&pcr16(deployment)) {
            return Err(AttestationError::Binding("PCR16"));
        }
        Ok(Self {
            module_id: read.module_id.to_owned(),
            timestamp: UnixMillis(read.timestamp),
            pcrs: read.pcrs.iter().map(|(index, pcr)| (index, *pcr)).collect(),
            nonce: read.nonce.unwrap_or_default().to_vec(),
            encryption_key,
            user_data,
        })
    }
}

/// The layer that the conformance tool drives: partial demands, any root. No shipped program
/// turns this feature on.
#[cfg(feature = "conformance")]
#[doc(hidden)]
pub mod internal {
    pub use super::policy::Demands;
    use super::{AWS_ROOT_G1, At, AttestationError, ChainCache, authentic, p384};

    /// AWS's root, DER.
    pub const fn aws_root() -> &'static [u8] {
        AWS_ROOT_G1
    }

    /// Steps 1 to 29, then 30 to 34 if there are demands.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(
        document: &[u8],
        root: &[u8],
        at_unix: i64,
        demands: Option<&Demands<'_>>,
        cache: &mut ChainCache,
    ) -> Result<(), AttestationError> {
        let read = authentic::<p384::Default>(document, root, At::Seconds(at_unix), cache)?;
        demands.map_or(Ok(()), |demands| {
            demands.check(&read, i128::from(at_unix).saturating_mul(1000))
        })
    }

    /// [`verify`] by the portable implementation of P-384.
    ///
    /// # Errors
    /// The first rule that is broken.
    #[cfg(feature = "portable")]
    pub fn verify_portable(
        document: &[u8],
        root: &[u8],
        at_unix: i64,
        demands: Option<&Demands<'_>>,
    ) -> Result<(), AttestationError> {
        let mut cache = ChainCache::new(0);
        let read = authentic::<p384::Portable>(document, root, At::Seconds(at_unix), &mut cache)?;
        demands.map_or(Ok(()), |demands| {
            demands.check(&read, i128::from(at_unix).saturating_mul(1000))
        })
    }
}
