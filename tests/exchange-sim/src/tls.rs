//! The simulator's certificate authority and its certificates.
//!
//! Made afresh at each start and valid from 2020 to 2050, so that scenario
//! dates lie inside. Sessions are not resumed: every connection shows its
//! certificate, so a certificate fault meets every client.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::clock::Clock;
use crate::faults::{Faults, WrongCertificate};

/// Server configuration and the root that a client must trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) root_pem: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot configure TLS")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    pub(crate) fn new(hosts: &[&str], faults: Arc<Faults>, clock: Clock) -> Result<Self, TlsError> {
        let (root_pem, signer) = authority("Exchange simulator root")?;
        let (_, stranger) = authority("Some other root")?;
        let mut shown = HashMap::new();
        for host in hosts {
            shown.insert(
                (*host).to_owned(),
                Shown {
                    right: leaf(host, &signer, 2020, 2050)?,
                    other_authority: leaf(host, &stranger, 2020, 2050)?,
                    other_name: leaf("elsewhere.test", &signer, 2020, 2050)?,
                    expired: leaf(host, &signer, 2015, 2016)?,
                },
            );
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Resolver { shown, faults, clock }));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { config: Arc::new(config), root_pem })
    }
}

/// The certificates of one host.
#[derive(Debug)]
struct Shown {
    right: Arc<CertifiedKey>,
    other_authority: Arc<CertifiedKey>,
    other_name: Arc<CertifiedKey>,
    expired: Arc<CertifiedKey>,
}

#[derive(Debug)]
struct Resolver {
    shown: HashMap<String, Shown>,
    faults: Arc<Faults>,
    clock: Clock,
}

impl ResolvesServerCert for Resolver {
    /// No name or one that is not imitated here ends the handshake.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?;
        let shown = self.shown.get(host)?;
        let certificate = match self.faults.certificate(host, self.clock.view().now_ms) {
            None => &shown.right,
            Some(WrongCertificate::OtherAuthority) => &shown.other_authority,
            Some(WrongCertificate::OtherName) => &shown.other_name,
            Some(WrongCertificate::Expired) => &shown.expired,
        };
        Some(Arc::clone(certificate))
    }
}

fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>), TlsError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date_time_ymd(2010, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Issuer::new(params, key)))
}

fn leaf(
    host: &str,
    authority: &Issuer<'_, KeyPair>,
    from_year: i32,
    to_year: i32,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, host);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = date_time_ymd(from_year, 1, 1);
    params.not_after = date_time_ymd(to_year, 1, 1);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signer = aws_lc_rs::sign::any_supported_type(&private)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], signer)))
}
