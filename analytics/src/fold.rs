//! Taking what can no longer change out of the window and into the sums.
//!
//! Nothing that happened more than a late horizon before the newest delivery
//! is taken in any more. Of the complete ticks before that, those are folded
//! that have another such tick a transfer window and a grace period after
//! them: the withdrawals up to them have found their deposits, if there are
//! any, and the timing skews their other halves.
//!
//! A deposit or the second half of a skew may be newer than the folded point,
//! while what it belongs to is not: both are marked as taken.

use std::collections::BTreeMap;

use crate::carry::Folded;
use crate::engine::Engine;
use crate::names::AccountId;
use crate::reconcile::{Settled, Skew};
use crate::time::Timestamp;
use crate::walk::{Stand, Walk};

/// How often within a late horizon the engine folds: more often costs time,
/// less often room.
const FOLDS_PER_HORIZON: i64 = 4;

/// Polls from one time that new ones are valued to the next: a result values
/// the rest by itself.
const POLLS_PER_VALUING: i64 = 16;

impl Engine {
    /// Folds as much as can no longer change. The engine does so by itself
    /// now and then.
    pub fn fold(&mut self) {
        let Some(newest) = self.ledger.newest_seen else { return };
        self.value_polls(newest);
        let horizon = i64::from(self.config.late_horizon_s);
        let step = (horizon / FOLDS_PER_HORIZON).max(self.config.poll_interval_s.into());
        self.fold_at = Some(newest.minus_seconds(-step));
        let known = newest.minus_seconds(horizon).as_micros().saturating_sub(1);
        let known = Timestamp::from_micros(known);
        if let Some(until) = self.foldable(known) {
            self.fold_up_to(until, known);
        }
    }

    /// Folds, or values polls, if it is time.
    pub(crate) fn keep_up(&mut self) {
        let Some(newest) = self.ledger.newest_seen else { return };
        if self.fold_at.is_none_or(|at| newest >= at) {
            self.fold();
        } else if self.value_at.is_none_or(|at| newest >= at) {
            self.value_polls(newest);
        }
    }

    /// Up to where ticks can be folded, if nothing up to `known` can change.
    fn foldable(&self, known: Timestamp) -> Option<Timestamp> {
        let window = &self.ledger.window;
        let mut ticks = window.polls.range(..=known).filter(|(_, poll)| poll.tick.is_some());
        let (first, _) = ticks.next()?;
        let (newest, _) = ticks.next_back()?;
        let ahead = self.config.transfer_window_s.max(self.config.recon_grace_s);
        let until = newest.minus_seconds(ahead.into());
        (*first <= until).then_some(until)
    }

    /// Lets polls up to `newest` know what they are worth. What happened before
    /// one of them and comes later makes it forget.
    fn value_polls(&mut self, newest: Timestamp) {
        let polls = i64::from(self.config.poll_interval_s).saturating_mul(POLLS_PER_VALUING);
        self.value_at = Some(newest.minus_seconds(-polls));
        let ground = self.ground();
        let polls = ground.polls(&ground.stays(), newest);
        let window = &mut self.ledger.window;
        for (at, tick) in polls {
            if let Some(poll) = window.polls.get_mut(&at) {
                poll.tick = tick;
            }
        }
        window.valued = Some(newest);
    }

    fn fold_up_to(&mut self, until: Timestamp, known: Timestamp) {
        let grace = i64::from(self.config.recon_grace_s);
        let walk = Walk::new(self.ground(), known, until.minus_seconds(-grace));
        let Stand { carry, news, .. } = walk.go(until);
        let Some(at) = carry.last.as_ref().map(|last| last.tick.at) else { return };
        if carry.last == self.folded.carry.last {
            return;
        }
        let accounts = self.ledger.accounts.ids();
        let members: BTreeMap<AccountId, bool> =
            accounts.map(|of| (of, walk.stays.covering(of, at).is_some())).collect();
        let settled = settled(&walk, &self.folded.settled, at);
        let taken = taken(&walk, at);
        let fills = self.ledger.window.fills.partition_point(|fill| fill.stamp.at <= at);
        let orders = walk.orders(fills).0;

        let Folded { mut pages, orders: mut known_orders, .. } = std::mem::take(&mut self.folded);
        pages.append(news);
        known_orders.extend(orders, at, &self.config);
        self.folded = Folded { carry, pages, orders: known_orders, settled, members };
        for into in taken {
            if let Some(flow) = self.ledger.window.flows.get_mut(into) {
                flow.taken = true;
            }
        }
        self.ledger.forget(at, self.config.price_max_age_s.into());
    }
}

/// Second halves of timing skews after `at` whose first half is not.
fn settled(walk: &Walk<'_>, before: &Settled, at: Timestamp) -> Settled {
    let mut settled: Settled = before.iter().filter(|(tick, _)| *tick > at).copied().collect();
    for of_tick in walk.unexplained.iter().take_while(|of_tick| of_tick.at <= at) {
        for residual in &of_tick.residuals {
            if let Some(Skew::UndoneAt(tick)) = residual.skew
                && tick > at
            {
                settled.insert((tick, (residual.account, residual.asset)));
            }
        }
    }
    settled
}

/// Deposits after `at` that a withdrawal took which is not, as places in the
/// window.
fn taken(walk: &Walk<'_>, at: Timestamp) -> Vec<usize> {
    let up_to = |index: usize| walk.flow(index).is_some_and(|flow| flow.stamp.at <= at);
    let pairs = walk.transfers.by_into.iter();
    let split = pairs.filter(|(into, out)| !up_to(**into) && out.is_some_and(up_to));
    split.map(|(into, _)| *into).collect()
}
