//! What is taken in, once each.
//!
//! The order of checks on a fill, flow or income is part of the definitions:
//! status of the flow, late horizon, duplicate or conflict, quantity and
//! price, accepted. Prices, snapshots and memberships have no ids: of several
//! for one time, the one delivered last holds.
//!
//! An id is remembered as a keyed digest, and for as long as an event of its
//! time may be delivered. Everything is bounded by `limits`; a full window
//! refuses, it never drops.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use crate::book::Quoted;
use crate::config::Config;
use crate::decimal::{Checked, Number, Overflow, add, mul, sub};
use crate::digest::{DigestKey, Fields, Spread};
use crate::event::{
    AccountEvent, Event, FillEvent, FlowEvent, FlowStatus, IncomeEvent, Market, PriceEvent, Side,
    SnapshotEvent,
};
use crate::limits;
use crate::names::{AccountId, AccountKind, AssetId, AssetKind, Names, SymbolId};
use crate::pack::{Digest, packed};
use crate::record::{
    Change, Did, Fee, Fill, Flow, Income, Position, Snapshot, Stamp, Valued, fill_content,
    flow_content, income_content, income_name, market_name,
};
use crate::text::{Asset, Name};
use crate::time::Timestamp;
use crate::window::{Full, Window};

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

impl From<Full> for FeedError {
    fn from(Full(what): Full) -> Self {
        Self::Full { what }
    }
}

/// Events that are not part of the result, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) duplicates: u64,
    pub(crate) conflicts: u64,
    pub(crate) late: u64,
    pub(crate) out_of_order: u64,
    pub(crate) rejected: u64,
    pub(crate) not_completed: u64,
}

packed!(Counts { duplicates, conflicts, late, out_of_order, rejected, not_completed });

#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) assets: Names<AssetKind>,
    pub(crate) accounts: Names<AccountKind>,
    pub(crate) window: Window,
    pub(crate) counts: Counts,
    pub(crate) newest_seen: Option<Timestamp>,
    pub(crate) newest_accepted: BTreeMap<AccountId, Timestamp>,
    /// Nothing up to here is taken in any more.
    pub(crate) folded: Option<Timestamp>,
    /// Digest of the id to digest of the content and time.
    pub(crate) ids: HashMap<u64, (u64, Timestamp), Spread>,
    pub(crate) arrivals: u64,
    late_horizon_s: i64,
    key: DigestKey,
}

impl Ledger {
    pub(crate) fn new(config: &Config, key: DigestKey) -> Self {
        Self {
            assets: Names::default(),
            accounts: Names::default(),
            window: Window::default(),
            counts: Counts::default(),
            newest_seen: None,
            newest_accepted: BTreeMap::new(),
            folded: None,
            ids: HashMap::default(),
            arrivals: 0,
            late_horizon_s: config.late_horizon_s.into(),
            key,
        }
    }

    /// Drops everything up to `at`.
    pub(crate) fn forget(&mut self, at: Timestamp, max_age_s: i64) {
        self.window.forget(at, max_age_s);
        self.ids.retain(|_, (_, time)| *time > at);
        self.folded = self.folded.max(Some(at));
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
        let known = self.accounts.list().len();
        let account = self.accounts.intern(name.as_str(), limits::ACCOUNTS_MAX).ok_or(full)?;
        if self.accounts.list().len() > known {
            // It may have been in all the time.
            self.window.touch(limits::TIME_MIN);
        }
        Ok(account)
    }

    /// Symbols are never written anywhere: a keyed digest is enough.
    fn contract(&self, symbol: &Name) -> SymbolId {
        let fields = Fields::new(self.key).text("contract").text(symbol.as_str());
        SymbolId::from_digest(fields.digest())
    }

    /// Too old for its delivery to be proven new, or folded.
    fn is_late(&self, stamp: Stamp) -> bool {
        stamp.at < stamp.seen.minus_seconds(self.late_horizon_s)
            || self.folded.is_some_and(|folded| stamp.at <= folded)
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
        if self.is_late(stamp) {
            return Ok(Fed::Late);
        }
        let price = self.amount("price", event.price)?;
        if price.is_zero() {
            return Ok(Fed::Rejected);
        }
        let pair = (self.asset(&event.asset)?, self.asset(&event.quote)?);
        self.window.room_for_price()?;
        self.window.market_price(pair, Quoted { stamp, price });
        Ok(Fed::Accepted)
    }

    fn change(&mut self, stamp: Stamp, event: &AccountEvent, open: bool) -> Result<Fed, FeedError> {
        if self.is_late(stamp) {
            return Ok(Fed::Late);
        }
        let account = self.account(&event.account)?;
        self.window.room_for_change()?;
        self.window.change(account, Change { stamp, open, back: false });
        Ok(Fed::Accepted)
    }

    /// The account is in again from `at` on, as if it had never left.
    pub(crate) fn back(&mut self, account: AccountId, at: Timestamp) -> Result<(), FeedError> {
        self.window.room_for_change()?;
        self.arrivals += 1;
        let stamp = Stamp { at, seen: at, arrival: self.arrivals };
        self.window.change(account, Change { stamp, open: true, back: true });
        Ok(())
    }

    fn snapshot(&mut self, stamp: Stamp, event: &SnapshotEvent) -> Result<Fed, FeedError> {
        if self.is_late(stamp) {
            return Ok(Fed::Late);
        }
        let account = self.account(&event.account)?;
        self.window.room_for_snapshot(event.balances.len() + event.positions.len())?;
        let mut taken =
            Snapshot { stamp, complete: false, wallet: Vec::new(), positions: Vec::new() };
        let read = self.read_snapshot(event, &mut taken);
        if read.is_err() {
            taken.wallet.clear();
            taken.positions.clear();
            taken.complete = false;
        }
        self.window.snapshot(account, taken);
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
                if number == Number::ZERO {
                    continue;
                }
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
                contract: self.contract(&position.symbol),
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
        if self.is_late(stamp) {
            return Some(Fed::Late);
        }
        let &(first, at) = self.ids.get(&id)?;
        // An id is known for as long as one of its time may still come.
        if at < stamp.seen.minus_seconds(self.late_horizon_s) {
            return None;
        }
        Some(if first == content { Fed::Duplicate } else { Fed::Conflict })
    }

    fn accept(&mut self, stamp: Stamp, account: AccountId, id: u64, content: u64) {
        self.ids.insert(id, (content, stamp.at));
        let newest = self.newest_accepted.entry(account).or_insert(stamp.at);
        if stamp.at < *newest {
            self.counts.out_of_order += 1;
        }
        *newest = stamp.at.max(*newest);
    }

    fn fill(&mut self, stamp: Stamp, event: &FillEvent) -> Result<Fed, FeedError> {
        let place = Fields::new(self.key)
            .text(event.account.as_str())
            .text(market_name(event.market))
            .text(event.symbol.as_str());
        let order = place.clone().text("order").text(event.order_id.as_str()).digest();
        let id = place.text("fill").text(event.trade_id.as_str()).digest();
        let content = fill_content(self.key, event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let price = self.amount("price", event.price)?;
        let qty = self.amount("qty", event.qty)?;
        let size = match event.contract_size {
            Some(size) => self.amount("contract_size", size)?,
            None => Decimal::ONE,
        };
        if price.is_zero() || qty.is_zero() || size.is_zero() {
            return Ok(Fed::Rejected);
        }
        let inverse = event.inverse;
        let notional =
            notional(price, qty, size, inverse).map_err(|Overflow| self.out_of_range("price"))?;
        let (base, quote) = (self.asset(&event.base)?, self.asset(&event.quote)?);
        let futures = event.market == Market::Futures;
        let signed = |amount: Decimal| if event.side == Side::Buy { amount } else { -amount };
        let fee = match &event.fee {
            Some(fee) => {
                let (asset, amount) = (self.asset(&fee.asset)?, self.amount("fee", fee.amount)?);
                let valued = if asset == base && asset != quote && !futures {
                    mul(amount, price).map_or(Valued::No, Valued::ByQuote)
                } else {
                    Valued::ByAsset
                };
                Some(Fee { asset, amount, valued })
            }
            None => None,
        };
        let did = if futures {
            let settle = match &event.settle_asset {
                Some(asset) => self.asset(asset)?,
                None if inverse => base,
                None => quote,
            };
            let contract = self.contract(&event.symbol);
            Did::Trade { contract, settle, qty: signed(qty), price, size, inverse }
        } else {
            let bought = mul(qty, size).map_err(|Overflow| self.out_of_range("qty"))?;
            Did::Swap { base, bought: signed(bought) }
        };
        self.window.room_for_record()?;
        let account = self.account(&event.account)?;
        if !futures {
            self.window.own_price((base, quote), Quoted { stamp, price });
        }
        self.accept(stamp, account, id, content);
        self.window.fill(Fill { stamp, account, did, quote, notional, fee, order: Digest(order) });
        Ok(Fed::Accepted)
    }

    fn flow(&mut self, stamp: Stamp, event: &FlowEvent) -> Result<Fed, FeedError> {
        if event.status != FlowStatus::Completed {
            return Ok(Fed::NotCompleted);
        }
        let fields = Fields::new(self.key).text("flow").text(event.account.as_str());
        let id = fields.text(event.id.as_str()).digest();
        let content = flow_content(self.key, event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let amount = self.amount("amount", event.amount)?;
        self.window.room_for_record()?;
        let txid = event
            .txid
            .as_ref()
            .map(|txid| Digest(Fields::new(self.key).text("txid").text(txid.as_str()).digest()));
        let flow = Flow {
            stamp,
            account: self.account(&event.account)?,
            asset: self.asset(&event.asset)?,
            amount,
            id: event.id.clone(),
            txid,
            taken: false,
        };
        self.accept(stamp, flow.account, id, content);
        self.window.flow(flow);
        Ok(Fed::Accepted)
    }

    fn income(&mut self, stamp: Stamp, event: &IncomeEvent) -> Result<Fed, FeedError> {
        let fields = Fields::new(self.key).text("income").text(event.account.as_str());
        let id = fields.text(income_name(event.kind)).text(event.id.as_str()).digest();
        let content = income_content(self.key, event);
        if let Some(known) = self.known(stamp, id, content) {
            return Ok(known);
        }
        let amount = self.amount("amount", event.amount)?;
        self.window.room_for_record()?;
        let income = Income {
            stamp,
            account: self.account(&event.account)?,
            kind: event.kind,
            asset: self.asset(&event.asset)?,
            amount,
        };
        self.accept(stamp, income.account, id, content);
        self.window.income(income);
        Ok(Fed::Accepted)
    }
}

/// In the quote asset, and small enough to be summed.
fn notional(price: Decimal, qty: Decimal, size: Decimal, inverse: bool) -> Checked<Decimal> {
    let of_price = if inverse { qty } else { mul(qty, price)? };
    let notional = mul(of_price, size)?;
    if notional <= limits::AMOUNT_MAX { Ok(notional) } else { Err(Overflow) }
}
