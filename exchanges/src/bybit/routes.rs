//! Where each question is asked, what it costs, and how far it may reach.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::API;
use crate::error::ExchangeError;
use crate::query::{Cursor, Interval, Query};
use crate::route::Route;
use crate::{Bucket, Scope, Weight, bounds, limits};

const fn to(template: &'static str) -> Route {
    Route::to(API, template)
}

const START_END: (&str, &str) = ("startTime", "endTime");

/// Cursors come percent-encoded already, and are encoded with the rest.
fn after(route: Route, cursor: Option<&str>) -> Result<Route, ExchangeError> {
    match cursor {
        None | Some("") => Ok(route),
        Some(cursor) => {
            let plain = percent_decode_str(cursor).decode_utf8();
            let plain = plain.map_err(|_| ExchangeError::InvalidQuery { field: "cursor" })?;
            Ok(route.with("cursor", plain))
        }
    }
}

fn spot(path: &'static str) -> Route {
    to(path).with("category", "spot")
}

/// Rows in one reply of executions.
const FILLS_PAGE: u16 = 100;

/// Rows in one reply of deposits and withdrawals.
const TRANSFERS_PAGE: u16 = 50;

/// Bars in one reply.
const CANDLES_PAGE: u16 = 1000;

const DAY: Duration = Duration::from_hours(24);

/// Less than 30 days, and the exchange counts in seconds.
const TRANSFERS_WINDOW: Duration = Duration::from_secs(30 * 24 * 3600 - 1);

/// The two places where an account holds assets, in the order they are read.
#[derive(Clone, Copy)]
pub(super) enum Wallet {
    Unified,
    Funding,
}

impl Wallet {
    pub(super) fn of(cursor: Option<&Cursor>) -> Result<Self, ExchangeError> {
        match cursor.map(Cursor::as_str) {
            None => Ok(Self::Unified),
            Some("FUND") => Ok(Self::Funding),
            Some(_) => Err(ExchangeError::InvalidQuery { field: "cursor" }),
        }
    }

    pub(super) fn cursor(self) -> Result<Cursor, ExchangeError> {
        match self {
            Self::Unified => "UNIFIED",
            Self::Funding => "FUND",
        }
        .parse()
    }
}

/// The lists of transfers, in the order they are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Deposits,
    InternalDeposits,
    Withdrawals,
}

const LISTS: [(List, &str); 3] = [
    (List::Deposits, "deposits"),
    (List::InternalDeposits, "internal"),
    (List::Withdrawals, "withdrawals"),
];

impl List {
    /// The list a cursor points into, and the exchange's own cursor there.
    pub(super) fn of(cursor: Option<&Cursor>) -> Result<(Self, Option<&str>), ExchangeError> {
        let Some(cursor) = cursor else { return Ok((Self::Deposits, None)) };
        let (name, own) = cursor.as_str().split_once(':').unwrap_or((cursor.as_str(), ""));
        let list = LISTS.iter().find(|(_, known)| *known == name);
        let list = list.ok_or(ExchangeError::InvalidQuery { field: "cursor" })?.0;
        Ok((list, Some(own).filter(|own| !own.is_empty())))
    }

    pub(super) fn cursor(self, own: &str) -> Result<Cursor, ExchangeError> {
        let name = LISTS.iter().find(|(list, _)| *list == self).map_or("", |(_, name)| *name);
        format!("{name}:{own}").parse()
    }

    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Deposits => Some(Self::InternalDeposits),
            Self::InternalDeposits => Some(Self::Withdrawals),
            Self::Withdrawals => None,
        }
    }
}

/// The request for `query`, with every bound checked.
pub(super) fn route(query: &Query) -> Result<Route, ExchangeError> {
    match query {
        Query::ServerTime => Ok(to("/v5/market/time")),
        Query::Instruments => Ok(spot("/v5/market/instruments-info")),
        Query::Prices { symbols } => prices(symbols),
        Query::Ticker { symbol } => {
            Ok(spot("/v5/market/tickers").with("symbol", bounds::name(symbol, "symbol")?))
        }
        Query::Candles { symbol, interval, window, limit } => {
            let limit = bounds::page(*limit, CANDLES_PAGE)?;
            let route = spot("/v5/market/kline")
                .with("symbol", bounds::name(symbol, "symbol")?)
                .with("interval", interval_name(*interval));
            let route = match window {
                Some(window) => {
                    let window = bounds::window(*window, None)?;
                    route.within(("start", "end"), window)
                }
                None => route,
            };
            Ok(route.with("limit", limit))
        }
        Query::Permissions | Query::AccountIdentity => Ok(to("/v5/user/query-api")),
        Query::Balances { cursor } => Ok(match Wallet::of(cursor.as_ref())? {
            Wallet::Unified => to("/v5/account/wallet-balance").with("accountType", "UNIFIED"),
            Wallet::Funding => {
                to("/v5/asset/transfer/query-account-coins-balance").with("accountType", "FUND")
            }
        }),
        Query::AccountFills { window, cursor, limit } => {
            let limit = bounds::page(*limit, FILLS_PAGE)?;
            let route = spot("/v5/execution/list")
                .within(START_END, bounds::window(*window, window_max(query))?)
                .with("limit", limit);
            after(route, cursor.as_ref().map(Cursor::as_str))
        }
        Query::Transfers { window, cursor, .. } => {
            let window = bounds::window(*window, window_max(query))?;
            let (list, own) = List::of(cursor.as_ref())?;
            let route = match list {
                List::Deposits => to("/v5/asset/deposit/query-record"),
                List::InternalDeposits => to("/v5/asset/deposit/query-internal-record"),
                // 2 is both sorts: on a chain and inside the exchange.
                List::Withdrawals => to("/v5/asset/withdraw/query-record").with("withdrawType", 2),
            };
            after(route.within(START_END, window).with("limit", TRANSFERS_PAGE), own)
        }
        _ => Err(ExchangeError::Unsupported),
    }
}

fn prices(symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    for symbol in symbols {
        bounds::name(symbol, "symbols")?;
    }
    match symbols {
        [symbol] => Ok(spot("/v5/market/tickers").with("symbol", symbol)),
        // One or all of them.
        _ => Ok(spot("/v5/market/tickers")),
    }
}

const fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1",
        Interval::FiveMinutes => "5",
        Interval::Hour => "60",
        Interval::Day => "D",
        Interval::Week => "W",
    }
}

/// The longest window of `query`, where it has one.
pub(super) const fn window_max(query: &Query) -> Option<Duration> {
    match query {
        Query::AccountFills { .. } => Some(DAY.saturating_mul(7)),
        Query::Transfers { .. } => Some(TRANSFERS_WINDOW),
        _ => None,
    }
}

/// 50 a second for two minutes is where the address is banned; half of it.
const ADDRESS: Bucket = Bucket::leaky("bybit_ip", Scope::Address, 25, 1500);

/// The narrowest limits of an account's lists: 300 a minute, 10 a second.
const ACCOUNT: Bucket = Bucket::leaky("bybit_uid", Scope::Account, 10, 300);

/// What `query` costs.
pub(super) const fn weight(query: &Query) -> Weight {
    let bucket = if query.is_private() { ACCOUNT } else { ADDRESS };
    Weight { bucket, cost: 1 }
}
