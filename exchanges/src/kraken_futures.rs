//! Kraken Futures: perpetuals and dated contracts, with keys and accounts of
//! their own.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * What a key may do cannot be read: see [`Permissions::is_unreadable`](crate::Permissions::is_unreadable).
//! * Fills have no fees. The account log is the truth about money: fees (by
//!   the id of the fill), funding, profit, conversions and transfers, with
//!   balances before and after.
//! * Money moved from and to Kraken's spot wallet stays the customer's.

mod auth;
mod balances;
mod books;
mod contracts;
mod errors;
mod history;
mod permissions;
mod routes;

use std::time::Duration;

pub use auth::{Signed, sign};
pub use errors::classify;

use crate::error::{Answer, ExchangeError};
use crate::fact::{Fact, Identity, IdentityKind, Page};
use crate::json;
use crate::query::Query;
use crate::{Connector, Context, Credentials, Market, Reply, Request, UnixMillis, Venue, Weight};

/// The connector.
#[derive(Clone, Copy, Debug)]
pub struct KrakenFutures;

const API: &str = "futures.kraken.com";

impl Connector for KrakenFutures {
    fn venue(&self) -> Venue {
        Venue::KrakenFutures
    }

    fn market(&self) -> Market {
        Market::Futures
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

    /// `at` is not used: requests carry no time.
    fn request(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        _: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        let route = routes::route(query)?;
        if query.is_private() {
            auth::request(route, credentials.ok_or(ExchangeError::InvalidCredentials)?)
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
        if !matches!(
            query,
            Query::Candles { .. }
                | Query::Permissions
                | Query::AccountIdentity
                | Query::Ledger { .. }
        ) {
            books::succeeded(&body)?;
        }
        match query {
            Query::ServerTime => Ok(Page::one(Fact::ServerTime(body.time("serverTime")?))),
            Query::Instruments => books::instruments(&body).map(Page::last),
            Query::Prices { symbols } => books::prices(&body, context, symbols).map(Page::last),
            Query::Ticker { symbol } => {
                let asked = if symbol.is_empty() { &[][..] } else { std::slice::from_ref(symbol) };
                books::tickers(&body, context, asked).map(Page::last)
            }
            Query::Candles { .. } => books::candles(&body).map(Page::last),
            Query::Permissions => {
                permissions::read(&body).map(|found| Page::one(Fact::Permissions(found)))
            }
            Query::AccountIdentity => {
                let value = body.text("accountUid")?;
                Ok(Page::one(Fact::Identity(Identity { kind: IdentityKind::Uid, value })))
            }
            Query::FuturesBalances => balances::accounts(&body, context).map(Page::last),
            Query::Positions => balances::positions(&body, context).map(Page::last),
            Query::AccountFills { window, cursor, limit } => {
                history::fills(&body, context, *window, cursor.as_ref(), *limit)
            }
            Query::Ledger { window, cursor } => {
                history::log(&body, context, *window, cursor.as_ref())
            }
            Query::SystemStatus
            | Query::Balances { .. }
            | Query::AccountValuation
            | Query::Fills { .. }
            | Query::Deposits { .. }
            | Query::Withdrawals { .. }
            | Query::Transfers { .. }
            | Query::FiatOrders { .. }
            | Query::Income { .. } => Err(ExchangeError::Unsupported),
        }
    }
}
