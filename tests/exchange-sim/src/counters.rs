//! Rate counters that rise with every call and run down with time.
//!
//! Real time, as for request weights: the scenario clock stands still between
//! ticks. A call that would lift a counter above its limit is refused and does
//! not count; a caller that goes on asking is locked out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// How much each counter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Kraken Spot, a key: points, and thousandths of a point it loses a second.
    pub kraken_points: u32,
    pub kraken_decay_millis: u32,
    /// Kraken Spot, an address: public calls, one of which is given back a second.
    pub kraken_public: u32,
    /// Kraken Futures, a key: cost in ten seconds.
    pub futures_cost: u32,
    /// Kraken Futures, a key: tokens of the history in ten minutes.
    pub futures_history: u32,
    /// Coinbase, a user: calls a second.
    pub coinbase_private: u32,
    /// Coinbase, an address: public calls a second.
    pub coinbase_public: u32,
    /// Coinbase, a key: calls an hour of the older interface.
    pub coinbase_wallet: u32,
    /// Bybit, a user: calls a second; an address: calls in five seconds.
    pub bybit_user: u32,
    pub bybit_address: u32,
    /// Calls refused in a row before a Kraken key is locked out, and for how many seconds.
    pub refusals_before_lockout: u32,
    pub lockout_secs: u32,
}

impl Default for Rates {
    /// The published limits; Kraken's lowest tier.
    fn default() -> Self {
        Self {
            kraken_points: 15,
            kraken_decay_millis: 330,
            kraken_public: 60,
            futures_cost: 500,
            futures_history: 100,
            coinbase_private: 30,
            coinbase_public: 10,
            coinbase_wallet: 10_000,
            bybit_user: 50,
            bybit_address: 600,
            refusals_before_lockout: 20,
            lockout_secs: 900,
        }
    }
}

/// Which counter a call is charged to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Counter {
    Kraken(String),
    KrakenPublic(IpAddr),
    Futures(String),
    FuturesHistory(String),
    Coinbase(u64),
    CoinbasePublic(IpAddr),
    CoinbaseWallet(String),
    Bybit(u64),
    BybitAddress(IpAddr),
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    Passed { limit: u32, left: u32 },
    Refused { limit: u32 },
    LockedOut,
}

#[derive(Debug)]
pub(crate) struct Counters {
    rates: Rates,
    levels: Mutex<HashMap<Counter, Level>>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    at: Instant,
    /// Thousandths.
    millis: u64,
    refusals: u32,
    locked: Option<Instant>,
}

impl Counters {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, levels: Mutex::default() }
    }

    /// Limit, and thousandths given back a second.
    fn bounds(&self, counter: &Counter) -> (u32, u64) {
        let rates = &self.rates;
        let per = |limit: u32, secs: u64| (limit, u64::from(limit) * 1000 / secs);
        match counter {
            Counter::Kraken(_) => (rates.kraken_points, u64::from(rates.kraken_decay_millis)),
            Counter::KrakenPublic(_) => (rates.kraken_public, 1000),
            Counter::Futures(_) => per(rates.futures_cost, 10),
            Counter::FuturesHistory(_) => per(rates.futures_history, 600),
            Counter::Coinbase(_) => per(rates.coinbase_private, 1),
            Counter::CoinbasePublic(_) => per(rates.coinbase_public, 1),
            Counter::CoinbaseWallet(_) => per(rates.coinbase_wallet, 3600),
            Counter::Bybit(_) => per(rates.bybit_user, 1),
            Counter::BybitAddress(_) => per(rates.bybit_address, 5),
        }
    }

    pub(crate) fn spend(&self, counter: Counter, cost: u32) -> Spent {
        let (limit, decay) = self.bounds(&counter);
        let now = Instant::now();
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= limits::METERS_MAX {
            levels.retain(|_, level| now.duration_since(level.at) < FORGOTTEN_AFTER);
        }
        let can_lock = matches!(counter, Counter::Kraken(_));
        let fresh = Level { at: now, millis: 0, refusals: 0, locked: None };
        let level = levels.entry(counter).or_insert(fresh);
        if level.locked.is_some_and(|until| now < until) {
            return Spent::LockedOut;
        }
        let elapsed = now.duration_since(level.at).as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        level.millis = level.millis.saturating_sub(elapsed.saturating_mul(decay) / 1000);
        level.at = now;
        let whole = level.millis + u64::from(cost) * 1000;
        let room = u64::from(limit) * 1000;
        if whole > room {
            level.refusals += 1;
            if can_lock && level.refusals > self.rates.refusals_before_lockout {
                let secs = u64::from(self.rates.lockout_secs);
                level.refusals = 0;
                level.locked = Some(now + Duration::from_secs(secs));
                return Spent::LockedOut;
            }
            return Spent::Refused { limit };
        }
        level.millis = whole;
        level.refusals = 0;
        let left = u32::try_from((room - whole) / 1000).unwrap_or(0);
        Spent::Passed { limit, left }
    }
}

/// Every counter but the oldest interface's has run down by then.
const FORGOTTEN_AFTER: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn key() -> Counter {
        Counter::Kraken("k".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_counter_runs_down() {
        let counters = Counters::new(Rates::default());
        for left in [13, 11, 9, 7, 5, 3, 1] {
            assert_eq!(counters.spend(key(), 2), Spent::Passed { limit: 15, left });
        }
        assert_eq!(counters.spend(key(), 2), Spent::Refused { limit: 15 });
        advance(Duration::from_secs(3)).await;
        assert_eq!(counters.spend(key(), 2), Spent::Refused { limit: 15 });
        advance(Duration::from_secs(1)).await;
        assert_eq!(counters.spend(key(), 2), Spent::Passed { limit: 15, left: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_goes_on_asking_is_locked_out() {
        let rates = Rates { refusals_before_lockout: 2, ..Rates::default() };
        let counters = Counters::new(rates);
        let spend = || counters.spend(key(), 15);
        let first: Vec<_> = (0..5).map(|_| spend()).collect();
        let refused = Spent::Refused { limit: 15 };
        let passed = Spent::Passed { limit: 15, left: 0 };
        assert_eq!(first, [passed, refused, refused, Spent::LockedOut, Spent::LockedOut]);
        advance(Duration::from_mins(14)).await;
        assert_eq!(spend(), Spent::LockedOut);
        advance(Duration::from_mins(1)).await;
        assert_eq!(spend(), passed);
    }
}
