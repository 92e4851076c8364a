//! Public data: time, symbols, prices.

use serde::Serialize;

use crate::limits;
use crate::world::{Pair, PriceTick, PriceTrack, Wallet, World};

use super::refusal::Refusal;
use super::{Answer, Call, candles, contracts, json};

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
pub(super) fn symbol((base, quote): &Pair) -> Option<String> {
    (base != "USD" && quote != "USD").then(|| format!("{base}{quote}"))
}

/// Every listed symbol, by name.
pub(super) fn listed(world: &World) -> impl Iterator<Item = (String, &Pair, &PriceTrack)> {
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
pub(super) enum Wanted {
    All,
    One(String),
    Some(Vec<String>),
}

pub(super) fn wanted(call: &Call<'_>) -> Result<Wanted, Refusal> {
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
pub(super) struct Allowance {
    pub(super) rate_limit_type: &'static str,
    pub(super) interval: &'static str,
    pub(super) interval_num: u32,
    pub(super) limit: u32,
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
pub(super) enum Filter {
    #[serde(rename = "PRICE_FILTER")]
    Price { min_price: &'static str, max_price: &'static str, tick_size: &'static str },
    #[serde(rename = "LOT_SIZE")]
    Lot { min_qty: &'static str, max_qty: &'static str, step_size: &'static str },
    #[serde(rename = "MAX_NUM_ORDERS")]
    Orders { max_num_orders: u32 },
}

impl SymbolInfo {
    fn new(world: &World, symbol: String, pair: &Pair) -> Self {
        const SMALLEST: &str = "0.00000001";
        const LARGEST: &str = "9000000000.00000000";
        let (base, quote) = pair;
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
            is_margin_trading_allowed: world.has_margin(pair),
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
        symbols.push(SymbolInfo::new(call.world(), name, pair));
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

pub(super) fn klines(call: &Call<'_>) -> Answer {
    let (_, track) = find(call.world(), call.params.mandatory("symbol")?)?;
    candles::answer(call, track, 1000)
}

pub(super) fn usdm_klines(call: &Call<'_>) -> Answer {
    contract_klines(call, Wallet::LinearFutures)
}

/// Volumes count contracts, the same at every price.
pub(super) fn coinm_klines(call: &Call<'_>) -> Answer {
    contract_klines(call, Wallet::InverseFutures)
}

fn contract_klines(call: &Call<'_>, wallet: Wallet) -> Answer {
    let contract = contracts::find(call.world(), wallet, call.params.mandatory("symbol")?)?;
    let track = call.world().price(&contract.pair).ok_or_else(Refusal::symbol)?;
    candles::answer(call, track, 1500)
}
