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
    minutes: u32,
    counters: Mutex<HashMap<Counted, Arc<Limiter>>>,
}

/// An exchange's counter, and whose it is where it counts by account.
type Counted = (&'static str, Option<Holder>);

/// Whose counter is charged where an exchange counts by account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// Public data.
    Nobody,
    /// A key whose account is not known yet, by a number of its own.
    Opening(u64),
    /// An account, as its exchange names it: two sessions that read it share its allowance.
    Account(Arc<str>),
}

/// There is no room for this request before the caller's patience ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OverLimit {
    /// How long until there is; `None` if one request is more than a minute's allowance.
    pub(super) wait: Option<Duration>,
}

impl Limits {
    /// `minutes` is one, but where time is a scenario's: its clock stands still for a whole
    /// round, which may then spend what it would have had until the next.
    pub(super) fn new(clock: Arc<dyn Clock>, minutes: u32) -> Self {
        Self { clock: WallClock(clock), minutes, counters: Mutex::default() }
    }

    /// Charges `weight` to `holder`, or says how long there is no room.
    pub(super) fn charge(&self, weight: Weight, holder: &Holder) -> Result<(), OverLimit> {
        let Some(cost) = NonZeroU32::new(weight.cost) else { return Ok(()) };
        match self.counter(weight.bucket, holder).check_n(cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let now = GovernorClock::now(&self.clock);
                Err(OverLimit { wait: Some(not_until.wait_time_from(now)) })
            }
            Err(_) => Err(OverLimit { wait: None }),
        }
    }

    fn counter(&self, bucket: Bucket, holder: &Holder) -> Arc<Limiter> {
        let key = match bucket.scope {
            Scope::Address => (bucket.name, None),
            Scope::Account => (bucket.name, Some(holder.clone())),
        };
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= COUNTERS_MAX {
            counters.retain(|(_, holder), _| !matches!(holder, Some(Holder::Opening(_))));
        }
        if counters.len() >= COUNTERS_MAX {
            // Accounts of sessions long gone; the shared counters must stay.
            counters.retain(|(_, holder), _| holder.is_none());
        }
        let fresh = || {
            let whole = bucket.per_minute.saturating_mul(self.minutes);
            let at_once = match (bucket.at_once, bucket.scope) {
                // What runs down all the time may be filled whenever there is room.
                (Some(most), _) => {
                    let most = most.saturating_add(
                        bucket.per_minute.saturating_mul(self.minutes.saturating_sub(1)),
                    );
                    return leaky(most, bucket.per_minute, &self.clock);
                }
                (None, Scope::Address) => whole / 2,
                (None, Scope::Account) => whole / 4 * 3,
            };
            leaky(at_once, whole.saturating_sub(at_once), &self.clock)
        };
        Arc::clone(counters.entry(key).or_insert_with(fresh))
    }
}

fn leaky(at_once: u32, a_minute: u32, clock: &WallClock) -> Arc<Limiter> {
    let [at_once, a_minute] =
        [at_once, a_minute].map(|part| NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN));
    let quota = Quota::per_minute(a_minute).allow_burst(at_once);
    Arc::new(RateLimiter::direct_with_clock(quota, clock.clone()))
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

    const BUCKET: Bucket =
        Bucket { name: "test", scope: Scope::Address, per_minute: 100, at_once: None };

    fn limits() -> Limits {
        Limits::new(Arc::new(AnchoredClock::starting_at(UnixMillis(1_000_000))), 1)
    }

    fn account(name: &str) -> Holder {
        Holder::Account(name.into())
    }

    /// What passes of `cost` each, asked for all the time, by the second.
    async fn passed(bucket: Bucket, cost: u32) -> Vec<u32> {
        let limits = limits();
        let mut passed = Vec::new();
        for second in 0..300_u32 {
            while limits.charge(Weight { bucket, cost }, &account("a")).is_ok() {
                passed.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        passed
    }

    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_the_allowance() {
        for (scope, least) in [(Scope::Address, 250), (Scope::Account, 175)] {
            let passed = passed(Bucket { scope, ..BUCKET }, 5).await;
            for start in 0..240 {
                let inside = passed.iter().filter(|at| (start..start + 60).contains(*at)).count();
                assert!(inside * 5 <= 100, "{inside} in the minute from second {start}");
            }
            assert!(passed.len() * 5 >= least, "{} passed", passed.len());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_that_is_told_is_the_wait_that_is_needed() {
        let limits = limits();
        let weight = Weight { bucket: BUCKET, cost: 30 };
        assert_eq!(limits.charge(weight, &Holder::Nobody), Ok(()));
        let Err(OverLimit { wait: Some(wait) }) = limits.charge(weight, &Holder::Nobody) else {
            panic!("60 of 50 passed");
        };
        tokio::time::advance(wait.checked_sub(Duration::from_millis(100)).unwrap()).await;
        assert!(limits.charge(weight, &Holder::Nobody).is_err());
        tokio::time::advance(Duration::from_millis(101)).await;
        assert_eq!(limits.charge(weight, &Holder::Nobody), Ok(()));
    }

    #[test]
    fn accounts_have_counters_of_their_own_and_addresses_share_one() {
        let limits = limits();
        let own = Weight { bucket: Bucket { scope: Scope::Account, ..BUCKET }, cost: 75 };
        let one = |weight: Weight| Weight { cost: 1, ..weight };
        for holder in [account("a"), account("b"), Holder::Opening(1), Holder::Opening(2)] {
            assert_eq!(limits.charge(own, &holder), Ok(()));
            assert!(limits.charge(one(own), &holder).is_err());
        }
        let shared = Weight { bucket: BUCKET, cost: 50 };
        assert_eq!(limits.charge(shared, &account("a")), Ok(()));
        assert!(limits.charge(one(shared), &account("b")).is_err());
    }

    #[test]
    fn more_than_a_minute_holds_never_passes() {
        let weight = Weight { bucket: BUCKET, cost: 51 };
        assert_eq!(limits().charge(weight, &account("a")), Err(OverLimit { wait: None }));
    }

    #[test]
    fn each_question_fits_its_allowance_and_an_account_can_ask_all_of_them_at_once() {
        use exchanges::{Market, Query, TransferKind, Venue, Window};
        let connector = exchanges::connector(Venue::Binance, Market::Spot).unwrap();
        let window = Window::new(UnixMillis(0), UnixMillis(1));
        let limits = limits();
        for query in [
            Query::withdrawals(window),
            Query::fiat_orders(TransferKind::Deposit, window),
            Query::Permissions,
            Query::balances(),
            Query::deposits(window),
        ] {
            assert_eq!(limits.charge(connector.weight(&query), &account("a")), Ok(()));
        }
    }

    #[test]
    fn a_scenarios_round_may_spend_what_its_minutes_hold() {
        let clock = Arc::new(AnchoredClock::starting_at(UnixMillis(1_000_000)));
        let limits = Limits::new(clock, 5);
        let weight = Weight { bucket: BUCKET, cost: 250 };
        assert_eq!(limits.charge(weight, &Holder::Nobody), Ok(()));
        assert!(limits.charge(Weight { cost: 1, ..weight }, &Holder::Nobody).is_err());
    }

    #[test]
    fn there_are_only_so_many_counters_and_those_of_addresses_stay() {
        let limits = limits();
        let own = Weight { bucket: Bucket { scope: Scope::Account, ..BUCKET }, cost: 1 };
        let shared = Weight { bucket: BUCKET, cost: 50 };
        assert_eq!(limits.charge(shared, &Holder::Nobody), Ok(()));
        for number in 0..=COUNTERS_MAX {
            let number = u64::try_from(number).unwrap();
            assert_eq!(limits.charge(own, &Holder::Opening(number)), Ok(()));
        }
        let kept = limits.counters.lock().unwrap().len();
        assert!(kept <= COUNTERS_MAX, "{kept}");
        assert!(limits.charge(shared, &Holder::Nobody).is_err());
    }
}
