//! One way from the folded point through the window, for results and for
//! folding alike.
//!
//! 1. Value the polls ([`Tick::of`]); polls up to where nothing can arrive any
//!    more know theirs already.
//! 2. Sort out what each record counts for (`stay`).
//! 3. Match own transfers (`transfer`).
//! 4. Replay fills (`effect`), compare balances, pair timing skews
//!    (`reconcile`).
//! 5. From tick to tick, add up every section on a copy of the carry. Where a
//!    number leaves the range of decimals, or a coin in transit has lost its
//!    price, the tick is no valuation: the copy is dropped, and what happened
//!    goes on into the next sub-period.
//!
//! 1 to 4 look ahead, 5 does not: a result goes on to the end, folding stops
//! where looking ahead could still find something new.

mod sums;

use std::ops::Range;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::activity::Orders;
use crate::book::{Policy, Rates};
use crate::carry::Folded;
use crate::config::Config;
use crate::decimal::add;
use crate::effect::Positions;
use crate::flow::External;
use crate::ledger::Ledger;
use crate::names::{AccountId, AssetId};
use crate::reconcile::{AtTick, Changes, pair, rate_at};
use crate::record::{Flow, Record};
use crate::stay::{Scope, Stays};
use crate::time::Timestamp;
use crate::transfer::Transfers;
use crate::valuation::Tick;

pub(crate) use sums::Stand;

/// What is walked through, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) folded: &'a Folded,
    pub(crate) ledger: &'a Ledger,
    pub(crate) config: &'a Config,
    pub(crate) policy: &'a Policy,
}

/// A walk that has looked ahead.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    ground: Ground<'a>,
    rates: Rates<'a>,
    pub(crate) stays: Stays,
    /// All complete ticks, some of which may turn out to be none.
    ticks: Vec<Arc<Tick>>,
    pub(crate) fills: Vec<Scope>,
    flows: Vec<Scope>,
    incomes: Vec<Scope>,
    pub(crate) transfers: Transfers,
    /// As long as the ticks whose balances were compared.
    pub(crate) unexplained: Vec<AtTick>,
    /// Open positions after each of them.
    positions: Vec<Positions>,
    /// What each fill up to the last of them realised.
    realized: Vec<Decimal>,
    /// Whether each fill begins an order.
    begins: Vec<bool>,
}

impl<'a> Ground<'a> {
    pub(crate) fn rates(self) -> Rates<'a> {
        Rates { book: &self.ledger.window.book, policy: self.policy }
    }

    pub(crate) fn stays(self) -> Stays {
        let last = self.folded.carry.last.as_ref().map(|last| last.tick.at);
        let accounts = self.ledger.accounts.ids();
        Stays::new(accounts, &self.ledger.window, last, &self.folded.members)
    }

    /// Every poll up to `until`, with what it was worth if it is a valuation.
    pub(crate) fn polls(
        self,
        stays: &Stays,
        until: Timestamp,
    ) -> Vec<(Timestamp, Option<Arc<Tick>>)> {
        let window = &self.ledger.window;
        let rates = self.rates();
        let mut priced = self.folded.carry.priced.clone();
        let start = self.config.session_start;
        let mut polls = Vec::new();
        for (&at, poll) in window.polls.range(start..).take_while(|(at, _)| **at <= until) {
            let tick = if window.valued.is_some_and(|valued| at <= valued) {
                poll.tick.clone()
            } else {
                Tick::of(at, &poll.snapshots, stays, rates, &priced).map(Arc::new)
            };
            priced.extend(tick.iter().flat_map(|tick| &tick.first_priced));
            polls.push((at, tick));
        }
        polls
    }
}

impl<'a> Walk<'a> {
    /// Looks at everything up to `until`, and at balances up to `compared`.
    pub(crate) fn new(ground: Ground<'a>, until: Timestamp, compared: Timestamp) -> Self {
        let stays = ground.stays();
        let polls = ground.polls(&stays, until);
        let ticks: Vec<Arc<Tick>> = polls.into_iter().filter_map(|(_, tick)| tick).collect();
        let mut walk = Self {
            ground,
            rates: ground.rates(),
            stays,
            ticks,
            fills: Vec::new(),
            flows: Vec::new(),
            incomes: Vec::new(),
            transfers: Transfers::default(),
            unexplained: Vec::new(),
            positions: Vec::new(),
            realized: Vec::new(),
            begins: Vec::new(),
        };
        let window = &ground.ledger.window;
        walk.fills = walk.scopes(&window.fills, until.min(compared));
        walk.flows = walk.scopes(&window.flows, until);
        walk.incomes = walk.scopes(&window.incomes, until.min(compared));
        walk.transfers = Transfers::matched(&window.flows, &walk.flows, ground.config);
        walk.compare(compared);
        pair(&mut walk.unexplained, &ground.folded.settled, ground.config);
        walk.begins = walk.orders(window.fills.len()).1;
        walk
    }

    pub(crate) fn flow(&self, place: usize) -> Option<&Flow> {
        self.ground.ledger.window.flows.get(place)
    }

    fn before(&self, tick: usize) -> Option<&Arc<Tick>> {
        match tick.checked_sub(1) {
            Some(before) => self.ticks.get(before),
            None => self.ground.folded.carry.last.as_ref().map(|last| &last.tick),
        }
    }

    /// What each record up to `until` counts for.
    fn scopes<R: Record>(&self, records: &[R], until: Timestamp) -> Vec<Scope> {
        let mut tick = 0;
        let up_to = records.iter().take_while(|record| record.stamp().at <= until);
        let scopes = up_to.map(|record| {
            let at = record.stamp().at;
            while self.ticks.get(tick).is_some_and(|next| next.at < at) {
                tick += 1;
            }
            let (after, next) = (self.before(tick), self.ticks.get(tick));
            self.stays.scope(record, after.map(|tick| tick.at), next.map(|tick| tick.at))
        });
        scopes.collect()
    }

    /// Of the first `count` fills: the orders they belong to, and whether each
    /// begins one.
    pub(crate) fn orders(&self, count: usize) -> (Orders, Vec<bool>) {
        let mut orders = Orders::default();
        let earlier = &self.ground.folded.orders;
        let fills = self.ground.ledger.window.fills.iter().zip(&self.fills).take(count);
        let begins = fills.map(|(fill, scope)| {
            *scope != Scope::Outside && orders.begins(earlier, fill, self.ground.config)
        });
        let begins = begins.collect();
        (orders, begins)
    }

    /// Replays fills and compares balances, tick by tick up to `compared`.
    fn compare(&mut self, compared: Timestamp) {
        let window = &self.ground.ledger.window;
        let mut positions = self.ground.folded.carry.positions.clone();
        let (mut fills, mut flows, mut incomes) = (0, 0, 0);
        for place in 0..self.ticks.len() {
            let Some(now) = self.ticks.get(place).cloned().filter(|now| now.at <= compared) else {
                break;
            };
            let mut changes = Changes::new();
            let mut note = |account, asset, amount| {
                let sum = changes.entry(account).or_default().entry(asset).or_default();
                // A sum past the range of decimals explains nothing.
                *sum = add(*sum, amount).unwrap_or_default();
            };
            for index in records(&window.fills, &mut fills, now.at) {
                let scope = self.fills.get(index).copied().unwrap_or(Scope::Outside);
                let Some(fill) = window.fills.get(index) else { continue };
                let realized =
                    if scope == Scope::Outside { Decimal::ZERO } else { positions.trade(fill) };
                self.realized.push(realized);
                if scope == Scope::Valued {
                    for (asset, amount) in fill.changes(realized) {
                        note(fill.account, asset, amount);
                    }
                }
            }
            for index in records(&window.flows, &mut flows, now.at) {
                if let (Some(Scope::Valued), Some(flow)) =
                    (self.flows.get(index), window.flows.get(index))
                {
                    note(flow.account, flow.asset, flow.amount);
                }
            }
            for index in records(&window.incomes, &mut incomes, now.at) {
                if let (Some(Scope::Valued), Some(income)) =
                    (self.incomes.get(index), window.incomes.get(index))
                {
                    note(income.account, income.asset, income.amount);
                }
            }
            let at_tick = self.between(place, &now, &changes);
            self.unexplained.push(at_tick);
            for (account, holding) in &now.holdings {
                let before = self.before(place);
                if !before.is_some_and(|before| self.stays.through(*account, before.at, now.at)) {
                    positions.start(*account, &holding.snapshot);
                }
            }
            positions.keep(|account| now.holdings.contains_key(&account));
            self.positions.push(positions.clone());
        }
    }

    /// What every account cannot explain at one tick.
    fn between(&self, place: usize, now: &Tick, changes: &Changes) -> AtTick {
        let mut at_tick = AtTick::none(now.at);
        let Some(before) = self.before(place) else { return at_tick };
        let tolerance = self.ground.config.recon_tolerance.get();
        let rate = |asset| rate_at(asset, now, before, self.rates);
        for (account, holding) in &now.holdings {
            let wallet = &holding.snapshot.wallet;
            if self.stays.through(*account, before.at, now.at) {
                let Some(earlier) = before.holdings.get(account) else { continue };
                let (was, changes) = (&earlier.snapshot.wallet, changes.get(account));
                at_tick.account(*account, was, wallet, changes, rate, tolerance);
            } else if let Some(left) = self.returning(*account, now.at) {
                let took: Vec<(AssetId, Decimal)> =
                    left.entries.iter().map(|entry| (entry.asset, -entry.quantity)).collect();
                at_tick.account(*account, &took, wallet, None, rate, tolerance);
            }
        }
        at_tick
    }

    /// What the account left with, if it joins as if it had never left.
    fn returning(&self, account: AccountId, at: Timestamp) -> Option<&External> {
        let back = self.stays.covering(account, at).is_some_and(|stay| stay.back);
        self.ground.folded.carry.left.get(&account).filter(|_| back).map(|left| &**left)
    }
}

/// Places of the records from `next` on up to `at`; moves `next` past them.
fn records<R: Record>(all: &[R], next: &mut usize, at: Timestamp) -> Range<usize> {
    let from = *next;
    let rest = all.get(from..).unwrap_or_default();
    *next = from + rest.partition_point(|record| record.stamp().at <= at);
    from..*next
}
