//! External cash flows: what crossed the portfolio's border, and what it was
//! worth when it did.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::book::Rates;
use crate::decimal::{Checked, Money, Native, Overflow, add, add_to, bounded};
use crate::ledger::Ledger;
use crate::names::AssetId;
use crate::reconcile::Reconciled;
use crate::record::Flow;
use crate::result::{FlowKind, Flows};
use crate::scope::Scoped;
use crate::time::Timestamp;
use crate::transfer::Transfer;
use crate::valuation::{Quantities, Valuation};

/// One external flow.
#[derive(Debug)]
pub(crate) struct External {
    /// `None` where it has no value: it is in no return, and in no inventory
    /// at a cost.
    pub(crate) kind: Option<FlowKind>,
    pub(crate) at: Timestamp,
    /// The tick that ends its sub-period.
    pub(crate) tick: usize,
    pub(crate) value: Decimal,
    /// What it brought, asset by asset.
    pub(crate) entries: Vec<Entry>,
    /// Unrealised futures profit that it brought.
    pub(crate) unrealized: Decimal,
}

/// A signed quantity of an asset and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) asset: AssetId,
    pub(crate) quantity: Decimal,
    pub(crate) value: Decimal,
}

/// All external flows of the period, and what was lost on own transfers.
#[derive(Debug, Default)]
pub(crate) struct Border {
    pub(crate) flows: Vec<External>,
    pub(crate) unvalued: Quantities,
    /// Time, then what was lost.
    pub(crate) lost: Vec<(Timestamp, Entry)>,
    pub(crate) transfers: u64,
}

/// Collects the flows, in order of time.
pub(crate) fn border(
    valuation: &Valuation<'_>,
    flows: &[Scoped<'_, Flow>],
    transfers: &[Transfer],
    reconciled: &Reconciled,
    rates: Rates<'_>,
) -> Checked<Border> {
    let mut border = Border::default();
    border.recorded(valuation, flows, transfers, rates)?;
    border.transfers(valuation, transfers, rates);
    border.accounts(valuation)?;
    border.first_priced(valuation)?;
    border.unexplained(valuation, reconciled);
    border.flows.sort_by_key(|flow| (flow.tick, flow.at));
    Ok(border)
}

/// The value of `quantity` at `at`, or else at the tick that ends the
/// sub-period; `None` where there is no rate or the value overflows.
fn value_of(
    asset: AssetId,
    quantity: Decimal,
    at: Timestamp,
    tick: Timestamp,
    rates: Rates<'_>,
) -> Option<Decimal> {
    let rate = rates.rate(asset, at).or_else(|| rates.rate(asset, tick))?;
    rate.of(quantity).and_then(bounded).ok()
}

impl Border {
    fn recorded(
        &mut self,
        valuation: &Valuation<'_>,
        flows: &[Scoped<'_, Flow>],
        transfers: &[Transfer],
        rates: Rates<'_>,
    ) -> Checked<()> {
        let own = |index| transfers.iter().any(|pair| pair.out == index || pair.into == index);
        for (index, flow) in flows.iter().enumerate().filter(|(_, flow)| flow.valued) {
            let Flow { asset, amount: quantity, ref stamp, .. } = *flow.record;
            let Some(tick) = valuation.ending(stamp.at).filter(|_| !own(index)) else { continue };
            let ends = valuation.at(tick).unwrap_or(stamp.at);
            let value = value_of(asset, quantity, stamp.at, ends, rates);
            if value.is_none() {
                add_to(self.unvalued.entry(asset).or_default(), quantity)?;
            }
            let kind = match value {
                None => None,
                Some(_) if quantity.is_sign_negative() => Some(FlowKind::Withdrawal),
                Some(_) => Some(FlowKind::Deposit),
            };
            let value = value.unwrap_or_default();
            let entries = vec![Entry { asset, quantity, value }];
            let unrealized = Decimal::ZERO;
            self.flows.push(External { kind, at: stamp.at, tick, value, entries, unrealized });
        }
        Ok(())
    }

    /// What is lost on an own transfer is a cost when it leaves.
    fn transfers(&mut self, valuation: &Valuation<'_>, transfers: &[Transfer], rates: Rates<'_>) {
        for transfer in transfers {
            let Some(tick) = valuation.ending(transfer.left_at) else { continue };
            self.transfers += 1;
            let ends = valuation.at(tick).unwrap_or(transfer.left_at);
            let value = value_of(transfer.asset, transfer.lost, transfer.left_at, ends, rates);
            let value = value.unwrap_or_default();
            let lost = Entry { asset: transfer.asset, quantity: transfer.lost, value };
            self.lost.push((transfer.left_at, lost));
        }
    }

    /// Accounts that join after the first tick, or leave before the last.
    fn accounts(&mut self, valuation: &Valuation<'_>) -> Checked<()> {
        for stay in &valuation.stays {
            let Some((first, last)) = stay.ticks else { continue };
            let mut moved = |kind: FlowKind, index: usize, tick: usize, leaves: bool| {
                let sign = |number: Decimal| if leaves { -number } else { number };
                let Some(of) = valuation.ticks.get(index) else { return Ok(()) };
                let Some(holding) = of.holdings.get(&stay.account) else { return Ok(()) };
                let mut entries = Vec::new();
                for &(asset, net) in &holding.snapshot.wallet {
                    let rate = of.rates.get(&asset);
                    let value = rate.map_or(Ok(Decimal::ZERO), |rate| rate.of(net))?;
                    entries.push(Entry { asset, quantity: sign(net), value: sign(value) });
                }
                let unrealized = sign(holding.unrealized);
                let (kind, value) = (Some(kind), sign(holding.value));
                self.flows.push(External { kind, at: of.at, tick, value, entries, unrealized });
                Ok::<(), Overflow>(())
            };
            if first > 0 {
                moved(FlowKind::AccountJoined, first, first, false)?;
            }
            if last + 1 < valuation.ticks.len() {
                moved(FlowKind::AccountLeft, last, last + 1, true)?;
            }
        }
        Ok(())
    }

    /// What was held without a price is no profit when it gets one.
    fn first_priced(&mut self, valuation: &Valuation<'_>) -> Checked<()> {
        for (before, pair) in valuation.ticks.windows(2).enumerate() {
            let [earlier, later] = pair else { continue };
            for asset in &later.first_priced {
                let held = |tick: &crate::valuation::Tick<'_>| {
                    tick.held.get(asset).copied().unwrap_or_default()
                };
                let kept = smaller(held(earlier), held(later));
                let Some(rate) = later.rates.get(asset).filter(|_| !kept.is_zero()) else {
                    continue;
                };
                let value = bounded(rate.of(kept)?)?;
                let entry = Entry { asset: *asset, quantity: Decimal::ZERO, value };
                self.flows.push(External {
                    kind: Some(FlowKind::FirstPriced),
                    at: later.at,
                    tick: before + 1,
                    value,
                    entries: vec![entry],
                    unrealized: Decimal::ZERO,
                });
            }
        }
        Ok(())
    }

    fn unexplained(&mut self, valuation: &Valuation<'_>, reconciled: &Reconciled) {
        let unrealized = Decimal::ZERO;
        for skew in &reconciled.skews {
            let value = skew.value;
            let entries = vec![Entry { asset: skew.asset, quantity: skew.amount, value }];
            let (kind, at, tick) = (Some(FlowKind::TimingSkew), skew.at, skew.tick);
            self.flows.push(External { kind, at, tick, value, entries, unrealized });
        }
        for rest in reconciled.unexplained.iter().filter(|rest| rest.net > Decimal::ZERO) {
            let entries = rest.entries().collect();
            let (kind, tick, value) = (Some(FlowKind::UnexplainedIn), rest.tick, rest.net);
            let Some(at) = valuation.at(tick) else { continue };
            self.flows.push(External { kind, at, tick, value, entries, unrealized });
        }
    }

    /// The flows that returns take into account.
    pub(crate) fn valued(&self) -> impl Iterator<Item = &External> {
        self.flows.iter().filter(|flow| flow.kind.is_some())
    }

    /// The sum of all flows that returns take into account.
    pub(crate) fn net(&self) -> Checked<Decimal> {
        crate::decimal::sum(self.valued().map(|flow| flow.value))
    }

    /// The sum of all that came in, timing skews left out.
    pub(crate) fn inflow(&self) -> Checked<Decimal> {
        crate::decimal::sum(self.counted().filter(|value| *value > Decimal::ZERO))
    }

    fn counted(&self) -> impl Iterator<Item = Decimal> {
        let real = self.valued().filter(|flow| flow.kind != Some(FlowKind::TimingSkew));
        real.map(|flow| flow.value)
    }

    pub(crate) fn section(&self, ledger: &Ledger) -> Checked<Flows> {
        let outflow = crate::decimal::sum(self.counted().filter(|value| *value < Decimal::ZERO))?;
        let mut by_kind: BTreeMap<FlowKind, Decimal> = BTreeMap::new();
        for flow in &self.flows {
            if let Some(kind) = flow.kind {
                add_to(by_kind.entry(kind).or_default(), flow.value)?;
            }
        }
        let lost = crate::decimal::sum(self.lost.iter().map(|(_, lost)| lost.value))?;
        let native = |(asset, amount): (&AssetId, &Decimal)| {
            (ledger.assets.name(*asset).to_owned(), Native::new(*amount))
        };
        Ok(Flows {
            inflow: Money::new(self.inflow()?),
            outflow: Money::new(-outflow),
            net: Money::new(self.net()?),
            count: u64::try_from(self.counted().count()).unwrap_or(u64::MAX),
            by_kind: by_kind.into_iter().map(|(kind, sum)| (kind, Money::new(sum))).collect(),
            internal_transfers: self.transfers,
            transfer_fees: Money::new(lost),
            unvalued: self.unvalued.iter().map(native).collect(),
        })
    }
}

impl crate::reconcile::Unexplained {
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.lines.iter().map(|&(asset, quantity, value)| Entry { asset, quantity, value })
    }
}

/// The part of `a` that `b` still has: the smaller one, if both have one sign.
fn smaller(a: Decimal, b: Decimal) -> Decimal {
    let both = |holds: fn(&Decimal) -> bool| holds(&a) && holds(&b);
    if both(|x| *x > Decimal::ZERO) {
        a.min(b)
    } else if both(|x| *x < Decimal::ZERO) {
        a.max(b)
    } else {
        Decimal::ZERO
    }
}

/// Sum of the flows above zero.
pub(crate) fn positive_sum<'a>(flows: impl Iterator<Item = &'a External>) -> Checked<Decimal> {
    flows.map(|flow| flow.value.max(Decimal::ZERO)).try_fold(Decimal::ZERO, add)
}
