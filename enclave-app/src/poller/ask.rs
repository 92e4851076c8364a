//! One question to an exchange: limits, signature, retries, breaker, clock.
//!
//! This is the only place that talks to exchanges. Connectors build and read;
//! everything that can go wrong on the way is decided here, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exchanges::{
    Connector, Context, Credentials, ExchangeError, Fact, Kind, Page, Query, Reach, Request, Retry,
};
use protocol::category::Category;
use protocol::time::UnixMillis;
use tracing::debug;

use super::breaker::Breakers;
use super::limiter::Limits;
use crate::clock::Clock;
use crate::egress::{FetchError, Http};
use crate::sessions::{Active, Session, Vault, VaultError};

/// Tries of one question, the first included.
const TRIES: u32 = 3;
/// The pause before the second try; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// A longer wait than this is not sat out: the question is given up, the host left alone.
const WAIT_MAX: Duration = Duration::from_secs(5);
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
    /// An account that is being opened.
    Opening(&'a Vault, usize),
    /// An account of a live session.
    Live(&'a Session<Active>, usize),
}

impl Signed<'_> {
    /// What limits of the account are counted under; zero for public data.
    fn account(self) -> u64 {
        match self {
            Self::Nobody | Self::Opening(..) => 0,
            Self::Live(session, index) => {
                session.number().wrapping_mul(64).wrapping_add(u64::try_from(index).unwrap_or(63))
            }
        }
    }
}

/// What is shared by every question.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) clock: Arc<dyn Clock>,
    limits: Limits,
    breakers: Breakers,
    /// Exchange time less ours, in milliseconds.
    offsets: Mutex<HashMap<&'static str, i64>>,
}

impl Desk {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            limits: Limits::new(Arc::clone(&clock)),
            clock,
            breakers: Breakers::default(),
            offsets: Mutex::default(),
        }
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
        let theirs = page.facts.iter().find_map(|fact| match fact {
            Fact::ServerTime(at) => Some(*at),
            _ => None,
        });
        let theirs = theirs.ok_or(ExchangeError::Malformed { field: "serverTime" })?;
        // The reply is as old as half the way.
        let ours = before.0.midpoint(after.0);
        let offset = signed_millis(theirs.0).saturating_sub(signed_millis(ours));
        self.offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(connector.venue().name(), offset);
        Ok(offset)
    }

    /// The largest distance of any exchange's clock from ours, in milliseconds.
    pub(super) fn clock_distance_ms(&self) -> u64 {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.values().map(|offset| offset.unsigned_abs()).max().unwrap_or(0)
    }

    async fn once(
        &self,
        http: &Http,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
        context: &Context,
    ) -> Result<Page, AskError> {
        let now = self.clock.now();
        let host = connector.hosts().first().copied().unwrap_or_default();
        self.breakers.admit(host, now).map_err(|_| AskError::CircuitOpen)?;
        self.limits
            .charge(connector.weight(query), signed.account())
            .map_err(|_| AskError::OverLimit)?;
        let request = self.build(connector, query, signed, now)?;
        let fetched = http.send(&request, connector.reply_len_max(query)).await;
        drop(request);
        let read = match fetched {
            Ok(fetched) => connector.read(query, fetched.reply(), context).map_err(AskError::from),
            Err(error) => Err(AskError::from(error)),
        };
        match &read {
            Err(AskError::Fetch(_)) => self.breakers.failed(host, now, None),
            Err(AskError::Exchange(error)) if error.reach() == Reach::Venue => {
                let pause = match error.retry() {
                    Retry::After(pause) => Some(pause),
                    Retry::Never | Retry::Backoff | Retry::AfterClock => None,
                };
                self.breakers.failed(host, now, pause.filter(|pause| *pause > WAIT_MAX));
            }
            Ok(_) | Err(_) => self.breakers.succeeded(host),
        }
        read
    }

    fn build(
        &self,
        connector: &dyn Connector,
        query: &Query,
        signed: Signed<'_>,
        now: UnixMillis,
    ) -> Result<Request, AskError> {
        let offset = self
            .offsets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(connector.venue().name())
            .copied()
            .unwrap_or(0);
        let at = UnixMillis(now.0.saturating_add_signed(offset));
        let build = |credentials: &Credentials<'_>| connector.request(query, Some(credentials), at);
        let built = match signed {
            Signed::Nobody => connector.request(query, None, at),
            Signed::Opening(vault, index) => vault.with_secret(index, build)?,
            Signed::Live(session, index) => session.with_secret(now, index, build)?,
        };
        Ok(built?)
    }
}

/// How long to wait before the next try; `None` if there is to be none.
fn wait(error: &AskError, pause: Duration) -> Option<Duration> {
    match error {
        AskError::Exchange(error) => match error.retry() {
            Retry::Never => None,
            Retry::Backoff | Retry::AfterClock => Some(pause),
            Retry::After(wait) => Some(wait.max(pause)),
        },
        AskError::Fetch(FetchError::Unreachable | FetchError::TooSlow | FetchError::Cut) => {
            Some(pause)
        }
        AskError::Fetch(_)
        | AskError::Vault(_)
        | AskError::OverLimit
        | AskError::CircuitOpen
        | AskError::TooManyPages => None,
    }
}

/// Whether the exchange said that the key itself is not good.
pub(super) fn refuses_key(error: &AskError) -> bool {
    matches!(
        error,
        AskError::Exchange(ExchangeError::Answered(answer))
            if matches!(answer.kind, Kind::Auth | Kind::Permission | Kind::Account)
    )
}

fn signed_millis(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}
