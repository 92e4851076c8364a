//! Opening, finding and ending sessions, in the one right order.
//!
//! Opening, by number; each step answers with its own [`OpenRefusal`]:
//!
//! 1. the envelope's bounds and form;
//! 2. its key id is this enclave's, else the customer attests again;
//! 3. it opens: from here on every answer is sealed;
//! 4. the portfolio's key signed exactly this body for exactly this envelope,
//!    and every field is within its bounds;
//! 5. the attestation it was made from is fresh and not of the future;
//! 6. its exchanges are served, and the portfolio counts in its base currency;
//! 7. the envelope is recorded as used, before anything leaves the enclave;
//! 8. there is a place for another session, in all and in the portfolio;
//! 9. the credentials move into a secret mapping, everything else is wiped;
//! 10. the exchanges confirm every key, and that it can only read;
//! 11. the session is active, in the table, and polled, unless too many
//!     sessions read one of its accounts already.
//!
//! A session that nobody speaks for within [`CONFIRM_WITHIN`] of its opening
//! is ended: whoever opened it never received its id, or has lost it, and
//! could not end it.
//!
//! **Invariant:** between 10 and 11 nothing waits, so there is no moment at
//! which a confirmed session could be lost or started twice.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use protocol::category::Category;
use protocol::claim::{ClaimError, ClaimRequest};
use protocol::envelope::{self, Envelope, EnvelopeError};
use protocol::key_bundle::Deployment;
use protocol::limits::{ATTESTED_AGE_MS_MAX, ATTESTED_AHEAD_MS_MAX};
use protocol::reply::NONCE_UNREAD;
use protocol::request_auth::{self, Request, RequestAuth};
use protocol::session::{
    End, ErrorDetail, OpenError, OpenedAccount, OpenedSession, SessionId, VerifiedOpen,
};
use protocol::time::UnixMillis;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::channel::Channel;
use super::lifecycle::{LifecycleError, Session};
use super::table::{Live, NoPlace, Table};
use crate::clock::Clock;
use crate::counters::{Counters, Event};
use crate::engine_api::{AccountRefusal, Engine, StartRefusal};
use crate::entropy::{Entropy, EntropyError};
use crate::image_config::SessionLimits;
use crate::keys::Keys;
use crate::limits::{CONFIRM_WITHIN, REPLAY_ENTRIES_MAX, SWEEP_INTERVAL, VERIFY_ACCOUNTS_TIMEOUT};
use crate::replay::{Envelopes, NotFresh};

/// Everything that a session goes through.
#[derive(Debug)]
pub struct Custody {
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    keys: Arc<Keys>,
    engine: Arc<dyn Engine>,
    deployment: Arc<Deployment>,
    counters: Arc<Counters>,
    table: Arc<Table>,
    envelopes: Envelopes,
}

/// What [`Custody`] is made of.
#[derive(Clone, Debug)]
pub struct CustodyParts {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<Entropy>,
    pub keys: Arc<Keys>,
    pub engine: Arc<dyn Engine>,
    pub deployment: Arc<Deployment>,
    pub counters: Arc<Counters>,
    pub limits: SessionLimits,
}

/// Why no session was opened. Its text is for the customer and quotes nothing
/// but labels and field names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRefusal {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error(transparent)]
    Message(#[from] OpenError),
    #[error(transparent)]
    NotFresh(#[from] AttestedWhen),
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    #[error("this envelope was used before; seal a new one")]
    Replayed,
    #[error("too many envelopes lately")]
    TooManyEnvelopes,
    #[error("account `{label}`: this exchange or market is not offered")]
    NotOffered { label: String },
    #[error("no secret memory")]
    NoMemory,
    #[error(transparent)]
    Account(#[from] AccountRefusal),
    #[error(transparent)]
    Start(#[from] StartRefusal),
    #[error("the exchanges did not answer in time")]
    TooSlow,
    #[error("internal error")]
    Internal,
}

/// Why a claim was not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimUnread {
    #[error(transparent)]
    Message(#[from] ClaimError),
    #[error(transparent)]
    NotFresh(#[from] AttestedWhen),
}

impl ClaimUnread {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::Message(error) => error.category(),
            Self::NotFresh(_) => Category::Unauthorized,
        }
    }
}

/// The attestation that a customer verified is not of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestedWhen {
    #[error("the attestation is too old; attest again")]
    LongAgo,
    #[error("the attestation lies in the future")]
    InFuture,
}

fn check_attested_at(attested_at: UnixMillis, now: UnixMillis) -> Result<(), AttestedWhen> {
    if now.0.saturating_sub(attested_at.0) > ATTESTED_AGE_MS_MAX {
        Err(AttestedWhen::LongAgo)
    } else if attested_at.0.saturating_sub(now.0) > ATTESTED_AHEAD_MS_MAX {
        Err(AttestedWhen::InFuture)
    } else {
        Ok(())
    }
}

impl OpenRefusal {
    /// Who must act.
    pub const fn category(&self) -> Category {
        match self {
            Self::Envelope(error) => error.category(),
            Self::Message(error) => error.category(),
            Self::NotFresh(_) => Category::Unauthorized,
            Self::NoPlace(NoPlace::Full) | Self::NoMemory | Self::TooSlow => Category::Unavailable,
            Self::NoPlace(NoPlace::PortfolioFull | NoPlace::AccountFull)
            | Self::TooManyEnvelopes => Category::Throttled,
            Self::Replayed => Category::Replayed,
            Self::NotOffered { .. }
            | Self::Start(StartRefusal::OtherBase { .. } | StartRefusal::Uncounted) => {
                Category::Refused
            }
            Self::Account(refusal) => refusal.category(),
            Self::Internal | Self::Start(StartRefusal::Entropy(_)) => Category::Internal,
        }
    }

    /// What a sealed answer adds.
    pub fn detail(&self) -> Option<ErrorDetail> {
        match self {
            Self::NotOffered { label } => {
                Some(ErrorDetail { account: label.clone(), remove: Vec::new() })
            }
            Self::Account(refusal) => refusal.detail(),
            Self::Envelope(_)
            | Self::Message(_)
            | Self::NotFresh(_)
            | Self::NoPlace(_)
            | Self::Replayed
            | Self::TooManyEnvelopes
            | Self::NoMemory
            | Self::Start(_)
            | Self::TooSlow
            | Self::Internal => None,
        }
    }
}

impl From<LifecycleError> for OpenRefusal {
    fn from(error: LifecycleError) -> Self {
        match error {
            LifecycleError::NotOffered { label } => Self::NotOffered { label },
            LifecycleError::Vault(_) => Self::NoMemory,
            LifecycleError::Unproven => Self::Internal,
        }
    }
}

impl From<EntropyError> for OpenRefusal {
    fn from(_: EntropyError) -> Self {
        Self::Internal
    }
}

/// A refusal, and the channel to seal it with if the envelope had opened.
#[derive(Debug)]
pub struct Refused {
    pub why: OpenRefusal,
    pub sealed: Option<(Channel, [u8; 16])>,
}

/// An opened session and what to tell its owner.
#[derive(Debug)]
pub struct Opened {
    pub live: Arc<Live>,
    pub request_nonce: [u8; 16],
    pub message: OpenedSession,
}

/// A request is not that of a live session's owner, or not now. Says no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Unknown session, bad MAC, stale timestamp or reused nonce: all alike.
    Unauthorized,
    /// Authentic, and more than the session may ask.
    Throttled,
}

impl Custody {
    pub fn new(parts: CustodyParts) -> Self {
        Self {
            table: Arc::new(Table::new(SessionLimits {
                max: parts
                    .limits
                    .max
                    .min(usize::try_from(parts.deployment.max_sessions).unwrap_or(usize::MAX)),
                ..parts.limits
            })),
            clock: parts.clock,
            entropy: parts.entropy,
            keys: parts.keys,
            engine: parts.engine,
            deployment: parts.deployment,
            counters: parts.counters,
            envelopes: Envelopes::new(REPLAY_ENTRIES_MAX),
        }
    }

    /// The live sessions.
    pub const fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What polls and reports.
    pub fn engine(&self) -> &dyn Engine {
        self.engine.as_ref()
    }

    /// The time every check here uses.
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Opens a session from the bytes of an envelope.
    ///
    /// Cancel safe: dropping the future gives the place back and wipes the
    /// credentials; the envelope stays used.
    pub async fn open(&self, envelope: &[u8]) -> Result<Opened, Refused> {
        let plain = |why: EnvelopeError| Refused { why: why.into(), sealed: None };
        // 1, 2, 3
        let envelope = Envelope::from_json(envelope).map_err(plain)?;
        let (plaintext, keys) = envelope::open(self.keys.encryption(), &envelope).map_err(plain)?;
        let (key_id, ephemeral_pub) = (envelope.key_id(), *envelope.ephemeral_pub());
        let channel = Channel::new(keys, key_id, ephemeral_pub);
        drop(envelope);

        // 4
        let request = match VerifiedOpen::read(&plaintext, &key_id, &ephemeral_pub) {
            Ok(request) => request,
            Err(why) => {
                return Err(Refused { why: why.into(), sealed: Some((channel, NONCE_UNREAD)) });
            }
        };
        drop(plaintext);
        let request_nonce = request.get().request_nonce;
        let (why, channel) = match self.activate(request, &ephemeral_pub).await {
            Ok((place, session)) => match self.begin(place, session, channel) {
                Ok(live) => {
                    let message = opened_message(&live.session);
                    return Ok(Opened { live, request_nonce, message });
                }
                Err(refused) => *refused,
            },
            Err(why) => (why, Some(channel)),
        };
        if why == OpenRefusal::Replayed {
            self.counters.count(Event::EnvelopeReplayed);
        }
        Err(Refused { why, sealed: channel.map(|channel| (channel, request_nonce)) })
    }

    /// Step 11.
    fn begin(
        &self,
        place: super::table::Place,
        session: Session<super::Active>,
        channel: Channel,
    ) -> Result<Arc<Live>, Box<(OpenRefusal, Option<Channel>)>> {
        let live = self
            .table
            .admit(place, session, channel)
            .map_err(|refused| Box::new((refused.0.into(), Some(refused.1))))?;
        if let Err(why) = self.engine.start(Arc::clone(&live.session)) {
            drop(self.table.take(live.session.id()));
            live.session.wipe();
            let channel = Arc::into_inner(live).map(|live| live.channel);
            return Err(Box::new((why.into(), channel)));
        }
        self.counters.count(Event::SessionOpened);
        info!(accounts = live.session.accounts().len(), "session opened");
        Ok(live)
    }

    /// Steps 5 to 10.
    async fn activate(
        &self,
        request: VerifiedOpen,
        ephemeral_pub: &[u8; 32],
    ) -> Result<(super::table::Place, Session<super::Active>), OpenRefusal> {
        // 5
        let now = self.clock.now();
        check_attested_at(request.get().attested_at, now)?;
        // 6: who asks for what is not served takes no room in the record.
        let open = request.get();
        let served = |venue: &str| self.deployment.serves(venue);
        if let Some(account) = open.accounts.iter().find(|account| !served(&account.venue)) {
            return Err(OpenRefusal::NotOffered { label: account.label.clone() });
        }
        self.engine.counts_in(&open.portfolio_key.portfolio_id(), &open.base_currency)?;
        // 7
        self.envelopes.record(ephemeral_pub, now).map_err(|why| match why {
            NotFresh::Used => OpenRefusal::Replayed,
            NotFresh::Full => OpenRefusal::TooManyEnvelopes,
        })?;
        // 8
        let place = self.table.reserve(request.get().portfolio_key.portfolio_id())?;
        // 9
        let session = Session::open(request.into_inner())?;
        // 10
        let checked = timeout(
            VERIFY_ACCOUNTS_TIMEOUT,
            self.engine.verify_accounts(session.vault(), session.accounts()),
        )
        .await
        .map_err(|_| OpenRefusal::TooSlow)??;
        let id = SessionId::from_bytes(self.entropy.array()?);
        Ok((place, session.activate(checked, id, self.clock.now())?))
    }

    /// The live session a request comes from.
    ///
    /// Everything that can be wrong is answered alike, so that a stolen
    /// session id cannot be told from an invented one.
    pub fn admit(
        &self,
        auth: &RequestAuth,
        request: &Request<'_>,
    ) -> Result<Arc<Live>, NotAdmitted> {
        let now = self.clock.now();
        let live = self.table.find(&auth.session, now).ok_or(NotAdmitted::Unauthorized)?;
        if !live.channel.authenticates(auth, request)
            || !request_auth::is_fresh(auth.timestamp, now)
        {
            return Err(NotAdmitted::Unauthorized);
        }
        live.confirm();
        if !live.may_request() {
            return Err(NotAdmitted::Throttled);
        }
        live.record_nonce(auth.nonce, auth.timestamp, now).map_err(|why| match why {
            NotFresh::Used => NotAdmitted::Unauthorized,
            NotFresh::Full => NotAdmitted::Throttled,
        })?;
        Ok(live)
    }

    /// Reads a claim that the portfolio's owner signed for this session, lately.
    pub fn read_claim(&self, live: &Live, body: &[u8]) -> Result<ClaimRequest, ClaimUnread> {
        let claim = live.channel.read_claim(body, live.session.portfolio_key())?;
        check_attested_at(claim.attested_at, self.clock.now())?;
        Ok(claim)
    }

    /// Ends a session because its owner asked. `false` if it has just ended.
    pub fn revoke(&self, live: &Live) -> bool {
        self.table.take(live.session.id()).is_some_and(|live| {
            self.end(&live, End::Revoked);
            true
        })
    }

    /// Wipes, then stops polling. Whoever still holds the session can name it
    /// and sign nothing.
    fn end(&self, live: &Live, how: End) {
        live.session.wipe();
        self.engine.stop(&live.session);
        match how {
            End::Revoked => self.counters.count(Event::SessionRevoked),
            End::Expired => self.counters.count(Event::SessionExpired),
            End::KeyRefused | End::Shutdown => {}
        }
        info!(?how, "session ended");
    }

    /// Ends what is over, forgets what need not be remembered.
    pub fn sweep(&self) {
        let now = self.clock.now();
        for live in self.table.take_expired(now) {
            self.end(&live, End::Expired);
        }
        self.envelopes.sweep(now);
    }

    /// Ends every session; the last thing before the keys go.
    pub fn end_all(&self) {
        for live in self.table.take_all() {
            self.end(&live, End::Shutdown);
        }
    }

    /// Service: wipes each session at the instant it expires, those that nobody
    /// ever speaks for sooner, and sweeps every hour in case a timer was missed.
    pub async fn keep_time(self: Arc<Self>, stop: CancellationToken) {
        let mut hourly = tokio::time::interval(SWEEP_INTERVAL);
        hourly.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unconfirmed = FuturesUnordered::new();
        loop {
            let expiry = self.table.next_expiry();
            let due = async {
                match expiry {
                    Some(at) => self.clock.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                () = self.table.admitted() => {
                    let fresh = self.table.take_fresh().into_iter();
                    unconfirmed.extend(fresh.map(|id| async move {
                        tokio::time::sleep(CONFIRM_WITHIN).await;
                        id
                    }));
                    continue;
                }
                Some(id) = unconfirmed.next() => {
                    if let Some(live) = self.table.take_unconfirmed(&id) {
                        info!("nobody spoke for a session after its opening");
                        self.end(&live, End::Expired);
                    }
                    continue;
                }
                _ = hourly.tick() => {}
            }
            self.sweep();
        }
    }
}

fn opened_message(session: &Session<super::Active>) -> OpenedSession {
    let accounts = session
        .accounts()
        .iter()
        .map(|account| OpenedAccount {
            label: account.label.clone(),
            venue: account.venue.name().to_owned(),
            market: account.market.name().to_owned(),
            identity: account.identity.clone(),
            permissions: account.permissions.clone(),
        })
        .collect();
    OpenedSession::new(session.id().clone(), session.expires_at(), session.portfolio_id(), accounts)
}

#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Customer, Enclave, START};

    async fn until(mut holds: impl FnMut() -> bool) {
        while !holds() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn each_session_is_wiped_at_its_own_expiry_by_the_timer() {
        let enclave = Enclave::new().await;
        let stop = CancellationToken::new();
        let keeping =
            tokio::task::JoinSet::from_iter([Arc::clone(&enclave.custody).keep_time(stop.clone())]);
        let minutes = |m: u64| protocol::session::Ttl::from_secs(60 * m).unwrap();
        let long = Customer::new(1).open_with(&enclave, |r| r.ttl = minutes(30)).await;
        let short = Customer::new(2).open_with(&enclave, |r| r.ttl = minutes(10)).await;
        let sessions = enclave.engine.live.lock().unwrap().clone();
        let find = |id| sessions.iter().find(|session| session.id() == id).unwrap();
        let (long, short) = (find(long.id()), find(short.id()));

        enclave.wait(Duration::from_mins(10));
        until(|| short.is_wiped()).await;
        assert!(!long.is_wiped());
        enclave.wait(Duration::from_mins(20));
        until(|| long.is_wiped()).await;
        until(|| enclave.engine.live.lock().unwrap().is_empty()).await;
        assert!(enclave.custody.table().is_empty());
        assert_eq!(enclave.front.counters.of(Event::SessionExpired), 2);
        assert!(enclave.engine.wiped_before_stop.lock().unwrap().iter().all(|wiped| *wiped));

        stop.cancel();
        assert_eq!(keeping.join_all().await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_nobody_speaks_for_is_ended_soon() {
        let enclave = Enclave::new().await;
        let stop = CancellationToken::new();
        let keeping =
            tokio::task::JoinSet::from_iter([Arc::clone(&enclave.custody).keep_time(stop.clone())]);
        let lost = Customer::new(1).open(&enclave).await;
        let kept = Customer::new(2).open(&enclave).await;
        let find = |id| enclave.custody.table().find(id, START);
        find(kept.id()).unwrap().confirm();
        // Time is the runtime's own here and passes at once.
        tokio::time::sleep(CONFIRM_WITHIN / 2).await;
        assert!(find(lost.id()).is_some());
        tokio::time::sleep(CONFIRM_WITHIN).await;
        assert!(find(lost.id()).is_none());
        assert!(find(kept.id()).is_some());
        stop.cancel();
        assert_eq!(keeping.join_all().await.len(), 1);
    }

    #[tokio::test]
    async fn at_the_end_every_session_is_wiped() {
        let enclave = Enclave::new().await;
        Customer::new(1).open(&enclave).await;
        Customer::new(2).open(&enclave).await;
        let sessions = enclave.engine.live.lock().unwrap().clone();
        enclave.custody.end_all();
        assert_eq!(sessions.len(), 2);
        assert!(sessions.iter().all(|session| session.is_wiped()));
        assert!(enclave.custody.table().is_empty());
    }

    #[tokio::test]
    async fn a_session_ends_once() {
        let enclave = Enclave::new().await;
        let owner = Customer::new(1).open(&enclave).await;
        let live = enclave.custody.table().find(owner.id(), START).unwrap();
        assert!(enclave.custody.revoke(&live));
        assert!(!enclave.custody.revoke(&live));
        enclave.wait(Duration::from_hours(2));
        enclave.custody.sweep();
        assert_eq!(enclave.front.counters.of(Event::SessionExpired), 0);
        assert_eq!(enclave.engine.wiped_before_stop.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_deployment_narrows_the_number_of_sessions() {
        let enclave = Enclave::with_image(|image| {
            // deployment.json says 200.
            image.sessions.max = 100_000;
        })
        .await;
        let places: Vec<_> = (0..=200_u8)
            .map(|n| enclave.custody.table().reserve(protocol::portfolio::PortfolioId([n; 32])))
            .collect();
        assert_eq!(places.iter().filter(|place| place.is_ok()).count(), 200);
        assert_eq!(places.last().map(Result::is_err), Some(true));
        drop(places);
        assert!(enclave.custody.table().reserve(protocol::portfolio::PortfolioId([9; 32])).is_ok());
    }
}
