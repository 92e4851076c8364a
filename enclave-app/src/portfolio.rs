//! A customer's portfolio: its analytics, its accounts, and how complete its polling is.
//!
//! Sessions come and go, the portfolio goes on for as long as this process lives. All times of
//! its rounds lie on one grid that begins with its first session, so every account of a round
//! has the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use analytics::event::{AccountEvent, SnapshotEvent};
use analytics::text::Name;
use analytics::time::Day;
use analytics::{Config, DigestKey, Engine, Event, Fed, FeedError, Figures, ResultSet, Series};
use exchanges::Proof;
use protocol::portfolio::PortfolioKey;
use protocol::report_payload::{RateSource, ReportAccount};
use protocol::session::{End, Identity};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use tracing::warn;

use crate::claim::Asked;
use crate::engine_api::AccountStatus;
use crate::sessions::ActiveAccount;

/// What every account of a customer adds up to.
#[derive(Debug)]
pub struct Portfolio {
    pub key: PortfolioKey,
    pub base_currency: String,
    engine: Engine,
    start: UnixMillis,
    interval: Duration,
    accounts: Vec<Member>,
    rounds_complete: u64,
    /// Assets whose prices have been fed since they were first seen.
    priced: BTreeSet<String>,
    /// Where rates came from that no account's exchange lists.
    sources: BTreeMap<String, RateSource>,
    /// The analytics have no room: no poll is complete any more.
    full: bool,
    asked: Asked,
}

/// An account ever opened under the portfolio.
#[derive(Debug)]
struct Member {
    account: ReportAccount,
    name: Name,
    status: AccountStatus,
    /// Whether the analytics wait for its snapshots.
    counted: bool,
}

/// A portfolio or account that cannot be made: its names do not fit the analytics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the portfolio's names do not fit the analytics")]
pub struct Unfit;

impl Portfolio {
    /// Begins at `start`, the time of its first round; ids of records are remembered under
    /// `digests`.
    pub fn begin(
        key: PortfolioKey,
        base_currency: &str,
        start: UnixMillis,
        interval: Duration,
        digests: DigestKey,
    ) -> Result<Self, Unfit> {
        let asset = base_currency.parse().map_err(|_| Unfit)?;
        let session_start = analytics::Timestamp::from_millis(start.0).ok_or(Unfit)?;
        let mut config = Config::new(asset, session_start);
        config.poll_interval_s = u32::try_from(interval.as_secs()).map_err(|_| Unfit)?;
        Ok(Self {
            key,
            base_currency: base_currency.to_owned(),
            engine: Engine::new(config, digests).map_err(|_| Unfit)?,
            start,
            interval,
            accounts: Vec::new(),
            rounds_complete: 0,
            priced: BTreeSet::new(),
            sources: BTreeMap::new(),
            full: false,
            asked: Asked::default(),
        })
    }

    /// Takes the accounts of a session in, and takes those up again that the exchange says are
    /// known. Accounts that left before, with nobody going on, and do not come back now, are
    /// closed when they left: the portfolio goes on without them.
    ///
    /// Returns their names in the results; `None` for one that does not fit the analytics.
    pub fn join(&mut self, accounts: &[ActiveAccount], now: UnixMillis) -> Vec<Option<Name>> {
        let known: Vec<Option<usize>> = accounts.iter().map(|it| self.position(it)).collect();
        let mut closing = Vec::new();
        for (index, member) in self.accounts.iter_mut().enumerate() {
            if let (true, Some(at)) = (member.counted, member.account.closed_at)
                && !known.contains(&Some(index))
            {
                member.counted = false;
                closing.push((member.name.clone(), at));
            }
        }
        for (name, at) in closing {
            self.feed_change(&name, at, Event::AccountClose);
        }
        accounts
            .iter()
            .zip(known)
            .map(|(account, known)| match known {
                Some(index) => self.rejoin(index, account, now),
                None => self.join_new(account, now).ok(),
            })
            .collect()
    }

    fn rejoin(&mut self, index: usize, account: &ActiveAccount, now: UnixMillis) -> Option<Name> {
        let member = self.accounts.get_mut(index)?;
        member.account.label.clone_from(&account.label);
        member.account.closed_at = None;
        member.account.end_reason = None;
        member.account.permissions_unreadable |= account.proof == Proof::Unreadable;
        let name = member.name.clone();
        if !std::mem::replace(&mut member.counted, true) {
            // Who leaves and comes back was never away: what an account lost in between would
            // else be nobody's loss. The absence is a gap; after days, when it is folded, the
            // account comes back with what it left with.
            if let Some(at) = analytics::Timestamp::from_millis(now.0) {
                self.engine.reopen(&name, at);
            }
        }
        Some(name)
    }

    fn join_new(&mut self, account: &ActiveAccount, now: UnixMillis) -> Result<Name, Unfit> {
        // The same account twice in one session is one account.
        if let Some(index) = self.position(account) {
            return self.rejoin(index, account, now).ok_or(Unfit);
        }
        let id =
            self.free_id(account).filter(|_| self.accounts.len() < ACCOUNTS_MAX).ok_or(Unfit)?;
        let name: Name = id.parse().map_err(|_| Unfit)?;
        if now > self.start {
            self.feed_change(&name, now, Event::AccountOpen);
        }
        self.accounts.push(Member {
            account: ReportAccount {
                id,
                label: account.label.clone(),
                venue: account.venue.name().to_owned(),
                market: account.market.name().to_owned(),
                identity: Identity::clone(&account.identity),
                permissions_unreadable: account.proof == Proof::Unreadable,
                opened_at: now,
                closed_at: None,
                end_reason: None,
            },
            name: name.clone(),
            status: AccountStatus::default(),
            counted: true,
        });
        Ok(name)
    }

    /// Accounts are no longer polled. They leave the portfolio only if others go on: with the
    /// last ones, polling pauses and the gap will show.
    pub fn leave(&mut self, gone: &[(Name, End)], now: UnixMillis) {
        for member in &mut self.accounts {
            if let Some((_, reason)) = gone.iter().find(|(name, _)| *name == member.name) {
                member.account.closed_at = Some(now);
                member.account.end_reason = Some(*reason);
                member.status.next_poll = None;
            }
        }
        if self.accounts.iter().all(|member| member.account.closed_at.is_some()) {
            return;
        }
        for (name, _) in gone {
            let member = self.accounts.iter_mut().find(|member| member.name == *name);
            if member.is_some_and(|member| std::mem::replace(&mut member.counted, false)) {
                self.feed_change(name, now, Event::AccountClose);
            }
        }
    }

    /// Feeds one event; what the analytics cannot take is counted there.
    pub fn feed(&mut self, event: &Event) {
        let incomplete;
        let event = if let (true, Event::Snapshot(snapshot)) = (self.full, event) {
            incomplete = Event::Snapshot(SnapshotEvent { complete: false, ..snapshot.clone() });
            &incomplete
        } else {
            event
        };
        match self.engine.feed(event) {
            Ok(Fed::Accepted | Fed::NotCompleted | Fed::Duplicate) => {}
            Ok(Fed::Late | Fed::Conflict | Fed::Rejected) => warn!("an event was not counted"),
            Err(error) => {
                // What is missing now stays missing, so nothing after it is a valuation.
                self.full |= matches!(error, FeedError::Full { .. });
                warn!(%error, "an event was refused");
            }
        }
    }

    fn feed_change(&mut self, name: &Name, at: UnixMillis, change: fn(AccountEvent) -> Event) {
        if let Some(t) = analytics::Timestamp::from_millis(at.0) {
            self.feed(&change(AccountEvent { t, seen: None, account: name.clone() }));
        } else {
            warn!("a membership has no time");
        }
    }

    /// Notes how an account's poll went.
    pub fn note(&mut self, name: &Name, update: impl FnOnce(&mut AccountStatus)) {
        if let Some(member) = self.accounts.iter_mut().find(|member| member.name == *name) {
            update(&mut member.status);
        }
    }

    /// Notes whether a round was complete for every account.
    pub fn round_done(&mut self, complete: bool) {
        self.rounds_complete = self.rounds_complete.saturating_add(u64::from(complete));
    }

    /// How polling of `name` goes.
    pub fn status(&self, name: &Name) -> AccountStatus {
        let member = self.accounts.iter().find(|member| member.name == *name);
        member.map(|member| member.status).unwrap_or_default()
    }

    /// Complete rounds of the expected ones, `None` before the first.
    pub fn coverage(&self, now: UnixMillis) -> Option<String> {
        let interval = u64::try_from(self.interval.as_millis()).ok().filter(|step| *step > 0)?;
        let expected = (now.0.checked_sub(self.start.0)? / interval).checked_add(1)?;
        let share = Decimal::from(self.rounds_complete).checked_div(Decimal::from(expected))?;
        (self.rounds_complete > 0).then(|| share.round_dp(COVERAGE_PLACES).to_string())
    }

    /// Everything that is known at `now`, and the index day by day.
    pub fn report(&self, now: UnixMillis) -> Option<(ResultSet, Series)> {
        self.engine.report(self.as_of(now)?).ok()
    }

    fn as_of(&self, now: UnixMillis) -> Option<analytics::Timestamp> {
        let now = analytics::Timestamp::from_millis(now.0)?;
        Some(self.engine.newest_delivery().map_or(now, |newest| newest.max(now)))
    }

    /// What claims are about, at `now`: of everything, or of whole days.
    ///
    /// The outer `None` is a bug of ours, the inner one a period that is not known from end to end.
    pub fn figures(&self, days: Option<(Day, Day)>, now: UnixMillis) -> Option<Option<Figures>> {
        self.engine.figures(days, self.as_of(now)?).ok()
    }

    /// The count of what claims asked.
    pub const fn asked(&mut self) -> &mut Asked {
        &mut self.asked
    }

    /// Every account ever opened.
    pub fn accounts(&self) -> Vec<ReportAccount> {
        self.accounts.iter().map(|member| member.account.clone()).collect()
    }

    /// When the round after `now` is due.
    pub fn next_round(&self, now: UnixMillis) -> UnixMillis {
        let interval = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX).max(1);
        let passed = now.0.saturating_sub(self.start.0) / interval;
        let next = passed.saturating_add(1).saturating_mul(interval);
        UnixMillis(self.start.0.saturating_add(next))
    }

    /// When the first round of an account that joins at `now` is due.
    pub fn first_round(&self, now: UnixMillis) -> UnixMillis {
        if now <= self.start { self.start } else { self.next_round(UnixMillis(now.0 - 1)) }
    }

    /// Marks assets as priced and returns those that were not.
    pub fn newly_priced(&mut self, assets: &BTreeSet<String>) -> BTreeSet<String> {
        let new: BTreeSet<String> = assets.difference(&self.priced).cloned().collect();
        self.priced.extend(new.iter().cloned());
        new
    }

    /// What prices are needed for `held`: its assets, what they are valued in, and the currencies
    /// that routes may pass through.
    pub fn to_price(&self, held: &BTreeSet<String>) -> BTreeSet<String> {
        let pivots = self.engine.config().pivots.iter().map(|pivot| pivot.as_str().to_owned());
        pivots.chain([self.base_currency.clone()]).chain(held.iter().cloned()).collect()
    }

    /// Rounds that were complete for every account.
    pub const fn rounds_complete(&self) -> u64 {
        self.rounds_complete
    }

    /// Exchanges that its accounts are at.
    pub fn venues(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|member| member.account.venue.as_str())
    }

    /// A rate came from beyond the accounts' own exchanges.
    pub fn note_source(&mut self, source: RateSource) {
        self.sources.entry(source.pair.clone()).or_insert(source);
    }

    /// Where such rates came from.
    pub fn rate_sources(&self) -> Vec<RateSource> {
        self.sources.values().cloned().collect()
    }

    fn position(&self, account: &ActiveAccount) -> Option<usize> {
        self.accounts.iter().position(|member| {
            let known = &member.account;
            known.identity == account.identity
                && known.venue == account.venue.name()
                && known.market == account.market.name()
        })
    }

    fn free_id(&self, account: &ActiveAccount) -> Option<String> {
        let stem = format!("{}-{}", account.venue.name(), account.market.name());
        let taken = |id: &str| self.accounts.iter().any(|member| member.account.id == id);
        (1..=ACCOUNTS_MAX)
            .map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") })
            .find(|id| !taken(id))
    }
}

/// Accounts ever opened under one portfolio: as many as the analytics keep apart.
const ACCOUNTS_MAX: usize = 256;

/// Digits of the coverage in a status, after the point.
const COVERAGE_PLACES: u32 = 6;
