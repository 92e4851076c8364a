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
use crate::flow::{Entry, External};
use crate::inventory::Inventory;
use crate::pack::packed;
use crate::record::{Did, Fill, Stamp};
use crate::result::Pnl;
use crate::time::Timestamp;
use crate::valuation::Tick;

/// When something enters the inventory: by time; at one time records before
/// what a valuation shows; records in their order.
type Order = (Timestamp, bool, Option<Stamp>);

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(Entry),
    /// First price of something held.
    Revalue(Entry),
}

/// What enters the inventory in one sub-period.
#[derive(Debug, Default)]
pub(crate) struct Steps(Vec<(Order, Step)>);

/// The sums so far, and what is held at which cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Profit {
    inventory: Inventory,
    realized_futures: Decimal,
    fees: Decimal,
    income: Decimal,
    transfer_fees: Decimal,
    unexplained_out: Decimal,
    /// Unrealised futures profit that joined, less what left.
    moved_unrealized: Decimal,
    /// Unrealised futures profit at the first tick.
    first_unrealized: Decimal,
}

packed!(Profit {
    inventory,
    realized_futures,
    fees,
    income,
    transfer_fees,
    unexplained_out,
    moved_unrealized,
    first_unrealized,
});

impl Profit {
    /// Everything held at the first tick, at its value.
    pub(crate) fn begin(first: &Tick) -> Checked<Self> {
        let mut profit = Self { first_unrealized: first.unrealized()?, ..Self::default() };
        for holding in first.holdings.values() {
            for &(asset, net) in &holding.snapshot.wallet {
                let rate = first.rates.get(&asset);
                let value = rate.map_or(Ok(Decimal::ZERO), |rate| rate.of(net))?;
                profit.inventory.take(asset, net, value)?;
            }
        }
        profit.inventory.realized = Decimal::ZERO;
        Ok(profit)
    }

    pub(crate) fn fill(
        &mut self,
        fill: &Fill,
        worth: &Worth,
        realized: Decimal,
        rates: Rates<'_>,
        steps: &mut Steps,
    ) -> Checked<()> {
        let mut take = |asset, quantity, value| {
            let order = (fill.stamp.at, false, Some(fill.stamp));
            steps.0.push((order, Step::Take(Entry { asset, quantity, value })));
        };
        match fill.did {
            Did::Swap { base, bought } => {
                let value = worth.swap.unwrap_or_default();
                let value = if bought.is_sign_negative() { -value } else { value };
                take(base, bought, value);
                take(fill.quote, fill.paid(bought), -value);
            }
            Did::Trade { settle, .. } => {
                let rate = rates.rate(settle, fill.stamp.at);
                let value = rate.and_then(|rate| rate.of(realized).and_then(bounded).ok());
                let value = value.unwrap_or_default();
                add_to(&mut self.realized_futures, value)?;
                take(settle, realized, value);
            }
        }
        if let Some(fee) = fill.fee {
            let value = worth.fee.unwrap_or_default();
            add_to(&mut self.fees, value)?;
            take(fee.asset, -fee.amount, -value);
        }
        Ok(())
    }

    pub(crate) fn income(&mut self, stamp: Stamp, entry: Entry, steps: &mut Steps) -> Checked<()> {
        steps.0.push(((stamp.at, false, Some(stamp)), Step::Take(entry)));
        add_to(&mut self.income, entry.value)
    }

    pub(crate) fn flow(&mut self, flow: &External, steps: &mut Steps) -> Checked<()> {
        for &entry in &flow.entries {
            let step = if entry.quantity.is_zero() { Step::Revalue } else { Step::Take };
            steps.0.push(((flow.at, true, None), step(entry)));
        }
        add_to(&mut self.moved_unrealized, flow.unrealized)
    }

    pub(crate) fn transfer_fee(
        &mut self,
        at: Timestamp,
        lost: Entry,
        steps: &mut Steps,
    ) -> Checked<()> {
        let (quantity, value) = (-lost.quantity, -lost.value);
        steps.0.push(((at, true, None), Step::Take(Entry { quantity, value, ..lost })));
        add_to(&mut self.transfer_fees, lost.value)
    }

    /// What an account lost without a record; `net` is the sum of the values
    /// and not above zero.
    pub(crate) fn unexplained(
        &mut self,
        at: Timestamp,
        lines: &[Entry],
        net: Decimal,
        steps: &mut Steps,
    ) -> Checked<()> {
        steps.0.extend(lines.iter().map(|entry| ((at, true, None), Step::Take(*entry))));
        self.unexplained_out = sub(self.unexplained_out, net)?;
        Ok(())
    }

    /// What changed and never had a price.
    pub(crate) fn unpriced(at: Timestamp, entry: Entry, steps: &mut Steps) {
        steps.0.push(((at, true, None), Step::Take(entry)));
    }

    /// Replays the steps of one sub-period.
    pub(crate) fn advance(&mut self, mut steps: Steps) -> Checked<()> {
        steps.0.sort_by_key(|(order, _)| *order);
        for (_, step) in &steps.0 {
            match step {
                Step::Take(entry) => {
                    self.inventory.take(entry.asset, entry.quantity, entry.value)?;
                }
                Step::Revalue(entry) => self.inventory.revalue(entry.asset, entry.value)?,
            }
        }
        Ok(())
    }

    /// The section, valued at the last tick.
    pub(crate) fn finish(&self, last: &Tick, gain: Decimal, rates: Rates<'_>) -> Checked<Pnl> {
        let mut unrealized = Decimal::ZERO;
        for (asset, line) in self.inventory.lines() {
            let rate = rates.rate(asset, last.at);
            let value = rate.map_or(Ok(Decimal::ZERO), |rate| rate.of(line.quantity))?;
            add_to(&mut unrealized, sub(value, line.cost)?)?;
        }
        let futures_change =
            sub(sub(last.unrealized()?, self.first_unrealized)?, self.moved_unrealized)?;
        let mut explained = add(self.inventory.realized, self.realized_futures)?;
        for part in [unrealized, futures_change, self.income] {
            add_to(&mut explained, part)?;
        }
        for cost in [self.fees, self.transfer_fees, self.unexplained_out] {
            add_to(&mut explained, -cost)?;
        }
        Ok(Pnl {
            realized_spot: Money::new(self.inventory.realized),
            realized_futures: Money::new(self.realized_futures),
            unrealized: Money::new(unrealized),
            unrealized_futures_change: Money::new(futures_change),
            fees: Money::new(self.fees),
            income: Money::new(self.income),
            transfer_fees: Money::new(self.transfer_fees),
            unexplained_out: Money::new(self.unexplained_out),
            residual: Money::new(sub(gain, explained)?),
        })
    }
}
