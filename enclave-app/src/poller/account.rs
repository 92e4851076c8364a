//! One account of a portfolio: what was read so far, and one round of reading.
//!
//! Several sessions may read the same account, as when a customer opens a new one before the old
//! one ends. The account is polled once, with the newest key; each session is a [`Lease`] on it.

mod fills;
mod holdings;
mod movements;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use analytics::Event;
use analytics::text::Name;
use exchanges::{Connector, Context, ExchangeError, Fact, Kind, Proof, Query};
use protocol::category::Category;
use protocol::session::End;
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use tokio_util::sync::CancellationToken;

use super::MOMENT_MAX;
use super::admission::admit;
use super::ask::{AskError, Desk, Signed, refuses_key};
use super::bookings::Bookings;
use super::charges::Charges;
use super::convert::{Delivery, NotCarried};
use super::market::PublicData;
use super::marks::Marks;
use super::plan::{Cadence, Movement, Plan};
use super::transfers::Transfers;
use crate::egress::Http;
use crate::sessions::{Active, Session, VaultError};
pub(super) use holdings::Held;

/// Permissions are read again after this long.
const PERMISSIONS_AGE_MAX: Duration = Duration::from_hours(24);

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
    /// When its key's permissions are read again: customers can widen a key later.
    pub(super) permissions_at: UnixMillis,
}

impl Lease {
    /// A right to read with a key that the opening of `session` has checked.
    pub(super) fn new(
        session: Arc<Session<Active>>,
        index: usize,
        ended: CancellationToken,
        http: Http,
    ) -> Self {
        let permissions_at = session.started_at().saturating_add(PERMISSIONS_AGE_MAX);
        Self { session, index, ended, http, permissions_at }
    }
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
    plan: &'static Plan,
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
    /// Wallets whose transfers are listed under their own ids.
    wallets: Vec<String>,
    /// Pairs the customer named, and those that had fills.
    pairs: BTreeSet<String>,
    transfers: Transfers,
    bookings: Bookings,
    /// Where fills have their fees from, if not from their own list.
    charges: Charges,
    /// When the slow lists are due again.
    due: BTreeMap<Movement, UnixMillis>,
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
    pub(super) fn new(
        name: Name,
        plan: &'static Plan,
        connector: &'static dyn Connector,
        lease: Lease,
    ) -> Self {
        let since = lease.session.started_at();
        let mut account = Self {
            name,
            leases: Vec::new(),
            ended: End::Revoked,
            plan,
            connector,
            events: Vec::new(),
            since,
            begun: false,
            marks: BTreeMap::new(),
            assets: BTreeMap::new(),
            balances: BTreeMap::new(),
            wallets: Vec::new(),
            pairs: BTreeSet::new(),
            transfers: Transfers::default(),
            bookings: Bookings::default(),
            charges: Charges::default(),
            due: BTreeMap::new(),
        };
        account.take(lease);
        account
    }

    /// Another session reads the same account.
    pub(super) fn join(&mut self, other: Self) {
        for lease in other.leases {
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

    /// How it is read.
    pub(super) const fn plan(&self) -> &'static Plan {
        self.plan
    }

    fn delivery(&self, seen: UnixMillis) -> Delivery {
        Delivery { account: self.name.clone(), market: self.plan.market, seen }
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
        let delivery = self.delivery(now);
        let (snapshot, error) = match outcome.unwrap_or(Err(Incomplete::TooSlow)) {
            Ok(held) => match delivery.snapshot(hand.tick, &held, true) {
                Ok(snapshot) => (Some(snapshot), None),
                Err(error) => (None, Some(error.into())),
            },
            Err(error) => (None, Some(error)),
        };
        self.begun |= error.is_none();
        Round {
            snapshot: snapshot
                .or_else(|| delivery.snapshot(hand.tick, &Held::default(), false).ok()),
            wiped: error.as_ref().is_some_and(Incomplete::is_wiped),
            refused: error.as_ref().is_some_and(Incomplete::refuses_key),
            error: error.as_ref().map(Incomplete::category),
        }
    }

    async fn read(&mut self, hand: Hand<'_>) -> Result<Held, Incomplete> {
        hand.public.keep_clock(hand.desk).await?;
        self.check_permissions(hand).await?;
        let mut context = hand.public.context(hand.desk, None).await?;
        let asked_at = hand.desk.clock.now();
        let held = self.holdings(hand, &context).await?;
        if hand.desk.clock.now().since(hand.tick) > MOMENT_MAX {
            return Err(Incomplete::TooSlow);
        }
        if self.assets.keys().any(|asset| !context.knows_asset(asset)) {
            context = hand.public.context(hand.desk, Some(hand.cadence.unlisted)).await?;
        }
        // A first balance holds what happened until it was read, not only until its time.
        let ambiguous = (!self.begun).then_some((hand.tick, asked_at));
        // Bookings tell which pairs were traded, so they come first; neither list waits for the
        // other's success.
        let moved = self.movements(hand, &context, ambiguous).await;
        let filled = match self.fills(hand, &context, ambiguous).await {
            Err(error) if error.is_unlisted() => {
                let context = hand.public.context(hand.desk, Some(Duration::ZERO)).await?;
                self.fills(hand, &context, ambiguous).await
            }
            other => other,
        };
        self.settle_charges(hand)?;
        filled?;
        moved?;
        Ok(held)
    }

    async fn check_permissions(&mut self, hand: Hand<'_>) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let Some(lease) = self.newest().filter(|lease| now >= lease.permissions_at) else {
            return Ok(());
        };
        // A key that was confirmed once does not become one of which nothing is known.
        let of = lease.session.accounts().get(lease.index);
        let known = of.map_or(Proof::Confirmed, |account| account.proof);
        let facts = self.ask(hand, Query::Permissions, &Context::default()).await?;
        let permissions = facts.into_iter().find_map(|fact| {
            if let Fact::Permissions(permissions) = fact { Some(permissions) } else { None }
        });
        permissions
            .ok_or(ExchangeError::Malformed { field: "permissions" })
            .and_then(|permissions| Ok(admit(permissions, known)?))
            .map_err(AskError::from)?;
        if let Some(lease) = self.leases.last_mut() {
            lease.permissions_at = now.saturating_add(PERMISSIONS_AGE_MAX);
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

/// After the first and until the second a first balance may or may not hold what happened.
type Ambiguous = Option<(UnixMillis, UnixMillis)>;

/// Later than the first and not later than the second.
fn within(at: UnixMillis, span: Ambiguous) -> bool {
    span.is_some_and(|(after, until)| at > after && at <= until)
}
