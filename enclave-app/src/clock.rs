//! What time it is, and waiting for a time.
//!
//! Wall time is the timestamp of the security module's own document plus
//! monotonic time. The system's clock is not read: in an enclave it is the
//! parent's to set. The anchor is renewed every
//! [`ANCHOR_INTERVAL`](crate::limits::ANCHOR_INTERVAL), which also covers the
//! time a paused enclave did not see pass.
//!
//! **Invariant:** no [`Clock`] ever goes back. Where a new anchor lies behind
//! the time already shown, the clock stands still until it is caught up.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use protocol::time::UnixMillis;
use rustls::time_provider::TimeProvider;
use rustls_pki_types::UnixTime;
use tokio::time::Instant;

/// Wall time, as far as anybody in this program may know it.
#[async_trait]
pub trait Clock: Send + Sync + Debug {
    /// The time now; never earlier than what was returned before.
    fn now(&self) -> UnixMillis;

    /// Returns once [`now`](Self::now) is at `at` or past it. Cancel safe.
    async fn until(&self, at: UnixMillis);
}

/// Time from the security module, carried forward by the monotonic clock.
#[derive(Debug)]
pub struct AnchoredClock {
    state: Mutex<Anchor>,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    /// What the module's document said.
    wall: UnixMillis,
    /// When it said so.
    at: Instant,
    /// Never show less than this.
    floor: UnixMillis,
}

/// How a new anchor compares with the time shown just before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The clock was behind, or exact, and has jumped by this much.
    Forward(Duration),
    /// The clock was ahead and will stand still for this long.
    Held(Duration),
}

impl AnchoredClock {
    /// Starts at the time of a document received just now.
    pub fn starting_at(wall: UnixMillis) -> Self {
        Self { state: Mutex::new(Anchor { wall, at: Instant::now(), floor: wall }) }
    }

    /// Takes the time of a newer document over.
    pub fn anchor(&self, wall: UnixMillis) -> Drift {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = state.now();
        *state = Anchor { wall, at: Instant::now(), floor: shown };
        if wall >= shown {
            Drift::Forward(wall.since(shown))
        } else {
            Drift::Held(shown.since(wall))
        }
    }
}

impl Anchor {
    fn now(&self) -> UnixMillis {
        self.wall.saturating_add(self.at.elapsed()).max(self.floor)
    }
}

#[async_trait]
impl Clock for AnchoredClock {
    fn now(&self) -> UnixMillis {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    async fn until(&self, at: UnixMillis) {
        loop {
            let left = at.since(self.now());
            if left.is_zero() {
                return;
            }
            // A new anchor may bring `at` nearer: look again now and then.
            tokio::time::sleep(left.min(LOOK_AGAIN)).await;
        }
    }
}

/// How stale the wait for an instant may be after a new anchor. Expiry is
/// checked against [`Clock::now`] wherever it matters; this bounds the wipe.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// A clock that others set: the exchange simulator's, one for a whole run.
///
/// It stands still between two calls of [`ScenarioClock::set`].
#[cfg(feature = "simulator")]
#[derive(Debug)]
pub struct ScenarioClock {
    now: tokio::sync::watch::Sender<UnixMillis>,
    gate: Arc<tokio::sync::watch::Sender<Gate>>,
}

/// Who keeps the clock where it is. A customer is never kept waiting by another: whoever moves
/// the clock waits until all have gone, and nobody waits for whoever waits.
#[cfg(feature = "simulator")]
#[derive(Debug, Default)]
struct Gate {
    held: usize,
    moving: bool,
}

/// The clock stands still while this lives.
#[cfg(feature = "simulator")]
#[derive(Debug)]
pub struct Held(Arc<tokio::sync::watch::Sender<Gate>>);

/// Nobody holds the clock while this lives: it may be moved.
#[cfg(feature = "simulator")]
#[derive(Debug)]
pub struct Moving(Arc<tokio::sync::watch::Sender<Gate>>);

#[cfg(feature = "simulator")]
impl Drop for Held {
    fn drop(&mut self) {
        self.0.send_modify(|gate| gate.held = gate.held.saturating_sub(1));
    }
}

#[cfg(feature = "simulator")]
impl Drop for Moving {
    fn drop(&mut self) {
        self.0.send_modify(|gate| gate.moving = false);
    }
}

#[cfg(feature = "simulator")]
impl ScenarioClock {
    /// What it shows until it is first set: 2020-06-01, which lies within the
    /// validity of the simulator's certificates and before every scenario.
    pub const UNSET: UnixMillis = UnixMillis(1_590_969_600_000);

    /// A clock nobody has set yet.
    pub fn unset() -> Self {
        Self { now: tokio::sync::watch::Sender::new(Self::UNSET), gate: Arc::default() }
    }

    /// What it shows.
    pub fn seen(&self) -> UnixMillis {
        *self.now.borrow()
    }

    /// Keeps the clock where it is while the guard lives: for a customer's connection, so that
    /// reading the clock and then asking for something happens at one time.
    pub async fn hold(&self) -> Held {
        self.enter(|gate| !gate.moving, |gate| gate.held += 1).await;
        Held(Arc::clone(&self.gate))
    }

    /// Waits until nobody holds the clock; then it may be moved while the guard lives.
    pub async fn stand_still(&self) -> Moving {
        self.enter(|gate| gate.held == 0 && !gate.moving, |gate| gate.moving = true).await;
        Moving(Arc::clone(&self.gate))
    }

    /// Waits until the gate is `free` and takes it, in one step.
    async fn enter(&self, free: fn(&Gate) -> bool, take: fn(&mut Gate)) {
        let mut gate = self.gate.subscribe();
        loop {
            let taken = self.gate.send_if_modified(|gate| {
                let free = free(gate);
                if free {
                    take(gate);
                }
                free
            });
            // Fails only if the sender is gone, and `self` holds it.
            if taken || gate.wait_for(free).await.is_err() {
                return;
            }
        }
    }

    /// Moves the clock to `at`; an earlier time changes nothing.
    pub fn set(&self, at: UnixMillis) {
        self.now.send_if_modified(|now| {
            let later = at > *now;
            *now = at.max(*now);
            later
        });
    }
}

#[cfg(feature = "simulator")]
#[async_trait]
impl Clock for ScenarioClock {
    fn now(&self) -> UnixMillis {
        *self.now.borrow()
    }

    async fn until(&self, at: UnixMillis) {
        let mut now = self.now.subscribe();
        // Ends with an error only if the sender is gone, and `self` holds it.
        while now.wait_for(|now| *now >= at).await.is_err() {}
    }
}

/// The machine's own clock, which the simulated security module tells as its
/// own: on a developer's machine there is no other.
#[cfg(feature = "simulator")]
#[derive(Clone, Copy, Debug)]
pub struct HostClock;

#[cfg(feature = "simulator")]
#[async_trait]
impl Clock for HostClock {
    #[expect(clippy::disallowed_methods, reason = "simulator builds alone have this clock")]
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis::default().saturating_add(since.unwrap_or_default())
    }

    async fn until(&self, at: UnixMillis) {
        while self.now() < at {
            tokio::time::sleep(at.since(self.now()).min(LOOK_AGAIN)).await;
        }
    }
}

/// The same time for certificate validity in TLS.
#[derive(Clone, Debug)]
pub struct TlsTime(pub Arc<dyn Clock>);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    #[tokio::test(start_paused = true)]
    async fn wall_time_is_the_anchor_plus_monotonic_time() {
        let clock = AnchoredClock::starting_at(START);
        assert_eq!(clock.now(), START);
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now(), UnixMillis(START.0 + 1500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_anchor_moves_the_clock_forward() {
        let clock = AnchoredClock::starting_at(START);
        tokio::time::advance(Duration::from_secs(1)).await;
        let drift = clock.anchor(UnixMillis(START.0 + 60_000));
        assert_eq!(drift, Drift::Forward(Duration::from_secs(59)));
        assert_eq!(clock.now(), UnixMillis(START.0 + 60_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_anchor_holds_the_clock_until_it_is_caught_up() {
        let clock = AnchoredClock::starting_at(START);
        tokio::time::advance(Duration::from_secs(10)).await;
        let drift = clock.anchor(UnixMillis(START.0 + 7_000));
        assert_eq!(drift, Drift::Held(Duration::from_secs(3)));
        assert_eq!(clock.now(), UnixMillis(START.0 + 10_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), UnixMillis(START.0 + 10_000));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), UnixMillis(START.0 + 11_000));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_the_instant_and_a_new_anchor_brings_it_nearer() {
        let clock = Arc::new(AnchoredClock::starting_at(START));
        let at = UnixMillis(START.0 + 3_600_000);
        let before = Instant::now();
        let waiting = {
            let clock = Arc::clone(&clock);
            async move { clock.until(at).await }
        };
        let anchoring = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            clock.anchor(at);
        };
        tokio::join!(waiting, anchoring);
        assert!(clock.now() >= at);
        assert!(before.elapsed() < Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_in_the_past_is_not_waited_for() {
        let before = Instant::now();
        AnchoredClock::starting_at(START).until(UnixMillis(5)).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn tls_sees_the_same_time() {
        let tls = TlsTime(Arc::new(AnchoredClock::starting_at(START)));
        let seen = tls.current_time().map(|time| time.as_secs());
        assert_eq!(seen, Some(START.0 / 1000));
    }

    #[cfg(feature = "simulator")]
    #[tokio::test]
    async fn the_scenario_clock_wakes_waiters_and_never_goes_back() {
        let clock = Arc::new(ScenarioClock::unset());
        assert_eq!(clock.now(), ScenarioClock::UNSET);
        let waiting = async {
            clock.until(START).await;
            clock.now()
        };
        let setting = async {
            clock.set(UnixMillis(START.0 - 1));
            tokio::task::yield_now().await;
            clock.set(START);
            clock.set(UnixMillis(START.0 - 1));
        };
        let (seen, ()) = tokio::join!(waiting, setting);
        assert_eq!(seen, START);
        assert_eq!(clock.now(), START);
    }
}
