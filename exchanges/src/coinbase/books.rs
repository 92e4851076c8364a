//! Public data: products, prices, tickers, bars.

use std::sync::Arc;

use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, Ticker};
use crate::json::{Object, Value};
use crate::{Context, candles};

/// The product of that name: a known one, or `BASE-QUOTE`. Products leave the
/// list when they close and stay in the history.
pub(super) fn instrument(
    product: &str,
    context: &Context,
) -> Result<Arc<Instrument>, ExchangeError> {
    if let Some(known) = context.instrument(product) {
        return Ok(Arc::clone(known));
    }
    Instrument::unlisted(product).map(Arc::new).ok_or(ExchangeError::UnknownInstrument)
}

/// All spot products, whatever their state.
pub(super) fn instruments(document: Value<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in document.object("body")?.list("products")? {
        let row = row.object("products")?;
        if is_spot(&row)? {
            let (raw, base, quote) = names(&row)?;
            facts.push(Fact::Instrument(Instrument::spot(&raw, &base, &quote)));
        }
    }
    Ok(facts)
}

fn is_spot(row: &Object<'_>) -> Result<bool, ExchangeError> {
    Ok(row.maybe_text("product_type")?.is_none_or(|kind| kind == "SPOT"))
}

fn names(row: &Object<'_>) -> Result<(String, String, String), ExchangeError> {
    Ok((row.text("product_id")?, row.text("base_currency_id")?, row.text("quote_currency_id")?))
}

/// Last prices of known products; those without a price are left out.
pub(super) fn prices(document: Value<'_>, context: &Context) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in document.object("body")?.list("products")? {
        let row = row.object("products")?;
        let Some(known) = context.instrument(&row.text("product_id")?) else { continue };
        let Some(price) = row.maybe_decimal("price")? else { continue };
        facts.push(Fact::Price(known.price(price, None)));
    }
    Ok(facts)
}

/// The last trade with the best bid and ask; the reply to `best_bid_ask` has
/// these alone.
pub(super) fn ticker(
    document: Value<'_>,
    asked: &str,
    context: &Context,
) -> Result<Vec<Fact>, ExchangeError> {
    let body = document.object("body")?;
    if let Some(books) = body.get("pricebooks") {
        let books = books.list("pricebooks")?.into_iter();
        return books.map(|book| best(&book.object("pricebooks")?, context)).collect();
    }
    let trades = body.list("trades")?;
    // A product that never traded has a book all the same.
    let (product, last, at) = match trades.first() {
        Some(trade) => {
            let trade = trade.object("trades")?;
            let product = trade.text("product_id")?;
            (product, Some(trade.decimal("price")?), trade.maybe_time("time")?)
        }
        None => (asked.to_owned(), None, None),
    };
    let instrument = instrument(&product, context)?;
    Ok(vec![Fact::Ticker(Ticker {
        last,
        bid: body.maybe_decimal("best_bid")?,
        ask: body.maybe_decimal("best_ask")?,
        at,
        ..instrument.ticker()
    })])
}

fn best(book: &Object<'_>, context: &Context) -> Result<Fact, ExchangeError> {
    let instrument = instrument(&book.text("product_id")?, context)?;
    let first = |side: &'static str| match book.list(side)?.first() {
        Some(level) => level.object(side)?.maybe_decimal("price"),
        None => Ok(None),
    };
    Ok(Fact::Ticker(Ticker {
        bid: first("bids")?,
        ask: first("asks")?,
        at: book.maybe_time("time")?,
        ..instrument.ticker()
    }))
}

/// Bars, which come newest first.
pub(super) fn candles(document: Value<'_>) -> Result<Vec<Fact>, ExchangeError> {
    candles::of_objects(document.object("body")?.list("candles")?, "candles", "start")
}

/// The exchange's clock, as finely as it says.
pub(super) fn server_time(document: Value<'_>) -> Result<crate::UnixMillis, ExchangeError> {
    let body = document.object("body")?;
    for name in ["epochMillis", "iso"] {
        if let Some(time) = body.maybe_time(name)? {
            return Ok(time);
        }
    }
    body.time("epochSeconds")
}
