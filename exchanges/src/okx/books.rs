//! Public data of the spot market: instruments, prices, tickers, bars, status.

use std::sync::Arc;

use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{Candle, Fact, Instrument, Price, SystemStatus, Ticker};
use crate::json::{Value, malformed};

/// The pair of that name: a known one, or `BASE-QUOTE`. Pairs leave the list
/// and stay in the history.
pub(super) fn instrument(name: &str, context: &Context) -> Result<Arc<Instrument>, ExchangeError> {
    if let Some(known) = context.instrument(name) {
        return Ok(Arc::clone(known));
    }
    Instrument::unlisted(name).map(Arc::new).ok_or(ExchangeError::UnknownInstrument)
}

/// All listed pairs, whatever their state.
pub(super) fn instruments(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let (base, quote) = (row.text("baseCcy")?, row.text("quoteCcy")?);
        let raw = row.text("instId")?;
        facts.push(Fact::Instrument(Instrument::spot(&raw, &base, &quote)));
    }
    Ok(facts)
}

/// Last prices of known pairs; those without one are left out.
pub(super) fn prices(rows: Vec<Value<'_>>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let Some(known) = context.instrument(&row.text("instId")?) else { continue };
        let Some(price) = row.maybe_decimal("last")? else { continue };
        facts.push(Fact::Price(Price {
            symbol: known.symbol.clone(),
            base: known.base.clone(),
            quote: known.quote.clone(),
            price,
            at: row.maybe_time("ts")?,
        }));
    }
    Ok(facts)
}

pub(super) fn tickers(rows: Vec<Value<'_>>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let Some(known) = context.instrument(&row.text("instId")?) else { continue };
        facts.push(Fact::Ticker(Ticker {
            symbol: known.symbol.clone(),
            base: known.base.clone(),
            quote: known.quote.clone(),
            last: row.maybe_decimal("last")?,
            bid: row.maybe_decimal("bidPx")?,
            ask: row.maybe_decimal("askPx")?,
            mark: None,
            at: row.maybe_time("ts")?,
        }));
    }
    Ok(facts)
}

/// Bars, which come newest first: time, open, high, low, close, volume.
pub(super) fn candles(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    let mut candles = Vec::new();
    for row in rows {
        let cells = row.list("data")?;
        let cell = |at: usize, field| cells.get(at).copied().ok_or_else(|| malformed(field));
        candles.push(Candle {
            open_at: cell(0, "ts")?.time("ts")?,
            open: cell(1, "o")?.decimal("o")?,
            high: cell(2, "h")?.decimal("h")?,
            low: cell(3, "l")?.decimal("l")?,
            close: cell(4, "c")?.decimal("c")?,
            volume: cell(5, "vol")?.decimal("vol")?,
        });
    }
    candles.sort_by_key(|candle| candle.open_at);
    Ok(candles.into_iter().map(Fact::Candle).collect())
}

/// Closed while any announced maintenance goes on.
pub(super) fn system_status(rows: &[Value<'_>]) -> Result<SystemStatus, ExchangeError> {
    for row in rows {
        if row.object("data")?.text("state")? == "ongoing" {
            return Ok(SystemStatus::Maintenance);
        }
    }
    Ok(SystemStatus::Normal)
}
