//! Bybit: the unified account, its spot market and the funding wallet.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * Every reply is `{"retCode", "retMsg", "result", "time"}`; the code decides,
//!   not the status.
//! * Lists come newest first, with a cursor that the next request repeats.
//! * Deposits on a chain, deposits of other customers and withdrawals are three
//!   lists; a walk through [`Query::Transfers`] takes one after the other, as
//!   one through [`Query::Balances`] takes the two wallets.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a connector names the questions it knows; every other one is unsupported"
)]

mod auth;
mod balances;
mod books;
mod errors;
mod fills;
mod permissions;
mod routes;
mod transfers;

use std::time::Duration;

pub use auth::sign;
pub use errors::classify;

use crate::error::{Answer, ExchangeError};
use crate::fact::{Fact, Identity, IdentityKind, Page};
use crate::json::{self, Object, malformed};
use crate::query::{Cursor, Query};
use crate::{Connector, Context, Credentials, Market, Reply, Request, UnixMillis, Venue, Weight};
use routes::{List, Wallet};

/// The connector for Bybit's spot market.
#[derive(Clone, Copy, Debug)]
pub struct Bybit;

const API: &str = "api.bybit.com";

impl Connector for Bybit {
    fn venue(&self) -> Venue {
        Venue::Bybit
    }

    fn market(&self) -> Market {
        Market::Unified
    }

    fn hosts(&self) -> &'static [&'static str] {
        &[API]
    }

    fn weight(&self, query: &Query) -> Weight {
        routes::weight(query)
    }

    fn window_max(&self, query: &Query) -> Option<Duration> {
        routes::window_max(query)
    }

    fn request(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        let route = routes::route(query)?;
        if query.is_private() {
            let credentials = credentials.ok_or(ExchangeError::InvalidCredentials)?;
            auth::request(route, credentials, at)
        } else {
            Ok(route.unsigned())
        }
    }

    fn refusal(&self, _: &Query, reply: &Reply<'_>) -> Option<Answer> {
        classify(reply)
    }

    fn page(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError> {
        let body = json::document(reply.body)?.object("body")?;
        // A reply without a code has not said that it is a success.
        body.integer("retCode")?;
        let result = body.need("result")?.object("result")?;
        match query {
            Query::ServerTime => {
                // Nanoseconds in a text; the seconds are truncated.
                Ok(Page::one(Fact::ServerTime(result.time("timeNano")?)))
            }
            Query::Instruments => books::instruments(&result).map(Page::last),
            Query::Prices { .. } => books::prices(&result, context).map(Page::last),
            Query::Ticker { .. } => {
                books::tickers(&result, body.maybe_time("time")?, context).map(Page::last)
            }
            Query::Candles { .. } => books::candles(&result).map(Page::last),
            Query::Permissions => {
                permissions::read(&result).map(|found| Page::one(Fact::Permissions(found)))
            }
            Query::AccountIdentity => {
                let identity = Identity { kind: IdentityKind::Uid, value: result.id("userID")? };
                Ok(Page::one(Fact::Identity(identity)))
            }
            Query::Balances { cursor } => match Wallet::of(cursor.as_ref())? {
                Wallet::Unified => {
                    let next = query.at(Wallet::Funding.cursor()?);
                    Ok(Page::new(balances::unified(&result)?, Some(next)))
                }
                Wallet::Funding => balances::funding(&result).map(Page::last),
            },
            Query::AccountFills { cursor, .. } => {
                let rows = result.list("list")?.len();
                let next = after(&result, rows, cursor.as_ref().map(Cursor::as_str))?;
                Ok(Page::new(fills::page(&result, context)?, next.map(|place| query.at(place))))
            }
            Query::Transfers { cursor, .. } => {
                let (list, asked) = List::of(cursor.as_ref())?;
                let facts = match list {
                    List::Deposits => transfers::deposits(&result),
                    List::InternalDeposits => transfers::internal_deposits(&result),
                    List::Withdrawals => transfers::withdrawals(&result),
                }?;
                let rows = result.list("rows")?.len();
                let next = match after(&result, rows, asked)? {
                    Some(cursor) => Some(list.cursor(cursor.as_str())?),
                    None => list.next().map(|list| list.cursor("")).transpose()?,
                };
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            _ => Err(ExchangeError::Unsupported),
        }
    }
}

/// Where a list of `rows` goes on. The cursor of the last page is empty or
/// leads to an empty one.
fn after(
    result: &Object<'_>,
    rows: usize,
    asked: Option<&str>,
) -> Result<Option<Cursor>, ExchangeError> {
    let next = result.maybe_text("nextPageCursor")?;
    match next {
        Some(next) if rows > 0 && asked == Some(next.as_str()) => Err(malformed("nextPageCursor")),
        Some(next) if rows > 0 => next.parse().map(Some),
        Some(_) | None => Ok(None),
    }
}
