//! Executions.

use std::sync::Arc;

use super::Product;
use crate::Context;
use crate::decimal::product;
use crate::error::ExchangeError;
use crate::fact::{AmountUnit, Fact, Fill, Liquidity, Page, Side};
use crate::json::{Object, Value, malformed};
use crate::query::{FillsFrom, Query};

/// One page. A full one goes on at the last id plus one.
pub(super) fn page(
    market: Product,
    document: Value<'_>,
    context: &Context,
    symbol: &str,
    from: FillsFrom,
    limit: u16,
) -> Result<Page, ExchangeError> {
    let rows = document.list("body")?;
    let full = rows.len() >= usize::from(limit);
    let mut facts = Vec::with_capacity(rows.len());
    let mut last = None;
    for row in rows {
        let read = fill(market, &row.object("body")?, context)?;
        if full {
            let id: u64 = read.id.parse().map_err(|_| malformed("id"))?;
            last = last.max(Some(id));
        }
        facts.push(Fact::Fill(read));
    }
    let next = match last {
        None => None,
        Some(last) => Some(Query::Fills {
            symbol: symbol.to_owned(),
            from: FillsFrom::Id(after(last, from)?),
            limit,
        }),
    };
    Ok(Page::new(facts, next))
}

/// The id to go on from; an error where that would be no progress.
fn after(last: u64, from: FillsFrom) -> Result<u64, ExchangeError> {
    let next = last.checked_add(1).ok_or_else(|| malformed("id"))?;
    match from {
        FillsFrom::Id(asked) if next <= asked => Err(malformed("id")),
        FillsFrom::Id(_) | FillsFrom::Window(_) => Ok(next),
    }
}

fn fill(market: Product, row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let symbol = row.text("symbol")?;
    let instrument = context.instrument(&symbol).ok_or(ExchangeError::UnknownInstrument)?;
    let price = row.decimal("price")?;
    let amount = row.decimal("qty")?;
    let (side, maker) = match market {
        Product::Spot | Product::MarginCross | Product::MarginIsolated => {
            let side = if row.flag("isBuyer")? { Side::Buy } else { Side::Sell };
            (side, row.flag("isMaker")?)
        }
        Product::UsdM | Product::CoinM => (row.side("side", ["BUY", "SELL"])?, row.flag("maker")?),
    };
    let notional_quote = if instrument.inverse {
        product(amount, instrument.contract_size, "qty")?
    } else {
        match row.maybe_decimal("quoteQty")? {
            Some(notional) => notional,
            None => product(price, amount, "qty")?,
        }
    };
    Ok(Fill {
        id: row.id("id")?,
        trade_id: None,
        fill_type: None,
        order_id: row.id("orderId")?,
        instrument: Arc::clone(instrument),
        side,
        price,
        amount,
        amount_unit: if market == Product::CoinM { AmountUnit::Contract } else { AmountUnit::Base },
        notional_quote,
        fee: row.money("commission", "commissionAsset")?,
        realized_pnl: match market {
            Product::Spot | Product::MarginCross | Product::MarginIsolated => None,
            Product::UsdM | Product::CoinM => row.money("realizedPnl", "marginAsset")?,
        },
        liquidity: Some(if maker { Liquidity::Maker } else { Liquidity::Taker }),
        at: row.time("time")?,
    })
}
