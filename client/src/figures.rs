//! Figures of a signed report as people read them. Decimals only; what is rounded is rounded here.

use std::str::FromStr;

use protocol::canonical::Json;
use protocol::limits::SERIES_DAYS_MAX;
use protocol::report_payload::{Method, ReportPayload};
use rust_decimal::Decimal;

/// What a missing figure is printed as.
pub const NONE: &str = "\u{2013}";

/// The value at a path of the results, written with dots.
pub fn at<'a>(results: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(results, |at, key| at.get(key))
}

/// The decimal at a path; `None` if it is null or missing.
pub fn decimal(results: &Json, path: &str) -> Option<Decimal> {
    Decimal::from_str(at(results, path)?.as_str()?).ok()
}

/// The count at a path.
pub fn count(results: &Json, path: &str) -> Option<i64> {
    match at(results, path) {
        Some(Json::Integer(count)) => Some(*count),
        _ => None,
    }
}

/// The texts of a list, such as the flags.
pub fn texts<'a>(results: &'a Json, path: &str) -> Vec<&'a str> {
    match at(results, path) {
        Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Why a value is null: the reason of its own key, else that of the nearest section.
pub fn reason<'a>(results: &'a Json, path: &str) -> Option<&'a str> {
    let reasons = results.get("reasons")?;
    prefixes(path).find_map(|key| reasons.get(key)?.as_str())
}

/// The method of a value: that of its own key, else of the nearest section.
pub fn method<'a>(payload: &'a ReportPayload, path: &str) -> Option<&'a Method> {
    prefixes(path).find_map(|key| payload.methods.get(key))
}

/// `a.b.c`, `a.b`, `a`.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |key| key.rsplit_once('.').map(|(section, _)| section))
}

/// A ratio as a percentage of two places.
pub fn percent(ratio: Decimal) -> String {
    let percent = ratio.checked_mul(Decimal::ONE_HUNDRED).unwrap_or(ratio);
    format!("{}\u{a0}%", grouped(percent, 2))
}

/// A ratio as a percentage, with its sign.
pub fn change(ratio: Decimal) -> String {
    let plus = if ratio.is_sign_positive() && !ratio.is_zero() { "+" } else { "" };
    format!("{plus}{}", percent(ratio))
}

/// So many places, thousands apart, a true minus sign.
pub fn grouped(value: Decimal, places: u32) -> String {
    let rounded = value.round_dp(places);
    let text = format!("{:.*}", usize::try_from(places).unwrap_or(0), rounded.abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if rounded.is_sign_negative() && !rounded.is_zero() {
        out.push('\u{2212}');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// All places a quantity has, and blanks as wide as digits up to `places`: points stand in line.
pub fn aligned(value: Decimal, places: u32) -> String {
    let value = value.normalize();
    let mut text = grouped(value, value.scale());
    if value.scale() == 0 && places > 0 {
        text.push('\u{2008}');
    }
    text.extend((value.scale()..places).map(|_| '\u{2007}'));
    text
}

/// A whole number, thousands apart.
pub fn whole(value: i64) -> String {
    grouped(Decimal::from(value), 0)
}

/// Places that amounts of a currency are read with: coins are worth more than cents.
pub fn places(currency: &str) -> u32 {
    match currency {
        "BTC" | "XBT" => 8,
        "ETH" => 6,
        _ => 2,
    }
}

/// Seconds as the largest two units.
pub fn duration(seconds: i64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds.max(0);
    let parts: Vec<String> = units
        .into_iter()
        .filter_map(|(size, unit)| {
            let n = rest / size;
            rest %= size;
            (n > 0).then(|| format!("{n}\u{a0}{unit}"))
        })
        .take(2)
        .collect();
    if parts.is_empty() { "0\u{a0}s".to_owned() } else { parts.join(" ") }
}

/// The index as one line of blocks, of at most `width`; a blank is a stretch without a value.
pub fn sparkline(payload: &ReportPayload, width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let days = &payload.series.days;
    let index = |text: &String| Decimal::from_str(text).ok();
    let last_of_each: Vec<Option<Decimal>> = days
        .chunks(days.len().div_ceil(width.max(1)).max(1))
        .map(|chunk| chunk.iter().rev().find_map(|day| day.index.as_ref().and_then(index)))
        .collect();
    let known = || last_of_each.iter().flatten();
    let (Some(low), Some(high)) = (known().min(), known().max()) else { return String::new() };
    let block = |value: &Decimal| {
        let share = value.checked_sub(*low)?.checked_div(high.checked_sub(*low)?);
        let step = share.unwrap_or_default().checked_mul(Decimal::from(BLOCKS.len() - 1))?;
        BLOCKS.get(usize::try_from(step.round()).ok()?).copied()
    };
    last_of_each.iter().map(|value| value.as_ref().and_then(block).unwrap_or(' ')).collect()
}

/// One month of the series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Month {
    /// `YYYY`
    pub year: String,
    /// 1 to 12.
    pub month: u8,
    /// Against the last known index before it; `None` without a complete tick.
    pub change: Option<Decimal>,
}

/// Returns month by month, and year by year, as the signed index has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    pub months: Vec<Month>,
    /// `YYYY` and the change over what of it is covered.
    pub years: Vec<(String, Option<Decimal>)>,
}

/// Takes the series apart by calendar.
pub fn calendar(payload: &ReportPayload) -> Calendar {
    let days = &payload.series.days;
    // A series that was cut does not begin at 1.
    let start = (days.len() < SERIES_DAYS_MAX).then_some(Decimal::ONE);
    let mut calendar = Calendar::default();
    let (mut before_month, mut before_year, mut last) = (start, start, start);
    for row in days {
        let Some((year, rest)) = row.day.split_once('-') else { continue };
        let Some(month) = rest.split_once('-').and_then(|(month, _)| month.parse().ok()) else {
            continue;
        };
        if calendar.years.last().is_none_or(|(known, _)| known != year) {
            before_year = last;
            calendar.years.push((year.to_owned(), None));
        }
        if calendar.months.last().is_none_or(|known| known.month != month || known.year != year) {
            before_month = last;
            calendar.months.push(Month { year: year.to_owned(), month, change: None });
        }
        let Some(index) = row.index.as_ref().and_then(|index| Decimal::from_str(index).ok()) else {
            continue;
        };
        last = Some(index);
        if let Some(known) = calendar.months.last_mut() {
            known.change = since(before_month, index);
        }
        if let Some((_, change)) = calendar.years.last_mut() {
            *change = since(before_year, index);
        }
    }
    calendar
}

fn since(before: Option<Decimal>, index: Decimal) -> Option<Decimal> {
    index.checked_div(before?)?.checked_sub(Decimal::ONE)
}

/// A flag in words.
pub fn flag(flag: &str) -> &str {
    match flag {
        "activity.unconverted_volume" => {
            "Some volume has no rate in the base currency and is left out."
        }
        "fees.unconverted" => "Some fees have no rate in the base currency and are left out.",
        "portfolio.unpriced_assets" => "Some assets never had a price; they are in no value.",
        "quality.timing_skew" => {
            "Some balances and records were apart in time; the difference is shown as flows."
        }
        "quality.unreconciled" => "Some balances changed without a record that explains it.",
        "returns.denominator_fallback" => {
            "Some returns are on a substitute base, because little capital was left."
        }
        "returns.estimated_large_flow" => {
            "A large deposit or withdrawal fell into a gap; the return there is an estimate."
        }
        "returns.wiped_out" => "The portfolio lost everything; its index is zero from then on.",
        "risk.insufficient_history" => "Too few full days for figures of risk.",
        other => other,
    }
}

/// A reason in words.
pub fn why(reason: &str) -> &str {
    match reason {
        "no_complete_tick" => "no complete valuation",
        "fewer_than_two_complete_ticks" => "fewer than two complete valuations",
        "period_shorter_than_one_year" => "not annualized under one year",
        "wiped_out" => "the portfolio lost everything",
        "no_capital" => "no capital to relate it to",
        "irr_no_root" => "no rate solves it",
        "irr_ambiguous" => "several rates solve it",
        "fewer_than_two_full_days" => "fewer than two full days",
        "zero_volatility" => "no volatility",
        "no_downside" => "no day under water",
        "no_drawdown" => "no drawdown",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::{aligned, change, duration, grouped, percent};

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn figures_are_grouped_and_rounded_half_to_even() {
        for (value, places, shown) in [
            ("0", 2, "0.00"),
            ("-0.004", 2, "0.00"),
            ("1234567.885", 2, "1,234,567.88"),
            ("-1000", 0, "\u{2212}1,000"),
            ("999.995", 2, "1,000.00"),
            ("0.5", 8, "0.50000000"),
        ] {
            assert_eq!(grouped(decimal(value), places), shown, "{value}");
        }
    }

    #[test]
    fn percentages_have_two_places_and_changes_a_sign() {
        assert_eq!(percent(decimal("0.084105")), "8.41\u{a0}%");
        assert_eq!(change(decimal("0.126803")), "+12.68\u{a0}%");
        assert_eq!(change(decimal("-0.015539429223")), "\u{2212}1.55\u{a0}%");
        assert_eq!(change(decimal("0")), "0.00\u{a0}%");
    }

    #[test]
    fn quantities_stand_in_line() {
        assert_eq!(aligned(decimal("10"), 2), "10\u{2008}\u{2007}\u{2007}");
        assert_eq!(aligned(decimal("0.50"), 2), "0.5\u{2007}");
        assert_eq!(aligned(decimal("1234.56"), 2), "1,234.56");
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        assert_eq!(duration(0), "0\u{a0}s");
        assert_eq!(duration(300), "5\u{a0}min");
        assert_eq!(duration(90_061), "1\u{a0}d 1\u{a0}h");
    }
}
