//! The floor under any verifier: the signatures of a document, taken out of it beforehand, and
//! nothing but their verification. Shared with the peers' workspace.

use std::borrow::Borrow;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use minicbor::Decoder;

/// A signature of a genuine document, the bytes that are signed, and the signer's key.
#[derive(Debug)]
pub(crate) struct Signed {
    key: Vec<u8>,
    message: Vec<u8>,
    signature: Signature,
}

#[derive(Debug)]
enum Signature {
    Der(Vec<u8>),
    Fixed(Vec<u8>),
}

/// The five signatures of a document, in the order of the chain: three authorities, the target,
/// and the document itself. Nothing is checked here: a document that is not as expected panics.
pub(crate) fn signatures(document: &[u8]) -> [Signed; 5] {
    let (payload, signature) = envelope(document);
    let chain = chain(payload);
    let mut signed: Vec<_> = chain
        .windows(2)
        .map(|pair| {
            let (message, signature) = halves(pair[1]);
            Signed { key: key(pair[0]), message, signature: Signature::Der(signature) }
        })
        .collect();
    let mut message = b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40\x59".to_vec();
    message.extend(u16::try_from(payload.len()).expect("a payload is short").to_be_bytes());
    message.extend_from_slice(payload);
    let target = chain.last().expect("a chain has a target");
    signed.push(Signed { key: key(target), message, signature: Signature::Fixed(signature) });
    signed.try_into().expect("a chain of five certificates")
}

/// Verifies each.
pub(crate) fn verify<S: Borrow<Signed>>(signed: &[S]) -> bool {
    signed.iter().map(Borrow::borrow).all(|signed| {
        let result = match &signed.signature {
            Signature::Der(signature) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, &signed.key)
                    .verify(&signed.message, signature)
            }
            Signature::Fixed(signature) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &signed.key)
                    .verify(&signed.message, signature)
            }
        };
        result.is_ok()
    })
}

fn envelope(document: &[u8]) -> (&[u8], Vec<u8>) {
    let mut from = Decoder::new(document);
    assert_eq!(from.array().expect("an array"), Some(4));
    from.skip().expect("the protected header");
    from.skip().expect("the unprotected header");
    let payload = from.bytes().expect("the payload");
    (payload, from.bytes().expect("the signature").to_vec())
}

/// The certificates from the root to the target.
fn chain(payload: &[u8]) -> Vec<&[u8]> {
    let mut from = Decoder::new(payload);
    from.map().expect("a map");
    let (mut bundle, mut target) = (Vec::new(), None);
    while bundle.is_empty() || target.is_none() {
        match from.str().expect("a key") {
            "cabundle" => {
                let len = from.array().expect("a list").expect("of definite length");
                bundle = (0..len).map(|_| from.bytes().expect("a certificate")).collect();
            }
            "certificate" => target = Some(from.bytes().expect("a certificate")),
            _ => from.skip().expect("a value"),
        }
    }
    bundle.extend(target);
    bundle
}

/// The signed part of a certificate and its signature, both DER: each is a sequence of 256 to
/// 65535 bytes, and between them is the algorithm, 12 bytes.
fn halves(certificate: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let len = usize::from(u16::from_be_bytes([certificate[6], certificate[7]])) + 4;
    let (signed, rest) = certificate[4..].split_at(len);
    (signed.to_vec(), rest[12 + 3..].to_vec())
}

/// The key of a certificate: what follows the head of a P-384 SubjectPublicKeyInfo.
fn key(certificate: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00";
    let at = certificate.windows(HEAD.len()).position(|window| window == HEAD);
    let start = at.expect("a P-384 key") + HEAD.len();
    certificate[start..start + 97].to_vec()
}
