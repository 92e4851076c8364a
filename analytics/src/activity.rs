//! Trades, volume, fees and income, in total and by UTC calendar.
//!
//! Each fill is worth its notional at its own time, whenever it arrives. What
//! has no rate is listed in its own currency, and is not zero. Fills are taken
//! in order of time, so of each calendar only the newest bucket can change.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;

use crate::book::Rates;
use crate::config::Config;
use crate::decimal::{Checked, Money, Ratio, add_to, bounded, div, mul, sub};
use crate::digest::Spread;
use crate::event::IncomeKind;
use crate::flow::{Entry, days, natives};
use crate::names::{AssetKind, Names};
use crate::pack::{Digest, Pack, Reader, Unpacked, Unsealable, packed};
use crate::record::{self, Did, Fill, Valued};
use crate::result::{Activity, Bucket, Buckets, Fees, Income};
use crate::returns::Worth as At;
use crate::time::Timestamp;
use crate::valuation::Quantities;

/// When each order was last filled, for as long as an event may be late: one
/// that goes on after that counts again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders(HashMap<u64, Timestamp, Spread>);

impl Orders {
    /// Whether a fill is the first of its order; `earlier` are those before
    /// what `self` has.
    pub(crate) fn begins(&mut self, earlier: &Self, fill: &Fill, config: &Config) -> bool {
        let (at, order) = (fill.stamp.at, fill.order.0);
        let before = self.0.insert(order, at).or_else(|| earlier.0.get(&order).copied());
        let known = at.minus_seconds(config.late_horizon_s.into());
        before.is_none_or(|last| last < known)
    }

    /// Takes in what came later, up to `at`, and forgets what can be.
    pub(crate) fn extend(&mut self, later: Self, at: Timestamp, config: &Config) {
        self.0.extend(later.0);
        let known = at.minus_seconds(config.late_horizon_s.into());
        self.0.retain(|_, last| *last >= known);
    }
}

impl Pack for Orders {
    fn pack(&self, to: &mut Vec<u8>) {
        let sorted: BTreeMap<Digest, Timestamp> =
            self.0.iter().map(|(order, last)| (Digest(*order), *last)).collect();
        sorted.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let sorted: BTreeMap<Digest, Timestamp> = Pack::unpack(from)?;
        Ok(Self(sorted.into_iter().map(|(order, last)| (order.0, last)).collect()))
    }
}

/// What one fill is worth in base currency.
#[derive(Debug)]
pub(crate) struct Worth {
    /// The notional; `None` without a rate.
    pub(crate) volume: Option<Decimal>,
    /// What base and quote are exchanged at: the notional, or else the value
    /// of the base.
    pub(crate) swap: Option<Decimal>,
    /// Positive is paid; `None` without a rate.
    pub(crate) fee: Option<Decimal>,
}

impl Worth {
    pub(crate) fn of(fill: &Fill, rates: Rates<'_>) -> Self {
        let at = fill.stamp.at;
        let quote = rates.rate(fill.quote, at);
        let value = |rate: Option<crate::book::Rate>, amount| {
            rate.and_then(|rate| rate.of(amount).and_then(bounded).ok())
        };
        let volume = value(quote, fill.notional);
        let swap = volume.or_else(|| match fill.did {
            Did::Swap { base, bought } => value(rates.rate(base, at), bought.abs()),
            Did::Trade { .. } => None,
        });
        let fee = fill.fee.and_then(|fee| match fee.valued {
            Valued::ByAsset if fee.asset == fill.quote => value(quote, fee.amount),
            Valued::ByAsset => value(rates.rate(fee.asset, at), fee.amount),
            Valued::ByQuote(amount) => value(quote, amount),
            Valued::No => None,
        });
        Self { volume, swap, fee }
    }
}

/// Totals over all fills that count.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    trades: u64,
    orders: u64,
    volume: Decimal,
    paid: Decimal,
    rebates: Decimal,
    fees_by_asset: Quantities,
    unconverted_volume: Quantities,
    unconverted_fees: Quantities,
    /// Value times days.
    area: Decimal,
    open: Open,
}

packed!(Totals {
    trades,
    orders,
    volume,
    paid,
    rebates,
    fees_by_asset,
    unconverted_volume,
    unconverted_fees,
    area,
    open,
});

/// The newest bucket of each calendar.
#[derive(Clone, Debug, Default, PartialEq)]
struct Open {
    hour: Option<Slot>,
    day: Option<Slot>,
    week: Option<Slot>,
    month: Option<Slot>,
}

packed!(Open { hour, day, week, month });

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    start: Timestamp,
    volume: Decimal,
    trades: u64,
    fees: Decimal,
}

/// Buckets that are full, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Calendar {
    hour: Vec<Slot>,
    day: Vec<Slot>,
    week: Vec<Slot>,
    month: Vec<Slot>,
}

packed!(Calendar { hour, day, week, month });

impl Pack for Slot {
    /// At most 40 bytes: every start is a full hour.
    fn pack(&self, to: &mut Vec<u8>) {
        let hours = self.start.as_micros() / HOUR_MICROS;
        u32::try_from(hours).unwrap_or(u32::MAX).pack(to);
        self.volume.pack(to);
        self.trades.pack(to);
        self.fees.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let hours = i64::from(u32::unpack(from)?);
        let start = Timestamp::from_micros(hours.saturating_mul(HOUR_MICROS));
        if start > crate::limits::TIME_MAX {
            return Err(Unsealable);
        }
        let (volume, trades, fees) = Pack::unpack(from)?;
        Ok(Self { start, volume, trades, fees })
    }
}

const HOUR_MICROS: i64 = 3_600_000_000;

impl Calendar {
    /// Appends what is newer.
    pub(crate) fn append(&mut self, mut newer: Self) {
        self.hour.append(&mut newer.hour);
        self.day.append(&mut newer.day);
        self.week.append(&mut newer.week);
        self.month.append(&mut newer.month);
    }

    /// Bytes of the hours, which are paged, in a sealed state.
    pub(crate) fn hours(&self) -> &Vec<Slot> {
        &self.hour
    }
}

impl Totals {
    /// Takes one more fill in; buckets that are full go to `over`.
    pub(crate) fn add(
        &mut self,
        fill: &Fill,
        worth: &Worth,
        begins_order: bool,
        over: &mut Calendar,
    ) -> Checked<()> {
        let at = fill.stamp.at;
        self.trades += 1;
        self.orders += u64::from(begins_order);
        let volume = worth.volume.unwrap_or_default();
        if worth.volume.is_none() {
            add_to(self.unconverted_volume.entry(fill.quote).or_default(), fill.notional)?;
        }
        add_to(&mut self.volume, volume)?;
        let mut fee_value = Decimal::ZERO;
        if let Some(fee) = fill.fee {
            add_to(self.fees_by_asset.entry(fee.asset).or_default(), fee.amount)?;
            match worth.fee {
                Some(value) => fee_value = value,
                None => {
                    add_to(self.unconverted_fees.entry(fee.asset).or_default(), fee.amount)?;
                }
            }
        }
        if fee_value.is_sign_negative() {
            self.rebates = sub(self.rebates, fee_value)?;
        } else {
            add_to(&mut self.paid, fee_value)?;
        }
        for (open, ended, start) in [
            (&mut self.open.hour, &mut over.hour, at.hour_start()),
            (&mut self.open.day, &mut over.day, at.day_start()),
            (&mut self.open.week, &mut over.week, at.week_start()),
            (&mut self.open.month, &mut over.month, at.month_start()),
        ] {
            let new = Slot { start, volume: Decimal::ZERO, trades: 0, fees: Decimal::ZERO };
            let slot = open.get_or_insert(new);
            if slot.start != start {
                ended.push(std::mem::replace(slot, new));
            }
            slot.trades += 1;
            add_to(&mut slot.volume, volume)?;
            add_to(&mut slot.fees, fee_value)?;
        }
        Ok(())
    }

    /// The value of a tick lasts until the next.
    pub(crate) fn last_until(&mut self, start: At, end: At) -> Checked<()> {
        let length = days(end.at.micros_since(start.at))?;
        add_to(&mut self.area, mul(start.value, length)?)
    }

    pub(crate) fn activity(
        &self,
        period: Option<(At, At)>,
        full: [&Calendar; 2],
        assets: &Names<AssetKind>,
    ) -> Checked<Activity> {
        let average =
            (self.trades > 0).then(|| div(self.volume, self.trades.into())).transpose()?;
        let mut turnover = None;
        if let Some((first, last)) = period.filter(|(first, last)| first.at < last.at) {
            let mean = div(self.area, days(last.at.micros_since(first.at))?)?;
            if mean > Decimal::ZERO {
                turnover = Some(div(self.volume, mul(mean, Decimal::TWO)?)?);
            }
        }
        let buckets = |of: fn(&Calendar) -> &Vec<Slot>, open: &Option<Slot>| {
            full.into_iter().flat_map(of).chain(open).map(Slot::bucket).collect()
        };
        Ok(Activity {
            trades: self.trades,
            orders: self.orders,
            volume: Money::new(self.volume),
            average_trade: average.map(Money::new),
            turnover: turnover.map(Ratio::new),
            buckets: Buckets {
                hour: buckets(|all| &all.hour, &self.open.hour),
                day: buckets(|all| &all.day, &self.open.day),
                week: buckets(|all| &all.week, &self.open.week),
                month: buckets(|all| &all.month, &self.open.month),
            },
            unconverted: natives(&self.unconverted_volume, assets),
        })
    }

    pub(crate) fn fees(&self, assets: &Names<AssetKind>) -> Checked<Fees> {
        let net = sub(self.paid, self.rebates)?;
        let rate = if self.volume.is_zero() {
            None
        } else {
            Some(mul(div(net, self.volume)?, Decimal::from(10_000))?)
        };
        Ok(Fees {
            net: Money::new(net),
            paid: Money::new(self.paid),
            rebates: Money::new(self.rebates),
            by_asset: natives(&self.fees_by_asset, assets),
            rate_bps: rate.map(Ratio::new),
            unconverted: natives(&self.unconverted_fees, assets),
        })
    }
}

impl Slot {
    fn bucket(&self) -> Bucket {
        Bucket {
            start: self.start,
            volume: Money::new(self.volume),
            trades: self.trades,
            fees: Money::new(self.fees),
        }
    }
}

/// Income in base currency.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Incomes {
    by_kind: BTreeMap<IncomeKind, Decimal>,
    unconverted: Quantities,
}

packed!(Incomes { by_kind, unconverted });

impl Incomes {
    /// Takes one more in, and returns what profit takes of it.
    pub(crate) fn add(&mut self, income: &record::Income, rates: Rates<'_>) -> Checked<Entry> {
        let record::Income { stamp, kind, asset, amount, .. } = *income;
        let rate = rates.rate(asset, stamp.at);
        let value = rate.and_then(|rate| rate.of(amount).and_then(bounded).ok());
        match value {
            Some(value) => add_to(self.by_kind.entry(kind).or_default(), value)?,
            None => add_to(self.unconverted.entry(asset).or_default(), amount)?,
        }
        Ok(Entry { asset, quantity: amount, value: value.unwrap_or_default() })
    }

    pub(crate) fn section(&self, assets: &Names<AssetKind>) -> Checked<Income> {
        let total = crate::decimal::sum(self.by_kind.values().copied())?;
        let by_kind = self.by_kind.iter().map(|(kind, sum)| (*kind, Money::new(*sum)));
        Ok(Income {
            total: Money::new(total),
            by_kind: by_kind.collect(),
            unconverted: natives(&self.unconverted, assets),
        })
    }
}
