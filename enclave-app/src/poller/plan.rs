//! How the accounts of each market are read.

use std::time::Duration;

use exchanges::{Market, Venue};

/// Which questions a round asks of an account.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) venue: Venue,
    pub(super) market: Market,
    pub(super) holdings: Holdings,
    pub(super) fills: Fills,
    pub(super) movements: &'static [Movement],
    /// Whose prices value what is held: a perpetual's price is not its coin's.
    pub(super) prices: Market,
}

/// Where the exchange tells what an account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holdings {
    /// Balances of wallets.
    Wallets,
    /// The same, and margin positions whose profit is in no balance.
    WalletsAndPositions,
    /// Collateral and open positions.
    Futures,
    /// The same, and the profit of positions follows from the contracts' mark prices.
    FuturesAtMark,
}

/// How an exchange lists executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fills {
    /// Pair by pair: asked for what is held, was traded or is named.
    Pairs,
    /// Pair by pair, and the bookings tell which pairs were traded.
    Booked,
    /// All pairs in one list, in pages of so many rows.
    Account { page: u16 },
    /// The same, and what they cost is in the bookings.
    Charged { page: u16 },
}

/// A list of what moves holdings besides trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Movement {
    Deposits,
    Withdrawals,
    FiatDeposits,
    FiatWithdrawals,
    /// Funding, interest, transfers between own wallets.
    Bookings,
    /// Every change of a balance.
    Ledger,
    /// Deposits and withdrawals in one list.
    Transfers,
    /// Deposits and withdrawals of each wallet, by the wallet's own id.
    WalletTransfers,
    /// Between the customer's own wallets, one list for each of these ways.
    Ways(&'static [&'static str]),
}

/// How often the expensive questions are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence {
    /// At Binance one call costs a tenth of an account's minute, at Coinbase it takes one for
    /// each wallet.
    pub(super) withdrawals: Duration,
    /// Bank payments, each direction: one call costs half of an account's minute.
    pub(super) fiat: Duration,
    /// Fills of pairs where nothing suggests any.
    pub(super) quiet: Duration,
    /// Instruments, while an asset is held that they do not know.
    pub(super) unlisted: Duration,
}

impl Cadence {
    pub(super) const USUAL: Self = Self {
        withdrawals: Duration::from_hours(1),
        fiat: Duration::from_hours(6),
        quiet: Duration::from_hours(1),
        unlisted: Duration::from_hours(1),
    };
    /// Everything in every round.
    #[cfg(feature = "simulator")]
    pub(super) const ALWAYS: Self = Self {
        withdrawals: Duration::ZERO,
        fiat: Duration::ZERO,
        quiet: Duration::ZERO,
        unlisted: Duration::ZERO,
    };

    pub(super) const fn of(&self, list: Movement) -> Duration {
        match list {
            Movement::Deposits
            | Movement::Bookings
            | Movement::Ledger
            | Movement::Transfers
            | Movement::Ways(_) => Duration::ZERO,
            Movement::Withdrawals | Movement::WalletTransfers => self.withdrawals,
            Movement::FiatDeposits | Movement::FiatWithdrawals => self.fiat,
        }
    }
}

impl Plan {
    pub(super) fn of(venue: Venue, market: Market) -> Option<&'static Self> {
        PLANS.iter().find(|plan| plan.venue == venue && plan.market == market)
    }

    /// Whose prices value what is held. Kraken lists coins in one place and contracts in another.
    pub(super) fn source(&self) -> (Venue, Market) {
        let venue = if self.venue == Venue::KrakenFutures { Venue::Kraken } else { self.venue };
        (venue, self.prices)
    }
}

/// What sessions may open here.
pub(super) static PLANS: [Plan; 7] = [
    Plan {
        venue: Venue::Binance,
        market: Market::Spot,
        holdings: Holdings::Wallets,
        fills: Fills::Pairs,
        movements: &[
            Movement::Ways(&exchanges::binance::WAYS),
            Movement::Deposits,
            Movement::Withdrawals,
            Movement::FiatDeposits,
            Movement::FiatWithdrawals,
        ],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::Binance,
        market: Market::UsdM,
        holdings: Holdings::Futures,
        fills: Fills::Booked,
        movements: &[Movement::Bookings],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::Binance,
        market: Market::CoinM,
        holdings: Holdings::Futures,
        fills: Fills::Booked,
        movements: &[Movement::Bookings],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::Kraken,
        market: Market::Spot,
        holdings: Holdings::WalletsAndPositions,
        fills: Fills::Account { page: 50 },
        movements: &[Movement::Deposits, Movement::Withdrawals, Movement::Ledger],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::KrakenFutures,
        market: Market::Futures,
        holdings: Holdings::FuturesAtMark,
        fills: Fills::Charged { page: 100 },
        movements: &[Movement::Ledger],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::Coinbase,
        market: Market::Spot,
        holdings: Holdings::Wallets,
        fills: Fills::Account { page: 100 },
        movements: &[Movement::WalletTransfers],
        prices: Market::Spot,
    },
    Plan {
        venue: Venue::Bybit,
        market: Market::Unified,
        holdings: Holdings::Wallets,
        fills: Fills::Account { page: 100 },
        movements: &[Movement::Transfers],
        prices: Market::Unified,
    },
];
