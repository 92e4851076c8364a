//! Executions of the whole account, newest first.

use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};

use super::books::instrument;
use crate::Context;
use crate::decimal::product;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, Fact, Fill, Liquidity, Money};
use crate::json::{Object, Value, malformed};

/// The fills of one page and where it goes on.
pub(super) fn page(
    document: Value<'_>,
    context: &Context,
) -> Result<(Vec<Fact>, Option<String>), ExchangeError> {
    let body = document.object("body")?;
    let facts = body
        .list("fills")?
        .into_iter()
        .map(|row| fill(&row.object("fills")?, context).map(Fact::Fill))
        .collect::<Result<_, _>>()?;
    Ok((facts, body.maybe_text("cursor")?))
}

fn fill(row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = instrument(&row.text("product_id")?, context)?;
    let price = row.decimal("price")?;
    let quantity = row.decimal("size")?;
    let in_quote = match row.get("size_in_quote") {
        Some(value) => value.flag("size_in_quote")?,
        None => false,
    };
    let contracts = instrument.inverse || instrument.contract_size != Decimal::ONE;
    let (amount, notional_quote) = if in_quote {
        let worth = product(price, instrument.contract_size, "price")?;
        (quotient(quantity, worth).ok_or_else(|| malformed("price"))?, quantity)
    } else if instrument.inverse {
        (quantity, product(quantity, instrument.contract_size, "size")?)
    } else {
        let units = product(quantity, instrument.contract_size, "size")?;
        (quantity, product(price, units, "size")?)
    };
    let side = row.side("side", ["BUY", "SELL"])?;
    let fee = row.maybe_decimal("commission")?;
    Ok(Fill {
        id: row.id("entry_id")?,
        trade_id: row.maybe_id("trade_id")?,
        order_id: row.id("order_id")?,
        side,
        price,
        amount,
        amount_unit: if contracts { AmountUnit::Contract } else { AmountUnit::Base },
        notional_quote,
        fee: fee.map(|amount| Money { asset: instrument.quote.clone(), amount }),
        realized_pnl: None,
        liquidity: match row.maybe_text("liquidity_indicator")?.as_deref() {
            Some("MAKER") => Some(Liquidity::Maker),
            Some("TAKER") => Some(Liquidity::Taker),
            Some(_) | None => None,
        },
        fill_type: row.maybe_text("trade_type")?.map(|word| word.to_ascii_lowercase()),
        at: row.time("trade_time")?,
        instrument: Arc::clone(&instrument),
    })
}

/// To 18 decimals: no asset on the exchange is finer.
fn quotient(left: Decimal, right: Decimal) -> Option<Decimal> {
    let exact = left.checked_div(right)?;
    Some(exact.round_dp_with_strategy(18, RoundingStrategy::MidpointNearestEven).normalize())
}
