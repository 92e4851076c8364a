//! The poller: every account of every portfolio, once an interval.
//!
//! A portfolio has one task. Its rounds lie on a grid that begins with its first session, and all
//! accounts of a round share its time. Portfolios that begin together are polled together. In a
//! round:
//!
//! 1. accounts are asked side by side (`account`): balances, fills (`marks`), transfers;
//! 2. prices come from data shared by all portfolios (`market`), for what is held;
//! 3. prices, fills and flows, then snapshots go into the analytics ([`Portfolio`]).
//!
//! Everything that is sent goes through `ask`: limits, signature, retries, breaker, clock.
//!
//! # Guarantees
//!
//! * A failed page is never an empty page: the account's snapshot is then marked incomplete, its
//!   progress marks stay, and the next round asks again.
//! * A session that ended is not read with: its round under way is dropped, with its connections.
//! * A round ends before the next one is due.

mod account;
mod admission;
mod ask;
mod bookings;
mod breaker;
mod charges;
mod convert;
mod limiter;
mod market;
mod marks;
mod ping;
mod plan;
#[cfg(feature = "simulator")]
pub mod scenario;
#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;
mod transfers;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use analytics::DigestKey;
use analytics::text::Name;
use async_trait::async_trait;
use exchanges::{Context, Price, Proof};
use futures_util::future::{join_all, try_join_all};
use protocol::claim::{ClaimReply, ClaimRequest};
use protocol::portfolio::PortfolioId;
use protocol::report_payload::{RateSource, SessionSpan};
use protocol::time::UnixMillis;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine_api::{
    AccountRefusal, AccountStatus, CheckedAccount, Engine, EngineParts, EngineStatus,
    OpenedAccount, ReportRefusal, StartRefusal,
};
use crate::portfolio::Portfolio;
use crate::sessions::{Active, Session, Vault};
use crate::{claim, report};
use account::{Account, Hand, Lease, Round};
use ask::{AskError, Desk};
use market::{Markets, PublicData};
use plan::{Cadence, PLANS, Plan};

/// Past this distance of an exchange's clock from ours nothing is signed: one of them is wrong.
const CLOCK_DISTANCE_MS_MAX: u64 = 30_000;
/// How long after a round's time its balances and prices may be read. What is read later is not
/// that time's: the round is then no valuation.
const MOMENT_MAX: Duration = Duration::from_secs(30);
/// Portfolios remembered at once. Past it, those that nobody reads and that have the least
/// history are forgotten: a new key costs nothing, a history cannot be made up.
const PORTFOLIOS_MAX: usize = 10_000;

/// The engine behind the API.
#[derive(Debug)]
pub struct Poller {
    /// For the tasks it starts.
    me: Weak<Self>,
    parts: EngineParts,
    desk: Desk,
    markets: Markets,
    portfolios: Mutex<Portfolios>,
    sessions: Mutex<HashMap<u64, Live>>,
    stop: CancellationToken,
    numbers: AtomicU64,
    #[cfg(feature = "simulator")]
    rounds: scenario::Rounds,
}

/// By owner.
type Portfolios = HashMap<PortfolioId, Arc<Cell>>;

/// The last prices of one source.
type Quotes<'a> = (&'a PublicData, Result<Vec<market::Prices>, AskError>);

/// A portfolio and its task.
#[derive(Debug)]
struct Cell {
    #[cfg_attr(
        not(feature = "simulator"),
        expect(dead_code, reason = "a scenario's clock tells portfolios apart by it")
    )]
    number: u64,
    portfolio: Mutex<Portfolio>,
    /// Accounts that are to be polled from the next round on.
    joining: Mutex<Vec<Account>>,
    running: Mutex<bool>,
    changed: Notify,
}

/// What is kept of a live session.
#[derive(Debug)]
struct Live {
    cell: Arc<Cell>,
    /// Names in the results, in the session's order.
    names: Vec<Option<Name>>,
    ended: CancellationToken,
}

impl Cell {
    fn portfolio(&self) -> MutexGuard<'_, Portfolio> {
        lock(&self.portfolio)
    }
}

/// What a lock guards here is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Poller {
    /// Builds the engine; nothing is polled before a session starts.
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let offered: Vec<_> = PLANS
            .iter()
            .filter(|plan| parts.deployment.serves(plan.venue.name()))
            .map(|plan| (plan.venue, plan.market))
            .filter(|(venue, market)| admits(&parts, *venue, *market))
            .collect();
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            desk: Desk::new(Arc::clone(&parts.clock), Arc::clone(&parts.entropy), minutes(&parts)),
            markets: Markets::new(&parts.egress, &offered),
            portfolios: Mutex::default(),
            sessions: Mutex::default(),
            stop: CancellationToken::new(),
            numbers: AtomicU64::new(1),
            #[cfg(feature = "simulator")]
            rounds: scenario::Rounds::default(),
            parts,
        })
    }

    /// Runs until `stop`, and then ends all polling: pings the exchanges, or moves the scenario's
    /// clock where there is one.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        #[cfg(feature = "simulator")]
        if let Some(clock) = self.parts.scenario.clone() {
            let http = self.parts.egress.http(&[crate::egress::SCENARIO_HOST]);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.rounds.conduct(http, &clock) => stop.cancelled().await,
            }
            self.stop.cancel();
            return;
        }
        let ping = self.parts.image.polling.ping;
        let pings = self.markets.served().map(|data| ping::keep(&self.desk, data, ping));
        tokio::select! {
            () = stop.cancelled() => {}
            _ = join_all(pings) => stop.cancelled().await,
        }
        self.stop.cancel();
    }

    /// The portfolio of a session, made if this is its first. One key has one portfolio and one
    /// history: another base currency would begin a second one beside it.
    fn cell(&self, session: &Session<Active>) -> Result<Arc<Cell>, StartRefusal> {
        let id = session.portfolio_id();
        let mut portfolios = lock(&self.portfolios);
        if let Some(cell) = portfolios.get(&id) {
            counts_in(cell, session.base_currency())?;
            return Ok(Arc::clone(cell));
        }
        let mut key = [0; 16];
        self.parts.entropy.fill(&mut key)?;
        let portfolio = Portfolio::begin(
            *session.portfolio_key(),
            session.base_currency(),
            session.started_at(),
            self.parts.image.polling.interval,
            DigestKey::from_bytes(key),
        )
        .map_err(|_| StartRefusal::Uncounted)?;
        let cell = Arc::new(Cell {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            portfolio: Mutex::new(portfolio),
            joining: Mutex::default(),
            running: Mutex::new(false),
            changed: Notify::new(),
        });
        make_room(&mut portfolios, PORTFOLIOS_MAX);
        portfolios.insert(id, Arc::clone(&cell));
        Ok(cell)
    }

    fn begin(&self, cell: &Arc<Cell>, since: UnixMillis) {
        let mut running = lock(&cell.running);
        if *running {
            cell.changed.notify_one();
            return;
        }
        *running = true;
        #[cfg(feature = "simulator")]
        self.rounds.enter(cell.number);
        let (Some(poller), cell) = (self.me.upgrade(), Arc::clone(cell)) else { return };
        self.parts.tasks.spawn(async move {
            tokio::select! {
                () = poller.stop.cancelled() => {}
                () = poller.poll(&cell, since) => {}
            }
        });
    }

    /// Polls one portfolio until nobody is left; the first session began at `since`.
    async fn poll(&self, cell: &Cell, since: UnixMillis) {
        let clock = &self.parts.clock;
        let mut accounts: Vec<Account> = Vec::new();
        let mut next = cell.portfolio().first_round(since);
        loop {
            tokio::select! {
                () = clock.until(next) => {}
                () = cell.changed.notified() => {}
            }
            adopt(cell, &mut accounts);
            self.let_go(cell, &mut accounts);
            if accounts.is_empty() {
                let mut running = lock(&cell.running);
                if lock(&cell.joining).is_empty() {
                    *running = false;
                    #[cfg(feature = "simulator")]
                    self.rounds.leave(cell.number);
                    return;
                }
                continue;
            }
            if clock.now() < next {
                continue;
            }
            self.round(cell, &mut accounts, next).await;
            self.let_go(cell, &mut accounts);
            let after = cell.portfolio().next_round(clock.now().max(next));
            // From here on a scenario's clock may move.
            #[cfg(feature = "simulator")]
            self.rounds.finish(cell.number, next);
            next = after;
        }
    }

    /// Accounts that no session reads any more leave together.
    fn let_go(&self, cell: &Cell, accounts: &mut Vec<Account>) {
        let now = self.parts.clock.now();
        for account in accounts.iter_mut() {
            account.drop_ended(now);
        }
        let gone: Vec<_> = accounts
            .iter()
            .filter_map(|account| Some((account.name.clone(), account.end()?)))
            .collect();
        if !gone.is_empty() {
            accounts.retain(|account| account.end().is_none());
            cell.portfolio().leave(&gone, now);
        }
    }

    async fn round(&self, cell: &Cell, accounts: &mut [Account], tick: UnixMillis) {
        let read = accounts.iter().filter(|account| account.newest().is_some());
        let sources = read.map(|account| account.plan().source()).collect();
        let quotes = self.quotes(sources);
        let rounds = accounts.iter_mut().map(|account| self.account_round(account, tick));
        // Side by side: what is held and what it is worth are of one moment.
        let (quotes, rounds) = tokio::join!(quotes, join_all(rounds));
        let held: BTreeSet<String> = accounts.iter().flat_map(Account::assets).cloned().collect();
        let mut complete = self.feed_prices(cell, quotes, &held, tick);

        let now = self.parts.clock.now();
        let mut portfolio = cell.portfolio();
        let next = portfolio.next_round(now.max(tick));
        for account in accounts.iter_mut() {
            for event in account.take_events() {
                portfolio.feed(&event);
            }
        }
        for (account, round) in accounts.iter_mut().zip(rounds) {
            let Some(round) = round else { continue };
            if let Some(snapshot) = &round.snapshot {
                portfolio.feed(snapshot);
            }
            complete &= round.error.is_none();
            portfolio.note(&account.name, |status: &mut AccountStatus| {
                status.next_poll = Some(next);
                status.last_error = round.error;
                if round.error.is_none() {
                    status.last_complete_poll = Some(tick);
                    status.polls_complete = status.polls_complete.saturating_add(1);
                } else {
                    status.polls_incomplete = status.polls_incomplete.saturating_add(1);
                }
            });
            if round.refused {
                account.drop_refused();
                info!("an exchange no longer accepts a key; it is not used any more");
            }
        }
        portfolio.round_done(complete);
    }

    /// `None` if every session that reads the account ended meanwhile.
    async fn account_round(&self, account: &mut Account, tick: UnixMillis) -> Option<Round> {
        loop {
            let lease = account.newest()?;
            let of = lease.session.accounts().get(lease.index)?;
            let hand = Hand {
                desk: &self.desk,
                public: self.markets.of(of.venue, of.market)?,
                cadence: self.cadence(),
                tick,
                patience: self.parts.image.polling.interval / 5 * 4,
            };
            let ended = lease.ended.clone();
            // The connections of a session that ended held its key, and go with it at once.
            tokio::select! {
                () = ended.cancelled() => account.drop_ended(self.parts.clock.now()),
                round = account.round(hand) => {
                    if !round.wiped {
                        return Some(round);
                    }
                    account.drop_wiped(self.parts.clock.now());
                }
            }
        }
    }

    /// The last prices of every source that the accounts are valued by.
    async fn quotes(
        &self,
        sources: BTreeSet<(exchanges::Venue, exchanges::Market)>,
    ) -> Vec<Quotes<'_>> {
        let sources =
            sources.into_iter().filter_map(|(venue, market)| self.markets.source(venue, market));
        let ask = |data| async move {
            let patience = self.parts.image.polling.interval / 5 * 4;
            let asked = tokio::time::timeout(patience, self.prices_of(data)).await;
            (data, asked.unwrap_or(Err(AskError::CircuitOpen)))
        };
        join_all(sources.chain(&self.markets.reference).map(ask)).await
    }

    /// Feeds prices of everything held, against each other and the pivots. For an asset that is
    /// new, those of the rounds before as well: a fill may have happened under them.
    fn feed_prices(
        &self,
        cell: &Cell,
        quotes: Vec<Quotes<'_>>,
        held: &BTreeSet<String>,
        tick: UnixMillis,
    ) -> bool {
        let mut portfolio = cell.portfolio();
        let wanted = portfolio.to_price(held);
        let new = portfolio.newly_priced(&wanted);
        let mut complete = true;
        for (data, prices) in quotes {
            let prices = match prices {
                Ok(prices) => prices,
                Err(error) => {
                    warn!(category = error.category().code(), "no prices for a round");
                    complete = false;
                    continue;
                }
            };
            let seen = self.parts.clock.now().max(tick);
            let foreign = self.markets.is_reference(data)
                || portfolio.venues().all(|venue| venue != data.venue());
            let last = prices.len().saturating_sub(1);
            for (index, round) in prices.iter().enumerate() {
                // Whoever slows the road down must not choose the moment of a valuation.
                if round.at.since(tick) > MOMENT_MAX {
                    complete = false;
                    continue;
                }
                let relevant = |price: &&Price| {
                    let first = new.contains(&price.base) || new.contains(&price.quote);
                    wanted.contains(&price.base)
                        && wanted.contains(&price.quote)
                        && (index == last || first)
                };
                for price in round.all.iter().filter(relevant) {
                    match convert::price(price, round.at.min(tick), seen) {
                        Ok(event) => portfolio.feed(&event),
                        Err(convert::NotCarried) => complete = false,
                    }
                    if foreign {
                        portfolio.note_source(RateSource {
                            pair: format!("{}/{}", price.base, price.quote),
                            source: data.venue().to_owned(),
                        });
                    }
                }
            }
        }
        complete
    }

    /// What keys must be admitted on at least: the image and the deployment, both measured.
    fn least(&self) -> Proof {
        let trust = &self.parts.deployment.trust;
        if self.parts.image.keys.admit_unreadable && trust.allow_unreadable_permissions {
            Proof::Unreadable
        } else {
            Proof::Confirmed
        }
    }

    async fn prices_of(&self, data: &PublicData) -> Result<Vec<market::Prices>, AskError> {
        let context = if self.markets.is_reference(data) {
            Arc::new(Context::default())
        } else {
            data.context(&self.desk, None).await?
        };
        data.prices(&self.desk, &context).await
    }

    #[cfg_attr(
        not(feature = "simulator"),
        expect(clippy::unused_self, reason = "a scenario has a cadence of its own")
    )]
    fn cadence(&self) -> Cadence {
        // A scenario's hours last a second.
        #[cfg(feature = "simulator")]
        if self.parts.scenario.is_some() {
            return Cadence::ALWAYS;
        }
        Cadence::USUAL
    }
}

/// How many minutes' allowance a round may use at once: a scenario's clock stands still in it.
fn minutes(parts: &EngineParts) -> u32 {
    #[cfg(feature = "simulator")]
    if parts.scenario.is_some() {
        return u32::try_from(parts.image.polling.interval.as_secs() / 60).unwrap_or(1).max(1);
    }
    let _ = parts;
    1
}

fn counts_in(cell: &Cell, base: &str) -> Result<(), StartRefusal> {
    let portfolio = cell.portfolio();
    if portfolio.base_currency == base {
        Ok(())
    } else {
        Err(StartRefusal::OtherBase { base: portfolio.base_currency.clone() })
    }
}

/// Whether the image may reach every host of a market.
fn admits(parts: &EngineParts, venue: exchanges::Venue, market: exchanges::Market) -> bool {
    let admitted = |host: &&str| parts.image.hosts.iter().any(|it| it == host);
    exchanges::connector(venue, market).is_some_and(|it| it.hosts().iter().all(admitted))
}

/// Takes joining accounts in; one that is polled already gets another lease.
fn adopt(cell: &Cell, accounts: &mut Vec<Account>) {
    for joining in lock(&cell.joining).drain(..) {
        match accounts.iter_mut().find(|account| account.name == joining.name) {
            Some(account) => account.join(joining),
            None => accounts.push(joining),
        }
    }
}

/// Forgets the idle portfolio with the least history, if there are `max`.
fn make_room(portfolios: &mut Portfolios, max: usize) {
    if portfolios.len() < max {
        return;
    }
    // The map's own reference is the only one to a portfolio that nobody reads.
    let least = portfolios
        .iter()
        .filter(|(_, cell)| Arc::strong_count(cell) == 1)
        .min_by_key(|(_, cell)| cell.portfolio().rounds_complete())
        .map(|(key, _)| *key);
    if let Some(key) = least {
        portfolios.remove(&key);
        warn!("too many portfolios; the idle one with the least history is forgotten");
    }
}

#[async_trait]
impl Engine for Poller {
    async fn verify_accounts(
        &self,
        vault: &Vault,
        accounts: &[OpenedAccount],
    ) -> Result<Vec<CheckedAccount>, AccountRefusal> {
        let check = |(index, account): (usize, &OpenedAccount)| {
            let offered = self.markets.of(account.venue, account.market).is_some();
            let account = account.clone();
            async move {
                if !offered {
                    return Err(AccountRefusal::NotOffered { label: account.label });
                }
                let keys = (vault, index);
                admission::check(&self.desk, &self.parts.egress, self.least(), keys, &account).await
            }
        };
        try_join_all(accounts.iter().enumerate().map(check)).await
    }

    fn counts_in(&self, portfolio: &PortfolioId, base: &str) -> Result<(), StartRefusal> {
        let cell = lock(&self.portfolios).get(portfolio).map(Arc::clone);
        cell.map_or(Ok(()), |cell| counts_in(&cell, base))
    }

    fn start(&self, session: Arc<Session<Active>>) -> Result<(), StartRefusal> {
        let cell = self.cell(&session)?;
        let ended = CancellationToken::new();
        let names = cell.portfolio().join(session.accounts(), session.started_at());
        for (index, (of, name)) in session.accounts().iter().zip(&names).enumerate() {
            let connector = exchanges::connector(of.venue, of.market);
            let plan = Plan::of(of.venue, of.market);
            if let (Some(connector), Some(plan), Some(name)) = (connector, plan, name) {
                let http = self.parts.egress.http(connector.hosts());
                let lease = Lease::new(Arc::clone(&session), index, ended.clone(), http);
                lock(&cell.joining).push(Account::new(name.clone(), plan, connector, lease));
            }
        }
        let live = Live { cell: Arc::clone(&cell), names, ended };
        lock(&self.sessions).insert(session.number(), live);
        self.begin(&cell, session.started_at());
        Ok(())
    }

    fn stop(&self, session: &Session<Active>) {
        let live = lock(&self.sessions).remove(&session.number());
        if let Some(live) = live {
            live.ended.cancel();
            live.cell.changed.notify_one();
        }
    }

    fn status(&self, session: &Session<Active>) -> EngineStatus {
        let sessions = lock(&self.sessions);
        let Some(live) = sessions.get(&session.number()) else { return EngineStatus::default() };
        let portfolio = live.cell.portfolio();
        let status = |name: &Option<Name>| {
            name.as_ref().map(|name| portfolio.status(name)).unwrap_or_default()
        };
        EngineStatus {
            accounts: live.names.iter().map(status).collect(),
            coverage: portfolio.coverage(self.parts.clock.now()),
        }
    }

    async fn report(&self, session: &Session<Active>) -> Result<Vec<u8>, ReportRefusal> {
        let cell = self.to_be_signed(session)?;
        let payload = {
            let span =
                SessionSpan { started_at: session.started_at(), expires_at: session.expires_at() };
            let simulated = self.parts.signer.simulated();
            report::payload(&cell.portfolio(), span, self.parts.clock.now(), simulated)?
        };
        report::sign(&payload, self.parts.signer.as_ref()).await
    }

    async fn claim(
        &self,
        session: &Session<Active>,
        claim: &ClaimRequest,
    ) -> Result<ClaimReply, ReportRefusal> {
        let cell = self.to_be_signed(session)?;
        let simulated = self.parts.signer.simulated();
        let judged = claim::judge(&mut cell.portfolio(), claim, self.parts.clock.now(), simulated)?;
        Ok(match judged {
            Ok(payload) => {
                ClaimReply::Signed(report::sign(&payload, self.parts.signer.as_ref()).await?)
            }
            Err(refused) => ClaimReply::Refused(refused),
        })
    }
}

impl Poller {
    /// The portfolio of a session, while the exchanges' clocks agree with ours.
    fn to_be_signed(&self, session: &Session<Active>) -> Result<Arc<Cell>, ReportRefusal> {
        let cell = lock(&self.sessions)
            .get(&session.number())
            .map(|live| Arc::clone(&live.cell))
            .ok_or(ReportRefusal::NothingYet)?;
        let far = |venue| self.desk.clock_distance_ms(venue) > CLOCK_DISTANCE_MS_MAX;
        let disagrees = cell.portfolio().venues().any(far);
        if disagrees { Err(ReportRefusal::ClockDisagrees) } else { Ok(cell) }
    }
}
