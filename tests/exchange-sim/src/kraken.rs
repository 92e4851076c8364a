//! Kraken Spot, public data: `Time`, `SystemStatus` and `Ticker`.
//!
//! Each price event of the scenario is one trade of one unit, and bid, ask and
//! last are its price. As at the venue, every answer is HTTP 200 and an error
//! is a text in `error`; a ticker carries no time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, RawQuery, State};
use axum::routing::get;
use http::Response;
use percent_encoding::percent_decode_str;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::limits;
use crate::number::padded;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::world::{Pair, PriceTick, PriceTrack};

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let unknown = async || failure("EGeneral:Unknown method");
    Router::new()
        .route("/0/public/Time", get(time).post(time))
        .route("/0/public/SystemStatus", get(system_status).post(system_status))
        .route("/0/public/Ticker", get(ticker))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(shared)
}

/// The body under an HTTP status that a fault rule chose.
pub(crate) fn refusal_body(status: u16) -> String {
    let text = match status {
        429 => "EGeneral:Too many requests",
        418 | 403 => "EGeneral:Temporary lockout",
        _ => "EService:Unavailable",
    };
    format!(r#"{{"error":["{text}"]}}"#)
}

#[derive(Serialize)]
struct Answer<T> {
    error: [&'static str; 0],
    result: T,
}

fn success<T: Serialize>(result: T) -> Response<Body> {
    match serde_json::to_vec(&Answer { error: [], result }) {
        Ok(body) => plain(200, "application/json", body),
        Err(_) => failure("EGeneral:Internal error"),
    }
}

fn failure(error: &'static str) -> Response<Body> {
    plain(200, "application/json", format!(r#"{{"error":["{error}"]}}"#))
}

#[derive(Serialize)]
struct Time {
    unixtime: u64,
    rfc1123: String,
}

async fn time(Extension(caller): Extension<Caller>) -> Response<Body> {
    success(Time {
        unixtime: caller.server_time.millis() / 1000,
        rfc1123: caller.server_time.format("%a, %d %b %y %H:%M:%S +0000"),
    })
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
    timestamp: String,
}

async fn system_status(Extension(caller): Extension<Caller>) -> Response<Body> {
    success(Status { status: "online", timestamp: caller.server_time.format("%Y-%m-%dT%H:%M:%SZ") })
}

/// `a` ask, `b` bid, `c` last trade, `v` volume, `p` average price, `t` number of trades, `l` low,
/// `h` high: today and the last 24 hours; `o` today's opening price.
#[derive(Serialize)]
struct Ticker {
    a: [String; 3],
    b: [String; 3],
    c: [String; 2],
    v: [String; 2],
    p: [String; 2],
    t: [usize; 2],
    l: [String; 2],
    h: [String; 2],
    o: String,
}

async fn ticker(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let wanted = match wanted_pairs(query.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(error) => return failure(error),
    };
    let mut rows = BTreeMap::new();
    let mut missing: Vec<&str> = wanted.iter().map(String::as_str).collect();
    for (pair, track) in shared.world.pairs() {
        let names = names(pair);
        let asked = |name: &str| names.iter().any(|known| known == name);
        if !wanted.is_empty() && !wanted.iter().any(|name| asked(name)) {
            continue;
        }
        let [key, ..] = names.clone();
        if let Some(row) = row(track, caller.now) {
            missing.retain(|name| !asked(name));
            rows.insert(key, row);
        }
    }
    if missing.is_empty() { success(rows) } else { failure("EQuery:Unknown asset pair") }
}

/// The `pair` parameter: a list with commas, empty for all.
fn wanted_pairs(query: &str) -> Result<Vec<String>, &'static str> {
    let mut wanted = Vec::new();
    for (name, value) in query.split('&').filter_map(|part| part.split_once('=')) {
        if name == "pair" {
            let value = percent_decode_str(value).decode_utf8().map_err(|_| INVALID)?;
            wanted.extend(value.split(',').map(str::to_owned));
        }
    }
    let sound = wanted.len() <= limits::SYMBOLS_MAX && wanted.iter().all(|name| !name.is_empty());
    if sound { Ok(wanted) } else { Err(INVALID) }
}

const INVALID: &str = "EGeneral:Invalid arguments";

fn row(track: &PriceTrack, now: Stamp) -> Option<Ticker> {
    let last = track.at(now)?;
    let until = track.until(now);
    let midnight = Stamp::from_civil(now.civil().date().to_datetime(jiff::civil::Time::midnight()));
    let day = now.plus_millis(-24 * 3600 * 1000);
    let today: Vec<_> = until.iter().filter(|tick| tick.at >= midnight).copied().collect();
    let recent: Vec<_> = until.iter().filter(|tick| tick.at > day).copied().collect();
    let spans = [&today, &recent];
    let each = |figure: fn(&[&PriceTick], &PriceTick) -> String| spans.map(|it| figure(it, last));
    let price = last.price.padded(PRICE_PLACES);
    let quote = [price.clone(), "1".to_owned(), "1.000".to_owned()];
    Some(Ticker {
        a: quote.clone(),
        b: quote,
        c: [price, padded(Decimal::ONE, 8)],
        v: each(|span, _| padded(Decimal::from(span.len()), 8)),
        p: each(|span, last| {
            let sum: Decimal = span.iter().map(|tick| tick.value).sum();
            let mean = sum.checked_div(Decimal::from(span.len()));
            padded(mean.unwrap_or(last.value).round_dp(8), PRICE_PLACES)
        }),
        t: spans.map(Vec::len),
        l: each(|span, last| extreme(span.iter().min_by_key(|tick| tick.value), last)),
        h: each(|span, last| extreme(span.iter().max_by_key(|tick| tick.value), last)),
        o: extreme(today.first(), last),
    })
}

fn extreme(found: Option<&&PriceTick>, last: &PriceTick) -> String {
    found.map_or(last, |tick| tick).price.padded(PRICE_PLACES)
}

const PRICE_PLACES: usize = 5;

/// The names of a pair: the key of replies, the alternative name, the websocket name.
fn names((base, quote): &Pair) -> [String; 3] {
    let (old_base, old_quote) = (legacy(base), legacy(quote));
    let (short_base, short_quote) = (short(base), short(quote));
    let alternative = format!("{short_base}{short_quote}");
    let key = match (old_base, old_quote) {
        // Listed late, under new rules for one side only.
        _ if base == "USDT" && quote == "USD" => "USDTZUSD".to_owned(),
        _ if base == "DOGE" => alternative.clone(),
        (Some(old_base), Some(old_quote)) => format!("{old_base}{old_quote}"),
        _ => alternative.clone(),
    };
    [key, alternative, format!("{short_base}/{short_quote}")]
}

fn short(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

/// Codes of the first years, with X for coins and Z for money.
fn legacy(asset: &str) -> Option<&'static str> {
    Some(match asset {
        "BTC" => "XXBT",
        "ETH" => "XETH",
        "LTC" => "XLTC",
        "XRP" => "XXRP",
        "XLM" => "XXLM",
        "ETC" => "XETC",
        "ZEC" => "XZEC",
        "XMR" => "XXMR",
        "USD" => "ZUSD",
        "EUR" => "ZEUR",
        "GBP" => "ZGBP",
        "JPY" => "ZJPY",
        "CAD" => "ZCAD",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_the_names_the_venue_gave_them() {
        for (base, quote, expected) in [
            ("USDT", "USD", ["USDTZUSD", "USDTUSD", "USDT/USD"]),
            ("BTC", "USD", ["XXBTZUSD", "XBTUSD", "XBT/USD"]),
            ("BTC", "USDT", ["XBTUSDT", "XBTUSDT", "XBT/USDT"]),
            ("ETH", "EUR", ["XETHZEUR", "ETHEUR", "ETH/EUR"]),
            ("DOGE", "USD", ["XDGUSD", "XDGUSD", "XDG/USD"]),
            ("SOL", "USD", ["SOLUSD", "SOLUSD", "SOL/USD"]),
        ] {
            assert_eq!(names(&(base.to_owned(), quote.to_owned())), expected);
        }
    }

    #[test]
    fn the_pair_parameter_is_a_list() {
        assert_eq!(wanted_pairs("").unwrap(), Vec::<String>::new());
        assert_eq!(wanted_pairs("pair=USDT%2FUSD,XBTUSD").unwrap(), ["USDT/USD", "XBTUSD"]);
        assert_eq!(wanted_pairs("pair=USDTUSD,,"), Err(INVALID));
    }
}
