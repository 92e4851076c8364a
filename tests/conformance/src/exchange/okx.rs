//! OKX.

use anyhow::Result;
use exchanges::okx::{self, Okx};
use exchanges::{Answer, Connector, Credentials, Market, Query, Reply};
use serde_json::Value;

use super::case::Asked;
use super::sequence::Start;
use super::signing::{self, Input};
use super::{Adapter, common_query};

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Okx))
    }

    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        Ok(match method {
            "fetch_balances" => {
                let wallet = match asked.path.as_str() {
                    path if path.ends_with("/asset/balances") => Some("funding".to_owned()),
                    path if path.ends_with("/savings/balance") => Some("savings".to_owned()),
                    _ => None,
                };
                Query::Balances { cursor: signing::place(wallet)? }
            }
            "fetch_deposits" => signing::transfers("deposits:")?,
            "fetch_withdrawals" => signing::transfers("withdrawals:")?,
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
        signing::lists_of_an_account(connector, case, start)
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
