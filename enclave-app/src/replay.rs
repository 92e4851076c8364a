//! What was used once and must not work again.
//!
//! * [`Envelopes`]: every `ephemeral_pub` that arrived in an envelope whose
//!   signature verified, kept for
//!   [`EPHEMERAL_KEPT_MS`](protocol::limits::EPHEMERAL_KEPT_MS) whatever becomes
//!   of its session. An envelope is accepted for ten minutes after its
//!   attestation, so a replay always meets either the age check or this record.
//! * [`Nonces`]: the request nonces of one session, kept as long as their
//!   timestamp would still be accepted.
//!
//! # Limits
//!
//! Both are bounded. A full record refuses what is new; it never forgets what
//! it must remember. A restart forgets both, and with them every key that an
//! old envelope or request could have been made for.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::limits::{EPHEMERAL_KEPT_MS, REQUEST_SKEW_MS_MAX};
use protocol::time::UnixMillis;

/// Why something is not fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFresh {
    /// It was used before.
    #[error("used before")]
    Used,
    /// Too much was used lately to remember more.
    #[error("too many to remember")]
    Full,
}

/// The envelopes that were used.
#[derive(Debug)]
pub struct Envelopes {
    used: Mutex<Used>,
    entries_max: usize,
}

#[derive(Debug, Default)]
struct Used {
    keys: HashSet<[u8; 32]>,
    /// In the order of arrival, which is the order of time.
    order: VecDeque<(UnixMillis, [u8; 32])>,
}

impl Envelopes {
    pub fn new(entries_max: usize) -> Self {
        Self { used: Mutex::new(Used::default()), entries_max }
    }

    /// Records the envelope of `ephemeral_pub`, which arrived at `now`.
    pub fn record(&self, ephemeral_pub: &[u8; 32], now: UnixMillis) -> Result<(), NotFresh> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if used.keys.contains(ephemeral_pub) {
            return Err(NotFresh::Used);
        }
        if used.keys.len() >= self.entries_max {
            return Err(NotFresh::Full);
        }
        used.keys.insert(*ephemeral_pub);
        used.order.push_back((now, *ephemeral_pub));
        Ok(())
    }

    /// Forgets what no longer has to be remembered.
    pub fn sweep(&self, now: UnixMillis) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).forget(now);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).keys.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Used {
    fn forget(&mut self, now: UnixMillis) {
        let kept = Duration::from_millis(EPHEMERAL_KEPT_MS);
        while let Some((at, key)) = self.order.front()
            && now.since(*at) > kept
        {
            self.keys.remove(key);
            self.order.pop_front();
        }
    }
}

/// The request nonces of one session.
#[derive(Debug)]
pub struct Nonces {
    used: HashSet<[u8; 16]>,
    /// By the last instant at which their timestamp is accepted.
    until: BTreeSet<(UnixMillis, [u8; 16])>,
    entries_max: usize,
}

impl Nonces {
    pub fn new(entries_max: usize) -> Self {
        Self { used: HashSet::new(), until: BTreeSet::new(), entries_max }
    }

    /// Records a nonce whose request says it was made at `timestamp`, which
    /// the caller has found to be within the window around `now`.
    pub fn record(
        &mut self,
        nonce: [u8; 16],
        timestamp: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), NotFresh> {
        while let Some((until, nonce)) = self.until.first()
            && *until < now
        {
            self.used.remove(nonce);
            self.until.pop_first();
        }
        if self.used.contains(&nonce) {
            return Err(NotFresh::Used);
        }
        if self.used.len() >= self.entries_max {
            return Err(NotFresh::Full);
        }
        self.used.insert(nonce);
        let until = timestamp.saturating_add(Duration::from_millis(REQUEST_SKEW_MS_MAX));
        self.until.insert((until, nonce));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: UnixMillis = UnixMillis(1_700_000_000_000);

    fn later(ms: u64) -> UnixMillis {
        UnixMillis(START.0 + ms)
    }

    #[test]
    fn an_envelope_works_once_within_its_time() {
        let record = Envelopes::new(10);
        assert_eq!(record.record(&[1; 32], START), Ok(()));
        assert_eq!(record.record(&[1; 32], START), Err(NotFresh::Used));
        assert_eq!(record.record(&[1; 32], later(EPHEMERAL_KEPT_MS)), Err(NotFresh::Used));
        assert_eq!(record.record(&[2; 32], later(EPHEMERAL_KEPT_MS)), Ok(()));
    }

    #[test]
    fn it_is_remembered_for_longer_than_any_envelope_is_accepted() {
        // Accepted: attested_at within [now - age, now + ahead]. The same
        // attested_at is last accepted at attested_at + age, and was first
        // accepted at attested_at - ahead.
        let span = protocol::limits::ATTESTED_AGE_MS_MAX + protocol::limits::ATTESTED_AHEAD_MS_MAX;
        assert!(EPHEMERAL_KEPT_MS > span);
    }

    #[test]
    fn old_envelopes_are_forgotten_and_a_full_record_refuses() {
        let record = Envelopes::new(2);
        assert_eq!(record.record(&[1; 32], START), Ok(()));
        assert_eq!(record.record(&[2; 32], later(1)), Ok(()));
        assert_eq!(record.record(&[3; 32], later(2)), Err(NotFresh::Full));
        assert_eq!(record.record(&[1; 32], later(2)), Err(NotFresh::Used));
        assert_eq!(record.record(&[3; 32], later(EPHEMERAL_KEPT_MS + 1)), Ok(()));
        record.sweep(later(EPHEMERAL_KEPT_MS + 2));
        assert_eq!(record.len(), 1);
        assert!(!record.is_empty());
    }

    #[test]
    fn a_nonce_is_remembered_while_its_timestamp_is_accepted() {
        let mut nonces = Nonces::new(10);
        let ahead = later(REQUEST_SKEW_MS_MAX);
        assert_eq!(nonces.record([1; 16], ahead, START), Ok(()));
        // Last accepted two windows later.
        let last = later(2 * REQUEST_SKEW_MS_MAX);
        assert_eq!(nonces.record([1; 16], ahead, last), Err(NotFresh::Used));
        assert_eq!(nonces.used.len(), 1);
        assert_eq!(nonces.record([2; 16], last, later(2 * REQUEST_SKEW_MS_MAX + 1)), Ok(()));
        assert_eq!(nonces.used.len(), 1, "the first is forgotten");
    }

    #[test]
    fn a_full_window_refuses_new_nonces_and_still_knows_the_old() {
        let mut nonces = Nonces::new(2);
        assert_eq!(nonces.record([1; 16], START, START), Ok(()));
        assert_eq!(nonces.record([2; 16], START, START), Ok(()));
        assert_eq!(nonces.record([3; 16], START, START), Err(NotFresh::Full));
        assert_eq!(nonces.record([2; 16], START, START), Err(NotFresh::Used));
    }

    proptest! {
        /// Whatever arrives whenever, nothing is accepted twice while a
        /// timestamp of it could still be.
        #[test]
        fn no_nonce_is_accepted_twice(
            steps in prop::collection::vec((0_u8..6, 0_u64..30_000, -60_000_i64..=60_000), 1..200)
        ) {
            let mut nonces = Nonces::new(1000);
            let mut now = START;
            let mut accepted: Vec<([u8; 16], UnixMillis)> = Vec::new();
            for (nonce, wait, skew) in steps {
                now = now.saturating_add(Duration::from_millis(wait));
                let timestamp = UnixMillis(now.0.saturating_add_signed(skew));
                let nonce = [nonce; 16];
                let must_refuse = accepted
                    .iter()
                    .any(|(n, t)| *n == nonce && t.0 + REQUEST_SKEW_MS_MAX >= now.0);
                let result = nonces.record(nonce, timestamp, now);
                prop_assert_eq!(result == Err(NotFresh::Used), must_refuse);
                if result.is_ok() {
                    accepted.push((nonce, timestamp));
                }
            }
        }
    }
}
