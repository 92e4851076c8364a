//! Instruments, tickers and bars. They cost nothing.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::candles;
use crate::wire::{self, decimal, iso_micros, number};
use crate::world::{Instrument, PriceTick};

use super::contracts::{self, code};
use super::{Answer, Call, Refusal, told};

const NOT_FOUND: Refusal = Refusal::Word("contractNotFound");

pub(super) fn instruments(call: &Call<'_>) -> Answer {
    let opened = wire::iso_millis(call.world().started.plus_millis(-365 * 24 * 3600 * 1000));
    let rows = call.world().instruments().map(|contract| {
        let symbol = contracts::symbol(contract);
        let kind = if contract.inverse { "futures_inverse" } else { "flexible_futures" };
        let base = &contract.pair.0;
        let mut row = json!({"symbol": symbol, "type": kind, "tradeable": true,
            "contractSize": 1, "tickSize": number("0.01"), "impactMidSize": 1,
            "maxPositionSize": 1_000_000, "openingDate": opened, "marginLevels": [],
            "contractValueTradePrecision": if contract.inverse { 0 } else { 8 },
            "base": base, "quote": "USD", "pair": format!("{base}:USD"), "category": "",
            "tags": [], "fundingRateCoefficient": 8});
        if let Some(object) = row.as_object_mut() {
            if contract.inverse {
                let index = format!("rr_{}usd", code(base).to_ascii_lowercase());
                object.insert("underlying".to_owned(), json!(index));
            }
            if let Some(last) = contracts::last_trading(&symbol) {
                object.insert("lastTradingTime".to_owned(), json!(wire::iso_millis(last)));
            }
        }
        row
    });
    told(json!({"instruments": rows.collect::<Vec<_>>()}))
}

fn state(symbol: &str) -> Value {
    json!({"tradeable": symbol, "experiencingDislocation": false,
        "priceDislocationDirection": null, "experiencingExtremeVolatility": false,
        "extremeVolatilityInitialMarginMultiplier": 1})
}

pub(super) fn status(call: &Call<'_>, symbol: &str) -> Answer {
    // This one is always listed.
    let known = symbol == "PF_XBTUSD" || contracts::find(call.world(), symbol).is_some();
    if known { Ok(state(symbol)) } else { Err(NOT_FOUND) }
}

pub(super) fn statuses(call: &Call<'_>) -> Answer {
    let all = call.world().instruments().map(|it| state(&contracts::symbol(it)));
    told(json!({"instrumentStatus": all.collect::<Vec<_>>()}))
}

fn price<'a>(call: &'a Call<'_>, contract: &Instrument) -> Option<&'a PriceTick> {
    call.world().price(&contract.pair)?.at(call.now())
}

/// Every number is a JSON number; there is no `last` before the first trade.
fn row(call: &Call<'_>, contract: &Instrument) -> Value {
    let symbol = contracts::symbol(contract);
    let tag = if contracts::date(&symbol).is_some() { "month" } else { "perpetual" };
    let mut row = json!({"symbol": symbol, "tag": tag,
        "pair": format!("{}:USD", code(&contract.pair.0)), "suspended": false, "postOnly": false,
        "openInterest": number("0"), "vol24h": number("0"), "volumeQuote": number("0"),
        "fundingRate": number("0"), "fundingRatePrediction": number("0")});
    if let (Some(tick), Some(object)) = (price(call, contract), row.as_object_mut()) {
        let value = number(tick.price.as_str());
        for name in
            ["last", "markPrice", "indexPrice", "bid", "ask", "open24h", "high24h", "low24h"]
        {
            object.insert(name.to_owned(), value.clone());
        }
        for name in ["bidSize", "askSize", "lastSize"] {
            object.insert(name.to_owned(), json!(1));
        }
        object.insert("lastTime".to_owned(), json!(iso_micros(tick.at)));
        object.insert("change24h".to_owned(), number("0"));
    }
    row
}

pub(super) fn tickers(call: &Call<'_>) -> Answer {
    let mut rows: Vec<Value> = call.world().instruments().map(|it| row(call, it)).collect();
    // The index of each base asset stands among them.
    let mut bases: Vec<&Instrument> = call.world().instruments().collect();
    bases.sort_by_key(|contract| &contract.pair.0);
    bases.dedup_by_key(|contract| &contract.pair.0);
    for contract in bases {
        if let Some(tick) = price(call, contract) {
            let symbol = format!("in_{}usd", code(&contract.pair.0).to_ascii_lowercase());
            rows.push(json!({"symbol": symbol, "last": number(tick.price.as_str()),
                "lastTime": iso_micros(tick.at)}));
        }
    }
    told(json!({"tickers": rows}))
}

pub(super) fn ticker(call: &Call<'_>, symbol: &str) -> Answer {
    let contract = contracts::find(call.world(), symbol).ok_or(NOT_FOUND)?;
    told(json!({"ticker": row(call, contract)}))
}

/// `{trade|mark|spot}/{symbol}/{resolution}`.
pub(super) fn charts(call: &Call<'_>, rest: &str) -> Answer {
    const ROWS_MAX: usize = 2_000;
    let wrong = || Refusal::Status(400, "invalid argument");
    let parts: Vec<&str> = rest.split('/').collect();
    let ["trade" | "mark" | "spot", symbol, resolution] = parts.as_slice() else {
        return Err(Refusal::Status(404, "Not Found"));
    };
    let step = match *resolution {
        "1m" => 60,
        "5m" => 300,
        "15m" => 900,
        "30m" => 1_800,
        "1h" => 3_600,
        "4h" => 14_400,
        "12h" => 43_200,
        "1d" => 86_400,
        "1w" => 604_800,
        _ => return Err(wrong()),
    };
    let contract = contracts::find(call.world(), symbol);
    let contract = contract.ok_or(Refusal::Status(404, "Market not found"))?;
    let from = call.params.number("from").map_err(|_| wrong())?.unwrap_or(0);
    let to = call.params.number("to").map_err(|_| wrong())?.unwrap_or(u64::MAX);
    let track = call.world().price(&contract.pair);
    let all = track.map(|track| candles::bars(track, call.now(), step)).unwrap_or_default();
    let inside: Vec<_> = all.iter().filter(|bar| (from..=to).contains(&bar.start)).collect();
    let rows = inside.iter().take(ROWS_MAX).map(|bar| {
        let text = |tick: &PriceTick| tick.price.as_str().to_owned();
        json!({"time": bar.start * 1000, "open": text(bar.open), "high": text(bar.high),
            "low": text(bar.low), "close": text(bar.close),
            "volume": decimal(Decimal::from(bar.count))})
    });
    told(json!({"candles": rows.collect::<Vec<_>>(), "more_candles": inside.len() > ROWS_MAX}))
}
