//! From a bare connection to an attested one.
//!
//! The order is the contract: the document is fetched with a fresh nonce,
//! verified, its configuration judged, its keys compared with those beside it,
//! and the TLS key of *this* connection looked up in it. The first failure
//! drops the connection.

use std::time::Duration;

use http::{HeaderMap, Method};
use protocol::attestation::LiveAttestation;
use protocol::encoding::to_hex;
use protocol::key_bundle::{AttestationReply, KeyBundle};
use protocol::user_data::Purpose;

use crate::connection::{Connection, Http};
use crate::error::ClientError;
use crate::random;
use crate::service::Service;

/// How old a document may be: it was made for our nonce a moment ago.
const AGE_MAX: Duration = Duration::from_mins(2);

/// A connection whose far end is known to be the expected enclave.
#[derive(Debug)]
pub struct Attested {
    pub(crate) http: Http,
    pub(crate) attestation: LiveAttestation,
    /// What was checked, for people.
    pub steps: Vec<Step>,
}

/// One thing that was checked, and what was found.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Step {
    pub what: &'static str,
    pub found: String,
}

impl Attested {
    /// The verified document.
    pub fn attestation(&self) -> &LiveAttestation {
        &self.attestation
    }
}

impl Connection {
    /// Fetches and verifies a document on this connection.
    pub async fn attest(mut self, service: &Service) -> Result<Attested, ClientError> {
        let nonce = random::bytes::<32>()?;
        let path = format!("/attestation?nonce={}", to_hex(&nonce));
        let answer = self.http.call(Method::GET, &path, HeaderMap::new(), Vec::new()).await?;
        if !answer.status.is_success() {
            return Err(answer.unverified_refusal());
        }
        let reply = AttestationReply::from_json(&answer.body).map_err(|_| {
            ClientError::not_verified(
                "attestation document",
                "the answer is no attestation document",
            )
        })?;
        let now = service.clock.now().await?;
        let attestation = service.demands.verify_live(&reply, &nonce, AGE_MAX, now)?;
        let steps = self.bind(&attestation, &reply.key_bundle, service)?;
        Ok(Attested { http: self.http, attestation, steps })
    }

    fn bind(
        &self,
        attestation: &LiveAttestation,
        bundle: &KeyBundle,
        service: &Service,
    ) -> Result<Vec<Step>, ClientError> {
        let user_data = attestation.user_data();
        if user_data.purpose != Purpose::Session {
            return Err(ClientError::not_verified(
                "purpose",
                "the document was not made for opening sessions",
            ));
        }
        if attestation.encryption_key().as_bytes() != &bundle.x25519 {
            return Err(ClientError::not_verified(
                "encryption key",
                "the key beside the document is not the one in it",
            ));
        }
        if user_data.ed25519 != bundle.ed25519 {
            return Err(ClientError::not_verified(
                "signing key",
                "the key beside the document is not the one in it",
            ));
        }
        if user_data.tls_spki_sha256 != self.spki_sha256 {
            return Err(ClientError::not_verified(
                "TLS key",
                "the TLS key of this connection is not in the document: somebody stands between",
            ));
        }
        let step = |what, found: String| Step { what, found };
        Ok(vec![
            step("signed under", service.demands.root_name()),
            step("module", attestation.module_id().to_owned()),
            step("made at", attestation.timestamp().to_rfc3339().unwrap_or_default()),
            step("nonce", "ours, fresh".to_owned()),
            step("PCR0 (image)", to_hex(&service.demands.measurements.pcr0)),
            step("PCR1 (kernel)", to_hex(&service.demands.measurements.pcr1)),
            step("PCR2 (application)", to_hex(&service.demands.measurements.pcr2)),
            step("configuration", to_hex(&user_data.deployment_sha256)),
            step("TLS key", to_hex(&self.spki_sha256)),
            step("encryption key", attestation.encryption_key().key_id().to_string()),
        ])
    }
}
