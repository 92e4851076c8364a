//! One certificate of the chain, held to the one shape AWS issues (RFC 5280 §4.1), steps 24 and
//! 26 to 28. Nothing else is read: no other algorithm, curve, version or encoding.

use jiff::civil::DateTime;

use super::der::{
    BIT_STRING, BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Objects, SEQUENCE, SET,
    UTC_TIME, is_der,
};
use super::error::AttestationError as Error;
use super::p384::{P384, Signature};

/// `[0] INTEGER 2`: version 3.
const VERSION_3: [u8; 5] = [0xa0, 0x03, 0x02, 0x01, 0x02];
/// `AlgorithmIdentifier` of ecdsa-with-SHA384, without parameters (RFC 5758 §3.2).
const ECDSA_WITH_SHA384: [u8; 12] =
    [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// `SubjectPublicKeyInfo` of an uncompressed P-384 point, up to the point (RFC 5480 §2).
const P384_SPKI_HEAD: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];
/// 2.5.29.19
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
/// 2.5.29.15
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
/// Bits of keyUsage as they lie in its first byte.
const DIGITAL_SIGNATURE: u8 = 0x80;
const KEY_CERT_SIGN: u8 = 0x04;
/// `[0]` to `[3]` of the signed part.
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// A certificate of acceptable form. Its signature is not verified.
#[derive(Debug)]
pub(super) struct Certificate<'b> {
    signed: &'b [u8],
    signature: &'b [u8],
    issuer: &'b [u8],
    subject: &'b [u8],
    validity: Validity,
    key: &'b [u8; 97],
    constraints: Constraints,
    usage: u8,
}

#[derive(Clone, Copy, Debug)]
struct Constraints {
    critical: bool,
    ca: bool,
    path_len: Option<u64>,
}

/// The parts, before what the extensions say is read.
struct Parts<'b> {
    signed: &'b [u8],
    signature: &'b [u8],
    issuer: &'b [u8],
    subject: &'b [u8],
    validity: Validity,
    key: &'b [u8; 97],
    extensions: Vec<Extension<'b>>,
}

struct Extension<'b> {
    oid: &'b [u8],
    critical: bool,
    value: &'b [u8],
}

impl<'b> Certificate<'b> {
    pub(super) fn read(der: &'b [u8]) -> Result<Self, Error> {
        let parts = is_der(der).then(|| Parts::read(der)).flatten();
        let parts = parts.ok_or(Error::CertificateForm)?; // 24
        let (mut constraints, mut usage) = (None, None);
        for (index, extension) in parts.extensions.iter().enumerate() {
            let earlier = parts.extensions.get(..index).unwrap_or_default();
            if earlier.iter().any(|earlier| earlier.oid == extension.oid) {
                return Err(Error::CriticalExtension); // 28
            }
            if extension.oid == BASIC_CONSTRAINTS {
                constraints = Some(Constraints::read(extension).ok_or(Error::BasicConstraints)?);
            } else if extension.oid == KEY_USAGE {
                usage = Some(read_usage(extension.value).ok_or(Error::KeyUsage)?);
            } else if extension.critical {
                return Err(Error::CriticalExtension);
            }
        }
        let Parts { signed, signature, issuer, subject, validity, key, extensions: _ } = parts;
        Ok(Self {
            signed,
            signature,
            issuer,
            subject,
            validity,
            key,
            constraints: constraints.ok_or(Error::BasicConstraints)?, // 26
            usage: usage.ok_or(Error::KeyUsage)?,                     // 27
        })
    }

    /// Whether it may stand above `below` other authorities (steps 26 and 27).
    pub(super) fn may_certify(&self, below: usize) -> Result<(), Error> {
        let Constraints { critical, ca, path_len } = self.constraints;
        let short = path_len.is_some_and(|len| usize::try_from(len).is_ok_and(|len| len < below));
        if !critical || !ca || short {
            return Err(Error::BasicConstraints);
        }
        if self.usage & KEY_CERT_SIGN == 0 { Err(Error::KeyUsage) } else { Ok(()) }
    }

    /// Whether it may sign documents (steps 26 and 27).
    pub(super) const fn may_sign(&self) -> Result<(), Error> {
        if self.constraints.ca || self.constraints.path_len.is_some() {
            return Err(Error::BasicConstraints);
        }
        if self.usage & DIGITAL_SIGNATURE == 0 { Err(Error::KeyUsage) } else { Ok(()) }
    }

    pub(super) const fn validity(&self) -> Validity {
        self.validity
    }

    pub(super) const fn key(&self) -> &'b [u8; 97] {
        self.key
    }

    pub(super) const fn subject(&self) -> &'b [u8] {
        self.subject
    }

    pub(super) const fn issuer(&self) -> &'b [u8] {
        self.issuer
    }

    /// Whether the owner of `key` signed it.
    pub(super) fn is_signed_by<P: P384>(&self, key: &[u8; 97]) -> bool {
        P::verify(key, self.signed, Signature::Der(self.signature))
    }
}

impl<'b> Parts<'b> {
    fn read(der: &'b [u8]) -> Option<Self> {
        let mut outer = Objects::only(der, SEQUENCE)?;
        let signed = outer.whole(SEQUENCE)?;
        (outer.whole(SEQUENCE)? == ECDSA_WITH_SHA384).then_some(())?;
        let signature = outer.content(BIT_STRING)?.strip_prefix(&[0])?;
        outer.end()?;

        let mut tbs = Objects::only(signed, SEQUENCE)?;
        (tbs.whole(VERSION)? == VERSION_3).then_some(())?;
        tbs.content(INTEGER)?; // the serial number
        (tbs.whole(SEQUENCE)? == ECDSA_WITH_SHA384).then_some(())?;
        let issuer = read_name(&mut tbs)?;
        let mut times = Objects::of(tbs.content(SEQUENCE)?);
        let validity = Validity { from: read_time(&mut times)?, to: read_time(&mut times)? };
        times.end()?;
        let subject = read_name(&mut tbs)?;
        let key = tbs.whole(SEQUENCE)?.strip_prefix(P384_SPKI_HEAD.as_slice())?;
        let key = <&[u8; 97]>::try_from(key).ok().filter(|key| key.first() == Some(&4))?;
        let _unique_ids = (tbs.content(ISSUER_UNIQUE_ID), tbs.content(SUBJECT_UNIQUE_ID));
        let extensions = match tbs.content(EXTENSIONS) {
            Some(list) => read_extensions(Objects::only(list, SEQUENCE)?)?,
            None => Vec::new(),
        };
        tbs.end()?;
        Some(Self { signed, signature, issuer, subject, validity, key, extensions })
    }
}

impl Constraints {
    fn read(extension: &Extension<'_>) -> Option<Self> {
        is_der(extension.value).then_some(())?;
        let mut value = Objects::only(extension.value, SEQUENCE)?;
        let ca = value.content(BOOLEAN).is_some_and(|flag| flag != [0]);
        let path_len = match value.content(INTEGER) {
            None => None,
            Some([0x80..=0xff, ..]) => return None,
            // More than any chain is as good as the most.
            Some(len) => Some(len.iter().fold(0_u64, |sum, byte| {
                sum.checked_mul(256)
                    .and_then(|sum| sum.checked_add(u64::from(*byte)))
                    .unwrap_or(u64::MAX)
            })),
        };
        value.end()?;
        Some(Self { critical: extension.critical, ca, path_len })
    }
}

/// The first eight bits of keyUsage; the ninth decides nothing here.
fn read_usage(value: &[u8]) -> Option<u8> {
    is_der(value).then_some(())?;
    let mut objects = Objects::of(value);
    let bits = objects.content(BIT_STRING)?.get(1..)?;
    Some(bits.first().copied().unwrap_or(0))
}

/// A name in its bytes: sets of pairs of an identifier and a value.
fn read_name<'b>(from: &mut Objects<'b>) -> Option<&'b [u8]> {
    let whole = from.whole(SEQUENCE)?;
    let mut sets = Objects::only(whole, SEQUENCE)?;
    while sets.end().is_none() {
        let mut pairs = Objects::of(sets.content(SET)?);
        while pairs.end().is_none() {
            let mut pair = Objects::of(pairs.content(SEQUENCE)?);
            pair.content(OID)?;
            pair.any()?;
            pair.end()?;
        }
    }
    Some(whole)
}

fn read_extensions(mut list: Objects<'_>) -> Option<Vec<Extension<'_>>> {
    let mut extensions = Vec::with_capacity(EXTENSIONS_USUAL);
    while list.end().is_none() {
        let mut extension = Objects::of(list.content(SEQUENCE)?);
        let oid = extension.content(OID)?;
        let critical = extension.content(BOOLEAN).is_some_and(|flag| flag != [0]);
        let value = extension.content(OCTET_STRING)?;
        extension.end()?;
        extensions.push(Extension { oid, critical, value });
    }
    Some(extensions)
}

/// As many as AWS's authorities have.
const EXTENSIONS_USUAL: usize = 5;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Seconds since the Unix epoch. That it is digits and a Z is known.
fn read_time(from: &mut Objects<'_>) -> Option<i64> {
    let (year, rest) = if let Some(utc) = from.content(UTC_TIME) {
        let (year, rest) = number(utc)?;
        // RFC 5280 §4.1.2.5.1
        (if year >= 50 { year + 1900 } else { year + 2000 }, rest)
    } else {
        let (century, rest) = number(from.content(GENERALIZED_TIME)?)?;
        let (year, rest) = number(rest)?;
        (century * 100 + year, rest)
    };
    let (month, rest) = number(rest)?;
    let (day, rest) = number(rest)?;
    let (hour, rest) = number(rest)?;
    let (minute, rest) = number(rest)?;
    let (second, _) = number(rest)?;
    let small = |number: i16| i8::try_from(number).ok();
    let time = DateTime::new(
        year,
        small(month)?,
        small(day)?,
        small(hour)?,
        small(minute)?,
        small(second)?,
        0,
    );
    // 9999-12-31T23:59:59Z, which means no end (RFC 5280 §4.1.2.5), is beyond jiff's instants.
    Some(time.ok()?.duration_since(EPOCH).as_secs())
}

/// Two digits.
fn number(digits: &[u8]) -> Option<(i16, &[u8])> {
    let (&[tens, ones], rest) = digits.split_first_chunk()?;
    let digit = |byte: u8| byte.checked_sub(b'0').filter(|digit| *digit <= 9).map(i16::from);
    Some((digit(tens)? * 10 + digit(ones)?, rest))
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
