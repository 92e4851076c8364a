//! Binance (binance.com): spot, margin and both kinds of futures.
//!
//! The sources of what is relied on here are in `docs/exchanges.md`.
//!
//! * Signed queries end in `&signature=`; what is signed is the query string
//!   exactly as it is sent, percent-encoded.
//! * `canTrade` and `canWithdraw` of the account describe the account, not the
//!   key. What a key may do comes from `apiRestrictions` alone.
//! * Trade ids ascend for each pair, with gaps. Polls go by id; windows of
//!   at most 24 hours are for the first backfill.
//! * Deposits, withdrawals and bank payments belong to the spot connector;
//!   the others leave them out, or they would count twice.

mod auth;
mod balances;
mod books;
mod errors;
mod fills;
mod income;
mod permissions;
mod routes;
mod transfers;

use std::time::Duration;

pub use auth::{Signed, sign};
pub use errors::classify;
pub use transfers::WAYS;

use crate::error::{Answer, ExchangeError};
use crate::fact::{Fact, Identity, IdentityKind, Page};
use crate::json::{self, Value};
use crate::query::Query;
use crate::{Connector, Context, Credentials, Market, Reply, Request, UnixMillis, Venue, Weight};

/// Binance's own markets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Spot,
    MarginCross,
    MarginIsolated,
    UsdM,
    CoinM,
}

/// A connector for one market of Binance. To a market that Binance does not
/// have every query is [`ExchangeError::Unsupported`].
#[derive(Clone, Copy, Debug)]
pub struct Binance {
    market: Market,
}

impl Binance {
    /// The connector for `market`.
    pub const fn new(market: Market) -> Self {
        Self { market }
    }

    const fn product(self) -> Option<Product> {
        match self.market {
            Market::Spot => Some(Product::Spot),
            Market::MarginCross => Some(Product::MarginCross),
            Market::MarginIsolated => Some(Product::MarginIsolated),
            Market::UsdM => Some(Product::UsdM),
            Market::CoinM => Some(Product::CoinM),
            Market::Futures | Market::Unified => None,
        }
    }
}

/// `api.binance.com` serves spot, margin and the wallet; the permission check
/// and the account's identity are there for every market.
const API: &str = "api.binance.com";
const FAPI: &str = "fapi.binance.com";
const DAPI: &str = "dapi.binance.com";

impl Connector for Binance {
    fn venue(&self) -> Venue {
        Venue::Binance
    }

    fn market(&self) -> Market {
        self.market
    }

    fn hosts(&self) -> &'static [&'static str] {
        match self.market {
            Market::Spot | Market::MarginCross | Market::MarginIsolated => &[API],
            Market::Futures | Market::Unified => &[],
            Market::UsdM => &[API, FAPI],
            Market::CoinM => &[API, DAPI],
        }
    }

    fn host(&self, query: &Query) -> &'static str {
        routes::host(self.product().unwrap_or(Product::Spot), query)
    }

    fn weight(&self, query: &Query) -> Weight {
        routes::weight(self.product().unwrap_or(Product::Spot), query)
    }

    fn window_max(&self, query: &Query) -> Option<Duration> {
        self.product().and_then(|product| routes::window_max(product, query))
    }

    fn request(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        let product = self.product().ok_or(ExchangeError::Unsupported)?;
        let route = routes::route(product, query)?;
        if query.is_private() {
            let credentials = credentials.ok_or(ExchangeError::InvalidCredentials)?;
            auth::request(&route, credentials, at)
        } else {
            Ok(route.unsigned())
        }
    }

    /// Maintenance is the answer to one question, not a failure of it.
    fn refusal(&self, query: &Query, reply: &Reply<'_>) -> Option<Answer> {
        let answered = *query == Query::SystemStatus && reply.status == 200;
        if answered { None } else { classify(reply) }
    }

    fn page(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError> {
        let product = self.product().ok_or(ExchangeError::Unsupported)?;
        let document = json::document(reply.body)?;
        match query {
            Query::ServerTime => {
                let time = document.object("body")?.time("serverTime")?;
                Ok(Page::one(Fact::ServerTime(time)))
            }
            Query::SystemStatus => {
                books::system_status(document).map(|status| Page::one(Fact::SystemStatus(status)))
            }
            Query::Instruments => books::instruments(product, document).map(Page::last),
            Query::Prices { .. } => books::prices(document, context).map(Page::last),
            Query::Ticker { .. } => books::tickers(document, context).map(Page::last),
            Query::Candles { .. } => books::candles(product, document).map(Page::last),
            Query::Permissions => {
                permissions::read(document).map(|found| Page::one(Fact::Permissions(found)))
            }
            Query::AccountIdentity => {
                let identity = identity(document)?.ok_or_else(|| json::malformed("uid"))?;
                Ok(Page::one(Fact::Identity(identity)))
            }
            Query::Balances { .. } => {
                let mut facts = balances::wallets(product, document, context)?;
                if product == Product::Spot {
                    facts.extend(identity(document)?.map(Fact::Identity));
                }
                Ok(Page::last(facts))
            }
            Query::Fills { symbol, from, limit } => {
                fills::page(product, document, context, symbol, *from, *limit)
            }
            Query::Deposits { window, cursor } => {
                transfers::deposits(document, *window, cursor.as_ref())
            }
            Query::Withdrawals { window, cursor } => {
                transfers::withdrawals(document, *window, cursor.as_ref())
            }
            Query::FiatOrders { kind, window, page } => {
                transfers::fiat_orders(document, *kind, *window, *page)
            }
            Query::FuturesBalances => balances::futures(product, document).map(Page::last),
            Query::Positions => balances::positions(product, document, context).map(Page::last),
            Query::Income { start, end, page, limit } => {
                let at = income::At { start: *start, end: *end, page: *page, limit: *limit };
                income::page(document, context, at)
            }
            Query::Transfers { account, window, cursor } => {
                transfers::between_wallets(document, account.as_deref(), *window, cursor.as_ref())
            }
            Query::AccountValuation | Query::AccountFills { .. } | Query::Ledger { .. } => {
                Err(ExchangeError::Unsupported)
            }
        }
    }
}

/// The account's user id, if the reply holds one.
fn identity(document: Value<'_>) -> Result<Option<Identity>, ExchangeError> {
    let uid = document.object("body")?.maybe_id("uid")?;
    Ok(uid.map(|value| Identity { kind: IdentityKind::Uid, value }))
}
