//! Bybit, version 5: the spot market of a unified account.
//!
//! Answers are HTTP 200 with a `retCode`, but for an address that asks too
//! often, which is answered 403. A private call passes these steps:
//!
//! 1. the endpoint, by GET;
//! 2. the key (10003), the timestamp and its window (10002), the signature (10004);
//! 3. the counter of the user (10006);
//! 4. the right to read (10005);
//! 5. the endpoint's own rules (10001).
//!
//! | module | |
//! |---|---|
//! | `account` | balances, executions, deposits, withdrawals, rights |
//! | `market` | time, instruments, tickers, bars |

mod account;
mod market;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::counters::{Counter, Spent};
use crate::form::Form;
use crate::keys::{Key, KeyForm};
use crate::limits;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::world::{Account, Pair, World};

/// Who asks.
pub(crate) const KEY_HEADER: &str = "X-BAPI-API-KEY";

/// The code and the text of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal(u32, String);

impl Refusal {
    fn params(text: &str) -> Self {
        Self(10001, format!("params error: {text}"))
    }

    fn key() -> Self {
        Self(10003, "API key is invalid.".to_owned())
    }

    fn unavailable() -> Self {
        Self(10016, "Internal System Error.".to_owned())
    }
}

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
    key: Option<(&'a str, &'a Key)>,
}

impl Call<'_> {
    fn world(&self) -> &World {
        &self.shared.world
    }

    fn now(&self) -> Stamp {
        self.caller.now
    }

    fn account(&self) -> Result<&Account, Refusal> {
        let (_, key) = self.key.ok_or_else(Refusal::key)?;
        self.world().account(&key.account).ok_or_else(Refusal::key)
    }

    /// Rows of a page: `standard` unless told, `max` at most.
    fn limit(&self, standard: usize, max: usize) -> Result<usize, Refusal> {
        let wrong = || Refusal::params("limit is invalid");
        let limit = self.params.number("limit").map_err(|_| wrong())?;
        let limit = limit.map_or(Some(standard), |limit| usize::try_from(limit).ok());
        limit.filter(|limit| (1..=max).contains(limit)).ok_or_else(wrong)
    }

    fn millis(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.params.number(name).map_err(|_| Refusal::params(&format!("{name} is invalid")))
    }
}

fn symbol(pair: &Pair) -> String {
    format!("{}{}", pair.0, pair.1)
}

type Endpoint = fn(&Call<'_>) -> Answer;

static PUBLIC: [(&str, Endpoint); 4] = [
    ("/v5/market/time", market::time),
    ("/v5/market/instruments-info", market::instruments),
    ("/v5/market/tickers", market::tickers),
    ("/v5/market/kline", market::bars),
];
static PRIVATE: [(&str, Endpoint); 7] = [
    ("/v5/user/query-api", account::key_info),
    ("/v5/account/wallet-balance", account::unified),
    ("/v5/asset/transfer/query-account-coins-balance", account::funding),
    ("/v5/execution/list", account::executions),
    ("/v5/asset/deposit/query-record", account::deposits),
    ("/v5/asset/deposit/query-internal-record", account::internal_deposits),
    ("/v5/asset/withdraw/query-record", account::withdrawals),
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
) -> Response<Body> {
    let spent = shared.counters.spend(Counter::BybitAddress(caller.peer), 1);
    if !matches!(spent, Spent::Passed { .. }) {
        return plain(403, "text/plain", "access too frequent\n");
    }
    let find = |list: &'static [(&str, Endpoint)]| {
        list.iter().find(|(path, _)| *path == uri.path()).map(|(_, answer)| *answer)
    };
    let query = uri.query().unwrap_or_default();
    let mut spent = None;
    let answer = match (find(&PUBLIC), find(&PRIVATE), method == Method::GET) {
        (Some(endpoint), _, true) => public(&shared, caller, query, endpoint),
        (None, Some(endpoint), true) => {
            private(&shared, caller, query, &headers, endpoint, &mut spent)
        }
        _ => return plain(404, "text/plain", "404 page not found\n"),
    };
    let at = caller.server_time.millis();
    let (code, text, result) = match answer {
        Ok(result) => (0, "OK".to_owned(), result),
        Err(Refusal(code, text)) => (code, text, json!({})),
    };
    let body = json!({"retCode": code, "retMsg": text, "result": result, "retExtInfo": {},
        "time": at});
    let mut response = plain(200, "application/json", body.to_string());
    let left = match spent {
        Some(Spent::Passed { limit, left }) => Some((limit, left)),
        Some(Spent::Refused { limit }) => Some((limit, 0)),
        Some(Spent::LockedOut) | None => None,
    };
    if let Some((limit, left)) = left {
        let headers = response.headers_mut();
        headers.insert("X-Bapi-Limit", HeaderValue::from(limit));
        headers.insert("X-Bapi-Limit-Status", HeaderValue::from(left));
        headers.insert("X-Bapi-Limit-Reset-Timestamp", HeaderValue::from(at + 1_000));
    }
    response
}

fn public(shared: &Shared, caller: Caller, query: &str, endpoint: Endpoint) -> Answer {
    let params = Form::parse(query).ok_or_else(|| Refusal::params("query"))?;
    endpoint(&Call { shared, params: &params, caller, key: None })
}

fn private(
    shared: &Shared,
    caller: Caller,
    query: &str,
    headers: &HeaderMap,
    endpoint: Endpoint,
    spent: &mut Option<Spent>,
) -> Answer {
    let (api_key, key) = verify(shared, headers, query, caller.server_time)?;
    let params = Form::parse(query).ok_or_else(|| Refusal::params("query"))?;
    let call = Call { shared, params: &params, caller, key: Some((&api_key, &key)) };
    let outcome = shared.counters.spend(Counter::Bybit(call.account()?.uid), 1);
    *spent = Some(outcome);
    if !matches!(outcome, Spent::Passed { .. }) {
        return Err(Refusal(10006, "Too many visits. Exceeded the API Rate Limit.".to_owned()));
    }
    if !key.permissions.holds("read") {
        let text = "Permission denied, please check your API key permissions.";
        return Err(Refusal(10005, text.to_owned()));
    }
    endpoint(&call)
}

/// Milliseconds a request is good for without the header.
const WINDOW_MS: u64 = 5_000;
/// How far ahead of the server a timestamp may be, exclusively.
const AHEAD_MS: u64 = 1_000;

/// `hex(HMAC-SHA256(secret, timestamp ‖ key ‖ window ‖ query))`.
fn verify(
    shared: &Shared,
    headers: &HeaderMap,
    query: &str,
    server_time: Stamp,
) -> Result<(String, Key), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let api_key = text(KEY_HEADER).ok_or_else(Refusal::key)?;
    let key = shared.keys.find(api_key).filter(|key| key.form == KeyForm::Bybit);
    let key = key.ok_or_else(Refusal::key)?;
    let stamp = text("X-BAPI-TIMESTAMP").unwrap_or_default();
    let window = text("X-BAPI-RECV-WINDOW").unwrap_or_default();
    let now = server_time.millis();
    let late = || {
        let text = format!(
            "invalid request, please check your server timestamp or recv_window param. \
            req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]"
        );
        Refusal(10002, text)
    };
    let at: u64 = stamp.parse().map_err(|_| late())?;
    let span: u64 =
        if window.is_empty() { WINDOW_MS } else { window.parse().map_err(|_| late())? };
    if at >= now + AHEAD_MS || now.saturating_sub(at) > span {
        return Err(late());
    }
    let signature = text("X-BAPI-SIGN").and_then(|sign| hex::decode(sign).ok());
    let wrong = || Refusal(10004, "error sign! please check your signature.".to_owned());
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).map_err(|_| wrong())?;
    for part in [stamp, api_key, window, query] {
        mac.update(part.as_bytes());
    }
    mac.verify_slice(&signature.unwrap_or_default()).map_err(|_| wrong())?;
    Ok((api_key.to_owned(), key))
}

/// The body under a status that a fault rule chose.
pub(crate) fn refusal_body(status: u16, at: Stamp) -> String {
    let (code, text) = match status {
        429 | 403 | 418 => (10006, "Too many visits. Exceeded the API Rate Limit."),
        401 => (10003, "API key is invalid."),
        _ => (10016, "Internal System Error."),
    };
    json!({"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": at.millis()})
        .to_string()
}
