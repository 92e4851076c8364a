//! FTX, which closed on 2022-11-11.
//!
//! Live credentials are refused at once: [`Connector::request`] fails with the
//! kind [`Kind::Gone`] for every query, so no request exists that could be sent
//! to whoever holds the names today, and no list of hosts has them. Replies
//! that were archived before the end can still be read.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a connector names the questions it knows; every other one is unsupported"
)]

mod archive;
mod auth;

use std::time::Duration;

pub use auth::sign;

use crate::error::{Answer, ExchangeError, Kind};
use crate::fact::{Page, TransferKind};
use crate::json;
use crate::query::Query;
use crate::{
    Bucket, Connector, Context, Credentials, Market, Reply, Request, Scope, UnixMillis, Venue,
    Weight,
};

/// The reader of archived replies.
#[derive(Clone, Copy, Debug)]
pub struct Ftx;

/// What any reply of FTX means now, and what there is instead of one
/// (status 0).
pub const fn classify(reply: &Reply<'_>) -> Answer {
    Answer { kind: Kind::Gone, status: reply.status, code: None, retry_after: None }
}

const GONE: ExchangeError =
    ExchangeError::Answered(Answer { kind: Kind::Gone, status: 0, code: None, retry_after: None });

/// Never charged: nothing is asked.
const NOTHING: Bucket = Bucket::fixed("ftx", Scope::Account, 1);

impl Connector for Ftx {
    fn venue(&self) -> Venue {
        Venue::Ftx
    }

    fn market(&self) -> Market {
        Market::Spot
    }

    fn hosts(&self) -> &'static [&'static str] {
        &[]
    }

    fn weight(&self, _: &Query) -> Weight {
        Weight { bucket: NOTHING, cost: 1 }
    }

    fn window_max(&self, _: &Query) -> Option<Duration> {
        None
    }

    /// Fails with [`Kind::Gone`], whatever is asked.
    fn request(
        &self,
        _: &Query,
        _: Option<&Credentials<'_>>,
        _: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        Err(GONE)
    }

    fn refusal(&self, _: &Query, reply: &Reply<'_>) -> Option<Answer> {
        (reply.status != 200).then(|| classify(reply))
    }

    fn page(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError> {
        let body = json::document(reply.body)?.object("body")?;
        if !body.flag("success")? {
            return Err(ExchangeError::Answered(classify(&reply)));
        }
        let rows = || body.list("result");
        let facts = match query {
            Query::AccountFills { .. } | Query::Fills { .. } => archive::fills(rows()?, context),
            Query::Balances { .. } => archive::balances(rows()?),
            Query::Deposits { .. } => archive::transfers(rows()?, TransferKind::Deposit),
            Query::Withdrawals { .. } => archive::transfers(rows()?, TransferKind::Withdrawal),
            _ => Err(ExchangeError::Unsupported),
        };
        facts.map(Page::last)
    }
}
