//! Coinbase.

use anyhow::{Context as _, Result};
use exchanges::coinbase::{self, Coinbase};
use exchanges::{
    Answer, Connector, Credentials, ExchangeError, Market, Nonce, Query, Reply, UnixMillis,
};
use serde_json::{Value, json};

use super::case::{Asked, text};
use super::sequence::Start;
use super::signing::{self, Input};
use super::{Adapter, common_query};

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Coinbase))
    }

    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        let place = |name: &str| signing::place(asked.parameter(name));
        Ok(match method {
            "fetch_balances" => Query::Balances { cursor: place("cursor")? },
            "fetch_transfers" => Query::Transfers {
                account: account(&asked.path),
                window: signing::ALWAYS,
                cursor: place("starting_after")?,
            },
            "fetch_ticker" => Query::Ticker { symbol: product(&asked.path).unwrap_or_default() },
            other => common_query(other, asked)?,
        })
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        coinbase::classify(reply)
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let input = Input::of(request)?;
        signing::answer(token(&input)?, |token| json!({ "jwt": token.as_str() }))
    }

    fn first_queries(&self, _: &dyn Connector, case: &Value, start: &Start) -> Result<Vec<Query>> {
        let window = signing::ALWAYS;
        Ok(vec![if text(case, "method")?.contains("transfer") {
            let path = case.pointer("/steps/0/match/path").and_then(Value::as_str);
            Query::transfers(path.and_then(account), window)
        } else {
            Query::account_fills(window, start.page_limit.unwrap_or(signing::PAGE))
        }])
    }

    fn credentials(&self) -> Credentials<'static> {
        Credentials {
            key: "organizations/nobody/apiKeys/none",
            secret: b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            passphrase: None,
        }
    }
}

/// `id` of `/v2/accounts/id/transactions`.
fn account(path: &str) -> Option<String> {
    path.strip_prefix("/v2/accounts/")?.split('/').next().map(str::to_owned)
}

/// `id` of `/api/v3/brokerage/market/products/id/ticker`.
fn product(path: &str) -> Option<String> {
    let (_, product) = path.split_once("/products/")?;
    product.split('/').next().map(str::to_owned)
}

fn token(
    input: &Input<'_>,
) -> Result<Result<impl std::ops::Deref<Target = String>, ExchangeError>> {
    let url = input.text("url")?;
    let rest = url.strip_prefix("https://").context("url")?;
    let (host, target) = rest.split_at(rest.find('/').context("url")?);
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let seconds: u64 = input.plain("now_s").parse().context("now_s")?;
    let at = UnixMillis(seconds.checked_mul(1000).context("now_s")?);
    let mut nonce = Nonce([0; 16]);
    getrandom::fill(&mut nonce.0).context("random bytes")?;
    Ok(coinbase::token(&input.credentials, input.method, host, path, at, &nonce))
}
