//! Own transfers: a withdrawal from one account that is a deposit in another.
//!
//! Withdrawals in order of (t, id) each take the best deposit still free: of
//! the same asset, in another account, within the window, not larger. Two
//! transaction ids must be equal; without two, what is lost on the way must
//! be within the tolerance. Equal transaction ids come first, then the
//! nearest in time, then the smallest id.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use crate::config::Config;
use crate::decimal::{mul, sub};
use crate::names::AssetId;
use crate::record::Flow;
use crate::scope::Scoped;
use crate::time::Timestamp;

/// A matched pair of legs.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Indices into the flows that were matched.
    pub(crate) out: usize,
    pub(crate) into: usize,
    pub(crate) asset: AssetId,
    pub(crate) left_at: Timestamp,
    pub(crate) arrived_at: Timestamp,
    pub(crate) arriving: Decimal,
    /// The fee of the transfer, in the asset.
    pub(crate) lost: Decimal,
}

impl Transfer {
    /// On its way at `at`.
    pub(crate) fn under_way(&self, at: Timestamp) -> bool {
        self.left_at <= at && at < self.arrived_at
    }
}

/// Matches the legs among `flows`, which are in order of time.
pub(crate) fn matched(flows: &[Scoped<'_, Flow>], config: &Config) -> Vec<Transfer> {
    let flow_at = |index: &usize| flows.get(*index).map(|flow| flow.record);
    let leg = |outgoing: bool| {
        move |(index, flow): (usize, &Scoped<'_, Flow>)| {
            let amount = flow.record.amount;
            let right_way = !amount.is_zero() && amount.is_sign_negative() == outgoing;
            (right_way && flow.present).then_some(index)
        }
    };
    let mut outs: Vec<usize> = flows.iter().enumerate().filter_map(leg(true)).collect();
    outs.sort_by_key(|index| flow_at(index).map(|flow| (flow.stamp.at, flow.id.clone())));
    let ins: Vec<usize> = flows.iter().enumerate().filter_map(leg(false)).collect();

    let mut taken = BTreeSet::new();
    let mut transfers = Vec::new();
    for out in outs {
        let Some(sent) = flow_at(&out) else { continue };
        let window = i64::from(config.transfer_window_s).saturating_mul(1_000_000);
        let from = ins.partition_point(|index| {
            flow_at(index).is_some_and(|flow| flow.stamp.at < sent.stamp.at)
        });
        let candidates = ins
            .iter()
            .skip(from)
            .filter_map(|&index| Some((index, flow_at(&index)?)))
            .take_while(|(_, got)| got.stamp.at.micros_since(sent.stamp.at) <= window)
            .filter(|(index, _)| !taken.contains(index))
            .filter_map(|(index, got)| {
                let (lost, same_txid) = fits(sent, got, config)?;
                Some((!same_txid, got.stamp.at, &got.id, index, got, lost))
            });
        let best = candidates.min_by(|a, b| (a.0, a.1, a.2, a.3).cmp(&(b.0, b.1, b.2, b.3)));
        if let Some((.., into, got, lost)) = best {
            taken.insert(into);
            transfers.push(Transfer {
                out,
                into,
                asset: sent.asset,
                left_at: sent.stamp.at,
                arrived_at: got.stamp.at,
                arriving: got.amount,
                lost,
            });
        }
    }
    transfers
}

/// What is lost on the way and whether the transaction ids are equal, if
/// `got` can be the other leg of `sent`.
fn fits(sent: &Flow, got: &Flow, config: &Config) -> Option<(Decimal, bool)> {
    let lost = sub(-sent.amount, got.amount).ok()?;
    if got.asset != sent.asset || got.account == sent.account || lost < Decimal::ZERO {
        return None;
    }
    if let (Some(out), Some(into)) = (&sent.txid, &got.txid) {
        return (out == into).then_some((lost, true));
    }
    let bearable = mul(config.transfer_tolerance.get(), -sent.amount).ok()?;
    (lost <= bearable).then_some((lost, false))
}
