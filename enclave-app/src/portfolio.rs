//! A customer's portfolio: its analytics, its accounts, and how complete its polling is.
//!
//! Sessions come and go, the portfolio goes on for as long as this process lives. All times of
//! its rounds lie on one grid that begins with its first session, so every account of a round
//! has the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use analytics::text::Name;
use analytics::{Config, Engine, Event, Fed, ResultSet};
use protocol::portfolio::PortfolioKey;
use protocol::report_payload::ReportAccount;
use protocol::session::{End, Identity};
use protocol::time::UnixMillis;
use rust_decimal::Decimal;
use tracing::warn;

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
}

/// An account ever opened under the portfolio.
#[derive(Debug)]
struct Member {
    account: ReportAccount,
    name: Name,
    status: AccountStatus,
}

/// A portfolio or account that cannot be made: its names do not fit the analytics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the portfolio's names do not fit the analytics")]
pub struct Unfit;

impl Portfolio {
    /// Begins at `start`, the time of its first round.
    pub fn begin(
        key: PortfolioKey,
        base_currency: &str,
        start: UnixMillis,
        interval: Duration,
    ) -> Result<Self, Unfit> {
        let asset = base_currency.parse().map_err(|_| Unfit)?;
        let session_start = analytics::Timestamp::from_millis(start.0).ok_or(Unfit)?;
        let mut config = Config::new(asset, session_start);
        config.poll_interval_s = u32::try_from(interval.as_secs()).map_err(|_| Unfit)?;
        Ok(Self {
            key,
            base_currency: base_currency.to_owned(),
            engine: Engine::new(config).map_err(|_| Unfit)?,
            start,
            interval,
            accounts: Vec::new(),
            rounds_complete: 0,
            priced: BTreeSet::new(),
        })
    }

    /// Takes an account in, or takes it up again if the exchange says it is the same one.
    pub fn join(&mut self, account: &ActiveAccount, now: UnixMillis) -> Result<Name, Unfit> {
        let same = |member: &&mut Member| {
            let known = &member.account;
            known.identity == account.identity
                && known.venue == account.venue.name()
                && known.market == account.market.name()
        };
        let first_round = self.rounds() == 0;
        if let Some(member) = self.accounts.iter_mut().find(same) {
            let name = member.name.clone();
            member.account.label.clone_from(&account.label);
            let left = member.account.closed_at.take().is_some();
            member.account.end_reason = None;
            if left {
                self.feed(&opened(&name, now)?);
            }
            return Ok(name);
        }
        let id = self.free_id(account);
        let name: Name = id.parse().map_err(|_| Unfit)?;
        if !first_round || now > self.start {
            self.feed(&opened(&name, now)?);
        }
        self.accounts.push(Member {
            account: ReportAccount {
                id,
                label: account.label.clone(),
                venue: account.venue.name().to_owned(),
                market: account.market.name().to_owned(),
                identity: Identity::clone(&account.identity),
                opened_at: now,
                closed_at: None,
                end_reason: None,
            },
            name: name.clone(),
            status: AccountStatus::default(),
        });
        Ok(name)
    }

    /// An account is no longer polled. It leaves the portfolio only if others go on: with the
    /// last one, polling pauses and the gap will show.
    pub fn leave(&mut self, name: &Name, now: UnixMillis, reason: End) {
        let Some(member) = self.accounts.iter_mut().find(|member| member.name == *name) else {
            return;
        };
        member.account.closed_at = Some(now);
        member.account.end_reason = Some(reason);
        member.status.next_poll = None;
        let name = name.clone();
        if self.accounts.iter().any(|member| member.account.closed_at.is_none()) {
            match closed(&name, now) {
                Ok(event) => self.feed(&event),
                Err(Unfit) => warn!("an account's end has no time"),
            }
        }
    }

    /// Feeds one event; what the analytics cannot take is counted there.
    pub fn feed(&mut self, event: &Event) {
        match self.engine.feed(event) {
            Ok(Fed::Accepted | Fed::NotCompleted | Fed::Duplicate) => {}
            Ok(Fed::Late | Fed::Conflict | Fed::Rejected) => warn!("an event was not counted"),
            Err(error) => warn!(%error, "an event was refused"),
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
        let share = Decimal::from(self.rounds()).checked_div(Decimal::from(expected))?;
        (self.rounds_complete > 0).then(|| share.round_dp(COVERAGE_PLACES).to_string())
    }

    /// Everything that is known at `now`.
    pub fn result(&self, now: UnixMillis) -> Option<ResultSet> {
        let now = analytics::Timestamp::from_millis(now.0)?;
        let as_of = self.engine.newest_delivery().map_or(now, |newest| newest.max(now));
        self.engine.result(as_of).ok()
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

    /// Currencies that routes may pass through.
    pub fn pivots(&self) -> impl Iterator<Item = &str> {
        self.engine.config().pivots.iter().map(analytics::text::Asset::as_str)
    }

    const fn rounds(&self) -> u64 {
        self.rounds_complete
    }

    fn free_id(&self, account: &ActiveAccount) -> String {
        let stem = format!("{}-{}", account.venue.name(), account.market.name());
        let taken = |id: &str| self.accounts.iter().any(|member| member.account.id == id);
        (1_u32..)
            .map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") })
            .find(|id| !taken(id))
            .unwrap_or(stem)
    }
}

/// Digits of the coverage in a status, after the point.
const COVERAGE_PLACES: u32 = 6;

fn opened(name: &Name, now: UnixMillis) -> Result<Event, Unfit> {
    account_event(name, now).map(Event::AccountOpen)
}

fn closed(name: &Name, now: UnixMillis) -> Result<Event, Unfit> {
    account_event(name, now).map(Event::AccountClose)
}

fn account_event(
    name: &Name,
    now: UnixMillis,
) -> Result<analytics::event::AccountEvent, Unfit> {
    let t = analytics::Timestamp::from_millis(now.0).ok_or(Unfit)?;
    Ok(analytics::event::AccountEvent { t, seen: None, account: name.clone() })
}
