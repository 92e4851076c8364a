//! Where each question is asked, what it costs, and how far it may reach.

use super::API;
use crate::error::ExchangeError;
use crate::query::{Cursor, Interval, Query, Window};
use crate::route::Route;
use crate::{Bucket, Scope, UnixMillis, Weight, bounds, limits};

const fn to(template: &'static str) -> Route {
    Route::to(API, template)
}

/// Rows in one reply of fills.
const FILLS_PAGE: u16 = 100;

/// Rows in one reply of deposits and withdrawals.
pub(super) const TRANSFERS_PAGE: u16 = 100;

/// Bars in one reply of the latest, and of older ones.
const CANDLES_PAGE: u16 = 300;
const OLD_CANDLES_PAGE: u16 = 100;

const BAD_CURSOR: ExchangeError = ExchangeError::InvalidQuery { field: "cursor" };

/// The places where an account holds assets, in the order they are read.
#[derive(Clone, Copy)]
pub(super) enum Wallet {
    Trading,
    Funding,
    Savings,
}

impl Wallet {
    pub(super) fn of(cursor: Option<&Cursor>) -> Result<Self, ExchangeError> {
        match cursor.map(Cursor::as_str) {
            None => Ok(Self::Trading),
            Some("funding") => Ok(Self::Funding),
            Some("savings") => Ok(Self::Savings),
            Some(_) => Err(BAD_CURSOR),
        }
    }

    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Trading => Some(Self::Funding),
            Self::Funding => Some(Self::Savings),
            Self::Savings => None,
        }
    }

    pub(super) fn cursor(self) -> Result<Cursor, ExchangeError> {
        match self {
            Self::Trading => "trading",
            Self::Funding => "funding",
            Self::Savings => "savings",
        }
        .parse()
    }
}

/// The sorts of instrument whose fills are read, in the order they are.
#[derive(Clone, Copy)]
pub(super) enum Sort {
    Spot,
    Margin,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Spot => "SPOT",
            Self::Margin => "MARGIN",
        }
    }

    /// The sort a cursor points into, and the number of the row it ended at.
    pub(super) fn of(cursor: Option<&Cursor>) -> Result<(Self, Option<u64>), ExchangeError> {
        let Some(cursor) = cursor else { return Ok((Self::Spot, None)) };
        let (name, number) = cursor.as_str().split_once(':').ok_or(BAD_CURSOR)?;
        let sort = [Self::Spot, Self::Margin].into_iter().find(|sort| sort.name() == name);
        let number = match number {
            "" => None,
            number => Some(number.parse().map_err(|_| BAD_CURSOR)?),
        };
        Ok((sort.ok_or(BAD_CURSOR)?, number))
    }

    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Spot => Some(Self::Margin),
            Self::Margin => None,
        }
    }

    pub(super) fn cursor(self, number: Option<u64>) -> Result<Cursor, ExchangeError> {
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        format!("{}:{number}", self.name()).parse()
    }
}

/// The lists of transfers, in the order they are read.
#[derive(Clone, Copy)]
pub(super) enum List {
    Deposits,
    Withdrawals,
}

impl List {
    const fn name(self) -> &'static str {
        match self {
            Self::Deposits => "deposits",
            Self::Withdrawals => "withdrawals",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Deposits => "/api/v5/asset/deposit-history",
            Self::Withdrawals => "/api/v5/asset/withdrawal-history",
        }
    }

    /// The list a cursor points into, and the time before which its rows are;
    /// at first the end of the window.
    pub(super) fn of(
        cursor: Option<&Cursor>,
        window: Window,
    ) -> Result<(Self, UnixMillis), ExchangeError> {
        let end = UnixMillis(window.end.0.saturating_add(1));
        let Some(cursor) = cursor else { return Ok((Self::Deposits, end)) };
        let (name, time) = cursor.as_str().split_once(':').ok_or(BAD_CURSOR)?;
        let list = [Self::Deposits, Self::Withdrawals].into_iter().find(|list| list.name() == name);
        let time = match time {
            "" => end,
            time => UnixMillis(time.parse().map_err(|_| BAD_CURSOR)?),
        };
        Ok((list.ok_or(BAD_CURSOR)?, time))
    }

    pub(super) const fn next(self) -> Option<Self> {
        match self {
            Self::Deposits => Some(Self::Withdrawals),
            Self::Withdrawals => None,
        }
    }

    pub(super) fn cursor(self, time: Option<UnixMillis>) -> Result<Cursor, ExchangeError> {
        let time = time.map(|time| time.0.to_string()).unwrap_or_default();
        format!("{}:{time}", self.name()).parse()
    }
}

/// The request for `query`, with every bound checked.
pub(super) fn route(query: &Query) -> Result<Route, ExchangeError> {
    match query {
        Query::ServerTime => Ok(to("/api/v5/public/time")),
        Query::SystemStatus => Ok(to("/api/v5/system/status").with("state", "ongoing")),
        Query::Instruments => Ok(to("/api/v5/public/instruments").with("instType", "SPOT")),
        Query::Prices { symbols } => prices(symbols),
        Query::Ticker { symbol } => ticker(symbol, "symbol"),
        Query::Candles { symbol, interval, window, limit } => {
            candles(symbol, *interval, *window, *limit)
        }
        Query::Permissions | Query::AccountIdentity => Ok(to("/api/v5/account/config")),
        Query::Balances { cursor } => Ok(to(match Wallet::of(cursor.as_ref())? {
            Wallet::Trading => "/api/v5/account/balance",
            Wallet::Funding => "/api/v5/asset/balances",
            Wallet::Savings => "/api/v5/finance/savings/balance",
        })),
        Query::AccountFills { window, cursor, limit } => {
            let limit = bounds::page(*limit, FILLS_PAGE)?;
            let window = bounds::window(*window, None)?;
            let (sort, number) = Sort::of(cursor.as_ref())?;
            let route = to("/api/v5/trade/fills-history")
                .with("instType", sort.name())
                .with("begin", window.start.0)
                .with("end", window.end.0)
                .with("limit", limit);
            Ok(match number {
                Some(number) => route.with("after", number),
                None => route,
            })
        }
        Query::Transfers { window, cursor, .. } => {
            let window = bounds::window(*window, None)?;
            let (list, time) = List::of(cursor.as_ref(), window)?;
            Ok(to(list.path()).with("after", time.0).with("limit", TRANSFERS_PAGE))
        }
        _ => Err(ExchangeError::Unsupported),
    }
}

fn ticker(symbol: &str, field: &'static str) -> Result<Route, ExchangeError> {
    Ok(to("/api/v5/market/ticker").with("instId", bounds::name(symbol, field)?))
}

fn prices(symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    for symbol in symbols {
        bounds::name(symbol, "symbols")?;
    }
    match symbols {
        [symbol] => ticker(symbol, "symbols"),
        // One or all of them.
        _ => Ok(to("/api/v5/market/tickers").with("instType", "SPOT")),
    }
}

fn candles(
    symbol: &str,
    interval: Interval,
    window: Option<Window>,
    limit: u16,
) -> Result<Route, ExchangeError> {
    let (path, page) = match window {
        None => ("/api/v5/market/candles", CANDLES_PAGE),
        Some(_) => ("/api/v5/market/history-candles", OLD_CANDLES_PAGE),
    };
    let limit = bounds::page(limit, page)?;
    let route = to(path)
        .with("instId", bounds::name(symbol, "symbol")?)
        .with("bar", interval_name(interval));
    let route = match window {
        Some(window) => {
            let window = bounds::window(window, None)?;
            // Both ends are exclusive.
            route
                .with("after", window.end.0.saturating_add(1))
                .with("before", window.start.0.saturating_sub(1))
        }
        None => route,
    };
    Ok(route.with("limit", limit))
}

/// Days and weeks begin in UTC, not in Hong Kong.
const fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1m",
        Interval::FiveMinutes => "5m",
        Interval::Hour => "1H",
        Interval::Day => "1Dutc",
        Interval::Week => "1Wutc",
    }
}

/// 20 in two seconds for each public address of the interface.
const ADDRESS: Bucket = Bucket::leaky("okx_ip", Scope::Address, 20, 600);

/// 10 in two seconds for each private one; one counter for all of them.
const ACCOUNT: Bucket = Bucket::leaky("okx_uid", Scope::Account, 10, 300);

/// What `query` costs.
pub(super) const fn weight(query: &Query) -> Weight {
    match query {
        // 5 in two seconds.
        Query::Permissions | Query::AccountIdentity => Weight { bucket: ACCOUNT, cost: 2 },
        // 1 in five seconds: the whole of the counter.
        Query::SystemStatus => Weight { bucket: ADDRESS, cost: 20 },
        _ if query.is_private() => Weight { bucket: ACCOUNT, cost: 1 },
        _ => Weight { bucket: ADDRESS, cost: 1 },
    }
}
