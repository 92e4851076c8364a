//! Coinbase Advanced Trade, and the part of the older interface that knows deposits.
//!
//! A request passes these steps, each of which may end it:
//!
//! 1. the endpoint, by GET;
//! 2. private ones: a token made for this very request, by a key that is known (401);
//! 3. the counter: of the user, of the address for public calls, of the key for the older
//!    interface (429);
//! 4. the right to view (403);
//! 5. the endpoint's own rules (400, 404).
//!
//! One key reaches one portfolio: the account it was issued for. Commissions
//! are in the quote currency, whatever the scenario paid them in.
//!
//! | module | |
//! |---|---|
//! | `auth` | tokens |
//! | `market` | products, tickers, bars, time |
//! | `account` | accounts, fills, rights |
//! | `wallet` | the older interface: accounts, transactions, currencies |

mod account;
mod auth;
mod market;
mod wallet;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use serde_json::{Value, json};

use crate::counters::{Counter, Spent};
use crate::form::Form;
use crate::ids;
use crate::keys::Key;
use crate::limits;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::world::{Account, World};

pub(crate) use self::auth::named_key;

/// Status, short code, text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal(u16, &'static str, String);

impl Refusal {
    fn unauthorized() -> Self {
        Self(401, "", "Unauthorized\n".to_owned())
    }

    fn invalid(text: &str) -> Self {
        Self(400, "INVALID_ARGUMENT", text.to_owned())
    }

    fn not_found(text: &str) -> Self {
        Self(404, "NOT_FOUND", text.to_owned())
    }

    fn throttled() -> Self {
        Self(429, "resource_exhausted", "Too many requests".to_owned())
    }

    fn forbidden() -> Self {
        Self(403, "PERMISSION_DENIED", "Missing required scopes".to_owned())
    }

    fn unavailable() -> Self {
        Self(503, "unavailable", "Service unavailable".to_owned())
    }

    /// The older interface has a form of its own, and a bad token is told in plain text.
    fn into_response(self, older: bool) -> Response<Body> {
        let Self(status, code, text) = self;
        if status == 401 {
            return plain(401, "text/plain", text);
        }
        let body = if older {
            let id = match status {
                429 => "rate_limit_exceeded",
                403 => "invalid_scope",
                404 => "not_found",
                400 => "param_required",
                _ => "internal_server_error",
            };
            json!({"errors": [{"id": id, "message": text}]})
        } else {
            json!({"error": code, "error_details": text, "message": text})
        };
        plain(status, JSON, body.to_string())
    }
}

const JSON: &str = "application/json";

type Answer = Result<Value, Refusal>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "endpoints that cannot fail have the type of those that can"
)]
const fn told(value: Value) -> Answer {
    Ok(value)
}

/// A request that has passed the checks all calls share.
struct Call<'a> {
    shared: &'a Shared,
    params: &'a Form,
    caller: Caller,
    /// Private calls.
    key: Option<&'a Key>,
}

impl Call<'_> {
    fn world(&self) -> &World {
        &self.shared.world
    }

    fn now(&self) -> Stamp {
        self.caller.now
    }

    fn key(&self) -> Result<&Key, Refusal> {
        self.key.ok_or_else(Refusal::unauthorized)
    }

    fn account(&self) -> Result<&Account, Refusal> {
        self.world().account(&self.key()?.account).ok_or_else(Refusal::unauthorized)
    }

    fn portfolio(&self) -> Result<String, Refusal> {
        Ok(ids::uuid(&["portfolio", &self.key()?.account]))
    }

    /// Rows of a page: `standard` unless told, `max` at most.
    fn limit(&self, standard: usize, max: usize) -> Result<usize, Refusal> {
        let wrong = || Refusal::invalid("limit is invalid");
        let limit = self.params.number("limit").map_err(|_| wrong())?;
        let limit = limit.map_or(Some(standard), |limit| usize::try_from(limit).ok());
        limit.filter(|limit| (1..=max).contains(limit)).ok_or_else(wrong)
    }
}

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
) -> Response<Body> {
    let older = uri.path().starts_with("/v2/");
    let mut spent = None;
    let answer = match method {
        Method::GET => dispatch(&shared, caller, &uri, &headers, &mut spent),
        _ => Err(Refusal(405, "method_not_allowed", "Method Not Allowed".to_owned())),
    };
    let mut response = match answer {
        Ok(value) => plain(200, JSON, value.to_string()),
        Err(refusal) => refusal.into_response(older),
    };
    let (limit, left) = match spent {
        Some(Spent::Passed { limit, left }) => (limit, left),
        Some(Spent::Refused { limit }) => (limit, 0),
        Some(Spent::LockedOut) | None => return response,
    };
    let told = response.headers_mut();
    told.insert("x-ratelimit-limit", HeaderValue::from(limit));
    told.insert("x-ratelimit-remaining", HeaderValue::from(left));
    told.insert("x-ratelimit-reset", HeaderValue::from(1));
    response
}

type Endpoint = fn(&Call<'_>) -> Answer;

/// Public endpoints, then private ones.
static PUBLIC: [(&str, Endpoint); 6] = [
    ("/api/v3/brokerage/time", market::time),
    ("/api/v3/brokerage/market/products", market::products),
    ("/v2/time", wallet::time),
    ("/v2/currencies", wallet::currencies),
    ("/v2/currencies/crypto", wallet::crypto_currencies),
    ("/v2/exchange-rates", wallet::exchange_rates),
];
static PRIVATE: [(&str, Endpoint); 9] = [
    ("/api/v3/brokerage/key_permissions", account::key_permissions),
    ("/api/v3/brokerage/accounts", account::accounts),
    ("/api/v3/brokerage/portfolios", account::portfolios),
    ("/api/v3/brokerage/transaction_summary", account::transaction_summary),
    ("/api/v3/brokerage/orders/historical/fills", account::fills),
    ("/api/v3/brokerage/best_bid_ask", market::best_bid_ask),
    ("/api/v3/brokerage/products", market::products),
    ("/v2/accounts", wallet::accounts),
    ("/v2/user", wallet::user),
];

fn dispatch(
    shared: &Shared,
    caller: Caller,
    uri: &Uri,
    headers: &HeaderMap,
    spent: &mut Option<Spent>,
) -> Answer {
    let path = uri.path();
    let params = Form::parse(uri.query().unwrap_or_default());
    let params = params.ok_or_else(|| Refusal::invalid("the query is invalid"))?;
    let mut call = Call { shared, params: &params, caller, key: None };
    let mut charge = |counter| {
        let outcome = shared.counters.spend(counter, 1);
        *spent = Some(outcome);
        if matches!(outcome, Spent::Passed { .. }) { Ok(()) } else { Err(Refusal::throttled()) }
    };
    let one = path.strip_prefix("/api/v3/brokerage/market/products/");
    let public = PUBLIC.iter().find(|(known, _)| *known == path);
    if public.is_some() || one.is_some() {
        charge(Counter::CoinbasePublic(caller.peer))?;
        return match (public, one) {
            (Some((_, answer)), _) => answer(&call),
            (None, rest) => market::product(&call, rest.unwrap_or_default()),
        };
    }
    let private = PRIVATE.iter().find(|(known, _)| *known == path).map(|(_, answer)| *answer);
    let wallet = path.strip_prefix("/v2/accounts/");
    let product = path.strip_prefix("/api/v3/brokerage/products/");
    if private.is_none() && wallet.is_none() && product.is_none() {
        return Err(Refusal::not_found("Not Found"));
    }
    let (name, key) = auth::verify(&shared.keys, headers, path, caller.server_time)
        .ok_or_else(Refusal::unauthorized)?;
    call.key = Some(&key);
    charge(if path.starts_with("/v2/") {
        Counter::CoinbaseWallet(name)
    } else {
        Counter::Coinbase(call.account()?.uid)
    })?;
    // What a key may do it may always ask.
    if !path.ends_with("/key_permissions") && !key.permissions.holds("read") {
        return Err(Refusal::forbidden());
    }
    match (private, wallet, product) {
        (Some(answer), ..) => answer(&call),
        (None, Some(rest), _) => wallet::of_account(&call, rest),
        (None, None, rest) => market::product(&call, rest.unwrap_or_default()),
    }
}

/// The body under a status that a fault rule chose.
pub(crate) fn refusal_body(status: u16) -> String {
    let (code, text) = match status {
        429 => ("resource_exhausted", "Too many requests"),
        401 => ("unauthorized", "Unauthorized"),
        403 => ("PERMISSION_DENIED", "Missing required scopes"),
        _ => ("unavailable", "Service unavailable"),
    };
    json!({"error": code, "error_details": text, "message": text}).to_string()
}
