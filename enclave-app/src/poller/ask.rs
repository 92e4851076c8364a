//! One question to an exchange: limits, signature, retries, breaker, clock.
//!
//! This is the only place that talks to exchanges. Connectors build and read;
//! everything that can go wrong on the way is decided here, once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exchanges::{
    Connector, Context, Credentials, ExchangeError, Fact, Kind, Nonce, Page, Query, Reach, Request,
    Retry, Venue,
};
use protocol::category::Category;
use protocol::time::UnixMillis;
use tracing::debug;

use super::breaker::{Breakers, Pass};
use super::limiter::{Holder, Limits, OverLimit};
use crate::clock::Clock;
use crate::egress::{FetchError, Http};
use crate::entropy::{Entropy, EntropyError};
use crate::sessions::{Active, Session, Vault, VaultError};

/// Tries of one question, the first included.
const TRIES: u32 = 3;
/// The pause before the second try; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The least pause after a host said that we ask too much.
const THROTTLED_PAUSE_MIN: Duration = Duration::from_secs(1);
/// A longer wait than this is not sat out: the question is given up, the host left alone.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a host that fences us off is left alone if it does not say: the shortest ban.
const BLOCKED_PAUSE: Duration = Duration::from_mins(2);
/// How long a question waits for room in our own limits: two refills of an account's.
const ROOM_WAIT_MAX: Duration = Duration::from_mins(2);
/// Pages of one answer at most: a million fills.
const PAGES_MAX: usize = 1000;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The session's secrets are gone.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Our own limits have no room.
    #[error("the exchange's limits have no room")]
    OverLimit,
    /// The host is being left alone.
    #[error("the exchange is being left alone for a while")]
    CircuitOpen,
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// More pages than one answer can have.
    #[error("the answer has too many pages")]
    TooManyPages,
}

impl AskError {
    pub(super) fn category(&self) -> Category {
        match self {
            Self::Exchange(error) => error.category(),
            Self::Fetch(error) => error.category(),
            Self::Vault(_) => Category::NotFound,
            Self::OverLimit => Category::Throttled,
            Self::Entropy(_) => Category::Internal,
            Self::CircuitOpen | Self::TooManyPages => Category::Unavailable,
        }
    }

    /// Whether the account is not to be polled again until somebody acts.
    pub(super) fn ends_account(&self) -> bool {
        matches!(self, Self::Exchange(error) if error.reach() == Reach::Account)
    }
}

/// Whose credentials sign.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signed<'a> {
    /// Nobody's: public data.
    Nobody,
    /// An account that is being opened, under a number from [`Desk::opening`].
    Opening(&'a Vault, usize, u64),
    /// An account of a live session.
    Live(&'a Session<Active>, usize),
}

impl Signed<'_> {
    fn holder(self) -> Holder {
        match self {
            Self::Nobody => Holder::Nobody,
            Self::Opening(_, _, number) => Holder::Opening(number),
            Self::Live(session, index) => session
                .accounts()
                .get(index)
                .map_or(Holder::Nobody, |it| Holder::Account(it.identity.value.as_str().into())),
        }
    }
}

/// A host's time less ours, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Offset {
    venue: Venue,
    millis: i64,
}

/// What is shared by every question.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) clock: Arc<dyn Clock>,
    limits: Limits,
    breakers: Breakers,
    openings: AtomicU64,
    /// By host: exchange time less ours, in milliseconds.
    offsets: Mutex<HashMap<&'static str, Offset>>,
    entropy: Arc<Entropy>,
    /// When the last request of each exchange that counts them was made.
    counted: Mutex<HashMap<Venue, UnixMillis>>,
}

impl Desk {
    /// `minutes` as [`Limits::new`] says.
    pub(super) fn new(clock: Arc<dyn Clock>, entropy: Arc<Entropy>, minutes: u32) -> Self {
        Self {
            entropy,
            counted: Mutex::default(),
            limits: Limits::new(Arc::clone(&clock), minutes),
            clock,
            breakers: Breakers::default(),
            openings: AtomicU64::new(0),
            offsets: Mutex::default(),
        }
    }

    /// A number for an account that is being opened.
    pub(super) fn opening(&self) -> u64 {
        self.openings.fetch_add(1, Ordering::Relaxed)
    }

    /// All pages of the answer to `query`. A failed page is a failed answer.
    pub(super) async fn all(
        &self,
        http: &Http,
        connector: &dyn Connector,
        query: Query,
        signed: Signed<'_>,
        context: &Context,
    ) -> Result<Vec<Fact>, AskError> {
        let mut facts = Vec::new();
        let mut next = Some(query);
        for _ in 0..PAGES_MAX {
            let Some(query) = next else { return Ok(facts) };
            let page = self.one(http, connector, &query, signed, context).await?;
            facts.extend(page.facts);
            next = page.next;
        }
        Err(AskError::TooManyPages)
    }

    /// One page, tried again where that can help.
    pub(super) async fn one(
        &self,
        http: &Http,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
        context: &Context,
    ) -> Result<Page, AskError> {
        let mut pause = PAUSE_MIN;
        let mut tries = 1;
        loop {
            let error = match self.once(http, connector, query, signed, context).await {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            debug!(venue = connector.venue().name(), query = query.name(), tries, %error, "no answer");
            let wait = match wait(&error, pause) {
                Some(wait) if tries < TRIES && wait <= WAIT_MAX => wait,
                _ => return Err(error),
            };
            if matches!(&error, AskError::Exchange(inner) if inner.retry() == Retry::AfterClock) {
                self.read_clock(http, connector).await?;
            }
            tokio::time::sleep(wait).await;
            tries += 1;
            pause = pause.saturating_mul(2);
        }
    }

    /// Reads the exchange's clock and keeps its distance from ours.
    pub(super) async fn read_clock(
        &self,
        http: &Http,
        connector: &dyn Connector,
    ) -> Result<i64, AskError> {
        let context = Context::default();
        let before = self.clock.now();
        let page = self.once(http, connector, &Query::ServerTime, Signed::Nobody, &context).await?;
        let after = self.clock.now();
        let theirs = page
            .facts
            .iter()
            .find_map(|fact| if let Fact::ServerTime(at) = fact { Some(*at) } else { None });
        let theirs = theirs.ok_or(ExchangeError::Malformed { field: "serverTime" })?;
        // The reply is as old as half the way.
        let ours = before.0.midpoint(after.0);
        let offset = signed_millis(theirs.0).saturating_sub(signed_millis(ours));
        let host = connector.host(&Query::ServerTime);
        self.offsets().insert(host, Offset { venue: connector.venue(), millis: offset });
        Ok(offset)
    }

    fn offsets(&self) -> MutexGuard<'_, HashMap<&'static str, Offset>> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The distance of an exchange's clock from ours, in milliseconds, as last read; the largest
    /// where it has several.
    pub(super) fn clock_distance_ms(&self, venue: &str) -> u64 {
        let offsets = self.offsets();
        let of_venue = offsets.values().filter(|offset| offset.venue.name() == venue);
        of_venue.map(|offset| offset.millis.unsigned_abs()).max().unwrap_or(0)
    }

    /// What to add to our time for a request to `host`: its own offset, or while it was never
    /// asked that of another host of the exchange.
    fn offset_millis(&self, venue: Venue, host: &str) -> i64 {
        let offsets = self.offsets();
        let other = || offsets.values().find(|offset| offset.venue == venue);
        offsets.get(host).or_else(other).map_or(0, |offset| offset.millis)
    }

    async fn once(
        &self,
        http: &Http,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
        context: &Context,
    ) -> Result<Page, AskError> {
        let host = connector.host(query);
        let pass =
            self.breakers.admit(host, self.clock.now()).map_err(|_| AskError::CircuitOpen)?;
        self.make_room(connector, query, signed).await?;
        // Signed with the time at which it leaves.
        let now = self.clock.now();
        let request = self.build(connector, query, signed, now)?;
        let fetched = http.send(&request, connector.reply_len_max(query)).await;
        drop(request);
        let read = match fetched {
            Ok(fetched) => connector.read(query, fetched.reply(), context).map_err(AskError::from),
            Err(error) => Err(AskError::from(error)),
        };
        judge(pass, self.clock.now(), read.as_ref().err());
        read
    }

    /// Waits until our own limits have room for `query`.
    async fn make_room(
        &self,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
    ) -> Result<(), AskError> {
        let (weight, holder) = (connector.weight(query), signed.holder());
        let mut waited = Duration::ZERO;
        loop {
            let wait = match self.limits.charge(weight, &holder) {
                Ok(()) => return Ok(()),
                Err(OverLimit { wait }) => wait.ok_or(AskError::OverLimit)?.max(PAUSE_MIN),
            };
            waited = waited.saturating_add(wait);
            if waited > ROOM_WAIT_MAX {
                return Err(AskError::OverLimit);
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn build(
        &self,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
        now: UnixMillis,
    ) -> Result<Request, AskError> {
        let offset = self.offset_millis(connector.venue(), connector.host(query));
        let mut at = UnixMillis(now.0.saturating_add_signed(offset));
        if connector.counts_requests() && query.is_private() {
            at = self.count(connector.venue(), at);
        }
        let nonce = Nonce(self.entropy.array()?);
        let sign = |credentials: &Credentials<'_>| {
            connector.request_with(query, Some(credentials), at, &nonce)
        };
        let request = match signed {
            Signed::Nobody => connector.request(query, None, at),
            Signed::Opening(vault, index, _) => vault.with_secret(index, sign)?,
            Signed::Live(session, index) => session.with_secret(now, index, sign)?,
        };
        Ok(request?)
    }
}

impl Desk {
    /// `at`, or the first moment after the last request: no two have the same, whosever they are.
    fn count(&self, venue: Venue, at: UnixMillis) -> UnixMillis {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = counted.entry(venue).or_insert(UnixMillis(0));
        *last = at.max(UnixMillis(last.0.saturating_add(1)));
        *last
    }
}

/// What an answer, or none, says about the host.
fn judge(pass: Pass<'_>, now: UnixMillis, error: Option<&AskError>) {
    let Some(error) = error else { return pass.succeeded() };
    match error {
        AskError::Fetch(FetchError::Unreachable | FetchError::TooSlow | FetchError::Cut)
        // Cut short on the road, or not what the host itself would say.
        | AskError::Exchange(ExchangeError::Malformed { field: "body" }) => pass.failed(now, None),
        AskError::Exchange(error) if error.reach() == Reach::Venue => {
            let asked = match error.retry() {
                Retry::After(pause) => Some(pause),
                Retry::Never | Retry::Backoff | Retry::AfterClock => {
                    is_blocked(error).then_some(BLOCKED_PAUSE)
                }
            };
            pass.failed(now, asked.filter(|asked| *asked > WAIT_MAX));
        }
        AskError::Exchange(_) | AskError::Fetch(FetchError::TooLong) => pass.succeeded(),
        // Never sent.
        AskError::Fetch(FetchError::NotAdmitted | FetchError::Malformed)
        | AskError::Vault(_)
        | AskError::OverLimit
        | AskError::Entropy(_)
        | AskError::CircuitOpen
        | AskError::TooManyPages => drop(pass),
    }
}

/// Fenced off: asking again prolongs it.
const fn is_blocked(error: &ExchangeError) -> bool {
    matches!(error, ExchangeError::Answered(answer) if matches!(answer.kind, Kind::Blocked))
}

/// How long to wait before the next try; `None` if there is to be none.
fn wait(error: &AskError, pause: Duration) -> Option<Duration> {
    match error {
        AskError::Exchange(error) => match error.retry() {
            Retry::Never => None,
            Retry::Backoff if is_blocked(error) => None,
            Retry::Backoff if error.category() == Category::Throttled => {
                Some(pause.max(THROTTLED_PAUSE_MIN))
            }
            Retry::Backoff | Retry::AfterClock => Some(pause),
            Retry::After(wait) => Some(wait.max(pause)),
        },
        AskError::Fetch(FetchError::Unreachable | FetchError::TooSlow | FetchError::Cut) => {
            Some(pause)
        }
        AskError::Fetch(FetchError::NotAdmitted | FetchError::TooLong | FetchError::Malformed)
        | AskError::Vault(_)
        | AskError::OverLimit
        | AskError::Entropy(_)
        | AskError::CircuitOpen
        | AskError::TooManyPages => None,
    }
}

/// Whether the exchange said that the key itself is not good, or that it may do too much.
pub(super) fn refuses_key(error: &AskError) -> bool {
    let AskError::Exchange(error) = error else { return false };
    if let ExchangeError::Answered(answer) = error {
        return matches!(answer.kind, Kind::Auth | Kind::Permission | Kind::Account);
    }
    matches!(error, ExchangeError::KeyRefused(_))
}

fn signed_millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
