//! Claims: whether metrics keep bounds, over a period nobody could choose to flatter.
//!
//! `docs/claims.md` is normative. A predicate counts once it was judged, whatever came out and
//! whether or not its statement reached anybody; a refusal says nothing about a value and counts
//! nothing.

use analytics::decimal::Ratio;
use analytics::time::Day;
use analytics::{Figures, Timestamp};
use protocol::claim::{
    ClaimMetric, ClaimPayload, ClaimPeriod, ClaimRefused, ClaimRequest, Judged, Schema,
};
use protocol::limits::{CLAIM_COVERAGE_MIN, CLAIM_PREDICATES_PER_MONTH_MAX};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;

use crate::engine_api::ReportRefusal;
use crate::portfolio::Portfolio;
use crate::report::{self, RELEASE};

/// How many predicates were asked of a portfolio.
#[derive(Debug, Default)]
pub struct Asked {
    ever: u64,
    month: Option<Timestamp>,
    in_month: u64,
}

impl Asked {
    /// Counts `more`, and says how many were before them.
    fn count(&mut self, more: usize, now: Timestamp) -> Result<u64, ClaimRefused> {
        let more = u64::try_from(more).map_err(|_| ClaimRefused::UsedUp)?;
        let month = Some(now.month_start());
        let before = if self.month == month { self.in_month } else { 0 };
        if before.saturating_add(more) > CLAIM_PREDICATES_PER_MONTH_MAX {
            return Err(ClaimRefused::UsedUp);
        }
        (self.month, self.in_month) = (month, before + more);
        let ever = self.ever;
        self.ever = ever.saturating_add(more);
        Ok(ever)
    }
}

/// Judges `claim` as of `now`.
pub fn judge(
    portfolio: &mut Portfolio,
    claim: &ClaimRequest,
    now: UnixMillis,
    simulated: bool,
) -> Result<Result<ClaimPayload, ClaimRefused>, ReportRefusal> {
    let at = Timestamp::from_millis(now.0).ok_or(ReportRefusal::Internal)?;
    let days = match claim.period.months() {
        Some(months) => Some(days(months).ok_or(ReportRefusal::Internal)?),
        None => None,
    };
    let figures = portfolio.figures(days, now).ok_or(ReportRefusal::Internal)?;
    let figures = match figures.filter(|figures| figures.start < figures.end) {
        Some(figures) if covered(&figures) => figures,
        Some(_) => return Ok(Err(ClaimRefused::Coverage)),
        None => return Ok(Err(ClaimRefused::NotCovered)),
    };
    let before = match portfolio.asked().count(claim.predicates.len(), at) {
        Ok(before) => before,
        Err(refused) => return Ok(Err(refused)),
    };
    let predicates = claim.predicates.iter().map(|predicate| Judged {
        metric: predicate.metric,
        method: method(claim.period, predicate.metric).to_owned(),
        comparison: predicate.comparison,
        bound: predicate.bound,
        holds: predicate.holds(value(&figures, predicate.metric).map(Ratio::get)),
    });
    Ok(Ok(ClaimPayload {
        schema: Schema,
        simulated,
        issued_at: now,
        release: RELEASE.to_owned(),
        portfolio_id: portfolio.key.portfolio_id(),
        portfolio_key: portfolio.key,
        base_currency: portfolio.base_currency.clone(),
        asked: claim.period,
        period: report::period(figures.start, figures.end)?,
        coverage: figures.coverage.to_string(),
        coverage_min: CLAIM_COVERAGE_MIN.to_owned(),
        predicates_before: before,
        predicates: predicates.collect(),
    }))
}

fn days([from, until]: [(u16, u8); 2]) -> Option<(Day, Day)> {
    let first = |(year, month): (u16, u8)| Day::of(year.into(), month.into(), 1);
    Some((first(from)?, first(until)?))
}

fn covered(figures: &Figures) -> bool {
    CLAIM_COVERAGE_MIN.parse::<Decimal>().is_ok_and(|least| figures.coverage.get() >= least)
}

fn value(figures: &Figures, metric: ClaimMetric) -> Option<Ratio> {
    match metric {
        ClaimMetric::Twr => figures.twr,
        ClaimMetric::MaxDrawdown => figures.max_drawdown,
        ClaimMetric::Volatility => figures.volatility,
        ClaimMetric::Sharpe => figures.sharpe,
        ClaimMetric::Sortino => figures.sortino,
        ClaimMetric::WinRateDays => figures.win_rate_days,
    }
}

/// The method of the metric over the whole period; over a piece of it, the index at the piece's
/// midnights takes the place of that of its ticks.
fn method(period: ClaimPeriod, metric: ClaimMetric) -> &'static str {
    let key = match metric {
        ClaimMetric::Twr if period != ClaimPeriod::All => return "twr/dietz-tick-midnights/1",
        ClaimMetric::Twr => "returns.twr",
        ClaimMetric::MaxDrawdown => "risk.max_drawdown",
        ClaimMetric::Volatility => "risk.volatility",
        ClaimMetric::Sharpe => "risk.sharpe",
        ClaimMetric::Sortino => "risk.sortino",
        ClaimMetric::WinRateDays => "risk.win_rate_days",
    };
    analytics::method(key).map_or("", |method| method.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_month_has_its_share_of_predicates_and_the_count_goes_on() {
        let mut asked = Asked::default();
        assert_eq!(asked.count(4, at("2026-01-05T00:00:00Z")), Ok(0));
        assert_eq!(asked.count(4, at("2026-01-31T23:59:59Z")), Ok(4));
        assert_eq!(asked.count(1, at("2026-01-31T23:59:59Z")), Err(ClaimRefused::UsedUp));
        assert_eq!(asked.count(3, at("2026-02-01T00:00:00Z")), Ok(8));
        assert_eq!(asked.count(6, at("2026-02-02T00:00:00Z")), Err(ClaimRefused::UsedUp));
        assert_eq!(asked.count(5, at("2026-02-02T00:00:00Z")), Ok(11));
    }

    #[test]
    fn the_least_coverage_is_a_number() {
        assert!(CLAIM_COVERAGE_MIN.parse::<Decimal>().is_ok());
    }

    #[test]
    fn every_metric_has_a_method() {
        for metric in ClaimMetric::ALL {
            for period in [ClaimPeriod::All, ClaimPeriod::Year(2026)] {
                assert!(!method(period, metric).is_empty());
            }
        }
    }
}
