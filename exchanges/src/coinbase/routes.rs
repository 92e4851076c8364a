//! Where each question is asked, what it costs, and how far it may reach.

use std::time::Duration;

use super::API;
use crate::error::ExchangeError;
use crate::query::{Interval, Query, Window};
use crate::route::Route;
use crate::sign::percent_encoded;
use crate::{Bucket, Scope, UnixMillis, Weight, bounds, limits, times};

const fn to(template: &'static str) -> Route {
    Route::to(API, template)
}

/// `template` with `{id}` replaced.
fn to_one(template: &'static str, id: &str) -> Route {
    to(template).filled(template.replace("{id}", &percent_encoded(id)))
}

const PRODUCTS: &str = "/api/v3/brokerage/market/products";

/// Rows in one reply of accounts and fills.
const BROKERAGE_PAGE: u16 = 250;

/// Rows in one reply of a wallet's transactions.
const WALLET_PAGE: u16 = 100;

/// Bars in one reply must stay below 350.
const CANDLES_PAGE: u16 = 349;

/// The request for `query`, with every bound checked. `at` is where the latest
/// bars end.
pub(super) fn route(query: &Query, at: UnixMillis) -> Result<Route, ExchangeError> {
    match query {
        Query::ServerTime => Ok(to("/api/v3/brokerage/time")),
        Query::Instruments => Ok(to(PRODUCTS)),
        Query::Prices { symbols } => prices(symbols),
        Query::Ticker { symbol } => {
            let template = "/api/v3/brokerage/market/products/{id}/ticker";
            Ok(to_one(template, bounds::name(symbol, "symbol")?).with("limit", 1))
        }
        Query::Candles { symbol, interval, window, limit } => {
            candles(symbol, *interval, *window, *limit, at)
        }
        Query::Permissions | Query::AccountIdentity => Ok(to("/api/v3/brokerage/key_permissions")),
        Query::Balances { cursor } => Ok(to("/api/v3/brokerage/accounts")
            .with("limit", BROKERAGE_PAGE)
            .after("cursor", cursor.as_ref())),
        Query::AccountFills { window, cursor, limit } => {
            let limit = bounds::page(*limit, BROKERAGE_PAGE)?;
            let window = bounds::window(*window, None)?;
            Ok(to("/api/v3/brokerage/orders/historical/fills")
                .with("start_sequence_timestamp", rfc3339(window.start)?)
                .with("end_sequence_timestamp", rfc3339(window.end)?)
                .with("limit", limit)
                .after("cursor", cursor.as_ref()))
        }
        Query::Transfers { account, window, cursor } => {
            bounds::window(*window, None)?;
            let account = account.as_deref().unwrap_or_default();
            Ok(to_one("/v2/accounts/{id}/transactions", bounds::name(account, "account")?)
                .with("limit", WALLET_PAGE)
                .after("starting_after", cursor.as_ref()))
        }
        _ => Err(ExchangeError::Unsupported),
    }
}

fn rfc3339(at: UnixMillis) -> Result<String, ExchangeError> {
    times::rfc3339(at).ok_or(ExchangeError::InvalidQuery { field: "window" })
}

fn prices(symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    let mut route = to(PRODUCTS);
    for symbol in symbols {
        route = route.with("product_ids", bounds::name(symbol, "symbols")?);
    }
    Ok(route)
}

fn candles(
    symbol: &str,
    interval: Interval,
    window: Option<Window>,
    limit: u16,
    at: UnixMillis,
) -> Result<Route, ExchangeError> {
    let (granularity, length_s) = match interval {
        Interval::Minute => ("ONE_MINUTE", 60_u64),
        Interval::FiveMinutes => ("FIVE_MINUTE", 300),
        Interval::Hour => ("ONE_HOUR", 3600),
        Interval::Day => ("ONE_DAY", 86_400),
        Interval::Week => return Err(ExchangeError::InvalidQuery { field: "interval" }),
    };
    let limit = bounds::page(limit, CANDLES_PAGE)?;
    let length = Duration::from_secs(length_s);
    let (start, end) = if let Some(window) = window {
        let longest = length.saturating_mul(u32::from(CANDLES_PAGE));
        let window = bounds::window(window, Some(longest))?;
        (seconds(window.start), seconds(window.end))
    } else {
        let end = seconds(at);
        (end.saturating_sub(length_s.saturating_mul(u64::from(limit))), end)
    };
    let template = "/api/v3/brokerage/market/products/{id}/candles";
    Ok(to_one(template, bounds::name(symbol, "symbol")?)
        .with("start", start)
        .with("end", end)
        .with("granularity", granularity)
        .with("limit", limit))
}

fn seconds(at: UnixMillis) -> u64 {
    at.0.checked_div(1000).unwrap_or_default()
}

/// 30 a second for each user.
const ACCOUNT: Bucket = Bucket::leaky("coinbase_user", Scope::Account, 30, 1800);

/// 10 a second for each address.
const ADDRESS: Bucket = Bucket::leaky("coinbase_ip", Scope::Address, 10, 600);

/// 10 000 an hour for each key, on the older interface.
const OLDER: Bucket = Bucket::leaky("coinbase_v2", Scope::Account, 166, 166);

/// What `query` costs.
pub(super) const fn weight(query: &Query) -> Weight {
    let bucket = match query {
        Query::Transfers { .. } => OLDER,
        _ if query.is_private() => ACCOUNT,
        _ => ADDRESS,
    };
    Weight { bucket, cost: 1 }
}
