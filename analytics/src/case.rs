//! A whole scenario in one document, `pa-case/1`.

use serde::{Deserialize, Serialize};

use crate::config::{Config, ConfigError};
use crate::digest::DigestKey;
use crate::engine::{Engine, ResultError};
use crate::event::Event;
use crate::ledger::FeedError;
use crate::result::ResultSet;

/// A scenario: what was configured, and everything that was observed, in the
/// order of its delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub schema: Schema,
    pub id: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    pub features: Vec<String>,
    /// With `as_of`, the time the result is asked for.
    pub config: Config,
    pub events: Vec<Event>,
}

/// The one schema there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    #[serde(rename = "pa-case/1")]
    PaCase1,
}

/// Why a scenario has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaseError {
    #[error("the scenario does not say when it ends")]
    NoEnd,
    #[error("the configuration is refused")]
    Config(#[from] ConfigError),
    #[error("the scenario is too large")]
    Feed(#[from] FeedError),
    #[error("the result cannot be calculated")]
    Result(#[from] ResultError),
}

impl Case {
    /// The result as of the end of the scenario.
    pub fn run(&self) -> Result<ResultSet, CaseError> {
        let as_of = self.config.as_of.ok_or(CaseError::NoEnd)?;
        Ok(self.engine()?.result(as_of)?)
    }

    /// An engine that was fed the scenario. What is delivered after its end is
    /// unknown; what is out of range is counted as rejected.
    pub fn engine(&self) -> Result<Engine, CaseError> {
        let as_of = self.config.as_of.ok_or(CaseError::NoEnd)?;
        let mut engine = Engine::new(self.config.clone(), DigestKey::PUBLIC)?;
        for event in self.events.iter().filter(|event| event.seen() <= as_of) {
            match engine.feed(event) {
                Ok(_) | Err(FeedError::OutOfRange { .. }) => {}
                Err(full @ FeedError::Full { .. }) => return Err(full.into()),
            }
        }
        Ok(engine)
    }
}
