//! Binance Spot and the part of its wallet API that a reader needs.
//!
//! A request passes these steps, each of which may end it:
//!
//! 1. a ban of the address (418);
//! 2. the endpoint: path, method;
//! 3. its weight against the address's budget (429);
//! 4. its parameters: form, percent-encoding, names;
//! 5. if it is signed: key, timestamp, signature, the right to read; then weight by user id;
//! 6. the endpoint's own rules.
//!
//! The wire format is the documented one, field for field. Each price event of
//! the scenario is one trade of one unit. What it does not have: orders,
//! margin, futures, websockets, Ed25519 and RSA keys, microsecond replies.
//!
//! | module | |
//! |---|---|
//! | `params` | query and form parameters |
//! | `auth` | keys, timestamps, signatures |
//! | `refusal` | error codes |
//! | `market` | public data |
//! | `account` | balances and trades |
//! | `wallet` | key restrictions, deposits, withdrawals |

mod account;
mod auth;
mod market;
mod params;
mod refusal;
mod wallet;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use serde::Serialize;

use crate::keys::Key;
use crate::limits;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::weights::{Charge, Pool};
use crate::world::World;

use self::params::Params;
use self::refusal::Refusal;
pub(crate) use self::refusal::body as refusal_body;

/// Who asks. Public endpoints ignore it.
pub(crate) const KEY_HEADER: &str = "X-MBX-APIKEY";

const JSON: &str = "application/json;charset=UTF-8";

/// One endpoint.
struct Endpoint {
    method: Method,
    path: &'static str,
    access: Access,
    budget: Budget,
    weight: fn(&Params) -> u32,
    /// Parameters it reads, beside those of a signature.
    params: &'static [&'static str],
    answer: fn(&Call<'_>) -> Answer,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Public,
    /// `USER_DATA`: signed, by a key that may read.
    Signed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Budget {
    Request,
    SapiIp,
    SapiUid,
}

type Answer = Result<Vec<u8>, Refusal>;

/// A request that has passed the checks all endpoints share.
struct Call<'a> {
    shared: &'a Shared,
    params: &'a Params,
    key: Option<&'a Key>,
    caller: Caller,
}

impl Call<'_> {
    fn world(&self) -> &World {
        &self.shared.world
    }

    fn now(&self) -> Stamp {
        self.caller.now
    }

    /// The key of a signed call, and its account.
    fn account(&self) -> Result<(&Key, &crate::world::Account), Refusal> {
        let key = self.key.ok_or_else(Refusal::unknown_key)?;
        let account = self.world().account(&key.account).ok_or_else(Refusal::unknown_key)?;
        Ok((key, account))
    }
}

fn json(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map_err(|_| Refusal::internal())
}

const fn one(_: &Params) -> u32 {
    1
}

#[rustfmt::skip]
static ENDPOINTS: [Endpoint; 13] = {
    use Access::{Public, Signed};
    use Budget::{Request, SapiIp, SapiUid};
    const GET: Method = Method::GET;
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
        Endpoint { method: GET, path: "/sapi/v1/capital/deposit/hisrec", access: Signed, budget: SapiIp, weight: one,
            params: &["includeSource", "coin", "status", "startTime", "endTime", "offset", "limit", "txId"],
            answer: wallet::deposits },
        Endpoint { method: GET, path: "/sapi/v1/capital/withdraw/history", access: Signed, budget: SapiUid,
            weight: |_| 18_000,
            params: &["coin", "withdrawOrderId", "status", "startTime", "endTime", "offset", "limit", "idList"],
            answer: wallet::withdrawals },
        Endpoint { method: GET, path: "/sapi/v1/fiat/orders", access: Signed, budget: SapiUid, weight: |_| 90_000,
            params: &["transactionType", "beginTime", "endTime", "page", "rows"], answer: wallet::fiat_orders },
    ]
};

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
    // 1. a ban
    if let Some(secs) = shared.meter.banned(caller.peer) {
        return Refusal::banned(secs, caller.server_time).into_response();
    }
    // 2. the endpoint
    let at_path: Vec<_> = ENDPOINTS.iter().filter(|it| it.path == uri.path()).collect();
    let Some(endpoint) = at_path.iter().find(|it| it.method == method) else {
        let status = if at_path.is_empty() { 404 } else { 405 };
        let charge = shared.meter.charge(Pool::Request(caller.peer), caller.peer, 1);
        let response = match throttled(charge) {
            Some(refusal) => refusal.into_response(),
            None => missing(status, uri.path(), caller.server_time),
        };
        return with_weight(response, Budget::Request, charge);
    };
    // 3. weight by address
    let params = Params::parse(uri.query().unwrap_or_default(), &body);
    let weight = params.as_ref().map_or(1, |params| (endpoint.weight)(params));
    let mut spent = None;
    let pool = match endpoint.budget {
        Budget::Request => Some(Pool::Request(caller.peer)),
        Budget::SapiIp => Some(Pool::SapiIp(caller.peer)),
        Budget::SapiUid => None,
    };
    if let Some(pool) = pool {
        let charge = shared.meter.charge(pool, caller.peer, weight);
        if let Some(refusal) = throttled(charge) {
            return with_weight(refusal.into_response(), endpoint.budget, charge);
        }
        spent = Some(charge);
    }
    let answer = params.and_then(|params| {
        // 4. parameters
        params.check(endpoint.params, endpoint.access == Access::Signed, uri.path())?;
        // 5. the signature
        let key = match endpoint.access {
            Access::Public => None,
            Access::Signed => {
                Some(auth::verify(&shared.keys, &headers, &params, caller.server_time)?)
            }
        };
        let call = Call { shared: &shared, params: &params, key: key.as_ref(), caller };
        if endpoint.budget == Budget::SapiUid {
            let uid = call.account()?.1.uid;
            let charge = shared.meter.charge(Pool::SapiUid(uid), caller.peer, weight);
            spent = Some(charge);
            if let Some(refusal) = throttled(charge) {
                return Err(refusal);
            }
        }
        // 6. the endpoint
        (endpoint.answer)(&call)
    });
    let response = match answer {
        Ok(body) => plain(200, JSON, body),
        Err(refusal) => refusal.into_response(),
    };
    match spent {
        Some(charge) => with_weight(response, endpoint.budget, charge),
        None => response,
    }
}

fn throttled(charge: Charge) -> Option<Refusal> {
    match charge {
        Charge::Passed { .. } => None,
        Charge::Throttled { limit, retry_after_secs, .. } => {
            Some(Refusal::throttled(limit, retry_after_secs))
        }
    }
}

fn with_weight(mut response: Response<Body>, budget: Budget, charge: Charge) -> Response<Body> {
    let used = match charge {
        Charge::Passed { used } | Charge::Throttled { used, .. } => HeaderValue::from(used),
    };
    let headers = response.headers_mut();
    match budget {
        Budget::Request => {
            headers.insert("X-MBX-USED-WEIGHT", used.clone());
            headers.insert("X-MBX-USED-WEIGHT-1M", used);
        }
        Budget::SapiIp => {
            headers.insert("X-SAPI-USED-IP-WEIGHT-1M", used);
        }
        Budget::SapiUid => {
            headers.insert("X-SAPI-USED-UID-WEIGHT-1M", used);
        }
    }
    response
}

#[derive(Serialize)]
struct Missing<'a> {
    timestamp: u64,
    status: u16,
    error: &'a str,
    message: &'a str,
    path: &'a str,
}

/// What the framework behind the venue says to a path it has not.
fn missing(status: u16, path: &str, at: Stamp) -> Response<Body> {
    let error = if status == 404 { "Not Found" } else { "Method Not Allowed" };
    let body =
        Missing { timestamp: at.millis(), status, error, message: "No message available", path };
    plain(status, JSON, serde_json::to_vec(&body).unwrap_or_default())
}
