//! Kraken Futures.

use anyhow::{Result, bail};
use exchanges::kraken_futures::{self, KrakenFutures};
use exchanges::{Answer, Connector, Credentials, ExchangeError, Market, Query, Reply};
use serde_json::{Value, json};

use super::case::{encoded, pair_list, split_url, text};
use super::sequence::Start;
use super::{Adapter, refused};

pub(super) struct Of;

/// Rows of one page, whatever is asked.
const PAGE: u16 = 100;

impl Adapter for Of {
    fn connector(&self, market: Market) -> Result<Box<dyn Connector>> {
        if market != Market::Futures {
            bail!("no market {market}");
        }
        Ok(Box::new(KrakenFutures))
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        kraken_futures::classify(reply)
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let get = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let (key, secret) = (get("api_key"), get("api_secret").as_bytes());
        let (path, query) = split_url(get("url"));
        let form = pair_list(request.get("body_params"))?;
        let post_data = match (get("body"), form.is_empty()) {
            ("", true) => query.to_owned(),
            ("", false) => encoded(&form),
            (body, _) => body.to_owned(),
        };
        let nonce = request.get("nonce").and_then(Value::as_str).filter(|nonce| !nonce.is_empty());
        let credentials = Credentials { key, secret, passphrase: None };
        let signed = match kraken_futures::sign(&credentials, path, &post_data, nonce) {
            Err(ExchangeError::InvalidCredentials) => return Ok(refused()),
            other => other?,
        };
        let mut headers = json!({ "APIKey": key, "Authent": signed.signature.as_str() });
        if let Some(nonce) = nonce {
            headers["Nonce"] = json!(nonce);
        }
        Ok(json!({
            "post_data": post_data,
            "sign_path": signed.path,
            "signature": signed.signature.as_str(),
            "headers": headers,
        }))
    }

    fn futures_balances(&self) -> &'static str {
        "kf_balances"
    }

    fn ledger(&self) -> &'static str {
        "account_log"
    }

    fn first_queries(
        &self,
        connector: &dyn Connector,
        case: &Value,
        start: &Start,
    ) -> Result<Vec<Query>> {
        let method = text(case, "method")?;
        Ok(if method.contains("fill") {
            start.queries(connector, |window| Query::account_fills(window, PAGE))
        } else if method.contains("ledger") {
            start.queries(connector, Query::ledger)
        } else {
            bail!("unknown method {method}")
        })
    }

    fn credentials(&self) -> Credentials<'static> {
        Credentials { key: "key", secret: b"c2VjcmV0", passphrase: None }
    }
}
