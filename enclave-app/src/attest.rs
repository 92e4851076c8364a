//! Attestation documents: what this enclave says about itself.
//!
//! A document carries the caller's nonce, the X25519 key as `public_key`, and
//! as `user_data` one CBOR map with text keys in exactly this order:
//!
//! ```text
//! {"v": 1, "purpose": "session" | "report" | "kms", "ed25519": bstr 32,
//!  "tls_spki_sha256": bstr 32, "deployment_sha256": bstr 32,
//!  "post_quantum_sha256": bstr 32 | null,
//!  "log": null | {"size": uint, "root": bstr 32}}
//! ```
//!
//! **Invariant:** the purpose is chosen by the method and never by a caller:
//! [`Notary::session_document`] is all that the HTTP route can reach, and
//! [`Signer::attest_report`] all that the report builder can.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use protocol::key_bundle::{KeyBundle, deployment_sha256};
use protocol::time::UnixMillis;
use serde::{Deserialize, Serialize, Serializer};

use crate::counters::{Counters, Event};
use crate::engine_api::{Pae, Signer, SignerBusy};
use crate::keys::Keys;
use crate::nsm::{AttestRequest, Module, NsmError, Share, TrustAnchor};

/// What a document was made for. Documents of one purpose are refused for
/// every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Session,
    Report,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Report => "report",
        }
    }
}

/// Asks the module for documents and signs reports.
pub struct Notary {
    module: Arc<Module>,
    keys: Arc<Keys>,
    tls_spki_sha256: [u8; 32],
    deployment: Arc<[u8]>,
    counters: Arc<Counters>,
}

impl Notary {
    pub fn new(
        module: Arc<Module>,
        keys: Arc<Keys>,
        tls_spki_sha256: [u8; 32],
        deployment: Arc<[u8]>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { module, keys, tls_spki_sha256, deployment, counters }
    }

    /// A document of purpose `session` for whoever sent `nonce`.
    pub async fn session_document(&self, nonce: &[u8]) -> Result<Vec<u8>, NsmError> {
        self.document(Purpose::Session, nonce).await
    }

    async fn document(&self, purpose: Purpose, nonce: &[u8]) -> Result<Vec<u8>, NsmError> {
        let user_data = UserData {
            v: 1,
            purpose: purpose.name(),
            ed25519: Bytes32(self.keys.signing_public()),
            tls_spki_sha256: Bytes32(self.tls_spki_sha256),
            deployment_sha256: Bytes32(deployment_sha256(&self.deployment)),
            post_quantum_sha256: None,
            log: None,
        };
        let request = AttestRequest {
            nonce: Some(nonce.to_vec()),
            user_data: Some(user_data.encode()?),
            public_key: Some(self.keys.encryption_public().as_bytes().to_vec()),
        };
        let share = match purpose {
            Purpose::Session => Share::Public,
            Purpose::Report => Share::Reports,
        };
        let made = self.module.attest(request, share).await;
        self.counters.count(match made {
            Ok(_) => Event::DocumentMade,
            Err(_) => Event::DocumentRefused,
        });
        made
    }
}

#[async_trait]
impl Signer for Notary {
    async fn attest_report(&self, nonce: [u8; 32]) -> Result<Vec<u8>, SignerBusy> {
        self.document(Purpose::Report, &nonce).await.map_err(|_| SignerBusy)
    }

    fn sign(&self, pae: &Pae<'_>) -> [u8; 64] {
        self.keys.sign(pae)
    }

    fn key_bundle(&self) -> KeyBundle {
        KeyBundle::new(
            *self.keys.encryption_public(),
            self.keys.signing_public(),
            self.deployment.to_vec(),
        )
    }

    fn simulated(&self) -> bool {
        self.module.trust_anchor() != TrustAnchor::Aws
    }
}

impl fmt::Debug for Notary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notary(..)")
    }
}

/// The time a document of our own module states, to anchor the clock. The
/// document comes from the device and not from anybody else, so nothing is
/// verified here; a customer's verifier does all of it.
pub fn timestamp_of(document: &[u8]) -> Result<UnixMillis, NsmError> {
    #[derive(Deserialize)]
    struct Payload {
        timestamp: u64,
    }
    let parts: (Blob, serde_cbor::Value, Blob, Blob) =
        serde_cbor::from_slice(document).map_err(|_| NsmError::Unexpected)?;
    let payload: Payload = serde_cbor::from_slice(&parts.2.0).map_err(|_| NsmError::Unexpected)?;
    if payload.timestamp == 0 || UnixMillis(payload.timestamp) > UnixMillis::MAX {
        return Err(NsmError::Unexpected);
    }
    Ok(UnixMillis(payload.timestamp))
}

/// The current time of the module, from a document made for nothing else.
pub async fn time_of(module: &Module) -> Result<UnixMillis, NsmError> {
    timestamp_of(&module.attest(AttestRequest::default(), Share::Clock).await?)
}

/// A CBOR byte string of any length.
struct Blob(Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;

        impl serde::de::Visitor<'_> for Visit {
            type Value = Blob;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }

        from.deserialize_byte_buf(Visit)
    }
}

/// `user_data`; the order of fields is the order on the wire.
#[derive(Serialize)]
struct UserData {
    v: u8,
    purpose: &'static str,
    ed25519: Bytes32,
    tls_spki_sha256: Bytes32,
    deployment_sha256: Bytes32,
    post_quantum_sha256: Option<Bytes32>,
    log: Option<LogHead>,
}

#[derive(Serialize)]
struct LogHead {
    size: u64,
    root: Bytes32,
}

#[derive(Clone, Copy)]
struct Bytes32([u8; 32]);

impl Serialize for Bytes32 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl UserData {
    fn encode(&self) -> Result<Vec<u8>, NsmError> {
        serde_cbor::to_vec(self)
            .ok()
            .filter(|bytes| bytes.len() <= USER_DATA_LEN_MAX)
            .ok_or(NsmError::Refused("user data too large"))
    }
}

/// The smaller of the two bounds that AWS documents.
const USER_DATA_LEN_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use protocol::user_data;

    use super::*;

    fn full() -> UserData {
        UserData {
            v: 1,
            purpose: "session",
            ed25519: Bytes32([1; 32]),
            tls_spki_sha256: Bytes32([2; 32]),
            deployment_sha256: Bytes32([3; 32]),
            post_quantum_sha256: Some(Bytes32([4; 32])),
            log: Some(LogHead { size: u64::MAX, root: Bytes32([5; 32]) }),
        }
    }

    #[test]
    fn every_field_filled_fits_into_user_data() {
        let bytes = full().encode().unwrap();
        assert!(bytes.len() <= USER_DATA_LEN_MAX, "{} bytes", bytes.len());
    }

    #[test]
    fn user_data_is_one_definite_map_in_order() {
        let mut bare = full();
        bare.post_quantum_sha256 = None;
        bare.log = None;
        let bytes = bare.encode().unwrap();
        let mut want = vec![0xa7, 0x61, b'v', 1, 0x67];
        want.extend_from_slice(b"purpose\x67session\x67ed25519\x58\x20");
        want.extend_from_slice(&[1; 32]);
        want.extend_from_slice(b"\x6ftls_spki_sha256\x58\x20");
        want.extend_from_slice(&[2; 32]);
        want.extend_from_slice(b"\x71deployment_sha256\x58\x20");
        want.extend_from_slice(&[3; 32]);
        want.extend_from_slice(b"\x73post_quantum_sha256\xf6\x63log\xf6");
        assert_eq!(bytes, want);
    }

    #[test]
    fn the_verifiers_own_reader_reads_it() {
        let ours = full().encode().unwrap();
        let read = user_data::UserData {
            purpose: user_data::Purpose::Session,
            ed25519: [1; 32],
            tls_spki_sha256: [2; 32],
            deployment_sha256: [3; 32],
            post_quantum_sha256: Some([4; 32]),
            log: Some(user_data::LogHead { size: u64::MAX, root: [5; 32] }),
        };
        assert_eq!(hex::encode(&ours), hex::encode(read.encode()));
        assert_eq!(user_data::UserData::read(&ours), Ok(read));
    }

    #[test]
    fn a_document_of_no_known_form_has_no_time() {
        for garbage in [&b""[..], b"\x84", b"\x84\x40\xa0\x40\x40", b"\x80", &[0xff; 40]] {
            assert_eq!(timestamp_of(garbage), Err(NsmError::Unexpected));
        }
    }
}
