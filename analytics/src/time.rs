//! Times, significant to the microsecond.
//!
//! Text is RFC 3339 in one form only: UTC with `Z`, upper-case letters, up to
//! six fraction digits. Printing drops trailing zeros of the fraction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A text that is not a time in the one accepted form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time in UTC with `Z` and at most six fraction digits")]
pub struct TimeError;

impl Timestamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `None` where the microseconds do not fit.
    pub fn from_millis(millis: u64) -> Option<Self> {
        i64::try_from(millis).ok()?.checked_mul(1_000).map(Self)
    }

    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Microseconds from `earlier` to `self`; saturates.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub(crate) const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(SECOND)))
    }

    #[must_use]
    pub(crate) const fn minus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_sub(seconds.saturating_mul(SECOND)))
    }

    /// The last moment, at or before `self`, that is a whole multiple of
    /// `unit` microseconds since the epoch.
    const fn floor_to(self, unit: i64) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(unit)))
    }

    pub(crate) const fn hour_start(self) -> Self {
        self.floor_to(3_600 * SECOND)
    }

    /// The UTC day it lies in.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(DAY))
    }

    pub(crate) const fn day_start(self) -> Self {
        self.floor_to(DAY)
    }

    pub(crate) const fn next_day(self) -> Self {
        Self(self.day_start().0.saturating_add(DAY))
    }

    /// Monday 00:00 of the ISO week. Day 0 of the epoch was a Thursday.
    pub(crate) const fn week_start(self) -> Self {
        let day = self.0.div_euclid(DAY);
        Self(day.saturating_sub((day + 3).rem_euclid(7)).saturating_mul(DAY))
    }

    /// The midnight that its calendar month begins with.
    #[must_use]
    pub const fn month_start(self) -> Self {
        let (year, month, _) = civil_from_days(self.0.div_euclid(DAY));
        Self(days_from_civil(year, month, 1).saturating_mul(DAY))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = self.0.rem_euclid(DAY);
        let seconds = within / SECOND;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}", self.day())?;
        let fraction = within % SECOND;
        if fraction != 0 {
            let digits = format!("{fraction:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        parse(text.as_bytes()).ok_or(TimeError)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::text::FromText::new("an RFC 3339 time"))
    }
}

/// A UTC day, written `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i64);

impl Day {
    /// The first one there is: that of the Unix epoch.
    pub const MIN: Self = Self(0);
    pub(crate) const MICROS: i64 = DAY;

    /// A day of the Gregorian calendar; `None` if there is none such.
    pub fn of(year: i64, month: i64, day: i64) -> Option<Self> {
        let known = (1970..2200).contains(&year) && (1..=12).contains(&month) && day >= 1;
        let days = known.then(|| days_from_civil(year, month, day))?;
        (civil_from_days(days) == (year, month, day)).then_some(Self(days))
    }

    /// Its midnight.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(DAY))
    }

    #[must_use]
    pub(crate) const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Every day from `self` to `last`, both among them.
    pub(crate) fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (head, fraction) = text.split_at_checked(19)?;
    for (at, wanted) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if head.get(at) != Some(&wanted) {
            return None;
        }
    }
    let field = |from: usize, to: usize| digits(head.get(from..to)?);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    let micros = match fraction {
        b"Z" => 0,
        [b'.', places @ .., b'Z'] if (1..=6).contains(&places.len()) => {
            let missing = u32::try_from(6 - places.len()).ok()?;
            digits(places)? * 10_i64.pow(missing)
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp(seconds * SECOND + micros))
}

/// A run of at most six ASCII digits.
fn digits(text: &[u8]) -> Option<i64> {
    text.iter()
        .try_fold(0_i64, |sum, &c| c.is_ascii_digit().then(|| sum * 10 + i64::from(c - b'0')))
}

/// Days since the epoch of a proleptic Gregorian date; the year starts in
/// March, so that the leap day is the last one.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Weekday;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_one_form_is_a_time() {
        for good in
            ["2026-02-03T06:00:00Z", "2026-02-25T00:40:00.25Z", "2024-02-29T23:59:59.999999Z"]
        {
            assert_eq!(good.parse::<Timestamp>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "2026-02-03",
            "2026-02-03T06:00:00",
            "2026-02-03T06:00:00+00:00",
            "2026-02-03t06:00:00Z",
            "2026-02-03T06:00:00z",
            "2026-02-03 06:00:00Z",
            "2026-02-03T06:00:00.Z",
            "2026-02-03T06:00:00.1234567Z",
            "2026-02-30T06:00:00Z",
            "2025-02-29T06:00:00Z",
            "2026-13-03T06:00:00Z",
            "2026-00-03T06:00:00Z",
            "2026-02-00T06:00:00Z",
            "2026-02-03T24:00:00Z",
            "2026-02-03T06:60:00Z",
            "2026-02-03T06:00:60Z",
            "+026-02-03T06:00:00Z",
            "2026-02-03T06:00:00.-1Z",
            "2026-02-03T06:00:00Zé",
            "éééééééééééé",
        ] {
            assert_eq!(bad.parse::<Timestamp>(), Err(TimeError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn calendar_agrees_with_another_implementation(micros in 0_i64..7_258_118_400_000_000) {
            let ours = Timestamp::from_micros(micros);
            let theirs = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(ours.to_string().parse::<Timestamp>(), Ok(ours));
            prop_assert_eq!(ours.to_string().parse::<jiff::Timestamp>().unwrap(), theirs);
            let civil = jiff::tz::TimeZone::UTC.to_datetime(theirs);
            let day = civil.date();
            let at = |date: jiff::civil::Date| {
                let midnight = date.at(0, 0, 0, 0);
                let instant = jiff::tz::TimeZone::UTC.to_timestamp(midnight).unwrap();
                Timestamp::from_micros(instant.as_microsecond())
            };
            prop_assert_eq!(ours.day_start(), at(day));
            prop_assert_eq!(ours.month_start(), at(day.first_of_month()));
            let monday = if day.weekday() == Weekday::Monday {
                day
            } else {
                day.nth_weekday(-1, Weekday::Monday).unwrap()
            };
            prop_assert_eq!(ours.week_start(), at(monday));
        }
    }
}
