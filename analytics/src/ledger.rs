//! What was accepted, once each, in the order it happened.
//!
//! The order of checks on a fill, flow or income is part of the definitions:
//! status of the flow, late horizon, duplicate or conflict, quantity and
//! price, accepted. Prices, snapshots and memberships have no ids: of several
//! for one time, the one delivered last holds.
//!
//! Records are sorted by `(t, seen, arrival)`, whatever order they came in.
//! Everything is bounded by `limits`; a full ledger refuses, it never drops.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::book::{Book, Quoted};
use crate::config::Config;
use crate::decimal::{Checked, Number, Overflow, add, mul, sub};
use crate::digest::Fields;
use crate::event::{
    AccountEvent, Event, FillEvent, FlowEvent, FlowStatus, IncomeEvent, Market, PriceEvent,
    SnapshotEvent,
};
use crate::limits;
use crate::names::{AccountId, AccountKind, AssetId, AssetKind, Names, SymbolId, SymbolKind};
use crate::record::{
    Change, Fill, Flow, Income, Position, Record, Snapshot, Stamp, fill_content, flow_content,
    income_content, income_name, market_name,
};
use crate::text::{Asset, Name};
use crate::time::Timestamp;

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    /// It is part of the result.
    Accepted,
    /// A flow that is pending, failed or canceled.
    NotCompleted,
    /// Too old for its delivery to be proven new.
    Late,
    /// The same record again.
    Duplicate,
    /// A known id with other content. The first holds.
    Conflict,
    /// No quantity or no price.
    Rejected,
}

/// An event that was not taken in, and nothing with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A number or time past what the engine calculates with. Counted as
    /// rejected; a snapshot counts as incomplete.
    #[error("`{field}` is out of range")]
    OutOfRange { field: &'static str },
    /// A bound of `limits` is reached.
    #[error("no room for more {what}")]
    Full { what: &'static str },
}

/// Events that are not part of the result, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) late: u64,
    pub(crate) out_of_order: u64,
    pub(crate) rejected: u64,
    pub(crate) not_completed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) assets: Names<AssetKind>,
    pub(crate) accounts: Names<AccountKind>,
    pub(crate) symbols: Names<SymbolKind>,
    pub(crate) book: Book,
    pub(crate) fills: Vec<Fill>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) incomes: Vec<Income>,
    pub(crate) polls: BTreeMap<Timestamp, BTreeMap<AccountId, Snapshot>>,
    pub(crate) changes: BTreeMap<AccountId, Vec<Change>>,
    pub(crate) counts: Counts,
    pub(crate) newest_seen: Option<Timestamp>,
    newest_accepted: BTreeMap<AccountId, Timestamp>,
    /// Digest of the id to digest of the content.
    ids: BTreeMap<u64, u64>,
    late_horizon_s: i64,
    arrivals: u64,
    snapshots: usize,
    balances: usize,
    change_count: usize,
}

impl Ledger {
    pub(crate) fn new(config: &Config) -> Self {
        Self { late_horizon_s: config.late_horizon_s.into(), ..Self::default() }
    }

    pub(crate) fn feed(&mut self, event: &Event) -> Result<Fed, FeedError> {
        for (field, time) in [("t", event.t()), ("seen", event.seen())] {
            if !(limits::TIME_MIN..=limits::TIME_MAX).contains(&time) {
                return Err(self.out_of_range(field));
            }
        }
        self.arrivals += 1;
        let stamp = Stamp { at: event.t(), seen: event.seen(), arrival: self.arrivals };
        let fed = match event {
            Event::Price(price) => self.price(stamp, price),
            Event::AccountOpen(change) => self.change(stamp, change, true),
            Event::AccountClose(change) => self.change(stamp, change, false),
            Event::Snapshot(snapshot) => self.snapshot(stamp, snapshot),
            Event::Fill(fill) => self.fill(stamp, fill),
            Event::Flow(flow) => self.flow(stamp, flow),
            Event::Income(income) => self.income(stamp, income),
        }?;
        match fed {
            Fed::Accepted => {}
            Fed::NotCompleted => self.counts.not_completed += 1,
            Fed::Late => self.counts.late += 1,
            Fed::Duplicate => self.counts.duplicates += 1,
            Fed::Conflict => self.counts.conflicts += 1,
            Fed::Rejected => self.counts.rejected += 1,
        }
        self.newest_seen = self.newest_seen.max(Some(stamp.seen));
        Ok(fed)
    }

    pub(crate) fn asset(&mut self, asset: &Asset) -> Result<AssetId, FeedError> {
        let full = FeedError::Full { what: "assets" };
        self.assets.intern(asset.as_str(), limits::NAMES_MAX).ok_or(full)
    }

    fn account(&mut self, name: &Name) -> Result<AccountId, FeedError> {
        let full = FeedError::Full { what: "accounts" };
        self.accounts.intern(name.as_str(), limits::ACCOUNTS_MAX).ok_or(full)
    }

    fn symbol(&mut self, name: &Name) -> Result<SymbolId, FeedError> {
        let full = FeedError::Full { what: "symbols" };
        self.symbols.intern(name.as_str(), limits::NAMES_MAX).ok_or(full)
    }

    fn out_of_range(&mut self, field: &'static str) -> FeedError {
        self.counts.rejected += 1;
        FeedError::OutOfRange { field }
    }

    fn amount(&mut self, field: &'static str, number: Number) -> Result<Decimal, FeedError> {
        let amount = number.get();
        if amount.abs() > limits::AMOUNT_MAX {
            return Err(self.out_of_range(field));
        }
        Ok(amount)
    }

    fn price(&mut self, stamp: Stamp, event: &PriceEvent) -> Result<Fed, FeedError> {
        let price = self.amount("price", event.price)?;
        if price.is_zero() {
            return Ok(Fed::Rejected);
        }
        let pair = (self.asset(&event.asset)?, self.asset(&event.quote)?);
        if self.book.points >= limits::PRICES_MAX {
            return Err(FeedError::Full { what: "prices" });
        }
        self.book.market(pair, Quoted { stamp, price });
        Ok(Fed::Accepted)
    }

    fn change(&mut self, stamp: Stamp, event: &AccountEvent, open: bool) -> Result<Fed, FeedError> {
        let account = self.account(&event.account)?;
        if self.change_count >= limits::CHANGES_MAX {
            return Err(FeedError::Full { what: "account changes" });
        }
        self.change_count += 1;
        let changes = self.changes.entry(account).or_default();
        let at = changes.partition_point(|other| other.stamp < stamp);
        changes.insert(at, Change { stamp, open });
        Ok(Fed::Accepted)
    }

    /// Takes an account's last closing back; `false` if it is open.
    pub(crate) fn reopen(&mut self, name: &Name) -> bool {
        let account = self.accounts.find(name.as_str());
        let Some(changes) = account.and_then(|account| self.changes.get_mut(&account)) else {
            return false;
        };
        let closed = changes.pop_if(|last| !last.open).is_some();
        self.change_count -= usize::from(closed);
        closed
    }

    fn snapshot(&mut self, stamp: Stamp, event: &SnapshotEvent) -> Result<Fed, FeedError> {
        let account = self.account(&event.account)?;
        let entries = event.balances.len() + event.positions.len();
        if self.snapshots >= limits::SNAPSHOTS_MAX
            || self.balances.saturating_add(entries) > limits::BALANCES_MAX
        {
            return Err(FeedError::Full { what: "snapshots" });
        }
        let mut taken =
            Snapshot { stamp, complete: false, wallet: Vec::new(), positions: Vec::new() };
        let read = self.read_snapshot(event, &mut taken);
        if read.is_err() {
            taken.wallet.clear();
            taken.positions.clear();
            taken.complete = false;
        }
        let held = taken.wallet.len() + taken.positions.len();
        let poll = self.polls.entry(stamp.at).or_default();
        if poll.get(&account).is_some_and(|other| other.stamp > stamp) {
            return read.map(|()| Fed::Accepted);
        }
        if let Some(replaced) = poll.insert(account, taken) {
            self.balances -= replaced.wallet.len() + replaced.positions.len();
        } else {
            self.snapshots += 1;
        }
        self.balances += held;
        read.map(|()| Fed::Accepted)
    }

    fn read_snapshot(
        &mut self,
        event: &SnapshotEvent,
        into: &mut Snapshot,
    ) -> Result<(), FeedError> {
        let mut wallet: BTreeMap<AssetId, Decimal> = BTreeMap::new();
        for balance in &event.balances {
            let mut net = self.amount("free", balance.free)?;
            for (sign, field, number) in [
                (1, "locked", balance.locked),
                (1, "earn", balance.earn),
                (-1, "borrowed", balance.borrowed),
                (-1, "interest", balance.interest),
            ] {
                let part = self.amount(field, number)?;
                let sum = if sign > 0 { add(net, part) } else { sub(net, part) };
                net = sum.map_err(|Overflow| self.out_of_range("balances"))?;
            }
            let asset = self.asset(&balance.asset)?;
            let held = wallet.entry(asset).or_default();
            let total = add(*held, net).map_err(|Overflow| FeedError::OutOfRange { field: "free" });
            *held = total?;
        }
        into.wallet = wallet.into_iter().filter(|(_, net)| !net.is_zero()).collect();
        for position in &event.positions {
            let taken = Position {
                symbol: self.symbol(&position.symbol)?,
                qty: self.amount("qty", position.qty)?,
                entry: self.amount("entry_price", position.entry_price)?,
                unrealized: self.amount("unrealized_pnl", position.unrealized_pnl)?,
                settle: self.asset(&position.settle_asset)?,
            };
            if !(taken.qty.is_zero() && taken.unrealized.is_zero()) {
                into.positions.push(taken);
            }
        }
        into.complete = event.complete;
        Ok(())
    }

    /// The checks that all records with an id have in common.
    fn known(&self, stamp: Stamp, id: u64, content: u64) -> Option<Fed> {
        if stamp.at < stamp.seen.minus_seconds(self.late_horizon_s) {
            return Some(Fed::Late);
        }
        let &first = self.ids.get(&id)?;
        Some(if first == content { Fed::Duplicate } else { Fed::Conflict })
    }

    fn room(&self) -> Result<(), FeedError> {
        let records = self.fills.len() + self.flows.len() + self.incomes.len();
        if records < limits::RECORDS_MAX {
            Ok(())
        } else {
            Err(FeedError::Full { what: "records" })
        }
    }

    fn accept(&mut self, stamp: Stamp, account: AccountId, id: u64, content: u64) {
        self.ids.insert(id, content);
        let newest = self.newest_accepted.entry(account).or_insert(stamp.at);
        if stamp.at < *newest {
            self.counts.out_of_order += 1;
        }
        *newest = stamp.at.max(*newest);
    }

    fn fill(&mut self, stamp: Stamp, event: &FillEvent) -> Result<Fed, FeedError> {
        let place = |kind: &str, id: &Name| {
            let fields = Fields::default().text(kind).text(event.account.as_str());
            let fields = fields.text(market_name(event.market)).text(event.symbol.as_str());
            fields.text(id.as_str()).digest()
        };
        let id = place("fill", &event.trade_id);
        let content = fill_content(event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let price = self.amount("price", event.price)?;
        let qty = self.amount("qty", event.qty)?;
        let contract_size = match event.contract_size {
            Some(size) => self.amount("contract_size", size)?,
            None => Decimal::ONE,
        };
        if price.is_zero() || qty.is_zero() || contract_size.is_zero() {
            return Ok(Fed::Rejected);
        }
        let notional = notional(price, qty, contract_size, event.inverse)
            .map_err(|Overflow| self.out_of_range("price"))?;
        let fee = match &event.fee {
            Some(fee) => Some((self.asset(&fee.asset)?, self.amount("fee", fee.amount)?)),
            None => None,
        };
        self.room()?;
        let (base, quote) = (self.asset(&event.base)?, self.asset(&event.quote)?);
        let settle = match &event.settle_asset {
            Some(asset) => self.asset(asset)?,
            None if event.inverse => base,
            None => quote,
        };
        let fill = Fill {
            stamp,
            account: self.account(&event.account)?,
            market: event.market,
            symbol: self.symbol(&event.symbol)?,
            base,
            quote,
            settle,
            side: event.side,
            price,
            qty,
            contract_size,
            inverse: event.inverse,
            notional,
            fee,
            order: place("order", &event.order_id),
        };
        if event.market != Market::Futures {
            self.book.own((base, quote), Quoted { stamp, price });
        }
        self.accept(stamp, fill.account, id, content);
        insert(&mut self.fills, fill);
        Ok(Fed::Accepted)
    }

    fn flow(&mut self, stamp: Stamp, event: &FlowEvent) -> Result<Fed, FeedError> {
        if event.status != FlowStatus::Completed {
            return Ok(Fed::NotCompleted);
        }
        let fields = Fields::default().text("flow").text(event.account.as_str());
        let id = fields.text(event.id.as_str()).digest();
        let content = flow_content(event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let amount = self.amount("amount", event.amount)?;
        self.room()?;
        let flow = Flow {
            stamp,
            account: self.account(&event.account)?,
            asset: self.asset(&event.asset)?,
            amount,
            id: event.id.clone(),
            txid: event.txid.clone(),
        };
        self.accept(stamp, flow.account, id, content);
        insert(&mut self.flows, flow);
        Ok(Fed::Accepted)
    }

    fn income(&mut self, stamp: Stamp, event: &IncomeEvent) -> Result<Fed, FeedError> {
        let fields = Fields::default().text("income").text(event.account.as_str());
        let id = fields.text(income_name(event.kind)).text(event.id.as_str()).digest();
        let content = income_content(event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let amount = self.amount("amount", event.amount)?;
        self.room()?;
        let income = Income {
            stamp,
            account: self.account(&event.account)?,
            kind: event.kind,
            asset: self.asset(&event.asset)?,
            amount,
        };
        self.accept(stamp, income.account, id, content);
        insert(&mut self.incomes, income);
        Ok(Fed::Accepted)
    }
}

/// In the quote asset, and small enough to be summed.
fn notional(price: Decimal, qty: Decimal, size: Decimal, inverse: bool) -> Checked<Decimal> {
    let of_price = if inverse { qty } else { mul(qty, price)? };
    let notional = mul(of_price, size)?;
    if notional <= limits::AMOUNT_MAX { Ok(notional) } else { Err(Overflow) }
}

fn insert<R: Record>(records: &mut Vec<R>, record: R) {
    let at = records.partition_point(|other| other.stamp() < record.stamp());
    records.insert(at, record);
}
