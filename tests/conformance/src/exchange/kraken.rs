//! Kraken.

use anyhow::{Result, bail};
use exchanges::kraken::{self, Kraken};
use exchanges::{Answer, Connector, Market, Reply};
use serde_json::Value;

use super::Adapter;

pub(super) struct Of;

impl Adapter for Of {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        Ok(Box::new(Kraken))
    }

    fn classify(&self, reply: &Reply<'_>) -> Option<Answer> {
        kraken::classify(reply)
    }

    fn sign(&self, _: &Value) -> Result<Value> {
        bail!("no signer for this exchange")
    }
}
