//! Public data: instruments, prices, tickers, bars, status.

use super::Product;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{Candle, Fact, Instrument, InstrumentKind, Price, SystemStatus, Ticker};
use crate::json::{Object, Value, malformed};
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
        facts.push(Fact::Price(Price {
            symbol: instrument.symbol.clone(),
            base: instrument.base.clone(),
            quote: instrument.quote.clone(),
            price,
            at: row.maybe_time("time")?,
        }));
    }
    Ok(facts)
}

pub(super) fn tickers(document: Value<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows(document)? {
        let row = row.object("body")?;
        let Some(instrument) = context.instrument(&row.text("symbol")?) else { continue };
        facts.push(Fact::Ticker(Ticker {
            symbol: instrument.symbol.clone(),
            base: instrument.base.clone(),
            quote: instrument.quote.clone(),
            last: row.maybe_decimal("lastPrice")?,
            bid: row.maybe_decimal("bidPrice")?,
            ask: row.maybe_decimal("askPrice")?,
            mark: None,
            at: row.maybe_time("closeTime")?,
        }));
    }
    Ok(facts)
}

/// One row comes bare, several come as a list.
fn rows(document: Value<'_>) -> Result<Vec<Value<'_>>, ExchangeError> {
    if document.is_object() { Ok(vec![document]) } else { document.list("body") }
}

pub(super) fn candles(market: Product, document: Value<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut candles = Vec::new();
    for row in document.list("body")? {
        let cells = row.list("body")?;
        let cell = |at: usize, field| cells.get(at).copied().ok_or_else(|| malformed(field));
        // COIN-M counts contracts first and the base asset later.
        let volume = if market == Product::CoinM { 7 } else { 5 };
        candles.push(Candle {
            open_at: cell(0, "open_time")?.time("open_time")?,
            open: cell(1, "open")?.decimal("open")?,
            high: cell(2, "high")?.decimal("high")?,
            low: cell(3, "low")?.decimal("low")?,
            close: cell(4, "close")?.decimal("close")?,
            volume: cell(volume, "volume")?.decimal("volume")?,
        });
    }
    candles.sort_by_key(|candle| candle.open_at);
    Ok(candles.into_iter().map(Fact::Candle).collect())
}
