//! Percentage returns.
//!
//! A sub-period is what lies between consecutive complete ticks. Its return is
//! Modified Dietz with weights inside it; sub-periods are linked
//! geometrically. With a tick at every flow that is the true time-weighted
//! return.
//!
//! The whole period as one needs the sum of the flows, and of the flows times
//! their time: no flow is kept for it.

use rust_decimal::Decimal;

use crate::approx::{compounded, money_weighted};
use crate::config::Config;
use crate::decimal::{Checked, Money, Ratio, add, add_to, bounded, div, mul, sub, sum};
use crate::flow::{External, FlowList, FlowSums, days, positive_sum};
use crate::pack::packed;
use crate::reconcile::seconds;
use crate::result::{Reason, Reasons, Returns};
use crate::time::Timestamp;

/// When, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    pub(crate) at: Timestamp,
    /// Coins in transit in it.
    pub(crate) value: Decimal,
}

packed!(Worth { at, value });

/// The index, linked sub-period by sub-period; it starts at 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Linked {
    pub(crate) index: Decimal,
    subperiods: u64,
    unfunded: u64,
    fallback: u64,
    estimated: u64,
    wiped_out: bool,
}

packed!(Linked { index, subperiods, unfunded, fallback, estimated, wiped_out });

impl Default for Linked {
    fn default() -> Self {
        let index = Decimal::ONE;
        Self { index, subperiods: 0, unfunded: 0, fallback: 0, estimated: 0, wiped_out: false }
    }
}

impl Linked {
    /// One more sub-period, with the flows in it that have a value.
    pub(crate) fn advance(
        &mut self,
        start: Worth,
        end: Worth,
        flows: &[&External],
        config: &Config,
    ) -> Checked<()> {
        self.subperiods += 1;
        let min_capital = config.min_capital.get();
        if start.value < min_capital || start.value <= Decimal::ZERO {
            self.unfunded += 1;
            return Ok(());
        }
        let length = end.at.micros_since(start.at);
        let long = length > i64::from(config.poll_interval_s).saturating_mul(2_000_000);
        let large = mul(config.large_flow_pct.get(), start.value)?;
        if long && flows.iter().any(|flow| flow.value.abs() > large) {
            self.estimated += 1;
        }
        let net = sum(flows.iter().map(|flow| flow.value))?;
        let gain = sub(sub(end.value, start.value)?, net)?;
        let mut capital = start.value;
        for flow in flows {
            add_to(&mut capital, mul(flow.value, weight(flow.at, start.at, end.at)?)?)?;
        }
        if capital < min_capital || capital <= Decimal::ZERO {
            self.fallback += 1;
            capital = add(start.value, positive_sum(flows.iter().map(|flow| flow.value))?)?;
        }
        let factor = add(Decimal::ONE, div(gain, capital)?)?;
        if factor <= Decimal::ZERO {
            self.wiped_out = true;
        }
        self.index =
            if self.wiped_out { Decimal::ZERO } else { bounded(mul(self.index, factor)?)? };
        Ok(())
    }
}

/// The share of the time from `start` to `end` that is left at `at`.
fn weight(at: Timestamp, start: Timestamp, end: Timestamp) -> Checked<Decimal> {
    div(seconds(end.micros_since(at)), seconds(end.micros_since(start)))
}

/// Returns over a period, not rounded where others go on with them.
#[derive(Debug, Default)]
pub(crate) struct Performance {
    pub(crate) section: Returns,
    pub(crate) gain: Decimal,
    pub(crate) twr_annualized: Option<Decimal>,
}

/// The section, with a reason noted for each return that is missing; `period`
/// is the first and the last complete tick.
pub(crate) fn finish(
    period: Option<(Worth, Worth)>,
    linked: &Linked,
    flows: &FlowSums,
    single: &FlowList,
    config: &Config,
    reasons: &mut Reasons,
) -> Checked<Performance> {
    let Some((first, last)) = period.filter(|(first, last)| first.at < last.at) else {
        reasons.insert("returns", Reason::FewerThanTwoCompleteTicks);
        return Ok(Performance::default());
    };
    let gain = sub(sub(last.value, first.value)?, flows.net)?;
    let enough = |capital: Decimal| {
        (capital >= config.min_capital.get() && !capital.is_zero()).then_some(capital)
    };
    let over = |capital: Decimal| enough(capital).map(|capital| div(gain, capital)).transpose();
    let length = days(last.at.micros_since(first.at))?;
    // The sum of w F, where w is what is left of the period: F - F x since / length.
    let weighted = sub(flows.net, div(flows.moment, length)?)?;
    let dietz = over(add(first.value, weighted)?)?;
    let simple = over(add(first.value, flows.inflow)?)?;
    for (key, value) in [("returns.modified_dietz", dietz), ("returns.simple", simple)] {
        if value.is_none() {
            reasons.insert(key, Reason::NoCapital);
        }
    }
    let weights = single.flows().map(|(value, at)| Ok((value, weight(at, first.at, last.at)?)));
    let mwr = money_weighted(first.value, &weights.collect::<Checked<Vec<_>>>()?, last.value);
    if let Err(reason) = mwr {
        reasons.insert("returns.mwr_period", reason);
    }
    let twr = sub(linked.index, Decimal::ONE)?;
    let micros = last.at.micros_since(first.at);
    let twr_annualized = annualized(Ok(twr), micros);
    let mwr_annualized = annualized(mwr, micros);
    for (key, value) in
        [("returns.twr_annualized", twr_annualized), ("returns.mwr_annualized", mwr_annualized)]
    {
        if let Err(reason) = value {
            reasons.insert(key, reason);
        }
    }
    let section = Returns {
        gain: Some(Money::new(gain)),
        twr: Some(Ratio::new(twr)),
        twr_annualized: twr_annualized.ok().map(Ratio::new),
        modified_dietz: dietz.map(Ratio::new),
        simple: simple.map(Ratio::new),
        mwr_period: mwr.ok().map(Ratio::new),
        mwr_annualized: mwr_annualized.ok().map(Ratio::new),
        subperiods: Some(linked.subperiods),
        unfunded_subperiods: Some(linked.unfunded),
        fallback_subperiods: Some(linked.fallback),
        estimated_large_flow_subperiods: Some(linked.estimated),
        wiped_out: Some(linked.wiped_out),
    };
    Ok(Performance { section, gain, twr_annualized: twr_annualized.ok() })
}

/// Only over a year or more: GIPS 2.A.12.
fn annualized(rate: Result<Decimal, Reason>, micros: i64) -> Result<Decimal, Reason> {
    if micros < YEAR_MICROS {
        return Err(Reason::PeriodShorterThanOneYear);
    }
    let rate = rate?;
    if rate <= Decimal::NEGATIVE_ONE {
        return Err(Reason::WipedOut);
    }
    let exponent = div(Decimal::from(YEAR_MICROS), Decimal::from(micros));
    exponent.ok().and_then(|exponent| compounded(rate, exponent)).ok_or(Reason::IrrNoRoot)
}

/// 365 days.
const YEAR_MICROS: i64 = 365 * 86_400 * 1_000_000;
