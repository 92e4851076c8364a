//! Candles: what was traded in each interval.

use jiff::ToSpan;
use jiff::civil::Time as TimeOfDay;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::number::padded;
use crate::scenario::Stamp;
use crate::world::{PriceTick, PriceTrack};

use super::market::PLACES;
use super::refusal::Refusal;
use super::{Answer, Call, json};

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Seconds(i64),
    /// From Monday, midnight.
    Week,
    Month,
}

impl Interval {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1s" => Self::Seconds(1),
            "1m" => Self::Seconds(60),
            "3m" => Self::Seconds(180),
            "5m" => Self::Seconds(300),
            "15m" => Self::Seconds(900),
            "30m" => Self::Seconds(1800),
            "1h" => Self::Seconds(3600),
            "2h" => Self::Seconds(7200),
            "4h" => Self::Seconds(14_400),
            "6h" => Self::Seconds(21_600),
            "8h" => Self::Seconds(28_800),
            "12h" => Self::Seconds(43_200),
            "1d" => Self::Seconds(86_400),
            "3d" => Self::Seconds(259_200),
            "1w" => Self::Week,
            "1M" => Self::Month,
            _ => return None,
        })
    }

    /// The start of the candle that holds `at`.
    fn floor(self, at: Stamp) -> Stamp {
        match self {
            Self::Seconds(secs) => at.plus_micros(-at.micros().rem_euclid(secs * 1_000_000)),
            Self::Week => {
                // The epoch was a Thursday, three days after a Monday.
                let week = 7 * 86_400 * 1_000_000;
                let since_monday = at.micros() + 3 * 86_400 * 1_000_000;
                at.plus_micros(-since_monday.rem_euclid(week))
            }
            Self::Month => {
                let first = at.civil().date().first_of_month();
                Stamp::from_civil(first.to_datetime(TimeOfDay::midnight()))
            }
        }
    }

    /// The start of the next candle.
    fn next(self, open: Stamp) -> Stamp {
        match self {
            Self::Seconds(secs) => open.plus_micros(secs * 1_000_000),
            Self::Week => open.plus_micros(7 * 86_400 * 1_000_000),
            Self::Month => {
                let next = open.civil().date().checked_add(1.month());
                next.map_or(Stamp::from_micros(i64::MAX), |date| {
                    Stamp::from_civil(date.to_datetime(TimeOfDay::midnight()))
                })
            }
        }
    }
}

/// `[open time, open, high, low, close, volume, close time, quote volume, trades, taker buy
/// volume, taker buy quote volume, "0"]`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Candle(
    u64,
    String,
    String,
    String,
    String,
    String,
    u64,
    String,
    usize,
    String,
    String,
    &'static str,
);

/// The candles a request asks for, of which there are at most `limit_max`.
pub(super) fn answer(call: &Call<'_>, track: &PriceTrack, limit_max: usize) -> Answer {
    let interval =
        Interval::parse(call.params.mandatory("interval")?).ok_or_else(Refusal::interval)?;
    if call.params.get("timeZone").is_some_and(|zone| zone != "0") {
        return Err(Refusal::invalid("timeZone"));
    }
    let limit = call.params.limit("limit", 500, limit_max)?;
    let instant = |name| -> Result<Option<Stamp>, Refusal> {
        let millis = call.params.number(name)?;
        let micros = millis.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000));
        Ok(micros.map(Stamp::from_micros))
    };
    let (start, end) = (instant("startTime")?, instant("endTime")?);
    json(&candles(&track.until(call.now()), interval, start, end, call.now(), limit))
}

/// Candles whose open time is from `start` to `end`: the oldest ones if there is a `start`, else
/// the newest ones. Where nothing traded a candle repeats the last close.
fn candles(
    ticks: &[&PriceTick],
    interval: Interval,
    start: Option<Stamp>,
    end: Option<Stamp>,
    now: Stamp,
    limit: usize,
) -> Vec<Candle> {
    let Some(first) = ticks.first() else { return Vec::new() };
    let oldest = interval.floor(first.at);
    let last = interval.floor(end.map_or(now, |end| end.min(now)));
    let mut open = match start {
        Some(start) if start > oldest => {
            let floor = interval.floor(start);
            if floor == start { start } else { interval.next(floor) }
        }
        Some(_) => oldest,
        None => back(interval, last, limit, oldest),
    };
    let mut row = Vec::new();
    while open <= last && row.len() < limit {
        let close = interval.next(open);
        let from = ticks.partition_point(|tick| tick.at < open);
        let to = ticks.partition_point(|tick| tick.at < close);
        let traded = ticks.get(from..to).unwrap_or_default();
        let before = from.checked_sub(1).and_then(|index| ticks.get(index)).copied();
        if let Some(candle) = candle(open, close, traded, before) {
            row.push(candle);
        }
        open = close;
    }
    row
}

/// The open time `limit - 1` candles before `last`, but not before `oldest`.
fn back(interval: Interval, last: Stamp, limit: usize, oldest: Stamp) -> Stamp {
    let mut open = last;
    for _ in 1..limit {
        if open <= oldest {
            break;
        }
        open = interval.floor(open.plus_micros(-1));
    }
    open.max(oldest)
}

fn candle(
    open: Stamp,
    close: Stamp,
    traded: &[&PriceTick],
    before: Option<&PriceTick>,
) -> Option<Candle> {
    let first = traded.first().copied().or(before)?;
    let last = traded.last().copied().or(before)?;
    let high = traded.iter().max_by_key(|tick| tick.value).copied().unwrap_or(last);
    let low = traded.iter().min_by_key(|tick| tick.value).copied().unwrap_or(last);
    let volume = padded(Decimal::from(traded.len()), PLACES);
    let quote: Decimal = traded.iter().map(|tick| tick.value).sum();
    let price = |tick: &PriceTick| tick.price.padded(PLACES);
    Some(Candle(
        open.millis(),
        price(first),
        price(high),
        price(low),
        price(last),
        volume,
        close.millis() - 1,
        padded(quote, PLACES),
        traded.len(),
        padded(Decimal::ZERO, PLACES),
        padded(Decimal::ZERO, PLACES),
        "0",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Stamp {
        Stamp::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn candles_start_where_the_venue_starts_them() {
        for (interval, open, next) in [
            ("5m", "2026-02-04T13:45:00Z", "2026-02-04T13:50:00Z"),
            ("4h", "2026-02-04T12:00:00Z", "2026-02-04T16:00:00Z"),
            ("1d", "2026-02-04T00:00:00Z", "2026-02-05T00:00:00Z"),
            ("1w", "2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z"),
            ("1M", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            let parsed = Interval::parse(interval).unwrap();
            let floor = parsed.floor(at("2026-02-04T13:47:11.5Z"));
            assert_eq!(floor, at(open), "{interval}");
            assert_eq!(parsed.next(floor), at(next), "{interval}");
            assert_eq!(parsed.floor(floor), floor, "{interval}");
        }
        assert_eq!(Interval::parse("7m"), None);
    }
}
