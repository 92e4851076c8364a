//! Public data: contracts, prices, tickers, bars.

use rust_decimal::Decimal;

use super::contracts;
use crate::error::ExchangeError;
use crate::fact::{Fact, Instrument, Price, Ticker};
use crate::json::{Object, malformed};
use crate::{Context, candles};

/// Contracts. Indices, options and what else is listed are left out.
pub(super) fn instruments(body: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in body.list("instruments")? {
        let row = row.object("instruments")?;
        let Some(named) = contracts::named(&row.text("symbol")?) else { continue };
        let contract_size = row.maybe_decimal("contractSize")?.unwrap_or(Decimal::ONE);
        facts.push(Fact::Instrument(Instrument { contract_size, ..named }));
    }
    Ok(facts)
}

/// Last prices of what was asked, or of everything. Unknown contracts and
/// those that never traded are left out.
pub(super) fn prices(
    body: &Object<'_>,
    context: &Context,
    asked: &[String],
) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for ticker in read(body, context, asked)? {
        if let Some(price) = ticker.last {
            let Ticker { symbol, base, quote, at, .. } = ticker;
            facts.push(Fact::Price(Price { symbol, base, quote, price, at }));
        }
    }
    Ok(facts)
}

pub(super) fn tickers(
    body: &Object<'_>,
    context: &Context,
    asked: &[String],
) -> Result<Vec<Fact>, ExchangeError> {
    Ok(read(body, context, asked)?.into_iter().map(Fact::Ticker).collect())
}

fn read(
    body: &Object<'_>,
    context: &Context,
    asked: &[String],
) -> Result<Vec<Ticker>, ExchangeError> {
    let mut tickers = Vec::new();
    for row in body.list("tickers")? {
        let row = row.object("tickers")?;
        let Some(name) = row.maybe_text("symbol")? else { continue };
        let wanted =
            asked.is_empty() || asked.iter().any(|asked| asked.eq_ignore_ascii_case(&name));
        let Some(instrument) = contracts::find(&name, context).filter(|_| wanted) else { continue };
        tickers.push(Ticker {
            last: row.maybe_decimal("last")?,
            bid: row.maybe_decimal("bid")?,
            ask: row.maybe_decimal("ask")?,
            mark: row.maybe_decimal("markPrice")?,
            at: row.maybe_time("lastTime")?,
            ..instrument.ticker()
        });
    }
    Ok(tickers)
}

pub(super) fn candles(body: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    candles::of_objects(body.list("candles")?, "candles", "time")
}

/// `/derivatives` states that it succeeded.
pub(super) fn succeeded(body: &Object<'_>) -> Result<(), ExchangeError> {
    if body.text("result")? == "success" { Ok(()) } else { Err(malformed("result")) }
}
