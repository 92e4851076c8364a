//! Kraken Futures.
//!
//! The API of version 3 answers HTTP 200 and tells in `result` what became of
//! a request; history and key check answer with a status. A private call
//! passes these steps, each of which may end it:
//!
//! 1. the endpoint, by GET;
//! 2. the key and the signature over parameters, nonce and path; a nonce, if sent, must rise;
//! 3. the counter of the key: `/derivatives` by cost in ten seconds, the history by tokens;
//! 4. the right to read;
//! 5. the endpoint's own rules.
//!
//! Linear contracts are the scenario's contracts of a linear wallet, quoted in
//! dollars as here everything is, and count in units of the base asset.
//! Inverse ones count in dollars. Numbers are JSON numbers.
//!
//! | module | |
//! |---|---|
//! | `auth` | keys and signatures |
//! | `contracts` | names of contracts, which are offered |
//! | `market` | instruments, tickers, bars |
//! | `account` | wallets, positions, rights |
//! | `history` | fills and the account log |

mod account;
mod auth;
mod contracts;
mod history;
mod market;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Extension, State};
use http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};

use crate::counters::{Counter, Spent};
use crate::form::Form;
use crate::keys::Key;
use crate::limits;
use crate::scenario::Stamp;
use crate::venue::{Caller, Shared, plain};
use crate::wire::iso_millis;
use crate::world::{Account, Wallet, World};

/// Who asks.
pub(crate) const KEY_HEADER: &str = "APIKey";

const API: &str = "/derivatives/api/v3/";
const LOG: &str = "/api/history/v3/account-log";
const CHECK: &str = "/api/auth/v1/api-keys/v3/check";
const CHARTS: &str = "/api/charts/v1/";

/// What a request ended in: the word of version 3, or a status with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Word(&'static str),
    Status(u16, &'static str),
}

type Answer = Result<Value, Refusal>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "endpoints that cannot fail have the type of those that can"
)]
const fn told(value: Value) -> Answer {
    Ok(value)
}

const UNAVAILABLE: Refusal = Refusal::Word("unavailable");

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

    fn user(&self) -> &str {
        let account = self.key.and_then(|(_, key)| self.world().account(&key.account));
        account.map_or("", |account| account.user.as_str())
    }

    /// The futures wallets of the key's user: collateral of all kinds, and single coins.
    fn wallets(&self) -> Vec<&Account> {
        let Some((_, key)) = self.key else { return Vec::new() };
        let kinds = [Wallet::LinearFutures, Wallet::InverseFutures];
        kinds.into_iter().filter_map(|it| self.world().wallet(&key.account, it)).collect()
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
    let path = uri.path();
    let query = uri.query().unwrap_or_default();
    let answer = match method {
        Method::GET => dispatch(&shared, caller, path, query, &headers),
        _ => Err(Refusal::Status(405, "Method Not Allowed")),
    };
    let of_version_3 = path.starts_with(API);
    match answer {
        Ok(mut value) => {
            if let (true, Some(object)) = (of_version_3, value.as_object_mut()) {
                object.insert("result".to_owned(), json!("success"));
                object.insert("serverTime".to_owned(), json!(iso_millis(caller.server_time)));
            }
            plain(200, "application/json", value.to_string())
        }
        Err(Refusal::Word(word)) if of_version_3 => {
            plain(200, "application/json", error(word, caller.server_time))
        }
        Err(Refusal::Word(word)) => {
            let status = match word {
                "apiLimitExceeded" => 429,
                "insufficientPrivileges" => 403,
                "authenticationError" | "nonceBelowThreshold" => 401,
                "unavailable" => 503,
                _ => 400,
            };
            plain(status, "application/json", errors(word))
        }
        Err(Refusal::Status(status, message)) => plain(status, "application/json", errors(message)),
    }
}

fn dispatch(
    shared: &Shared,
    caller: Caller,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> Answer {
    let params = Form::parse(query).ok_or(Refusal::Word("invalidArgument"))?;
    let mut call = Call { shared, params: &params, caller, key: None };
    if let Some(rest) = path.strip_prefix(CHARTS) {
        return market::charts(&call, rest);
    }
    let name = path.strip_prefix(API);
    match name {
        Some("instruments") => return market::instruments(&call),
        Some("instruments/status") => return market::statuses(&call),
        Some("tickers") => return market::tickers(&call),
        Some(name) => {
            if let Some(rest) = name.strip_prefix("tickers/") {
                return market::ticker(&call, rest);
            }
            let rest = name.strip_prefix("instruments/");
            if let Some(symbol) = rest.and_then(|rest| rest.strip_suffix("/status")) {
                return market::status(&call, symbol);
            }
        }
        None => {}
    }
    let (answer, cost): (fn(&Call<'_>) -> Answer, u32) = match (name, path) {
        (Some("accounts"), _) => (account::accounts, 2),
        (Some("openpositions"), _) => (account::open_positions, 2),
        (Some("fills"), _) if params.get("lastFillTime").is_some() => (history::fills, 25),
        (Some("fills"), _) => (history::fills, 2),
        (Some("transfers"), _) => (account::transfers, 2),
        (_, LOG) => (history::account_log, history::log_cost(&params)?),
        (_, CHECK) => (account::key_check, 0),
        (Some(_), _) => return Err(Refusal::Word("notFound")),
        _ => return Err(Refusal::Status(404, "Not Found")),
    };
    let (api_key, key) = auth::verify(&shared.keys, headers, path, query).map_err(Refusal::Word)?;
    let counter = match path {
        LOG => Counter::FuturesHistory(api_key.clone()),
        _ => Counter::Futures(api_key.clone()),
    };
    if !matches!(shared.counters.spend(counter, cost), Spent::Passed { .. }) {
        return Err(Refusal::Word("apiLimitExceeded"));
    }
    if path != CHECK && !key.permissions.holds("read") {
        return Err(Refusal::Word("insufficientPrivileges"));
    }
    call.key = Some((&api_key, &key));
    answer(&call)
}

fn error(word: &str, at: Stamp) -> String {
    json!({"result": "error", "error": word, "serverTime": iso_millis(at)}).to_string()
}

fn errors(message: &str) -> String {
    json!({"errors": [{"code": 0, "message": message}]}).to_string()
}

/// The body under a status that a fault rule chose.
pub(crate) fn refusal_body(status: u16, at: Stamp) -> String {
    error(
        match status {
            429 => "apiLimitExceeded",
            401 => "authenticationError",
            403 => "insufficientPrivileges",
            _ => "unavailable",
        },
        at,
    )
}
