//! What an account holds: one row for each wallet of each portfolio.

use rust_decimal::Decimal;

use crate::error::ExchangeError;
use crate::fact::{Balance, Fact, Wallet};
use crate::json::{Object, Value, malformed};

/// The wallets of one page, their balances that are not zero, and where it
/// goes on.
pub(super) fn page(document: Value<'_>) -> Result<(Vec<Fact>, Option<String>), ExchangeError> {
    let body = document.object("body")?;
    let mut facts = Vec::new();
    for row in body.list("accounts")? {
        let row = row.object("accounts")?;
        facts.push(Fact::Wallet(Wallet { id: row.text("uuid")?, asset: row.text("currency")? }));
        facts.extend(balance(&row)?.unless_zero());
    }
    // Absent, nothing would say that this is all of it.
    let next = if body.flag("has_next")? { Some(body.text("cursor")?) } else { None };
    Ok((facts, next))
}

fn balance(row: &Object<'_>) -> Result<Balance, ExchangeError> {
    let free = value(row, "available_balance")?;
    let used = value(row, "hold")?;
    let total = free.checked_add(used).ok_or_else(|| malformed("hold"))?.normalize();
    let portfolio = row.maybe_text("retail_portfolio_id")?;
    let wallet = portfolio.as_deref().unwrap_or("main");
    Ok(Balance::owned(row.text("currency")?, wallet, free, used, total))
}

fn value(row: &Object<'_>, name: &'static str) -> Result<Decimal, ExchangeError> {
    row.need(name)?.object(name)?.decimal("value")
}
