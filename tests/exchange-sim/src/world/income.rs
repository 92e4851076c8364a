//! Income, costs and transfers of one wallet, as a futures venue lists them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::scenario::{FlowStatus, IncomeKind, ScenarioError, Stamp};

use super::account::{Draft, Wallet};
use super::trades::{Book, Trade};
use super::transfers::Transfer;
use super::visible;

/// One line of a wallet's income.
#[derive(Debug)]
pub(crate) struct IncomeRow {
    /// Ascending by time; the lines of one trade share it, each under its own kind.
    pub(crate) id: u64,
    pub(crate) at: Stamp,
    pub(crate) visible: Stamp,
    pub(crate) kind: Kind,
    pub(crate) asset: String,
    /// Positive is received.
    pub(crate) amount: Decimal,
    /// The contract it belongs to; empty for none.
    pub(crate) symbol: String,
    /// The trade it belongs to; empty for none.
    pub(crate) trade: String,
    /// Its id in the scenario; empty for what follows from a trade.
    pub(crate) reference: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Income(IncomeKind),
    Commission,
    RealizedPnl,
    Transfer,
}

pub(super) fn rows(
    wallet: Wallet,
    draft: &Draft<'_>,
    trades: &BTreeMap<Book, Vec<Trade>>,
    transfers: &[Transfer],
) -> Result<Vec<IncomeRow>, ScenarioError> {
    let mut rows: Vec<IncomeRow> = Vec::new();
    for event in &draft.income {
        // One row per id: of several deliveries the first counts.
        if rows.iter().any(|row| row.reference == event.id) {
            continue;
        }
        rows.push(IncomeRow {
            id: 0,
            at: event.t,
            visible: visible(event.t, event.seen),
            kind: Kind::Income(event.kind),
            asset: event.asset.clone(),
            amount: event.amount.decimal()?,
            symbol: held(draft, event.kind, event.t).unwrap_or_default(),
            trade: String::new(),
            reference: event.id.clone(),
        });
    }
    if wallet.is_futures() {
        for (book, trade) in
            trades.iter().flat_map(|(book, all)| all.iter().map(move |it| (book, it)))
        {
            rows.extend(of_trade(book, trade)?);
        }
        rows.extend(transfers.iter().filter_map(moved));
    }
    rows.sort_by(|a, b| {
        (a.at, &a.symbol, &a.trade, a.kind).cmp(&(b.at, &b.symbol, &b.trade, b.kind))
    });
    let mut id = FIRST_ID;
    let mut before: Option<(Stamp, String, String)> = None;
    for row in &mut rows {
        let key = (row.at, row.symbol.clone(), row.trade.clone());
        if row.trade.is_empty() || before.as_ref() != Some(&key) {
            id += 1;
        }
        row.id = id;
        before = Some(key);
    }
    Ok(rows)
}

/// Larger than any trade id, as at the venues.
const FIRST_ID: u64 = 9_689_322_000;

/// Funding is paid on a position, which the scenario does not name: the first that was open.
fn held(draft: &Draft<'_>, kind: IncomeKind, at: Stamp) -> Option<String> {
    if kind != IncomeKind::Funding {
        return None;
    }
    let before = draft.snapshots.iter().filter(|snapshot| snapshot.at <= at);
    let last = before.max_by_key(|snapshot| snapshot.at)?;
    last.positions.iter().find(|held| !held.qty.is_zero()).map(|held| held.symbol.clone())
}

fn of_trade(book: &Book, trade: &Trade) -> Result<Vec<IncomeRow>, ScenarioError> {
    let row = |kind, asset: &str, amount| IncomeRow {
        id: 0,
        at: trade.at,
        visible: trade.visible,
        kind,
        asset: asset.to_owned(),
        amount,
        symbol: book.symbol.clone(),
        trade: trade.id.to_string(),
        reference: String::new(),
    };
    let mut rows = Vec::new();
    if let Some(fee) = &trade.fee
        && !fee.amount.is_zero()
    {
        rows.push(row(Kind::Commission, &fee.asset, -fee.amount.decimal()?));
    }
    if let Some(contract) = &trade.contract
        && !contract.realized.is_zero()
    {
        rows.push(row(Kind::RealizedPnl, &contract.settle, contract.realized));
    }
    Ok(rows)
}

fn moved(transfer: &Transfer) -> Option<IncomeRow> {
    let done = transfer.versions.iter().find(|it| it.status == FlowStatus::Completed)?;
    let total = done.amount + done.fee;
    Some(IncomeRow {
        id: 0,
        at: done.at,
        visible: done.visible,
        kind: Kind::Transfer,
        asset: transfer.asset.clone(),
        amount: if transfer.deposit { total } else { -total },
        symbol: String::new(),
        trade: String::new(),
        reference: transfer.id.clone(),
    })
}
