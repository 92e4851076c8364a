//! How far the data can be trusted.

use rust_decimal::Decimal;

use crate::config::Config;
use crate::decimal::{Checked, Money, Ratio, add_to, div};
use crate::ledger::Counts;
use crate::pack::packed;
use crate::result::Quality;
use crate::time::Timestamp;

/// What is counted sub-period by sub-period.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    complete: u64,
    pub(crate) incomplete: u64,
    pub(crate) pre_baseline: u64,
    /// Longest time without a complete tick so far, in microseconds.
    gap: i64,
    unexplained_in: Decimal,
    unexplained_out: Decimal,
    unreconciled: u64,
    pub(crate) skew_pairs: u64,
}

packed!(Tally {
    complete,
    incomplete,
    pre_baseline,
    gap,
    unexplained_in,
    unexplained_out,
    unreconciled,
    skew_pairs,
});

impl Tally {
    /// One more complete tick; `since` is the one before, or the start.
    pub(crate) fn tick(&mut self, since: Timestamp, at: Timestamp) {
        self.complete += 1;
        self.gap = self.gap.max(at.micros_since(since));
    }

    /// What one account cannot explain at one tick, in sum.
    pub(crate) fn unexplained(&mut self, net: Decimal) -> Checked<()> {
        self.unreconciled += 1;
        let side = if net.is_sign_negative() {
            &mut self.unexplained_out
        } else {
            &mut self.unexplained_in
        };
        add_to(side, net.abs())
    }

    /// The section; `since` is the last complete tick, or the start.
    pub(crate) fn finish(
        &self,
        counts: Counts,
        since: Timestamp,
        config: &Config,
        as_of: Timestamp,
    ) -> Checked<Quality> {
        let expected = config.polls_due(as_of);
        let coverage =
            if expected == 0 { Decimal::ZERO } else { div(self.complete.into(), expected.into())? };
        let gap = self.gap.max(as_of.micros_since(since));
        Ok(Quality {
            expected_ticks: expected,
            complete_ticks: self.complete,
            incomplete_ticks: self.incomplete,
            coverage: Ratio::new(coverage),
            duplicates: counts.duplicates,
            conflicts: counts.conflicts,
            late_rejected: counts.late,
            out_of_order: counts.out_of_order,
            rejected: counts.rejected,
            pre_baseline: self.pre_baseline,
            not_completed: counts.not_completed,
            max_gap_s: u64::try_from(gap / 1_000_000).unwrap_or(0),
            unexplained_in: Money::new(self.unexplained_in),
            unexplained_out: Money::new(self.unexplained_out),
            unreconciled: self.unreconciled,
            skew_pairs: self.skew_pairs,
        })
    }
}
