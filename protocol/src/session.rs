//! The messages of a session: what opens it, and what the enclave answers.
//!
//! All are JSON objects with closed schemas; every text and list is bounded by [`crate::limits`].
//! The opening body is in [`OpenSession`], whose secrets stay in [`SecretBytes`] and whose
//! signature is checked before anything else may happen ([`VerifiedOpen`]).
//!
//! [`SecretBytes`]: crate::secret::SecretBytes

mod open;
mod status;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

use crate::encoding::{EncodingError, b64_array, from_base64_array, to_base64};
use crate::limits::{TTL_SECS_MAX, TTL_SECS_MIN};

pub(crate) use open::is_asset;
pub use open::{AccountRequest, Credentials, OpenError, OpenSession, VerifiedOpen};
pub(crate) use status::is_text;
pub use status::{
    AccountStatus, End, Ended, ErrorBody, ErrorDetail, Identity, IdentityKind, MessageError,
    OpenedAccount, OpenedSession, Permission, SessionState, SessionStatus,
};

/// A session's identifier: 256 random bits, told only inside a sealed reply.
///
/// It identifies and authorises nothing. `Debug` hides it, there is no `Display`, and equality
/// takes constant time.
#[derive(Clone)]
pub struct SessionId([u8; 32]);

impl SessionId {
    /// Makes an identifier of 32 random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the base64 of a header or a session file.
    ///
    /// # Errors
    /// If the text is not canonical base64 of 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, EncodingError> {
        from_base64_array(text).map(Self)
    }

    /// Writes the base64 of a header or a session file.
    pub fn to_base64(&self) -> String {
        to_base64(&self.0)
    }

    /// Borrows the bytes.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for SessionId {}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        b64_array::serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        b64_array::deserialize(from).map(Self)
    }
}

/// A session's time to live, known to be from five minutes to seven days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(u64);

impl Ttl {
    /// Five minutes.
    pub const MIN: Self = Self(TTL_SECS_MIN);
    /// Seven days.
    pub const MAX: Self = Self(TTL_SECS_MAX);

    /// `None` unless `secs` is within the bounds.
    pub fn from_secs(secs: u64) -> Option<Self> {
        (TTL_SECS_MIN..=TTL_SECS_MAX).contains(&secs).then_some(Self(secs))
    }

    /// As whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl Serialize for Ttl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::from_secs(u64::deserialize(from)?)
            .ok_or_else(|| serde::de::Error::custom("time to live is out of range"))
    }
}

#[cfg(test)]
mod tests {
    use super::{SessionId, Ttl};

    static_assertions::assert_not_impl_any!(SessionId: std::fmt::Display, Copy);

    #[test]
    fn debug_of_a_session_id_shows_nothing() {
        assert_eq!(format!("{:?}", SessionId::from_bytes([0xab; 32])), "SessionId(..)");
    }

    #[test]
    fn time_to_live_is_five_minutes_to_seven_days() {
        assert_eq!(Ttl::from_secs(299), None);
        assert_eq!(Ttl::from_secs(300), Some(Ttl::MIN));
        assert_eq!(Ttl::from_secs(604_800), Some(Ttl::MAX));
        assert_eq!(Ttl::from_secs(604_801), None);
    }
}
