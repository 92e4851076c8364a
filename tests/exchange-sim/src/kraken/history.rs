//! Trades: fifty a page, newest first.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::form::Form;
use crate::ids;
use crate::number::padded;
use crate::scenario::{Market, Side, Stamp};
use crate::wire::{self, Wire};
use crate::world::{Book, Trade};

use super::names::names;
use super::{Answer, INVALID, Private};

/// Rows of one page.
pub(super) const PAGE: usize = 50;

/// Every visible trade of the key's user with its id, oldest first.
pub(super) fn trades<'a>(call: &'a Private<'_>) -> Vec<(String, &'a Book, &'a Trade)> {
    let mut all = Vec::new();
    for account in call.wallets() {
        for (book, trade) in account.all_trades(call.now()) {
            if book.market != Market::Futures {
                let pair = format!("{}/{}", book.pair.0, book.pair.1);
                let parts = ["trade", &account.user, market(book), &pair, &trade.trade_ref];
                all.push((ids::kraken('T', &parts), book, trade));
            }
        }
    }
    all.sort_by_key(|(_, _, trade)| (trade.at, trade.id));
    all
}

fn market(book: &Book) -> &'static str {
    if book.market == Market::Margin { "margin" } else { "spot" }
}

/// The fee as the history tells it: in the quote currency, whatever it was paid in.
pub(super) fn fee_in_quote(book: &Book, trade: &Trade) -> Decimal {
    let Some(fee) = &trade.fee else { return Decimal::ZERO };
    let amount = fee.amount.decimal().unwrap_or_default();
    if fee.asset == book.pair.1 {
        amount
    } else if fee.asset == book.pair.0 {
        amount.saturating_mul(trade.price.decimal().unwrap_or_default())
    } else {
        Decimal::ZERO
    }
}

fn row(book: &Book, trade: &Trade, user: &str) -> Value {
    let [key, ..] = names(&book.pair);
    let margin = if book.market == Market::Margin {
        trade.quote_qty / Decimal::from(5)
    } else {
        Decimal::ZERO
    };
    let order = ids::kraken('O', &["order", user, &trade.order_ref]);
    let in_base = trade.fee.as_ref().is_some_and(|fee| fee.asset == book.pair.0);
    json!({"ordertxid": order, "postxid": ids::kraken('T', &["position", user, &trade.order_ref]),
        "pair": key, "aclass": "forex", "time": wire::seconds(trade.at),
        "type": if trade.side == Side::Buy { "buy" } else { "sell" }, "ordertype": "limit",
        "price": trade.price.padded(5), "cost": padded(trade.quote_qty, 5),
        "fee": padded(fee_in_quote(book, trade), 5), "vol": trade.qty.padded(8),
        "margin": padded(margin.round_dp(8), 5), "leverage": "0",
        "misc": if in_base { "fcib" } else { "" }, "ledgers": [], "trade_id": trade.id,
        "maker": trade.maker})
}

/// The part of a history that a request asks for: where it begins and ends, and what to skip.
pub(super) struct Span {
    after: Option<Stamp>,
    until: Option<Stamp>,
    skip: usize,
}

impl Span {
    /// `start` is exclusive and `end` inclusive; either is a time or the id of a row.
    pub(super) fn of(
        params: &Form,
        at: impl Fn(&str) -> Option<Stamp>,
    ) -> Result<Self, &'static str> {
        let bound = |name: &str| match params.get(name) {
            None => Ok(None),
            Some(text) => {
                let found = at(text).or_else(|| wire::from_seconds(text));
                found.map(Some).ok_or(INVALID)
            }
        };
        let skip = params.number("ofs").map_err(|_| INVALID)?.unwrap_or(0);
        let skip = usize::try_from(skip).map_err(|_| INVALID)?;
        // Zero is no bound, as at the venue.
        let set = |bound: Option<Stamp>| bound.filter(|at| at.micros() > 0);
        Ok(Self { after: set(bound("start")?), until: set(bound("end")?), skip })
    }

    pub(super) fn holds(&self, at: Stamp) -> bool {
        self.after.is_none_or(|after| at > after) && self.until.is_none_or(|until| at <= until)
    }

    /// One page of what is in the span, and how much that is.
    pub(super) fn page<T>(&self, rows: Vec<T>) -> (Vec<T>, usize) {
        let count = rows.len();
        (rows.into_iter().rev().skip(self.skip).take(PAGE).collect(), count)
    }
}

pub(super) fn trades_history(call: &Private<'_>) -> Answer {
    match call.params().get("type").unwrap_or("all") {
        "all" | "any position" | "closed position" | "closing position" | "no position" => {}
        _ => return Err(INVALID),
    }
    let all = trades(call);
    let named = |id: &str| all.iter().find(|(known, ..)| known == id).map(|(.., it)| it.at);
    let span = Span::of(call.params(), named)?;
    let inside: Vec<_> = all.iter().filter(|(.., trade)| span.holds(trade.at)).collect();
    let (page, count) = span.page(inside);
    let rows = page.into_iter().map(|(id, book, trade)| (id.clone(), row(book, trade, user(call))));
    Ok(page_of("trades", rows.collect(), count))
}

pub(super) fn user<'a>(call: &'a Private<'_>) -> &'a str {
    call.world().account(&call.key.account).map_or("", |account| account.user.as_str())
}

/// Twenty ids at most.
pub(super) const IDS_MAX: usize = 20;

pub(super) fn query_trades(call: &Private<'_>) -> Answer {
    let wanted = call.params().get("txid").ok_or(INVALID)?;
    let wanted: Vec<&str> = wanted.split(',').collect();
    if wanted.len() > IDS_MAX {
        return Err(INVALID);
    }
    let all = trades(call);
    let rows = all.iter().filter(|(id, ..)| wanted.contains(&id.as_str()));
    let rows: Vec<_> =
        rows.map(|(id, book, trade)| (id.clone(), row(book, trade, user(call)))).collect();
    if rows.len() == wanted.len() { Ok(ordered(rows)) } else { Err("EQuery:Invalid txid") }
}

/// `{name: {id: row, ...}, "count": n}` with the rows in their order.
pub(super) fn page_of(name: &str, rows: Vec<(String, Value)>, count: usize) -> Wire {
    let members =
        [(name.to_owned(), ordered(rows)), ("count".to_owned(), Wire::Value(json!(count)))];
    Wire::Ordered(members.into())
}

pub(super) fn ordered(rows: Vec<(String, Value)>) -> Wire {
    Wire::Ordered(rows.into_iter().map(|(id, row)| (id, Wire::Value(row))).collect())
}
