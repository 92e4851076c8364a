//! What an account holds, owes and is worth.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::assets;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{AccountValuation, AmountUnit, Balance, Fact, Position, PositionSide};
use crate::json::{Object, malformed};

/// `BalanceEx`, and `Balance`, which has plain amounts. Old and new names of
/// one asset are added up. Credit lines are not the customer's and left out.
pub(super) fn balances(result: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut held: BTreeMap<(String, &str), (Decimal, Decimal)> = BTreeMap::new();
    for (code, row) in result.fields() {
        let (total, used) = if row.is_object() {
            let row = row.object("result")?;
            (row.decimal("balance")?, row.maybe_decimal("hold_trade")?.unwrap_or_default())
        } else {
            (row.decimal("result")?, Decimal::ZERO)
        };
        let sum = held.entry(assets::asset(code, context)).or_default();
        let add =
            |left: Decimal, right| left.checked_add(right).ok_or_else(|| malformed("balance"));
        *sum = (add(sum.0, total)?, add(sum.1, used)?);
    }
    let mut facts = Vec::new();
    for ((asset, wallet), (total, used)) in held {
        if total.is_zero() && used.is_zero() {
            continue;
        }
        let free = total.checked_sub(used).ok_or_else(|| malformed("hold_trade"))?;
        facts.push(Fact::Balance(Balance {
            asset,
            wallet: wallet.to_owned(),
            free: free.normalize(),
            used: used.normalize(),
            total: total.normalize(),
            borrowed: Decimal::ZERO,
            interest: Decimal::ZERO,
            net: total.normalize(),
        }));
    }
    Ok(facts)
}

pub(super) fn valuation(result: &Object<'_>) -> Result<AccountValuation, ExchangeError> {
    Ok(AccountValuation {
        equivalent_balance: result.decimal("eb")?,
        trade_balance: result.decimal("tb")?,
        margin_used: result.decimal("m")?,
        unrealized_pnl: result.decimal("n")?,
        equity: result.decimal("e")?,
        floating_valuation: result.decimal("v")?,
    })
}

/// Open margin positions, each opened by one order.
pub(super) fn positions(
    result: &Object<'_>,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for (_, row) in result.fields() {
        let row = row.object("result")?;
        let opened = row.decimal("vol")?;
        let closed = row.maybe_decimal("vol_closed")?.unwrap_or_default();
        let amount = opened.checked_sub(closed).ok_or_else(|| malformed("vol_closed"))?;
        if amount.is_zero() {
            continue;
        }
        let instrument = assets::traded_pair(&row.text("pair")?, context)?;
        let entry_price =
            row.decimal("cost")?.checked_div(opened).ok_or_else(|| malformed("vol"))?;
        facts.push(Fact::Position(Position {
            side: match row.text("type")?.as_str() {
                "buy" => PositionSide::Long,
                "sell" => PositionSide::Short,
                _ => return Err(malformed("type")),
            },
            amount: amount.normalize(),
            amount_unit: AmountUnit::Base,
            entry_price: entry_price.normalize(),
            mark_price: None,
            unrealized_pnl: row.maybe_decimal("net")?,
            unrealized_funding: None,
            settle: Some(instrument.quote.clone()),
            instrument,
        }));
    }
    Ok(facts)
}
