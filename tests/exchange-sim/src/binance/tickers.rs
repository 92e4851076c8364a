//! Prices now and over the last 24 hours, of spot and futures.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::number::padded;
use crate::scenario::Stamp;
use crate::world::{Instrument, PriceTick, PriceTrack, Wallet};

use super::market::{PLACES, Wanted, find, listed, wanted};
use super::refusal::Refusal;
use super::{Answer, Call, contracts, json};

/// The last 24 hours of one price. Every price event is a trade of one unit.
struct Day<'a> {
    open: &'a PriceTick,
    high: &'a PriceTick,
    low: &'a PriceTick,
    last: &'a PriceTick,
    count: usize,
    quote: Decimal,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

impl<'a> Day<'a> {
    fn of(track: &'a PriceTrack, now: Stamp) -> Option<Self> {
        let last = track.at(now)?;
        let mut ticks = track.until(now);
        ticks.retain(|tick| tick.at > now.plus_millis(-DAY_MS));
        let by_value = |tick: &&&PriceTick| tick.value;
        Some(Self {
            open: ticks.first().copied().unwrap_or(last),
            high: ticks.iter().max_by_key(by_value).copied().unwrap_or(last),
            low: ticks.iter().min_by_key(by_value).copied().unwrap_or(last),
            last,
            count: ticks.len(),
            quote: ticks.iter().map(|tick| tick.value).sum(),
        })
    }

    fn statistics(&self, symbol: String, now: Stamp) -> Statistics {
        let price = |tick: &PriceTick| tick.price.padded(PLACES);
        let change = self.last.value - self.open.value;
        let percent = (change * Decimal::ONE_HUNDRED).checked_div(self.open.value);
        let average = self.quote.checked_div(Decimal::from(self.count));
        Statistics {
            symbol,
            price_change: padded(change, PLACES),
            price_change_percent: padded(percent.unwrap_or_default().round_dp(3), 3),
            weighted_avg_price: padded(average.unwrap_or(self.last.value).round_dp(8), PLACES),
            last_price: price(self.last),
            last_qty: padded(Decimal::ONE, PLACES),
            open_price: price(self.open),
            high_price: price(self.high),
            low_price: price(self.low),
            volume: padded(Decimal::from(self.count), PLACES),
            open_time: now.plus_millis(-DAY_MS).millis(),
            close_time: now.millis(),
            first_id: 1,
            last_id: self.count,
            count: self.count,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statistics {
    symbol: String,
    price_change: String,
    price_change_percent: String,
    weighted_avg_price: String,
    last_price: String,
    last_qty: String,
    open_price: String,
    high_price: String,
    low_price: String,
    volume: String,
    open_time: u64,
    close_time: u64,
    first_id: usize,
    last_id: usize,
    count: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spot {
    #[serde(flatten)]
    day: Statistics,
    prev_close_price: String,
    bid_price: String,
    bid_qty: String,
    ask_price: String,
    ask_qty: String,
    quote_volume: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usdm {
    #[serde(flatten)]
    day: Statistics,
    quote_volume: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Coinm {
    #[serde(flatten)]
    day: Statistics,
    pair: String,
    base_volume: String,
}

/// Best bid and ask are the last price.
pub(super) fn spot(call: &Call<'_>) -> Answer {
    match call.params.get("type") {
        None | Some("FULL") => {}
        Some(_) => return Err(Refusal::invalid("type")),
    }
    let now = call.now();
    let row = |symbol: String, track| {
        let day = Day::of(track, now)?;
        let (last, one) = (day.last.price.padded(PLACES), padded(Decimal::ONE, PLACES));
        Some(Spot {
            prev_close_price: day.open.price.padded(PLACES),
            bid_price: last.clone(),
            bid_qty: one.clone(),
            ask_price: last,
            ask_qty: one,
            quote_volume: padded(day.quote, PLACES),
            day: day.statistics(symbol, now),
        })
    };
    let named = |name: String| {
        let (_, track) = find(call.world(), &name)?;
        row(name, track).ok_or_else(Refusal::symbol)
    };
    match wanted(call)? {
        Wanted::One(name) => json(&named(name)?),
        Wanted::Some(list) => json(&list.into_iter().map(named).collect::<Result<Vec<_>, _>>()?),
        Wanted::All => {
            let rows: Vec<_> =
                listed(call.world()).filter_map(|(name, _, track)| row(name, track)).collect();
            json(&rows)
        }
    }
}

/// The contracts a request asks for: one by name, those of a pair, or all; with a price.
fn contracts_asked<'a>(
    call: &'a Call<'_>,
    wallet: Wallet,
) -> Result<Vec<(&'a Instrument, &'a PriceTrack)>, Refusal> {
    let world = call.world();
    let (symbol, pair) = (call.params.get("symbol"), call.params.get("pair"));
    if symbol.is_some() && pair.is_some() {
        return Err(Refusal::combination());
    }
    let priced = |it: &'a Instrument| {
        let track = world.price(&it.pair)?;
        track.at(call.now()).map(|_| (it, track))
    };
    if let Some(symbol) = symbol {
        let contract = contracts::find(world, wallet, symbol)?;
        return priced(contract).map(|it| vec![it]).ok_or_else(Refusal::symbol);
    }
    let all = contracts::listed(world, wallet);
    let rows = all.filter(|it| pair.is_none_or(|pair| contracts::pair_name(it) == pair));
    Ok(rows.filter_map(priced).collect())
}

/// USD-M answers a symbol with an object and anything else with a list.
fn one_or_list<T: Serialize>(call: &Call<'_>, rows: &[T]) -> Answer {
    match rows {
        [row] if call.params.has("symbol") => json(row),
        rows => json(&rows),
    }
}

pub(super) fn usdm(call: &Call<'_>) -> Answer {
    let now = call.now();
    let rows =
        contracts_asked(call, Wallet::LinearFutures)?.into_iter().filter_map(|(it, track)| {
            let day = Day::of(track, now)?;
            let quote_volume = padded(day.quote, PLACES);
            Some(Usdm { day: day.statistics(it.symbol.clone(), now), quote_volume })
        });
    one_or_list(call, &rows.collect::<Vec<_>>())
}

/// COIN-M always answers with a list.
pub(super) fn coinm(call: &Call<'_>) -> Answer {
    let now = call.now();
    let rows =
        contracts_asked(call, Wallet::InverseFutures)?.into_iter().filter_map(|(it, track)| {
            let day = Day::of(track, now)?;
            let contracts = Decimal::from(day.count) * it.contract_size;
            let average = day.quote.checked_div(Decimal::from(day.count)).unwrap_or(day.last.value);
            let base = contracts.checked_div(average).unwrap_or_default();
            Some(Coinm {
                base_volume: padded(base.round_dp(8), PLACES),
                day: day.statistics(it.symbol.clone(), now),
                pair: contracts::pair_name(it),
            })
        });
    json(&rows.collect::<Vec<_>>())
}

#[derive(Serialize)]
struct Price {
    symbol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ps: Option<String>,
    price: String,
    time: u64,
}

fn prices(call: &Call<'_>, wallet: Wallet) -> Result<Vec<Price>, Refusal> {
    let rows = contracts_asked(call, wallet)?.into_iter().filter_map(|(it, track)| {
        let tick = track.at(call.now())?;
        Some(Price {
            symbol: it.symbol.clone(),
            ps: it.inverse.then(|| contracts::pair_name(it)),
            price: tick.price.padded(PLACES),
            time: tick.at.millis(),
        })
    });
    Ok(rows.collect())
}

pub(super) fn usdm_price(call: &Call<'_>) -> Answer {
    one_or_list(call, &prices(call, Wallet::LinearFutures)?)
}

pub(super) fn coinm_price(call: &Call<'_>) -> Answer {
    json(&prices(call, Wallet::InverseFutures)?)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    symbol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pair: Option<String>,
    mark_price: String,
    index_price: String,
    estimated_settle_price: String,
    last_funding_rate: &'static str,
    interest_rate: &'static str,
    next_funding_time: u64,
    time: u64,
}

/// The mark is the price of the pair; funding comes every eight hours from midnight.
fn marks(call: &Call<'_>, wallet: Wallet) -> Result<Vec<Mark>, Refusal> {
    const EIGHT_HOURS_MS: u64 = 8 * 3600 * 1000;
    let now = call.now().millis();
    let rows = contracts_asked(call, wallet)?.into_iter().filter_map(|(it, track)| {
        let price = track.at(call.now())?.price.padded(PLACES);
        Some(Mark {
            symbol: it.symbol.clone(),
            pair: it.inverse.then(|| contracts::pair_name(it)),
            mark_price: price.clone(),
            index_price: price.clone(),
            estimated_settle_price: price,
            last_funding_rate: "0.00010000",
            interest_rate: "0.00010000",
            next_funding_time: (now / EIGHT_HOURS_MS + 1) * EIGHT_HOURS_MS,
            time: now,
        })
    });
    Ok(rows.collect())
}

pub(super) fn usdm_mark(call: &Call<'_>) -> Answer {
    one_or_list(call, &marks(call, Wallet::LinearFutures)?)
}

pub(super) fn coinm_mark(call: &Call<'_>) -> Answer {
    json(&marks(call, Wallet::InverseFutures)?)
}
