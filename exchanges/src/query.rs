//! What can be asked of an exchange.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::fact::TransferKind;
use crate::{ExchangeError, UnixMillis, limits};

/// One question. Nothing in here can trade, withdraw or transfer.
///
/// `symbol` is always the exchange's own name of a pair (`BTCUSDT`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The exchange's clock: one [`Fact::ServerTime`](crate::Fact::ServerTime).
    ServerTime,
    /// Whether it is open: one [`Fact::SystemStatus`](crate::Fact::SystemStatus).
    SystemStatus,
    /// All pairs: [`Fact::Instrument`](crate::Fact::Instrument).
    Instruments,
    /// Last prices: [`Fact::Price`](crate::Fact::Price).
    Prices {
        /// The pairs to price; all of them if empty.
        symbols: Vec<String>,
    },
    /// Last, bid and ask: [`Fact::Ticker`](crate::Fact::Ticker).
    Ticker {
        /// The pair; all of them if empty, where the exchange has one list.
        symbol: String,
    },
    /// Bars, ascending: [`Fact::Candle`](crate::Fact::Candle).
    Candles {
        /// The pair.
        symbol: String,
        /// Length of a bar.
        interval: Interval,
        /// Bars that open inside; the latest ones if absent.
        window: Option<Window>,
        /// Bars in one reply.
        limit: u16,
    },
    /// What the key may do: one [`Fact::Permissions`](crate::Fact::Permissions).
    Permissions,
    /// Who the account is: one [`Fact::Identity`](crate::Fact::Identity).
    AccountIdentity,
    /// All non-zero balances: [`Fact::Balance`](crate::Fact::Balance). An
    /// absent asset is zero. [`Fact::Identity`](crate::Fact::Identity) comes
    /// along where the same reply holds it.
    Balances {
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
    },
    /// What the whole account is worth in its own reckoning: one
    /// [`Fact::AccountValuation`](crate::Fact::AccountValuation).
    AccountValuation,
    /// Executions of all pairs, where an exchange lists them without naming a
    /// pair: [`Fact::Fill`](crate::Fact::Fill).
    ///
    /// Pages may be newest first, and rows beyond the window may come along:
    /// the window says when to stop.
    AccountFills {
        /// When.
        window: Window,
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
        /// Rows in one reply, where the exchange lets one choose.
        limit: u16,
    },
    /// Every booking of an account, where an exchange keeps such a book:
    /// [`Fact::LedgerEntry`](crate::Fact::LedgerEntry) or
    /// [`Fact::AccountLogEntry`](crate::Fact::AccountLogEntry).
    Ledger {
        /// When.
        window: Window,
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
    },
    /// Deposits and withdrawals in one list:
    /// [`Fact::Transfer`](crate::Fact::Transfer).
    Transfers {
        /// The exchange's id of the wallet whose list it is, where each has
        /// one.
        account: Option<String>,
        /// When.
        window: Window,
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
    },
    /// Executions: [`Fact::Fill`](crate::Fact::Fill).
    Fills {
        /// The pair.
        symbol: String,
        /// Where to begin.
        from: FillsFrom,
        /// Rows in one reply.
        limit: u16,
    },
    /// Deposits by the time they were first seen:
    /// [`Fact::Transfer`](crate::Fact::Transfer).
    Deposits {
        /// When.
        window: Window,
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
    },
    /// Withdrawals by the time they were asked for:
    /// [`Fact::Transfer`](crate::Fact::Transfer).
    Withdrawals {
        /// When.
        window: Window,
        /// Where to go on; the beginning if absent.
        cursor: Option<Cursor>,
    },
    /// Bank transfers and card payments:
    /// [`Fact::Transfer`](crate::Fact::Transfer).
    FiatOrders {
        /// Deposits or withdrawals; the reply does not say.
        kind: TransferKind,
        /// When.
        window: Window,
        /// Page, from 1.
        page: u32,
    },
    /// Collateral of a futures account:
    /// [`Fact::FuturesBalance`](crate::Fact::FuturesBalance).
    FuturesBalances,
    /// Open positions: [`Fact::Position`](crate::Fact::Position).
    Positions,
    /// Funding, fees and profit of a futures account:
    /// [`Fact::Income`](crate::Fact::Income).
    Income {
        /// Rows at or after this time; the exchange's default if absent.
        start: Option<UnixMillis>,
        /// Rows at or before this time.
        end: Option<UnixMillis>,
        /// Page, from 1; beyond 1 only where one instant fills a page.
        page: u32,
        /// Rows in one reply.
        limit: u16,
    },
}

impl Query {
    /// Fills with ids at or above `id`: the incremental poll.
    pub fn fills_from(symbol: impl Into<String>, id: u64) -> Self {
        Self::Fills { symbol: symbol.into(), from: FillsFrom::Id(id), limit: FILLS_PAGE }
    }

    /// Fills inside `window`: the first backfill.
    pub fn fills_in(symbol: impl Into<String>, window: Window) -> Self {
        Self::Fills { symbol: symbol.into(), from: FillsFrom::Window(window), limit: FILLS_PAGE }
    }

    /// Deposits inside `window`.
    pub const fn deposits(window: Window) -> Self {
        Self::Deposits { window, cursor: None }
    }

    /// Withdrawals inside `window`.
    pub const fn withdrawals(window: Window) -> Self {
        Self::Withdrawals { window, cursor: None }
    }

    /// All balances, from the first page.
    pub const fn balances() -> Self {
        Self::Balances { cursor: None }
    }

    /// Fills of all pairs inside `window`, in pages of `limit`.
    pub const fn account_fills(window: Window, limit: u16) -> Self {
        Self::AccountFills { window, cursor: None, limit }
    }

    /// Bookings inside `window`.
    pub const fn ledger(window: Window) -> Self {
        Self::Ledger { window, cursor: None }
    }

    /// Deposits and withdrawals of `account` inside `window`.
    pub const fn transfers(account: Option<String>, window: Window) -> Self {
        Self::Transfers { account, window, cursor: None }
    }

    /// Bank transfers and card payments inside `window`.
    pub const fn fiat_orders(kind: TransferKind, window: Window) -> Self {
        Self::FiatOrders { kind, window, page: 1 }
    }

    /// The same question, from another place in its list. Questions without
    /// such a place stay as they are.
    #[must_use]
    pub(crate) fn at(&self, place: Cursor) -> Self {
        let mut question = self.clone();
        if let Self::Balances { cursor }
        | Self::AccountFills { cursor, .. }
        | Self::Ledger { cursor, .. }
        | Self::Transfers { cursor, .. }
        | Self::Deposits { cursor, .. }
        | Self::Withdrawals { cursor, .. } = &mut question
        {
            *cursor = Some(place);
        }
        question
    }

    /// Whether the request must be signed.
    pub const fn is_private(&self) -> bool {
        match self {
            Self::ServerTime
            | Self::SystemStatus
            | Self::Instruments
            | Self::Prices { .. }
            | Self::Ticker { .. }
            | Self::Candles { .. } => false,
            Self::Permissions
            | Self::AccountIdentity
            | Self::Balances { .. }
            | Self::AccountValuation
            | Self::AccountFills { .. }
            | Self::Ledger { .. }
            | Self::Transfers { .. }
            | Self::Fills { .. }
            | Self::Deposits { .. }
            | Self::Withdrawals { .. }
            | Self::FiatOrders { .. }
            | Self::FuturesBalances
            | Self::Positions
            | Self::Income { .. } => true,
        }
    }

    /// A word for logs and metric labels; says nothing about the customer.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ServerTime => "server_time",
            Self::SystemStatus => "system_status",
            Self::Instruments => "instruments",
            Self::Prices { .. } => "prices",
            Self::Ticker { .. } => "ticker",
            Self::Candles { .. } => "candles",
            Self::Permissions => "permissions",
            Self::AccountIdentity => "account_identity",
            Self::Balances { .. } => "balances",
            Self::AccountValuation => "account_valuation",
            Self::AccountFills { .. } => "account_fills",
            Self::Ledger { .. } => "ledger",
            Self::Transfers { .. } => "transfers",
            Self::Fills { .. } => "fills",
            Self::Deposits { .. } => "deposits",
            Self::Withdrawals { .. } => "withdrawals",
            Self::FiatOrders { .. } => "fiat_orders",
            Self::FuturesBalances => "futures_balances",
            Self::Positions => "positions",
            Self::Income { .. } => "income",
        }
    }
}

/// A place in a list: a connector's own paging state, opaque to everyone else.
///
/// `Debug` does not show it: it may hold an id of the customer's.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Box<str>);

impl Cursor {
    /// Its text, to be kept and read back with [`FromStr`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number of rows already read.
    pub(crate) fn offset(rows: u32) -> Self {
        Self(rows.to_string().into())
    }

    /// The number of an offset.
    pub(crate) fn to_offset(&self) -> Result<u32, ExchangeError> {
        self.0.parse().map_err(|_| ExchangeError::InvalidQuery { field: "cursor" })
    }
}

impl FromStr for Cursor {
    type Err = ExchangeError;

    /// Takes what a reply may name as a place: not empty, at most
    /// [`limits::CURSOR_LEN_MAX`] bytes, no control characters.
    fn from_str(text: &str) -> Result<Self, ExchangeError> {
        if text.len() > limits::CURSOR_LEN_MAX {
            return Err(ExchangeError::TooLong { field: "cursor" });
        }
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(ExchangeError::Malformed { field: "cursor" });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

/// Where a list of fills begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillsFrom {
    /// At this id. Ids of one pair ascend, with gaps: poll with the last one
    /// plus one.
    Id(u64),
    /// Inside a window. A full page goes on by id, up to the present: what
    /// comes after the window then comes with it.
    Window(Window),
}

/// From `start` to `end`, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First millisecond.
    pub start: UnixMillis,
    /// Last millisecond.
    pub end: UnixMillis,
}

impl Window {
    /// A window; empty if `end` lies before `start`, which every connector
    /// refuses.
    pub const fn new(start: UnixMillis, end: UnixMillis) -> Self {
        Self { start, end }
    }

    /// From the first to the last millisecond.
    pub const fn duration(self) -> Option<Duration> {
        match self.end.0.checked_sub(self.start.0) {
            Some(millis) => Some(Duration::from_millis(millis)),
            None => None,
        }
    }

    /// The windows of at most `max` that cover this one without overlap, in
    /// order.
    pub fn split(self, max: Duration) -> impl Iterator<Item = Self> {
        let step = u64::try_from(max.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut next = Some(self.start.0);
        std::iter::from_fn(move || {
            let start = next.filter(|&start| start <= self.end.0)?;
            let after = start.checked_add(step);
            let last = after.map_or(self.end.0, |after| after.saturating_sub(1).min(self.end.0));
            next = last.checked_add(1);
            Some(Self::new(UnixMillis(start), UnixMillis(last)))
        })
    }
}

/// Length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// One minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    Hour,
    /// One day, UTC.
    Day,
    /// One week, from Monday, UTC.
    Week,
}

/// The largest page of fills at Binance.
const FILLS_PAGE: u16 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(start: u64, end: u64, max: u64) -> Vec<(u64, u64)> {
        Window::new(UnixMillis(start), UnixMillis(end))
            .split(Duration::from_millis(max))
            .map(|window| (window.start.0, window.end.0))
            .collect()
    }

    #[test]
    fn split_windows_touch_and_do_not_overlap() {
        assert_eq!(windows(0, 9, 4), [(0, 3), (4, 7), (8, 9)]);
        assert_eq!(windows(5, 5, 4), [(5, 5)]);
        assert_eq!(windows(0, 7, 4), [(0, 3), (4, 7)]);
    }

    #[test]
    fn a_cursor_keeps_its_text_and_does_not_show_it() {
        let cursor: Cursor = "canary".parse().unwrap();
        assert_eq!(cursor.as_str(), "canary");
        let query = Query::Balances { cursor: Some(cursor) };
        assert!(!format!("{query:?}").contains("canary"));
        assert!("x".repeat(limits::CURSOR_LEN_MAX).parse::<Cursor>().is_ok());
        for text in ["", "a\nb", &"x".repeat(limits::CURSOR_LEN_MAX + 1)] {
            assert!(text.parse::<Cursor>().is_err());
        }
        assert_eq!(Cursor::offset(50).to_offset(), Ok(50));
        assert!("-1".parse::<Cursor>().unwrap().to_offset().is_err());
    }

    #[test]
    fn an_empty_window_splits_into_nothing() {
        assert_eq!(windows(6, 5, 4), []);
    }

    #[test]
    fn splitting_ends_at_the_last_representable_instant() {
        assert_eq!(
            windows(u64::MAX - 1, u64::MAX, 1),
            [(u64::MAX - 1, u64::MAX - 1), (u64::MAX, u64::MAX)]
        );
        assert_eq!(windows(0, u64::MAX, u64::MAX), [(0, u64::MAX - 1), (u64::MAX, u64::MAX)]);
    }
}
