//! Executions of the spot market, newest first.

use std::sync::Arc;

use super::books::instrument;
use crate::Context;
use crate::decimal::product;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, Fact, Fill, Liquidity, Money, Side};
use crate::json::Object;

/// The executions of one page.
pub(super) fn page(result: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("list")? {
        let row = row.object("list")?;
        // Funding, settlement and delivery stand in the same list.
        let executed = matches!(
            row.text("execType")?.as_str(),
            "Trade" | "BlockTrade" | "AdlTrade" | "BustTrade" | "MovePosition" | "FutureSpread"
        );
        if executed {
            facts.push(Fact::Fill(fill(&row, context)?));
        }
    }
    Ok(facts)
}

fn fill(row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = instrument(&row.text("symbol")?, context)?;
    let price = row.decimal("execPrice")?;
    let amount = row.decimal("execQty")?;
    let side = row.side("side", ["Buy", "Sell"])?;
    let maker = row.flag("isMaker")?;
    let notional_quote = match row.maybe_decimal("execValue")? {
        Some(value) => value,
        None => product(price, amount, "execQty")?,
    };
    let fee = match row.maybe_decimal("execFee")? {
        None => None,
        Some(amount) => {
            let asset = match row.maybe_text("feeCurrency")? {
                Some(asset) => asset,
                // Paid in what is received; a maker's rebate comes in the other.
                None => match (side, amount.is_sign_negative() && maker) {
                    (Side::Buy, false) | (Side::Sell, true) => instrument.base.clone(),
                    (Side::Sell, false) | (Side::Buy, true) => instrument.quote.clone(),
                },
            };
            Some(Money { asset, amount })
        }
    };
    let id = row.id("execId")?;
    Ok(Fill {
        trade_id: None,
        id,
        order_id: row.id("orderId")?,
        instrument: Arc::clone(&instrument),
        side,
        price,
        amount,
        amount_unit: AmountUnit::Base,
        notional_quote,
        fee,
        realized_pnl: None,
        liquidity: Some(if maker { Liquidity::Maker } else { Liquidity::Taker }),
        fill_type: None,
        at: row.time("execTime")?,
    })
}
