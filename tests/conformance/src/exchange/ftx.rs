//! FTX.

use anyhow::Result;
use exchanges::ftx::{self, Ftx};
use exchanges::{Answer, Connector, Market, Reply};
use serde_json::Value;

use super::Adapter;
use super::signing::{self, Input};

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Ftx))
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        Some(ftx::classify(reply))
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let input = Input::of(request)?;
        let (target, timestamp) = (input.target()?, input.timestamp());
        let subaccount = request.get("subaccount").and_then(Value::as_str);
        let Input { credentials, method, body, .. } = &input;
        signing::headers(ftx::sign(credentials, *method, &target, body, &timestamp, subaccount))
    }
}
