//! The scenario file (`pa-case/1`): a list of events in order of delivery.
//!
//! The schema is closed. Unknown fields, other number notations and times
//! that are not UTC are refused, so that a scenario with a mistake does not
//! quietly become another world.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use jiff::tz::Offset;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::limits;
use crate::number::Number;

/// A parsed scenario. `expected` is checked for presence of mind elsewhere; nothing here reads it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    schema: String,
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub notes: String,
    pub features: Vec<String>,
    pub config: Config,
    pub events: Vec<Event>,
    #[serde(default, rename = "expected")]
    _expected: IgnoredAny,
}

/// What the simulator needs of the scenario's configuration, and the rest by name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub base_currency: String,
    pub session_start: Stamp,
    pub as_of: Stamp,
    #[serde(default = "five_minutes")]
    pub poll_interval_s: u32,
    #[serde(default, rename = "price_max_age_s")]
    _price_max_age: IgnoredAny,
    #[serde(default, rename = "pivots")]
    _pivots: IgnoredAny,
    #[serde(default, rename = "pegs")]
    _pegs: IgnoredAny,
    #[serde(default, rename = "late_horizon_s")]
    _late_horizon: IgnoredAny,
    #[serde(default, rename = "transfer_window_s")]
    _transfer_window: IgnoredAny,
    #[serde(default, rename = "transfer_tolerance")]
    _transfer_tolerance: IgnoredAny,
    #[serde(default, rename = "min_capital")]
    _min_capital: IgnoredAny,
    #[serde(default, rename = "recon_tolerance")]
    _recon_tolerance: IgnoredAny,
    #[serde(default, rename = "recon_grace_s")]
    _recon_grace: IgnoredAny,
    #[serde(default, rename = "boundary_max_age_s")]
    _boundary_max_age: IgnoredAny,
    #[serde(default, rename = "risk_free_annual")]
    _risk_free: IgnoredAny,
    #[serde(default, rename = "large_flow_pct")]
    _large_flow: IgnoredAny,
}

const fn five_minutes() -> u32 {
    300
}

/// One event. `seen` is when it was delivered; without it, when it happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Price(Price),
    AccountOpen(Membership),
    AccountClose(Membership),
    Snapshot(Snapshot),
    Fill(Fill),
    Flow(Flow),
    Income(Income),
}

/// 1 `asset` = `price` `quote`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub asset: String,
    pub quote: String,
    pub price: Number,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub account: String,
}

/// All balances of one account; an absent asset is zero.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub account: String,
    #[serde(default = "yes")]
    pub complete: bool,
    pub balances: Vec<Balance>,
    #[serde(default)]
    pub positions: Vec<Position>,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    pub asset: String,
    #[serde(default = "Number::zero")]
    pub free: Number,
    #[serde(default = "Number::zero")]
    pub locked: Number,
    #[serde(default = "Number::zero")]
    pub earn: Number,
    #[serde(default = "Number::zero")]
    pub borrowed: Number,
    #[serde(default = "Number::zero")]
    pub interest: Number,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    pub symbol: String,
    pub qty: Number,
    pub entry_price: Number,
    pub mark_price: Number,
    pub unrealized_pnl: Number,
    pub settle_asset: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Market {
    Spot,
    Margin,
    Futures,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Buy,
    Sell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liquidity {
    Maker,
    Taker,
}

/// One execution.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub account: String,
    pub market: Market,
    pub symbol: String,
    pub base: String,
    pub quote: String,
    pub settle_asset: Option<String>,
    pub side: Side,
    pub price: Number,
    pub qty: Number,
    pub contract_size: Option<Number>,
    pub inverse: Option<bool>,
    pub trade_id: String,
    pub order_id: String,
    pub liquidity: Option<Liquidity>,
    pub fee: Option<Fee>,
}

/// Positive is paid, negative is a rebate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    pub asset: String,
    pub amount: Number,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowStatus {
    Pending,
    #[default]
    Completed,
    Failed,
    Canceled,
}

/// A deposit (positive) or withdrawal (negative): the whole change of the balance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub account: String,
    pub asset: String,
    pub amount: Number,
    pub id: String,
    pub txid: Option<String>,
    #[serde(default)]
    pub status: FlowStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncomeKind {
    Funding,
    Interest,
    Reward,
    Rebate,
    Other,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Income {
    pub t: Stamp,
    pub seen: Option<Stamp>,
    pub account: String,
    pub kind: IncomeKind,
    pub asset: String,
    pub amount: Number,
    pub id: String,
}

/// An instant of the scenario: microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Stamp(i64);

impl Stamp {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down; the scenario starts after 1970.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.div_euclid(1000)).unwrap_or(0)
    }

    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        self.plus_micros(millis.saturating_mul(1000))
    }

    /// Formats in UTC by a strftime pattern.
    pub(crate) fn format(self, pattern: &str) -> String {
        self.timestamp().strftime(pattern).to_string()
    }

    pub(crate) fn civil(self) -> jiff::civil::DateTime {
        Offset::UTC.to_datetime(self.timestamp())
    }

    pub(crate) fn from_civil(date: jiff::civil::DateTime) -> Self {
        Self(Offset::UTC.to_timestamp(date).map_or(i64::MAX, jiff::Timestamp::as_microsecond))
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl TryFrom<String> for Stamp {
    type Error = NotAStamp;

    fn try_from(text: String) -> Result<Self, NotAStamp> {
        // yyyy-mm-ddThh:mm:ss with at most six fraction digits and nothing but Z.
        let bare = text.strip_suffix('Z').ok_or(NotAStamp)?;
        let (seconds, fraction) = bare.split_once('.').unwrap_or((bare, "0"));
        let shape = seconds.len() == 19
            && seconds.as_bytes().get(10) == Some(&b'T')
            && (1..=6).contains(&fraction.len())
            && fraction.bytes().all(|byte| byte.is_ascii_digit());
        if !shape {
            return Err(NotAStamp);
        }
        let parsed: jiff::Timestamp = text.parse().map_err(|_| NotAStamp)?;
        if parsed.as_microsecond() < 0 {
            return Err(NotAStamp);
        }
        Ok(Self(parsed.as_microsecond()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time in UTC with `Z` and at most six fraction digits")]
pub struct NotAStamp;

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is not a `pa-case/1` scenario.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let mut text = Vec::new();
        File::open(path)?.take(limits::SCENARIO_BYTES_MAX + 1).read_to_end(&mut text)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > limits::SCENARIO_BYTES_MAX {
            return Err(ScenarioError::TooLarge);
        }
        Self::parse(&text)
    }

    /// Parses a scenario.
    ///
    /// # Errors
    /// When it is not a `pa-case/1` scenario.
    pub fn parse(text: &[u8]) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_json::from_slice(text)?;
        if scenario.schema != "pa-case/1" {
            return Err(ScenarioError::Invalid("schema is not pa-case/1"));
        }
        let config = &scenario.config;
        if config.poll_interval_s == 0 || config.as_of < config.session_start {
            return Err(ScenarioError::Invalid("the poll interval or the period is empty"));
        }
        let span = config.as_of.micros() - config.session_start.micros();
        if span / (i64::from(config.poll_interval_s) * 1_000_000) > limits::TICKS_MAX {
            return Err(ScenarioError::Invalid("too many ticks"));
        }
        let positive = |number: &Number| !number.is_negative();
        let code = |asset: &str| {
            !asset.is_empty() && asset.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        for event in &scenario.events {
            let sound = match event {
                Event::Price(it) => code(&it.asset) && code(&it.quote) && positive(&it.price),
                Event::Fill(it) => {
                    code(&it.base)
                        && code(&it.quote)
                        && it.fee.as_ref().is_none_or(|fee| code(&fee.asset))
                        && positive(&it.price)
                        && positive(&it.qty)
                }
                Event::Snapshot(it) => {
                    it.balances.iter().all(|row| {
                        code(&row.asset)
                            && [&row.locked, &row.earn, &row.borrowed, &row.interest]
                                .into_iter()
                                .all(positive)
                    }) && it.positions.iter().all(|held| {
                        code(&held.settle_asset)
                            && positive(&held.entry_price)
                            && positive(&held.mark_price)
                    })
                }
                Event::Flow(it) => code(&it.asset),
                Event::Income(it) => code(&it.asset),
                Event::AccountOpen(_) | Event::AccountClose(_) => true,
            };
            if !sound {
                return Err(ScenarioError::Invalid("an asset code or the sign of an amount"));
            }
        }
        Ok(scenario)
    }
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    #[error("cannot read the scenario")]
    Io(#[from] std::io::Error),
    #[error("the scenario file is too large")]
    TooLarge,
    #[error("the scenario is not pa-case/1 JSON")]
    Json(#[from] serde_json::Error),
    #[error("the scenario is not valid: {0}")]
    Invalid(&'static str),
    #[error("an amount in the scenario has too many digits")]
    Overflow(#[from] crate::number::NotANumber),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_event(event: &str) -> String {
        format!(
            r#"{{"schema":"pa-case/1","id":"x","title":"x","features":[],"config":{{"base_currency":"USD",
            "session_start":"2026-01-01T00:00:00Z","as_of":"2026-01-01T01:00:00Z"}},"events":[{event}]}}"#
        )
    }

    #[test]
    fn times_are_significant_to_the_microsecond() {
        let stamp = Stamp::try_from("1970-01-01T00:00:01.000001Z".to_owned()).unwrap();
        assert_eq!(stamp.micros(), 1_000_001);
        assert_eq!(stamp.millis(), 1_000);
    }

    #[test]
    fn other_times_are_refused() {
        for text in [
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00+00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00.1234567Z",
            "2026-01-01T00:00:00.Z",
            "2026-13-01T00:00:00Z",
        ] {
            assert_eq!(Stamp::try_from(text.to_owned()), Err(NotAStamp), "{text}");
        }
    }

    #[test]
    fn a_closed_schema_refuses_what_it_does_not_know() {
        let good = r#"{"type":"price","t":"2026-01-01T00:00:00Z","asset":"BTC","quote":"USDT","price":"1"}"#;
        Scenario::parse(with_event(good).as_bytes()).unwrap();
        for (from, to) in [
            (r#""price":"1""#, r#""price":"1","more":"1""#),
            (r#""price":"1""#, r#""price":1"#),
            (r#""price":"1""#, r#""price":"-1""#),
            (r#""BTC""#, r#""btc""#),
            (r#""type":"price""#, r#""type":"rumour""#),
        ] {
            let bad = with_event(&good.replace(from, to));
            assert_ne!(bad, with_event(good));
            Scenario::parse(bad.as_bytes()).unwrap_err();
        }
    }
}
