//! Futures contracts: which host lists them, and as what.

use serde::Serialize;

use crate::number::padded;
use crate::scenario::Stamp;
use crate::world::{Instrument, Wallet, World};

use super::market::Allowance;
use super::refusal::Refusal;
use super::{Answer, Call, json};

/// The contracts of one host, by symbol. Kraken's contracts have a prefix of their own.
pub(super) fn listed(world: &World, wallet: Wallet) -> impl Iterator<Item = &Instrument> {
    let inverse = wallet == Wallet::InverseFutures;
    world.instruments().filter(move |contract| {
        let elsewhere = ["PI_", "PF_", "FI_", "FF_"];
        contract.inverse == inverse
            && !elsewhere.iter().any(|prefix| contract.symbol.starts_with(prefix))
    })
}

pub(super) fn find<'a>(
    world: &'a World,
    wallet: Wallet,
    symbol: &str,
) -> Result<&'a Instrument, Refusal> {
    listed(world, wallet).find(|it| it.symbol == symbol).ok_or_else(Refusal::symbol)
}

/// `BTCUSD` of `BTCUSD_PERP`.
pub(super) fn pair_name(contract: &Instrument) -> String {
    format!("{}{}", contract.pair.0, contract.pair.1)
}

pub(super) fn usdm(call: &Call<'_>) -> Answer {
    info(call, Wallet::LinearFutures)
}

pub(super) fn coinm(call: &Call<'_>) -> Answer {
    info(call, Wallet::InverseFutures)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExchangeInfo {
    timezone: &'static str,
    server_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    futures_type: Option<&'static str>,
    rate_limits: [Allowance; 2],
    exchange_filters: [(); 0],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assets: Vec<Asset>,
    symbols: Vec<Contract>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    asset: String,
    margin_available: bool,
    auto_asset_exchange: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contract {
    symbol: String,
    pair: String,
    contract_type: &'static str,
    delivery_date: u64,
    onboard_date: u64,
    #[serde(flatten)]
    state: State,
    maint_margin_percent: &'static str,
    required_margin_percent: &'static str,
    base_asset: String,
    quote_asset: String,
    margin_asset: String,
    price_precision: u32,
    quantity_precision: u32,
    base_asset_precision: u32,
    quote_precision: u32,
    underlying_type: &'static str,
    underlying_sub_type: [&'static str; 1],
    trigger_protect: &'static str,
    liquidation_fee: &'static str,
    market_take_bound: &'static str,
    filters: [Filter; 2],
    order_types: [&'static str; 2],
    time_in_force: [&'static str; 4],
}

/// The two hosts have different names for whether a contract trades.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum State {
    Usdm { status: &'static str, settle_plan: u32 },
    Coinm { contract_status: &'static str, contract_size: u64, equal_qty_precision: u32 },
}

#[derive(Serialize)]
#[serde(tag = "filterType", rename_all_fields = "camelCase")]
enum Filter {
    #[serde(rename = "PRICE_FILTER")]
    Price { min_price: &'static str, max_price: &'static str, tick_size: &'static str },
    #[serde(rename = "LOT_SIZE")]
    Lot { min_qty: &'static str, max_qty: &'static str, step_size: &'static str },
}

fn info(call: &Call<'_>, wallet: Wallet) -> Answer {
    let symbols: Result<Vec<_>, _> =
        listed(call.world(), wallet).map(|it| contract(call.world(), it)).collect();
    let symbols = symbols?;
    let usdm = wallet == Wallet::LinearFutures;
    let mut assets: Vec<Asset> = Vec::new();
    if usdm {
        for symbol in &symbols {
            if assets.iter().all(|known| known.asset != symbol.margin_asset) {
                let asset = symbol.margin_asset.clone();
                assets.push(Asset { asset, margin_available: true, auto_asset_exchange: "-10000" });
            }
        }
    }
    let limit = |rate_limit_type, limit| Allowance {
        rate_limit_type,
        interval: "MINUTE",
        interval_num: 1,
        limit,
    };
    json(&ExchangeInfo {
        timezone: "UTC",
        server_time: call.caller.server_time.millis(),
        futures_type: usdm.then_some("U_MARGINED"),
        rate_limits: [
            limit("REQUEST_WEIGHT", call.shared.meter.budgets().futures_weight),
            limit("ORDERS", 1200),
        ],
        exchange_filters: [],
        assets,
        symbols,
    })
}

fn contract(world: &World, it: &Instrument) -> Result<Contract, Refusal> {
    const SMALLEST: &str = "0.00000001";
    let delivery = delivery(&it.symbol);
    let state = if it.inverse {
        // The venue prints it as a whole number.
        let size = padded(it.contract_size, 0).parse().map_err(|_| Refusal::internal())?;
        State::Coinm { contract_status: "TRADING", contract_size: size, equal_qty_precision: 4 }
    } else {
        State::Usdm { status: "TRADING", settle_plan: 0 }
    };
    Ok(Contract {
        symbol: it.symbol.clone(),
        pair: pair_name(it),
        contract_type: if delivery.is_some() { "CURRENT_QUARTER" } else { "PERPETUAL" },
        delivery_date: delivery.unwrap_or(NEVER_MS),
        onboard_date: world.started.plus_millis(-365 * 24 * 3600 * 1000).millis(),
        state,
        maint_margin_percent: "2.5000",
        required_margin_percent: "5.0000",
        base_asset: it.pair.0.clone(),
        quote_asset: it.pair.1.clone(),
        margin_asset: it.settle.clone(),
        price_precision: 8,
        quantity_precision: if it.inverse { 0 } else { 8 },
        base_asset_precision: 8,
        quote_precision: 8,
        underlying_type: "COIN",
        underlying_sub_type: ["PoW"],
        trigger_protect: "0.0500",
        liquidation_fee: "0.012500",
        market_take_bound: "0.05",
        filters: [
            Filter::Price { min_price: SMALLEST, max_price: "9000000000", tick_size: SMALLEST },
            if it.inverse {
                Filter::Lot { min_qty: "1", max_qty: "1000000", step_size: "1" }
            } else {
                Filter::Lot { min_qty: SMALLEST, max_qty: "9000000000", step_size: SMALLEST }
            },
        ],
        order_types: ["LIMIT", "MARKET"],
        time_in_force: ["GTC", "IOC", "FOK", "GTX"],
    })
}

/// The delivery date of a perpetual: the end of the year 2100.
const NEVER_MS: u64 = 4_133_404_800_000;

/// Eight in the morning of the day that ends the symbol, as in `BTCUSD_260327`.
fn delivery(symbol: &str) -> Option<u64> {
    let (_, day) = symbol.rsplit_once('_')?;
    let (year, rest) = day.split_at_checked(2)?;
    let (month, day) = rest.split_at_checked(2)?;
    let at = Stamp::try_from(format!("20{year}-{month}-{day}T08:00:00Z")).ok()?;
    Some(at.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_contract_ends_in_the_morning_of_its_day() {
        assert_eq!(delivery("BTCUSD_260327"), Some(1_774_598_400_000));
        for perpetual in ["BTCUSD_PERP", "BTCUSDT", "BTCUSD_261350"] {
            assert_eq!(delivery(perpetual), None, "{perpetual}");
        }
    }
}
