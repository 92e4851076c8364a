//! Kraken.

use anyhow::{Result, bail};
use exchanges::kraken::{self, Kraken};
use exchanges::{Answer, Connector, Credentials, ExchangeError, Market, Query, Reply};
use serde_json::{Value, json};

use super::case::{pair_list, text};
use super::sequence::Start;
use super::{Adapter, refused};

pub(super) struct Of;

/// Rows of one page, whatever is asked.
const PAGE: u16 = 50;

impl Adapter for Of {
    fn connector(&self, market: Market) -> Result<Box<dyn Connector>> {
        if market != Market::Spot {
            bail!("no market {market}");
        }
        Ok(Box::new(Kraken))
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        kraken::classify(reply)
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let get = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let (key, secret) = (get("api_key"), get("api_secret").as_bytes());
        let mut form = pair_list(request.get("body_params"))?;
        if !form.iter().any(|(name, _)| name == "nonce") {
            form.insert(0, ("nonce".to_owned(), get("nonce").to_owned()));
        }
        let nonce = form.iter().find(|(name, _)| name == "nonce").map(|(_, nonce)| nonce.clone());
        let nonce = nonce.unwrap_or_default();
        let credentials = Credentials { key, secret, passphrase: None };
        let signed = match kraken::sign(&credentials, get("path"), &nonce, &form) {
            Err(ExchangeError::InvalidCredentials) => return Ok(refused()),
            other => other?,
        };
        let host =
            if get("host").is_empty() { Kraken.hosts().concat() } else { get("host").into() };
        Ok(json!({
            "url": format!("https://{host}{}", get("path")),
            "body": signed.body.as_str(),
            "signature": signed.signature.as_str(),
            "headers": {
                "API-Key": key,
                "API-Sign": signed.signature.as_str(),
                "Content-Type": kraken::FORM,
            },
        }))
    }

    fn first_queries(
        &self,
        connector: &dyn Connector,
        case: &Value,
        start: &Start,
    ) -> Result<Vec<Query>> {
        let limit = start.page_limit.unwrap_or(PAGE);
        let method = text(case, "method")?;
        Ok(if method.contains("fill") {
            start.queries(connector, |window| Query::account_fills(window, limit))
        } else if method.contains("ledger") {
            start.queries(connector, Query::ledger)
        } else if method.contains("deposit") {
            start.queries(connector, Query::deposits)
        } else if method.contains("withdraw") {
            start.queries(connector, Query::withdrawals)
        } else {
            bail!("unknown method {method}")
        })
    }

    fn credentials(&self) -> Credentials<'static> {
        Credentials { key: "key", secret: b"c2VjcmV0", passphrase: None }
    }
}
