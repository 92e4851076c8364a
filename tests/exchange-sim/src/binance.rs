//! Binance: Spot, cross and isolated margin, both kinds of futures, and the part of the wallet
//! API that a reader needs.
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
//! hedge mode, portfolio margin, websockets, Ed25519 and RSA keys, microsecond replies.
//!
//! | module | |
//! |---|---|
//! | `endpoints` | paths, weights, parameters |
//! | `params` | query and form parameters |
//! | `auth` | keys, timestamps, signatures |
//! | `refusal` | error codes |
//! | `market`, `candles`, `tickers` | public data |
//! | `account` | balances and trades of the spot wallet |
//! | `margin` | cross and isolated margin |
//! | `contracts`, `futures` | futures |
//! | `wallet` | key restrictions, deposits, withdrawals |

#![expect(clippy::struct_field_names, reason = "records are named as the venue names them")]

mod account;
mod auth;
mod candles;
mod contracts;
mod endpoints;
mod futures;
mod margin;
mod market;
mod params;
mod refusal;
mod tickers;
mod wallet;

use std::net::IpAddr;
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
use crate::world::{Account, Wallet, World};

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
    Usdm,
    Coinm,
}

impl Budget {
    /// The counter of an address; a user id's is known only behind the signature.
    const fn pool(self, peer: IpAddr) -> Option<Pool> {
        Some(match self {
            Self::Request => Pool::Request(peer),
            Self::SapiIp => Pool::SapiIp(peer),
            Self::Usdm => Pool::Usdm(peer),
            Self::Coinm => Pool::Coinm(peer),
            Self::SapiUid => return None,
        })
    }
}

/// One of the venue's hosts.
#[derive(Clone, Copy)]
struct Host {
    endpoints: &'static [Endpoint],
    /// Where a request is charged that no endpoint answers.
    budget: Budget,
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

    /// The key of a signed call, and the account it was issued for.
    fn account(&self) -> Result<(&Key, &Account), Refusal> {
        let key = self.key.ok_or_else(Refusal::unknown_key)?;
        let account = self.world().account(&key.account).ok_or_else(Refusal::unknown_key)?;
        Ok((key, account))
    }

    /// A wallet of the key's user, if there is one.
    fn wallet(&self, wallet: Wallet) -> Result<Option<&Account>, Refusal> {
        let (key, _) = self.account()?;
        Ok(self.world().wallet(&key.account, wallet))
    }
}

fn json(value: &impl Serialize) -> Answer {
    serde_json::to_vec(value).map_err(|_| Refusal::internal())
}

/// `api.binance.com`: spot, margin, the wallet.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    serve(shared, Host { endpoints: &endpoints::SPOT, budget: Budget::Request })
}

/// `fapi.binance.com`: futures settled in a stable coin.
pub(crate) fn usdm_router(shared: Arc<Shared>) -> Router {
    serve(shared, Host { endpoints: &endpoints::USDM, budget: Budget::Usdm })
}

/// `dapi.binance.com`: futures settled in the coin.
pub(crate) fn coinm_router(shared: Arc<Shared>) -> Router {
    serve(shared, Host { endpoints: &endpoints::COINM, budget: Budget::Coinm })
}

fn serve(shared: Arc<Shared>, host: Host) -> Router {
    Router::new()
        .fallback(entry)
        .layer(Extension(host))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(shared)
}

async fn entry(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(host): Extension<Host>,
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
    let at_path: Vec<_> = host.endpoints.iter().filter(|it| it.path == uri.path()).collect();
    let Some(endpoint) = at_path.iter().find(|it| it.method == method) else {
        let status = if at_path.is_empty() { 404 } else { 405 };
        let pool = host.budget.pool(caller.peer).unwrap_or(Pool::Request(caller.peer));
        let charge = shared.meter.charge(pool, caller.peer, 1);
        let response = match throttled(charge) {
            Some(refusal) => refusal.into_response(),
            None => missing(status, uri.path(), caller.server_time),
        };
        return with_weight(response, host.budget, charge);
    };
    // 3. weight by address
    let params = Params::parse(uri.query().unwrap_or_default(), &body);
    let weight = params.as_ref().map_or(1, |params| (endpoint.weight)(params));
    let mut spent = None;
    if let Some(pool) = endpoint.budget.pool(caller.peer) {
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
        Budget::Usdm | Budget::Coinm => {
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
