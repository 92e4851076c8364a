//! Public data of the spot market: instruments, prices, tickers, bars.

use rust_decimal::Decimal;

use crate::error::ExchangeError;
use crate::fact::{Candle, Fact, Instrument, InstrumentKind, Price, Ticker};
use crate::json::{Object, malformed};
use crate::{Context, UnixMillis};

/// All listed pairs, whatever their state.
pub(super) fn instruments(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("list")? {
        let row = row.object("list")?;
        let (base, quote) = (row.text("baseCoin")?, row.text("quoteCoin")?);
        facts.push(Fact::Instrument(Instrument {
            raw: row.text("symbol")?,
            aliases: Vec::new(),
            symbol: format!("{base}/{quote}"),
            base,
            quote,
            settle: None,
            kind: InstrumentKind::Spot,
            contract_size: Decimal::ONE,
            inverse: false,
        }));
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
        facts.push(Fact::Price(Price {
            symbol: known.symbol.clone(),
            base: known.base.clone(),
            quote: known.quote.clone(),
            price,
            at: None,
        }));
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
            symbol: known.symbol.clone(),
            base: known.base.clone(),
            quote: known.quote.clone(),
            last: row.maybe_decimal("lastPrice")?,
            bid: row.maybe_decimal("bid1Price")?,
            ask: row.maybe_decimal("ask1Price")?,
            mark: None,
            at,
        }));
    }
    Ok(facts)
}

/// Bars, which come newest first: time, open, high, low, close, volume.
pub(super) fn candles(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut candles = Vec::new();
    for row in result.list("list")? {
        let cells = row.list("list")?;
        let cell = |at: usize, field| cells.get(at).copied().ok_or_else(|| malformed(field));
        candles.push(Candle {
            open_at: cell(0, "start")?.time("start")?,
            open: cell(1, "open")?.decimal("open")?,
            high: cell(2, "high")?.decimal("high")?,
            low: cell(3, "low")?.decimal("low")?,
            close: cell(4, "close")?.decimal("close")?,
            volume: cell(5, "volume")?.decimal("volume")?,
        });
    }
    candles.sort_by_key(|candle| candle.open_at);
    Ok(candles.into_iter().map(Fact::Candle).collect())
}
