//! Kraken Spot.
//!
//! As at the venue, every answer is HTTP 200 and an error is a text in
//! `error`. A private call passes these steps, each of which may end it:
//!
//! 1. the endpoint, by POST;
//! 2. the key, the signature over path, nonce and body, the nonce;
//! 3. the counter of the key;
//! 4. the right to read;
//! 5. the endpoint's own rules.
//!
//! Each price event of the scenario is one trade of one unit, and bid, ask and
//! last are its price. Spot and margin are one account. What it does not have:
//! orders, exports, staking calls, websockets, one-time passwords.
//!
//! | module | |
//! |---|---|
//! | `auth` | keys, signatures, nonces |
//! | `market` | public data |
//! | `names` | codes of assets and pairs |
//! | `account` | balances, positions, rights |
//! | `history` | trades |
//! | `ledger` | the ledger |
//! | `transfers` | deposits and withdrawals |

mod account;
mod auth;
mod history;
mod ledger;
mod market;
mod names;
mod transfers;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State};
use bytes::Bytes;
use http::{HeaderMap, Method, Response, Uri};
use serde::Serialize;
use serde_json::{Value, json};

use crate::counters::{Counter, Spent};
use crate::form::Form;
use crate::keys::Key;
use crate::limits;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::wire::Wire;
use crate::world::{Account, Wallet, World};

/// Who asks.
pub(crate) const KEY_HEADER: &str = "API-Key";

const UNKNOWN_METHOD: &str = "EGeneral:Unknown method";
const INVALID: &str = "EGeneral:Invalid arguments";
const UNAVAILABLE: &str = "EService:Unavailable";

type Answer = Result<Wire, &'static str>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "endpoints that cannot fail have the type of those that can"
)]
const fn told(value: Value) -> Answer {
    Ok(Wire::Value(value))
}

/// A request that has passed the checks all calls share.
struct Call<'a> {
    shared: &'a Shared,
    params: &'a Form,
    caller: Caller,
}

/// A call of a key.
struct Private<'a> {
    call: Call<'a>,
    api_key: &'a str,
    key: Key,
}

impl Call<'_> {
    fn world(&self) -> &World {
        &self.shared.world
    }

    fn now(&self) -> Stamp {
        self.caller.now
    }
}

impl Private<'_> {
    fn world(&self) -> &World {
        self.call.world()
    }

    fn now(&self) -> Stamp {
        self.call.now()
    }

    fn params(&self) -> &Form {
        self.call.params
    }

    /// The spot and margin wallets of the key's user.
    fn wallets(&self) -> Vec<&Account> {
        let own = self.world().account(&self.key.account).filter(|it| !it.wallet.is_futures());
        let mut all: Vec<&Account> = own.into_iter().collect();
        for wallet in [Wallet::Spot, Wallet::CrossMargin] {
            if let Some(other) = self.world().wallet(&self.key.account, wallet)
                && all.iter().all(|it| it.wallet != wallet)
            {
                all.push(other);
            }
        }
        all
    }
}

/// A private endpoint: name, points, whether it needs a right, what it answers.
type Endpoint = (&'static str, u32, bool, fn(&Private<'_>) -> Answer);

static PRIVATE: [Endpoint; 11] = [
    ("Balance", 1, true, account::balance),
    ("BalanceEx", 1, true, account::balance_extended),
    ("TradeBalance", 1, true, account::trade_balance),
    ("OpenPositions", 1, true, account::open_positions),
    ("GetApiKeyInfo", 1, false, account::key_info),
    ("TradesHistory", 2, true, history::trades_history),
    ("QueryTrades", 2, true, history::query_trades),
    ("Ledgers", 2, true, ledger::ledgers),
    ("QueryLedgers", 2, true, ledger::query_ledgers),
    ("DepositStatus", 1, true, transfers::deposits),
    ("WithdrawStatus", 1, true, transfers::withdrawals),
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .fallback(entry)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(shared)
}

async fn entry(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let answer = if let Some(name) = uri.path().strip_prefix("/0/private/") {
        private(&shared, caller, (&method, name), uri.path(), &headers, &body)
    } else if let Some(name) = uri.path().strip_prefix("/0/public/") {
        let query = if method == Method::POST {
            String::from_utf8_lossy(&body).into_owned()
        } else {
            uri.query().unwrap_or_default().to_owned()
        };
        public(&shared, caller, name, &query)
    } else {
        Err(UNKNOWN_METHOD)
    };
    match answer {
        Ok(result) => success(&result),
        Err(error) => plain(200, "application/json", failure(error)),
    }
}

fn public(shared: &Shared, caller: Caller, name: &str, query: &str) -> Answer {
    let spent = shared.counters.spend(Counter::KrakenPublic(caller.peer), 1);
    if !matches!(spent, Spent::Passed { .. }) {
        return Err("EGeneral:Too many requests");
    }
    let params = Form::parse(query).ok_or(INVALID)?;
    let call = Call { shared, params: &params, caller };
    match name {
        "Time" => market::time(&call),
        "SystemStatus" => market::system_status(&call),
        "Ticker" => market::ticker(&call),
        "Assets" => market::assets(&call),
        "AssetPairs" => market::asset_pairs(&call),
        "OHLC" => market::candles(&call),
        _ => Err(UNKNOWN_METHOD),
    }
}

fn private(
    shared: &Shared,
    caller: Caller,
    (method, name): (&Method, &str),
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Answer {
    let endpoint = PRIVATE.iter().find(|(known, ..)| *known == name);
    let Some((_, points, needs_right, answer)) = endpoint.filter(|_| method == Method::POST) else {
        return Err(UNKNOWN_METHOD);
    };
    let signed = auth::verify(&shared.keys, headers, path, body)?;
    match shared.counters.spend(Counter::Kraken(signed.api_key.clone()), *points) {
        Spent::Passed { .. } => {}
        Spent::Refused { .. } => return Err("EAPI:Rate limit exceeded"),
        Spent::LockedOut => return Err("EGeneral:Temporary lockout"),
    }
    if *needs_right && !signed.key.permissions.holds("read") {
        return Err("EGeneral:Permission denied");
    }
    let call = Call { shared, params: &signed.params, caller };
    answer(&Private { call, api_key: &signed.api_key, key: signed.key })
}

/// The body under an HTTP status that a fault rule chose.
pub(crate) fn refusal_body(status: u16) -> String {
    failure(match status {
        429 => "EGeneral:Too many requests",
        418 | 403 => "EGeneral:Temporary lockout",
        _ => UNAVAILABLE,
    })
}

fn failure(error: &str) -> String {
    json!({ "error": [error] }).to_string()
}

#[derive(Serialize)]
struct Success<'a> {
    error: [&'static str; 0],
    result: &'a Wire,
}

fn success(result: &Wire) -> Response<Body> {
    match serde_json::to_vec(&Success { error: [], result }) {
        Ok(body) => plain(200, "application/json", body),
        Err(_) => plain(200, "application/json", failure("EGeneral:Internal error")),
    }
}
