//! The closed list that HTTP replies, metrics, alerts and exit codes share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong, by who must act. `docs/errors.md` has a row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// The caller can repair the request.
    Invalid,
    /// The session, its key or the time of the request is not accepted.
    Unauthorized,
    /// Understood and not allowed: a key that may trade, an exchange that refused a key.
    Refused,
    /// Sealed to a key that this enclave does not hold: attest again, seal again.
    WrongKey,
    /// This envelope was used before.
    Replayed,
    /// There is no such thing here.
    NotFound,
    /// Wait, then the same request may pass.
    Throttled,
    /// Something this depends on is down.
    Unavailable,
    /// A signature, tag or measurement did not verify. Never retried.
    Integrity,
    /// A bug of ours. Logged, told to nobody.
    Internal,
}

impl Category {
    /// Every category, in the order of `docs/errors.md`.
    pub const ALL: [Self; 10] = [
        Self::Invalid,
        Self::Unauthorized,
        Self::Refused,
        Self::WrongKey,
        Self::Replayed,
        Self::NotFound,
        Self::Throttled,
        Self::Unavailable,
        Self::Integrity,
        Self::Internal,
    ];

    /// The stable word on the wire and in metric labels.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::WrongKey => "wrong_key",
            Self::Replayed => "replayed",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::Unavailable => "unavailable",
            Self::Integrity => "integrity",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
