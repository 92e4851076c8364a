//! Kraken: spot and margin.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * Private reads are signed forms with a nonce that must rise for each key,
//!   for ever ([`Connector::counts_requests`]). It is made from the time.
//! * Errors come with the status 200.
//! * Trades and bookings of all pairs come in one list, newest first. Trades
//!   made in the app ("buy crypto") are only in the ledger.
//! * Prices of a few pairs of fiat money and stablecoins are read without
//!   knowing the instruments: they are the reference for rates that other
//!   exchanges do not list.

mod assets;
mod auth;
mod balances;
mod books;
mod errors;
mod history;
mod permissions;
mod routes;
mod transfers;

use std::time::Duration;

use zeroize::Zeroizing;

pub use auth::{FORM, Signed, sign};
pub use errors::classify;

use crate::error::{Answer, ExchangeError};
use crate::fact::{Fact, Identity, IdentityKind, Page, TransferKind};
use crate::json;
use crate::query::Query;
use crate::{Connector, Context, Credentials, Market, Reply, Request, UnixMillis, Venue, Weight};

/// The connector.
#[derive(Clone, Copy, Debug)]
pub struct Kraken;

const API: &str = "api.kraken.com";

/// Kraken's documentation demands one.
const USER_AGENT: &str = concat!("performance-aggregator/", env!("CARGO_PKG_VERSION"));

impl Connector for Kraken {
    fn venue(&self) -> Venue {
        Venue::Kraken
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

    /// No list has a longest window.
    fn window_max(&self, _: &Query) -> Option<Duration> {
        None
    }

    fn counts_requests(&self) -> bool {
        true
    }

    fn request(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        let route = routes::route(query)?;
        let request = if query.is_private() {
            let credentials = credentials.ok_or(ExchangeError::InvalidCredentials)?;
            auth::request(&route, credentials, at)?
        } else {
            route.unsigned()
        };
        Ok(request.with_header("User-Agent", Zeroizing::new(USER_AGENT.to_owned())))
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
        body.list("error")?;
        let result = body.need("result")?;
        let fields = || result.object("result");
        let next = |place| query.at(place);
        match query {
            Query::ServerTime => Ok(Page::one(Fact::ServerTime(fields()?.time("unixtime")?))),
            Query::SystemStatus => {
                books::system_status(&fields()?).map(|found| Page::one(Fact::SystemStatus(found)))
            }
            Query::Instruments => books::instruments(&fields()?, context).map(Page::last),
            Query::Prices { .. } => books::prices(&fields()?, context).map(Page::last),
            Query::Ticker { .. } => books::tickers(&fields()?, context).map(Page::last),
            Query::Candles { .. } => books::candles(&fields()?),
            Query::Permissions => Ok(Page::one(Fact::Permissions(permissions::read(&fields()?)))),
            Query::AccountIdentity => {
                // The number that Kraken gives an account for transfers.
                let value = fields()?.text("iban")?;
                Ok(Page::one(Fact::Identity(Identity { kind: IdentityKind::Uid, value })))
            }
            Query::Balances { .. } => balances::balances(&fields()?, context).map(Page::last),
            Query::AccountValuation => balances::valuation(&fields()?)
                .map(|found| Page::one(Fact::AccountValuation(found))),
            Query::Positions => balances::positions(&fields()?, context).map(Page::last),
            Query::AccountFills { cursor, .. } => {
                history::fills(&fields()?, context, cursor.as_ref(), next)
            }
            Query::Ledger { cursor, .. } => {
                history::ledger(&fields()?, context, cursor.as_ref(), next)
            }
            Query::Deposits { cursor, .. } => {
                transfers::page(result, TransferKind::Deposit, context, cursor.as_ref(), next)
            }
            Query::Withdrawals { cursor, .. } => {
                transfers::page(result, TransferKind::Withdrawal, context, cursor.as_ref(), next)
            }
            Query::Fills { .. }
            | Query::Transfers { .. }
            | Query::FiatOrders { .. }
            | Query::FuturesBalances
            | Query::Income { .. } => Err(ExchangeError::Unsupported),
        }
    }
}
