//! Bars, which exchanges send as rows of cells or as objects, in either order.

use crate::error::ExchangeError;
use crate::fact::{Candle, Fact};
use crate::json::{Value, malformed};

/// Bars of the form `[time, open, high, low, close, …]`, ascending. `field`
/// names the list they come in; the volume stands at `volume`.
pub(crate) fn of_cells(
    rows: Vec<Value<'_>>,
    field: &'static str,
    volume: usize,
) -> Result<Vec<Fact>, ExchangeError> {
    let read = |row: Value<'_>| {
        let cells = row.list(field)?;
        let cell = |at: usize, name| cells.get(at).copied().ok_or_else(|| malformed(name));
        Ok(Candle {
            open_at: cell(0, "open_time")?.time("open_time")?,
            open: cell(1, "open")?.decimal("open")?,
            high: cell(2, "high")?.decimal("high")?,
            low: cell(3, "low")?.decimal("low")?,
            close: cell(4, "close")?.decimal("close")?,
            volume: cell(volume, "volume")?.decimal("volume")?,
        })
    };
    ascending(rows.into_iter().map(read))
}

/// Bars whose parts have names, ascending. `field` names the list they come
/// in; the time is called `time`.
pub(crate) fn of_objects(
    rows: Vec<Value<'_>>,
    field: &'static str,
    time: &'static str,
) -> Result<Vec<Fact>, ExchangeError> {
    let read = |row: Value<'_>| {
        let row = row.object(field)?;
        Ok(Candle {
            open_at: row.time(time)?,
            open: row.decimal("open")?,
            high: row.decimal("high")?,
            low: row.decimal("low")?,
            close: row.decimal("close")?,
            volume: row.decimal("volume")?,
        })
    };
    ascending(rows.into_iter().map(read))
}

fn ascending(
    candles: impl Iterator<Item = Result<Candle, ExchangeError>>,
) -> Result<Vec<Fact>, ExchangeError> {
    let mut candles: Vec<Candle> = candles.collect::<Result<_, _>>()?;
    candles.sort_by_key(|candle| candle.open_at);
    Ok(candles.into_iter().map(Fact::Candle).collect())
}
