//! Public data: time, status, assets, pairs, tickers, bars.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::candles;
use crate::limits;
use crate::number::padded;
use crate::scenario::Stamp;
use crate::wire;
use crate::world::{Pair, PriceTick, PriceTrack, World};

use super::names::{self, names};
use super::{Answer, Call, INVALID, told};

const UNKNOWN_PAIR: &str = "EQuery:Unknown asset pair";

pub(super) fn time(call: &Call<'_>) -> Answer {
    let at = call.caller.server_time;
    let rfc1123 = at.format("%a, %d %b %y %H:%M:%S +0000");
    told(json!({"unixtime": at.millis() / 1000, "rfc1123": rfc1123}))
}

pub(super) fn system_status(call: &Call<'_>) -> Answer {
    let at = call.caller.server_time.format("%Y-%m-%dT%H:%M:%SZ");
    told(json!({"status": "online", "timestamp": at}))
}

/// Every asset the scenario's pairs name.
fn all_assets(world: &World) -> BTreeSet<&str> {
    world.pairs().flat_map(|((base, quote), _)| [base.as_str(), quote.as_str()]).collect()
}

pub(super) fn assets(call: &Call<'_>) -> Answer {
    let wanted = list(call, "asset");
    let mut rows = Map::new();
    let mut missing = wanted.clone();
    for asset in all_assets(call.world()) {
        let asked = |name: &String| names::means(name, asset);
        if !wanted.is_empty() && !wanted.iter().any(asked) {
            continue;
        }
        missing.retain(|name| !asked(name));
        let row = json!({"aclass": "currency", "altname": names::short(asset),
            "decimals": names::decimals(asset),
            "display_decimals": if names::is_fiat(asset) { 2 } else { 5 }, "status": "enabled"});
        rows.insert(names::asset(asset).to_owned(), row);
    }
    if missing.is_empty() { told(Value::Object(rows)) } else { Err("EQuery:Unknown asset") }
}

pub(super) fn asset_pairs(call: &Call<'_>) -> Answer {
    let wanted = wanted_pairs(call)?;
    let mut rows = Map::new();
    let mut missing = wanted.clone();
    for (pair, _) in call.world().pairs() {
        let [key, alternative, websocket] = names(pair);
        let asked = |name: &String| [&key, &alternative, &websocket].contains(&name);
        if !wanted.is_empty() && !wanted.iter().any(asked) {
            continue;
        }
        missing.retain(|name| !asked(name));
        let on_margin = call.world().has_margin(pair);
        let leverage: &[u8] = if on_margin { &[2, 3, 4, 5] } else { &[] };
        let row = json!({
            "altname": alternative, "wsname": websocket, "aclass_base": "currency",
            "base": names::asset(&pair.0), "aclass_quote": "currency",
            "quote": names::asset(&pair.1), "lot": "unit", "cost_decimals": 5,
            "pair_decimals": PRICE_PLACES, "lot_decimals": 8, "lot_multiplier": 1,
            "leverage_buy": leverage, "leverage_sell": leverage,
            "fees": [[0, wire::number("0.4")]], "fees_maker": [[0, wire::number("0.25")]],
            "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
            "ordermin": "0.00001", "costmin": "0.5", "tick_size": "0.00001", "status": "online"});
        rows.insert(key, row);
    }
    if missing.is_empty() { told(Value::Object(rows)) } else { Err(UNKNOWN_PAIR) }
}

pub(super) fn ticker(call: &Call<'_>) -> Answer {
    let wanted = wanted_pairs(call)?;
    let mut rows = BTreeMap::new();
    let mut missing = wanted.clone();
    for (pair, track) in call.world().pairs() {
        let names = names(pair);
        let asked = |name: &String| names.contains(name);
        if !wanted.is_empty() && !wanted.iter().any(asked) {
            continue;
        }
        if let Some(row) = row(track, call.now()) {
            missing.retain(|name| !asked(name));
            let [key, ..] = names;
            rows.insert(key, row);
        }
    }
    if missing.is_empty() { told(json!(rows)) } else { Err(UNKNOWN_PAIR) }
}

/// The bars of one pair; at most the last 720, whatever `since` says.
pub(super) fn candles(call: &Call<'_>) -> Answer {
    const STEPS: [u64; 9] = [1, 5, 15, 30, 60, 240, 1440, 10_080, 21_600];
    const BARS_MAX: usize = 720;
    let wanted = call.params.get("pair").ok_or(INVALID)?;
    let step = call.params.number("interval").map_err(|_| INVALID)?.unwrap_or(1);
    if !STEPS.contains(&step) {
        return Err(INVALID);
    }
    let since = match call.params.get("since") {
        Some(text) => wire::from_seconds(text).ok_or(INVALID)?.millis() / 1000,
        None => 0,
    };
    let (pair, track) = find(call.world(), wanted).ok_or(UNKNOWN_PAIR)?;
    let bars = candles::bars(track, call.now(), step * 60);
    let kept = bars.iter().skip(bars.len().saturating_sub(BARS_MAX));
    let rows: Vec<Value> = kept
        .filter(|bar| bar.start > since)
        .map(|bar| {
            let price = |tick: &PriceTick| tick.price.padded(PRICE_PLACES);
            let mean = padded(bar.mean().round_dp(8), PRICE_PLACES);
            let volume = padded(Decimal::from(bar.count), 8);
            json!([
                bar.start,
                price(bar.open),
                price(bar.high),
                price(bar.low),
                price(bar.close),
                mean,
                volume,
                bar.count
            ])
        })
        .collect();
    // The last bar is still open: the one before it is the last that is sure.
    let last = bars.iter().rev().nth(1).or_else(|| bars.first()).map_or(since, |bar| bar.start);
    let [key, ..] = names(pair);
    let mut result = Map::new();
    result.insert(key, Value::Array(rows));
    result.insert("last".to_owned(), json!(last));
    told(Value::Object(result))
}

fn find<'a>(world: &'a World, wanted: &str) -> Option<(&'a Pair, &'a PriceTrack)> {
    world.pairs().find(|(pair, _)| names(pair).iter().any(|name| name == wanted))
}

fn list(call: &Call<'_>, name: &str) -> Vec<String> {
    call.params.all(name).flat_map(|value| value.split(',')).map(str::to_owned).collect()
}

/// The `pair` parameter: a list with commas, absent for all.
fn wanted_pairs(call: &Call<'_>) -> Result<Vec<String>, &'static str> {
    let wanted = list(call, "pair");
    let sound = wanted.len() <= limits::SYMBOLS_MAX && wanted.iter().all(|name| !name.is_empty());
    if sound { Ok(wanted) } else { Err(INVALID) }
}

/// `a` ask, `b` bid, `c` last trade, `v` volume, `p` average price, `t` number of trades, `l` low,
/// `h` high: today and the last 24 hours; `o` today's opening price.
fn row(track: &PriceTrack, now: Stamp) -> Option<Value> {
    let last = track.at(now)?;
    let until = track.until(now);
    let midnight = Stamp::from_civil(now.civil().date().to_datetime(jiff::civil::Time::midnight()));
    let day = now.plus_millis(-24 * 3600 * 1000);
    let today: Vec<_> = until.iter().filter(|tick| tick.at >= midnight).copied().collect();
    let recent: Vec<_> = until.iter().filter(|tick| tick.at > day).copied().collect();
    let spans = [&today, &recent];
    let each = |figure: fn(&[&PriceTick], &PriceTick) -> String| spans.map(|it| figure(it, last));
    let price = last.price.padded(PRICE_PLACES);
    let quote = [price.as_str(), "1", "1.000"];
    Some(json!({
        "a": quote,
        "b": quote,
        "c": [price.as_str(), "1.00000000"],
        "v": each(|span, _| padded(Decimal::from(span.len()), 8)),
        "p": each(|span, last| {
            let sum: Decimal = span.iter().map(|tick| tick.value).sum();
            let mean = sum.checked_div(Decimal::from(span.len()));
            padded(mean.unwrap_or(last.value).round_dp(8), PRICE_PLACES)
        }),
        "t": spans.map(Vec::len),
        "l": each(|span, last| extreme(span.iter().min_by_key(|tick| tick.value), last)),
        "h": each(|span, last| extreme(span.iter().max_by_key(|tick| tick.value), last)),
        "o": extreme(today.first(), last),
    }))
}

fn extreme(found: Option<&&PriceTick>, last: &PriceTick) -> String {
    found.map_or(last, |tick| tick).price.padded(PRICE_PLACES)
}

const PRICE_PLACES: usize = 5;
