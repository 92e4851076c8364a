//! Products, tickers, bars, the time.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::candles;
use crate::number::padded;
use crate::wire::{iso_micros, iso_millis};
use crate::world::{Pair, PriceTick, PriceTrack};

use super::{Answer, Call, Refusal, told};

pub(super) fn product_id(pair: &Pair) -> String {
    format!("{}-{}", pair.0, pair.1)
}

pub(super) fn time(call: &Call<'_>) -> Answer {
    let at = call.caller.server_time;
    told(json!({"iso": at.format("%Y-%m-%dT%H:%M:%SZ"),
        "epochSeconds": (at.millis() / 1000).to_string(), "epochMillis": at.millis().to_string()}))
}

fn listed<'a>(call: &'a Call<'_>) -> impl Iterator<Item = (&'a Pair, &'a PriceTick)> {
    call.world().pairs().filter_map(|(pair, track)| Some((pair, track.at(call.now())?)))
}

fn described(pair: &Pair, tick: &PriceTick) -> Value {
    let (base, quote) = (&pair.0, &pair.1);
    json!({"product_id": product_id(pair), "price": tick.price.as_str(),
        "price_percentage_change_24h": "0", "volume_24h": "0",
        "volume_percentage_change_24h": "0", "base_increment": "0.00000001",
        "quote_increment": "0.00000001", "quote_min_size": "1", "quote_max_size": "150000000",
        "base_min_size": "0.00000001", "base_max_size": "3400", "base_name": base,
        "quote_name": quote, "watched": false, "is_disabled": false, "new": false,
        "status": "online", "cancel_only": false, "limit_only": false, "post_only": false,
        "trading_disabled": false, "auction_mode": false, "product_type": "SPOT",
        "quote_currency_id": quote, "base_currency_id": base, "fcm_trading_session_details": null,
        "mid_market_price": "", "alias": "", "alias_to": [], "base_display_symbol": base,
        "quote_display_symbol": quote, "view_only": false, "price_increment": "0.00000001",
        "display_name": product_id(pair), "product_venue": "CBE",
        "approximate_quote_24h_volume": "0"})
}

pub(super) fn products(call: &Call<'_>) -> Answer {
    let wanted: Vec<&str> = call.params.all("product_ids").collect();
    let limit = call.limit(usize::MAX, usize::MAX)?;
    let skip = call.params.number("offset").map_err(|_| Refusal::invalid("offset is invalid"))?;
    let skip = skip.and_then(|skip| usize::try_from(skip).ok()).unwrap_or(0);
    let spot = match call.params.get("product_type") {
        None | Some("SPOT" | "UNKNOWN_PRODUCT_TYPE") => true,
        Some("FUTURE") => false,
        Some(_) => return Err(Refusal::invalid("product_type is invalid")),
    };
    let rows = listed(call)
        .filter(|(pair, _)| {
            spot && (wanted.is_empty() || wanted.contains(&product_id(pair).as_str()))
        })
        .skip(skip)
        .take(limit)
        .map(|(pair, tick)| described(pair, tick));
    let rows: Vec<Value> = rows.collect();
    let count = rows.len();
    told(json!({"products": rows, "num_products": count}))
}

/// `{id}`, `{id}/ticker` or `{id}/candles`.
pub(super) fn product(call: &Call<'_>, rest: &str) -> Answer {
    let (id, view) = rest.split_once('/').map_or((rest, None), |(id, view)| (id, Some(view)));
    let missing = || Refusal::not_found("error retrieving product");
    let found = call.world().pairs().find(|(pair, _)| product_id(pair) == id);
    let (pair, track) = found.ok_or_else(missing)?;
    let tick = track.at(call.now()).ok_or_else(missing)?;
    match view {
        None => Ok(described(pair, tick)),
        Some("ticker") => ticker(call, pair, track, tick),
        Some("candles") => bars(call, track),
        Some(_) => Err(Refusal::not_found("Not Found")),
    }
}

/// The latest trades. Each price event of the scenario is one trade of one unit.
fn ticker(call: &Call<'_>, pair: &Pair, track: &PriceTrack, last: &PriceTick) -> Answer {
    let limit = call.limit(100, 1_000)?;
    let until = track.until(call.now());
    let trades = until.iter().rev().take(limit).map(|tick| {
        json!({"trade_id": tick.at.micros().to_string(), "product_id": product_id(pair),
            "price": tick.price.as_str(), "size": "1", "time": iso_micros(tick.at), "side": "BUY",
            "bid": "", "ask": "", "exchange": "coinbase"})
    });
    let price = last.price.as_str();
    told(json!({"trades": trades.collect::<Vec<_>>(), "best_bid": price, "best_ask": price}))
}

pub(super) fn best_bid_ask(call: &Call<'_>) -> Answer {
    let wanted: Vec<&str> = call.params.all("product_ids").collect();
    let books = listed(call)
        .filter(|(pair, _)| wanted.is_empty() || wanted.contains(&product_id(pair).as_str()))
        .map(|(pair, tick)| {
            let level = json!([{"price": tick.price.as_str(), "size": "1"}]);
            json!({"product_id": product_id(pair), "bids": level, "asks": level,
                "time": iso_millis(call.caller.server_time)})
        });
    told(json!({"pricebooks": books.collect::<Vec<_>>()}))
}

/// Bars of one reply.
const BARS_MAX: u64 = 350;

/// Newest first; intervals without a trade are left out.
fn bars(call: &Call<'_>, track: &PriceTrack) -> Answer {
    let step = match call.params.get("granularity") {
        Some("ONE_MINUTE") => 60,
        Some("FIVE_MINUTE") => 300,
        Some("FIFTEEN_MINUTE") => 900,
        Some("THIRTY_MINUTE") => 1_800,
        Some("ONE_HOUR") => 3_600,
        Some("TWO_HOUR") => 7_200,
        Some("SIX_HOUR") => 21_600,
        Some("ONE_DAY") => 86_400,
        _ => return Err(Refusal::invalid("granularity is invalid")),
    };
    let bound = |name: &str| {
        let value = call.params.number(name).ok().flatten();
        value.ok_or_else(|| Refusal::invalid(&format!("{name} is required and must be seconds")))
    };
    let (start, end) = (bound("start")?, bound("end")?);
    let span = end.checked_sub(start);
    let span = span.ok_or_else(|| Refusal::invalid("start must be before end"))?;
    if span / step >= BARS_MAX {
        return Err(Refusal::invalid("number of candles requested should be less than 350"));
    }
    let limit = call.limit(350, 350)?;
    let all = candles::bars(track, call.now(), step);
    let inside = all.iter().rev().filter(|bar| (start..=end).contains(&bar.start)).take(limit);
    let rows = inside.map(|bar| {
        json!({"start": bar.start.to_string(), "low": bar.low.price.as_str(),
            "high": bar.high.price.as_str(), "open": bar.open.price.as_str(),
            "close": bar.close.price.as_str(), "volume": padded(Decimal::from(bar.count), 0)})
    });
    told(json!({"candles": rows.collect::<Vec<_>>()}))
}
