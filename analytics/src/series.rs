//! The index day by day, for charts.
//!
//! Beside the result and not in it: each row follows from what the result's
//! own sections are calculated from. The last day's index is `1 + twr`, the
//! deepest of the drawdowns is `max_drawdown`, and the ticks add up to those
//! of the coverage. What a day keeps is enough for the figures of any run of
//! days ([`Days::figures`]), each tick of theirs counted.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::config::Config;
use crate::decimal::{Checked, Ratio, div, sub};
use crate::limits::SERIES_DAYS_MAX;
use crate::pack::packed;
use crate::risk::{change, risk_of_days};
use crate::time::{Day, Timestamp};

/// One row for each UTC day from the start of the session to the time asked
/// for; of more than [`SERIES_DAYS_MAX`] days, the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Series {
    pub days: Vec<SeriesDay>,
}

/// One UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesDay {
    pub day: Day,
    /// At the last complete tick of the day; `None` if it has none.
    pub index: Option<Ratio>,
    /// The deepest at any tick of the day, against the highest index so far;
    /// positive. `None` if the day has no complete tick.
    pub drawdown: Option<Ratio>,
    pub expected_ticks: u64,
    pub complete_ticks: u64,
}

/// The figures that claims are about, of the whole period or of a run of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    pub start: Timestamp,
    pub end: Timestamp,
    /// Complete ticks of those that were due.
    pub coverage: Ratio,
    /// Each of the others is `None` where the definitions give no number.
    pub twr: Option<Ratio>,
    pub max_drawdown: Option<Ratio>,
    pub volatility: Option<Ratio>,
    pub sharpe: Option<Ratio>,
    pub sortino: Option<Ratio>,
    pub win_rate_days: Option<Ratio>,
}

/// What the days so far add up to, but for those that are over.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Days {
    peak: Decimal,
    open: Option<Row>,
    last: Option<(Timestamp, Decimal)>,
}

packed!(Days { peak, open, last });

/// A day with a complete tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    day: Day,
    index: Decimal,
    drawdown: Decimal,
    ticks: u64,
    high: Decimal,
    low: Decimal,
    /// The deepest drawdown against a peak of the same day.
    fall: Decimal,
}

packed!(Row { day, index, drawdown, ticks, high, low, fall });

/// Days that are over, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Over {
    rows: Vec<Row>,
    /// The index at the midnight a day begins with, where a tick is near enough.
    openings: Vec<(Day, Decimal)>,
}

packed!(Over { rows, openings });

impl Over {
    /// Appends what is newer, and forgets the oldest there are too many of.
    pub(crate) fn append(&mut self, mut newer: Self) {
        self.rows.append(&mut newer.rows);
        self.rows.drain(..self.rows.len().saturating_sub(SERIES_DAYS_MAX));
        self.openings.append(&mut newer.openings);
        self.openings.drain(..self.openings.len().saturating_sub(SERIES_DAYS_MAX));
    }
}

impl Days {
    /// Takes the index of one more tick in; what is over goes to `over`.
    pub(crate) fn advance(
        &mut self,
        config: &Config,
        at: Timestamp,
        index: Decimal,
        over: &mut Over,
    ) -> Checked<()> {
        // The midnight of a tick of its own is that tick's.
        let before = Timestamp::from_micros(at.as_micros().saturating_sub(1));
        over.openings.extend(self.openings_until(config, before));
        if at == at.day().start() {
            over.openings.push((at.day(), index));
        }
        self.last = Some((at, index));
        self.peak = self.peak.max(index);
        let drawdown = fall(self.peak, index)?;
        let (high, low) = (index, index);
        let new = Row { day: at.day(), index, drawdown, ticks: 0, high, low, fall: Decimal::ZERO };
        let row = self.open.get_or_insert(new);
        if row.day != new.day {
            over.rows.push(std::mem::replace(row, new));
        }
        row.index = index;
        row.drawdown = row.drawdown.max(drawdown);
        row.ticks += 1;
        row.high = row.high.max(index);
        row.low = row.low.min(index);
        row.fall = row.fall.max(fall(row.high, index)?);
        Ok(())
    }

    /// The midnights after the last tick and up to `until` that it is near enough to stand for.
    fn openings_until(&self, config: &Config, until: Timestamp) -> Vec<(Day, Decimal)> {
        let Some((at, index)) = self.last else { return Vec::new() };
        let oldest = at.plus_seconds(config.boundary_max_age_s.into()).min(until);
        at.day().plus(1).through(oldest.day()).map(|day| (day, index)).collect()
    }

    /// The figures of the days from `from` up to and without `until`, of which all have ended.
    /// `None` if the index at either end is not known.
    pub(crate) fn figures(
        &self,
        over: [&Over; 2],
        config: &Config,
        (from, until): (Day, Day),
        as_of: Timestamp,
    ) -> Checked<Option<Figures>> {
        let rows = self.rows(over);
        let known = over.into_iter().flat_map(|over| over.openings.iter().copied());
        let openings: BTreeMap<Day, Decimal> =
            known.chain(self.openings_until(config, as_of)).collect();
        let opening = |day: Day| openings.get(&day).copied();
        let (Some(start), Some(end)) = (opening(from), opening(until)) else { return Ok(None) };
        if start.is_zero() || until.start() > as_of {
            return Ok(None);
        }
        let (mut peak, mut deepest, mut returns) = (start, Decimal::ZERO, Vec::new());
        let (mut due, mut complete) = (0, 0);
        for day in from.through(until.plus(-1)) {
            due += expected(config, day, as_of);
            if let (Some(opening), Some(closing)) = (opening(day), opening(day.plus(1))) {
                returns.push(change(opening, closing)?);
            }
            if let Some(row) = rows.get(&day) {
                complete += row.ticks;
                deepest = deepest.max(row.fall).max(fall(peak, row.low)?);
                peak = peak.max(row.high);
            }
        }
        let daily = risk_of_days(&returns, config)?;
        Ok(Some(Figures {
            start: from.start(),
            end: until.start(),
            coverage: Ratio::new(div(complete.into(), Decimal::from(due).max(Decimal::ONE))?),
            twr: Some(Ratio::new(change(start, end)?)),
            max_drawdown: Some(Ratio::new(deepest.max(fall(peak, end)?))),
            volatility: daily.volatility,
            sharpe: daily.sharpe,
            sortino: daily.sortino,
            win_rate_days: daily.win_rate_days,
        }))
    }

    /// All rows; `over` are the days that are, in order.
    fn rows(&self, over: [&Over; 2]) -> BTreeMap<Day, Row> {
        let rows = over.into_iter().flat_map(|over| &over.rows).chain(&self.open);
        rows.map(|row| (row.day, *row)).collect()
    }

    /// The rows up to `as_of`; `over` are the days that are, in order.
    pub(crate) fn finish(&self, over: [&Over; 2], config: &Config, as_of: Timestamp) -> Series {
        if as_of < config.session_start {
            return Series::default();
        }
        let rows = self.rows(over);
        let last = as_of.day();
        let max = i64::try_from(SERIES_DAYS_MAX).unwrap_or(i64::MAX);
        let first = config.session_start.day().max(last.plus(1 - max));
        let days = first.through(last).map(|day| {
            let row = rows.get(&day);
            SeriesDay {
                day,
                index: row.map(|row| Ratio::new(row.index)),
                drawdown: row.map(|row| Ratio::new(row.drawdown)),
                expected_ticks: expected(config, day, as_of),
                complete_ticks: row.map_or(0, |row| row.ticks),
            }
        });
        Series { days: days.collect() }
    }
}

/// How far `index` is below `peak`.
fn fall(peak: Decimal, index: Decimal) -> Checked<Decimal> {
    if peak.is_zero() { Ok(Decimal::ZERO) } else { sub(Decimal::ONE, div(index, peak)?) }
}

/// Polls due on `day` and up to `as_of`.
fn expected(config: &Config, day: Day, as_of: Timestamp) -> u64 {
    let before = Timestamp::from_micros(day.start().as_micros().saturating_sub(1));
    let through = Timestamp::from_micros(day.plus(1).start().as_micros().saturating_sub(1));
    config.polls_due(through.min(as_of)).saturating_sub(config.polls_due(before))
}
