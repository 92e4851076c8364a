//! Risk, from the index and never from the value: flows are no risk.
//!
//! Ratios come from UTC days; the drawdown from every tick.

use rust_decimal::Decimal;

use crate::approx::compounded;
use crate::config::Config;
use crate::decimal::{Checked, Overflow, Ratio, add, add_to, div, mul, sqrt, sub, sum};
use crate::result::{Reason, Reasons, Risk};
use crate::returns::{Performance, count};
use crate::time::Timestamp;

/// Days of a year, of a market that never closes.
const YEAR_DAYS: u32 = 365;

/// Calculates the section and notes a reason for each ratio that is missing.
pub(crate) fn risk(
    times: &[Timestamp],
    performance: &Performance,
    config: &Config,
    as_of: Timestamp,
    reasons: &mut Reasons,
) -> Checked<Risk> {
    let index = &performance.index;
    let days = days(times, index, config, as_of)?;
    let mut risk =
        Risk { days: count(days.returns.len()), days_excluded: days.excluded, ..Risk::default() };
    let drawdown = drawdown(index)?;
    let at = |tick: usize| times.get(tick).copied();
    if let Some(drawdown) = &drawdown {
        risk.max_drawdown = Some(Ratio::new(drawdown.depth));
        risk.max_drawdown_peak = drawdown.peak.and_then(at);
        risk.max_drawdown_trough = drawdown.trough.and_then(at);
        risk.max_drawdown_recovered = drawdown.recovered.and_then(at);
        risk.current_drawdown = Some(Ratio::new(drawdown.current));
    }
    let depth = drawdown.map(|drawdown| drawdown.depth).filter(|depth| !depth.is_zero());
    match (performance.twr_annualized, depth) {
        (Some(yearly), Some(depth)) => risk.calmar = Some(Ratio::new(div(yearly, depth)?)),
        (Some(_), None) => note(reasons, "risk.calmar", Reason::NoDrawdown),
        (None, _) => {
            let why = reasons.get("returns.twr_annualized").copied();
            note(reasons, "risk.calmar", why.unwrap_or(Reason::PeriodShorterThanOneYear));
        }
    }
    if days.returns.len() < 2 {
        note(reasons, "risk", Reason::FewerThanTwoFullDays);
        return Ok(risk);
    }
    daily(&days.returns, config, &mut risk, reasons)?;
    Ok(risk)
}

fn note(reasons: &mut Reasons, key: &'static str, reason: Reason) {
    reasons.insert(key, reason);
}

#[derive(Debug, Default)]
struct Days {
    returns: Vec<Decimal>,
    excluded: u64,
}

/// The return of each UTC day both of whose midnights have an index.
///
/// Days are counted from the one the first tick lies in to the last one that
/// has ended; those without both midnights are excluded.
fn days(
    times: &[Timestamp],
    index: &[Decimal],
    config: &Config,
    as_of: Timestamp,
) -> Checked<Days> {
    let mut days = Days::default();
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else { return Ok(days) };
    let oldest = i64::from(config.boundary_max_age_s);
    let at_midnight = |midnight: Timestamp| {
        let newest = times.partition_point(|time| *time <= midnight).checked_sub(1)?;
        let fresh = *times.get(newest)? >= midnight.minus_seconds(oldest);
        fresh.then(|| index.get(newest).copied()).flatten()
    };
    let mut midnight = first.day_start();
    let mut opening = at_midnight(midnight);
    loop {
        midnight = midnight.next_day();
        // A last day that ended with as_of counts if a tick is near enough.
        let ended = midnight <= last || (midnight <= as_of && at_midnight(midnight).is_some());
        if !ended {
            return Ok(days);
        }
        let closing = at_midnight(midnight);
        match (opening, closing) {
            (Some(opening), Some(closing)) => days.returns.push(change(opening, closing)?),
            _ => days.excluded += 1,
        }
        opening = closing;
    }
}

/// The return of one day.
pub(crate) fn change(opening: Decimal, closing: Decimal) -> Checked<Decimal> {
    if opening.is_zero() { Ok(opening) } else { sub(div(closing, opening)?, Decimal::ONE) }
}

/// The part of the section that follows from the returns of whole days; empty under two of them.
pub(crate) fn risk_of_days(returns: &[Decimal], config: &Config) -> Checked<Risk> {
    let mut risk = Risk::default();
    if returns.len() >= 2 {
        daily(returns, config, &mut risk, &mut Reasons::new())?;
    }
    Ok(risk)
}

fn daily(
    returns: &[Decimal],
    config: &Config,
    risk: &mut Risk,
    reasons: &mut Reasons,
) -> Checked<()> {
    let n = Decimal::from(returns.len());
    let year = sqrt(Decimal::from(YEAR_DAYS))?;
    let mean = div(sum(returns.iter().copied())?, n)?;
    let deviation = {
        let mut squares = Decimal::ZERO;
        for r in returns {
            let off = sub(*r, mean)?;
            add_to(&mut squares, mul(off, off)?)?;
        }
        sqrt(div(squares, sub(n, Decimal::ONE)?)?)?
    };
    risk.volatility = Some(Ratio::new(mul(deviation, year)?));

    let risk_free = {
        let daily = div(Decimal::ONE, Decimal::from(YEAR_DAYS))?;
        let annual = config.risk_free_annual.get();
        if annual.is_zero() { annual } else { compounded(annual, daily).ok_or(Overflow)? }
    };
    let excess = sub(mean, risk_free)?;
    if deviation.is_zero() {
        note(reasons, "risk.sharpe", Reason::ZeroVolatility);
    } else {
        risk.sharpe = Some(Ratio::new(mul(div(excess, deviation)?, year)?));
    }
    let mut squares = Decimal::ZERO;
    for r in returns {
        let below = sub(*r, risk_free)?.min(Decimal::ZERO);
        add_to(&mut squares, mul(below, below)?)?;
    }
    let downside = sqrt(div(squares, n)?)?;
    if downside.is_zero() {
        note(reasons, "risk.sortino", Reason::NoDownside);
    } else {
        risk.sortino = Some(Ratio::new(mul(div(excess, downside)?, year)?));
    }

    risk.best_day = returns.iter().max().copied().map(Ratio::new);
    risk.worst_day = returns.iter().min().copied().map(Ratio::new);
    let wins = Decimal::from(returns.iter().filter(|r| **r > Decimal::ZERO).count());
    let losses = Decimal::from(returns.iter().filter(|r| **r < Decimal::ZERO).count());
    let moved = add(wins, losses)?;
    if !moved.is_zero() {
        risk.win_rate_days = Some(Ratio::new(div(wins, moved)?));
    }
    let gained = sum(returns.iter().copied().filter(|r| *r > Decimal::ZERO))?;
    let lost = sum(returns.iter().copied().filter(|r| *r < Decimal::ZERO))?;
    if !lost.is_zero() {
        risk.profit_factor_days = Some(Ratio::new(div(gained, -lost)?));
    }

    let mut compound = vec![Decimal::ONE];
    for r in returns {
        let before = compound.last().copied().unwrap_or(Decimal::ONE);
        compound.push(mul(before, add(Decimal::ONE, *r)?)?);
    }
    let depth = drawdown(&compound)?.map(|drawdown| drawdown.depth);
    risk.max_drawdown_daily = depth.map(Ratio::new);
    Ok(())
}

/// The deepest fall from a peak, as indices into the series.
#[derive(Debug, PartialEq, Eq)]
struct Drawdown {
    depth: Decimal,
    /// Where the peak last stood.
    peak: Option<usize>,
    trough: Option<usize>,
    /// The first point at or above the peak again.
    recovered: Option<usize>,
    current: Decimal,
}

/// `None` of an empty series. The first value is the first peak.
fn drawdown(series: &[Decimal]) -> Checked<Option<Drawdown>> {
    let Some(&first) = series.first() else { return Ok(None) };
    let mut peak = (0, first);
    let mut deepest = Drawdown {
        depth: Decimal::ZERO,
        peak: None,
        trough: None,
        recovered: None,
        current: Decimal::ZERO,
    };
    let mut deepest_peak = first;
    for (at, &value) in series.iter().enumerate() {
        if deepest.trough.is_some() && deepest.recovered.is_none() && value >= deepest_peak {
            deepest.recovered = Some(at);
        }
        if value >= peak.1 {
            peak = (at, value);
        }
        deepest.current =
            if peak.1.is_zero() { Decimal::ZERO } else { sub(Decimal::ONE, div(value, peak.1)?)? };
        if deepest.current > deepest.depth {
            deepest.depth = deepest.current;
            deepest.peak = Some(peak.0);
            deepest.trough = Some(at);
            deepest.recovered = None;
            deepest_peak = peak.1;
        }
    }
    Ok(Some(deepest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_loss_on_the_first_day_is_a_drawdown() {
        let found = drawdown(&numbers(&["1", "0.9", "0.95"])).unwrap().unwrap();
        assert_eq!(found.depth, Decimal::new(1, 1));
        assert_eq!((found.peak, found.trough, found.recovered), (Some(0), Some(1), None));
    }

    #[test]
    fn the_peak_is_where_it_last_stood_and_recovery_where_it_stands_again() {
        let series = numbers(&["1", "1.2", "1.2", "0.6", "0.9", "1.2", "1.3", "1.0"]);
        let found = drawdown(&series).unwrap().unwrap();
        assert_eq!(found.depth, Decimal::new(5, 1));
        assert_eq!((found.peak, found.trough, found.recovered), (Some(2), Some(3), Some(5)));
        let flat = drawdown(&numbers(&["1", "1"])).unwrap().unwrap();
        assert_eq!((flat.depth, flat.peak, flat.trough), (Decimal::ZERO, None, None));
    }

    #[test]
    fn seven_days_give_the_ratios_other_libraries_give() {
        let returns = numbers(&["0.012", "-0.008", "0.004", "0", "-0.015", "0.021", "0.003"]);
        let mut config = Config::new("USD".parse().unwrap(), Timestamp::default());
        config.risk_free_annual = "0.04".parse().unwrap();
        let mut risk = Risk::default();
        daily(&returns, &config, &mut risk, &mut Reasons::new()).unwrap();
        for (got, wanted) in [
            (risk.volatility, "0.2284242085"),
            (risk.sharpe, "3.7089140262"),
            (risk.sortino, "6.8428058900"),
            (risk.max_drawdown_daily, "0.01897152"),
            (risk.win_rate_days, "0.6666666667"),
            (risk.profit_factor_days, "1.7391304348"),
        ] {
            let off = (got.unwrap().get() - wanted.parse::<Decimal>().unwrap()).abs();
            assert!(off < Decimal::new(1, 9), "{got:?} is not {wanted}");
        }
    }

    #[test]
    fn ratios_without_deviation_or_losses_have_a_reason() {
        let config = Config::new("USD".parse().unwrap(), Timestamp::default());
        let (mut risk, mut reasons) = (Risk::default(), Reasons::new());
        daily(&numbers(&["0.01", "0.01"]), &config, &mut risk, &mut reasons).unwrap();
        assert_eq!((risk.sharpe, risk.sortino, risk.profit_factor_days), (None, None, None));
        assert_eq!(reasons.get("risk.sharpe"), Some(&Reason::ZeroVolatility));
        assert_eq!(reasons.get("risk.sortino"), Some(&Reason::NoDownside));
    }

    /// Streaming (Welford) and batch deviation agree.
    #[test]
    fn deviation_can_be_streamed() {
        let returns = numbers(&["0.012", "-0.008", "0.004", "0", "-0.015", "0.021", "0.003"]);
        let (mut n, mut mean, mut squares) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for r in &returns {
            n += Decimal::ONE;
            let off = *r - mean;
            mean += off / n;
            squares += off * (*r - mean);
        }
        let streamed = sqrt(squares / (n - Decimal::ONE)).unwrap();
        let config = Config::new("USD".parse().unwrap(), Timestamp::default());
        let mut risk = Risk::default();
        daily(&returns, &config, &mut risk, &mut Reasons::new()).unwrap();
        let yearly = streamed * sqrt(Decimal::from(365)).unwrap();
        assert_eq!(Ratio::new(yearly), risk.volatility.unwrap());
    }
}
