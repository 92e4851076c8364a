//! A root of our own and a chain shaped like AWS's, for the simulated module.
//!
//! | tier | pathLen | valid | keyUsage |
//! | --- | --- | --- | --- |
//! | root | none | 30 years | keyCertSign, cRLSign, digitalSignature |
//! | regional | 2 | 20 days | keyCertSign, cRLSign, digitalSignature |
//! | zonal | 1 | 6 days | the same |
//! | instance | 0 | 24 hours | keyCertSign |
//! | leaf | – | 3 hours | digitalSignature |
//!
//! P-384 and ecdsa-with-SHA384 throughout. The root lives as long as the
//! process; everything under it is made anew when the leaf is about to expire,
//! which on a scenario clock is often.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use protocol::time::UnixMillis;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
};

use super::NsmError;
use super::simulated::MARKER;

const DAY: Duration = Duration::from_hours(24);
const LEAF_LIFETIME: Duration = Duration::from_hours(3);
/// A leaf with less than this left is replaced.
const LEAF_MARGIN: Duration = Duration::from_mins(30);
/// How long before its making a certificate is already valid: a verifier's
/// clock may be a little behind.
const BACKDATE: Duration = Duration::from_mins(1);

/// The root's key and certificate.
#[derive(Debug)]
pub(super) struct Root {
    key: KeyPair,
    params: CertificateParams,
    der: Vec<u8>,
}

/// What signs documents for a while.
pub(super) struct Chain {
    /// Root first, instance last.
    pub(super) cabundle: [Vec<u8>; 4],
    /// The leaf.
    pub(super) certificate: Vec<u8>,
    key: EcdsaKeyPair,
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl Root {
    pub(super) fn new(now: UnixMillis) -> Result<Self, NsmError> {
        let key = new_key()?;
        let params = params(
            MARKER,
            IsCa::Ca(BasicConstraints::Unconstrained),
            &CA_USAGES,
            before(now, 365 * DAY),
            now.saturating_add(30 * 365 * DAY),
        );
        let der = params.self_signed(&key).map_err(refused)?.der().to_vec();
        Ok(Self { key, params, der })
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// A new chain for documents made from `now` on.
    pub(super) fn issue(&self, now: UnixMillis) -> Result<Chain, NsmError> {
        let (regional, regional_key) = tier("regional", 2, now, 2 * DAY, 18 * DAY)?;
        let (zonal, zonal_key) = tier("zonal", 1, now, DAY, 5 * DAY)?;
        let (instance, instance_key) =
            tier("instance", 0, now, Duration::from_hours(3), Duration::from_hours(21))?;
        let not_before = before(now, BACKDATE);
        let not_after = not_before.saturating_add(LEAF_LIFETIME);
        let leaf_key = new_key()?;
        let leaf = params(
            "i-0simulated0000000-enc0000000000000000.eu-central-1",
            IsCa::ExplicitNoCa,
            &[KeyUsagePurpose::DigitalSignature],
            not_before,
            not_after,
        );
        let sign = |params: &CertificateParams,
                    key: &KeyPair,
                    issuer: &CertificateParams,
                    issuer_key: &KeyPair| {
            let issuer = Issuer::from_params(issuer, issuer_key);
            params.signed_by(key, &issuer).map(|made| made.der().to_vec()).map_err(refused)
        };
        Ok(Chain {
            cabundle: [
                self.der.clone(),
                sign(&regional, &regional_key, &self.params, &self.key)?,
                sign(&zonal, &zonal_key, &regional, &regional_key)?,
                sign(&instance, &instance_key, &zonal, &zonal_key)?,
            ],
            certificate: sign(&leaf, &leaf_key, &instance, &instance_key)?,
            key: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P384_SHA384_FIXED_SIGNING,
                leaf_key.serialized_der(),
            )
            .map_err(refused)?,
            not_before,
            not_after,
        })
    }
}

impl Chain {
    /// Whether a document made at `now` can be signed with it.
    pub(super) fn serves(&self, now: UnixMillis) -> bool {
        self.not_before <= now && now.saturating_add(LEAF_MARGIN) < self.not_after
    }

    /// ECDSA P-384 with SHA-384, r and s of 48 bytes each.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NsmError> {
        let signature = self.key.sign(&SystemRandom::new(), message).map_err(refused)?;
        Ok(signature.as_ref().to_vec())
    }
}

/// Parameters and key of an intermediate, valid from `past` before `now` to
/// `future` after it.
fn tier(
    name: &str,
    path_len: u8,
    now: UnixMillis,
    past: Duration,
    future: Duration,
) -> Result<(CertificateParams, KeyPair), NsmError> {
    let usages = if path_len == 0 { &CA_USAGES[..1] } else { &CA_USAGES[..] };
    let params = params(
        &format!("{name}.eu-central-1.{MARKER}"),
        IsCa::Ca(BasicConstraints::Constrained(path_len)),
        usages,
        before(now, past),
        now.saturating_add(future),
    );
    Ok((params, new_key()?))
}

const CA_USAGES: [KeyUsagePurpose; 3] =
    [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];

fn params(
    name: &str,
    is_ca: IsCa,
    usages: &[KeyUsagePurpose],
    not_before: UnixMillis,
    not_after: UnixMillis,
) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "Performance Aggregator");
    subject.push(DnType::OrganizationalUnitName, "SIMULATED");
    subject.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.is_ca = is_ca;
    params.key_usages = usages.to_vec();
    params.not_before = system_time(not_before).into();
    params.not_after = system_time(not_after).into();
    params
}

fn new_key() -> Result<KeyPair, NsmError> {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(refused)
}

fn before(now: UnixMillis, by: Duration) -> UnixMillis {
    UnixMillis(now.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

/// Whole seconds, as certificates have them.
fn system_time(at: UnixMillis) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + Duration::from_secs(at.0 / 1000)
}

fn refused<E>(_: E) -> NsmError {
    NsmError::Refused("the simulated signer failed")
}
