//! `user_data` of our documents: what the enclave has the security module vouch for.
//!
//! ```text
//! {"v": 1, "purpose": "session" | "report" | "kms", "ed25519": bstr 32,
//!  "tls_spki_sha256": bstr 32, "deployment_sha256": bstr 32,
//!  "post_quantum_sha256": bstr 32 | null, "log": null | {"size": uint, "root": bstr 32}}
//! ```
//!
//! CBOR (RFC 8949), a definite map with its keys in exactly this order and every head in its
//! shortest form: one encoding, at most [`USER_DATA_LEN_MAX`] bytes.

use minicbor::{Decoder, Encoder};

use crate::limits::USER_DATA_LEN_MAX;

/// What a document was made for. A route can ask for one purpose only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// For a customer who is about to seal credentials.
    Session,
    /// For one signed report.
    Report,
    /// For the key management service.
    Kms,
}

impl Purpose {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Report => "report",
            Self::Kms => "kms",
        }
    }
}

/// The head of the audit log at the time of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogHead {
    /// Leaves.
    pub size: u64,
    /// RFC 6962 tree hash.
    pub root: [u8; 32],
}

/// What is vouched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserData {
    /// What the document was made for.
    pub purpose: Purpose,
    /// The key that signs reports.
    pub ed25519: [u8; 32],
    /// SHA-256 of the TLS key's SPKI.
    pub tls_spki_sha256: [u8; 32],
    /// SHA-256 of the deployment configuration.
    pub deployment_sha256: [u8; 32],
    /// SHA-256 of the post-quantum key, where there is one.
    pub post_quantum_sha256: Option<[u8; 32]>,
    /// The audit log, where there is one.
    pub log: Option<LogHead>,
}

/// Not the one encoding of our `user_data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user_data is malformed")]
pub struct UserDataError;

impl UserData {
    /// Reads the bytes in a document.
    ///
    /// # Errors
    /// If they are not the one encoding of what they say.
    pub fn read(bytes: &[u8]) -> Result<Self, UserDataError> {
        if bytes.len() > USER_DATA_LEN_MAX {
            return Err(UserDataError);
        }
        let read = decode(bytes).ok_or(UserDataError)?;
        if read.encode() == bytes { Ok(read) } else { Err(UserDataError) }
    }

    /// The one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut Encoder::new(&mut bytes)).expect("a vector takes every byte");
        bytes
    }

    fn write(
        &self,
        to: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        to.map(7)?.str("v")?.u8(1)?.str("purpose")?.str(self.purpose.name())?;
        to.str("ed25519")?.bytes(&self.ed25519)?;
        to.str("tls_spki_sha256")?.bytes(&self.tls_spki_sha256)?;
        to.str("deployment_sha256")?.bytes(&self.deployment_sha256)?;
        to.str("post_quantum_sha256")?;
        match &self.post_quantum_sha256 {
            Some(hash) => to.bytes(hash)?,
            None => to.null()?,
        };
        to.str("log")?;
        match &self.log {
            Some(log) => to.map(2)?.str("size")?.u64(log.size)?.str("root")?.bytes(&log.root)?,
            None => to.null()?,
        };
        Ok(())
    }
}

/// Reads in order; that it is the one encoding is the caller's to check.
fn decode(bytes: &[u8]) -> Option<UserData> {
    let mut from = Decoder::new(bytes);
    (from.map().ok()? == Some(7)).then_some(())?;
    key(&mut from, "v")?;
    (from.u8().ok()? == 1).then_some(())?;
    key(&mut from, "purpose")?;
    let name = from.str().ok()?;
    let purpose = [Purpose::Session, Purpose::Report, Purpose::Kms]
        .into_iter()
        .find(|purpose| purpose.name() == name)?;
    key(&mut from, "ed25519")?;
    let ed25519 = hash(&mut from)?;
    key(&mut from, "tls_spki_sha256")?;
    let tls_spki_sha256 = hash(&mut from)?;
    key(&mut from, "deployment_sha256")?;
    let deployment_sha256 = hash(&mut from)?;
    key(&mut from, "post_quantum_sha256")?;
    let post_quantum_sha256 = if is_null(&mut from) { None } else { Some(hash(&mut from)?) };
    key(&mut from, "log")?;
    let log = if is_null(&mut from) { None } else { Some(log_head(&mut from)?) };
    Some(UserData {
        purpose,
        ed25519,
        tls_spki_sha256,
        deployment_sha256,
        post_quantum_sha256,
        log,
    })
}

fn log_head(from: &mut Decoder<'_>) -> Option<LogHead> {
    (from.map().ok()? == Some(2)).then_some(())?;
    key(from, "size")?;
    let size = from.u64().ok()?;
    key(from, "root")?;
    Some(LogHead { size, root: hash(from)? })
}

/// Takes a null if there is one. (`Decoder::null` eats whatever it refuses.)
fn is_null(from: &mut Decoder<'_>) -> bool {
    matches!(from.datatype(), Ok(minicbor::data::Type::Null)) && from.null().is_ok()
}

fn key(from: &mut Decoder<'_>, name: &str) -> Option<()> {
    (from.str().ok()? == name).then_some(())
}

fn hash(from: &mut Decoder<'_>) -> Option<[u8; 32]> {
    from.bytes().ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> UserData {
        UserData {
            purpose: Purpose::Session,
            ed25519: [1; 32],
            tls_spki_sha256: [2; 32],
            deployment_sha256: [3; 32],
            post_quantum_sha256: Some([4; 32]),
            log: Some(LogHead { size: u64::MAX, root: [5; 32] }),
        }
    }

    #[test]
    fn every_field_filled_fits_what_the_device_takes() {
        let bytes = full().encode();
        assert!(bytes.len() <= USER_DATA_LEN_MAX && USER_DATA_LEN_MAX <= 512, "{}", bytes.len());
        assert_eq!(UserData::read(&bytes), Ok(full()));
        let bare = UserData { post_quantum_sha256: None, log: None, ..full() };
        assert_eq!(UserData::read(&bare.encode()), Ok(bare));
    }

    #[test]
    fn every_other_encoding_is_refused() {
        let bytes = full().encode();
        for cut in 0..bytes.len() {
            assert_eq!(UserData::read(&bytes[..cut]), Err(UserDataError));
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(UserData::read(&longer), Err(UserDataError));
        // `"v": 1` with the one in two bytes
        let at = bytes.windows(3).position(|window| window == b"\x61v\x01").unwrap() + 2;
        let mut wide = bytes.clone();
        wide.splice(at..=at, [0x18, 0x01]);
        assert_eq!(UserData::read(&wide), Err(UserDataError));
        // an indefinite map
        let mut indefinite = bytes;
        indefinite[0] = 0xbf;
        indefinite.push(0xff);
        assert_eq!(UserData::read(&indefinite), Err(UserDataError));
    }
}
