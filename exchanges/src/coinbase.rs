//! Coinbase Advanced Trade.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * Each private request carries a token of its own; the token names method,
//!   host and path, and holds a number that is used once: the caller draws it
//!   ([`Connector::request_with`]).
//! * A key sees one portfolio. Its wallets are rows of the balances, each with
//!   an id under which the older interface lists what came in and went out.
//! * Fills come for the whole account, newest first. `trade_id` repeats where an
//!   execution is reversed or corrected; `entry_id` does not.

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

use zeroize::Zeroizing;

pub use auth::token;
pub use errors::classify;

use crate::error::{Answer, ExchangeError};
use crate::fact::{Fact, Identity, IdentityKind, Page};
use crate::json::{self, malformed};
use crate::query::{Cursor, Query};
use crate::{
    Connector, Context, Credentials, Market, Method, Nonce, Reply, Request, UnixMillis, Venue,
    Weight,
};

/// The connector for Coinbase's spot market.
#[derive(Clone, Copy, Debug)]
pub struct Coinbase;

const API: &str = "api.coinbase.com";

impl Connector for Coinbase {
    fn venue(&self) -> Venue {
        Venue::Coinbase
    }

    fn market(&self) -> Market {
        Market::Spot
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

    /// Public queries only: a token cannot be made without a nonce.
    fn request(
        &self,
        query: &Query,
        _: Option<&Credentials<'_>>,
        at: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        if query.is_private() {
            return Err(ExchangeError::InvalidQuery { field: "nonce" });
        }
        Ok(routes::route(query, at)?.unsigned())
    }

    fn request_with(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
        nonce: &Nonce,
    ) -> Result<Request, ExchangeError> {
        if !query.is_private() {
            return self.request(query, credentials, at);
        }
        let route = routes::route(query, at)?;
        let credentials = credentials.ok_or(ExchangeError::InvalidCredentials)?;
        let token = token(credentials, Method::Get, API, route.path(), at, nonce)?;
        let bearer = Zeroizing::new(["Bearer ", token.as_str()].concat());
        Ok(route.unsigned().with_header("Authorization", bearer))
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
        let document = json::document(reply.body)?;
        match query {
            Query::ServerTime => {
                books::server_time(document).map(|time| Page::one(Fact::ServerTime(time)))
            }
            Query::Instruments => books::instruments(document).map(Page::last),
            Query::Prices { .. } => books::prices(document, context).map(Page::last),
            Query::Ticker { symbol } => books::ticker(document, symbol, context).map(Page::last),
            Query::Candles { .. } => books::candles(document).map(Page::last),
            Query::Permissions => {
                permissions::read(document).map(|found| Page::one(Fact::Permissions(found)))
            }
            // A key sees one portfolio and not whose it is.
            Query::AccountIdentity => {
                let value = document.object("body")?.text("portfolio_uuid")?;
                Ok(Page::one(Fact::Identity(Identity { kind: IdentityKind::PortfolioUuid, value })))
            }
            Query::Balances { cursor } => {
                let (facts, next) = balances::page(document)?;
                let next = moved(next, cursor.as_ref(), "cursor")?;
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            Query::AccountFills { cursor, .. } => {
                let (facts, next) = fills::page(document, context)?;
                let next = moved(next, cursor.as_ref(), "cursor")?;
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            Query::Transfers { window, cursor, .. } => {
                let (facts, next) = transfers::page(document, window.start)?;
                let next = moved(next, cursor.as_ref(), "next_uri")?;
                Ok(Page::new(facts, next.map(|place| query.at(place))))
            }
            _ => Err(ExchangeError::Unsupported),
        }
    }
}

/// The cursor of the next page; an error where it is the one just asked for.
fn moved(
    next: Option<String>,
    asked: Option<&Cursor>,
    field: &'static str,
) -> Result<Option<Cursor>, ExchangeError> {
    match (next, asked) {
        (Some(next), Some(asked)) if next == asked.as_str() => Err(malformed(field)),
        (next, _) => next.map(|next| next.parse()).transpose(),
    }
}
