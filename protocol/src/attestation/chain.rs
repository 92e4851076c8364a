//! The chain from the pinned root to the key that signed the document, steps 22 to 28.
//!
//! A bundle is walked once, in its order; there is no path building. What verified can be kept
//! in a [`ChainCache`], so that the next document of the same module costs two signatures.

use sha2::{Digest, Sha256};

use super::certificate::{Certificate, Validity};
use super::document::Document;
use super::error::AttestationError as Error;
use super::p384::P384;

/// Authorities in a chain at most: with the target and the document that makes five signatures.
const AUTHORITIES_MAX: usize = 4;

/// The last authority of a bundle that verified.
#[derive(Clone, Debug)]
struct Authority {
    /// When every certificate of the bundle is valid.
    validity: Validity,
    subject: Vec<u8>,
    key: [u8; 97],
}

/// Bundles that verified before, newest last, bounded.
///
/// Keyed by the hash of root and bundle; times are checked again at each use.
#[derive(Clone, Debug)]
pub struct ChainCache {
    kept: Vec<([u8; 32], Authority)>,
    len_max: usize,
}

impl ChainCache {
    /// A cache of at most `len_max` bundles; each takes less than 1 KiB.
    pub const fn new(len_max: usize) -> Self {
        Self { kept: Vec::new(), len_max }
    }

    fn find(&self, bundle: &[u8; 32]) -> Option<&Authority> {
        self.kept.iter().find(|(kept, _)| kept == bundle).map(|(_, authority)| authority)
    }

    fn keep(&mut self, bundle: [u8; 32], authority: Authority) {
        if self.kept.len() >= self.len_max {
            self.kept.remove(0);
        }
        self.kept.push((bundle, authority));
    }
}

/// Walks the chain at `at` (seconds since the Unix epoch) and returns the target's key.
pub(super) fn verify<P: P384>(
    document: &Document<'_>,
    root: &[u8],
    at: i64,
    cache: &mut ChainCache,
) -> Result<[u8; 97], Error> {
    let bundle = &document.ca_bundle;
    if bundle.first() != Some(&root) {
        return Err(Error::Root); // 22
    }
    let id = (cache.len_max > 0).then(|| bundle_id(bundle));
    let target = Certificate::read(document.certificate)?;
    target.may_sign()?;
    // 25a: the document's own time lies within the target's.
    let made_at = i64::try_from(document.timestamp / 1000).map_err(|_| Error::Validity)?;
    if !target.validity().contains(made_at) || !target.validity().contains(at) {
        return Err(Error::Validity);
    }

    let walked;
    let known = id.as_ref().and_then(|id| cache.find(id));
    let authority = if let Some(authority) = known {
        authority
    } else {
        walked = walk::<P>(bundle, document.certificate, &target, at)?;
        &walked
    };
    if !authority.validity.contains(at) {
        return Err(Error::Validity); // 25
    }
    names_issuer::<P>(&target, &authority.subject, &authority.key)?;
    if !target.is_signed_by::<P>(&authority.key) {
        return Err(Error::CertificateForm); // 24
    }
    if let (Some(id), None) = (id, known) {
        let authority = authority.clone();
        cache.keep(id, authority);
    }
    Ok(*target.key())
}

/// Every authority in its place, cheap checks before signatures.
fn walk<P: P384>(
    bundle: &[&[u8]],
    target_der: &[u8],
    target: &Certificate<'_>,
    at: i64,
) -> Result<Authority, Error> {
    for (index, certificate) in bundle.iter().enumerate() {
        let earlier = bundle.get(..index).unwrap_or_default();
        if earlier.contains(certificate) || *certificate == target_der {
            return Err(Error::ChainOrder); // 23
        }
    }
    let chain =
        bundle.iter().map(|der| Certificate::read(der)).collect::<Result<Vec<_>, Error>>()?;
    let pairs = || chain.iter().zip(chain.iter().skip(1));
    for (issuer, subject) in pairs().chain(chain.last().map(|last| (last, target))) {
        names_issuer::<P>(subject, issuer.subject(), issuer.key())?;
    }
    let mut validity = Validity { from: i64::MIN, to: i64::MAX };
    for (certificate, below) in chain.iter().zip((0..chain.len()).rev()) {
        certificate.may_certify(below)?;
        validity = validity.and(certificate.validity());
    }
    if chain.len() > AUTHORITIES_MAX {
        return Err(Error::TooMuchWork); // 35
    }
    if !validity.contains(at) {
        return Err(Error::Validity); // 25, before any signature is paid for
    }
    for (issuer, subject) in pairs() {
        if !subject.is_signed_by::<P>(issuer.key()) {
            return Err(Error::CertificateForm); // 24
        }
    }
    let last = chain.last().ok_or(Error::CaBundle)?;
    Ok(Authority { validity, subject: last.subject().to_vec(), key: *last.key() })
}

/// A wrong name under the right signature is a fault of the certificate (24); without it the
/// certificate belongs elsewhere, or the one above it is missing (23).
fn names_issuer<P: P384>(
    certificate: &Certificate<'_>,
    subject: &[u8],
    key: &[u8; 97],
) -> Result<(), Error> {
    if certificate.issuer() == subject {
        Ok(())
    } else if certificate.is_signed_by::<P>(key) {
        Err(Error::CertificateForm)
    } else {
        Err(Error::ChainOrder)
    }
}

/// SHA-256 over every certificate behind its length.
fn bundle_id(bundle: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for certificate in bundle {
        hash.update(u32::try_from(certificate.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}
