//! Adding up, sub-period by sub-period.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::{Walk, records};
use crate::activity::Worth as FillWorth;
use crate::carry::{Carry, Last, News};
use crate::decimal::{Checked, Overflow, add, add_to, bounded, sum};
use crate::flow::{Entry, External, lost_on};
use crate::names::{AccountId, AssetId};
use crate::pnl::{Profit, Steps};
use crate::reconcile::{AtTick, Skew, mean_time};
use crate::result::FlowKind;
use crate::returns::Worth;
use crate::stay::Scope;
use crate::time::Timestamp;
use crate::valuation::Tick;

/// Where a walk stands.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) carry: Carry,
    pub(crate) news: News,
    fills: usize,
    flows: usize,
    incomes: usize,
}

/// What crossed the border, or was lost, since the last valuation.
#[derive(Debug, Default)]
struct Pending {
    flows: Vec<External>,
    lost: Vec<(Timestamp, Entry)>,
    /// Time, entries, their sum.
    unexplained: Vec<(Timestamp, Vec<Entry>, Decimal)>,
    unpriced: Vec<(Timestamp, Entry)>,
    skew_pairs: u64,
    first_priced: Vec<AssetId>,
    left: BTreeMap<AccountId, Arc<External>>,
}

/// The records of one sub-period, as places in the window.
#[derive(Debug)]
struct Sub<'a> {
    place: usize,
    tick: &'a Arc<Tick>,
    fills: Range<usize>,
    flows: Range<usize>,
    incomes: Range<usize>,
}

impl Walk<'_> {
    /// Adds up from tick to tick, up to `until`.
    pub(crate) fn go(&self, until: Timestamp) -> Stand {
        let mut stand = Stand {
            carry: self.ground.folded.carry.clone(),
            news: News::default(),
            fills: 0,
            flows: 0,
            incomes: 0,
        };
        let mut pending = Pending::default();
        let mut crossed = 0;
        for (place, tick) in self.ticks.iter().enumerate().take_while(|(_, it)| it.at <= until) {
            self.cross(place, tick, &mut crossed, &mut pending);
            let mut next = stand.carry.clone();
            let (mut fills, mut flows, mut incomes) = (stand.fills, stand.flows, stand.incomes);
            let window = &self.ground.ledger.window;
            let sub = Sub {
                place,
                tick,
                fills: records(&window.fills, &mut fills, tick.at),
                flows: records(&window.flows, &mut flows, tick.at),
                incomes: records(&window.incomes, &mut incomes, tick.at),
            };
            // Dropped otherwise: the tick is no valuation.
            if let Ok(news) = self.advance(&mut next, &sub, &pending) {
                stand.news.append(news);
                (stand.carry, stand.fills, stand.flows, stand.incomes) =
                    (next, fills, flows, incomes);
                pending = Pending::default();
            }
        }
        stand
    }

    /// Notes what crossed the border in the sub-period that `tick` ends.
    fn cross(&self, place: usize, tick: &Tick, crossed: &mut usize, pending: &mut Pending) {
        let window = &self.ground.ledger.window;
        pending.first_priced.extend(&tick.first_priced);
        let flows = records(&window.flows, crossed, tick.at);
        let Some(before) = self.before(place) else { return };
        let valued = |index: &usize| self.flows.get(*index) == Some(&Scope::Valued);
        for index in flows.clone().filter(valued) {
            let Some(flow) = window.flows.get(index) else { continue };
            if !self.transfers.is_leg(index) {
                pending.flows.push(External::recorded(flow, tick.at, self.rates));
            }
        }
        for transfer in flows.clone().filter_map(|index| self.transfers.begun_by(index)) {
            pending.lost.push(lost_on(transfer, tick.at, self.rates));
        }
        self.accounts(tick, before, pending);
        for asset in &tick.first_priced {
            let first = External::first_priced(*asset, before, tick);
            pending.flows.extend(first.unwrap_or_default());
        }
        self.unexplained(place, flows, pending);
    }

    /// Accounts that join after the first tick, or leave before the last.
    fn accounts(&self, tick: &Tick, before: &Tick, pending: &mut Pending) {
        for (account, holding) in &before.holdings {
            if !self.stays.through(*account, before.at, tick.at)
                && let Ok(all) = External::joined(holding, before)
            {
                let left = all.turned(FlowKind::AccountLeft);
                pending.left.insert(*account, Arc::new(left.clone()));
                pending.flows.push(left);
            }
        }
        for (account, holding) in &tick.holdings {
            if self.stays.through(*account, before.at, tick.at) {
                continue;
            }
            let joined = match self.returning(*account, tick.at) {
                Some(left) => {
                    let again = left.clone().turned(FlowKind::AccountJoined);
                    Ok(External { at: tick.at, ..again })
                }
                None => External::joined(holding, tick),
            };
            pending.flows.extend(joined);
        }
    }

    fn unexplained(&self, place: usize, flows: Range<usize>, pending: &mut Pending) {
        let Some(AtTick { at, residuals, unpriced }) = self.unexplained.get(place) else { return };
        let window = &self.ground.ledger.window;
        let mut rest: BTreeMap<AccountId, Vec<Entry>> = BTreeMap::new();
        for residual in residuals {
            let (asset, quantity, value) = (residual.asset, residual.amount, residual.value);
            let entry = Entry { asset, quantity, value };
            let Some(skew) = residual.skew else {
                rest.entry(residual.account).or_default().push(entry);
                continue;
            };
            pending.skew_pairs += u64::from(matches!(skew, Skew::UndoneAt(_)));
            let recorded = flows.clone().filter_map(|index| {
                let flow = window.flows.get(index)?;
                let same = flow.account == residual.account && flow.asset == asset;
                (same && self.flows.get(index) == Some(&Scope::Valued)).then_some(flow)
            });
            let mean = mean_time(recorded, *at).ok().flatten().unwrap_or(*at);
            let (kind, unrealized) = (Some(FlowKind::TimingSkew), Decimal::ZERO);
            let entries = vec![entry];
            pending.flows.push(External { kind, at: mean, value, entries, unrealized });
        }
        for entries in rest.into_values() {
            // Each is bounded, and an account has a bounded number of assets.
            let net = sum(entries.iter().map(|entry| entry.value)).unwrap_or_default();
            if net > Decimal::ZERO {
                let (kind, unrealized) = (Some(FlowKind::UnexplainedIn), Decimal::ZERO);
                let entries = entries.clone();
                pending.flows.push(External { kind, at: *at, value: net, entries, unrealized });
            }
            pending.unexplained.push((*at, entries, net));
        }
        for &(asset, quantity) in unpriced {
            pending.unpriced.push((*at, Entry { asset, quantity, value: Decimal::ZERO }));
        }
    }

    /// Takes the sub-period that ends with a valuation into every section.
    fn advance(&self, carry: &mut Carry, sub: &Sub<'_>, pending: &Pending) -> Checked<News> {
        let (config, tick) = (self.ground.config, sub.tick);
        let mut news = News::default();
        let in_transit = self.in_transit(tick.at, &carry.priced, &pending.first_priced)?;
        let value = bounded(add(tick.value, in_transit)?)?;
        let end = Worth { at: tick.at, value };
        let last = carry.last.clone();
        let mut steps = Steps::default();
        self.records(carry, sub, last.is_some(), &mut steps, &mut news)?;

        if let Some(last) = &last {
            let start = carry.first.map_or(end.at, |first| first.at);
            let mut flows: Vec<&External> = pending.flows.iter().collect();
            flows.sort_by_key(|flow| flow.at);
            for flow in &flows {
                carry.flows.add(flow, start)?;
                carry.profit.flow(flow, &mut steps)?;
            }
            flows.retain(|flow| flow.kind.is_some());
            news.flows.extend(flows.iter().map(|flow| (flow.at, flow.value)));
            for (at, lost) in &pending.lost {
                carry.flows.lose(lost)?;
                carry.profit.transfer_fee(*at, *lost, &mut steps)?;
            }
            for (at, entries, net) in &pending.unexplained {
                carry.tally.unexplained(*net)?;
                if *net <= Decimal::ZERO {
                    carry.profit.unexplained(*at, entries, *net, &mut steps)?;
                }
            }
            for (at, entry) in &pending.unpriced {
                Profit::unpriced(*at, *entry, &mut steps);
            }
            carry.tally.skew_pairs += pending.skew_pairs;
            carry.profit.advance(steps)?;
            carry.linked.advance(last.worth, end, &flows, config)?;
            carry.totals.last_until(last.worth, end)?;
        } else {
            carry.first = Some(end);
            carry.profit = Profit::begin(tick)?;
        }
        let since = carry.since(config.session_start);
        carry.tally.incomplete += self.polls_between(last.as_ref(), tick.at);
        carry.tally.tick(since, tick.at);
        let index = carry.linked.index;
        carry.exposure.advance(tick.at, index, config)?;
        carry.days.advance(config, tick.at, index, &mut news.days)?;
        carry.priced.extend(&pending.first_priced);
        carry.left.extend(pending.left.iter().map(|(of, left)| (*of, Arc::clone(left))));
        if let Some(positions) = self.positions.get(sub.place) {
            carry.positions.clone_from(positions);
        }
        carry.last = Some(Last { tick: Arc::clone(tick), in_transit, worth: end });
        Ok(news)
    }

    /// Fails if coins in transit have lost their price.
    fn in_transit(
        &self,
        at: Timestamp,
        priced: &BTreeSet<AssetId>,
        now_priced: &[AssetId],
    ) -> Checked<Decimal> {
        let mut total = Decimal::ZERO;
        for transfer in self.transfers.under_way(at) {
            let asset = transfer.asset;
            let value = match self.rates.rate(asset, at) {
                Some(rate) => rate.of(transfer.arriving)?,
                None if priced.contains(&asset) || now_priced.contains(&asset) => {
                    return Err(Overflow);
                }
                None => Decimal::ZERO,
            };
            add_to(&mut total, value)?;
        }
        bounded(total)
    }

    /// Polls after the last valuation and before `at`: none of them is one.
    fn polls_between(&self, last: Option<&Last>, at: Timestamp) -> u64 {
        let polls = &self.ground.ledger.window.polls;
        let after = last.map_or(self.ground.config.session_start, |last| last.tick.at);
        let between = polls.range(after..).take_while(|(poll, _)| **poll < at);
        let others = between.filter(|(poll, _)| last.is_none_or(|last| **poll > last.tick.at));
        u64::try_from(others.count()).unwrap_or(u64::MAX)
    }

    /// Records of one sub-period; `valued` is false up to the first tick.
    fn records(
        &self,
        carry: &mut Carry,
        sub: &Sub<'_>,
        valued: bool,
        steps: &mut Steps,
        news: &mut News,
    ) -> Checked<()> {
        let window = &self.ground.ledger.window;
        let scope = |scopes: &[Scope], index| match scopes.get(index) {
            Some(scope) if valued => *scope,
            _ => Scope::Outside,
        };
        for index in sub.fills.clone() {
            let (Some(fill), of) = (window.fills.get(index), scope(&self.fills, index)) else {
                continue;
            };
            if of == Scope::Outside {
                carry.tally.pre_baseline += 1;
                continue;
            }
            let worth = FillWorth::of(fill, self.rates);
            let begins = self.begins.get(index).copied().unwrap_or(false);
            carry.totals.add(fill, &worth, begins, &mut news.calendar)?;
            if of == Scope::Valued {
                let realized = self.realized.get(index).copied().unwrap_or_default();
                carry.profit.fill(fill, &worth, realized, self.rates, steps)?;
            }
        }
        for index in sub.incomes.clone() {
            let (Some(income), of) = (window.incomes.get(index), scope(&self.incomes, index))
            else {
                continue;
            };
            if of == Scope::Outside {
                carry.tally.pre_baseline += 1;
                continue;
            }
            let entry = carry.incomes.add(income, self.rates)?;
            if of == Scope::Valued {
                carry.profit.income(income.stamp, entry, steps)?;
            }
        }
        let outside =
            sub.flows.clone().filter(|index| scope(&self.flows, *index) == Scope::Outside);
        carry.tally.pre_baseline += u64::try_from(outside.count()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Takes in what happened after the last valuation, up to `as_of`: it
    /// counts as activity, and in no return.
    pub(crate) fn rest(&self, stand: &mut Stand, as_of: Timestamp) -> Checked<()> {
        let Some(tick) = stand.carry.last.as_ref().map(|last| Arc::clone(&last.tick)) else {
            let window = &self.ground.ledger.window;
            let outside = [self.fills.len(), self.flows.len(), self.incomes.len()];
            let outside: usize = outside.into_iter().sum();
            stand.carry.tally.pre_baseline += u64::try_from(outside).unwrap_or(u64::MAX);
            let polls = window.polls.range(self.ground.config.session_start..);
            let polls = polls.take_while(|(at, _)| **at <= as_of).count();
            stand.carry.tally.incomplete += u64::try_from(polls).unwrap_or(u64::MAX);
            return Ok(());
        };
        let after = Timestamp::from_micros(as_of.as_micros().saturating_add(1));
        let last = stand.carry.last.clone();
        stand.carry.tally.incomplete += self.polls_between(last.as_ref(), after);
        let sub = Sub {
            place: usize::MAX,
            tick: &tick,
            fills: stand.fills..self.fills.len(),
            flows: stand.flows..self.flows.len(),
            incomes: stand.incomes..self.incomes.len(),
        };
        let mut profit = Steps::default();
        let kept = stand.carry.profit.clone();
        self.records(&mut stand.carry, &sub, true, &mut profit, &mut stand.news)?;
        stand.carry.profit = kept;
        Ok(())
    }
}
