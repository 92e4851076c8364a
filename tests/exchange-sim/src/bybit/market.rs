//! Time, instruments, tickers and bars of the spot market.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::candles;
use crate::number::padded;
use crate::world::PriceTick;

use super::{Answer, Call, Refusal, symbol, told};

pub(super) fn time(call: &Call<'_>) -> Answer {
    let at = call.caller.server_time;
    let nanos = format!("{}000", at.micros());
    told(json!({"timeSecond": (at.millis() / 1000).to_string(), "timeNano": nanos}))
}

/// Which category is asked for; the others are empty here.
fn is_spot(call: &Call<'_>) -> Result<bool, Refusal> {
    match call.params.get("category") {
        Some("spot") => Ok(true),
        Some("linear" | "inverse" | "option") => Ok(false),
        _ => Err(Refusal::params("category is invalid")),
    }
}

fn unknown() -> Refusal {
    Refusal::params("Symbol Invalid")
}

pub(super) fn instruments(call: &Call<'_>) -> Answer {
    let spot = is_spot(call)?;
    let wanted = call.params.get("symbol");
    let pairs = call
        .world()
        .pairs()
        .map(|(pair, _)| pair)
        .filter(|pair| spot && wanted.is_none_or(|wanted| symbol(pair) == wanted));
    let rows: Vec<Value> = pairs
        .map(|pair| {
            json!({"symbol": symbol(pair), "baseCoin": pair.0, "quoteCoin": pair.1,
                "innovation": "0", "status": "Trading", "marginTrading": "utaOnly",
                "lotSizeFilter": {"basePrecision": "0.00000001", "quotePrecision": "0.00000001",
                    "minOrderQty": "0.00000001", "maxOrderQty": "100000", "minOrderAmt": "1",
                    "maxOrderAmt": "4000000"},
                "priceFilter": {"tickSize": "0.00000001"}})
        })
        .collect();
    if wanted.is_some() && rows.is_empty() {
        return Err(unknown());
    }
    Ok(json!({"category": call.params.get("category"), "list": rows}))
}

pub(super) fn tickers(call: &Call<'_>) -> Answer {
    let spot = is_spot(call)?;
    let wanted = call.params.get("symbol");
    let listed = call.world().pairs().filter_map(|(pair, track)| {
        let asked = spot && wanted.is_none_or(|wanted| symbol(pair) == wanted);
        Some((pair, track.at(call.now()).filter(|_| asked)?))
    });
    let rows: Vec<Value> = listed
        .map(|(pair, tick)| {
            let price = tick.price.as_str();
            json!({"symbol": symbol(pair), "bid1Price": price, "bid1Size": "1",
                "ask1Price": price, "ask1Size": "1", "lastPrice": price, "prevPrice24h": price,
                "price24hPcnt": "0", "highPrice24h": price, "lowPrice24h": price,
                "turnover24h": "0", "volume24h": "0"})
        })
        .collect();
    if wanted.is_some() && rows.is_empty() {
        return Err(unknown());
    }
    Ok(json!({"category": call.params.get("category"), "list": rows}))
}

/// Newest first, a thousand at most.
pub(super) fn bars(call: &Call<'_>) -> Answer {
    let wanted = call.params.get("symbol").ok_or_else(unknown)?;
    let found = call.world().pairs().find(|(pair, _)| symbol(pair) == wanted);
    let (_, track) = found.ok_or_else(unknown)?;
    let step = match call.params.get("interval") {
        Some("D") => 86_400,
        Some("W") => 604_800,
        Some(minutes) => {
            let minutes: u64 = minutes.parse().unwrap_or(0);
            if ![1, 3, 5, 15, 30, 60, 120, 240, 360, 720].contains(&minutes) {
                return Err(Refusal::params("Invalid period!"));
            }
            minutes * 60
        }
        None => return Err(Refusal::params("Invalid period!")),
    };
    let limit = call.limit(200, 1_000)?;
    let start = call.millis("start")?.unwrap_or(0);
    let end = call.millis("end")?.unwrap_or(u64::MAX);
    let all = candles::bars(track, call.now(), step);
    let inside = all.iter().rev().filter(|bar| (start..=end).contains(&(bar.start * 1000)));
    let text = |tick: &PriceTick| tick.price.as_str().to_owned();
    let rows = inside.take(limit).map(|bar| {
        let volume = padded(Decimal::from(bar.count), 0);
        json!([
            (bar.start * 1000).to_string(),
            text(bar.open),
            text(bar.high),
            text(bar.low),
            text(bar.close),
            volume,
            padded(bar.sum, 0)
        ])
    });
    Ok(json!({"category": "spot", "symbol": wanted, "list": rows.collect::<Vec<_>>()}))
}
