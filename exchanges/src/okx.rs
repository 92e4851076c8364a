//! OKX: the trading account's spot and margin trades, the funding account and
//! savings.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * Every reply is `{"code", "msg", "data": […]}`; the code decides, not the
//!   status.
//! * Lists come newest first; the next page is asked for by the number, or the
//!   time, of the oldest row.
//! * A walk through [`Query::Balances`] takes three wallets, one through
//!   [`Query::AccountFills`] two sorts of instrument, and one through
//!   [`Query::Transfers`] deposits and withdrawals.

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
use crate::fact::{Fact, Identity, IdentityKind, Page, TransferKind};
use crate::json::{self, Object, Value, malformed};
use crate::query::Query;
use crate::{Connector, Context, Credentials, Market, Reply, Request, UnixMillis, Venue, Weight};
use routes::{List, Sort, TRANSFERS_PAGE, Wallet};

/// The connector for OKX's spot and margin trades.
#[derive(Clone, Copy, Debug)]
pub struct Okx;

const API: &str = "www.okx.com";

impl Connector for Okx {
    fn venue(&self) -> Venue {
        Venue::Okx
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

    fn window_max(&self, _: &Query) -> Option<Duration> {
        None
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
        body.integer("code")?;
        let rows = body.list("data")?;
        match query {
            Query::ServerTime => Ok(Page::one(Fact::ServerTime(first(&rows)?.time("ts")?))),
            Query::SystemStatus => {
                books::system_status(&rows).map(|status| Page::one(Fact::SystemStatus(status)))
            }
            Query::Instruments => books::instruments(rows).map(Page::last),
            Query::Prices { .. } => books::prices(rows, context).map(Page::last),
            Query::Ticker { .. } => books::tickers(rows, context).map(Page::last),
            Query::Candles { .. } => books::candles(rows).map(Page::last),
            Query::Permissions => {
                permissions::read(&first(&rows)?).map(|found| Page::one(Fact::Permissions(found)))
            }
            Query::AccountIdentity => {
                let value = first(&rows)?.id("uid")?;
                Ok(Page::one(Fact::Identity(Identity { kind: IdentityKind::Uid, value })))
            }
            Query::Balances { cursor } => {
                let wallet = Wallet::of(cursor.as_ref())?;
                let facts = match wallet {
                    Wallet::Trading => balances::trading(rows),
                    Wallet::Funding => balances::funding(rows),
                    Wallet::Savings => balances::savings(rows),
                }?;
                let next = wallet.next().map(Wallet::cursor).transpose()?;
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            Query::AccountFills { cursor, limit, .. } => {
                let (sort, asked) = Sort::of(cursor.as_ref())?;
                let full = rows.len() >= usize::from(*limit);
                let (facts, oldest) = fills::page(rows, context)?;
                let next = match oldest.filter(|_| full) {
                    Some(oldest) if asked.is_some_and(|asked| oldest >= asked) => {
                        return Err(malformed("billId"));
                    }
                    Some(oldest) => Some(sort.cursor(Some(oldest))?),
                    None => sort.next().map(|sort| sort.cursor(None)).transpose()?,
                };
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            Query::Transfers { window, cursor, .. } => {
                let (list, asked) = List::of(cursor.as_ref(), *window)?;
                let kind = match list {
                    List::Deposits => TransferKind::Deposit,
                    List::Withdrawals => TransferKind::Withdrawal,
                };
                let full = rows.len() >= usize::from(TRANSFERS_PAGE);
                let (facts, oldest) = transfers::page(rows, kind)?;
                let next = match oldest.filter(|oldest| full && *oldest >= window.start) {
                    Some(oldest) => Some(list.cursor(Some(before(oldest, asked)?))?),
                    None => list.next().map(|list| list.cursor(None)).transpose()?,
                };
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            _ => Err(ExchangeError::Unsupported),
        }
    }
}

fn first<'a>(rows: &[Value<'a>]) -> Result<Object<'a>, ExchangeError> {
    rows.first().ok_or_else(|| malformed("data"))?.object("data")
}

/// Rows before this time come next. What shares the oldest row's time comes
/// again, or some of it would be lost; a page of one single time leads nowhere.
fn before(oldest: UnixMillis, asked: UnixMillis) -> Result<UnixMillis, ExchangeError> {
    let next = oldest.0.checked_add(1).map(UnixMillis).ok_or_else(|| malformed("ts"))?;
    if next < asked { Ok(next) } else { Err(malformed("ts")) }
}
