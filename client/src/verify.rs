//! Verification: live documents before anything is sent, reports at any time later.

use std::time::Duration;

use protocol::attestation::{self, ExpectedPcrs, LiveAttestation, Policy, Root};
use protocol::claim::ClaimPayload;
use protocol::encoding::to_hex;
use protocol::key_bundle::{AttestationReply, Attested};
use protocol::report::{SignedStatement, Statement, Verified, VerifiedReport};
use protocol::time::UnixMillis;
use sha2::{Digest, Sha256};

use crate::error::ClientError;
use crate::service::Demands;

impl Demands {
    /// Verifies what `GET /attestation` answered, at `now` by the caller's clock.
    pub(crate) fn verify_live(
        &self,
        reply: &AttestationReply,
        nonce: &[u8],
        age_max: Duration,
        now: UnixMillis,
    ) -> Result<LiveAttestation, ClientError> {
        let deployment = &reply.key_bundle.deployment;
        let policy = Policy::new(&self.root, self.pcrs(), deployment, nonce, age_max);
        let attestation = attestation::verify(&reply.document, &policy, now)
            .map_err(|source| ClientError::Document { source })?;
        reply.key_bundle.verify(&Attested::from(&attestation), &self.deployment).map_err(
            |error| ClientError::not_verified("step 33: keys and configuration", error.to_string()),
        )?;
        Ok(attestation)
    }

    /// Whether the root is a simulator's.
    pub fn simulated(&self) -> bool {
        self.root != Root::AWS
    }

    pub(crate) fn root_name(&self) -> String {
        let fingerprint = to_hex(&Sha256::digest(self.root.der()));
        let name = if self.simulated() { "SIMULATED root" } else { "AWS Nitro Enclaves Root G1" };
        format!("{name}, SHA-256 {fingerprint}")
    }

    fn pcrs(&self) -> ExpectedPcrs<'_> {
        ExpectedPcrs { image: self.measurements.pcrs(), signer: self.measurements.pcr8.as_ref() }
    }
}

/// Verifies the bytes of `report.json`. Asks no network and no clock.
pub fn report(bytes: &[u8], demands: &Demands) -> Result<VerifiedReport, ClientError> {
    statement(bytes, demands)
}

/// Verifies the bytes of `claim.json`. Asks no network and no clock.
pub fn claim(bytes: &[u8], demands: &Demands) -> Result<Verified<ClaimPayload>, ClientError> {
    statement(bytes, demands)
}

/// Whether these are the bytes of a claim, verified or not.
pub fn is_claim(bytes: &[u8]) -> bool {
    SignedStatement::<ClaimPayload>::parse_exact(bytes).is_ok()
}

fn statement<P: Statement>(bytes: &[u8], demands: &Demands) -> Result<Verified<P>, ClientError> {
    let verified = SignedStatement::<P>::parse_exact(bytes)
        .map_err(ClientError::Report)?
        .verify(&demands.root, demands.pcrs(), &demands.deployment)
        .map_err(ClientError::Report)?;
    if verified.payload().simulated() != demands.simulated() {
        return Err(ClientError::not_verified(
            "report",
            "the report's word on whether it is simulated is not that of its root",
        ));
    }
    Ok(verified)
}

/// `report.json` after it verified: the report, and the very bytes it was read from.
///
/// No public constructor but [`VerifiedFile::new`].
#[derive(Debug)]
pub struct VerifiedFile {
    report: VerifiedReport,
    bytes: Vec<u8>,
}

impl VerifiedFile {
    /// Verifies the bytes of `report.json`.
    ///
    /// # Errors
    /// As [`report`].
    pub fn new(bytes: Vec<u8>, demands: &Demands) -> Result<Self, ClientError> {
        Ok(Self { report: report(&bytes, demands)?, bytes })
    }

    /// What it says, and what vouches for it.
    pub const fn report(&self) -> &VerifiedReport {
        &self.report
    }

    /// The file, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
