//! One account of a portfolio: what was read so far, and one round of reading.
//!
//! Several sessions may read the same account, as when a customer opens a new one before the old
//! one ends. The account is polled once, with the newest key; each session is a [`Lease`] on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use analytics::Event;
use analytics::text::Name;
use exchanges::{
    Balance, Connector, Context, ExchangeError, Fact, Instrument, Kind, Query, TransferKind,
    TransferStatus, Window,
};
use protocol::category::Category;
use protocol::session::End;
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;

use super::ask::{AskError, Desk, Signed, refuses_key};
use super::convert::{Delivery, NotCarried, happened};
use super::market::{PublicData, watched};
use super::marks::Marks;
use super::transfers::Transfers;
use crate::egress::Http;
use crate::sessions::{Active, Session, VaultError};

/// How far back transfers are asked for at every poll: pending ones become final, and completed
/// ones can be listed late.
const TRANSFERS_BACK: Duration = Duration::from_hours(48);
/// Permissions are read again after this long: customers can widen a key later.
const PERMISSIONS_AGE_MAX: Duration = Duration::from_hours(24);
/// How long fills of a pair are looked for after one of its balances moved: three polls.
const MOVED_FOR: Duration = Duration::from_mins(15);

/// A session's right to read an account.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) session: Arc<Session<Active>>,
    /// The account's place in the session.
    pub(super) index: usize,
    /// Cancelled when the session ends.
    pub(super) ended: CancellationToken,
    /// Connections of its own, gone with it: they carried its key.
    pub(super) http: Http,
}

/// An account that is polled.
#[derive(Debug)]
pub(super) struct Account {
    /// Its name in the results.
    pub(super) name: Name,
    /// The newest last.
    leases: Vec<Lease>,
    /// Why the last lease that ended did.
    ended: End,
    connector: &'static dyn Connector,
    /// What a round has read, until it is taken: a round that is cut short loses nothing.
    events: Vec<Event>,
    /// Nothing at or before this time is asked for: the first balance contains it.
    since: UnixMillis,
    /// Whether a round was complete.
    begun: bool,
    marks: BTreeMap<String, Marks>,
    /// Assets that were ever seen here, and when their balance last moved.
    assets: BTreeMap<String, Option<UnixMillis>>,
    balances: BTreeMap<String, Decimal>,
    /// Pairs the customer named, and those that had fills.
    pairs: BTreeSet<String>,
    transfers: Transfers,
    /// When the slow questions are due.
    withdrawals_at: UnixMillis,
    fiat_deposits_at: UnixMillis,
    fiat_withdrawals_at: UnixMillis,
    permissions_at: UnixMillis,
}

/// How often the expensive questions are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence {
    pub(super) withdrawals: Duration,
    /// Bank payments, each direction.
    pub(super) fiat: Duration,
    /// Fills of pairs that never had one and whose balances stand still.
    pub(super) quiet: Duration,
    /// Instruments, while an asset is held that they do not know.
    pub(super) unlisted: Duration,
}

/// What one round came to.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) snapshot: Option<Event>,
    /// Why it is not complete.
    pub(super) error: Option<Category>,
    /// The exchange no longer accepts the key, or lets it do more than read.
    pub(super) refused: bool,
    /// The session's credentials were wiped in the middle of it.
    pub(super) wiped: bool,
}

/// Why a round is not complete.
#[derive(Debug, thiserror::Error)]
enum Incomplete {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    NotCarried(#[from] NotCarried),
    /// The round took so long that its balances would no longer be of its time.
    #[error("the round took too long")]
    TooSlow,
}

impl Incomplete {
    fn category(&self) -> Category {
        match self {
            Self::Ask(error) => error.category(),
            Self::NotCarried(_) | Self::TooSlow => Category::Unavailable,
        }
    }

    fn is_wiped(&self) -> bool {
        matches!(self, Self::Ask(AskError::Vault(VaultError::Gone)))
    }

    fn refuses_key(&self) -> bool {
        matches!(self, Self::Ask(error) if error.ends_account() && refuses_key(error))
    }

    /// The exchange's list of pairs has changed.
    fn is_unlisted(&self) -> bool {
        let Self::Ask(AskError::Exchange(error)) = self else { return false };
        *error == ExchangeError::UnknownInstrument
            || matches!(error, ExchangeError::Answered(it) if it.kind == Kind::InvalidSymbol)
    }
}

/// What a round has in hand.
#[derive(Clone, Copy)]
pub(super) struct Hand<'a> {
    pub(super) desk: &'a Desk,
    pub(super) public: &'a PublicData,
    pub(super) cadence: Cadence,
    /// The round's time.
    pub(super) tick: UnixMillis,
    /// How long it may take.
    pub(super) patience: Duration,
}

impl Account {
    pub(super) fn new(name: Name, connector: &'static dyn Connector, lease: Lease) -> Self {
        let since = lease.session.started_at();
        let mut account = Self {
            name,
            leases: Vec::new(),
            ended: End::Revoked,
            connector,
            events: Vec::new(),
            since,
            begun: false,
            marks: BTreeMap::new(),
            assets: BTreeMap::new(),
            balances: BTreeMap::new(),
            pairs: BTreeSet::new(),
            transfers: Transfers::default(),
            withdrawals_at: since,
            fiat_deposits_at: since,
            fiat_withdrawals_at: since,
            permissions_at: since.saturating_add(PERMISSIONS_AGE_MAX),
        };
        account.take(lease);
        account
    }

    /// Another session reads the same account.
    pub(super) fn join(&mut self, other: Self) {
        for lease in other.leases {
            self.permissions_at = lease.session.started_at().saturating_add(PERMISSIONS_AGE_MAX);
            self.take(lease);
        }
    }

    fn take(&mut self, lease: Lease) {
        let named = lease.session.accounts().get(lease.index);
        self.pairs.extend(named.into_iter().flat_map(|account| account.symbols.iter().cloned()));
        self.leases.push(lease);
    }

    /// Lets go of sessions that have ended, connections included.
    pub(super) fn drop_ended(&mut self, now: UnixMillis) {
        let ended = &mut self.ended;
        self.leases.retain(|lease| {
            let expired = lease.session.is_expired(now);
            let over = expired || lease.ended.is_cancelled();
            if over {
                *ended = if expired { End::Expired } else { End::Revoked };
            }
            !over
        });
    }

    /// Lets go of the session that was read with: its credentials are wiped.
    pub(super) fn drop_wiped(&mut self, now: UnixMillis) {
        if let Some(lease) = self.leases.pop() {
            let expired = lease.session.is_expired(now);
            self.ended = if expired { End::Expired } else { End::Revoked };
        }
    }

    /// Lets go of the session whose key was refused.
    pub(super) fn drop_refused(&mut self) {
        if self.leases.pop().is_some() {
            self.ended = End::KeyRefused;
        }
    }

    /// Why nobody reads it any more; `None` while somebody does.
    pub(super) fn end(&self) -> Option<End> {
        self.leases.is_empty().then_some(self.ended)
    }

    /// The session that is read with.
    pub(super) fn newest(&self) -> Option<&Lease> {
        self.leases.last()
    }

    /// Assets that were ever seen here.
    pub(super) fn assets(&self) -> impl Iterator<Item = &String> {
        self.assets.keys()
    }

    /// Fills and flows that were read since the last time.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Reads everything that is new. Progress marks advance only with a whole answer, so what a
    /// failed round missed is asked for again. Cancel safe: what was read is kept.
    pub(super) async fn round(&mut self, hand: Hand<'_>) -> Round {
        let outcome = tokio::time::timeout(hand.patience, self.read(hand)).await;
        let now = hand.desk.clock.now();
        let delivery = Delivery { account: self.name.clone(), seen: now };
        let (snapshot, error) = match outcome.unwrap_or(Err(Incomplete::TooSlow)) {
            Ok(balances) => match delivery.snapshot(hand.tick, &balances, true) {
                Ok(snapshot) => (Some(snapshot), None),
                Err(error) => (None, Some(error.into())),
            },
            Err(error) => (None, Some(error)),
        };
        self.begun |= error.is_none();
        Round {
            snapshot: snapshot.or_else(|| delivery.snapshot(hand.tick, &[], false).ok()),
            wiped: error.as_ref().is_some_and(Incomplete::is_wiped),
            refused: error.as_ref().is_some_and(Incomplete::refuses_key),
            error: error.as_ref().map(Incomplete::category),
        }
    }

    async fn read(&mut self, hand: Hand<'_>) -> Result<Vec<Balance>, Incomplete> {
        hand.public.keep_clock(hand.desk).await?;
        self.check_permissions(hand).await?;
        let mut context = hand.public.context(hand.desk, None).await?;
        let asked_at = hand.desk.clock.now();
        let balances = self.balances(hand, &context).await?;
        if self.assets.keys().any(|asset| !context.knows_asset(asset)) {
            context = hand.public.context(hand.desk, Some(hand.cadence.unlisted)).await?;
        }
        // A first balance holds what happened until it was read, not only until its time.
        let ambiguous = (!self.begun).then_some((hand.tick, asked_at));
        match self.fills(hand, &context, ambiguous).await {
            Err(error) if error.is_unlisted() => {
                let context = hand.public.context(hand.desk, Some(Duration::ZERO)).await?;
                self.fills(hand, &context, ambiguous).await?;
            }
            other => other?,
        }
        self.transfers(hand, ambiguous).await?;
        Ok(balances)
    }

    async fn check_permissions(&mut self, hand: Hand<'_>) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        if now < self.permissions_at {
            return Ok(());
        }
        let facts = self.ask(hand, Query::Permissions, &Context::default()).await?;
        let permissions = facts.into_iter().find_map(|fact| {
            if let Fact::Permissions(permissions) = fact { Some(permissions) } else { None }
        });
        permissions
            .ok_or(ExchangeError::Malformed { field: "permissions" })
            .and_then(|permissions| Ok(permissions.confirm()?))
            .map_err(AskError::from)?;
        self.permissions_at = now.saturating_add(PERMISSIONS_AGE_MAX);
        Ok(())
    }

    async fn balances(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
    ) -> Result<Vec<Balance>, Incomplete> {
        let facts = self.ask(hand, Query::balances(), context).await?;
        let balances: Vec<Balance> = facts
            .into_iter()
            .filter_map(|fact| if let Fact::Balance(balance) = fact { Some(balance) } else { None })
            .collect();
        let mut totals: BTreeMap<String, Decimal> = BTreeMap::new();
        for balance in &balances {
            let total = totals.entry(balance.asset.clone()).or_default();
            *total = total.checked_add(balance.net).ok_or(NotCarried)?;
        }
        for asset in totals.keys().chain(self.balances.keys()) {
            if totals.get(asset) != self.balances.get(asset) {
                self.assets.insert(asset.clone(), Some(hand.tick));
            }
        }
        self.balances = totals;
        Ok(balances)
    }

    /// Fills of every watched pair, each from its mark.
    async fn fills(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        ambiguous: Option<(UnixMillis, UnixMillis)>,
    ) -> Result<(), Incomplete> {
        let mut asked = BTreeSet::new();
        loop {
            // A fill can bring an asset that makes further pairs worth asking.
            let held = self.assets.keys().cloned().collect();
            let next = watched(context, &self.pairs, &held)
                .into_iter()
                .find(|(pair, it)| !asked.contains(pair) && self.is_due(pair, it, hand));
            let Some((pair, _)) = next else { return Ok(()) };
            self.fills_of(hand, context, &pair, ambiguous).await?;
            asked.insert(pair);
        }
    }

    /// Pairs that nothing suggests a fill in are asked seldom: each question is dear.
    fn is_due(&self, pair: &str, instrument: &Instrument, hand: Hand<'_>) -> bool {
        let covered = self.marks.get(pair).and_then(Marks::covered);
        let moved = |asset: &String| {
            let at = self.assets.get(asset).copied().flatten();
            at.is_some_and(|at| hand.tick.since(at) <= MOVED_FOR)
        };
        self.pairs.contains(pair)
            || moved(&instrument.base)
            || moved(&instrument.quote)
            || covered.is_none_or(|at| hand.tick.since(at) >= hand.cadence.quiet)
    }

    async fn fills_of(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        pair: &str,
        ambiguous: Option<(UnixMillis, UnixMillis)>,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let known = self.marks.entry(pair.to_owned()).or_default();
        let probe = Query::fills_in(pair, Window::new(now, now));
        let window_max = self.connector.window_max(&probe).unwrap_or(Duration::MAX);
        let questions = known.questions(pair, self.since, now, window_max);
        let mut facts = Vec::new();
        for question in questions {
            facts.extend(self.ask(hand, question, context).await?);
        }
        let delivery = Delivery { account: self.name.clone(), seen: hand.desk.clock.now() };
        let marks = self.marks.entry(pair.to_owned()).or_default();
        let mut events = Vec::new();
        let mut read = BTreeMap::new();
        let mut assets = BTreeSet::new();
        for fact in facts {
            let Fact::Fill(fill) = fact else { continue };
            if !marks.is_new(&fill.id) || read.contains_key(&fill.id) {
                continue;
            }
            if fill.at > self.since && !within(fill.at, ambiguous) {
                events.push(delivery.fill(&fill)?);
            }
            assets.extend([fill.instrument.base.clone(), fill.instrument.quote.clone()]);
            assets.extend(fill.fee.map(|fee| fee.asset));
            read.insert(fill.id, fill.at);
        }
        // The whole answer was read: now the marks may move.
        marks.advance(read, now, window_max);
        if marks.is_used() {
            self.pairs.insert(pair.to_owned());
        }
        self.events.extend(events);
        for asset in assets {
            self.assets.entry(asset).or_default();
        }
        Ok(())
    }

    async fn transfers(
        &mut self,
        hand: Hand<'_>,
        ambiguous: Option<(UnixMillis, UnixMillis)>,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let back = u64::try_from(TRANSFERS_BACK.as_millis()).unwrap_or(u64::MAX);
        // Lists are by the time of the request: one from before the start may complete after it.
        let window = Window::new(UnixMillis(now.0.saturating_sub(back)), now);
        self.transfers.forget(window.start);
        self.transfers_of(hand, Query::deposits(window), ambiguous).await?;
        if now >= self.withdrawals_at {
            self.transfers_of(hand, Query::withdrawals(window), ambiguous).await?;
            self.withdrawals_at = now.saturating_add(hand.cadence.withdrawals);
        }
        if now >= self.fiat_deposits_at {
            let query = Query::fiat_orders(TransferKind::Deposit, window);
            self.transfers_of(hand, query, ambiguous).await?;
            self.fiat_deposits_at = now.saturating_add(hand.cadence.fiat);
            // Each costs half of the account's minute: one a round, where rounds take time.
            if !hand.cadence.fiat.is_zero() {
                return Ok(());
            }
        }
        if now >= self.fiat_withdrawals_at {
            let query = Query::fiat_orders(TransferKind::Withdrawal, window);
            self.transfers_of(hand, query, ambiguous).await?;
            self.fiat_withdrawals_at = now.saturating_add(hand.cadence.fiat);
        }
        Ok(())
    }

    async fn transfers_of(
        &mut self,
        hand: Hand<'_>,
        query: Query,
        ambiguous: Option<(UnixMillis, UnixMillis)>,
    ) -> Result<(), Incomplete> {
        let facts = self.ask(hand, query, &Context::default()).await?;
        let delivery = Delivery { account: self.name.clone(), seen: hand.desk.clock.now() };
        for fact in facts {
            let Fact::Transfer(transfer) = fact else { continue };
            let news = self.transfers.is_news(&transfer, self.since, delivery.seen);
            if !news || transfer.status == TransferStatus::Unknown {
                continue;
            }
            let at = happened(&transfer);
            if !within(at, ambiguous) {
                self.events.push(delivery.flow(&transfer)?);
            }
            self.assets.entry(transfer.asset.clone()).or_default();
            self.transfers.told(&transfer, delivery.seen);
        }
        Ok(())
    }

    async fn ask(
        &self,
        hand: Hand<'_>,
        query: Query,
        context: &Context,
    ) -> Result<Vec<Fact>, AskError> {
        let lease = self.newest().ok_or(AskError::Vault(VaultError::Gone))?;
        let signed = Signed::Live(&lease.session, lease.index);
        hand.desk.all(&lease.http, self.connector, query, signed, context).await
    }
}

/// Later than the first and not later than the second.
fn within(at: UnixMillis, span: Option<(UnixMillis, UnixMillis)>) -> bool {
    span.is_some_and(|(after, until)| at > after && at <= until)
}
