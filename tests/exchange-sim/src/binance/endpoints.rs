//! Every endpoint of the three hosts: path, weight, parameters.

use http::Method;

use super::params::Params;
use super::{
    Access, Budget, Endpoint, account, contracts, futures, margin, market, tickers, wallet,
};

const fn one(_: &Params) -> u32 {
    1
}

/// One symbol or all of them.
fn by_symbol(params: &Params, one: u32, all: u32) -> u32 {
    if params.has("symbol") { one } else { all }
}

/// The 24-hour statistics of spot are charged by the number of symbols.
fn statistics(params: &Params) -> u32 {
    let listed = params.get("symbols").map(|list| list.split(',').count());
    match listed {
        _ if params.has("symbol") => 2,
        Some(..=20) => 2,
        Some(21..=100) => 40,
        _ => 80,
    }
}

/// Candles of futures are charged by their number.
fn candles(params: &Params) -> u32 {
    match params.get("limit").map_or(Ok(500), str::parse::<u32>) {
        Ok(..100) => 1,
        Ok(100..500) => 2,
        Ok(500..=1000) => 5,
        _ => 10,
    }
}

const GET: Method = Method::GET;

/// `api.binance.com`.
#[rustfmt::skip]
pub(super) static SPOT: [Endpoint; 22] = {
    use Access::{Public, Signed};
    use Budget::{Request, SapiIp, SapiUid};
    [
        Endpoint { method: GET, path: "/api/v3/ping", access: Public, budget: Request, weight: one,
            params: &[], answer: market::ping },
        Endpoint { method: GET, path: "/api/v3/time", access: Public, budget: Request, weight: one,
            params: &[], answer: market::time },
        Endpoint { method: GET, path: "/api/v3/exchangeInfo", access: Public, budget: Request, weight: |_| 20,
            params: &["symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"],
            answer: market::exchange_info },
        Endpoint { method: GET, path: "/api/v3/ticker/price", access: Public, budget: Request,
            weight: |params| if params.has("symbol") { 2 } else { 4 },
            params: &["symbol", "symbols", "symbolStatus"], answer: market::ticker_price },
        Endpoint { method: GET, path: "/api/v3/klines", access: Public, budget: Request, weight: |_| 2,
            params: &["symbol", "interval", "startTime", "endTime", "timeZone", "limit"], answer: market::klines },
        Endpoint { method: GET, path: "/api/v3/ticker/24hr", access: Public, budget: Request, weight: statistics,
            params: &["symbol", "symbols", "type", "symbolStatus"], answer: tickers::spot },
        Endpoint { method: GET, path: "/api/v3/account", access: Signed, budget: Request, weight: |_| 20,
            params: &["omitZeroBalances"], answer: account::account },
        Endpoint { method: GET, path: "/api/v3/myTrades", access: Signed, budget: Request,
            weight: |params| if params.has("orderId") { 5 } else { 20 },
            params: &["symbol", "orderId", "startTime", "endTime", "fromId", "limit"], answer: account::my_trades },
        Endpoint { method: GET, path: "/sapi/v1/system/status", access: Public, budget: SapiIp, weight: one,
            params: &[], answer: wallet::system_status },
        Endpoint { method: GET, path: "/sapi/v1/account/apiRestrictions", access: Signed, budget: SapiIp, weight: one,
            params: &[], answer: wallet::restrictions },
        Endpoint { method: Method::POST, path: "/sapi/v1/asset/get-funding-asset", access: Signed, budget: SapiIp,
            weight: one, params: &["asset", "needBtcValuation"], answer: wallet::funding },
        Endpoint { method: GET, path: "/sapi/v1/asset/transfer", access: Signed, budget: SapiIp, weight: one,
            params: &["type", "startTime", "endTime", "current", "size", "fromSymbol", "toSymbol"],
            answer: wallet::between_wallets },
        Endpoint { method: GET, path: "/sapi/v1/capital/deposit/hisrec", access: Signed, budget: SapiIp, weight: one,
            params: &["includeSource", "coin", "status", "startTime", "endTime", "offset", "limit", "txId"],
            answer: wallet::deposits },
        Endpoint { method: GET, path: "/sapi/v1/capital/withdraw/history", access: Signed, budget: SapiUid,
            weight: |_| 18_000,
            params: &["coin", "withdrawOrderId", "status", "startTime", "endTime", "offset", "limit", "idList"],
            answer: wallet::withdrawals },
        Endpoint { method: GET, path: "/sapi/v1/fiat/orders", access: Signed, budget: SapiUid, weight: |_| 90_000,
            params: &["transactionType", "beginTime", "endTime", "page", "rows"], answer: wallet::fiat_orders },
        Endpoint { method: GET, path: "/sapi/v1/capital/config/getall", access: Signed, budget: SapiIp,
            weight: |_| 10, params: &[], answer: wallet::coins },
        Endpoint { method: GET, path: "/sapi/v1/margin/account", access: Signed, budget: SapiIp, weight: |_| 10,
            params: &[], answer: margin::cross },
        Endpoint { method: GET, path: "/sapi/v1/margin/isolated/account", access: Signed, budget: SapiIp,
            weight: |_| 10, params: &["symbols"], answer: margin::isolated },
        Endpoint { method: GET, path: "/sapi/v1/margin/myTrades", access: Signed, budget: SapiIp, weight: |_| 10,
            params: &["symbol", "isIsolated", "orderId", "startTime", "endTime", "fromId", "limit"],
            answer: margin::my_trades },
        Endpoint { method: GET, path: "/sapi/v1/margin/interestHistory", access: Signed, budget: SapiIp, weight: one,
            params: &["asset", "isolatedSymbol", "startTime", "endTime", "current", "size"],
            answer: margin::interest },
        Endpoint { method: GET, path: "/sapi/v1/margin/allPairs", access: Public, budget: SapiIp, weight: one,
            params: &["symbol"], answer: margin::all_pairs },
        Endpoint { method: GET, path: "/sapi/v1/margin/isolated/allPairs", access: Signed, budget: SapiIp,
            weight: |_| 10, params: &["symbol"], answer: margin::all_pairs },
    ]
};

/// `fapi.binance.com`.
#[rustfmt::skip]
pub(super) static USDM: [Endpoint; 12] = {
    use Access::{Public, Signed};
    use Budget::Usdm;
    [
        Endpoint { method: GET, path: "/fapi/v1/ping", access: Public, budget: Usdm, weight: one,
            params: &[], answer: market::ping },
        Endpoint { method: GET, path: "/fapi/v1/time", access: Public, budget: Usdm, weight: one,
            params: &[], answer: market::time },
        Endpoint { method: GET, path: "/fapi/v1/exchangeInfo", access: Public, budget: Usdm, weight: one,
            params: &[], answer: contracts::usdm },
        Endpoint { method: GET, path: "/fapi/v1/ticker/price", access: Public, budget: Usdm,
            weight: |params| by_symbol(params, 1, 2), params: &["symbol"], answer: tickers::usdm_price },
        Endpoint { method: GET, path: "/fapi/v1/ticker/24hr", access: Public, budget: Usdm,
            weight: |params| by_symbol(params, 1, 40), params: &["symbol"], answer: tickers::usdm },
        Endpoint { method: GET, path: "/fapi/v1/premiumIndex", access: Public, budget: Usdm,
            weight: |params| by_symbol(params, 1, 10), params: &["symbol"], answer: tickers::usdm_mark },
        Endpoint { method: GET, path: "/fapi/v1/klines", access: Public, budget: Usdm, weight: candles,
            params: &["symbol", "interval", "startTime", "endTime", "limit"], answer: market::usdm_klines },
        Endpoint { method: GET, path: "/fapi/v3/account", access: Signed, budget: Usdm, weight: |_| 5,
            params: &[], answer: futures::usdm_account },
        Endpoint { method: GET, path: "/fapi/v3/balance", access: Signed, budget: Usdm, weight: |_| 5,
            params: &[], answer: futures::usdm_balance },
        Endpoint { method: GET, path: "/fapi/v3/positionRisk", access: Signed, budget: Usdm, weight: |_| 5,
            params: &["symbol"], answer: futures::usdm_positions },
        Endpoint { method: GET, path: "/fapi/v1/userTrades", access: Signed, budget: Usdm, weight: |_| 5,
            params: &["symbol", "orderId", "startTime", "endTime", "fromId", "limit"],
            answer: futures::usdm_trades },
        Endpoint { method: GET, path: "/fapi/v1/income", access: Signed, budget: Usdm, weight: |_| 30,
            params: &["symbol", "incomeType", "startTime", "endTime", "page", "limit"],
            answer: futures::usdm_income },
    ]
};

/// `dapi.binance.com`.
#[rustfmt::skip]
pub(super) static COINM: [Endpoint; 12] = {
    use Access::{Public, Signed};
    use Budget::Coinm;
    [
        Endpoint { method: GET, path: "/dapi/v1/ping", access: Public, budget: Coinm, weight: one,
            params: &[], answer: market::ping },
        Endpoint { method: GET, path: "/dapi/v1/time", access: Public, budget: Coinm, weight: one,
            params: &[], answer: market::time },
        Endpoint { method: GET, path: "/dapi/v1/exchangeInfo", access: Public, budget: Coinm, weight: one,
            params: &[], answer: contracts::coinm },
        Endpoint { method: GET, path: "/dapi/v1/ticker/price", access: Public, budget: Coinm,
            weight: |params| by_symbol(params, 1, 2), params: &["symbol", "pair"], answer: tickers::coinm_price },
        Endpoint { method: GET, path: "/dapi/v1/ticker/24hr", access: Public, budget: Coinm,
            weight: |params| by_symbol(params, 1, 40), params: &["symbol", "pair"], answer: tickers::coinm },
        Endpoint { method: GET, path: "/dapi/v1/premiumIndex", access: Public, budget: Coinm, weight: |_| 10,
            params: &["symbol", "pair"], answer: tickers::coinm_mark },
        Endpoint { method: GET, path: "/dapi/v1/klines", access: Public, budget: Coinm, weight: candles,
            params: &["symbol", "interval", "startTime", "endTime", "limit"], answer: market::coinm_klines },
        Endpoint { method: GET, path: "/dapi/v1/account", access: Signed, budget: Coinm, weight: |_| 5,
            params: &[], answer: futures::coinm_account },
        Endpoint { method: GET, path: "/dapi/v1/balance", access: Signed, budget: Coinm, weight: one,
            params: &[], answer: futures::coinm_balance },
        Endpoint { method: GET, path: "/dapi/v1/positionRisk", access: Signed, budget: Coinm, weight: one,
            params: &["marginAsset", "pair"], answer: futures::coinm_positions },
        Endpoint { method: GET, path: "/dapi/v1/userTrades", access: Signed, budget: Coinm,
            weight: |params| by_symbol(params, 20, 40),
            params: &["symbol", "pair", "orderId", "startTime", "endTime", "fromId", "limit"],
            answer: futures::coinm_trades },
        Endpoint { method: GET, path: "/dapi/v1/income", access: Signed, budget: Coinm, weight: |_| 20,
            params: &["symbol", "incomeType", "startTime", "endTime", "page", "limit"],
            answer: futures::coinm_income },
    ]
};
