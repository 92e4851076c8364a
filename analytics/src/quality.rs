//! How far the data can be trusted.

use crate::config::Config;
use crate::decimal::{Checked, Money, Ratio, add_to, div};
use crate::ledger::Counts;
use crate::reconcile::Reconciled;
use crate::result::Quality;
use crate::returns::count;
use crate::time::Timestamp;
use crate::valuation::Valuation;

pub(crate) fn quality(
    valuation: &Valuation<'_>,
    counts: Counts,
    pre_baseline: u64,
    reconciled: &Reconciled,
    config: &Config,
    as_of: Timestamp,
) -> Checked<Quality> {
    let (mut unexplained_in, mut unexplained_out) = Default::default();
    for rest in &reconciled.unexplained {
        let side =
            if rest.net.is_sign_negative() { &mut unexplained_out } else { &mut unexplained_in };
        add_to(side, rest.net.abs())?;
    }
    let expected = config.polls_due(as_of);
    let complete = count(valuation.ticks.len());
    let coverage = if expected == 0 {
        rust_decimal::Decimal::ZERO
    } else {
        div(complete.into(), expected.into())?
    };
    Ok(Quality {
        expected_ticks: expected,
        complete_ticks: complete,
        incomplete_ticks: valuation.incomplete,
        coverage: Ratio::new(coverage),
        duplicates: counts.duplicates,
        conflicts: counts.conflicts,
        late_rejected: counts.late,
        out_of_order: counts.out_of_order,
        rejected: counts.rejected,
        pre_baseline,
        not_completed: counts.not_completed,
        max_gap_s: max_gap(valuation, config.session_start, as_of),
        unexplained_in: Money::new(unexplained_in),
        unexplained_out: Money::new(unexplained_out),
        unreconciled: count(reconciled.unexplained.len()),
        skew_pairs: reconciled.pairs,
    })
}

/// Longest time without a complete tick, in whole seconds.
fn max_gap(valuation: &Valuation<'_>, start: Timestamp, as_of: Timestamp) -> u64 {
    let mut newest = start;
    let mut longest = 0;
    for at in valuation.ticks.iter().map(|tick| tick.at).chain([as_of]) {
        longest = longest.max(at.micros_since(newest));
        newest = at;
    }
    u64::try_from(longest / 1_000_000).unwrap_or(0)
}
