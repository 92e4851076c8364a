//! When each account was part of the portfolio, and which records count.
//!
//! A record counts if it is after its account's baseline and before the
//! account left; the others are counted as `pre_baseline`. Of those that
//! count, the ones up to the account's last complete tick are *valued*: what
//! they did is in the difference of two valuations. Activity and fees take
//! all that count; returns, flows and profit take the valued ones.

use std::collections::BTreeMap;

use crate::names::AccountId;
use crate::record::{Change, Record};
use crate::time::Timestamp;
use crate::window::Window;

/// One stretch of time an account was part of the portfolio.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    open: Timestamp,
    close: Option<Timestamp>,
    /// It came back as if it had never left.
    pub(crate) back: bool,
}

impl Stay {
    pub(crate) fn covers(&self, at: Timestamp) -> bool {
        self.open <= at && self.close.is_none_or(|close| at < close)
    }
}

/// What a record counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing: it is before its account's baseline, or after it left.
    Outside,
    /// Activity and fees; the account left before the next complete tick.
    Active,
    /// As `Active`, and there is no later tick yet: it may become `Valued`.
    Waiting,
    /// Everything.
    Valued,
}

/// All stays, account by account in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stays(BTreeMap<AccountId, Vec<Stay>>);

impl Stays {
    /// The stays after the folded point, the tick at `folded`; one that began
    /// before it begins with time. `members` are the accounts known there.
    ///
    /// An account without an opening is in from the beginning; one that is
    /// first heard of when the beginning is folded, from then on.
    pub(crate) fn new(
        accounts: impl Iterator<Item = AccountId>,
        window: &Window,
        folded: Option<Timestamp>,
        members: &BTreeMap<AccountId, bool>,
    ) -> Self {
        let beginning = Timestamp::from_micros(i64::MIN);
        let after = |at: Timestamp| Timestamp::from_micros(at.as_micros().saturating_add(1));
        let of = |account| {
            let changes: &[Change] = window.changes.get(&account).map_or(&[], Vec::as_slice);
            let by_default = changes.first().is_none_or(|change| !change.open);
            let mut since = match (members.get(&account), folded) {
                (Some(inside), Some(_)) => inside.then_some((beginning, false)),
                (_, None) => by_default.then_some((beginning, false)),
                (None, Some(folded)) => by_default.then(|| (after(folded), false)),
            };
            let mut stays = Vec::new();
            for change in changes {
                if change.open {
                    since = since.or(Some((change.stamp.at, change.back)));
                } else if let Some((open, back)) = since.take() {
                    stays.push(Stay { open, close: Some(change.stamp.at), back });
                }
            }
            stays.extend(since.map(|(open, back)| Stay { open, close: None, back }));
            (account, stays)
        };
        Self(accounts.map(of).collect())
    }

    pub(crate) fn covering(&self, account: AccountId, at: Timestamp) -> Option<&Stay> {
        self.0.get(&account)?.iter().find(|stay| stay.covers(at))
    }

    /// Accounts that are in at `at`.
    pub(crate) fn active(&self, at: Timestamp) -> impl Iterator<Item = AccountId> {
        let active = move |stays: &[Stay]| stays.iter().any(|stay| stay.covers(at));
        self.0.iter().filter(move |(_, stays)| active(stays)).map(|(account, _)| *account)
    }

    /// Whether the account was in at both times and all between.
    pub(crate) fn through(&self, account: AccountId, from: Timestamp, to: Timestamp) -> bool {
        self.covering(account, to).is_some_and(|stay| stay.covers(from))
    }

    /// What a record between two consecutive complete ticks counts for.
    pub(crate) fn scope<R: Record>(
        &self,
        record: &R,
        after: Option<Timestamp>,
        next: Option<Timestamp>,
    ) -> Scope {
        let stay = self.covering(record.account(), record.stamp().at);
        let Some(stay) = stay.filter(|stay| after.is_some_and(|after| stay.covers(after))) else {
            return Scope::Outside;
        };
        match next {
            Some(next) if stay.covers(next) => Scope::Valued,
            Some(_) => Scope::Active,
            None => Scope::Waiting,
        }
    }
}
