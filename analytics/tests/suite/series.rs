//! The series agrees with the result, on every scenario.

use analytics::decimal::Ratio;
use analytics::{Config, DigestKey, Engine, Event, Series};
use rust_decimal::Decimal;
use serde_json::json;

use crate::cases::{files, read};

#[test]
fn the_series_is_what_the_result_says_day_by_day() {
    for path in files() {
        let (case, _) = read(&path);
        let as_of = case.config.as_of.unwrap();
        let engine = case.engine().unwrap();
        let (result, series) = engine.report(as_of).unwrap();

        let deepest = series.days.iter().filter_map(|day| day.drawdown).max();
        assert_eq!(deepest, result.risk.max_drawdown, "{}", case.id);
        let last = series.days.iter().rev().find_map(|day| day.index);
        let twr = last.map(|index| index.get() - Decimal::ONE);
        assert_eq!(twr, result.returns.twr.map(Ratio::get).or(twr), "{}", case.id);
        let expected: u64 = series.days.iter().map(|day| day.expected_ticks).sum();
        let complete: u64 = series.days.iter().map(|day| day.complete_ticks).sum();
        assert_eq!(expected, result.quality.expected_ticks, "{}", case.id);
        assert_eq!(complete, result.quality.complete_ticks, "{}", case.id);
        assert_eq!(series.days.first().unwrap().day, case.config.session_start.day());
        assert_eq!(series.days.last().unwrap().day, as_of.day());
    }
}

fn series(as_of: &str) -> Series {
    let config = Config::new("USD".parse().unwrap(), "2026-01-01T23:50:00Z".parse().unwrap());
    let mut engine = Engine::new(config, DigestKey::PUBLIC).unwrap();
    for (t, free) in [
        ("2026-01-01T23:50:00Z", "100"),
        ("2026-01-01T23:55:00Z", "80"),
        ("2026-01-02T00:00:00Z", "90"),
        ("2026-01-04T00:00:00Z", "110"),
    ] {
        let snapshot = json!({"type": "snapshot", "t": t, "account": "a",
            "balances": [{"asset": "X", "free": "1"}]});
        let price = json!({"type": "price", "t": t, "asset": "X", "quote": "USD", "price": free});
        for event in [price, snapshot] {
            engine.feed(&serde_json::from_value::<Event>(event).unwrap()).unwrap();
        }
    }
    engine.report(as_of.parse().unwrap()).unwrap().1
}

#[test]
fn a_day_without_a_complete_tick_is_a_row_without_an_index() {
    let days = serde_json::to_value(series("2026-01-04T00:04:00Z").days).unwrap();
    let row = |day, index: Option<&str>, drawdown: Option<&str>, expected, complete| {
        json!({"day": day, "index": index, "drawdown": drawdown,
            "expected_ticks": expected, "complete_ticks": complete})
    };
    let (low, deep) = (Some("0.800000000000"), Some("0.200000000000"));
    assert_eq!(
        days,
        json!([
            row("2026-01-01", low, deep, 2, 2),
            row("2026-01-02", Some("0.900000000000"), Some("0.100000000000"), 288, 1),
            row("2026-01-03", None, None, 288, 0),
            row("2026-01-04", Some("1.100000000000"), Some("0.000000000000"), 1, 1),
        ])
    );
}

#[test]
fn the_series_keeps_its_newest_days() {
    let days = series("2199-01-01T00:00:00Z").days;
    assert_eq!(days.len(), analytics::limits::SERIES_DAYS_MAX);
    assert_eq!(days.last().unwrap().day.to_string(), "2199-01-01");
}
