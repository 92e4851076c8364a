//! Public data: pairs, prices, tickers, bars, status.

use rust_decimal::Decimal;

use super::assets;
use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, Page, Price, SystemStatus, Ticker};
use crate::json::{Object, malformed};
use crate::{Context, candles};

/// Pairs that are read without instruments in the context: the name a query
/// takes, the name the reply uses, base and quote.
const REFERENCE: [(&str, &str, &str, &str); 4] = [
    ("USDTUSD", "USDTZUSD", "USDT", "USD"),
    ("USDCUSD", "USDCUSD", "USDC", "USD"),
    ("EURUSD", "ZEURZUSD", "EUR", "USD"),
    ("GBPUSD", "ZGBPZUSD", "GBP", "USD"),
];

/// Orders may be restricted while everything can still be read.
pub(super) fn system_status(result: &Object<'_>) -> Result<SystemStatus, ExchangeError> {
    match result.text("status")?.as_str() {
        "online" | "cancel_only" | "post_only" | "limit_only" => Ok(SystemStatus::Normal),
        "maintenance" => Ok(SystemStatus::Maintenance),
        _ => Err(malformed("status")),
    }
}

/// All listed pairs, whatever their state.
pub(super) fn instruments(
    result: &Object<'_>,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for (raw, row) in result.fields() {
        facts.push(Fact::Instrument(instrument(raw, &row.object("result")?, context)?));
    }
    Ok(facts)
}

fn instrument(raw: &str, row: &Object<'_>, context: &Context) -> Result<Instrument, ExchangeError> {
    let mut aliases = Vec::new();
    for name in ["altname", "wsname"] {
        aliases.extend(row.maybe_text(name)?.filter(|alias| alias != raw));
    }
    aliases.dedup();
    let base = assets::code_of(&row.text("base")?, context);
    let quote = assets::code_of(&row.text("quote")?, context);
    Ok(assets::spot(raw.to_owned(), aliases, base, quote))
}

/// Last prices. Unknown pairs and empty prices are left out.
pub(super) fn prices(result: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for (name, row) in result.fields() {
        let Some((symbol, base, quote)) = pair(name, context) else { continue };
        let row = row.object("result")?;
        row.need("c")?;
        let Some(price) = first(&row, "c")? else { continue };
        facts.push(Fact::Price(Price { symbol, base, quote, price, at: None }));
    }
    Ok(facts)
}

/// Unknown pairs are left out. There is no time in the reply.
pub(super) fn tickers(result: &Object<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for (name, row) in result.fields() {
        let Some((symbol, base, quote)) = pair(name, context) else { continue };
        let row = row.object("result")?;
        let [last, bid, ask] = [first(&row, "c")?, first(&row, "b")?, first(&row, "a")?];
        facts.push(Fact::Ticker(Ticker {
            symbol,
            base,
            quote,
            last,
            bid,
            ask,
            mark: None,
            at: None,
        }));
    }
    Ok(facts)
}

/// Symbol, base and quote of a pair in a reply.
fn pair(name: &str, context: &Context) -> Option<(String, String, String)> {
    if let Some(known) = context.instrument(name) {
        return Some((known.symbol.clone(), known.base.clone(), known.quote.clone()));
    }
    let (_, _, base, quote) =
        REFERENCE.iter().find(|(asked, answered, ..)| *asked == name || *answered == name)?;
    Some((format!("{base}/{quote}"), (*base).to_owned(), (*quote).to_owned()))
}

/// The price is the first of each list; `None` where there is no list or the
/// price is empty.
fn first(row: &Object<'_>, name: &'static str) -> Result<Option<Decimal>, ExchangeError> {
    let Some(list) = row.get(name) else { return Ok(None) };
    let cells = list.list(name)?;
    let price = cells.first().ok_or_else(|| malformed(name))?;
    if price.is_empty() { Ok(None) } else { price.decimal(name).map(Some) }
}

/// Bars of the one pair in the reply, ascending, and up to which they stay as
/// they are.
pub(super) fn candles(result: &Object<'_>) -> Result<Page, ExchangeError> {
    let mut lists = result.fields().filter(|(name, _)| *name != "last");
    let rows = match (lists.next(), lists.next()) {
        (Some((_, rows)), None) => rows.list("result")?,
        _ => return Err(malformed("result")),
    };
    let facts = candles::of_cells(rows, "result", 6)?;
    Ok(Page { last_committed: result.maybe_time("last")?, ..Page::last(facts) })
}
