//! Where each question is asked, what it costs, and how far it may reach.

use std::time::Duration;

use super::{API, DAPI, FAPI, Product};
use crate::error::ExchangeError;
use crate::fact::TransferKind;
use crate::query::{Cursor, FillsFrom, Interval, Query, Window};
use crate::route::Route;
use crate::{Bucket, Scope, Weight, bounds, limits};

const START_END: (&str, &str) = ("startTime", "endTime");

/// Rows in one reply of fills, deposits, withdrawals and income.
pub(super) const PAGE: u16 = 1000;

/// Rows in one reply of transfers between own wallets.
pub(super) const TRANSFERS_PAGE: u16 = 100;

/// Rows in one reply of bank payments.
pub(super) const FIAT_PAGE: u16 = 500;

const DAY: Duration = Duration::from_hours(24);

/// The request for `query`, with every bound checked.
pub(super) fn route(market: Product, query: &Query) -> Result<Route, ExchangeError> {
    use Product::{CoinM, MarginCross, MarginIsolated, Spot, UsdM};

    let (host, paths, clock) = match market {
        Spot | MarginCross | MarginIsolated => (API, Paths::SPOT, "/api/v3/time"),
        UsdM => (FAPI, Paths::USDM, "/fapi/v1/time"),
        CoinM => (DAPI, Paths::COINM, "/dapi/v1/time"),
    };
    check_window(market, query)?;
    match query {
        Query::ServerTime => Ok(Route::to(host, clock)),
        Query::SystemStatus => Ok(Route::to(API, "/sapi/v1/system/status")),
        Query::Instruments => Ok(match market {
            // Permission sets are long and not read.
            Spot | MarginCross | MarginIsolated => {
                Route::to(host, paths.info).with("showPermissionSets", false)
            }
            UsdM | CoinM => Route::to(host, paths.info),
        }),
        Query::Prices { symbols } => prices(market, Route::to(host, paths.price), symbols),
        Query::Ticker { symbol } => {
            Ok(Route::to(host, paths.ticker).with("symbol", bounds::name(symbol, "symbol")?))
        }
        Query::Candles { symbol, interval, window, limit } => {
            let limit = bounds::page(*limit, if host == API { 1000 } else { 1500 })?;
            let route = Route::to(host, paths.candles)
                .with("symbol", bounds::name(symbol, "symbol")?)
                .with("interval", interval_name(*interval));
            let route = match window {
                Some(window) => route.within(START_END, *window),
                None => route,
            };
            Ok(route.with("limit", limit))
        }
        Query::Permissions => Ok(Route::to(API, "/sapi/v1/account/apiRestrictions")),
        Query::AccountIdentity => Ok(spot_account()),
        Query::Balances { .. } => match market {
            Spot => Ok(spot_account()),
            MarginCross => Ok(Route::to(API, "/sapi/v1/margin/account")),
            MarginIsolated => Ok(Route::to(API, "/sapi/v1/margin/isolated/account")),
            UsdM | CoinM => Err(ExchangeError::Unsupported),
        },
        Query::Fills { symbol, from, limit } => {
            fills(market, Route::to(host, paths.fills), symbol, *from, *limit)
        }
        Query::Deposits { window, cursor } if market == Spot => {
            listed("/sapi/v1/capital/deposit/hisrec", *window, cursor.as_ref())
        }
        Query::Withdrawals { window, cursor } if market == Spot => {
            listed("/sapi/v1/capital/withdraw/history", *window, cursor.as_ref())
        }
        Query::FiatOrders { kind, window, page } if market == Spot => {
            let direction = match kind {
                TransferKind::Deposit => 0,
                TransferKind::Withdrawal => 1,
            };
            Ok(Route::to(API, "/sapi/v1/fiat/orders")
                .with("transactionType", direction)
                .within(("beginTime", "endTime"), *window)
                .with("page", page)
                .with("rows", FIAT_PAGE))
        }
        // One list for each pair of wallets, named as Binance names it.
        Query::Transfers { account: Some(way), window, cursor } if market == Spot => {
            between_wallets(way, *window, cursor.as_ref())
        }
        Query::Deposits { .. }
        | Query::Withdrawals { .. }
        | Query::FiatOrders { .. }
        | Query::AccountValuation
        | Query::AccountFills { .. }
        | Query::Ledger { .. }
        | Query::Transfers { .. } => Err(ExchangeError::Unsupported),
        Query::FuturesBalances => match market {
            UsdM => Ok(Route::to(FAPI, "/fapi/v3/account")),
            CoinM => Ok(Route::to(DAPI, "/dapi/v1/account")),
            Spot | MarginCross | MarginIsolated => Err(ExchangeError::Unsupported),
        },
        Query::Positions => match market {
            UsdM => Ok(Route::to(FAPI, "/fapi/v3/positionRisk")),
            CoinM => Ok(Route::to(DAPI, "/dapi/v1/positionRisk")),
            Spot | MarginCross | MarginIsolated => Err(ExchangeError::Unsupported),
        },
        Query::Income { start, end, page, limit } => {
            let path = match market {
                UsdM => "/fapi/v1/income",
                CoinM => "/dapi/v1/income",
                Spot | MarginCross | MarginIsolated => return Err(ExchangeError::Unsupported),
            };
            let limit = bounds::page(*limit, PAGE)?;
            let mut route = Route::to(host, path);
            for (name, time) in [("startTime", start), ("endTime", end)] {
                if let Some(time) = time {
                    route = route.with(name, time.0);
                }
            }
            if *page > 1 {
                route = route.with("page", page);
            }
            Ok(route.with("limit", limit))
        }
    }
}

/// Which host is asked `query`.
pub(super) const fn host(market: Product, query: &Query) -> &'static str {
    let wallet = matches!(
        query,
        Query::SystemStatus
            | Query::Permissions
            | Query::AccountIdentity
            | Query::Deposits { .. }
            | Query::Withdrawals { .. }
            | Query::FiatOrders { .. }
            | Query::Transfers { .. }
    );
    match market {
        Product::UsdM if !wallet => FAPI,
        Product::CoinM if !wallet => DAPI,
        Product::Spot
        | Product::MarginCross
        | Product::MarginIsolated
        | Product::UsdM
        | Product::CoinM => API,
    }
}

/// The same question has another path at each market.
struct Paths {
    info: &'static str,
    price: &'static str,
    ticker: &'static str,
    candles: &'static str,
    fills: &'static str,
}

impl Paths {
    const SPOT: Self = Self {
        info: "/api/v3/exchangeInfo",
        price: "/api/v3/ticker/price",
        ticker: "/api/v3/ticker/24hr",
        candles: "/api/v3/klines",
        fills: "/api/v3/myTrades",
    };
    const USDM: Self = Self {
        info: "/fapi/v1/exchangeInfo",
        price: "/fapi/v1/ticker/price",
        ticker: "/fapi/v1/ticker/24hr",
        candles: "/fapi/v1/klines",
        fills: "/fapi/v1/userTrades",
    };
    const COINM: Self = Self {
        info: "/dapi/v1/exchangeInfo",
        price: "/dapi/v1/ticker/price",
        ticker: "/dapi/v1/ticker/24hr",
        candles: "/dapi/v1/klines",
        fills: "/dapi/v1/userTrades",
    };
}

fn between_wallets(
    way: &str,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Route, ExchangeError> {
    let way = super::transfers::WAYS.into_iter().find(|known| *known == way);
    let way = way.ok_or(ExchangeError::InvalidQuery { field: "account" })?;
    Ok(Route::to(API, "/sapi/v1/asset/transfer")
        .with("type", way)
        .within(START_END, window)
        .with("current", cursor.map_or(Ok(1), Cursor::to_offset)?)
        .with("size", TRANSFERS_PAGE))
}

fn spot_account() -> Route {
    Route::to(API, "/api/v3/account").with("omitZeroBalances", true)
}

fn listed(
    path: &'static str,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Route, ExchangeError> {
    let offset = cursor.map_or(Ok(0), Cursor::to_offset)?;
    Ok(Route::to(API, path).within(START_END, window).with("offset", offset).with("limit", PAGE))
}

fn prices(market: Product, route: Route, symbols: &[String]) -> Result<Route, ExchangeError> {
    if symbols.len() > limits::PRICE_SYMBOLS_MAX {
        return Err(ExchangeError::InvalidQuery { field: "symbols" });
    }
    match symbols {
        [] => Ok(route),
        [symbol] => Ok(route.with("symbol", bounds::name(symbol, "symbol")?)),
        // Futures have no list of symbols: all of them cost 2.
        _ if matches!(market, Product::UsdM | Product::CoinM) => Ok(route),
        symbols => {
            for symbol in symbols {
                bounds::name(symbol, "symbol")?;
            }
            let list = serde_json::to_string(symbols)
                .map_err(|_| ExchangeError::InvalidQuery { field: "symbols" })?;
            Ok(route.with("symbols", list))
        }
    }
}

fn fills(
    market: Product,
    route: Route,
    symbol: &str,
    from: FillsFrom,
    limit: u16,
) -> Result<Route, ExchangeError> {
    let limit = bounds::page(limit, PAGE)?;
    let route = match market {
        Product::Spot | Product::UsdM | Product::CoinM => {
            route.with("symbol", bounds::name(symbol, "symbol")?)
        }
        Product::MarginCross => margin_fills(symbol, "FALSE")?,
        Product::MarginIsolated => margin_fills(symbol, "TRUE")?,
    };
    let route = match from {
        FillsFrom::Id(id) => route.with("fromId", id),
        FillsFrom::Window(window) => route.within(START_END, window),
    };
    Ok(route.with("limit", limit))
}

fn margin_fills(symbol: &str, isolated: &str) -> Result<Route, ExchangeError> {
    let route =
        Route::to(API, "/sapi/v1/margin/myTrades").with("symbol", bounds::name(symbol, "symbol")?);
    Ok(route.with("isIsolated", isolated))
}

const fn interval_name(interval: Interval) -> &'static str {
    match interval {
        Interval::Minute => "1m",
        Interval::FiveMinutes => "5m",
        Interval::Hour => "1h",
        Interval::Day => "1d",
        Interval::Week => "1w",
    }
}

/// The longest window of `query`, where it has one.
pub(super) const fn window_max(market: Product, query: &Query) -> Option<Duration> {
    match query {
        Query::Fills { .. } => Some(match market {
            Product::Spot | Product::MarginCross | Product::MarginIsolated => DAY,
            Product::UsdM | Product::CoinM => DAY.saturating_mul(7),
        }),
        // For bank payments not documented: as the other calls of the wallet.
        Query::Deposits { .. }
        | Query::Withdrawals { .. }
        | Query::FiatOrders { .. }
        | Query::Transfers { .. } => Some(DAY.saturating_mul(90)),
        Query::Income { .. } => Some(DAY.saturating_mul(7)),
        Query::ServerTime
        | Query::SystemStatus
        | Query::Instruments
        | Query::Prices { .. }
        | Query::Ticker { .. }
        | Query::Candles { .. }
        | Query::Permissions
        | Query::AccountIdentity
        | Query::Balances { .. }
        | Query::AccountValuation
        | Query::AccountFills { .. }
        | Query::Ledger { .. }
        | Query::FuturesBalances
        | Query::Positions => None,
    }
}

/// Refuses windows that end before they start or are longer than the exchange
/// accepts (it would answer -1127, or cut silently).
fn check_window(market: Product, query: &Query) -> Result<(), ExchangeError> {
    let window = match query {
        Query::Fills { from: FillsFrom::Window(window), .. }
        | Query::Deposits { window, .. }
        | Query::Withdrawals { window, .. }
        | Query::FiatOrders { window, .. }
        | Query::Transfers { window, .. }
        | Query::Candles { window: Some(window), .. } => *window,
        Query::Income { start: Some(start), end: Some(end), .. } => Window::new(*start, *end),
        Query::ServerTime
        | Query::SystemStatus
        | Query::Instruments
        | Query::Prices { .. }
        | Query::Ticker { .. }
        | Query::Candles { .. }
        | Query::Permissions
        | Query::AccountIdentity
        | Query::Balances { .. }
        | Query::AccountValuation
        | Query::AccountFills { .. }
        | Query::Ledger { .. }
        | Query::Fills { .. }
        | Query::FuturesBalances
        | Query::Positions
        | Query::Income { .. } => return Ok(()),
    };
    bounds::window(window, window_max(market, query)).map(|_| ())
}

const API_ADDRESS: Bucket = bucket("binance_api", Scope::Address, 6000);
const SAPI_ADDRESS: Bucket = bucket("binance_sapi", Scope::Address, 12_000);
const SAPI_ACCOUNT: Bucket = bucket("binance_sapi_uid", Scope::Account, 180_000);
const FAPI_ADDRESS: Bucket = bucket("binance_fapi", Scope::Address, 2400);
const DAPI_ADDRESS: Bucket = bucket("binance_dapi", Scope::Address, 2400);

const fn bucket(name: &'static str, scope: Scope, per_minute: u32) -> Bucket {
    Bucket::fixed(name, scope, per_minute)
}

/// What `query` costs.
pub(super) fn weight(market: Product, query: &Query) -> Weight {
    use Product::{CoinM, MarginCross, MarginIsolated, Spot, UsdM};

    let data = match market {
        Spot | MarginCross | MarginIsolated => API_ADDRESS,
        UsdM => FAPI_ADDRESS,
        CoinM => DAPI_ADDRESS,
    };
    let spot = data == API_ADDRESS;
    let by = |spot_cost, usdm_cost, coinm_cost| match market {
        Spot | MarginCross | MarginIsolated => spot_cost,
        UsdM => usdm_cost,
        CoinM => coinm_cost,
    };
    let (bucket, cost) = match query {
        // The last three are never asked: `route` has refused them.
        Query::ServerTime
        | Query::AccountValuation
        | Query::AccountFills { .. }
        | Query::Ledger { .. } => (data, 1),
        Query::SystemStatus
        | Query::Permissions
        | Query::Deposits { .. }
        | Query::Transfers { .. } => (SAPI_ADDRESS, 1),
        Query::Instruments => (data, by(20, 1, 1)),
        Query::Prices { symbols } => (data, if spot && symbols.len() != 1 { 4 } else { 2 }),
        Query::Ticker { .. } => (data, by(2, 1, 1)),
        // Futures charge by the number of bars; this is for the longest list.
        Query::Candles { .. } => (data, by(2, 10, 10)),
        Query::AccountIdentity => (API_ADDRESS, 20),
        Query::Balances { .. } => match market {
            Spot => (API_ADDRESS, 20),
            MarginCross | MarginIsolated | UsdM | CoinM => (SAPI_ADDRESS, 10),
        },
        Query::Fills { .. } => match market {
            Spot => (API_ADDRESS, 20),
            MarginCross | MarginIsolated => (SAPI_ADDRESS, 10),
            UsdM => (FAPI_ADDRESS, 5),
            CoinM => (DAPI_ADDRESS, 20),
        },
        Query::Withdrawals { .. } => (SAPI_ACCOUNT, 18_000),
        Query::FiatOrders { .. } => (SAPI_ACCOUNT, 90_000),
        Query::FuturesBalances => (data, 5),
        Query::Positions => (data, by(5, 5, 1)),
        Query::Income { .. } => (data, by(30, 30, 20)),
    };
    Weight { bucket, cost }
}
