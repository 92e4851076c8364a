//! The index day by day, for charts.
//!
//! Beside the result and not in it: each row follows from what the result's
//! own sections are calculated from. The last day's index is `1 + twr`, the
//! deepest of the drawdowns is `max_drawdown`, and the ticks add up to those
//! of the coverage.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::config::Config;
use crate::decimal::{Checked, Ratio, div, sub};
use crate::limits::SERIES_DAYS_MAX;
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

/// What the days so far add up to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Days {
    peak: Decimal,
    days: BTreeMap<Day, Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    index: Decimal,
    drawdown: Decimal,
    ticks: u64,
}

impl Days {
    /// Takes the index of one more tick in.
    pub(crate) fn advance(&mut self, at: Timestamp, index: Decimal) -> Checked<()> {
        self.peak = self.peak.max(index);
        let drawdown = if self.peak.is_zero() {
            Decimal::ZERO
        } else {
            sub(Decimal::ONE, div(index, self.peak)?)?
        };
        let row = self.days.entry(at.day()).or_insert(Row { index, drawdown, ticks: 0 });
        row.index = index;
        row.drawdown = row.drawdown.max(drawdown);
        row.ticks += 1;
        if self.days.len() > SERIES_DAYS_MAX {
            self.days.pop_first();
        }
        Ok(())
    }

    /// The rows up to `as_of`.
    pub(crate) fn finish(&self, config: &Config, as_of: Timestamp) -> Series {
        if as_of < config.session_start {
            return Series::default();
        }
        let last = as_of.day();
        let max = i64::try_from(SERIES_DAYS_MAX).unwrap_or(i64::MAX);
        let first = config.session_start.day().max(last.plus(1 - max));
        let days = first.through(last).map(|day| {
            let row = self.days.get(&day);
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

/// Polls due on `day` and up to `as_of`.
fn expected(config: &Config, day: Day, as_of: Timestamp) -> u64 {
    let before = Timestamp::from_micros(day.start().as_micros().saturating_sub(1));
    let through = Timestamp::from_micros(day.plus(1).start().as_micros().saturating_sub(1));
    config.polls_due(through.min(as_of)).saturating_sub(config.polls_due(before))
}
