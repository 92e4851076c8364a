//! One certificate of the chain: parsed by `x509-parser`, then held to the one shape AWS issues
//! (RFC 5280), steps 24 and 26 to 28.

use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{BasicConstraints, KeyUsage};
use x509_parser::nom::Parser as _;
use x509_parser::oid_registry::{OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_KEY_USAGE};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::der::is_der;
use super::error::AttestationError as Error;
use super::p384::{P384, Signature};

/// `AlgorithmIdentifier` of ecdsa-with-SHA384, without parameters (RFC 5758 §3.2).
const ECDSA_WITH_SHA384: [u8; 12] =
    [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// `SubjectPublicKeyInfo` of an uncompressed P-384 point, up to the point (RFC 5480 §2).
const P384_SPKI_HEAD: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// Tag and length of a sequence of at most 65535 bytes.
const OUTER_HEAD_LEN_MAX: usize = 4;

/// A certificate of acceptable form. Its signature is not verified.
#[derive(Debug)]
pub(super) struct Certificate<'b> {
    parsed: X509Certificate<'b>,
    key: &'b [u8; 97],
    constraints: BasicConstraints,
    constraints_critical: bool,
    usage: KeyUsage,
}

impl<'b> Certificate<'b> {
    pub(super) fn read(der: &'b [u8]) -> Result<Self, Error> {
        if !is_der(der) {
            return Err(Error::CertificateForm); // 24
        }
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let (rest, parsed) = parser.parse(der).map_err(|_| Error::CertificateForm)?;
        let tbs = &parsed.tbs_certificate;
        if !rest.is_empty()
            || tbs.version != X509Version::V3
            || tbs.signature != parsed.signature_algorithm
            || parsed.signature_value.unused_bits != 0
            || !has_three_parts(der, tbs.as_ref(), &parsed.signature_value.data)
        {
            return Err(Error::CertificateForm); // 24
        }
        let key = tbs
            .subject_pki
            .raw
            .strip_prefix(P384_SPKI_HEAD.as_slice())
            .and_then(|key| <&[u8; 97]>::try_from(key).ok())
            .filter(|key| key.first() == Some(&4))
            .ok_or(Error::CertificateForm)?;

        let mut constraints = None;
        let mut usage = None;
        let mut seen = Vec::with_capacity(tbs.extensions().len());
        for extension in tbs.extensions() {
            if seen.contains(&&extension.oid) {
                return Err(Error::CriticalExtension); // 28
            }
            seen.push(&extension.oid);
            if extension.oid == OID_X509_EXT_BASIC_CONSTRAINTS {
                let value = whole::<BasicConstraints>(extension.value);
                constraints = Some((value.ok_or(Error::BasicConstraints)?, extension.critical));
            } else if extension.oid == OID_X509_EXT_KEY_USAGE {
                usage = Some(whole::<KeyUsage>(extension.value).ok_or(Error::KeyUsage)?);
            } else if extension.critical {
                return Err(Error::CriticalExtension);
            }
        }
        let (constraints, constraints_critical) = constraints.ok_or(Error::BasicConstraints)?;
        let usage = usage.ok_or(Error::KeyUsage)?; // 27: a missing one is a refusal
        Ok(Self { parsed, key, constraints, constraints_critical, usage })
    }

    /// Whether it may stand above `below` other authorities (steps 26 and 27).
    pub(super) fn may_certify(&self, below: usize) -> Result<(), Error> {
        let path = self.constraints.path_len_constraint;
        let short = path.is_some_and(|len| usize::try_from(len).is_ok_and(|len| len < below));
        if !self.constraints_critical || !self.constraints.ca || short {
            return Err(Error::BasicConstraints);
        }
        if self.usage.key_cert_sign() { Ok(()) } else { Err(Error::KeyUsage) }
    }

    /// Whether it may sign documents (steps 26 and 27).
    pub(super) fn may_sign(&self) -> Result<(), Error> {
        if self.constraints.ca || self.constraints.path_len_constraint.is_some() {
            return Err(Error::BasicConstraints);
        }
        if self.usage.digital_signature() { Ok(()) } else { Err(Error::KeyUsage) }
    }

    /// From when to when it is valid, both inclusive, in seconds since the Unix epoch.
    pub(super) fn validity(&self) -> Validity {
        let validity = &self.parsed.tbs_certificate.validity;
        Validity { from: validity.not_before.timestamp(), to: validity.not_after.timestamp() }
    }

    pub(super) const fn key(&self) -> &'b [u8; 97] {
        self.key
    }

    pub(super) fn subject(&self) -> &[u8] {
        self.parsed.tbs_certificate.subject.as_raw()
    }

    pub(super) fn issuer(&self) -> &[u8] {
        self.parsed.tbs_certificate.issuer.as_raw()
    }

    /// Whether the owner of `key` signed it.
    pub(super) fn is_signed_by<P: P384>(&self, key: &[u8; 97]) -> bool {
        let signed = self.parsed.tbs_certificate.as_ref();
        P::verify(key, signed, Signature::Der(&self.parsed.signature_value.data))
    }
}

/// From when to when something is valid, both inclusive, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Validity {
    pub(super) const fn contains(self, at: i64) -> bool {
        self.from <= at && at <= self.to
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// Whether the certificate is its signed part, the one algorithm and a bit string, with nothing
/// between or behind: `x509-parser` alone would not look.
fn has_three_parts(der: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    let Ok(len @ 0..128) = u8::try_from(signature.len().saturating_add(1)) else { return false };
    let tail = [ECDSA_WITH_SHA384.as_slice(), &[0x03, len, 0x00], signature].concat();
    let head = der.strip_suffix(tail.as_slice()).and_then(|rest| rest.strip_suffix(signed));
    head.is_some_and(|head| head.len() <= OUTER_HEAD_LEN_MAX)
}

/// A value in DER that fills its bytes.
fn whole<'b, T: FromDer<'b, x509_parser::error::X509Error>>(bytes: &'b [u8]) -> Option<T> {
    match T::from_der(bytes) {
        Ok(([], value)) if is_der(bytes) => Some(value),
        _ => None,
    }
}
