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
        facts.extend(balance(&row)?.map(Fact::Balance));
    }
    // Absent, nothing would say that this is all of it.
    let next = if body.flag("has_next")? { Some(body.text("cursor")?) } else { None };
    Ok((facts, next))
}

fn balance(row: &Object<'_>) -> Result<Option<Balance>, ExchangeError> {
    let free = value(row, "available_balance")?;
    let used = value(row, "hold")?;
    if free.is_zero() && used.is_zero() {
        return Ok(None);
    }
    let total = free.checked_add(used).ok_or_else(|| malformed("hold"))?.normalize();
    Ok(Some(Balance {
        asset: row.text("currency")?,
        wallet: row.maybe_text("retail_portfolio_id")?.unwrap_or_else(|| "main".to_owned()),
        free,
        used,
        total,
        borrowed: Decimal::ZERO,
        interest: Decimal::ZERO,
        net: total,
    }))
}

fn value(row: &Object<'_>, name: &'static str) -> Result<Decimal, ExchangeError> {
    row.need(name)?.object(name)?.decimal("value")
}
