//! Exchange connectors: build a request, read a reply, nothing else.
//!
//! A connector is two pure functions and a host list. [`Connector::request`]
//! turns a [`Query`] into a signed [`Request`]; [`Connector::read`] turns the
//! reply's bytes into [`Fact`]s. The poller owns I/O, retries, rate limits,
//! clock offsets and circuit breakers, once, for all exchanges.
//!
//! # What this crate refuses to do
//!
//! * It opens no socket, reads no clock, sleeps never and keeps no state.
//! * It holds no order, withdrawal or transfer request: no [`Query`] can
//!   express one, so no bug can send one.
//! * No amount passes through a binary float ([`decimal`]).
//! * A failed, truncated or odd reply is an [`ExchangeError`] that names a
//!   field. It is never an empty page, and never a panic: indexing and
//!   unchecked arithmetic do not compile here.
//! * No error, and no `Debug` output, carries a URL, a body or a credential.
//!
//! # Map
//!
//! | module | holds |
//! | --- | --- |
//! | [`query`] | what can be asked |
//! | [`request`] | what goes out, wiped when dropped; the reply's parts |
//! | [`credentials`] | borrowed credentials and the keys made from them |
//! | [`fact`] | what an exchange can tell us |
//! | [`context`] | instruments and assets known so far |
//! | [`permissions`] | the read-only check and its proof |
//! | [`error`] | kinds of failure, who must act, when to ask again |
//! | [`limits`] | every bound, with its reason |
//! | [`decimal`], [`times`] | the readers that all amounts and times pass |
//! | [`binance`], [`coinbase`], [`kraken`], [`kraken_futures`], [`okx`], [`bybit`] | the exchanges |
//! | [`ftx`] | an exchange that closed: archived replies only |
//! | [`bitget`], [`kucoin`], [`gate`] | signing alone |

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![warn(missing_docs)]

pub mod binance;
pub mod bitget;
mod bounds;
pub mod bybit;
mod candles;
pub mod coinbase;
pub mod context;
pub mod credentials;
pub mod decimal;
mod edge;
pub mod error;
pub mod fact;
pub mod ftx;
pub mod gate;
mod json;
pub mod kraken;
pub mod kraken_futures;
pub mod kucoin;
pub mod limits;
pub mod okx;
pub mod permissions;
pub mod query;
pub mod request;
mod route;
mod sign;
pub mod times;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use context::Context;
pub use credentials::Credentials;
pub use error::{Answer, ExchangeError, Kind, Reach, Retry};
pub use fact::{
    AccountLogEntry, AccountValuation, AmountUnit, Balance, BookingClass, Candle, Collateral,
    CollateralPool, Fact, Fill, FuturesBalance, Identity, IdentityKind, Income, IncomeType,
    Instrument, InstrumentKind, LedgerEntry, Liquidity, Money, Page, Position, PositionSide, Price,
    Side, SystemStatus, Ticker, Transfer, TransferKind, TransferStatus, Wallet,
};
pub use permissions::{KeyRefused, Permissions, Proof, ReadOnlyKey};
pub use protocol::time::UnixMillis;
pub use query::{Cursor, FillsFrom, Interval, Query, Window};
pub use request::{Method, Nonce, Reply, Request};
pub use sign::{Scheme, SignedHeaders};

/// An exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Venue {
    /// Binance (binance.com; binance.us is another exchange).
    Binance,
    /// Coinbase Advanced Trade.
    Coinbase,
    /// Kraken: spot and margin.
    Kraken,
    /// Kraken Futures: keys and accounts of its own.
    KrakenFutures,
    /// FTX, closed in November 2022.
    Ftx,
    /// OKX.
    Okx,
    /// Bybit.
    Bybit,
}

impl Venue {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Binance,
        Self::Coinbase,
        Self::Kraken,
        Self::KrakenFutures,
        Self::Ftx,
        Self::Okx,
        Self::Bybit,
    ];

    /// The word used in session requests, reports and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
            Self::KrakenFutures => "krakenfutures",
            Self::Ftx => "ftx",
            Self::Okx => "okx",
            Self::Bybit => "bybit",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Venue {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|venue| venue.name() == name).ok_or(UnknownName("exchange"))
    }
}

/// A part of an exchange with accounts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Market {
    /// Spot wallet and its trades.
    Spot,
    /// Cross margin: one collateral pool.
    MarginCross,
    /// Isolated margin: a pool for each pair.
    MarginIsolated,
    /// Futures settled in stablecoins (Binance USDⓈ-M).
    UsdM,
    /// Futures settled in the coin (Binance COIN-M).
    CoinM,
    /// Futures of every kind in one account (Kraken Futures).
    Futures,
    /// Spot and derivatives in one account (OKX, Bybit).
    Unified,
}

impl Market {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Spot,
        Self::MarginCross,
        Self::MarginIsolated,
        Self::UsdM,
        Self::CoinM,
        Self::Futures,
        Self::Unified,
    ];

    /// The word used in session requests, reports and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::MarginCross => "margin_cross",
            Self::MarginIsolated => "margin_isolated",
            Self::UsdM => "usdm",
            Self::CoinM => "coinm",
            Self::Futures => "futures",
            Self::Unified => "unified",
        }
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Market {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|market| market.name() == name).ok_or(UnknownName("market"))
    }
}

/// A word that names no exchange or no market we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {0}")]
pub struct UnknownName(&'static str);

/// Whom an exchange counts a request against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The source address: all customers behind one egress share it.
    Address,
    /// The exchange account the key belongs to.
    Account,
}

/// One of an exchange's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bucket {
    /// Names the counter, for metrics and as a map key.
    pub name: &'static str,
    /// Whom it counts.
    pub scope: Scope,
    /// How much weight the exchange allows in a minute.
    pub per_minute: u32,
    /// How much may come at once where the counter runs down all the time;
    /// `None` where it starts anew each minute.
    pub at_once: Option<u32>,
}

impl Bucket {
    /// A counter that starts anew each minute.
    pub const fn fixed(name: &'static str, scope: Scope, per_minute: u32) -> Self {
        Self { name, scope, per_minute, at_once: None }
    }

    /// A counter that holds `at_once` and runs down by `per_minute`.
    pub const fn leaky(name: &'static str, scope: Scope, at_once: u32, per_minute: u32) -> Self {
        Self { name, scope, per_minute, at_once: Some(at_once) }
    }
}

/// What a query costs and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The counter that is charged.
    pub bucket: Bucket,
    /// How much is charged for one request.
    pub cost: u32,
}

/// A host that some connector talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host {
    /// DNS name; also the name in TLS.
    pub name: &'static str,
    /// TCP port.
    pub port: u16,
}

/// One market of one exchange.
///
/// Both halves are pure: the same arguments give the same result, but for the
/// random part of an ECDSA signature, which AWS-LC draws by itself.
pub trait Connector: Send + Sync + fmt::Debug {
    /// The exchange.
    fn venue(&self) -> Venue;

    /// The part of it.
    fn market(&self) -> Market;

    /// Hosts this connector may reach, all on port 443; the egress allow-list
    /// is their union.
    fn hosts(&self) -> &'static [&'static str];

    /// Which of the hosts is asked `query`.
    fn host(&self, query: &Query) -> &'static str {
        let _ = query;
        self.hosts().first().copied().unwrap_or_default()
    }

    /// What `query` costs against the exchange's rate limits.
    fn weight(&self, query: &Query) -> Weight;

    /// The longest window the exchange accepts for `query`; `None` if the
    /// query has no window.
    fn window_max(&self, query: &Query) -> Option<Duration>;

    /// How many bytes of a reply to `query` are worth reading. A longer body
    /// must be given up by the reader of the socket.
    fn reply_len_max(&self, query: &Query) -> usize {
        if matches!(query, Query::Instruments) {
            limits::INSTRUMENTS_REPLY_LEN_MAX
        } else {
            limits::REPLY_LEN_MAX
        }
    }

    /// Whether the exchange counts requests: then each private request of one
    /// key needs an `at` later than all before it, by at least a millisecond
    /// and across restarts, and they must arrive in that order.
    fn counts_requests(&self) -> bool {
        false
    }

    /// Builds the request and, if the query is private, signs it.
    ///
    /// `at` is the exchange's time: the caller's clock plus the offset it
    /// measured. Errors: [`ExchangeError::Unsupported`] if this connector does
    /// not know the query, [`ExchangeError::InvalidQuery`] if a window or limit
    /// is out of range, [`ExchangeError::InvalidCredentials`] if the
    /// credentials are missing or cannot be a key of this exchange.
    fn request(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
    ) -> Result<Request, ExchangeError>;

    /// As [`request`](Self::request), for exchanges whose tokens carry a number
    /// that is used once; the others ignore it. The poller asks through here.
    fn request_with(
        &self,
        query: &Query,
        credentials: Option<&Credentials<'_>>,
        at: UnixMillis,
        _: &Nonce,
    ) -> Result<Request, ExchangeError> {
        self.request(query, credentials, at)
    }

    /// What a reply to `query` means that is not a success; `None` if it reads
    /// like one: then it must still be read.
    fn refusal(&self, query: &Query, reply: &Reply<'_>) -> Option<Answer>;

    /// Reads the reply to `query`.
    ///
    /// A page with `next` is incomplete: what it says is true, but progress
    /// marks may advance only when the last page was read.
    fn read(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError> {
        if reply.body.len() > self.reply_len_max(query) {
            return Err(ExchangeError::TooLong { field: "body" });
        }
        match self.refusal(query, &reply) {
            Some(answer) => Err(ExchangeError::Answered(answer)),
            None => self.page(query, reply, context),
        }
    }

    /// The second half of [`read`](Self::read), which is what callers use: the
    /// reply is bounded and no refusal.
    fn page(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError>;
}

/// The connector for a market; `None` if there is none. FTX answers
/// [`Kind::Gone`] to every query.
pub fn connector(venue: Venue, market: Market) -> Option<&'static dyn Connector> {
    CONNECTORS
        .into_iter()
        .find(|connector| connector.venue() == venue && connector.market() == market)
}

/// Every host that is polled, without repetition.
pub fn hosts() -> Vec<Host> {
    let mut hosts: Vec<Host> = CONNECTORS
        .into_iter()
        .filter(|connector| POLLED.contains(&connector.venue()))
        .flat_map(Connector::hosts)
        .map(|name| Host { name, port: 443 })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

static CONNECTORS: [&dyn Connector; 9] = [
    &binance::Binance::new(Market::Spot),
    &binance::Binance::new(Market::UsdM),
    &binance::Binance::new(Market::CoinM),
    &kraken::Kraken,
    &kraken_futures::KrakenFutures,
    &coinbase::Coinbase,
    &okx::Okx,
    &bybit::Bybit,
    &ftx::Ftx,
];

/// Exchanges that the poller asks. The hosts of the others stay off every list
/// of hosts: nothing is let out that nothing asks for.
const POLLED: [Venue; 5] =
    [Venue::Binance, Venue::Bybit, Venue::Coinbase, Venue::Kraken, Venue::KrakenFutures];
