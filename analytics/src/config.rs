//! The policy of a portfolio: currencies, windows, tolerances.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::decimal::Number;
use crate::limits::{AMOUNT_MAX, PEGS_MAX, PIVOTS_MAX, TIME_MAX, TIME_MIN, WINDOW_SECONDS_MAX};
use crate::pack::packed;
use crate::text::Asset;
use crate::time::Timestamp;

/// Everything the definitions leave to policy. Windows are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The currency values and returns are in.
    pub base_currency: Asset,
    /// The first poll is at this time, and no valuation is earlier.
    pub session_start: Timestamp,
    /// When a scenario ends. The engine is asked with a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
    #[serde(default = "defaults::poll_interval_s")]
    pub poll_interval_s: u32,
    /// A price older than this is stale.
    #[serde(default = "defaults::price_max_age_s")]
    pub price_max_age_s: u32,
    /// Currencies a route may pass through, best first.
    #[serde(default = "defaults::pivots")]
    pub pivots: Vec<Asset>,
    /// Assets that count 1 to 1 by decision and not by market.
    #[serde(default)]
    pub pegs: BTreeMap<Asset, Asset>,
    /// An event this much older than its delivery cannot be proven new.
    #[serde(default = "defaults::late_horizon_s")]
    pub late_horizon_s: u32,
    /// How long an own transfer may take.
    #[serde(default = "defaults::transfer_window_s")]
    pub transfer_window_s: u32,
    /// Share of an own transfer that may be lost on the way.
    #[serde(default = "defaults::transfer_tolerance")]
    pub transfer_tolerance: Number,
    /// Below this no return is calculated.
    #[serde(default = "defaults::min_capital")]
    pub min_capital: Number,
    /// A residual of at most this, in base currency, is ignored.
    #[serde(default = "defaults::recon_tolerance")]
    pub recon_tolerance: Number,
    /// How far apart the two residuals of a timing skew may be.
    #[serde(default = "defaults::recon_grace_s")]
    pub recon_grace_s: u32,
    /// How old a valuation may be to stand for a midnight.
    #[serde(default = "defaults::boundary_max_age_s")]
    pub boundary_max_age_s: u32,
    /// The risk-free rate, per year.
    #[serde(default)]
    pub risk_free_annual: Number,
    /// A flow above this share of the value is large.
    #[serde(default = "defaults::large_flow_pct")]
    pub large_flow_pct: Number,
}

packed!(Config {
    base_currency,
    session_start,
    as_of,
    poll_interval_s,
    price_max_age_s,
    pivots,
    pegs,
    late_horizon_s,
    transfer_window_s,
    transfer_tolerance,
    min_capital,
    recon_tolerance,
    recon_grace_s,
    boundary_max_age_s,
    risk_free_annual,
    large_flow_pct,
});

/// A policy nobody can have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("configuration field `{field}` is out of range")]
pub struct ConfigError {
    pub field: &'static str,
}

impl Config {
    /// The default policy.
    pub fn new(base_currency: Asset, session_start: Timestamp) -> Self {
        Self {
            base_currency,
            session_start,
            as_of: None,
            poll_interval_s: defaults::poll_interval_s(),
            price_max_age_s: defaults::price_max_age_s(),
            pivots: defaults::pivots(),
            pegs: BTreeMap::new(),
            late_horizon_s: defaults::late_horizon_s(),
            transfer_window_s: defaults::transfer_window_s(),
            transfer_tolerance: defaults::transfer_tolerance(),
            min_capital: defaults::min_capital(),
            recon_tolerance: defaults::recon_tolerance(),
            recon_grace_s: defaults::recon_grace_s(),
            boundary_max_age_s: defaults::boundary_max_age_s(),
            risk_free_annual: Number::ZERO,
            large_flow_pct: defaults::large_flow_pct(),
        }
    }

    /// Polls due from the start of the session to `at`.
    pub(crate) fn polls_due(&self, at: Timestamp) -> u64 {
        let length = at.micros_since(self.session_start);
        let poll = i64::from(self.poll_interval_s).saturating_mul(1_000_000);
        let due = length.checked_div(poll).filter(|_| length >= 0);
        due.and_then(|polls| u64::try_from(polls + 1).ok()).unwrap_or(0)
    }

    /// Refuses what the calculation could not bear.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let in_range = |field, good: bool| if good { Ok(()) } else { Err(ConfigError { field }) };
        let window = |seconds: u32| seconds <= WINDOW_SECONDS_MAX;
        let amount = |number: Number| (Number::ZERO..=AMOUNT_MAX.into()).contains(&number);
        let minus_one = Number::from(rust_decimal::Decimal::NEGATIVE_ONE);
        in_range("session_start", (TIME_MIN..=TIME_MAX).contains(&self.session_start))?;
        in_range("poll_interval_s", self.poll_interval_s > 0 && window(self.poll_interval_s))?;
        in_range("price_max_age_s", window(self.price_max_age_s))?;
        in_range("pivots", self.pivots.len() <= PIVOTS_MAX)?;
        in_range("pegs", self.pegs.len() <= PEGS_MAX)?;
        in_range("late_horizon_s", window(self.late_horizon_s))?;
        in_range("transfer_window_s", window(self.transfer_window_s))?;
        in_range("transfer_tolerance", amount(self.transfer_tolerance))?;
        in_range("min_capital", amount(self.min_capital))?;
        in_range("recon_tolerance", amount(self.recon_tolerance))?;
        in_range("recon_grace_s", window(self.recon_grace_s))?;
        in_range("boundary_max_age_s", window(self.boundary_max_age_s))?;
        let rate = self.risk_free_annual;
        in_range("risk_free_annual", rate > minus_one && amount(rate.max(Number::ZERO)))?;
        in_range("large_flow_pct", amount(self.large_flow_pct))
    }
}

mod defaults {
    use rust_decimal::Decimal;

    use crate::decimal::Number;
    use crate::text::Asset;

    pub(super) const fn poll_interval_s() -> u32 {
        300
    }
    pub(super) const fn price_max_age_s() -> u32 {
        900
    }
    pub(super) fn pivots() -> Vec<Asset> {
        ["USDT", "USDC", "USD", "BTC"].iter().filter_map(|code| code.parse().ok()).collect()
    }
    pub(super) const fn late_horizon_s() -> u32 {
        172_800
    }
    pub(super) const fn transfer_window_s() -> u32 {
        86_400
    }
    pub(super) fn transfer_tolerance() -> Number {
        Decimal::new(1, 2).into()
    }
    pub(super) fn min_capital() -> Number {
        Decimal::ONE.into()
    }
    pub(super) fn recon_tolerance() -> Number {
        Decimal::new(1, 2).into()
    }
    pub(super) const fn recon_grace_s() -> u32 {
        3_600
    }
    pub(super) const fn boundary_max_age_s() -> u32 {
        3_600
    }
    pub(super) fn large_flow_pct() -> Number {
        Decimal::new(10, 2).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"{"base_currency":"USD","session_start":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn an_empty_configuration_is_the_default_one() {
        let read: Config = serde_json::from_str(LEAST).unwrap();
        let made = Config::new("USD".parse().unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(read, made);
        assert_eq!(read.check(), Ok(()));
        assert_eq!(read.pivots.len(), 4);
    }

    #[test]
    fn impossible_policies_are_refused_by_name() {
        for (field, value) in [
            ("poll_interval_s", "0"),
            ("price_max_age_s", "999999999"),
            ("min_capital", r#""-1""#),
            ("recon_tolerance", r#""99999999999999999999999""#),
            ("risk_free_annual", r#""-1""#),
            ("pivots", r#"["A","B","C","D","E","F","G","H","I"]"#),
        ] {
            let text = LEAST.replace('}', &format!(r#","{field}":{value}}}"#));
            let config: Config = serde_json::from_str(&text).unwrap();
            assert_eq!(config.check(), Err(ConfigError { field }));
        }
        let unknown = LEAST.replace('}', r#","x":1}"#);
        assert!(serde_json::from_str::<Config>(&unknown).is_err());
    }
}
