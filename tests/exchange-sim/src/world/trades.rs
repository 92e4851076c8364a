//! Executions: their ids, and what a futures position realised by each.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::number::{NotANumber, Number};
use crate::scenario::{Fee, Fill, Liquidity, Market, ScenarioError, Side, Stamp};

use super::account::Snapshot;
use super::{Pair, visible};

/// One numbering of trades: a pair, or a futures contract.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Book {
    pub(crate) market: Market,
    pub(crate) pair: Pair,
    /// The contract; empty for spot and margin.
    pub(crate) symbol: String,
}

/// One execution as the venue numbers it.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "a trade id beside the id of the venue")]
pub(crate) struct Trade {
    pub(crate) id: u64,
    pub(crate) order_id: u64,
    /// The ids as the scenario wrote them.
    pub(crate) trade_ref: String,
    pub(crate) order_ref: String,
    pub(crate) at: Stamp,
    pub(crate) visible: Stamp,
    pub(crate) side: Side,
    pub(crate) maker: bool,
    pub(crate) price: Number,
    /// Futures: contracts.
    pub(crate) qty: Number,
    /// Price times quantity; of inverse contracts their nominal value.
    pub(crate) quote_qty: Decimal,
    pub(crate) fee: Option<Fee>,
    pub(crate) contract: Option<Contract>,
}

/// What only a futures trade has.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) settle: String,
    pub(crate) size: Decimal,
    pub(crate) inverse: bool,
    /// In the settle asset, without the fee.
    pub(crate) realized: Decimal,
}

/// Numbers the trades.
///
/// Ids and order ids that are numbers stay; others get the next free number in
/// the order in which the trades became visible.
pub(super) fn numbered(fills: &[&Fill]) -> Result<BTreeMap<Book, Vec<Trade>>, ScenarioError> {
    let mut fills = fills.to_vec();
    fills.sort_by_key(|fill| visible(fill.t, fill.seen));
    let mut orders = Numbering::new(fills.iter().map(|fill| fill.order_id.as_str()));
    let mut books: BTreeMap<Book, Vec<(&Fill, u64)>> = BTreeMap::new();
    for fill in fills {
        let symbol =
            if fill.market == Market::Futures { fill.symbol.clone() } else { String::new() };
        let pair = (fill.base.clone(), fill.quote.clone());
        let book = Book { market: fill.market, pair, symbol };
        books.entry(book).or_default().push((fill, orders.number(&fill.order_id)));
    }
    let mut numbered = BTreeMap::new();
    for (book, fills) in books {
        let mut ids = Numbering::new(fills.iter().map(|(fill, _)| fill.trade_id.as_str()));
        let mut rows: BTreeMap<u64, Trade> = BTreeMap::new();
        for (fill, order_id) in fills {
            let id = ids.number(&fill.trade_id);
            if let Entry::Vacant(free) = rows.entry(id) {
                free.insert(trade(fill, id, order_id)?);
            }
        }
        numbered.insert(book, rows.into_values().collect());
    }
    Ok(numbered)
}

fn trade(fill: &Fill, id: u64, order_id: u64) -> Result<Trade, ScenarioError> {
    let size = fill.contract_size.as_ref().map_or(Ok(Decimal::ONE), Number::decimal)?;
    let inverse = fill.inverse == Some(true);
    let unit = if inverse { Decimal::ONE } else { fill.price.decimal()? };
    let quote_qty = unit
        .checked_mul(fill.qty.decimal()?)
        .and_then(|amount| amount.checked_mul(size))
        .ok_or(ScenarioError::Overflow(NotANumber))?;
    let contract = (fill.market == Market::Futures).then(|| Contract {
        settle: fill.settle_asset.clone().unwrap_or_else(|| fill.quote.clone()),
        size,
        inverse,
        realized: Decimal::ZERO,
    });
    Ok(Trade {
        id,
        order_id,
        trade_ref: fill.trade_id.clone(),
        order_ref: fill.order_id.clone(),
        at: fill.t,
        visible: visible(fill.t, fill.seen),
        side: fill.side,
        maker: fill.liquidity == Some(Liquidity::Maker),
        price: fill.price.clone(),
        qty: fill.qty.clone(),
        quote_qty,
        fee: fill.fee.clone(),
        contract,
    })
}

/// Fraction digits of what a venue books.
const BOOKED_PLACES: u32 = 8;

/// Runs each contract's position from the first snapshot on and notes what every trade realised.
///
/// The entry price is the average of what opened the position: arithmetic for
/// linear contracts, harmonic for inverse ones.
pub(super) fn realise(
    books: &mut BTreeMap<Book, Vec<Trade>>,
    baseline: Option<&Snapshot>,
) -> Result<(), ScenarioError> {
    for (book, trades) in books.iter_mut().filter(|(book, _)| book.market == Market::Futures) {
        let mut position = Held { qty: Decimal::ZERO, entry: Decimal::ZERO };
        let mut from = None;
        if let Some(snapshot) = baseline {
            from = Some(snapshot.at);
            let held = snapshot.positions.iter().find(|held| held.symbol == book.symbol);
            if let Some(held) = held {
                position = Held { qty: held.qty.decimal()?, entry: held.entry_price.decimal()? };
            }
        }
        let mut order: Vec<&mut Trade> = trades.iter_mut().collect();
        order.sort_by_key(|trade| (trade.at, trade.id));
        for trade in order.into_iter().filter(|trade| from.is_none_or(|from| trade.at > from)) {
            let (qty, price) = (trade.qty.decimal()?, trade.price.decimal()?);
            let signed = if trade.side == Side::Buy { qty } else { -qty };
            if let Some(contract) = &mut trade.contract {
                let gain = position.trade(signed, price, contract);
                contract.realized = gain.ok_or(ScenarioError::Overflow(NotANumber))?;
            }
        }
    }
    Ok(())
}

/// A position: signed contracts and their average entry.
struct Held {
    qty: Decimal,
    entry: Decimal,
}

impl Held {
    /// Applies an execution; returns the gain of the part that it closed.
    fn trade(&mut self, signed: Decimal, price: Decimal, contract: &Contract) -> Option<Decimal> {
        if self.qty.is_zero() || self.qty.is_sign_negative() == signed.is_sign_negative() {
            let whole = self.qty.checked_add(signed)?;
            if !whole.is_zero() {
                self.entry = if contract.inverse && !self.entry.is_zero() {
                    let coins = self.qty.checked_div(self.entry)? + signed.checked_div(price)?;
                    whole.checked_div(coins)?
                } else {
                    let paid = self.qty.checked_mul(self.entry)? + signed.checked_mul(price)?;
                    paid.checked_div(whole)?
                };
            }
            self.qty = whole;
            return Some(Decimal::ZERO);
        }
        let closed = signed.abs().min(self.qty.abs());
        let move_up = if contract.inverse {
            Decimal::ONE.checked_div(self.entry)? - Decimal::ONE.checked_div(price)?
        } else {
            price - self.entry
        };
        let gain = move_up.checked_mul(closed)?.checked_mul(contract.size)?;
        let gain = if self.qty.is_sign_negative() { -gain } else { gain };
        if signed.abs() > self.qty.abs() {
            self.entry = price;
        }
        self.qty = self.qty.checked_add(signed)?;
        Some(gain.round_dp(BOOKED_PLACES))
    }
}

/// Turns ids into numbers; an id that is one already keeps it.
pub(super) struct Numbering {
    taken: BTreeSet<u64>,
    given: BTreeMap<String, u64>,
    last: u64,
}

impl Numbering {
    pub(super) fn new<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let taken = ids.filter_map(as_number).collect();
        Self { taken, given: BTreeMap::new(), last: 0 }
    }

    pub(super) fn number(&mut self, id: &str) -> u64 {
        if let Some(number) = as_number(id) {
            self.last = self.last.max(number);
            return number;
        }
        if let Some(number) = self.given.get(id) {
            return *number;
        }
        let mut next = self.last + 1;
        while self.taken.contains(&next) {
            next += 1;
        }
        self.last = next;
        self.given.insert(id.to_owned(), next);
        next
    }
}

/// A canonical decimal number that fits a signed 64-bit id, as the venues use.
fn as_number(id: &str) -> Option<u64> {
    let number: u64 = id.parse().ok()?;
    (number.to_string() == id && i64::try_from(number).is_ok()).then_some(number)
}
