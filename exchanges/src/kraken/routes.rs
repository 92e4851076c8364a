//! Where each question is asked and what it costs.

use super::API;
use crate::error::ExchangeError;
use crate::query::{Cursor, Interval, Query, Window};
use crate::route::Route;
use crate::{Bucket, Scope, Weight, limits};

const fn to(template: &'static str) -> Route {
    Route::to(API, template)
}

/// Whole seconds around the window: whether its ends count is not documented,
/// and rows outside do no harm.
fn within(route: Route, window: Window) -> Route {
    let start = (window.start.0 / 1000).saturating_sub(1);
    let end = window.end.0.div_ceil(1000).saturating_add(1);
    let from = if start == 0 { route } else { route.with("start", start) };
    from.with("end", end)
}

fn after(route: Route, cursor: Option<&Cursor>) -> Result<Route, ExchangeError> {
    match cursor {
        None => Ok(route),
        Some(cursor) => Ok(route.with("ofs", cursor.to_offset()?)),
    }
}

/// Bars of one reply, whatever is asked.
pub(super) const CANDLES_MAX: u16 = 720;

/// The request for `query`, with every bound checked.
pub(super) fn route(query: &Query) -> Result<Route, ExchangeError> {
    if let Query::AccountFills { window, .. }
    | Query::Ledger { window, .. }
    | Query::Deposits { window, .. }
    | Query::Withdrawals { window, .. }
    | Query::Candles { window: Some(window), .. } = query
    {
        window.duration().ok_or(ExchangeError::InvalidQuery { field: "window" })?;
    }
    match query {
        Query::ServerTime => Ok(to("/0/public/Time")),
        Query::SystemStatus => Ok(to("/0/public/SystemStatus")),
        Query::Instruments => Ok(to("/0/public/AssetPairs")),
        Query::Prices { symbols } => tickers(symbols),
        Query::Ticker { symbol } => tickers(std::slice::from_ref(symbol)),
        Query::Candles { symbol, interval, window, limit } => {
            if !(1..=CANDLES_MAX).contains(limit) {
                return Err(ExchangeError::InvalidQuery { field: "limit" });
            }
            let route = to("/0/public/OHLC")
                .with("pair", checked(symbol, "symbol")?)
                .with("interval", minutes(*interval));
            Ok(match window {
                // Bars that open after this second.
                Some(window) => route.with("since", (window.start.0 / 1000).saturating_sub(1)),
                None => route,
            })
        }
        Query::Permissions | Query::AccountIdentity => Ok(to("/0/private/GetApiKeyInfo")),
        Query::Balances { cursor: None } => Ok(to("/0/private/BalanceEx")),
        Query::Balances { cursor: Some(_) } => Err(ExchangeError::InvalidQuery { field: "cursor" }),
        Query::AccountValuation => Ok(to("/0/private/TradeBalance").with("asset", "ZUSD")),
        Query::AccountFills { window, cursor, .. } => {
            after(within(to("/0/private/TradesHistory"), *window), cursor.as_ref())
        }
        Query::Ledger { window, cursor } => {
            after(within(to("/0/private/Ledgers"), *window), cursor.as_ref())
        }
        Query::Positions => Ok(to("/0/private/OpenPositions").with("docalcs", true)),
        Query::Deposits { window, cursor } => {
            Ok(transfers("/0/private/DepositStatus", *window, cursor.as_ref()))
        }
        Query::Withdrawals { window, cursor } => {
            Ok(transfers("/0/private/WithdrawStatus", *window, cursor.as_ref()))
        }
        Query::Fills { .. }
        | Query::Transfers { .. }
        | Query::FiatOrders { .. }
        | Query::FuturesBalances
        | Query::Income { .. } => Err(ExchangeError::Unsupported),
    }
}

fn tickers(symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    for symbol in symbols {
        checked(symbol, "symbols")?;
    }
    let route = to("/0/public/Ticker");
    Ok(if symbols.is_empty() { route } else { route.with("pair", symbols.join(",")) })
}

fn transfers(path: &'static str, window: Window, cursor: Option<&Cursor>) -> Route {
    // `true` asks for pages; without it only the latest come.
    within(to(path), window).with("cursor", cursor.map_or("true", Cursor::as_str))
}

/// A pair that can be one, and cannot be two: no comma.
fn checked<'a>(symbol: &'a str, field: &'static str) -> Result<&'a str, ExchangeError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if (1..=limits::SYMBOL_LEN_MAX).contains(&symbol.len()) && symbol.bytes().all(plain) {
        Ok(symbol)
    } else {
        Err(ExchangeError::InvalidQuery { field })
    }
}

const fn minutes(interval: Interval) -> u16 {
    match interval {
        Interval::Minute => 1,
        Interval::FiveMinutes => 5,
        Interval::Hour => 60,
        Interval::Day => 1440,
        Interval::Week => 10_080,
    }
}

/// Public calls are counted by address, about one a second.
const PUBLIC: Bucket = Bucket::fixed("kraken_public", Scope::Address, 60);

/// What the lowest tier has: which one an account is in cannot be asked. It
/// holds 15 and runs down by a third in a second.
const PRIVATE: Bucket = Bucket::leaky("kraken_private", Scope::Account, 15, 19);

/// What `query` costs.
pub(super) const fn weight(query: &Query) -> Weight {
    if !query.is_private() {
        return Weight { bucket: PUBLIC, cost: 1 };
    }
    let history = matches!(query, Query::AccountFills { .. } | Query::Ledger { .. });
    Weight { bucket: PRIVATE, cost: if history { 2 } else { 1 } }
}
