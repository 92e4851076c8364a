//! Where the gain came from.
//!
//! Everything that changes an inventory is replayed in order of time: fills
//! as swaps at their value, fees as disposals, income, flows and unexplained
//! changes at market value. The identity
//! `gain = realized_spot + realized_futures + unrealized +
//! unrealized_futures_change + income - fees - transfer_fees - unexplained_out`
//! is checked each time; `residual` is what is left.

use rust_decimal::Decimal;

use crate::activity::Worth;
use crate::book::Rates;
use crate::decimal::{Checked, Money, add, add_to, bounded, sub};
use crate::effect::Effect;
use crate::flow::{Border, Entry};
use crate::inventory::Inventory;
use crate::reconcile::Reconciled;
use crate::record::{Fill, Stamp};
use crate::result::Pnl;
use crate::scope::Scoped;
use crate::time::Timestamp;
use crate::valuation::{Tick, Valuation};

/// What profit is calculated from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) valuation: &'a Valuation<'a>,
    pub(crate) fills: &'a [Scoped<'a, Fill>],
    /// One for each fill, as `worths`.
    pub(crate) effects: &'a [Effect],
    pub(crate) worths: &'a [Worth],
    /// Stamp, then what came in.
    pub(crate) incomes: &'a [(Stamp, Entry)],
    pub(crate) border: &'a Border,
    pub(crate) reconciled: &'a Reconciled,
    pub(crate) gain: Decimal,
}

/// When something enters the inventory: by time; at one time records before
/// what a valuation shows; records in their order.
type Order = (Timestamp, bool, Option<Stamp>);

#[derive(Debug)]
enum Step {
    Take(Entry),
    /// First price of something held.
    Revalue(Entry),
}

pub(crate) fn pnl(sources: Sources<'_>, rates: Rates<'_>) -> Checked<Pnl> {
    let ticks = &sources.valuation.ticks;
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else {
        return Ok(Pnl::default());
    };
    let mut parts = Parts::default();
    let mut steps: Vec<(Order, Step)> = Vec::new();
    parts.fills(sources, rates, &mut steps)?;
    parts.rest(sources, &mut steps)?;
    steps.sort_by_key(|(order, _)| *order);

    let mut inventory = Inventory::default();
    for holding in first.holdings.values() {
        for &(asset, net) in &holding.snapshot.wallet {
            let value = first.rates.get(&asset).map_or(Ok(Decimal::ZERO), |rate| rate.of(net))?;
            inventory.take(asset, net, value)?;
        }
    }
    inventory.realized = Decimal::ZERO;
    for (_, step) in &steps {
        match step {
            Step::Take(entry) => inventory.take(entry.asset, entry.quantity, entry.value)?,
            Step::Revalue(entry) => inventory.revalue(entry.asset, entry.value)?,
        }
    }
    parts.finish(&inventory, first, last, sources, rates)
}

#[derive(Debug, Default)]
struct Parts {
    realized_futures: Decimal,
    fees: Decimal,
    income: Decimal,
    transfer_fees: Decimal,
    unexplained_out: Decimal,
    /// Unrealised futures profit that joined, less what left.
    moved_unrealized: Decimal,
}

impl Parts {
    fn fills(
        &mut self,
        sources: Sources<'_>,
        rates: Rates<'_>,
        steps: &mut Vec<(Order, Step)>,
    ) -> Checked<()> {
        let fills = sources.fills.iter().zip(sources.effects).zip(sources.worths);
        for ((fill, effect), worth) in fills.filter(|((fill, _), _)| fill.valued) {
            let stamp = fill.record.stamp;
            let mut take = |asset, quantity, value| {
                let entry = Entry { asset, quantity, value };
                steps.push(((stamp.at, false, Some(stamp)), Step::Take(entry)));
            };
            if let Some([(base, bought), (quote, paid)]) = effect.swapped {
                let value = worth.swap.unwrap_or_default();
                let value = if bought.is_sign_negative() { -value } else { value };
                take(base, bought, value);
                take(quote, paid, -value);
            }
            if let Some((settle, realized)) = effect.realized {
                let rate = rates.rate(settle, stamp.at);
                let value = rate.and_then(|rate| rate.of(realized).and_then(bounded).ok());
                let value = value.unwrap_or_default();
                add_to(&mut self.realized_futures, value)?;
                take(settle, realized, value);
            }
            if let Some((asset, amount)) = fill.record.fee {
                let value = worth.fee.unwrap_or_default();
                add_to(&mut self.fees, value)?;
                take(asset, -amount, -value);
            }
        }
        Ok(())
    }

    fn rest(&mut self, sources: Sources<'_>, steps: &mut Vec<(Order, Step)>) -> Checked<()> {
        for &(stamp, entry) in sources.incomes {
            add_to(&mut self.income, entry.value)?;
            steps.push(((stamp.at, false, Some(stamp)), Step::Take(entry)));
        }
        for flow in &sources.border.flows {
            add_to(&mut self.moved_unrealized, flow.unrealized)?;
            for &entry in &flow.entries {
                let step = if entry.quantity.is_zero() { Step::Revalue } else { Step::Take };
                steps.push(((flow.at, true, None), step(entry)));
            }
        }
        for &(at, lost) in &sources.border.lost {
            add_to(&mut self.transfer_fees, lost.value)?;
            let (quantity, value) = (-lost.quantity, -lost.value);
            steps.push(((at, true, None), Step::Take(Entry { quantity, value, ..lost })));
        }
        for lost in sources.reconciled.unexplained.iter().filter(|u| u.net <= Decimal::ZERO) {
            let Some(at) = sources.valuation.at(lost.tick) else { continue };
            self.unexplained_out = sub(self.unexplained_out, lost.net)?;
            steps.extend(lost.entries().map(|entry| ((at, true, None), Step::Take(entry))));
        }
        for &(tick, asset, quantity) in &sources.reconciled.unpriced {
            let Some(at) = sources.valuation.at(tick) else { continue };
            let entry = Entry { asset, quantity, value: Decimal::ZERO };
            steps.push(((at, true, None), Step::Take(entry)));
        }
        Ok(())
    }

    fn finish(
        self,
        inventory: &Inventory,
        first: &Tick<'_>,
        last: &Tick<'_>,
        sources: Sources<'_>,
        rates: Rates<'_>,
    ) -> Checked<Pnl> {
        let mut unrealized = Decimal::ZERO;
        for (asset, line) in inventory.lines() {
            let rate = rates.rate(asset, last.at);
            let value = rate.map_or(Ok(Decimal::ZERO), |rate| rate.of(line.quantity))?;
            add_to(&mut unrealized, sub(value, line.cost)?)?;
        }
        let open = |tick: &Tick<'_>| {
            crate::decimal::sum(tick.holdings.values().map(|holding| holding.unrealized))
        };
        let futures_change = sub(sub(open(last)?, open(first)?)?, self.moved_unrealized)?;
        let mut explained = add(inventory.realized, self.realized_futures)?;
        for part in [unrealized, futures_change, self.income] {
            add_to(&mut explained, part)?;
        }
        for cost in [self.fees, self.transfer_fees, self.unexplained_out] {
            add_to(&mut explained, -cost)?;
        }
        Ok(Pnl {
            realized_spot: Money::new(inventory.realized),
            realized_futures: Money::new(self.realized_futures),
            unrealized: Money::new(unrealized),
            unrealized_futures_change: Money::new(futures_change),
            fees: Money::new(self.fees),
            income: Money::new(self.income),
            transfer_fees: Money::new(self.transfer_fees),
            unexplained_out: Money::new(self.unexplained_out),
            residual: Money::new(sub(sources.gain, explained)?),
        })
    }
}
