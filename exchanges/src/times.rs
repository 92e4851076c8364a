//! The one reader of times: whatever unit an exchange writes, milliseconds
//! come out, truncated.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use rust_decimal::Decimal;

use crate::{UnixMillis, decimal};

/// Reads a time.
///
/// Numbers are seconds, milliseconds (from 10^11, which is March 1973 in
/// milliseconds and the year 5138 in seconds), microseconds (from 10^14) or
/// nanoseconds (from 10^17), with or without a fraction. Texts are RFC 3339
/// with up to nine digits of fraction and any offset, or
/// `YYYY-MM-DD HH:MM:SS` in UTC. `None` for anything else, for times before
/// 1970 and after the year 9999.
pub fn parse(text: &str) -> Option<UnixMillis> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let millis = if number && !is_date(text) { from_number(text) } else { from_date(text) }?;
    (millis <= MILLIS_MAX).then_some(UnixMillis(millis))
}

/// RFC 3339 in UTC with milliseconds; `None` beyond the year 9999.
pub(crate) fn rfc3339(at: UnixMillis) -> Option<String> {
    if at.0 > MILLIS_MAX {
        return None;
    }
    let timestamp = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    Some(format!("{timestamp:.3}"))
}

/// The last millisecond of the year 9999.
const MILLIS_MAX: u64 = 253_402_300_799_999;

/// `YYYY-MM-DDTHH:MM:SS` and nothing else.
const DATE_TIME_LEN: usize = 19;

/// With nine digits of fraction and an offset: 35.
const DATE_LEN_MAX: usize = 40;

/// All-digit dates have dashes where a number has none.
fn is_date(text: &str) -> bool {
    text.as_bytes().get(4) == Some(&b'-') && text.as_bytes().get(7) == Some(&b'-')
}

fn from_number(text: &str) -> Option<u64> {
    let number = decimal::parse(text)?;
    if number.is_sign_negative() {
        return None;
    }
    let millis = if number >= Decimal::from(NANOS_FROM) {
        number.checked_div(Decimal::from(1_000_000))
    } else if number >= Decimal::from(MICROS_FROM) {
        number.checked_div(Decimal::ONE_THOUSAND)
    } else if number >= Decimal::from(MILLIS_FROM) {
        Some(number)
    } else {
        number.checked_mul(Decimal::ONE_THOUSAND)
    }?;
    u64::try_from(millis.trunc()).ok()
}

const MILLIS_FROM: u64 = 100_000_000_000;
const MICROS_FROM: u64 = 100_000_000_000_000;
const NANOS_FROM: u64 = 100_000_000_000_000_000;

fn from_date(text: &str) -> Option<u64> {
    let shape = is_date(text) && (DATE_TIME_LEN..=DATE_LEN_MAX).contains(&text.len());
    // No brackets: jiff would look for a time zone in them.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-+:. TtZz".contains(&byte));
    if !shape || !plain {
        return None;
    }
    let timestamp: Timestamp = if text.len() == DATE_TIME_LEN {
        Offset::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?
    } else {
        text.parse().ok()?
    };
    u64::try_from(timestamp.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_becomes_milliseconds() {
        for (from, to) in [
            ("0", 0),
            ("1", 1000),
            ("1616336594", 1_616_336_594_000),
            ("1616336594.9999", 1_616_336_594_999),
            ("1.616336594e9", 1_616_336_594_000),
            ("99999999999", 99_999_999_999_000),
            ("100000000000", 100_000_000_000),
            ("1500000000123", 1_500_000_000_123),
            ("99999999999999", 99_999_999_999_999),
            ("100000000000000", 100_000_000_000),
            ("1500000000123999", 1_500_000_000_123),
            ("1500000000123999999", 1_500_000_000_123),
            ("2019-10-12 11:12:02", 1_570_878_722_000),
            ("2019-10-12T11:12:02", 1_570_878_722_000),
            ("2019-10-12T11:12:02Z", 1_570_878_722_000),
            ("2019-10-12T13:12:02+02:00", 1_570_878_722_000),
            ("2019-10-12T11:12:02.123456789Z", 1_570_878_722_123),
            ("2019-10-12T11:12:02.9-00:30", 1_570_880_522_900),
            ("9999-12-30T00:00:00Z", 253_402_128_000_000),
            ("253402300799999", 253_402_300_799),
        ] {
            assert_eq!(parse(from), Some(UnixMillis(to)), "{from}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for from in [
            "",
            "-1",
            "now",
            "2019-10-12",
            "2019-10",
            "2019-13-12 11:12:02",
            "2019-10-12 25:12:02",
            "2019-10-12 11:12:02 garbage",
            "2019-10-12T11:12:02[Europe/Berlin]",
            "2019-10-12T11:12:02+02:00[Europe/Berlin]",
            "1969-12-31T23:59:59Z",
            "1e40",
            "99999999999999999999999999",
        ] {
            assert_eq!(parse(from), None, "{from}");
        }
    }

    proptest! {
        #[test]
        fn milliseconds_stay_as_they_are(millis in MILLIS_FROM..MICROS_FROM) {
            prop_assert_eq!(parse(&millis.to_string()), Some(UnixMillis(millis)));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _read = parse(&text);
        }

        #[test]
        fn no_time_like_text_panics(text in "[-+0-9:.eETZ ]{0,60}") {
            let _read = parse(&text);
        }
    }
}
