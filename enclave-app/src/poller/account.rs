//! One account of one session: what was read so far, and one round of reading.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use analytics::Event;
use analytics::text::Name;
use exchanges::{
    Balance, Connector, Context, ExchangeError, Fact, Query, Transfer, TransferKind,
    TransferStatus, Window,
};
use protocol::category::Category;
use protocol::time::UnixMillis;
use tokio_util::sync::CancellationToken;

use super::ask::{AskError, Desk, Signed, refuses_key};
use super::convert::{Delivery, NotCarried, happened};
use super::market::{PublicData, watched};
use crate::egress::Http;
use crate::sessions::{Active, Session};

/// How far back transfers are asked for at every poll: pending ones become final, and completed
/// ones can be listed late. What was seen before is not counted again.
const TRANSFERS_BACK: Duration = Duration::from_hours(48);
/// What exchanges count their limits in.
const A_MINUTE: Duration = Duration::from_mins(1);
/// Permissions are read again after this long: customers can widen a key later.
const PERMISSIONS_AGE_MAX: Duration = Duration::from_hours(24);

/// An account that is polled.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) session: Arc<Session<Active>>,
    /// Its place in the session.
    pub(super) index: usize,
    /// Its name in the results.
    pub(super) name: Name,
    /// Cancelled when the session ends.
    pub(super) ended: CancellationToken,
    connector: &'static dyn Connector,
    /// Connections of its own, gone with it: they carried its key.
    http: Http,
    /// Nothing at or before this time is asked for: the first balance contains it.
    since: UnixMillis,
    /// The next fill to ask for, by pair; absent where none was seen.
    marks: BTreeMap<String, u64>,
    /// Assets and pairs that were ever seen here.
    assets: BTreeSet<String>,
    pairs: BTreeSet<String>,
    /// Transfers that were counted, and when they were last listed.
    transfers: BTreeMap<String, UnixMillis>,
    /// When the slow questions are due.
    withdrawals_at: UnixMillis,
    fiat_due: (TransferKind, UnixMillis),
    permissions_at: UnixMillis,
}

/// How often the expensive questions are asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cadence {
    pub(super) withdrawals: Duration,
    pub(super) fiat: Duration,
}

/// What one round brought.
#[derive(Debug)]
pub(super) struct Round {
    /// Fills and flows, before the snapshot.
    pub(super) events: Vec<Event>,
    pub(super) snapshot: Option<Event>,
    /// Why it is not complete.
    pub(super) error: Option<Category>,
    /// The exchange no longer accepts the key, or lets it do more than read.
    pub(super) refused: bool,
}

/// Why a round is not complete.
#[derive(Debug)]
enum Incomplete {
    Ask(AskError),
    NotCarried,
}

impl From<AskError> for Incomplete {
    fn from(error: AskError) -> Self {
        Self::Ask(error)
    }
}

impl From<NotCarried> for Incomplete {
    fn from(_: NotCarried) -> Self {
        Self::NotCarried
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
}

impl Account {
    pub(super) fn new(
        session: Arc<Session<Active>>,
        index: usize,
        name: Name,
        ended: CancellationToken,
        connector: &'static dyn Connector,
        http: Http,
    ) -> Self {
        let since = session.started_at();
        let pairs = session
            .accounts()
            .get(index)
            .map(|account| account.symbols.iter().cloned().collect())
            .unwrap_or_default();
        Self {
            session,
            index,
            name,
            ended,
            connector,
            http,
            since,
            marks: BTreeMap::new(),
            assets: BTreeSet::new(),
            pairs,
            transfers: BTreeMap::new(),
            withdrawals_at: since,
            fiat_due: (TransferKind::Deposit, since),
            permissions_at: since.saturating_add(PERMISSIONS_AGE_MAX),
        }
    }

    /// Assets that were ever seen here.
    pub(super) fn assets(&self) -> impl Iterator<Item = &String> {
        self.assets.iter()
    }

    /// Reads everything that is new. Progress marks advance only with a whole answer, so what a
    /// failed round missed is asked for again.
    pub(super) async fn round(&mut self, hand: Hand<'_>) -> Round {
        let mut events = Vec::new();
        let outcome = self.read(hand, &mut events).await;
        let now = hand.desk.clock.now();
        let delivery = Delivery { account: self.name.clone(), seen: now };
        let (balances, error) = match outcome {
            Ok(balances) => (balances, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let complete = error.is_none();
        let (category, refused) = match &error {
            None => (None, false),
            Some(Incomplete::Ask(error)) => {
                let refused = refuses_key(error)
                    || matches!(error, AskError::Exchange(ExchangeError::KeyRefused(_)));
                (Some(error.category()), refused && error.ends_account())
            }
            Some(Incomplete::NotCarried) => (Some(Category::Unavailable), false),
        };
        match delivery.snapshot(hand.tick, &balances, complete) {
            Ok(snapshot) => Round { events, snapshot: Some(snapshot), error: category, refused },
            Err(NotCarried) => {
                let snapshot = delivery.snapshot(hand.tick, &[], false).ok();
                Round { events, snapshot, error: Some(Category::Unavailable), refused }
            }
        }
    }

    async fn read(
        &mut self,
        hand: Hand<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Vec<Balance>, Incomplete> {
        hand.public.keep_clock(hand.desk).await?;
        let context = hand.public.context(hand.desk, false).await?;
        self.check_permissions(hand).await?;
        let balances = self.balances(hand, &context).await?;
        match self.fills(hand, &context, events).await {
            Err(Incomplete::Ask(AskError::Exchange(ExchangeError::UnknownInstrument))) => {
                let context = hand.public.context(hand.desk, true).await?;
                self.fills(hand, &context, events).await?;
            }
            other => other?,
        }
        self.transfers(hand, events).await?;
        Ok(balances)
    }

    async fn check_permissions(&mut self, hand: Hand<'_>) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        if now < self.permissions_at {
            return Ok(());
        }
        let facts = self.ask(hand, Query::Permissions, &Context::default()).await?;
        let permissions = facts.into_iter().find_map(|fact| match fact {
            Fact::Permissions(permissions) => Some(permissions),
            _ => None,
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
        let facts = self.ask(hand, Query::Balances, context).await?;
        let mut balances = Vec::new();
        for fact in facts {
            if let Fact::Balance(balance) = fact {
                self.assets.insert(balance.asset.clone());
                balances.push(balance);
            }
        }
        Ok(balances)
    }

    /// Fills of every watched pair, by id from the mark, or since the start where none was seen.
    async fn fills(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        events: &mut Vec<Event>,
    ) -> Result<(), Incomplete> {
        let mut asked = BTreeSet::new();
        loop {
            // A fill can bring an asset that makes further pairs worth asking.
            let pairs = watched(context, &self.pairs, &self.assets);
            let Some(pair) = pairs.into_iter().find(|pair| !asked.contains(pair)) else {
                return Ok(());
            };
            self.fills_of(hand, context, &pair, events).await?;
            asked.insert(pair);
        }
    }

    async fn fills_of(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        pair: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), Incomplete> {
        let mut facts = Vec::new();
        if let Some(mark) = self.marks.get(pair) {
            facts = self.ask(hand, Query::fills_from(pair, *mark), context).await?;
        } else {
            let whole = Window::new(self.after_since(), hand.desk.clock.now());
            let probe = Query::fills_in(pair, whole);
            let max = self.connector.window_max(&probe).unwrap_or(Duration::MAX);
            for window in whole.split(max) {
                facts.extend(self.ask(hand, Query::fills_in(pair, window), context).await?);
            }
        }
        let delivery = Delivery { account: self.name.clone(), seen: hand.desk.clock.now() };
        let mut mark = self.marks.get(pair).copied();
        let mut read = Vec::new();
        let mut assets = Vec::new();
        for fact in facts {
            let Fact::Fill(fill) = fact else { continue };
            read.push(delivery.fill(&fill)?);
            let id: Option<u64> = fill.id.parse().ok();
            mark = mark.max(id.map(|id| id.saturating_add(1)));
            assets.extend([fill.instrument.base.clone(), fill.instrument.quote.clone()]);
            assets.extend(fill.fee.map(|fee| fee.asset));
        }
        // The whole window succeeded: now the marks may move.
        events.extend(read);
        self.assets.extend(assets);
        if let Some(mark) = mark {
            self.marks.insert(pair.to_owned(), mark);
            self.pairs.insert(pair.to_owned());
        }
        Ok(())
    }

    async fn transfers(
        &mut self,
        hand: Hand<'_>,
        events: &mut Vec<Event>,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let back = u64::try_from(TRANSFERS_BACK.as_millis()).unwrap_or(u64::MAX);
        // Lists are by the time of the request: one from before the start may complete after it.
        let start = UnixMillis(now.0.saturating_sub(back));
        self.transfers.retain(|_, listed| *listed >= start);
        let window = Window::new(start, now);
        self.transfers_of(hand, Query::deposits(window), events).await?;
        if now >= self.withdrawals_at
            && self.in_room(hand, Query::withdrawals(window), events).await?
        {
            self.withdrawals_at = now.saturating_add(hand.cadence.withdrawals);
        }
        // One kind a round: two are more than an account's minute has room for.
        let (kind, due_at) = self.fiat_due;
        if now >= due_at && self.in_room(hand, Query::fiat_orders(kind, window), events).await? {
            self.fiat_due = match kind {
                TransferKind::Deposit => (TransferKind::Withdrawal, now.saturating_add(A_MINUTE)),
                TransferKind::Withdrawal => {
                    (TransferKind::Deposit, now.saturating_add(hand.cadence.fiat))
                }
            };
        }
        Ok(())
    }

    /// Asks an expensive question if there is room for it now; `false` leaves it for the next
    /// round, which is complete all the same: transfers may be listed late.
    async fn in_room(
        &mut self,
        hand: Hand<'_>,
        query: Query,
        events: &mut Vec<Event>,
    ) -> Result<bool, Incomplete> {
        match self.transfers_of(hand, query, events).await {
            Err(Incomplete::Ask(AskError::OverLimit)) => Ok(false),
            other => other.map(|()| true),
        }
    }

    async fn transfers_of(
        &mut self,
        hand: Hand<'_>,
        query: Query,
        events: &mut Vec<Event>,
    ) -> Result<(), Incomplete> {
        let facts = self.ask(hand, query, &Context::default()).await?;
        let delivery = Delivery { account: self.name.clone(), seen: hand.desk.clock.now() };
        for fact in facts {
            let Fact::Transfer(transfer) = fact else { continue };
            if let Some(listed) = self.transfers.get_mut(&id_of(&transfer)) {
                *listed = delivery.seen;
            }
            if !self.is_news(&transfer) {
                continue;
            }
            if let Some(event) = delivery.flow(&transfer)? {
                events.push(event);
                self.assets.insert(transfer.asset.clone());
                self.transfers.insert(id_of(&transfer), delivery.seen);
            }
        }
        Ok(())
    }

    fn is_news(&self, transfer: &Transfer) -> bool {
        transfer.status == TransferStatus::Ok
            && happened(transfer) > self.since
            && !self.transfers.contains_key(&id_of(transfer))
    }

    /// The first millisecond that the first balance does not contain.
    fn after_since(&self) -> UnixMillis {
        UnixMillis(self.since.0.saturating_add(1))
    }

    async fn ask(
        &self,
        hand: Hand<'_>,
        query: Query,
        context: &Context,
    ) -> Result<Vec<Fact>, AskError> {
        let signed = Signed::Live(&self.session, self.index);
        hand.desk.all(&self.http, self.connector, query, signed, context).await
    }
}

/// Deposits and withdrawals have identifiers of their own.
fn id_of(transfer: &Transfer) -> String {
    let kind = match transfer.kind {
        TransferKind::Deposit => 'd',
        TransferKind::Withdrawal => 'w',
    };
    format!("{kind}{}", transfer.id)
}
