//! What an account holds: the unified account, then the funding wallet.

use crate::error::ExchangeError;
use crate::fact::{Balance, Fact};
use crate::json::{Object, malformed};

/// The unified account. What a coin is worth to the customer is its equity;
/// what is owed on it is reported beside.
pub(super) fn unified(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for account in result.list("list")? {
        for row in account.object("list")?.list("coin")? {
            let row = row.object("coin")?;
            let net = row.decimal("equity")?;
            let used = row.maybe_decimal("locked")?.unwrap_or_default();
            let borrowed = row.maybe_decimal("borrowAmount")?.unwrap_or_default();
            let interest = row.maybe_decimal("accruedInterest")?.unwrap_or_default();
            let total = net
                .checked_add(borrowed)
                .and_then(|sum| sum.checked_add(interest))
                .ok_or_else(|| malformed("equity"))?
                .normalize();
            let free = total.checked_sub(used).ok_or_else(|| malformed("locked"))?.normalize();
            let wallet = "unified".to_owned();
            let asset = row.text("coin")?;
            let row = Balance { asset, wallet, free, used, total, borrowed, interest, net };
            facts.extend(row.unless_zero());
        }
    }
    Ok(facts)
}

/// The funding wallet.
pub(super) fn funding(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("balance")? {
        let row = row.object("balance")?;
        let total = row.decimal("walletBalance")?;
        let free = row.maybe_decimal("transferBalance")?.unwrap_or(total);
        let used = total.checked_sub(free).ok_or_else(|| malformed("transferBalance"))?.normalize();
        let asset = row.text("coin")?;
        facts.extend(Balance::owned(asset, "funding", free, used, total).unless_zero());
    }
    Ok(facts)
}
