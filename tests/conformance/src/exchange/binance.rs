//! Binance.

use anyhow::{Context as _, Result, bail};
use exchanges::binance::{self, Binance};
use exchanges::{
    Answer, Connector, Credentials, ExchangeError, FillsFrom, Market, Query, Reply, Scheme,
    TransferKind, UnixMillis, Window,
};
use serde_json::{Value, json};

use super::case::{Asked, pair_list, plain, text};
use super::sequence::Start;
use super::{Adapter, common_query, refused};

pub(super) struct Of;

/// The largest page.
const PAGE: u16 = 1000;

impl Adapter for Of {
    fn connector(&self, market: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Binance::new(market)))
    }

    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        let symbol = asked.parameter("symbol").unwrap_or_default();
        let limit = u16::try_from(asked.number("limit", PAGE.into())).unwrap_or(PAGE);
        Ok(match method {
            "fetch_fills" => {
                let from = FillsFrom::Id(asked.number("fromId", 0));
                Query::Fills { symbol, from, limit }
            }
            "fetch_fiat_orders" => {
                let out = asked.parameter("transactionType").as_deref() == Some("1");
                let kind = if out { TransferKind::Withdrawal } else { TransferKind::Deposit };
                Query::fiat_orders(kind, Window::new(UnixMillis(0), UnixMillis(0)))
            }
            "fetch_income" => Query::Income { start: None, end: None, page: 1, limit },
            _ => return common_query(method, asked),
        })
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        binance::classify(reply)
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let get = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
        let credentials = Credentials {
            key: get("api_key"),
            secret: get("api_secret").as_bytes(),
            passphrase: None,
        };
        let query = pair_list(request.get("query_params"))?;
        let body = pair_list(request.get("body_params"))?;
        let signed = match binance::sign(&credentials, &query, &body) {
            Err(ExchangeError::InvalidCredentials) => return Ok(refused()),
            other => other?,
        };
        let announced = match get("key_type") {
            "" => Some(signed.scheme),
            "hmac" => Some(Scheme::HmacSha256),
            "ed25519" => Some(Scheme::Ed25519),
            "rsa" => Some(Scheme::RsaSha256),
            _ => None,
        };
        if announced != Some(signed.scheme) {
            return Ok(refused());
        }
        let separator = if signed.query.is_empty() { "" } else { "?" };
        let url = ["https://", get("host"), get("path"), separator, signed.query.as_str()].concat();
        let mut answer = json!({
            "signed_payload": signed.payload.as_str(),
            "signature": signed.signature.as_str(),
            "headers": { "X-MBX-APIKEY": credentials.key },
            "url": url,
        });
        if !body.is_empty() {
            answer["body"] = json!(signed.body.as_str());
        }
        Ok(answer)
    }

    fn first_queries(
        &self,
        connector: &dyn Connector,
        case: &Value,
        start: &Start,
    ) -> Result<Vec<Query>> {
        let limit = start.page_limit.unwrap_or(PAGE);
        let method = text(case, "method")?;
        if method.contains("income") {
            let at = |time: Option<u64>| time.map(UnixMillis);
            let (start, end) = (at(start.from), at(start.until));
            return Ok(vec![Query::Income { start, end, page: 1, limit }]);
        }
        if method.contains("deposit") {
            return Ok(start.queries(connector, Query::deposits));
        }
        if method.contains("withdraw") {
            return Ok(start.queries(connector, Query::withdrawals));
        }
        if !method.contains("fill") {
            bail!("unknown method {method}");
        }
        let symbol = symbol(case).context("no symbol")?;
        let fills = |from| Query::Fills { symbol: symbol.clone(), from, limit };
        if start.from.is_some() && start.id.is_none() {
            return Ok(start.queries(connector, |window| fills(FillsFrom::Window(window))));
        }
        Ok(vec![fills(FillsFrom::Id(start.id.unwrap_or(0)))])
    }
}

/// The pair a sequence is about: from its context, else from its first step.
fn symbol(case: &Value) -> Option<String> {
    let places = ["/context/start/symbol", "/context/symbol", "/steps/0/match/query/symbol"];
    let place = |at: &&str| case.pointer(at).map(plain);
    places.iter().find_map(place)
}
