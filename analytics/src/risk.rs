//! Risk, from the index and never from the value: flows are no risk.
//!
//! Ratios come from UTC days; the drawdown from every tick. Nothing but sums
//! is kept: mean and deviation by Welford's method.

use rust_decimal::Decimal;

use crate::approx::compounded;
use crate::config::Config;
use crate::decimal::{Checked, Overflow, Ratio, add, add_to, div, mul, sqrt, sub};
use crate::pack::packed;
use crate::result::{Reason, Reasons, Risk};
use crate::time::Timestamp;

/// Days of a year, of a market that never closes.
const YEAR_DAYS: u32 = 365;

/// What the ticks so far say about risk.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exposure {
    ticks: Option<Ticks>,
    days: Days,
}

packed!(Exposure { ticks, days });

#[derive(Clone, Debug, PartialEq)]
struct Ticks {
    drawdown: Drawdown,
    /// The last tick and its index.
    at: Timestamp,
    index: Decimal,
    /// The last midnight that a later tick is known for, and the index at it.
    midnight: Timestamp,
    opening: Option<Decimal>,
}

packed!(Ticks { drawdown, at, index, midnight, opening });

impl Exposure {
    /// Takes the index of one more tick in.
    pub(crate) fn advance(
        &mut self,
        at: Timestamp,
        index: Decimal,
        config: &Config,
    ) -> Checked<()> {
        let Some(ticks) = &mut self.ticks else {
            let midnight = at.day_start();
            let opening = (at == midnight).then_some(index);
            let drawdown = Drawdown::new(at, index);
            self.ticks = Some(Ticks { drawdown, at, index, midnight, opening });
            return Ok(());
        };
        while ticks.midnight.next_day() < at {
            ticks.close_day(&mut self.days, config);
        }
        ticks.drawdown.advance(at, index)?;
        (ticks.at, ticks.index) = (at, index);
        Ok(())
    }

    /// The section, with a reason noted for each ratio that is missing.
    pub(crate) fn finish(
        mut self,
        twr_annualized: Option<Decimal>,
        config: &Config,
        as_of: Timestamp,
        reasons: &mut Reasons,
    ) -> Checked<Risk> {
        let mut risk = Risk::default();
        let mut depth = None;
        if let Some(ticks) = &mut self.ticks {
            // A last day that ended with as_of counts if a tick is near enough.
            loop {
                let midnight = ticks.midnight.next_day();
                let ended =
                    midnight <= ticks.at || (midnight <= as_of && ticks.fresh_at(midnight, config));
                if !ended {
                    break;
                }
                ticks.close_day(&mut self.days, config);
            }
            let deepest = &ticks.drawdown;
            risk.max_drawdown = Some(Ratio::new(deepest.depth));
            risk.max_drawdown_peak = deepest.fall.map(|fall| fall.peak);
            risk.max_drawdown_trough = deepest.fall.map(|fall| fall.trough);
            risk.max_drawdown_recovered = deepest.fall.and_then(|fall| fall.recovered);
            risk.current_drawdown = Some(Ratio::new(deepest.current));
            depth = Some(deepest.depth).filter(|depth| !depth.is_zero());
        }
        match (twr_annualized, depth) {
            (Some(yearly), Some(depth)) => risk.calmar = Some(Ratio::new(div(yearly, depth)?)),
            (Some(_), None) => note(reasons, "risk.calmar", Reason::NoDrawdown),
            (None, _) => {
                let why = reasons.get("returns.twr_annualized").copied();
                note(reasons, "risk.calmar", why.unwrap_or(Reason::PeriodShorterThanOneYear));
            }
        }
        self.days.finish(config, &mut risk, reasons)?;
        Ok(risk)
    }
}

impl Ticks {
    /// Whether the last tick can stand for a midnight after it.
    fn fresh_at(&self, midnight: Timestamp, config: &Config) -> bool {
        self.at >= midnight.minus_seconds(config.boundary_max_age_s.into())
    }

    /// The next midnight has the index of the last tick, if that is near.
    fn close_day(&mut self, days: &mut Days, config: &Config) {
        self.midnight = self.midnight.next_day();
        let closing = self.fresh_at(self.midnight, config).then_some(self.index);
        match (self.opening, closing) {
            (Some(opening), Some(closing)) => {
                let earned = change(opening, closing);
                let mut next = days.clone();
                let taken = earned.and_then(|r| next.add(r, self.midnight, config));
                // A day past the range of decimals is no day to compare with.
                match taken {
                    Ok(()) => *days = next,
                    Err(Overflow) => days.excluded += 1,
                }
            }
            _ => days.excluded += 1,
        }
        self.opening = closing;
    }
}

/// The return of one day.
pub(crate) fn change(opening: Decimal, closing: Decimal) -> Checked<Decimal> {
    if opening.is_zero() { Ok(opening) } else { sub(div(closing, opening)?, Decimal::ONE) }
}

/// The part of the section that follows from the returns of whole days; empty
/// under two of them.
pub(crate) fn risk_of_days(returns: &[Decimal], config: &Config) -> Checked<Risk> {
    let mut days = Days::default();
    for r in returns {
        days.add(*r, Timestamp::default(), config)?;
    }
    let mut risk = Risk::default();
    days.finish(config, &mut risk, &mut Reasons::new())?;
    Ok(risk)
}

fn note(reasons: &mut Reasons, key: &'static str, reason: Reason) {
    reasons.insert(key, reason);
}

/// The rate of one day.
fn risk_free(config: &Config) -> Checked<Decimal> {
    let daily = div(Decimal::ONE, Decimal::from(YEAR_DAYS))?;
    let annual = config.risk_free_annual.get();
    if annual.is_zero() { Ok(annual) } else { compounded(annual, daily).ok_or(Overflow) }
}

/// Sums over the returns of all UTC days both of whose midnights have an
/// index.
///
/// Days are counted from the one the first tick lies in to the last one that
/// has ended; those without both midnights are excluded.
#[derive(Clone, Debug, Default, PartialEq)]
struct Days {
    count: u64,
    excluded: u64,
    mean: Decimal,
    /// Sum of the squared distances from the mean.
    squares: Decimal,
    /// Sum of the squared distances below the risk-free rate.
    below: Decimal,
    wins: u64,
    losses: u64,
    gained: Decimal,
    lost: Decimal,
    best: Decimal,
    worst: Decimal,
    compound: Option<Drawdown>,
}

packed!(Days {
    count,
    excluded,
    mean,
    squares,
    below,
    wins,
    losses,
    gained,
    lost,
    best,
    worst,
    compound,
});

impl Days {
    /// One more day, which ended at `midnight`.
    fn add(&mut self, r: Decimal, midnight: Timestamp, config: &Config) -> Checked<()> {
        self.count += 1;
        let off = sub(r, self.mean)?;
        add_to(&mut self.mean, div(off, self.count.into())?)?;
        add_to(&mut self.squares, mul(off, sub(r, self.mean)?)?)?;
        let below = sub(r, risk_free(config)?)?.min(Decimal::ZERO);
        add_to(&mut self.below, mul(below, below)?)?;
        if r > Decimal::ZERO {
            self.wins += 1;
            add_to(&mut self.gained, r)?;
        } else if r < Decimal::ZERO {
            self.losses += 1;
            add_to(&mut self.lost, r)?;
        }
        let first = self.count == 1;
        self.best = if first { r } else { self.best.max(r) };
        self.worst = if first { r } else { self.worst.min(r) };
        let compound = self.compound.get_or_insert_with(|| Drawdown::new(midnight, Decimal::ONE));
        compound.advance(midnight, mul(compound.value, add(Decimal::ONE, r)?)?)
    }

    fn finish(&self, config: &Config, risk: &mut Risk, reasons: &mut Reasons) -> Checked<()> {
        risk.days = self.count;
        risk.days_excluded = self.excluded;
        if self.count < 2 {
            note(reasons, "risk", Reason::FewerThanTwoFullDays);
            return Ok(());
        }
        let n = Decimal::from(self.count);
        let year = sqrt(Decimal::from(YEAR_DAYS))?;
        let deviation = sqrt(div(self.squares, sub(n, Decimal::ONE)?)?)?;
        risk.volatility = Some(Ratio::new(mul(deviation, year)?));
        let excess = sub(self.mean, risk_free(config)?)?;
        if deviation.is_zero() {
            note(reasons, "risk.sharpe", Reason::ZeroVolatility);
        } else {
            risk.sharpe = Some(Ratio::new(mul(div(excess, deviation)?, year)?));
        }
        let downside = sqrt(div(self.below, n)?)?;
        if downside.is_zero() {
            note(reasons, "risk.sortino", Reason::NoDownside);
        } else {
            risk.sortino = Some(Ratio::new(mul(div(excess, downside)?, year)?));
        }
        risk.best_day = Some(Ratio::new(self.best));
        risk.worst_day = Some(Ratio::new(self.worst));
        let (wins, moved) = (Decimal::from(self.wins), Decimal::from(self.wins + self.losses));
        if !moved.is_zero() {
            risk.win_rate_days = Some(Ratio::new(div(wins, moved)?));
        }
        if !self.lost.is_zero() {
            risk.profit_factor_days = Some(Ratio::new(div(self.gained, -self.lost)?));
        }
        risk.max_drawdown_daily = self.compound.as_ref().map(|it| Ratio::new(it.depth));
        Ok(())
    }
}

/// The deepest fall of a series from its peak. The first value is the first
/// peak.
#[derive(Clone, Debug, PartialEq)]
struct Drawdown {
    value: Decimal,
    /// The highest value so far, and when it last stood.
    peak: Decimal,
    peak_at: Timestamp,
    depth: Decimal,
    fall: Option<Fall>,
    current: Decimal,
}

packed!(Drawdown { value, peak, peak_at, depth, fall, current });

#[derive(Clone, Copy, Debug, PartialEq)]
struct Fall {
    /// What it fell from, and when that last stood.
    from: Decimal,
    peak: Timestamp,
    trough: Timestamp,
    /// The first time at or above the peak again.
    recovered: Option<Timestamp>,
}

packed!(Fall { from, peak, trough, recovered });

impl Drawdown {
    fn new(at: Timestamp, value: Decimal) -> Self {
        let (depth, current) = (Decimal::ZERO, Decimal::ZERO);
        Self { value, peak: value, peak_at: at, depth, fall: None, current }
    }

    fn advance(&mut self, at: Timestamp, value: Decimal) -> Checked<()> {
        self.value = value;
        if let Some(fall) = &mut self.fall
            && fall.recovered.is_none()
            && value >= fall.from
        {
            fall.recovered = Some(at);
        }
        if value >= self.peak {
            (self.peak, self.peak_at) = (value, at);
        }
        self.current = if self.peak.is_zero() {
            Decimal::ZERO
        } else {
            sub(Decimal::ONE, div(value, self.peak)?)?
        };
        if self.current > self.depth {
            self.depth = self.current;
            let (from, peak) = (self.peak, self.peak_at);
            self.fall = Some(Fall { from, peak, trough: at, recovered: None });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(texts: &[&str]) -> Vec<Decimal> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// Times are places in the series.
    fn drawdown(texts: &[&str]) -> Drawdown {
        let series = numbers(texts);
        let mut drawdown = Drawdown::new(at(0), series[0]);
        for (place, value) in series.into_iter().enumerate().skip(1) {
            drawdown.advance(at(i64::try_from(place).unwrap()), value).unwrap();
        }
        drawdown
    }

    const fn at(place: i64) -> Timestamp {
        Timestamp::from_micros(place)
    }

    fn daily(returns: &[Decimal], config: &Config) -> (Risk, Reasons) {
        let mut days = Days::default();
        for (day, r) in returns.iter().enumerate() {
            days.add(*r, at(i64::try_from(day).unwrap()), config).unwrap();
        }
        let (mut risk, mut reasons) = (Risk::default(), Reasons::new());
        days.finish(config, &mut risk, &mut reasons).unwrap();
        (risk, reasons)
    }

    #[test]
    fn a_loss_on_the_first_day_is_a_drawdown() {
        let found = drawdown(&["1", "0.9", "0.95"]);
        let fall = found.fall.unwrap();
        assert_eq!(found.depth, Decimal::new(1, 1));
        assert_eq!((fall.peak, fall.trough, fall.recovered), (at(0), at(1), None));
    }

    #[test]
    fn the_peak_is_where_it_last_stood_and_recovery_where_it_stands_again() {
        let found = drawdown(&["1", "1.2", "1.2", "0.6", "0.9", "1.2", "1.3", "1.0"]);
        let fall = found.fall.unwrap();
        assert_eq!(found.depth, Decimal::new(5, 1));
        assert_eq!((fall.peak, fall.trough, fall.recovered), (at(2), at(3), Some(at(5))));
        let flat = drawdown(&["1", "1"]);
        assert_eq!((flat.depth, flat.fall), (Decimal::ZERO, None));
    }

    #[test]
    fn seven_days_give_the_ratios_other_libraries_give() {
        let returns = numbers(&["0.012", "-0.008", "0.004", "0", "-0.015", "0.021", "0.003"]);
        let mut config = Config::new("USD".parse().unwrap(), Timestamp::default());
        config.risk_free_annual = "0.04".parse().unwrap();
        let (risk, _) = daily(&returns, &config);
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
        let third = div(Decimal::ONE, Decimal::from(3)).unwrap();
        let (risk, reasons) = daily(&[third, third, third], &config);
        assert_eq!((risk.sharpe, risk.sortino, risk.profit_factor_days), (None, None, None));
        assert_eq!(reasons.get("risk.sharpe"), Some(&Reason::ZeroVolatility));
        assert_eq!(reasons.get("risk.sortino"), Some(&Reason::NoDownside));
    }

    /// The deviation of all returns at once, as the textbooks have it.
    #[test]
    fn a_streamed_deviation_is_the_batch_deviation() {
        let returns = numbers(&["0.012", "-0.008", "0.004", "0", "-0.015", "0.021", "0.003"]);
        let n = Decimal::from(returns.len());
        let mean = returns.iter().sum::<Decimal>() / n;
        let squares: Decimal = returns.iter().map(|r| (r - mean) * (r - mean)).sum();
        let batch = sqrt(squares / (n - Decimal::ONE)).unwrap();
        let config = Config::new("USD".parse().unwrap(), Timestamp::default());
        let yearly = batch * sqrt(Decimal::from(365)).unwrap();
        assert_eq!(Some(Ratio::new(yearly)), daily(&returns, &config).0.volatility);
    }
}
