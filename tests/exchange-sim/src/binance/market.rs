//! Public data: time, symbols, prices, candles.

use jiff::ToSpan;
use jiff::civil::Time as TimeOfDay;
use rust_decimal::Decimal;
use serde::Serialize;

use crate::limits;
use crate::number::padded;
use crate::scenario::Stamp;
use crate::world::{Pair, PriceTick, PriceTrack, World};

use super::refusal::Refusal;
use super::{Answer, Call, json};

/// Fraction digits of every amount.
pub(super) const PLACES: usize = 8;

#[derive(Serialize)]
struct Empty {}

pub(super) fn ping(_: &Call<'_>) -> Answer {
    json(&Empty {})
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: u64,
}

pub(super) fn time(call: &Call<'_>) -> Answer {
    json(&ServerTime { server_time: call.caller.server_time.millis() })
}

/// The name of a pair here; the venue has no US dollar.
fn symbol((base, quote): &Pair) -> Option<String> {
    (base != "USD" && quote != "USD").then(|| format!("{base}{quote}"))
}

/// Every listed symbol, by name.
fn listed(world: &World) -> impl Iterator<Item = (String, &Pair, &PriceTrack)> {
    world.pairs().filter_map(|(pair, track)| Some((symbol(pair)?, pair, track)))
}

pub(super) fn find<'a>(
    world: &'a World,
    name: &str,
) -> Result<(&'a Pair, &'a PriceTrack), Refusal> {
    let legal = |c: char| {
        c.is_ascii_uppercase() || c.is_ascii_digit() || "-_.".contains(c) || !c.is_ascii()
    };
    if !name.chars().all(legal) || name.chars().count() > 50 {
        return Err(Refusal::illegal("symbol", r"^[\w\-._&&[^a-z]]{1,50}$"));
    }
    let found = listed(world).find(|(symbol, ..)| symbol == name);
    found.map(|(_, pair, track)| (pair, track)).ok_or_else(Refusal::symbol)
}

/// The `symbol` or `symbols` parameter; neither means all.
enum Wanted {
    All,
    One(String),
    Some(Vec<String>),
}

fn wanted(call: &Call<'_>) -> Result<Wanted, Refusal> {
    match (call.params.get("symbol"), call.params.get("symbols")) {
        (Some(_), Some(_)) => Err(Refusal::combination()),
        (Some(symbol), None) => Ok(Wanted::One(symbol.to_owned())),
        (None, Some(list)) => {
            let names: Vec<String> =
                serde_json::from_str(list).map_err(|_| Refusal::illegal("symbols", LIST))?;
            let bounded = (1..=limits::SYMBOLS_MAX).contains(&names.len());
            if bounded { Ok(Wanted::Some(names)) } else { Err(Refusal::illegal("symbols", LIST)) }
        }
        (None, None) => Ok(Wanted::All),
    }
}

const LIST: &str = r#"^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,}){0,1}\]$"#;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeInfo {
    timezone: &'static str,
    server_time: u64,
    rate_limits: [Allowance; 4],
    exchange_filters: [(); 0],
    symbols: Vec<SymbolInfo>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Allowance {
    rate_limit_type: &'static str,
    interval: &'static str,
    interval_num: u32,
    limit: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the venue's record")]
struct SymbolInfo {
    symbol: String,
    status: &'static str,
    base_asset: String,
    base_asset_precision: usize,
    quote_asset: String,
    quote_precision: usize,
    quote_asset_precision: usize,
    base_commission_precision: usize,
    quote_commission_precision: usize,
    order_types: [&'static str; 5],
    iceberg_allowed: bool,
    oco_allowed: bool,
    oto_allowed: bool,
    quote_order_qty_market_allowed: bool,
    allow_trailing_stop: bool,
    cancel_replace_allowed: bool,
    amend_allowed: bool,
    is_spot_trading_allowed: bool,
    is_margin_trading_allowed: bool,
    filters: [Filter; 3],
    permissions: [(); 0],
    permission_sets: [[&'static str; 1]; 1],
    default_self_trade_prevention_mode: &'static str,
    allowed_self_trade_prevention_modes: [&'static str; 3],
}

#[derive(Serialize)]
#[serde(tag = "filterType", rename_all_fields = "camelCase")]
enum Filter {
    #[serde(rename = "PRICE_FILTER")]
    Price { min_price: &'static str, max_price: &'static str, tick_size: &'static str },
    #[serde(rename = "LOT_SIZE")]
    Lot { min_qty: &'static str, max_qty: &'static str, step_size: &'static str },
    #[serde(rename = "MAX_NUM_ORDERS")]
    Orders { max_num_orders: u32 },
}

impl SymbolInfo {
    fn new(symbol: String, (base, quote): &Pair) -> Self {
        const SMALLEST: &str = "0.00000001";
        const LARGEST: &str = "9000000000.00000000";
        Self {
            symbol,
            status: "TRADING",
            base_asset: base.clone(),
            base_asset_precision: PLACES,
            quote_asset: quote.clone(),
            quote_precision: PLACES,
            quote_asset_precision: PLACES,
            base_commission_precision: PLACES,
            quote_commission_precision: PLACES,
            order_types: ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
            iceberg_allowed: true,
            oco_allowed: true,
            oto_allowed: true,
            quote_order_qty_market_allowed: true,
            allow_trailing_stop: true,
            cancel_replace_allowed: true,
            amend_allowed: true,
            is_spot_trading_allowed: true,
            is_margin_trading_allowed: false,
            filters: [
                Filter::Price { min_price: SMALLEST, max_price: LARGEST, tick_size: SMALLEST },
                Filter::Lot { min_qty: SMALLEST, max_qty: LARGEST, step_size: SMALLEST },
                Filter::Orders { max_num_orders: 200 },
            ],
            permissions: [],
            permission_sets: [["SPOT"]],
            default_self_trade_prevention_mode: "EXPIRE_MAKER",
            allowed_self_trade_prevention_modes: ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }
    }
}

pub(super) fn exchange_info(call: &Call<'_>) -> Answer {
    let names = match wanted(call)? {
        Wanted::All => listed(call.world()).map(|(name, ..)| name).collect(),
        Wanted::One(name) => vec![name],
        Wanted::Some(names) => names,
    };
    let mut symbols = Vec::with_capacity(names.len());
    for name in names {
        let (pair, _) = find(call.world(), &name)?;
        symbols.push(SymbolInfo::new(name, pair));
    }
    let limit = |rate_limit_type, interval, interval_num, limit| Allowance {
        rate_limit_type,
        interval,
        interval_num,
        limit,
    };
    let weight = call.shared.meter.budgets().request_weight;
    json(&ExchangeInfo {
        timezone: "UTC",
        server_time: call.caller.server_time.millis(),
        rate_limits: [
            limit("REQUEST_WEIGHT", "MINUTE", 1, weight),
            limit("ORDERS", "SECOND", 10, 100),
            limit("ORDERS", "DAY", 1, 200_000),
            limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        exchange_filters: [],
        symbols,
    })
}

#[derive(Serialize)]
struct Price {
    symbol: String,
    price: String,
}

impl Price {
    fn new(symbol: String, tick: &PriceTick) -> Self {
        Self { symbol, price: tick.price.padded(PLACES) }
    }
}

/// A symbol whose first price is still to come is not in the list, and asked for by name it is
/// no symbol.
pub(super) fn ticker_price(call: &Call<'_>) -> Answer {
    if let Some(status) = call.params.get("symbolStatus")
        && !["TRADING", "HALT", "BREAK"].contains(&status)
    {
        return Err(Refusal::invalid("symbolStatus"));
    }
    let now = call.now();
    let price = |name: String| {
        let (_, track) = find(call.world(), &name)?;
        let tick = track.at(now).ok_or_else(Refusal::symbol)?;
        Ok::<_, Refusal>(Price::new(name, tick))
    };
    match wanted(call)? {
        Wanted::One(name) => json(&price(name)?),
        Wanted::Some(names) => json(&names.into_iter().map(price).collect::<Result<Vec<_>, _>>()?),
        Wanted::All => {
            let prices: Vec<_> = listed(call.world())
                .filter_map(|(name, _, track)| Some(Price::new(name, track.at(now)?)))
                .collect();
            json(&prices)
        }
    }
}

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Seconds(i64),
    /// From Monday, midnight.
    Week,
    Month,
}

impl Interval {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "1s" => Self::Seconds(1),
            "1m" => Self::Seconds(60),
            "3m" => Self::Seconds(180),
            "5m" => Self::Seconds(300),
            "15m" => Self::Seconds(900),
            "30m" => Self::Seconds(1800),
            "1h" => Self::Seconds(3600),
            "2h" => Self::Seconds(7200),
            "4h" => Self::Seconds(14_400),
            "6h" => Self::Seconds(21_600),
            "8h" => Self::Seconds(28_800),
            "12h" => Self::Seconds(43_200),
            "1d" => Self::Seconds(86_400),
            "3d" => Self::Seconds(259_200),
            "1w" => Self::Week,
            "1M" => Self::Month,
            _ => return None,
        })
    }

    /// The start of the candle that holds `at`.
    fn floor(self, at: Stamp) -> Stamp {
        match self {
            Self::Seconds(secs) => at.plus_micros(-at.micros().rem_euclid(secs * 1_000_000)),
            Self::Week => {
                // The epoch was a Thursday, three days after a Monday.
                let week = 7 * 86_400 * 1_000_000;
                let since_monday = at.micros() + 3 * 86_400 * 1_000_000;
                at.plus_micros(-since_monday.rem_euclid(week))
            }
            Self::Month => {
                let first = at.civil().date().first_of_month();
                Stamp::from_civil(first.to_datetime(TimeOfDay::midnight()))
            }
        }
    }

    /// The start of the next candle.
    fn next(self, open: Stamp) -> Stamp {
        match self {
            Self::Seconds(secs) => open.plus_micros(secs * 1_000_000),
            Self::Week => open.plus_micros(7 * 86_400 * 1_000_000),
            Self::Month => {
                let next = open.civil().date().checked_add(1.month());
                next.map_or(Stamp::from_micros(i64::MAX), |date| {
                    Stamp::from_civil(date.to_datetime(TimeOfDay::midnight()))
                })
            }
        }
    }
}

/// `[open time, open, high, low, close, volume, close time, quote volume, trades, taker buy
/// volume, taker buy quote volume, "0"]`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Candle(
    u64,
    String,
    String,
    String,
    String,
    String,
    u64,
    String,
    usize,
    String,
    String,
    &'static str,
);

pub(super) fn klines(call: &Call<'_>) -> Answer {
    let (_, track) = find(call.world(), call.params.mandatory("symbol")?)?;
    let interval =
        Interval::parse(call.params.mandatory("interval")?).ok_or_else(Refusal::interval)?;
    if call.params.get("timeZone").is_some_and(|zone| zone != "0") {
        return Err(Refusal::invalid("timeZone"));
    }
    let limit = call.params.limit("limit", 500, 1000)?;
    let instant = |name| -> Result<Option<Stamp>, Refusal> {
        let millis = call.params.number(name)?;
        let micros = millis.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000));
        Ok(micros.map(Stamp::from_micros))
    };
    let (start, end) = (instant("startTime")?, instant("endTime")?);
    json(&candles(&track.until(call.now()), interval, start, end, call.now(), limit))
}

/// Candles whose open time is from `start` to `end`: the oldest ones if there is a `start`, else
/// the newest ones. Where nothing traded a candle repeats the last close.
fn candles(
    ticks: &[&PriceTick],
    interval: Interval,
    start: Option<Stamp>,
    end: Option<Stamp>,
    now: Stamp,
    limit: usize,
) -> Vec<Candle> {
    let Some(first) = ticks.first() else { return Vec::new() };
    let oldest = interval.floor(first.at);
    let last = interval.floor(end.map_or(now, |end| end.min(now)));
    let mut open = match start {
        Some(start) if start > oldest => {
            let floor = interval.floor(start);
            if floor == start { start } else { interval.next(floor) }
        }
        Some(_) => oldest,
        None => back(interval, last, limit, oldest),
    };
    let mut row = Vec::new();
    while open <= last && row.len() < limit {
        let close = interval.next(open);
        let from = ticks.partition_point(|tick| tick.at < open);
        let to = ticks.partition_point(|tick| tick.at < close);
        let traded = ticks.get(from..to).unwrap_or_default();
        let before = from.checked_sub(1).and_then(|index| ticks.get(index)).copied();
        if let Some(candle) = candle(open, close, traded, before) {
            row.push(candle);
        }
        open = close;
    }
    row
}

/// The open time `limit - 1` candles before `last`, but not before `oldest`.
fn back(interval: Interval, last: Stamp, limit: usize, oldest: Stamp) -> Stamp {
    let mut open = last;
    for _ in 1..limit {
        if open <= oldest {
            break;
        }
        open = interval.floor(open.plus_micros(-1));
    }
    open.max(oldest)
}

fn candle(
    open: Stamp,
    close: Stamp,
    traded: &[&PriceTick],
    before: Option<&PriceTick>,
) -> Option<Candle> {
    let first = traded.first().copied().or(before)?;
    let last = traded.last().copied().or(before)?;
    let high = traded.iter().max_by_key(|tick| tick.value).copied().unwrap_or(last);
    let low = traded.iter().min_by_key(|tick| tick.value).copied().unwrap_or(last);
    let volume = padded(Decimal::from(traded.len()), PLACES);
    let quote: Decimal = traded.iter().map(|tick| tick.value).sum();
    let price = |tick: &PriceTick| tick.price.padded(PLACES);
    Some(Candle(
        open.millis(),
        price(first),
        price(high),
        price(low),
        price(last),
        volume,
        close.millis() - 1,
        padded(quote, PLACES),
        traded.len(),
        padded(Decimal::ZERO, PLACES),
        padded(Decimal::ZERO, PLACES),
        "0",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Stamp {
        Stamp::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn candles_start_where_the_venue_starts_them() {
        for (interval, open, next) in [
            ("5m", "2026-02-04T13:45:00Z", "2026-02-04T13:50:00Z"),
            ("4h", "2026-02-04T12:00:00Z", "2026-02-04T16:00:00Z"),
            ("1d", "2026-02-04T00:00:00Z", "2026-02-05T00:00:00Z"),
            ("1w", "2026-02-02T00:00:00Z", "2026-02-09T00:00:00Z"),
            ("1M", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            let parsed = Interval::parse(interval).unwrap();
            let floor = parsed.floor(at("2026-02-04T13:47:11.5Z"));
            assert_eq!(floor, at(open), "{interval}");
            assert_eq!(parsed.next(floor), at(next), "{interval}");
            assert_eq!(parsed.floor(floor), floor, "{interval}");
        }
        assert_eq!(Interval::parse("7m"), None);
    }
}
