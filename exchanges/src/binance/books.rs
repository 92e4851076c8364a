//! Public data: instruments, prices, tickers, bars, status.

use super::Product;
use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, InstrumentKind, SystemStatus, Ticker};
use crate::json::{Object, Value, malformed};
use crate::{Context, candles};
use rust_decimal::Decimal;

pub(super) fn system_status(document: Value<'_>) -> Result<SystemStatus, ExchangeError> {
    match document.object("body")?.integer("status")? {
        0 => Ok(SystemStatus::Normal),
        1 => Ok(SystemStatus::Maintenance),
        _ => Err(malformed("status")),
    }
}

/// All listed pairs, whatever their state: a halted pair still has a history.
pub(super) fn instruments(
    market: Product,
    document: Value<'_>,
) -> Result<Vec<Fact>, ExchangeError> {
    let rows = document.object("body")?.list("symbols")?;
    rows.into_iter()
        .map(|row| instrument(market, &row.object("symbols")?).map(Fact::Instrument))
        .collect()
}

fn instrument(market: Product, row: &Object<'_>) -> Result<Instrument, ExchangeError> {
    let raw = row.text("symbol")?;
    let base = row.text("baseAsset")?;
    let quote = row.text("quoteAsset")?;
    let pair = format!("{base}/{quote}");
    let (symbol, settle, kind, contract_size) = match market {
        Product::Spot | Product::MarginCross | Product::MarginIsolated => {
            (pair, None, InstrumentKind::Spot, Decimal::ONE)
        }
        Product::UsdM | Product::CoinM => {
            let settle = row.text("marginAsset")?;
            let coin = market == Product::CoinM;
            let size = if coin { row.decimal("contractSize")? } else { Decimal::ONE };
            match delivery(&raw) {
                Some(date) => {
                    (format!("{pair}:{settle}-{date}"), Some(settle), InstrumentKind::Future, size)
                }
                None => (format!("{pair}:{settle}"), Some(settle), InstrumentKind::Perpetual, size),
            }
        }
    };
    Ok(Instrument {
        raw,
        aliases: Vec::new(),
        symbol,
        base,
        quote,
        settle,
        kind,
        contract_size,
        inverse: market == Product::CoinM,
    })
}

/// `261225` of `BTCUSDT_261225`.
fn delivery(raw: &str) -> Option<&str> {
    let (_, date) = raw.rsplit_once('_')?;
    (date.len() == 6 && date.bytes().all(|byte| byte.is_ascii_digit())).then_some(date)
}

/// Last prices. Pairs that are unknown and prices that are empty are left out:
/// the list names every pair of the exchange, also new and dead ones.
pub(super) fn prices(document: Value<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows(document)? {
        let row = row.object("body")?;
        let Some(instrument) = context.instrument(&row.text("symbol")?) else { continue };
        let Some(price) = row.maybe_decimal("price")? else { continue };
        facts.push(Fact::Price(instrument.price(price, row.maybe_time("time")?)));
    }
    Ok(facts)
}

pub(super) fn tickers(document: Value<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows(document)? {
        let row = row.object("body")?;
        let Some(instrument) = context.instrument(&row.text("symbol")?) else { continue };
        facts.push(Fact::Ticker(Ticker {
            last: row.maybe_decimal("lastPrice")?,
            bid: row.maybe_decimal("bidPrice")?,
            ask: row.maybe_decimal("askPrice")?,
            at: row.maybe_time("closeTime")?,
            ..instrument.ticker()
        }));
    }
    Ok(facts)
}

/// One row comes bare, several come as a list.
fn rows(document: Value<'_>) -> Result<Vec<Value<'_>>, ExchangeError> {
    if document.is_object() { Ok(vec![document]) } else { document.list("body") }
}

pub(super) fn candles(market: Product, document: Value<'_>) -> Result<Vec<Fact>, ExchangeError> {
    // COIN-M counts contracts first and the base asset later.
    let volume = if market == Product::CoinM { 7 } else { 5 };
    candles::of_cells(document.list("body")?, "body", volume)
}
