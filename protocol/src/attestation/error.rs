//! Why a document is refused: one variant a rule, numbered as in `docs/verify.md`.

use crate::category::Category;

/// A refused document. Carries no byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Step 1.
    #[error("the input is not one CBOR item of acceptable size")]
    NotOneItem,
    /// Step 2.
    #[error("the document has a tag other than 18, or two")]
    Tag,
    /// Step 3.
    #[error("the document is not an array of four")]
    NotFour,
    /// Step 4.
    #[error("the protected header is not exactly ES384")]
    ProtectedHeader,
    /// Step 5.
    #[error("the unprotected header is not an empty map")]
    UnprotectedHeader,
    /// Step 6.
    #[error("the payload is not a byte string of 1 to 16384 bytes")]
    Payload,
    /// Step 7.
    #[error("the signature is not a pair of 48-byte integers in range")]
    SignatureForm,
    /// Step 8.
    #[error("the signature over the document does not verify")]
    Signature,
    /// Step 9.
    #[error("the envelope uses indefinite lengths or heads longer than needed")]
    EnvelopeForm,
    /// Step 10.
    #[error("the payload is not one strictly encoded map")]
    PayloadForm,
    /// Step 11.
    #[error("a field of the payload is unknown, repeated or missing")]
    Fields,
    /// Step 12.
    #[error("a mandatory field is null")]
    Null,
    /// Step 13.
    #[error("module_id is not a text, or empty")]
    ModuleId,
    /// Step 14.
    #[error("digest is not SHA384")]
    Digest,
    /// Step 15.
    #[error("timestamp is not a positive integer")]
    Timestamp,
    /// Step 16.
    #[error("pcrs is not a map of 1 to 32 registers of 48 bytes")]
    Pcrs,
    /// Step 17.
    #[error("certificate is not a byte string of 1 to 1024 bytes")]
    Certificate,
    /// Step 18.
    #[error("cabundle is not a list of byte strings of 1 to 1024 bytes")]
    CaBundle,
    /// Step 19.
    #[error("public_key is not a byte string of at most 1024 bytes")]
    PublicKey,
    /// Step 20.
    #[error("user_data or nonce is not a byte string of at most 1024 bytes")]
    UserDataOrNonce,
    /// Step 21.
    #[error("this is a NitroTPM document, not an enclave's")]
    NitroTpm,
    /// Step 22.
    #[error("the chain does not begin at the pinned root")]
    Root,
    /// Step 23.
    #[error("the chain repeats a certificate or is out of order")]
    ChainOrder,
    /// Step 24.
    #[error("a certificate is malformed, of another algorithm, or not signed by the one before it")]
    CertificateForm,
    /// Step 25.
    #[error("a certificate is not valid at this time")]
    Validity,
    /// Step 26.
    #[error("a certificate's basic constraints forbid its place in the chain")]
    BasicConstraints,
    /// Step 27.
    #[error("a certificate's key usage forbids its place in the chain")]
    KeyUsage,
    /// Step 28.
    #[error("a certificate has an unknown critical extension, or one twice")]
    CriticalExtension,
    /// Step 30.
    #[error("PCR{index} is not the expected one")]
    Pcr {
        /// Which register.
        index: u8,
    },
    /// Step 31.
    #[error("the enclave runs in debug mode, or zeros were expected")]
    Debug,
    /// Step 32.
    #[error("the nonce is missing or not the one that was sent")]
    Nonce,
    /// Step 33.
    #[error("{0} in the document is not the expected one")]
    Binding(&'static str),
    /// Step 34.
    #[error("the document is from the future or too old")]
    Age,
    /// Step 35.
    #[error("the chain is longer than is verified")]
    TooMuchWork,
}

impl AttestationError {
    /// The number of the broken rule, 1 to 35.
    pub const fn step(self) -> u8 {
        match self {
            Self::NotOneItem => 1,
            Self::Tag => 2,
            Self::NotFour => 3,
            Self::ProtectedHeader => 4,
            Self::UnprotectedHeader => 5,
            Self::Payload => 6,
            Self::SignatureForm => 7,
            Self::Signature => 8,
            Self::EnvelopeForm => 9,
            Self::PayloadForm => 10,
            Self::Fields => 11,
            Self::Null => 12,
            Self::ModuleId => 13,
            Self::Digest => 14,
            Self::Timestamp => 15,
            Self::Pcrs => 16,
            Self::Certificate => 17,
            Self::CaBundle => 18,
            Self::PublicKey => 19,
            Self::UserDataOrNonce => 20,
            Self::NitroTpm => 21,
            Self::Root => 22,
            Self::ChainOrder => 23,
            Self::CertificateForm => 24,
            Self::Validity => 25,
            Self::BasicConstraints => 26,
            Self::KeyUsage => 27,
            Self::CriticalExtension => 28,
            Self::Pcr { .. } => 30,
            Self::Debug => 31,
            Self::Nonce => 32,
            Self::Binding(_) => 33,
            Self::Age => 34,
            Self::TooMuchWork => 35,
        }
    }

    /// Who must act: nobody retries a document that did not verify.
    pub const fn category(self) -> Category {
        Category::Integrity
    }
}
