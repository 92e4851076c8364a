//! OKX.

use anyhow::Result;
use exchanges::okx::{self, Okx};
use exchanges::{Answer, Connector, Credentials, Market, Query, Reply};
use serde_json::Value;

use super::case::{Asked, text};
use super::sequence::Start;
use super::signing::{self, Input};
use super::{Adapter, common_query};

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Okx))
    }

    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        let transfers = |list: &str| -> Result<Query> {
            let place = signing::place(Some(list.to_owned()))?;
            Ok(Query::Transfers { account: None, window: signing::ALWAYS, cursor: place })
        };
        Ok(match method {
            "fetch_balances" => {
                let wallet = match asked.path.as_str() {
                    path if path.ends_with("/asset/balances") => Some("funding".to_owned()),
                    path if path.ends_with("/savings/balance") => Some("savings".to_owned()),
                    _ => None,
                };
                Query::Balances { cursor: signing::place(wallet)? }
            }
            "fetch_deposits" => transfers("deposits:")?,
            "fetch_withdrawals" => transfers("withdrawals:")?,
            other => common_query(other, asked)?,
        })
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        okx::classify(reply)
    }

    fn first_queries(
        &self,
        connector: &dyn Connector,
        case: &Value,
        start: &Start,
    ) -> Result<Vec<Query>> {
        let transfers = text(case, "method")?.contains("transfer");
        let limit = start.page_limit.unwrap_or(signing::PAGE);
        Ok(start.queries(connector, |window| {
            if transfers {
                Query::transfers(None, window)
            } else {
                Query::account_fills(window, limit)
            }
        }))
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let input = Input::of(request)?;
        let (target, timestamp) = (input.target()?, input.timestamp());
        let Input { credentials, method, body, .. } = &input;
        signing::headers(okx::sign(credentials, *method, &target, body, &timestamp))
    }

    fn credentials(&self) -> Credentials<'static> {
        Credentials { key: "key", secret: b"secret", passphrase: Some(b"words") }
    }
}
