//! Two readers of one account: our connectors, and ccxt, which nobody here wrote.
//!
//! Both read the exchange simulator over TLS on loopback, and what they read
//! must be equal, number by number. The simulator shares no code with the
//! connectors, and ccxt shares none with either.
//!
//! | module | |
//! |---|---|
//! | [`ours`] | a connector, driven over a socket |
//! | [`theirs`] | `read_accounts.py` in the interpreter that the scripts prepare |
//! | [`account`] | what both are brought to |
//!
//! Without the interpreter (`PA_CCXT_PYTHON` names it) the tests are skipped by name.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test harness fails by panicking"
)]

pub mod account;
pub mod ours;
pub mod theirs;

use exchange_sim::Sim;
use exchange_sim::keys::IssuedKey;
use exchanges::{Market, Venue};

/// One account, as both readers are told of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub sim: &'a Sim,
    /// Of each reader its own: exchanges count requests by key.
    pub key: &'a IssuedKey,
    pub their_key: &'a IssuedKey,
    pub venue: Venue,
    pub market: Market,
    /// Unified names, the same in ccxt and in the connectors: `BTC/USDT`.
    pub symbols: &'a [&'a str],
    /// What both are asked.
    pub questions: &'a [Question],
}

/// What both readers can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Balances,
    Trades,
    Deposits,
    Withdrawals,
    Tickers,
}

impl Question {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balances => "balances",
            Self::Trades => "trades",
            Self::Deposits => "deposits",
            Self::Withdrawals => "withdrawals",
            Self::Tickers => "tickers",
        }
    }
}
