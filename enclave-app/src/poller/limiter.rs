//! Weighted limits of the exchanges, kept below what they allow.
//!
//! Exchanges count in fixed minutes, and a fixed minute can hold the end of one burst and all of
//! the next. So three fifths of an allowance may come at once and two fifths flow back in a
//! minute: no minute, wherever it begins, sees more than the whole.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exchanges::{Bucket, Scope, Weight};
use governor::clock::{Clock as GovernorClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::Clock;

/// Counters kept at once: a handful an exchange, and a few for each account.
const COUNTERS_MAX: usize = 65_536;

type Limiter = RateLimiter<NotKeyed, InMemoryState, WallClock, NoOpMiddleware<Millis>>;

/// Every counter of every exchange that this egress address is known by.
#[derive(Debug)]
pub(super) struct Limits {
    clock: WallClock,
    counters: Mutex<HashMap<(&'static str, Option<u64>), Arc<Limiter>>>,
}

/// There is no room for this request before the caller's patience ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// How long until there is; `None` if one request is more than a minute's allowance.
    pub(super) wait: Option<Duration>,
}

impl Limits {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock: WallClock(clock), counters: Mutex::default() }
    }

    /// Charges `weight` for `account`, or says how long there is no room.
    pub(super) fn charge(&self, weight: Weight, account: u64) -> Result<(), OverLimit> {
        let Some(cost) = NonZeroU32::new(weight.cost) else { return Ok(()) };
        match self.counter(weight.bucket, account).check_n(cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let now = GovernorClock::now(&self.clock);
                Err(OverLimit { wait: Some(not_until.wait_time_from(now)) })
            }
            Err(_) => Err(OverLimit { wait: None }),
        }
    }

    fn counter(&self, bucket: Bucket, account: u64) -> Arc<Limiter> {
        let key = match bucket.scope {
            Scope::Address => (bucket.name, None),
            Scope::Account => (bucket.name, Some(account)),
        };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= COUNTERS_MAX {
            // Accounts of sessions long gone; the shared counters must stay.
            counters.retain(|(_, account), _| account.is_none());
        }
        let fresh = || {
            let fifths = |n: u32| {
                NonZeroU32::new((bucket.per_minute / 5).saturating_mul(n)).unwrap_or(NonZeroU32::MIN)
            };
            let quota = Quota::per_minute(fifths(2)).allow_burst(fifths(3));
            Arc::new(RateLimiter::direct_with_clock(quota, self.clock.clone()))
        };
        Arc::clone(counters.entry(key).or_insert_with(fresh))
    }
}

/// The enclave's wall clock, as the limiter wants it.
#[derive(Clone, Debug)]
struct WallClock(Arc<dyn Clock>);

impl GovernorClock for WallClock {
    type Instant = Millis;

    fn now(&self) -> Millis {
        Millis(self.0.now().0)
    }
}

/// Milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Millis(u64);

impl Reference for Millis {
    fn duration_since(&self, earlier: Self) -> Nanos {
        Duration::from_millis(self.0.saturating_sub(earlier.0)).into()
    }

    fn saturating_sub(&self, duration: Nanos) -> Self {
        Self(self.0.saturating_sub(duration.as_u64() / 1_000_000))
    }
}

impl std::ops::Add<Nanos> for Millis {
    type Output = Self;

    fn add(self, other: Nanos) -> Self {
        // Up, so that a wait never ends a moment too early.
        Self(self.0.saturating_add(other.as_u64().div_ceil(1_000_000)))
    }
}

#[cfg(test)]
mod tests {
    use protocol::time::UnixMillis;

    use super::*;
    use crate::clock::AnchoredClock;

    const BUCKET: Bucket = Bucket { name: "test", scope: Scope::Address, per_minute: 100 };

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_the_allowance() {
        let limits = Limits::new(Arc::new(AnchoredClock::starting_at(UnixMillis(1_000_000))));
        let mut passed = Vec::new();
        for second in 0..300_u32 {
            while limits.charge(Weight { bucket: BUCKET, cost: 5 }, 1).is_ok() {
                passed.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        for start in 0..240 {
            let inside = passed.iter().filter(|at| (start..start + 60).contains(*at)).count();
            assert!(inside * 5 <= 100, "{inside} in the minute from second {start}");
        }
        assert!(passed.len() * 5 >= 200, "{} passed", passed.len());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_have_counters_of_their_own_and_addresses_share_one() {
        let limits = Limits::new(Arc::new(AnchoredClock::starting_at(UnixMillis(1_000_000))));
        let own = Bucket { scope: Scope::Account, ..BUCKET };
        assert_eq!(limits.charge(Weight { bucket: own, cost: 60 }, 1), Ok(()));
        assert_eq!(limits.charge(Weight { bucket: own, cost: 60 }, 2), Ok(()));
        assert!(limits.charge(Weight { bucket: own, cost: 1 }, 1).is_err());
        assert_eq!(limits.charge(Weight { bucket: BUCKET, cost: 60 }, 1), Ok(()));
        assert!(limits.charge(Weight { bucket: BUCKET, cost: 1 }, 2).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_a_minute_holds_never_passes() {
        let limits = Limits::new(Arc::new(AnchoredClock::starting_at(UnixMillis(1_000_000))));
        let weight = Weight { bucket: BUCKET, cost: 61 };
        assert_eq!(limits.charge(weight, 1), Err(OverLimit { wait: None }));
    }
}
