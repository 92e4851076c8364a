//! Executions of the spot and margin markets, newest first.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::books::instrument;
use crate::Context;
use crate::decimal::product;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, Fact, Fill, Liquidity, Money};
use crate::json::{Object, Value, malformed};

/// The fills of one page, and the number of the oldest row.
pub(super) fn page(
    rows: Vec<Value<'_>>,
    context: &Context,
) -> Result<(Vec<Fact>, Option<u64>), ExchangeError> {
    let mut facts = Vec::with_capacity(rows.len());
    let mut oldest: Option<u64> = None;
    for row in rows {
        let fill = fill(&row.object("data")?, context)?;
        let number = fill.id.parse().map_err(|_| malformed("billId"))?;
        oldest = Some(oldest.map_or(number, |oldest| oldest.min(number)));
        facts.push(Fact::Fill(fill));
    }
    Ok((facts, oldest))
}

fn fill(row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = instrument(&row.text("instId")?, context)?;
    let price = row.decimal("fillPx")?;
    let amount = row.decimal("fillSz")?;
    let notional = product(price, amount, "fillSz")?;
    // Charges are negative there.
    let fee = match row.money("fee", "feeCcy")? {
        None => None,
        Some(Money { asset, amount }) => {
            let amount = Decimal::ZERO.checked_sub(amount).ok_or_else(|| malformed("fee"))?;
            Some(Money { asset, amount })
        }
    };
    Ok(Fill {
        id: row.id("billId")?,
        trade_id: row.maybe_id("tradeId")?,
        order_id: row.id("ordId")?,
        instrument: Arc::clone(&instrument),
        side: row.side("side", ["buy", "sell"])?,
        price,
        amount,
        amount_unit: AmountUnit::Base,
        notional_quote: notional,
        fee,
        realized_pnl: None,
        liquidity: match row.maybe_text("execType")?.as_deref() {
            Some("M") => Some(Liquidity::Maker),
            Some("T") => Some(Liquidity::Taker),
            Some(_) | None => None,
        },
        fill_type: None,
        at: row.time("ts")?,
    })
}
