//! Public data of the spot market: instruments, prices, tickers, bars.

use std::sync::Arc;

use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, Ticker};
use crate::json::Object;
use crate::{Context, UnixMillis, candles};

/// The pair of that name: a known one, or one whose name ends in what some
/// known pair is priced in. Pairs leave the list and stay in the history.
pub(super) fn instrument(name: &str, context: &Context) -> Result<Arc<Instrument>, ExchangeError> {
    if let Some(known) = context.instrument(name) {
        return Ok(Arc::clone(known));
    }
    let ends = |(_, known): (_, &Arc<Instrument>)| {
        let base = name.strip_suffix(known.quote.as_str())?;
        (!base.is_empty()).then(|| (known.quote.len(), Instrument::spot(name, base, &known.quote)))
    };
    let longest = context.instruments().filter_map(ends).max_by_key(|(len, _)| *len);
    longest.map(|(_, pair)| Arc::new(pair)).ok_or(ExchangeError::UnknownInstrument)
}

/// All listed pairs, whatever their state.
pub(super) fn instruments(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("list")? {
        let row = row.object("list")?;
        let (base, quote) = (row.text("baseCoin")?, row.text("quoteCoin")?);
        let raw = row.text("symbol")?;
        facts.push(Fact::Instrument(Instrument::spot(&raw, &base, &quote)));
    }
    Ok(facts)
}

/// Last prices of known pairs; those without one are left out.
pub(super) fn prices(result: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("list")? {
        let row = row.object("list")?;
        let Some(known) = context.instrument(&row.text("symbol")?) else { continue };
        let Some(price) = row.maybe_decimal("lastPrice")? else { continue };
        facts.push(Fact::Price(known.price(price, None)));
    }
    Ok(facts)
}

/// Last, bid and ask; the time is that of the reply.
pub(super) fn tickers(
    result: &Object<'_>,
    at: Option<UnixMillis>,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("list")? {
        let row = row.object("list")?;
        let Some(known) = context.instrument(&row.text("symbol")?) else { continue };
        facts.push(Fact::Ticker(Ticker {
            last: row.maybe_decimal("lastPrice")?,
            bid: row.maybe_decimal("bid1Price")?,
            ask: row.maybe_decimal("ask1Price")?,
            at,
            ..known.ticker()
        }));
    }
    Ok(facts)
}

/// Bars, which come newest first: time, open, high, low, close, volume.
pub(super) fn candles(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    candles::of_cells(result.list("list")?, "list", 5)
}
