//! The poller: every account of every session, once an interval.
//!
//! A portfolio has one task. Its rounds lie on a grid that begins with its first session, which
//! spreads portfolios over the interval; all accounts of a round share its time. In a round:
//!
//! 1. accounts are asked side by side ([`account`]): balances, fills, transfers;
//! 2. prices come from data shared by all sessions ([`market`]), for what is held;
//! 3. prices, fills and flows, then snapshots go into the analytics ([`Portfolio`]).
//!
//! Everything that is sent goes through [`ask`]: limits, signature, retries, breaker, clock.
//!
//! # Guarantees
//!
//! * A failed page is never an empty page: the account's snapshot is then marked incomplete, its
//!   progress marks stay, and the next round asks again.
//! * A session that ended is not polled: its round under way is dropped, with its connections.

mod account;
mod ask;
mod breaker;
mod convert;
mod limiter;
mod market;
#[cfg(feature = "simulator")]
pub mod scenario;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use analytics::text::Name;
use async_trait::async_trait;
use exchanges::{Context, ExchangeError, Fact, KeyRefused, Query};
use futures_util::future::join_all;
use protocol::portfolio::PortfolioId;
use protocol::report_payload::{RateSource, SessionSpan};
use protocol::session::{End, Identity, IdentityKind, Permission};
use protocol::time::UnixMillis;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::engine_api::{
    AccountRefusal, AccountStatus, CheckedAccount, Engine, EngineParts, EngineStatus,
    OpenedAccount, ReportRefusal,
};
use crate::portfolio::Portfolio;
use crate::report;
use crate::sessions::{Active, Session, Vault};
use account::{Account, Cadence, Hand, Round};
use ask::{AskError, Desk, Signed, refuses_key};
use market::Markets;

/// Past this distance of an exchange's clock from ours nothing is signed: one of them is wrong.
const CLOCK_DISTANCE_MS_MAX: u64 = 30_000;
/// How often withdrawals are asked for: one call costs a tenth of an account's minute.
const WITHDRAWALS_INTERVAL: Duration = Duration::from_hours(1);
/// How often bank transfers are asked for: one call costs half of an account's minute.
const FIAT_INTERVAL: Duration = Duration::from_hours(6);

/// The engine behind the API.
#[derive(Debug)]
pub struct Poller {
    /// For the tasks it starts.
    me: Weak<Self>,
    parts: EngineParts,
    desk: Desk,
    markets: Markets,
    portfolios: Mutex<HashMap<(PortfolioId, String), Arc<Cell>>>,
    sessions: Mutex<HashMap<u64, Live>>,
    stop: CancellationToken,
    numbers: AtomicU64,
    #[cfg(feature = "simulator")]
    rounds: scenario::Rounds,
}

/// A portfolio and its task.
#[derive(Debug)]
struct Cell {
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
    names: Vec<Name>,
    ended: CancellationToken,
}

impl Cell {
    fn portfolio(&self) -> MutexGuard<'_, Portfolio> {
        self.portfolio.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Poller {
    /// Builds the engine; nothing is polled before a session starts.
    pub fn new(parts: EngineParts) -> Arc<Self> {
        let offered: Vec<_> = OFFERED
            .into_iter()
            .filter(|(venue, _)| parts.deployment.serves(venue.name()))
            .collect();
        let egress = Arc::clone(&parts.egress);
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            desk: Desk::new(Arc::clone(&parts.clock)),
            markets: Markets::new(|| egress.http(), &offered),
            portfolios: Mutex::default(),
            sessions: Mutex::default(),
            stop: CancellationToken::new(),
            numbers: AtomicU64::new(1),
            #[cfg(feature = "simulator")]
            rounds: scenario::Rounds::default(),
            parts,
        })
    }

    /// Runs until `stop`: moves the scenario's clock where there is one, and ends all polling.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        #[cfg(feature = "simulator")]
        if let Some(clock) = self.parts.scenario.clone() {
            let http = self.parts.egress.http();
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.rounds.conduct(http, &clock) => stop.cancelled().await,
            }
            self.stop.cancel();
            return;
        }
        stop.cancelled().await;
        self.stop.cancel();
    }

    /// The portfolio of a session, made if this is its first.
    fn cell(&self, session: &Session<Active>) -> Option<Arc<Cell>> {
        let key = (session.portfolio_id(), session.base_currency().to_owned());
        let mut portfolios = self.portfolios.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = portfolios.get(&key) {
            return Some(Arc::clone(cell));
        }
        let portfolio = Portfolio::begin(
            *session.portfolio_key(),
            session.base_currency(),
            session.started_at(),
            self.parts.image.polling.interval,
        )
        .ok()?;
        let cell = Arc::new(Cell {
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            portfolio: Mutex::new(portfolio),
            joining: Mutex::default(),
            running: Mutex::new(false),
            changed: Notify::new(),
        });
        portfolios.insert(key, Arc::clone(&cell));
        Some(cell)
    }

    fn begin(&self, cell: &Arc<Cell>) {
        let mut running = cell.running.lock().unwrap_or_else(PoisonError::into_inner);
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
                () = poller.poll(&cell) => {}
            }
        });
    }

    /// Polls one portfolio until nobody is left.
    async fn poll(&self, cell: &Cell) {
        let clock = &self.parts.clock;
        let mut accounts: Vec<Account> = Vec::new();
        let mut next = cell.portfolio().first_round(clock.now());
        loop {
            tokio::select! {
                () = clock.until(next) => {}
                () = cell.changed.notified() => {}
            }
            self.adopt(cell, &mut accounts);
            if accounts.is_empty() {
                let mut running = cell.running.lock().unwrap_or_else(PoisonError::into_inner);
                let joining = cell.joining.lock().unwrap_or_else(PoisonError::into_inner);
                if joining.is_empty() {
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
            #[cfg(feature = "simulator")]
            self.rounds.finish(cell.number, next);
            next = cell.portfolio().next_round(clock.now().max(next));
        }
    }

    /// Takes joining accounts in and lets those go whose session has ended.
    fn adopt(&self, cell: &Cell, accounts: &mut Vec<Account>) {
        accounts.append(&mut cell.joining.lock().unwrap_or_else(PoisonError::into_inner));
        let now = self.parts.clock.now();
        accounts.retain(|account| {
            let over = account.ended.is_cancelled() || account.session.is_expired(now);
            if over {
                let expired = account.session.is_expired(now);
                let reason = if expired { End::Expired } else { End::Revoked };
                cell.portfolio().leave(&account.name, now, reason);
            }
            !over
        });
    }

    async fn round(&self, cell: &Cell, accounts: &mut Vec<Account>, tick: UnixMillis) {
        let rounds = accounts.iter_mut().map(|account| self.account_round(account, tick));
        let rounds: Vec<Option<Round>> = join_all(rounds).await;
        let held: BTreeSet<String> =
            accounts.iter().flat_map(Account::assets).cloned().collect();
        let priced = self.feed_prices(cell, accounts, &held, tick).await;

        let now = self.parts.clock.now();
        let mut portfolio = cell.portfolio();
        let next = portfolio.next_round(now.max(tick));
        let mut complete = priced;
        let mut refused = Vec::new();
        let mut snapshots = Vec::new();
        for (account, round) in accounts.iter().zip(rounds) {
            let Some(round) = round else { continue };
            for event in &round.events {
                portfolio.feed(event);
            }
            snapshots.extend(round.snapshot);
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
                refused.push(account.name.clone());
            }
        }
        for snapshot in &snapshots {
            portfolio.feed(snapshot);
        }
        portfolio.round_done(complete);
        for name in &refused {
            portfolio.leave(name, now, End::KeyRefused);
            info!("an exchange no longer accepts an account's key; it is not polled any more");
        }
        drop(portfolio);
        accounts.retain(|account| !refused.contains(&account.name));
    }

    /// `None` if the session ended meanwhile.
    async fn account_round(&self, account: &mut Account, tick: UnixMillis) -> Option<Round> {
        let of = account.session.accounts().get(account.index)?;
        let public = self.markets.of(of.venue, of.market)?;
        let hand = Hand { desk: &self.desk, public, cadence: self.cadence(), tick };
        let ended = account.ended.clone();
        tokio::select! {
            () = ended.cancelled() => None,
            round = account.round(hand) => Some(round),
        }
    }

    /// Prices of everything held, against each other and the pivots. For an asset that is new,
    /// those of the rounds before as well: a fill may have happened under them.
    async fn feed_prices(
        &self,
        cell: &Cell,
        accounts: &[Account],
        held: &BTreeSet<String>,
        tick: UnixMillis,
    ) -> bool {
        let mut complete = true;
        let mut sources = BTreeMap::new();
        for account in accounts {
            if let Some(of) = account.session.accounts().get(account.index) {
                sources.extend(
                    self.markets.of(of.venue, of.market).map(|data| ((of.venue, of.market), data)),
                );
            }
        }
        let wanted: BTreeSet<String> = {
            let portfolio = cell.portfolio();
            let base = std::iter::once(portfolio.base_currency.clone());
            held.iter().cloned().chain(portfolio.pivots().map(str::to_owned)).chain(base).collect()
        };
        let new = cell.portfolio().newly_priced(&wanted);
        for data in sources.into_values().chain(&self.markets.reference) {
            let prices = match self.prices_of(data).await {
                Ok(prices) => prices,
                Err(error) => {
                    warn!(category = error.category().code(), "no prices for a round");
                    complete = false;
                    continue;
                }
            };
            let seen = self.parts.clock.now().max(tick);
            let last = prices.len().saturating_sub(1);
            for (index, round) in prices.iter().enumerate() {
                for price in round.all.iter() {
                    let relevant = wanted.contains(&price.base) && wanted.contains(&price.quote);
                    let first = new.contains(&price.base) || new.contains(&price.quote);
                    if !relevant || (index < last && !first) {
                        continue;
                    }
                    match convert::price(price, round.at.min(tick), seen) {
                        Ok(event) => cell.portfolio().feed(&event),
                        Err(convert::NotCarried) => complete = false,
                    }
                }
            }
        }
        complete
    }

    async fn prices_of(&self, data: &market::PublicData) -> Result<Vec<market::Prices>, AskError> {
        let reference = self.markets.reference.as_ref();
        let context = if reference.is_some_and(|reference| std::ptr::eq(reference, data)) {
            Arc::new(Context::default())
        } else {
            data.context(&self.desk, false).await?
        };
        data.prices(&self.desk, &context).await
    }

    fn cadence(&self) -> Cadence {
        // A scenario's hours last a second: everything is asked for in every round.
        #[cfg(feature = "simulator")]
        if self.parts.scenario.is_some() {
            return Cadence { withdrawals: Duration::ZERO, fiat: FIAT_INTERVAL };
        }
        Cadence { withdrawals: WITHDRAWALS_INTERVAL, fiat: FIAT_INTERVAL }
    }

    async fn check(
        &self,
        vault: &Vault,
        index: usize,
        account: &OpenedAccount,
    ) -> Result<CheckedAccount, AccountRefusal> {
        let label = || account.label.clone();
        let not_offered = || AccountRefusal::NotOffered { label: label() };
        let offered = self.markets.of(account.venue, account.market).is_some();
        let connector = exchanges::connector(account.venue, account.market)
            .filter(|_| offered)
            .ok_or_else(not_offered)?;
        let http = self.parts.egress.http();
        let signed = Signed::Opening(vault, index);
        let refused = |error: AskError| refusal(label(), error);
        self.desk.read_clock(&http, connector).await.map_err(refused)?;
        let context = Context::default();
        let ask = |query| self.desk.all(&http, connector, query, signed, &context);
        let permissions = ask(Query::Permissions)
            .await
            .map_err(refused)?
            .into_iter()
            .find_map(|fact| match fact {
                Fact::Permissions(permissions) => Some(permissions),
                _ => None,
            })
            .ok_or_else(|| AccountRefusal::Unproven { label: label() })?;
        let proof = permissions.confirm().map_err(|refused| too_powerful(label(), refused))?;
        let identity = ask(Query::AccountIdentity)
            .await
            .map_err(refused)?
            .into_iter()
            .find_map(|fact| match fact {
                Fact::Identity(identity) => Some(identity),
                _ => None,
            })
            .ok_or_else(|| AccountRefusal::Unavailable { label: label() })?;
        let kind = match identity.kind {
            exchanges::IdentityKind::Uid => IdentityKind::Uid,
        };
        Ok(CheckedAccount {
            identity: Identity { kind, value: identity.value },
            permissions: vec![Permission::Read],
            proof,
        })
    }
}

/// What sessions may open here.
const OFFERED: [(exchanges::Venue, exchanges::Market); 1] =
    [(exchanges::Venue::Binance, exchanges::Market::Spot)];

fn too_powerful(label: String, refused: KeyRefused) -> AccountRefusal {
    if refused.remove.is_empty() {
        AccountRefusal::Unproven { label }
    } else {
        AccountRefusal::TooPowerful { label, remove: refused.remove }
    }
}

fn refusal(label: String, error: AskError) -> AccountRefusal {
    match error {
        AskError::Exchange(ExchangeError::InvalidCredentials) => {
            AccountRefusal::Malformed { label }
        }
        AskError::Exchange(ExchangeError::KeyRefused(refused)) => too_powerful(label, refused),
        error if refuses_key(&error) => AccountRefusal::KeyRefused { label },
        AskError::OverLimit => AccountRefusal::Throttled { label },
        error if error.category() == protocol::category::Category::Throttled => {
            AccountRefusal::Throttled { label }
        }
        AskError::Vault(_) => AccountRefusal::Internal,
        _ => AccountRefusal::Unavailable { label },
    }
}

#[async_trait]
impl Engine for Poller {
    async fn verify_accounts(
        &self,
        vault: &Vault,
        accounts: &[OpenedAccount],
    ) -> Result<Vec<CheckedAccount>, AccountRefusal> {
        let mut checked = Vec::with_capacity(accounts.len());
        for (index, account) in accounts.iter().enumerate() {
            checked.push(self.check(vault, index, account).await?);
        }
        Ok(checked)
    }

    fn start(&self, session: Arc<Session<Active>>) {
        let Some(cell) = self.cell(&session) else {
            warn!("a session's base currency cannot be counted in");
            return;
        };
        let ended = CancellationToken::new();
        let now = session.started_at();
        let mut names = Vec::new();
        let mut joining = Vec::new();
        for (index, account) in session.accounts().iter().enumerate() {
            let connector = exchanges::connector(account.venue, account.market);
            let joined = cell.portfolio().join(account, now).ok();
            if let (Some(connector), Some(name)) = (connector, joined) {
                names.push(name.clone());
                let (session, ended) = (Arc::clone(&session), ended.clone());
                let http = self.parts.egress.http();
                joining.push(Account::new(session, index, name, ended, connector, http));
            }
        }
        cell.joining.lock().unwrap_or_else(PoisonError::into_inner).extend(joining);
        let live = Live { cell: Arc::clone(&cell), names, ended };
        self.sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session.number(), live);
        self.begin(&cell);
    }

    fn stop(&self, session: &Session<Active>) {
        let live = self
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&session.number());
        if let Some(live) = live {
            live.ended.cancel();
            live.cell.changed.notify_one();
        }
    }

    fn status(&self, session: &Session<Active>) -> EngineStatus {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(live) = sessions.get(&session.number()) else { return EngineStatus::default() };
        let portfolio = live.cell.portfolio();
        EngineStatus {
            accounts: live.names.iter().map(|name| portfolio.status(name)).collect(),
            coverage: portfolio.coverage(self.parts.clock.now()),
        }
    }

    async fn report(&self, session: &Session<Active>) -> Result<Vec<u8>, ReportRefusal> {
        if self.desk.clock_distance_ms() > CLOCK_DISTANCE_MS_MAX {
            return Err(ReportRefusal::ClockDisagrees);
        }
        let payload = {
            let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            let live = sessions.get(&session.number()).ok_or(ReportRefusal::NothingYet)?;
            let span = SessionSpan {
                started_at: session.started_at(),
                expires_at: session.expires_at(),
            };
            let now = self.parts.clock.now();
            let simulated = self.parts.signer.simulated();
            report::payload(&live.cell.portfolio(), span, rate_sources(), now, simulated)?
        };
        report::sign(&payload, self.parts.signer.as_ref()).await
    }
}

/// Rates that no served exchange lists.
fn rate_sources() -> Vec<RateSource> {
    vec![RateSource { pair: "USDT/USD".to_owned(), source: exchanges::Venue::Kraken.to_string() }]
}
