//! What an account holds: the trading account, the funding account, savings.

use rust_decimal::Decimal;

use crate::error::ExchangeError;
use crate::fact::{Balance, Fact};
use crate::json::{Object, Value, malformed};

/// The trading account. What an asset is worth to the customer is its equity;
/// what is owed on it is reported beside.
pub(super) fn trading(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for account in rows {
        for row in account.object("data")?.list("details")? {
            let row = row.object("details")?;
            let net = row.decimal("eq")?;
            let used = row.maybe_decimal("frozenBal")?.unwrap_or_default();
            let borrowed = row.maybe_decimal("liab")?.unwrap_or_default().abs();
            let interest = row.maybe_decimal("interest")?.unwrap_or_default().abs();
            let total = net
                .checked_add(borrowed)
                .and_then(|sum| sum.checked_add(interest))
                .ok_or_else(|| malformed("eq"))?
                .normalize();
            let free = total.checked_sub(used).ok_or_else(|| malformed("frozenBal"))?.normalize();
            let wallet = "trading".to_owned();
            let asset = row.text("ccy")?;
            let row = Balance { asset, wallet, free, used, total, borrowed, interest, net };
            facts.extend(row.unless_zero());
        }
    }
    Ok(facts)
}

/// The funding account.
pub(super) fn funding(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let total = row.decimal("bal")?;
        let used = row.maybe_decimal("frozenBal")?.unwrap_or_default();
        facts.extend(plain(&row, "funding", total, used)?);
    }
    Ok(facts)
}

/// Savings, which are lent out and come back on demand.
pub(super) fn savings(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let total = row.decimal("amt")?;
        facts.extend(plain(&row, "earn", total, total)?);
    }
    Ok(facts)
}

fn plain(
    row: &Object<'_>,
    wallet: &str,
    total: Decimal,
    used: Decimal,
) -> Result<Option<Fact>, ExchangeError> {
    let free = total.checked_sub(used).ok_or_else(|| malformed("frozenBal"))?.normalize();
    Ok(Balance::owned(row.text("ccy")?, wallet, free, used, total).unless_zero())
}
