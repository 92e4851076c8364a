//! What a claim asks: predicates on a grid, over a period of the calendar.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::ClaimError;
use crate::json::as_text;

/// What can be claimed about. Each is defined in `docs/metrics.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimMetric {
    /// Time-weighted return over the period.
    Twr,
    /// Deepest drawdown within the period, a positive number.
    MaxDrawdown,
    /// Annualised deviation of the period's daily returns.
    Volatility,
    /// Sharpe ratio of the period's daily returns.
    Sharpe,
    /// Sortino ratio of the period's daily returns.
    Sortino,
    /// Winning days of those that won or lost.
    WinRateDays,
}

impl ClaimMetric {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Twr,
        Self::MaxDrawdown,
        Self::Volatility,
        Self::Sharpe,
        Self::Sortino,
        Self::WinRateDays,
    ];

    /// The word for it, in claims and in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twr => "twr",
            Self::MaxDrawdown => "max_drawdown",
            Self::Volatility => "volatility",
            Self::Sharpe => "sharpe",
            Self::Sortino => "sortino",
            Self::WinRateDays => "win_rate_days",
        }
    }

    /// Decimal places of the grid that bounds lie on: whole percents, and tenths of a ratio of
    /// return to risk.
    pub const fn places(self) -> u32 {
        match self {
            Self::Twr | Self::MaxDrawdown | Self::Volatility | Self::WinRateDays => 2,
            Self::Sharpe | Self::Sortino => 1,
        }
    }
}

/// On which side of the bound the metric is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// Not below.
    #[serde(rename = ">=")]
    AtLeast,
    /// Not above.
    #[serde(rename = "<=")]
    AtMost,
}

/// One bound on one metric, such as `max_drawdown <= 0.08`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicate {
    /// Which metric.
    pub metric: ClaimMetric,
    /// Which side.
    pub comparison: Comparison,
    /// The bound, on the metric's grid.
    pub bound: Bound,
}

/// A bound as it is written, at most ±1000 with at most two places and in one form: `0.12`, `-1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound(Decimal);

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimPeriod {
    /// From the first to the last complete tick.
    All,
    /// A calendar year in UTC: `2026`.
    Year(u16),
    /// A quarter of it, 1 to 4: `2026-Q1`.
    Quarter(u16, u8),
    /// A month of it, 1 to 12: `2026-03`.
    Month(u16, u8),
}

impl Predicate {
    /// Whether `value` is on the right side. A metric without a number keeps no bound.
    pub fn holds(&self, value: Option<Decimal>) -> bool {
        value.is_some_and(|value| match self.comparison {
            Comparison::AtLeast => value >= self.bound.0,
            Comparison::AtMost => value <= self.bound.0,
        })
    }

    pub(super) fn is_on_grid(&self) -> bool {
        self.bound.0.scale() <= self.metric.places()
    }
}

impl FromStr for Predicate {
    type Err = ClaimError;

    /// Reads `metric >= bound` or `metric <= bound`; spaces are free.
    fn from_str(text: &str) -> Result<Self, ClaimError> {
        let (comparison, sign) = if text.contains(">=") {
            (Comparison::AtLeast, ">=")
        } else {
            (Comparison::AtMost, "<=")
        };
        let (metric, bound) = text.split_once(sign).ok_or(ClaimError::OutOfBounds("predicate"))?;
        let metric = ClaimMetric::ALL
            .into_iter()
            .find(|known| known.name() == metric.trim())
            .ok_or(ClaimError::OutOfBounds("metric"))?;
        let predicate = Self { metric, comparison, bound: bound.trim().parse()? };
        if predicate.is_on_grid() { Ok(predicate) } else { Err(ClaimError::OutOfBounds("bound")) }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric.name(), self.comparison, self.bound)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
        })
    }
}

impl Bound {
    /// Places no grid goes beyond.
    const PLACES_MAX: u32 = 2;
    const MAX: Decimal = Decimal::ONE_THOUSAND;
}

impl FromStr for Bound {
    type Err = ClaimError;

    fn from_str(text: &str) -> Result<Self, ClaimError> {
        let bad = ClaimError::OutOfBounds("bound");
        let plain = text.len() <= 8
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
        let bound = Decimal::from_str_exact(text).ok().filter(|_| plain).ok_or(bad)?.normalize();
        let fits = bound.scale() <= Self::PLACES_MAX && bound.abs() <= Self::MAX;
        if fits { Ok(Self(bound)) } else { Err(bad) }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ClaimPeriod {
    type Err = ClaimError;

    fn from_str(text: &str) -> Result<Self, ClaimError> {
        let bad = ClaimError::OutOfBounds("period");
        let number = |text: &str, len: usize| {
            let plain = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u16>().ok()).flatten()
        };
        let year = |text: &str| number(text, 4).filter(|year| (1970..2200).contains(year));
        let part = |text: &str, len, max: u8| {
            let part = number(text, len).and_then(|part| u8::try_from(part).ok());
            part.filter(|part| (1..=max).contains(part))
        };
        let read = match text.split_once('-') {
            None if text == "all" => Some(Self::All),
            None => year(text).map(Self::Year),
            Some((of, rest)) => match rest.strip_prefix('Q') {
                Some(quarter) => {
                    year(of).zip(part(quarter, 1, 4)).map(|(of, part)| Self::Quarter(of, part))
                }
                None => year(of).zip(part(rest, 2, 12)).map(|(of, part)| Self::Month(of, part)),
            },
        };
        read.ok_or(bad)
    }
}

impl fmt::Display for ClaimPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Year(year) => write!(f, "{year:04}"),
            Self::Quarter(year, quarter) => write!(f, "{year:04}-Q{quarter}"),
            Self::Month(year, month) => write!(f, "{year:04}-{month:02}"),
        }
    }
}

impl ClaimPeriod {
    /// Year and month of its first day, and of the first day after it; `None` for all of it.
    pub fn months(self) -> Option<[(u16, u8); 2]> {
        let (year, first, length) = match self {
            Self::All => return None,
            Self::Year(year) => (year, 1, 12),
            Self::Quarter(year, quarter) => (year, quarter.saturating_sub(1) * 3 + 1, 3),
            Self::Month(year, month) => (year, month, 1),
        };
        let after = first + length;
        let next = if after > 12 { (year + 1, after - 12) } else { (year, after) };
        Some([(year, first), next])
    }
}

as_text!(Bound, ClaimPeriod);
