//! TLS ends here, inside the enclave.
//!
//! TLS 1.3 alone, X25519MLKEM768 first. The key is made at boot, self-signed,
//! and means nothing by itself: its SPKI's SHA-256 is in every attestation
//! document, and a customer compares the two before sending anything.
//!
//! No tickets and no resumption: each connection shows its key, so that each
//! can be attested. No early data, which could be replayed.

use std::fmt;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, version};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};

use crate::clock::{Clock, TlsTime};

/// The name in our certificate; nobody checks it, the key is what counts.
const NAME: &str = "enclave.invalid";

/// What the listener presents.
pub struct Identity {
    config: Arc<ServerConfig>,
    spki_sha256: [u8; 32],
}

/// The key or the configuration was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the TLS identity cannot be made")]
pub struct IdentityError;

impl Identity {
    /// Makes a P-256 key and what serves it.
    pub fn generate(clock: Arc<dyn Clock>) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError)?;
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, NAME);
        let mut params =
            CertificateParams::new(vec![NAME.to_owned()]).map_err(|_| IdentityError)?;
        params.distinguished_name = subject;
        let certificate = params.self_signed(&key).map_err(|_| IdentityError)?;
        let spki_sha256 =
            Sha256::digest(rcgen::PublicKeyData::subject_public_key_info(&key)).into();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let mut config =
            ServerConfig::builder_with_details(Arc::new(provider()), Arc::new(TlsTime(clock)))
                .with_protocol_versions(&[&version::TLS13])
                .map_err(|_| IdentityError)?
                .with_no_client_auth()
                .with_single_cert(vec![certificate.der().clone()], private)
                .map_err(|_| IdentityError)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), spki_sha256 })
    }

    /// For the acceptor.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// SHA-256 of the key's SubjectPublicKeyInfo, as in `user_data`.
    pub const fn spki_sha256(&self) -> [u8; 32] {
        self.spki_sha256
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// The one cryptographic provider of this program: aws-lc-rs, with the hybrid
/// post-quantum group before the classical ones.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519MLKEM768,
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
        ],
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    }
}
