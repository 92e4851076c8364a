//! Own transfers: a withdrawal from one account that is a deposit in another.
//!
//! Withdrawals in order of (t, id) each take the best deposit still free: of
//! the same asset, in another account, within the window, not larger. Two
//! transaction ids must be equal; without two, what is lost on the way must
//! be within the tolerance. Equal transaction ids come first, then the
//! nearest in time, then the smallest id.
//!
//! A deposit that was taken by a withdrawal before the folded point says so
//! itself; it is on the way until it arrives.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::config::Config;
use crate::decimal::{mul, sub};
use crate::names::AssetId;
use crate::record::Flow;
use crate::stay::Scope;
use crate::time::Timestamp;

/// A matched pair of legs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) asset: AssetId,
    pub(crate) left_at: Timestamp,
    pub(crate) arrived_at: Timestamp,
    pub(crate) arriving: Decimal,
    /// The fee of the transfer, in the asset.
    pub(crate) lost: Decimal,
}

impl Transfer {
    /// On its way at `at`.
    fn under_way(&self, at: Timestamp) -> bool {
        self.left_at <= at && at < self.arrived_at
    }
}

/// The transfers among some flows.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    /// By the index of the flow that went out.
    by_out: BTreeMap<usize, Transfer>,
    /// The index of the flow that came in, and of the one it is the other leg
    /// of; `None` where that is folded.
    pub(crate) by_into: BTreeMap<usize, Option<usize>>,
    /// Everything that is on its way at some time.
    moving: Vec<Transfer>,
}

impl Transfers {
    /// Matches the legs among `flows`, which are in order of time, each with
    /// its scope.
    pub(crate) fn matched(flows: &[Flow], scopes: &[Scope], config: &Config) -> Self {
        let mut transfers = Self::default();
        let present = |scope: &Scope| matches!(scope, Scope::Valued | Scope::Waiting);
        let (mut outs, mut ins) = (Vec::new(), Vec::new());
        for (index, (flow, scope)) in flows.iter().zip(scopes).enumerate() {
            if flow.taken {
                transfers.by_into.insert(index, None);
                transfers.moving.push(Transfer {
                    asset: flow.asset,
                    left_at: Timestamp::from_micros(i64::MIN),
                    arrived_at: flow.stamp.at,
                    arriving: flow.amount,
                    lost: Decimal::ZERO,
                });
            } else if !flow.amount.is_zero() && present(scope) {
                let legs = if flow.amount.is_sign_negative() { &mut outs } else { &mut ins };
                legs.push((index, flow));
            }
        }
        outs.sort_by(|(_, a), (_, b)| (a.stamp.at, &a.id).cmp(&(b.stamp.at, &b.id)));
        for (out, sent) in outs {
            if let Some((into, transfer)) = transfers.best(sent, &ins, config) {
                transfers.by_into.insert(into, Some(out));
                transfers.by_out.insert(out, transfer);
                transfers.moving.push(transfer);
            }
        }
        transfers
    }

    /// The best deposit among `ins` that is still free.
    fn best(
        &self,
        sent: &Flow,
        ins: &[(usize, &Flow)],
        config: &Config,
    ) -> Option<(usize, Transfer)> {
        let window = i64::from(config.transfer_window_s).saturating_mul(1_000_000);
        let from = ins.partition_point(|(_, got)| got.stamp.at < sent.stamp.at);
        let candidates = ins
            .iter()
            .skip(from)
            .take_while(|(_, got)| got.stamp.at.micros_since(sent.stamp.at) <= window)
            .filter(|(index, _)| !self.by_into.contains_key(index))
            .filter_map(|&(index, got)| {
                let (lost, same_txid) = fits(sent, got, config)?;
                Some((!same_txid, got.stamp.at, &got.id, index, got, lost))
            });
        let best = candidates.min_by(|a, b| (a.0, a.1, a.2, a.3).cmp(&(b.0, b.1, b.2, b.3)));
        let (.., into, got, lost) = best?;
        let (left_at, arrived_at) = (sent.stamp.at, got.stamp.at);
        let (asset, arriving) = (sent.asset, got.amount);
        Some((into, Transfer { asset, left_at, arrived_at, arriving, lost }))
    }

    /// The transfer that the flow began, if it is one.
    pub(crate) fn begun_by(&self, flow: usize) -> Option<&Transfer> {
        self.by_out.get(&flow)
    }

    pub(crate) fn is_leg(&self, flow: usize) -> bool {
        self.by_out.contains_key(&flow) || self.by_into.contains_key(&flow)
    }

    pub(crate) fn under_way(&self, at: Timestamp) -> impl Iterator<Item = &Transfer> {
        self.moving.iter().filter(move |transfer| transfer.under_way(at))
    }
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
