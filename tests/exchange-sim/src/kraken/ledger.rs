//! The ledger: every change of every balance, fifty a page, newest first.
//!
//! A balance changes by the amount less the fee, which is in the same asset.
//! A trade has one entry for each side. A fee in a third asset has an entry of
//! its own with no amount.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::{FlowStatus, IncomeKind, Market, Side, Stamp};
use crate::wire;
use crate::world::{Account, Kind};
use crate::worth;

use super::history::{self, Span, ordered, page_of};
use super::{Answer, INVALID, Private, names};

struct Entry {
    id: String,
    reference: String,
    at: Stamp,
    kind: &'static str,
    subtype: &'static str,
    asset: String,
    amount: Decimal,
    fee: Decimal,
    balance: Decimal,
}

impl Entry {
    fn new(reference: &str, at: Stamp, kind: &'static str, asset: &str, amount: Decimal) -> Self {
        Self {
            id: ids::kraken('L', &[reference, kind, asset]),
            reference: reference.to_owned(),
            at,
            kind,
            subtype: "",
            asset: asset.to_owned(),
            amount,
            fee: Decimal::ZERO,
            balance: Decimal::ZERO,
        }
    }

    fn change(&self) -> Decimal {
        self.amount - self.fee
    }

    fn row(&self) -> Value {
        let places = names::decimals(&self.asset);
        let text = |amount: Decimal| padded(amount, places);
        json!({"refid": self.reference, "time": wire::seconds(self.at), "type": self.kind,
            "subtype": self.subtype, "aclass": "currency", "asset": names::asset(&self.asset),
            "amount": text(self.amount), "fee": text(self.fee), "balance": text(self.balance)})
    }
}

/// Every visible entry, oldest first.
fn entries(call: &Private<'_>) -> Vec<Entry> {
    let mut all = Vec::new();
    for (id, book, trade) in history::trades(call) {
        let qty = trade.qty.decimal().unwrap_or_default();
        let sign = if trade.side == Side::Buy { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let kind = if book.market == Market::Margin { "margin" } else { "trade" };
        let (base, quote) = (&book.pair.0, &book.pair.1);
        let mut sides = vec![
            Entry::new(&id, trade.at, kind, base, qty * sign),
            Entry::new(&id, trade.at, kind, quote, -trade.quote_qty * sign),
        ];
        if let Some(fee) = &trade.fee {
            let amount = fee.amount.decimal().unwrap_or_default();
            if let Some(side) = sides.iter_mut().find(|side| side.asset == fee.asset) {
                side.fee = amount;
            } else {
                let mut entry = Entry::new(&id, trade.at, kind, &fee.asset, Decimal::ZERO);
                entry.fee = amount;
                sides.push(entry);
            }
        }
        all.extend(sides);
    }
    for account in call.wallets() {
        moved(call, account, &mut all);
        earned(call, account, &mut all);
    }
    all.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    settle(call, &mut all);
    all
}

/// Only what has happened is in the ledger: no pending or failed transfers.
fn moved(call: &Private<'_>, account: &Account, all: &mut Vec<Entry>) {
    for (transfer, state) in account.transfers(call.now()) {
        if state.status != FlowStatus::Completed {
            continue;
        }
        let (kind, amount, subtype) = match (transfer.deposit, state.way().is_some()) {
            (true, false) => ("deposit", state.amount, ""),
            (false, false) => ("withdrawal", -state.amount, ""),
            (true, true) => ("transfer", state.amount, "spotfromfutures"),
            (false, true) => ("transfer", -state.amount, "spottofutures"),
        };
        let reference = reference(account, &transfer.id, transfer.deposit);
        let mut entry = Entry::new(&reference, state.at, kind, &transfer.asset, amount);
        (entry.fee, entry.subtype) = (state.fee, subtype);
        all.push(entry);
    }
}

/// The id of a transfer, the same here and in the lists of transfers.
pub(super) fn reference(account: &Account, id: &str, deposit: bool) -> String {
    let side = if deposit { "deposit" } else { "withdrawal" };
    ids::kraken(if deposit { 'Q' } else { 'A' }, &[&account.user, side, id])
}

fn earned(call: &Private<'_>, account: &Account, all: &mut Vec<Entry>) {
    for row in account.income(call.now()) {
        let Kind::Income(kind) = row.kind else { continue };
        let (kind, subtype) = match kind {
            IncomeKind::Interest | IncomeKind::Funding if row.amount.is_sign_negative() => {
                ("rollover", "")
            }
            IncomeKind::Reward | IncomeKind::Interest | IncomeKind::Funding => ("earn", "reward"),
            IncomeKind::Rebate | IncomeKind::Other => ("adjustment", ""),
        };
        let id = ids::kraken('S', &["income", &account.user, &row.reference]);
        let mut entry = Entry::new(&id, row.at, kind, &row.asset, row.amount);
        if kind == "rollover" {
            (entry.amount, entry.fee) = (Decimal::ZERO, -row.amount);
        }
        entry.subtype = subtype;
        all.push(entry);
    }
}

/// What was there after each entry: the first snapshot and every change since.
fn settle(call: &Private<'_>, all: &mut [Entry]) {
    let mut held: BTreeMap<String, Decimal> = BTreeMap::new();
    let mut from = call.world().started;
    for account in call.wallets() {
        if let Some(first) = account.first_snapshot() {
            from = first.at;
            for row in &first.balances {
                let sum = held.entry(row.asset.clone()).or_default();
                *sum = sum.saturating_add(worth::net(row));
            }
        }
    }
    for entry in all {
        let sum = held.entry(entry.asset.clone()).or_default();
        if entry.at > from {
            *sum = sum.saturating_add(entry.change());
        }
        entry.balance = *sum;
    }
}

/// The words of the parameter `type`.
const KINDS: [&str; 17] = [
    "all",
    "trade",
    "deposit",
    "withdrawal",
    "transfer",
    "margin",
    "adjustment",
    "rollover",
    "credit",
    "settled",
    "staking",
    "dividend",
    "sale",
    "nft_rebate",
    "earn",
    "spend",
    "receive",
];

pub(super) fn ledgers(call: &Private<'_>) -> Answer {
    let kind = call.params().get("type").unwrap_or("all");
    if !KINDS.contains(&kind) {
        return Err(INVALID);
    }
    let assets = call.params().get("asset").filter(|asset| *asset != "all");
    let assets: Vec<&str> = assets.map(|all| all.split(',').collect()).unwrap_or_default();
    let all = entries(call);
    let named = |id: &str| all.iter().find(|entry| entry.id == id).map(|entry| entry.at);
    let span = Span::of(call.params(), named)?;
    let inside: Vec<_> = all
        .iter()
        .filter(|entry| span.holds(entry.at) && (kind == "all" || kind == entry.kind))
        .filter(|entry| {
            assets.is_empty() || assets.iter().any(|name| names::means(name, &entry.asset))
        })
        .collect();
    let (page, count) = span.page(inside);
    Ok(page_of("ledger", page.into_iter().map(|it| (it.id.clone(), it.row())).collect(), count))
}

pub(super) fn query_ledgers(call: &Private<'_>) -> Answer {
    let wanted: Vec<&str> = call.params().get("id").ok_or(INVALID)?.split(',').collect();
    if wanted.len() > history::IDS_MAX {
        return Err(INVALID);
    }
    let all = entries(call);
    let rows = all.iter().filter(|entry| wanted.contains(&entry.id.as_str()));
    let rows: Vec<_> = rows.map(|entry| (entry.id.clone(), entry.row())).collect();
    if rows.len() == wanted.len() { Ok(ordered(rows)) } else { Err("EQuery:Invalid ledger id") }
}
