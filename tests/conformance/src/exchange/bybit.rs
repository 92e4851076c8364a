//! Bybit.

use anyhow::Result;
use exchanges::bybit::{self, Bybit};
use exchanges::{Answer, Connector, Market, Query, Reply};
use serde_json::Value;

use super::case::Asked;
use super::sequence::Start;
use super::signing::{self, Input};
use super::{Adapter, common_query};

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Bybit))
    }

    fn query(&self, method: &str, asked: &Asked) -> Result<Query> {
        Ok(match method {
            "fetch_balances" => {
                let funding = asked.path.ends_with("/query-account-coins-balance");
                let wallet = funding.then(|| "FUND".to_owned());
                Query::Balances { cursor: signing::place(wallet)? }
            }
            "fetch_deposits" if asked.path.ends_with("/query-internal-record") => {
                signing::transfers("internal:")?
            }
            "fetch_deposits" => signing::transfers("deposits:")?,
            "fetch_withdrawals" => signing::transfers("withdrawals:")?,
            other => common_query(other, asked)?,
        })
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        bybit::classify(reply)
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
        let (_, query) = input.path_and_query()?;
        let parameters = if input.body.is_empty() { &query } else { &input.body };
        let (timestamp, window) = (input.timestamp(), input.plain("recv_window"));
        signing::headers(bybit::sign(&input.credentials, parameters, &timestamp, &window))
    }
}
