//! Deposits and withdrawals with every status they go through.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::scenario::{Flow, FlowStatus, ScenarioError, Stamp};

use super::visible;

/// A deposit or withdrawal with every status it goes through.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) deposit: bool,
    /// When it was first recorded.
    pub(crate) created: Stamp,
    pub(super) versions: Vec<TransferVersion>,
}

#[derive(Debug)]
pub(crate) struct TransferVersion {
    pub(crate) visible: Stamp,
    pub(crate) at: Stamp,
    pub(crate) status: FlowStatus,
    /// Without sign and without the fee.
    pub(crate) amount: Decimal,
    pub(crate) fee: Decimal,
    pub(crate) txid: Option<String>,
}

impl TransferVersion {
    /// The way between two wallets that a transfer went: the scenario says `internal:WAY:NUMBER`
    /// where another one says what happened on the chain.
    pub(crate) fn way(&self) -> Option<(&str, u64)> {
        let (way, number) = self.txid.as_deref()?.strip_prefix("internal:")?.split_once(':')?;
        Some((way, number.parse().ok()?))
    }
}

/// What arrived of each transfer on the chain, in all accounts: (txid, asset) to amount.
pub(super) type Received<'a> = BTreeMap<(&'a str, &'a str), Decimal>;

pub(super) fn received_by_txid<'a>(flows: impl Iterator<Item = &'a Flow>) -> Received<'a> {
    let mut received = BTreeMap::new();
    for flow in flows {
        if let (Some(txid), Ok(amount)) = (&flow.txid, flow.amount.decimal())
            && amount.is_sign_positive()
        {
            received.entry((txid.as_str(), flow.asset.as_str())).or_insert(amount);
        }
    }
    received
}

pub(super) fn transfers(
    flows: &[&Flow],
    received: &Received<'_>,
) -> Result<Vec<Transfer>, ScenarioError> {
    let mut ordered = flows.to_vec();
    ordered.sort_by_key(|flow| visible(flow.t, flow.seen));
    let mut by_id: BTreeMap<(&str, bool), Transfer> = BTreeMap::new();
    for flow in ordered {
        let total = flow.amount.decimal()?.abs();
        let deposit = !flow.amount.is_negative();
        let fee = if deposit { Decimal::ZERO } else { withdrawal_fee(flow, total, received) };
        let transfer = by_id.entry((&flow.id, deposit)).or_insert_with(|| Transfer {
            id: flow.id.clone(),
            asset: flow.asset.clone(),
            deposit,
            created: flow.t,
            versions: Vec::new(),
        });
        transfer.created = transfer.created.min(flow.t);
        transfer.versions.push(TransferVersion {
            visible: visible(flow.t, flow.seen),
            at: flow.t,
            status: flow.status,
            amount: total - fee,
            fee,
            txid: flow.txid.clone(),
        });
    }
    Ok(by_id.into_values().collect())
}

/// The part of a withdrawal that the venue keeps.
///
/// What did not arrive at the other end when the scenario says what did; else
/// one part in ten thousand, so that a reader who forgets that the reported
/// amount is net of the fee gets a different balance.
fn withdrawal_fee(flow: &Flow, total: Decimal, received: &Received<'_>) -> Decimal {
    let arrived = flow
        .txid
        .as_ref()
        .and_then(|txid| received.get(&(txid.as_str(), flow.asset.as_str())))
        .filter(|arrived| **arrived <= total);
    match arrived {
        Some(arrived) => total - arrived,
        None => (total / Decimal::from(10_000)).trunc_with_scale(8),
    }
}
