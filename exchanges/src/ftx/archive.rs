//! Replies from before the end: fills, balances, deposits and withdrawals.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::Context;
use crate::decimal::product;
use crate::error::ExchangeError;
use crate::fact::{
    AmountUnit, Balance, Fact, Fill, Instrument, InstrumentKind, Liquidity, Money, Transfer,
    TransferKind, TransferStatus,
};
use crate::json::{Object, Value, malformed};

pub(super) fn fills(rows: Vec<Value<'_>>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    rows.into_iter().map(|row| fill(&row.object("result")?, context).map(Fact::Fill)).collect()
}

fn fill(row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = instrument(&row.text("market")?, context)?;
    let price = row.decimal("price")?;
    let amount = row.decimal("size")?;
    let notional = product(price, amount, "size")?;
    let fee = row.money("fee", "feeCurrency")?;
    Ok(Fill {
        id: row.id("id")?,
        trade_id: row.maybe_id("tradeId")?,
        // Trades over the counter had no order.
        order_id: row.maybe_id("orderId")?.unwrap_or_default(),
        instrument,
        side: row.side("side", ["buy", "sell"])?,
        price,
        amount,
        amount_unit: AmountUnit::Base,
        notional_quote: notional,
        fee,
        realized_pnl: None,
        liquidity: match row.maybe_text("liquidity")?.as_deref() {
            Some("maker") => Some(Liquidity::Maker),
            Some("taker") => Some(Liquidity::Taker),
            Some(_) | None => None,
        },
        fill_type: None,
        at: row.time("time")?,
    })
}

/// A known market, a pair by its name (`BTC/USD`), or a perpetual (`BTC-PERP`),
/// which was settled in dollars. The names of dated contracts left out the
/// year: those must be known.
fn instrument(market: &str, context: &Context) -> Result<Arc<Instrument>, ExchangeError> {
    if let Some(known) = context.instrument(market) {
        return Ok(Arc::clone(known));
    }
    let (base, quote, settle, kind) = if let Some((base, quote)) = market.split_once('/') {
        (base, quote, None, InstrumentKind::Spot)
    } else if let Some(base) = market.strip_suffix("-PERP") {
        (base, "USD", Some("USD".to_owned()), InstrumentKind::Perpetual)
    } else {
        return Err(ExchangeError::UnknownInstrument);
    };
    if base.is_empty() || quote.is_empty() || quote.contains('/') {
        return Err(ExchangeError::UnknownInstrument);
    }
    let symbol = match &settle {
        Some(settle) => format!("{base}/{quote}:{settle}"),
        None => format!("{base}/{quote}"),
    };
    Ok(Arc::new(Instrument {
        raw: market.to_owned(),
        aliases: Vec::new(),
        symbol,
        base: base.to_owned(),
        quote: quote.to_owned(),
        settle,
        kind,
        contract_size: Decimal::ONE,
        inverse: false,
    }))
}

pub(super) fn balances(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("result")?;
        let (free, total) = (row.decimal("free")?, row.decimal("total")?);
        let used = total.checked_sub(free).ok_or_else(|| malformed("total"))?.normalize();
        // Negative totals are what was owed.
        let row = Balance::owned(row.text("coin")?, "main", free, used, total);
        facts.extend(row.unless_zero());
    }
    Ok(facts)
}

pub(super) fn transfers(
    rows: Vec<Value<'_>>,
    kind: TransferKind,
) -> Result<Vec<Fact>, ExchangeError> {
    let read = |row: Value<'_>| transfer(&row.object("result")?, kind).map(Fact::Transfer);
    rows.into_iter().map(read).collect()
}

fn transfer(row: &Object<'_>, kind: TransferKind) -> Result<Transfer, ExchangeError> {
    let asset = row.text("coin")?;
    let txid = row.maybe_text("txid")?;
    let fee = row.maybe_decimal("fee")?;
    Ok(Transfer {
        id: row.maybe_id("id")?.or_else(|| txid.clone()).ok_or_else(|| malformed("id"))?,
        kind,
        amount: row.decimal("size")?.abs(),
        fee: fee.map(|amount| Money { asset: asset.clone(), amount }),
        asset,
        status: match row.text("status")?.as_str() {
            "confirmed" | "complete" => TransferStatus::Ok,
            "requested" | "processing" | "sent" | "initiated" | "unconfirmed" => {
                TransferStatus::Pending
            }
            "cancelled" => TransferStatus::Canceled,
            "failed" => TransferStatus::Failed,
            _ => TransferStatus::Unknown,
        },
        txid,
        network: row.maybe_text("method")?,
        internal: None,
        at: row.time("time")?,
        completed_at: row.maybe_time("confirmedTime")?,
    })
}
