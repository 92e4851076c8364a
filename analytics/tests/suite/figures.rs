//! The figures of a run of days, against those worked out from the prices.

use analytics::decimal::Ratio;
use analytics::time::Day;
use analytics::{Config, DigestKey, Engine, Event, Figures, Timestamp};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;

const QUARTER_DAY: i64 = 21_600;

fn at(tick: i64) -> Timestamp {
    let start: Timestamp = "2026-01-30T00:00:00Z".parse().unwrap();
    Timestamp::from_micros(start.as_micros() + tick * QUARTER_DAY * 1_000_000)
}

fn day(number: i64) -> Day {
    at(number * 4).day()
}

/// One coin, valued four times a day; `None` where a poll failed.
fn engine(prices: &[Option<u32>]) -> Engine {
    let mut config = Config::new("USD".parse().unwrap(), at(0));
    config.poll_interval_s = 21_600;
    config.boundary_max_age_s = 21_600;
    let mut engine = Engine::new(config, DigestKey::PUBLIC).unwrap();
    for (tick, price) in (0..).zip(prices) {
        let t = at(tick).to_string();
        let events = [
            json!({"type": "price", "t": t, "asset": "X", "quote": "USD", "price": price.unwrap_or(1).to_string()}),
            json!({"type": "snapshot", "t": t, "account": "a", "complete": price.is_some(),
                "balances": [{"asset": "X", "free": "1"}]}),
        ];
        for event in events {
            engine.feed(&serde_json::from_value::<Event>(event).unwrap()).unwrap();
        }
    }
    engine
}

/// The price at a tick, or the one before if that poll failed.
fn near(prices: &[Option<u32>], tick: usize) -> Option<u32> {
    let before = || tick.checked_sub(1).and_then(|tick| prices.get(tick).copied().flatten());
    prices.get(tick).copied().flatten().or_else(before)
}

fn off(ours: Option<Ratio>, theirs: Decimal) -> Decimal {
    (ours.unwrap().get() - theirs).abs()
}

proptest! {
    #[test]
    fn a_run_of_days_has_the_return_and_the_fall_of_its_prices(
        prices in prop::collection::vec(prop::option::weighted(0.9, 50_u32..150), 9..60),
        from in 0_i64..8,
        length in 1_i64..10,
    ) {
        let until = from + length;
        let engine = engine(&prices);
        let as_of = at(i64::try_from(prices.len()).unwrap() - 1);
        let got = engine.figures(Some((day(from), day(until))), as_of).unwrap();

        let (first, last) = (usize::try_from(from * 4).unwrap(), usize::try_from(until * 4).unwrap());
        let ended = last < prices.len();
        let ends = near(&prices, first).zip(near(&prices, last)).filter(|_| ended);
        prop_assert_eq!(got.is_some(), ends.is_some());
        let (Some(got), Some((start, end))) = (got, ends) else { return Ok(()) };

        let ratio = |a: u32, b: u32| Decimal::from(a) / Decimal::from(b);
        let tiny = Decimal::new(1, 11);
        prop_assert!(off(got.twr, ratio(end, start) - Decimal::ONE) < tiny);
        let (mut peak, mut fall) = (start, Decimal::ZERO);
        for price in prices[first..=last].iter().flatten() {
            peak = peak.max(*price);
            fall = fall.max(Decimal::ONE - ratio(*price, peak));
        }
        prop_assert!(off(got.max_drawdown, fall) < tiny, "{:?} {}", got.max_drawdown, fall);
        let complete = prices[first..last].iter().flatten().count();
        let coverage = Decimal::from(complete) / Decimal::from(length * 4);
        prop_assert!(off(Some(got.coverage), coverage) < tiny);
    }

    #[test]
    fn all_of_it_in_days_is_all_of_it(
        prices in prop::collection::vec((50_u32..150).prop_map(Some), 9..60)
    ) {
        let days = i64::try_from(prices.len() - 1).unwrap() / 4;
        let prices = &prices[..usize::try_from(days * 4 + 1).unwrap()];
        let engine = engine(prices);
        let as_of = at(days * 4);
        let all = engine.figures(None, as_of).unwrap().unwrap();
        let run = engine.figures(Some((day(0), day(days))), as_of).unwrap().unwrap();
        // The last tick belongs to the next day.
        prop_assert_eq!(Figures { coverage: run.coverage, ..all }, run);
    }
}

#[test]
fn a_period_that_has_not_ended_has_no_figures() {
    let engine = engine(&[Some(100); 8]);
    assert_eq!(engine.figures(Some((day(0), day(2))), at(7)).unwrap(), None);
    assert!(engine.figures(Some((day(0), day(2))), at(8)).unwrap().is_some());
    assert!(engine.figures(Some((day(0), day(1))), at(7)).unwrap().is_some());
    assert_eq!(engine.figures(Some((day(-1), day(1))), at(7)).unwrap(), None);
}

#[test]
fn days_are_those_of_the_calendar() {
    assert_eq!(Day::of(2024, 2, 29).unwrap().to_string(), "2024-02-29");
    for (year, month, day) in
        [(2025, 2, 29), (2025, 13, 1), (2025, 0, 1), (2025, 1, 0), (1969, 1, 1), (2200, 1, 1)]
    {
        assert_eq!(Day::of(year, month, day), None);
    }
}
