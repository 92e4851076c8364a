//! The live sessions: found by id, bounded in number, ordered by expiry.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exchanges::Venue;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use protocol::portfolio::PortfolioId;
use protocol::session::{Identity, SessionId};
use protocol::time::UnixMillis;
use tokio::sync::Notify;

use super::channel::Channel;
use super::lifecycle::{Active, Session};
use crate::image_config::SessionLimits;
use crate::limits::{NONCES_PER_SESSION_MAX, SESSION_BURST, SESSION_REQUESTS_PER_MIN};
use crate::replay::{Nonces, NotFresh};

/// A live session with what its requests need.
#[derive(Debug)]
pub struct Live {
    pub session: Arc<Session<Active>>,
    pub channel: Channel,
    nonces: Mutex<Nonces>,
    requests: DefaultDirectRateLimiter,
    confirmed: AtomicBool,
}

impl Live {
    /// Its owner has shown to have received the answer to its opening.
    pub fn confirm(&self) {
        self.confirmed.store(true, Ordering::Relaxed);
    }

    /// Whether its owner ever spoke for it.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Records a request nonce; see [`Nonces::record`].
    pub fn record_nonce(
        &self,
        nonce: [u8; 16],
        timestamp: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), NotFresh> {
        self.nonces.lock().unwrap_or_else(PoisonError::into_inner).record(nonce, timestamp, now)
    }

    /// Whether the session may make another request now.
    pub fn may_request(&self) -> bool {
        self.requests.check().is_ok()
    }
}

/// The table. Cheap to lock: nothing in it waits.
#[derive(Debug)]
pub struct Table {
    inner: Mutex<Inner>,
    limits: SessionLimits,
    /// Told when the earliest expiry may have changed.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    live: HashMap<SessionId, Arc<Live>>,
    /// By expiry and process-wide number, which is unique.
    by_expiry: BTreeMap<(UnixMillis, u64), SessionId>,
    /// Live and reserved places of each portfolio.
    per_portfolio: HashMap<PortfolioId, usize>,
    /// Live sessions that read each account.
    per_account: HashMap<AccountKey, usize>,
    /// Live and reserved places in all.
    taken: usize,
    /// Admitted since they were last taken up.
    fresh: Vec<SessionId>,
}

/// An account as its exchange names it. One that is in several markets is one.
type AccountKey = (Venue, Identity);

fn account_keys(session: &Session<Active>) -> BTreeSet<AccountKey> {
    session.accounts().iter().map(|it| (it.venue, it.identity.clone())).collect()
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoPlace {
    #[error("too many sessions")]
    Full,
    #[error("too many sessions of this portfolio")]
    PortfolioFull,
    #[error("too many sessions read this account already")]
    AccountFull,
}

/// A place kept for a session that is being opened; given back on drop unless
/// the session was admitted.
#[derive(Debug)]
pub struct Place {
    table: Arc<Table>,
    portfolio: PortfolioId,
    used: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.used {
            self.table.lock().give_back(&self.portfolio);
        }
    }
}

impl Table {
    pub fn new(limits: SessionLimits) -> Self {
        Self { inner: Mutex::default(), limits, changed: Notify::new() }
    }

    /// Keeps a place for a session of `portfolio`.
    pub fn reserve(self: &Arc<Self>, portfolio: PortfolioId) -> Result<Place, NoPlace> {
        let mut inner = self.lock();
        if inner.taken >= self.limits.max {
            return Err(NoPlace::Full);
        }
        let of_portfolio = inner.per_portfolio.get(&portfolio).copied().unwrap_or(0);
        if of_portfolio >= self.limits.per_portfolio_max {
            return Err(NoPlace::PortfolioFull);
        }
        inner.taken += 1;
        inner.per_portfolio.insert(portfolio, of_portfolio + 1);
        drop(inner);
        Ok(Place { table: Arc::clone(self), portfolio, used: false })
    }

    /// Puts an active session into its place, unless one of its accounts has too many.
    pub fn admit(
        &self,
        mut place: Place,
        session: Session<Active>,
        channel: Channel,
    ) -> Result<Arc<Live>, Box<(NoPlace, Channel)>> {
        let accounts = account_keys(&session);
        let mut inner = self.lock();
        let max = self.limits.per_account_max;
        let full = |key| inner.per_account.get(key).is_some_and(|count| *count >= max);
        if accounts.iter().any(full) {
            drop(inner);
            return Err(Box::new((NoPlace::AccountFull, channel)));
        }
        let live = Arc::new(Live {
            session: Arc::new(session),
            channel,
            nonces: Mutex::new(Nonces::new(NONCES_PER_SESSION_MAX)),
            requests: RateLimiter::direct(session_quota()),
            confirmed: AtomicBool::new(false),
        });
        let session = &live.session;
        for key in accounts {
            *inner.per_account.entry(key).or_default() += 1;
        }
        inner.fresh.push(session.id().clone());
        inner.by_expiry.insert((session.expires_at(), session.number()), session.id().clone());
        inner.live.insert(session.id().clone(), Arc::clone(&live));
        drop(inner);
        place.used = true;
        self.changed.notify_one();
        Ok(live)
    }

    /// Sessions admitted since the last call.
    pub(super) fn take_fresh(&self) -> Vec<SessionId> {
        std::mem::take(&mut self.lock().fresh)
    }

    /// Takes the session of `id` out if nobody ever spoke for it.
    pub(super) fn take_unconfirmed(&self, id: &SessionId) -> Option<Arc<Live>> {
        let mut inner = self.lock();
        if inner.live.get(id).is_some_and(|live| !live.is_confirmed()) {
            inner.take(id)
        } else {
            None
        }
    }

    /// The session of `id`, if it is live at `now`.
    pub fn find(&self, id: &SessionId, now: UnixMillis) -> Option<Arc<Live>> {
        self.lock().live.get(id).filter(|live| !live.session.is_expired(now)).map(Arc::clone)
    }

    /// Takes the session of `id` out. Of two callers one gets it.
    pub(super) fn take(&self, id: &SessionId) -> Option<Arc<Live>> {
        self.lock().take(id)
    }

    /// Takes out every session that is over at `now`.
    pub(super) fn take_expired(&self, now: UnixMillis) -> Vec<Arc<Live>> {
        let mut inner = self.lock();
        let mut over = Vec::new();
        while let Some(((expires_at, _), id)) = inner.by_expiry.first_key_value()
            && *expires_at <= now
        {
            let id = id.clone();
            match inner.take(&id) {
                Some(live) => over.push(live),
                None => {
                    inner.by_expiry.pop_first();
                }
            }
        }
        over
    }

    /// Takes out all.
    pub(super) fn take_all(&self) -> Vec<Arc<Live>> {
        let mut inner = self.lock();
        let ids: Vec<SessionId> = inner.live.keys().cloned().collect();
        ids.iter().filter_map(|id| inner.take(id)).collect()
    }

    /// When the next session ends by itself.
    pub fn next_expiry(&self) -> Option<UnixMillis> {
        self.lock().by_expiry.first_key_value().map(|((at, _), _)| *at)
    }

    /// Completes when a session was admitted since the last time. Cancel safe.
    pub async fn admitted(&self) {
        self.changed.notified().await;
    }

    /// How many are live.
    pub fn len(&self) -> usize {
        self.lock().live.len()
    }

    /// Whether none is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take(&mut self, id: &SessionId) -> Option<Arc<Live>> {
        let live = self.live.remove(id)?;
        self.by_expiry.remove(&(live.session.expires_at(), live.session.number()));
        self.give_back(&live.session.portfolio_id());
        for key in account_keys(&live.session) {
            if let Entry::Occupied(mut count) = self.per_account.entry(key) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        }
        Some(live)
    }

    fn give_back(&mut self, portfolio: &PortfolioId) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(count) = self.per_portfolio.get_mut(portfolio) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_portfolio.remove(portfolio);
            }
        }
    }
}

fn session_quota() -> Quota {
    let per_minute = NonZeroU32::new(SESSION_REQUESTS_PER_MIN).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(SESSION_BURST).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(per_minute).allow_burst(burst)
}
