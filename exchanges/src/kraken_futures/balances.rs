//! What an account holds, and its open positions.

use rust_decimal::Decimal;

use super::contracts;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{Collateral, CollateralPool, Fact, Position, PositionSide};
use crate::json::{Object, malformed};

/// Three sorts of wallet: cash, one margin account for each inverse contract,
/// and one in which all assets secure everything. What is not told to be
/// another sort is cash.
pub(super) fn accounts(body: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for (wallet, account) in body.need("accounts")?.object("accounts")?.fields() {
        let account = account.object("accounts")?;
        match account.text("type")?.as_str() {
            "multiCollateralMarginAccount" => pool(wallet, &account, &mut facts)?,
            "marginAccount" => margin(wallet, &account, context, &mut facts)?,
            _ => cash(wallet, &account, context, &mut facts)?,
        }
    }
    Ok(facts)
}

fn cash(
    wallet: &str,
    account: &Object<'_>,
    context: &Context,
    facts: &mut Vec<Fact>,
) -> Result<(), ExchangeError> {
    for (code, amount) in account.need("balances")?.object("balances")?.fields() {
        if contracts::is_contract(code, context) {
            continue;
        }
        let quantity = amount.decimal("balances")?;
        push(facts, held(code, wallet, quantity, quantity));
    }
    Ok(())
}

/// Rows of contracts are sizes of positions. The rest of the account's numbers
/// are in its own currency.
fn margin(
    wallet: &str,
    account: &Object<'_>,
    context: &Context,
    facts: &mut Vec<Fact>,
) -> Result<(), ExchangeError> {
    let own = account.text("currency")?;
    for (code, amount) in account.need("balances")?.object("balances")?.fields() {
        if contracts::is_contract(code, context) {
            continue;
        }
        let quantity = amount.decimal("balances")?;
        let mut row = held(code, wallet, quantity, quantity);
        if code.eq_ignore_ascii_case(&own) {
            let sums = account.need("auxiliary")?.object("auxiliary")?;
            row.available = sums.decimal("af")?;
            row.portfolio_value = Some(sums.decimal("pv")?);
            row.unrealized_pnl = Some(sums.decimal("pnl")?);
        }
        push(facts, row);
    }
    Ok(())
}

fn pool(wallet: &str, account: &Object<'_>, facts: &mut Vec<Fact>) -> Result<(), ExchangeError> {
    for (code, row) in account.need("currencies")?.object("currencies")?.fields() {
        let row = row.object("currencies")?;
        push(facts, held(code, wallet, row.decimal("quantity")?, row.decimal("available")?));
    }
    let balance_value_usd = account.decimal("balanceValue")?;
    let unrealized_pnl_usd = account.decimal("pnl")?;
    let unrealized_funding_usd = account.decimal("unrealizedFunding")?;
    let equity = balance_value_usd
        .checked_add(unrealized_pnl_usd)
        .and_then(|sum| sum.checked_add(unrealized_funding_usd))
        .ok_or_else(|| malformed("balanceValue"))?;
    facts.push(Fact::CollateralPool(CollateralPool {
        balance_value_usd,
        portfolio_value_usd: account.decimal("portfolioValue")?,
        unrealized_pnl_usd,
        unrealized_funding_usd,
        equity_usd: equity.normalize(),
    }));
    Ok(())
}

fn held(code: &str, wallet: &str, quantity: Decimal, available: Decimal) -> Collateral {
    Collateral {
        asset: contracts::asset(code),
        wallet: wallet.to_owned(),
        quantity,
        available,
        portfolio_value: None,
        unrealized_pnl: None,
    }
}

/// Rows that are zero throughout are left out.
fn push(facts: &mut Vec<Fact>, row: Collateral) {
    let own = [row.portfolio_value, row.unrealized_pnl].map(Option::unwrap_or_default);
    if ![row.quantity, row.available].iter().chain(&own).all(Decimal::is_zero) {
        facts.push(Fact::Collateral(row));
    }
}

pub(super) fn positions(body: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in body.list("openPositions")? {
        let row = row.object("openPositions")?;
        let amount = row.decimal("size")?.abs();
        if amount.is_zero() {
            continue;
        }
        let instrument = contracts::contract(&row.text("symbol")?, context)?;
        facts.push(Fact::Position(Position {
            side: match row.text("side")?.as_str() {
                "long" => PositionSide::Long,
                "short" => PositionSide::Short,
                _ => return Err(malformed("side")),
            },
            amount,
            amount_unit: contracts::amount_unit(&instrument),
            entry_price: row.decimal("price")?,
            mark_price: None,
            unrealized_pnl: None,
            unrealized_funding: row.maybe_decimal("unrealizedFunding")?,
            settle: instrument.settle.clone(),
            instrument,
        }));
    }
    Ok(facts)
}
