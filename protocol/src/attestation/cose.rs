//! The envelope around the payload: COSE_Sign1 (RFC 9052 §4.2), steps 1 to 9.

use super::cbor::{Fault, Reader};
use super::error::AttestationError as Error;
use super::p384::Signature;
use crate::limits::DOCUMENT_LEN_MAX;

/// Largest payload, in bytes (NSM attestation process, 3.1).
const PAYLOAD_LEN_MAX: usize = 16 * 1024;
/// `{1: -35}`: ES384, and nothing else.
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
const TAG_COSE_SIGN1: u64 = 18;
/// `["Signature1", protected, h'', payload]` up to the payload.
const SIG_STRUCTURE_HEAD: [u8; 17] = *b"\x84\x6aSignature1\x44\xa1\x01\x38\x22";

/// The parts of an envelope, where they lie in the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sign1<'b> {
    pub(super) payload: &'b [u8],
    signature: &'b [u8; 96],
}

impl<'b> Sign1<'b> {
    pub(super) fn read(document: &'b [u8]) -> Result<Self, Error> {
        if document.is_empty() || document.len() > DOCUMENT_LEN_MAX {
            return Err(Error::NotOneItem); // 1
        }
        let mut reader = Reader::new(document);
        let fault = |of_type: Error| {
            move |fault| match fault {
                Fault::Cut => Error::NotOneItem,
                Fault::Form => Error::EnvelopeForm, // 9
                Fault::Type => of_type,
            }
        };
        match reader.tag().map_err(fault(Error::Tag))? {
            None | Some(TAG_COSE_SIGN1) => {}
            Some(_) => return Err(Error::Tag), // 2
        }
        if reader.tag().map_err(fault(Error::Tag))?.is_some() {
            return Err(Error::Tag);
        }
        if reader.array().map_err(fault(Error::NotFour))? != 4 {
            return Err(Error::NotFour); // 3
        }
        if reader.bytes().map_err(fault(Error::ProtectedHeader))? != PROTECTED {
            return Err(Error::ProtectedHeader); // 4
        }
        if reader.map().map_err(fault(Error::UnprotectedHeader))? != 0 {
            return Err(Error::UnprotectedHeader); // 5
        }
        let payload = reader.bytes().map_err(fault(Error::Payload))?;
        if payload.is_empty() || payload.len() > PAYLOAD_LEN_MAX {
            return Err(Error::Payload); // 6
        }
        let signature = reader.bytes().map_err(fault(Error::SignatureForm))?;
        let signature = signature.try_into().map_err(|_| Error::SignatureForm)?;
        if !in_range(signature) {
            return Err(Error::SignatureForm); // 7
        }
        if !reader.at_end() {
            return Err(Error::NotOneItem); // 1
        }
        Ok(Self { payload, signature })
    }

    /// What is signed, with the payload's bytes as they were received (step 8).
    pub(super) fn signed(&self) -> Vec<u8> {
        let mut signed = Vec::with_capacity(SIG_STRUCTURE_HEAD.len() + 4 + self.payload.len());
        signed.extend_from_slice(&SIG_STRUCTURE_HEAD);
        signed.push(0x40);
        match u16::try_from(self.payload.len()).unwrap_or(u16::MAX).to_be_bytes() {
            [0, len @ 0..=23] => signed.push(0x40 | len),
            [0, len] => signed.extend_from_slice(&[0x58, len]),
            [high, low] => signed.extend_from_slice(&[0x59, high, low]),
        }
        signed.extend_from_slice(self.payload);
        signed
    }

    pub(super) const fn signature(&self) -> Signature<'b> {
        Signature::Fixed(self.signature)
    }
}

/// Whether r and s both lie in 1 to n − 1. High s is valid: AWS does not normalise.
fn in_range(signature: &[u8; 96]) -> bool {
    let (r, s) = signature.split_at(48);
    [r, s].into_iter().all(|part| part.iter().any(|byte| *byte != 0) && part < ORDER.as_slice())
}

/// The order n of P-384 (SP 800-186 §3.2.1.4), big-endian.
const ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];
