//! ECDSA over P-384 with SHA-384: aws-lc-rs where there is a C compiler, RustCrypto elsewhere.

/// A signature in one of its two forms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signature<'a> {
    /// r ‖ s, as COSE writes it (RFC 9053 §2.1).
    Fixed(&'a [u8; 96]),
    /// A DER sequence, as X.509 writes it.
    Der(&'a [u8]),
}

/// An implementation of the one signature algorithm there is here.
pub(super) trait P384 {
    /// Whether `signature` is that of `message` under `key`, an uncompressed point.
    fn verify(key: &[u8; 97], message: &[u8], signature: Signature<'_>) -> bool;
}

#[cfg(feature = "native")]
#[derive(Debug)]
pub(super) struct Native;

#[cfg(feature = "native")]
impl P384 for Native {
    fn verify(key: &[u8; 97], message: &[u8], signature: Signature<'_>) -> bool {
        use aws_lc_rs::signature::{
            ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey,
        };
        let (algorithm, bytes): (&'static dyn aws_lc_rs::signature::VerificationAlgorithm, _) =
            match signature {
                Signature::Fixed(bytes) => (&ECDSA_P384_SHA384_FIXED, bytes.as_slice()),
                Signature::Der(bytes) => (&ECDSA_P384_SHA384_ASN1, bytes),
            };
        UnparsedPublicKey::new(algorithm, key).verify(message, bytes).is_ok()
    }
}

#[cfg(feature = "portable")]
#[derive(Debug)]
pub(super) struct Portable;

#[cfg(feature = "portable")]
impl P384 for Portable {
    fn verify(key: &[u8; 97], message: &[u8], signature: Signature<'_>) -> bool {
        use p384::ecdsa::signature::Verifier;
        use p384::ecdsa::{Signature as Ecdsa, VerifyingKey};
        let parsed = match signature {
            Signature::Fixed(bytes) => Ecdsa::from_slice(bytes),
            Signature::Der(bytes) => Ecdsa::from_der(bytes),
        };
        let Ok(key) = VerifyingKey::from_sec1_bytes(key) else { return false };
        parsed.is_ok_and(|signature| key.verify(message, &signature).is_ok())
    }
}

#[cfg(feature = "native")]
pub(super) type Default = Native;
#[cfg(all(feature = "portable", not(feature = "native")))]
pub(super) type Default = Portable;
#[cfg(not(any(feature = "native", feature = "portable")))]
compile_error!("choose an implementation of P-384: feature `native` or `portable`");
