//! Instants as the wire has them: milliseconds since the Unix epoch in messages, RFC 3339 UTC in
//! the signed report. Nothing here reads a clock.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, without leap seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The last instant that has a text: 26 hours before the end of the year 9999, so that it
    /// has a four-digit year in every time zone.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// From whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// This instant and `wait` later, whole milliseconds.
    #[must_use]
    pub fn saturating_add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Distance between two instants in milliseconds, whichever is first.
    pub const fn distance_ms(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// The one RFC 3339 text: UTC with `Z`, no fraction for whole seconds, else three digits.
    /// `None` past [`MAX`](Self::MAX).
    pub fn to_rfc3339(self) -> Option<String> {
        if self > Self::MAX {
            return None;
        }
        let at = jiff::Timestamp::from_millisecond(i64::try_from(self.0).ok()?).ok()?;
        Some(if self.0.is_multiple_of(1000) { format!("{at:.0}") } else { format!("{at:.3}") })
    }

    /// Reads what [`to_rfc3339`](Self::to_rfc3339) writes, and no other text.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        let millis = Self(u64::try_from(at.as_millisecond()).ok()?);
        (millis.to_rfc3339()? == text).then_some(millis)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_rfc3339() {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// `#[serde(with = "protocol::time::rfc3339")]` for a [`UnixMillis`] in a report.
pub mod rfc3339 {
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserializer, Serializer};

    use super::UnixMillis;
    use crate::json;

    /// Writes the one text of the instant.
    pub fn serialize<S: Serializer>(at: &UnixMillis, to: S) -> Result<S::Ok, S::Error> {
        let text = at.to_rfc3339().ok_or_else(|| S::Error::custom("instant out of range"))?;
        to.serialize_str(&text)
    }

    /// Reads the one text of an instant.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<UnixMillis, D::Error> {
        json::visit_text(from, "an RFC 3339 instant in UTC", UnixMillis::from_rfc3339)
            .map_err(D::Error::custom)
    }
}

/// `#[serde(with = "protocol::time::rfc3339_option")]` for an `Option<UnixMillis>` in a report.
pub mod rfc3339_option {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::UnixMillis;

    #[derive(Deserialize)]
    struct Wrapped(#[serde(with = "super::rfc3339")] UnixMillis);

    /// Writes the one text of the instant, or null.
    pub fn serialize<S: Serializer>(at: &Option<UnixMillis>, to: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => super::rfc3339::serialize(at, to),
            None => to.serialize_none(),
        }
    }

    /// Reads the one text of an instant, or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<UnixMillis>, D::Error> {
        Ok(Option::<Wrapped>::deserialize(from)?.map(|Wrapped(at)| at))
    }
}

#[cfg(test)]
mod tests {
    use super::UnixMillis;

    #[test]
    fn an_instant_has_one_text() {
        let second = UnixMillis(1_768_464_000_000);
        assert_eq!(second.to_rfc3339().unwrap(), "2026-01-15T08:00:00Z");
        assert_eq!(UnixMillis::from_rfc3339("2026-01-15T08:00:00Z"), Some(second));
        let half = UnixMillis(1_768_464_000_500);
        assert_eq!(half.to_rfc3339().unwrap(), "2026-01-15T08:00:00.500Z");
        assert_eq!(UnixMillis::from_rfc3339("2026-01-15T08:00:00.500Z"), Some(half));
    }

    #[test]
    fn other_texts_of_the_same_instant_are_refused() {
        for text in [
            "2026-01-15T08:00:00.000Z",
            "2026-01-15T08:00:00.5Z",
            "2026-01-15t08:00:00Z",
            "2026-01-15 08:00:00Z",
            "2026-01-15T08:00:00z",
            "2026-01-15T08:00:00+00:00",
            "2026-01-15T09:00:00+01:00",
            "2026-01-15T08:00:00",
            "2026-01-15T08:00Z",
            "1969-12-31T23:59:59Z",
            "+010000-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(UnixMillis::from_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_instant_is_at_the_end_of_the_year_9999() {
        assert_eq!(UnixMillis::MAX.to_rfc3339().unwrap(), "9999-12-30T22:00:00Z");
        assert_eq!(UnixMillis(UnixMillis::MAX.0 + 1).to_rfc3339(), None);
        assert_eq!(UnixMillis(u64::MAX).to_rfc3339(), None);
    }

    #[test]
    fn the_epoch_can_be_written() {
        assert_eq!(UnixMillis(0).to_rfc3339().unwrap(), "1970-01-01T00:00:00Z");
    }
}
