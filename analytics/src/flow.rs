//! External cash flows: what crossed the portfolio's border, and what it was
//! worth when it did.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::book::Rates;
use crate::decimal::{Checked, Money, Native, add, add_to, bounded, div, mul, sum};
use crate::limits::{FLOW_DAYS_MAX, FLOWS_MAX};
use crate::names::{AssetId, AssetKind, Names};
use crate::pack::{packed, packed_enum};
use crate::reconcile::seconds;
use crate::record::Flow;
use crate::result::{FlowKind, Flows};
use crate::time::Timestamp;
use crate::transfer::Transfer;
use crate::valuation::{Holding, Quantities, Tick};

/// One external flow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct External {
    /// `None` where it has no value: it is in no return, and in no inventory
    /// at a cost.
    pub(crate) kind: Option<FlowKind>,
    pub(crate) at: Timestamp,
    pub(crate) value: Decimal,
    /// What it brought, asset by asset.
    pub(crate) entries: Vec<Entry>,
    /// Unrealised futures profit that it brought.
    pub(crate) unrealized: Decimal,
}

/// A signed quantity of an asset and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) asset: AssetId,
    pub(crate) quantity: Decimal,
    pub(crate) value: Decimal,
}

packed!(Entry { asset, quantity, value });
packed!(External { kind, at, value, entries, unrealized });

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

impl External {
    /// A deposit or withdrawal in the sub-period that ends at `tick`.
    pub(crate) fn recorded(flow: &Flow, tick: Timestamp, rates: Rates<'_>) -> Self {
        let Flow { asset, amount: quantity, stamp, .. } = *flow;
        let value = value_of(asset, quantity, stamp.at, tick, rates);
        let kind = value.map(|_| {
            if quantity.is_sign_negative() { FlowKind::Withdrawal } else { FlowKind::Deposit }
        });
        let value = value.unwrap_or_default();
        let entries = vec![Entry { asset, quantity, value }];
        Self { kind, at: stamp.at, value, entries, unrealized: Decimal::ZERO }
    }

    /// Everything an account holds comes in.
    pub(crate) fn joined(holding: &Holding, tick: &Tick) -> Checked<Self> {
        let mut entries = Vec::new();
        for &(asset, quantity) in &holding.snapshot.wallet {
            let rate = tick.rates.get(&asset);
            let value = rate.map_or(Ok(Decimal::ZERO), |rate| rate.of(quantity))?;
            entries.push(Entry { asset, quantity, value });
        }
        let (kind, unrealized) = (Some(FlowKind::AccountJoined), holding.unrealized);
        Ok(Self { kind, at: tick.at, value: holding.value, entries, unrealized })
    }

    /// The same with every sign turned.
    pub(crate) fn turned(mut self, kind: FlowKind) -> Self {
        self.kind = Some(kind);
        self.value = -self.value;
        self.unrealized = -self.unrealized;
        for entry in &mut self.entries {
            entry.quantity = -entry.quantity;
            entry.value = -entry.value;
        }
        self
    }

    /// What was held without a price is no profit when it gets one.
    pub(crate) fn first_priced(asset: AssetId, before: &Tick, now: &Tick) -> Checked<Option<Self>> {
        let held = |tick: &Tick| tick.held.get(&asset).copied().unwrap_or_default();
        let kept = smaller(held(before), held(now));
        let Some(rate) = now.rates.get(&asset).filter(|_| !kept.is_zero()) else {
            return Ok(None);
        };
        let value = bounded(rate.of(kept)?)?;
        let entries = vec![Entry { asset, quantity: Decimal::ZERO, value }];
        let (kind, unrealized) = (Some(FlowKind::FirstPriced), Decimal::ZERO);
        Ok(Some(Self { kind, at: now.at, value, entries, unrealized }))
    }
}

/// What is lost on an own transfer: a cost when it leaves.
pub(crate) fn lost_on(
    transfer: &Transfer,
    tick: Timestamp,
    rates: Rates<'_>,
) -> (Timestamp, Entry) {
    let Transfer { asset, left_at, lost, .. } = *transfer;
    let value = value_of(asset, lost, left_at, tick, rates).unwrap_or_default();
    (left_at, Entry { asset, quantity: lost, value })
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

/// Sums over all external flows so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FlowSums {
    pub(crate) inflow: Decimal,
    outflow: Decimal,
    pub(crate) net: Decimal,
    count: u64,
    by_kind: BTreeMap<FlowKind, Decimal>,
    unvalued: Quantities,
    transfers: u64,
    transfer_fees: Decimal,
    /// Sum of each flow times the days from the first tick to it.
    pub(crate) moment: Decimal,
}

packed!(FlowSums {
    inflow,
    outflow,
    net,
    count,
    by_kind,
    unvalued,
    transfers,
    transfer_fees,
    moment,
});
packed_enum!(FlowKind {
    Deposit = 0,
    Withdrawal = 1,
    AccountJoined = 2,
    AccountLeft = 3,
    FirstPriced = 4,
    UnexplainedIn = 5,
    TimingSkew = 6,
});

impl FlowSums {
    /// Takes one more flow in; the period began at `start`.
    pub(crate) fn add(&mut self, flow: &External, start: Timestamp) -> Checked<()> {
        let Some(kind) = flow.kind else {
            for entry in &flow.entries {
                add_to(self.unvalued.entry(entry.asset).or_default(), entry.quantity)?;
            }
            return Ok(());
        };
        add_to(&mut self.net, flow.value)?;
        add_to(self.by_kind.entry(kind).or_default(), flow.value)?;
        if kind != FlowKind::TimingSkew {
            self.count += 1;
            let side =
                if flow.value.is_sign_negative() { &mut self.outflow } else { &mut self.inflow };
            add_to(side, flow.value)?;
        }
        let since = days(flow.at.micros_since(start))?;
        add_to(&mut self.moment, mul(flow.value, since)?)
    }

    pub(crate) fn lose(&mut self, lost: &Entry) -> Checked<()> {
        self.transfers += 1;
        add_to(&mut self.transfer_fees, lost.value)
    }

    pub(crate) fn section(&self, assets: &Names<AssetKind>) -> Flows {
        Flows {
            inflow: Money::new(self.inflow),
            outflow: Money::new(-self.outflow),
            net: Money::new(self.net),
            count: self.count,
            by_kind: self.by_kind.iter().map(|(kind, sum)| (*kind, Money::new(*sum))).collect(),
            internal_transfers: self.transfers,
            transfer_fees: Money::new(self.transfer_fees),
            unvalued: natives(&self.unvalued, assets),
        }
    }
}

/// Quantities under the names of their assets.
pub(crate) fn natives(sums: &Quantities, assets: &Names<AssetKind>) -> BTreeMap<String, Native> {
    let native =
        |(asset, sum): (&AssetId, &Decimal)| (assets.name(*asset).to_owned(), Native::new(*sum));
    sums.iter().map(native).collect()
}

/// In days, so that the sum of values times lengths stays in range.
pub(crate) fn days(micros: i64) -> Checked<Decimal> {
    div(seconds(micros), Decimal::from(86_400))
}

/// What the money-weighted return is solved from: each flow, the newest
/// [`FLOWS_MAX`] of them by themselves, older ones as two sums a day, what came
/// in and what went out, each at the mean time of its flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FlowList {
    daily: Vec<At>,
    single: Vec<At>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct At {
    at: Timestamp,
    value: Decimal,
}

packed!(At { at, value });
packed!(FlowList { daily, single });

impl FlowList {
    /// Takes in flows in order of time.
    pub(crate) fn extend(&mut self, flows: &[(Timestamp, Decimal)]) {
        for &(at, value) in flows.iter().filter(|(_, value)| !value.is_zero()) {
            self.single.push(At { at, value });
            if self.single.len() > FLOWS_MAX {
                let oldest = self.single.remove(0);
                self.merge(oldest);
            }
        }
    }

    /// Into the sum of its day and side.
    fn merge(&mut self, flow: At) {
        let of_day =
            |other: &&mut At| other.at.day() == flow.at.day() && other.side() == flow.side();
        if let Some(sum) = self.daily.iter_mut().rev().take(2).find(of_day)
            && let Ok(both) = sum.and(flow)
        {
            *sum = both;
            return;
        }
        self.daily.push(flow);
        if self.daily.len() > FLOW_DAYS_MAX {
            // The oldest two of one side.
            let first = self.daily.remove(0);
            let next = self.daily.iter_mut().find(|other| other.side() == first.side());
            if let Some(next) = next
                && let Ok(both) = first.and(*next)
            {
                *next = both;
            }
        }
    }

    /// Value and time of each.
    pub(crate) fn flows(&self) -> impl Iterator<Item = (Decimal, Timestamp)> {
        self.daily.iter().chain(&self.single).map(|flow| (flow.value, flow.at))
    }
}

impl At {
    const fn side(&self) -> bool {
        self.value.is_sign_negative()
    }

    /// Two flows of one sign as one, at their mean time.
    fn and(self, other: Self) -> Checked<Self> {
        let value = add(self.value, other.value)?;
        let apart = Decimal::from(other.at.micros_since(self.at));
        let later = mul(apart, div(other.value, value)?)?.round();
        let later = i64::try_from(later).map_err(|_| crate::decimal::Overflow)?;
        let at = Timestamp::from_micros(self.at.as_micros().saturating_add(later));
        Ok(Self { at, value })
    }
}

/// Sum of the flows above zero.
pub(crate) fn positive_sum(values: impl Iterator<Item = Decimal>) -> Checked<Decimal> {
    sum(values.map(|value| value.max(Decimal::ZERO)))
}
