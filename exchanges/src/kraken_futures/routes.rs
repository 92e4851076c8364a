//! Where each question is asked and what it costs.

use std::time::Duration;

use super::API;
use crate::error::ExchangeError;
use crate::query::{Interval, Query, Window};
use crate::route::Route;
use crate::{Bucket, Scope, Weight, limits};

/// Rows of fills in one reply.
pub(super) const FILLS_PAGE: usize = 100;

/// Rows of the account log in one reply.
pub(super) const LOG_PAGE: usize = 500;

/// Bars in one reply.
pub(super) const CANDLES_MAX: u16 = 2000;

const fn to(template: &'static str) -> Route {
    Route::to(API, template)
}

/// The request for `query`, with every bound checked.
pub(super) fn route(query: &Query) -> Result<Route, ExchangeError> {
    match query {
        // Every reply holds the time; this is the shortest.
        Query::ServerTime => Ok(to("/derivatives/api/v3/instruments/PF_XBTUSD/status")),
        Query::Instruments => Ok(to("/derivatives/api/v3/instruments")),
        Query::Prices { symbols } => tickers(symbols),
        Query::Ticker { symbol } if symbol.is_empty() => tickers(&[]),
        Query::Ticker { symbol } => tickers(std::slice::from_ref(symbol)),
        Query::Candles { symbol, interval, window, limit } => {
            candles(symbol, *interval, *window, *limit)
        }
        Query::Permissions | Query::AccountIdentity => Ok(to("/api/auth/v1/api-keys/v3/check")),
        Query::FuturesBalances => Ok(to("/derivatives/api/v3/accounts")),
        Query::Positions => Ok(to("/derivatives/api/v3/openpositions")),
        Query::AccountFills { window, cursor, .. } => {
            checked(*window)?;
            let route = to("/derivatives/api/v3/fills");
            Ok(match cursor {
                Some(cursor) => route.with("lastFillTime", cursor.as_str()),
                None => route,
            })
        }
        Query::Ledger { window, cursor } => {
            checked(*window)?;
            // Whether the ends count is not documented: one millisecond
            // around, rows outside do no harm.
            let route = to("/api/history/v3/account-log")
                .with("since", window.start.0.saturating_sub(1))
                .with("before", window.end.0.saturating_add(1))
                .with("sort", "asc")
                .with("count", LOG_PAGE);
            match cursor {
                None => Ok(route),
                Some(cursor) if cursor.as_str().bytes().all(|byte| byte.is_ascii_digit()) => {
                    Ok(route.with("from", cursor.as_str()))
                }
                Some(_) => Err(ExchangeError::InvalidQuery { field: "cursor" }),
            }
        }
        Query::SystemStatus
        | Query::Balances { .. }
        | Query::AccountValuation
        | Query::Fills { .. }
        | Query::Deposits { .. }
        | Query::Withdrawals { .. }
        | Query::Transfers { .. }
        | Query::FiatOrders { .. }
        | Query::Income { .. } => Err(ExchangeError::Unsupported),
    }
}

/// One list for every question: it is free.
fn tickers(symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX || !symbols.iter().all(|symbol| plain(symbol)) {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    Ok(to("/derivatives/api/v3/tickers"))
}

fn candles(
    symbol: &str,
    interval: Interval,
    window: Option<Window>,
    limit: u16,
) -> Result<Route, ExchangeError> {
    if !plain(symbol) {
        return Err(ExchangeError::InvalidQuery { field: "symbol" });
    }
    if !(1..=CANDLES_MAX).contains(&limit) {
        return Err(ExchangeError::InvalidQuery { field: "limit" });
    }
    let resolution = match interval {
        Interval::Minute => "1m",
        Interval::FiveMinutes => "5m",
        Interval::Hour => "1h",
        Interval::Day => "1d",
        Interval::Week => "1w",
    };
    let path = format!("/api/charts/v1/trade/{symbol}/{resolution}");
    let route = to("/api/charts/v1/trade/{symbol}/{resolution}").filled(path);
    match window {
        Some(window) => {
            checked(window)?;
            Ok(route.with("from", window.start.0 / 1000).with("to", window.end.0.div_ceil(1000)))
        }
        None => Ok(route),
    }
}

fn checked(window: Window) -> Result<(), ExchangeError> {
    window.duration().map(|_| ()).ok_or(ExchangeError::InvalidQuery { field: "window" })
}

/// Stands in a path: letters, digits and `_` only.
fn plain(symbol: &str) -> bool {
    (1..=limits::SYMBOL_LEN_MAX).contains(&symbol.len())
        && symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The longest window of `query`, where it has one.
pub(super) const fn window_max(query: &Query) -> Option<Duration> {
    if let Query::Candles { interval, .. } = query {
        let minutes: u64 = match interval {
            Interval::Minute => 1,
            Interval::FiveMinutes => 5,
            Interval::Hour => 60,
            Interval::Day => 1440,
            Interval::Week => 10_080,
        };
        return Some(Duration::from_mins(minutes.saturating_mul(2000)));
    }
    None
}

/// Public data has no documented limit; this is one request a second.
const PUBLIC: Bucket = Bucket::fixed("krakenfutures_public", Scope::Address, 60);

/// 500 in ten seconds for each key.
const DERIVATIVES: Bucket = Bucket::leaky("krakenfutures", Scope::Account, 500, 3000);

/// 100, and 100 more in ten minutes.
const HISTORY: Bucket = Bucket::leaky("krakenfutures_history", Scope::Account, 100, 10);

/// What `query` costs.
pub(super) const fn weight(query: &Query) -> Weight {
    let further = matches!(query, Query::AccountFills { cursor: Some(_), .. });
    let (bucket, cost) = if matches!(query, Query::Ledger { .. }) {
        (HISTORY, 3)
    } else if query.is_private() {
        (DERIVATIVES, if further { 25 } else { 2 })
    } else {
        (PUBLIC, 1)
    };
    Weight { bucket, cost }
}
