//! Public data of the spot market: instruments, prices, tickers, bars, status.

use std::sync::Arc;

use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, SystemStatus, Ticker};
use crate::json::Value;
use crate::{Context, candles};

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
        facts.push(Fact::Price(known.price(price, row.maybe_time("ts")?)));
    }
    Ok(facts)
}

pub(super) fn tickers(rows: Vec<Value<'_>>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in rows {
        let row = row.object("data")?;
        let Some(known) = context.instrument(&row.text("instId")?) else { continue };
        facts.push(Fact::Ticker(Ticker {
            last: row.maybe_decimal("last")?,
            bid: row.maybe_decimal("bidPx")?,
            ask: row.maybe_decimal("askPx")?,
            at: row.maybe_time("ts")?,
            ..known.ticker()
        }));
    }
    Ok(facts)
}

/// Bars, which come newest first: time, open, high, low, close, volume.
pub(super) fn candles(rows: Vec<Value<'_>>) -> Result<Vec<Fact>, ExchangeError> {
    candles::of_cells(rows, "data", 5)
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
