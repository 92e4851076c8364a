//! Percentage returns.
//!
//! A sub-period is what lies between consecutive complete ticks. Its return is
//! Modified Dietz with weights inside it; sub-periods are linked
//! geometrically. With a tick at every flow that is the true time-weighted
//! return.

use rust_decimal::Decimal;

use crate::approx::{compounded, money_weighted};
use crate::config::Config;
use crate::decimal::{Checked, Money, Overflow, Ratio, add, add_to, bounded, div, mul, sub, sum};
use crate::flow::{Border, External, positive_sum};
use crate::reconcile::seconds;
use crate::result::{Reason, Reasons, Returns};
use crate::time::Timestamp;
use crate::valuation::{Tick, Valuation};

/// Returns, and the index they come from.
#[derive(Debug)]
pub(crate) struct Performance {
    pub(crate) section: Returns,
    /// Index at each tick; it starts at 1.
    pub(crate) index: Vec<Decimal>,
    pub(crate) gain: Decimal,
    /// Not rounded.
    pub(crate) twr_annualized: Option<Decimal>,
}

/// Why there are no returns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The sub-period that ends here cannot be calculated.
    Tick(Timestamp),
    Overflow,
}

impl From<Overflow> for Failure {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

/// Calculates the returns and notes a reason for each that is missing.
pub(crate) fn returns(
    valuation: &Valuation<'_>,
    border: &Border,
    config: &Config,
    reasons: &mut Reasons,
) -> Result<Performance, Failure> {
    let (Some(first), Some(last)) = (valuation.ticks.first(), valuation.ticks.last()) else {
        reasons.insert("returns", Reason::FewerThanTwoCompleteTicks);
        return Ok(Performance::none(Vec::new()));
    };
    if first.at == last.at {
        reasons.insert("returns", Reason::FewerThanTwoCompleteTicks);
        return Ok(Performance::none(vec![Decimal::ONE]));
    }
    let linked = link(&valuation.ticks, border, config)?;
    let gain = sub(sub(last.value, first.value)?, border.net()?)?;
    let whole = Whole::new(first, last, border)?;

    let enough = |capital: Decimal| {
        (capital >= config.min_capital.get() && !capital.is_zero()).then_some(capital)
    };
    let share = |capital: Decimal| enough(capital).map(|capital| div(gain, capital)).transpose();
    let dietz = share(whole.weighted_capital)?;
    let simple = share(whole.paid_in)?;
    for (key, value) in [("returns.modified_dietz", dietz), ("returns.simple", simple)] {
        if value.is_none() {
            reasons.insert(key, Reason::NoCapital);
        }
    }
    let mwr = money_weighted(first.value, &whole.flows, last.value);
    if let Err(reason) = mwr {
        reasons.insert("returns.mwr_period", reason);
    }
    let twr = sub(linked.index.last().copied().unwrap_or(Decimal::ONE), Decimal::ONE)?;
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
        subperiods: Some(count(valuation.ticks.len() - 1)),
        unfunded_subperiods: Some(linked.unfunded),
        fallback_subperiods: Some(linked.fallback),
        estimated_large_flow_subperiods: Some(linked.estimated),
        wiped_out: Some(linked.wiped_out),
    };
    Ok(Performance { section, index: linked.index, gain, twr_annualized: twr_annualized.ok() })
}

impl Performance {
    fn none(index: Vec<Decimal>) -> Self {
        let section = Returns::default();
        Self { section, index, gain: Decimal::ZERO, twr_annualized: None }
    }
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
    let exponent = Decimal::from(YEAR_MICROS) / Decimal::from(micros);
    compounded(rate, exponent).ok_or(Reason::IrrNoRoot)
}

/// 365 days.
const YEAR_MICROS: i64 = 365 * 86_400 * 1_000_000;

#[derive(Debug, Default)]
struct Linked {
    index: Vec<Decimal>,
    unfunded: u64,
    fallback: u64,
    estimated: u64,
    wiped_out: bool,
}

fn link(ticks: &[Tick<'_>], border: &Border, config: &Config) -> Result<Linked, Failure> {
    let mut linked = Linked { index: vec![Decimal::ONE], ..Linked::default() };
    let mut index = Decimal::ONE;
    let flows: Vec<&External> = border.valued().collect();
    for (before, pair) in ticks.windows(2).enumerate() {
        let [start, end] = pair else { continue };
        let of_tick = |tick: usize| flows.partition_point(|flow| flow.tick < tick);
        let inside = flows.get(of_tick(before + 1)..of_tick(before + 2)).unwrap_or(&[]);
        index = linked
            .step(index, start, end, inside, config)
            .map_err(|Overflow| Failure::Tick(end.at))?;
        linked.index.push(index);
    }
    Ok(linked)
}

impl Linked {
    /// The index after one sub-period.
    fn step(
        &mut self,
        index: Decimal,
        start: &Tick<'_>,
        end: &Tick<'_>,
        flows: &[&External],
        config: &Config,
    ) -> Checked<Decimal> {
        let min_capital = config.min_capital.get();
        if start.value < min_capital || start.value <= Decimal::ZERO {
            self.unfunded += 1;
            return Ok(index);
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
            add_to(&mut capital, weighted(flow.value, flow.at, start.at, end.at)?)?;
        }
        if capital < min_capital || capital <= Decimal::ZERO {
            self.fallback += 1;
            capital = add(start.value, positive_sum(flows.iter().copied())?)?;
        }
        let factor = add(Decimal::ONE, div(gain, capital)?)?;
        if factor <= Decimal::ZERO {
            self.wiped_out = true;
        }
        if self.wiped_out {
            return Ok(Decimal::ZERO);
        }
        bounded(mul(index, factor)?)
    }
}

/// `value` times the share of the time from `start` to `end` that is left.
fn weighted(value: Decimal, at: Timestamp, start: Timestamp, end: Timestamp) -> Checked<Decimal> {
    mul(value, weight(at, start, end)?)
}

fn weight(at: Timestamp, start: Timestamp, end: Timestamp) -> Checked<Decimal> {
    div(seconds(end.micros_since(at)), seconds(end.micros_since(start)))
}

/// The whole period as one.
struct Whole {
    weighted_capital: Decimal,
    paid_in: Decimal,
    /// Value, weight.
    flows: Vec<(Decimal, Decimal)>,
}

impl Whole {
    fn new(first: &Tick<'_>, last: &Tick<'_>, border: &Border) -> Checked<Self> {
        let mut weighted_capital = first.value;
        let mut flows = Vec::new();
        for flow in border.valued() {
            let weight = weight(flow.at, first.at, last.at)?;
            add_to(&mut weighted_capital, mul(flow.value, weight)?)?;
            flows.push((flow.value, weight));
        }
        let paid_in = add(first.value, border.inflow()?)?;
        Ok(Self { weighted_capital, paid_in, flows })
    }
}

pub(crate) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
