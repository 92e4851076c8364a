//! Trades, volume, fees and income, in total and by UTC calendar.
//!
//! Each fill is worth its notional at its own time, whenever it arrives. What
//! has no rate is listed in its own currency, and is not zero.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::book::Rates;
use crate::decimal::{Checked, Money, Native, Ratio, add_to, bounded, div, mul, sub};
use crate::event::{IncomeKind, Market};
use crate::flow::Entry;
use crate::ledger::Ledger;
use crate::names::AssetId;
use crate::record::{self, Fill, Stamp};
use crate::result::{Activity, Bucket, Buckets, Fees, Income};
use crate::returns::count;
use crate::scope::Scoped;
use crate::time::Timestamp;
use crate::valuation::{Quantities, Valuation};

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

/// One worth for each of `fills`.
pub(crate) fn worths(fills: &[Scoped<'_, Fill>], rates: Rates<'_>) -> Vec<Worth> {
    fills.iter().map(|fill| worth(fill.record, rates)).collect()
}

fn worth(fill: &Fill, rates: Rates<'_>) -> Worth {
    let at = fill.stamp.at;
    let value = |asset, amount| {
        rates.rate(asset, at).and_then(|rate| rate.of(amount).and_then(bounded).ok())
    };
    let volume = value(fill.quote, fill.notional);
    let swap = volume.or_else(|| value(fill.base, mul(fill.qty, fill.contract_size).ok()?));
    let fee = fill.fee.and_then(|(asset, amount)| {
        if asset == fill.base && asset != fill.quote && fill.market != Market::Futures {
            value(fill.quote, mul(amount, fill.price).ok()?)
        } else {
            value(asset, amount)
        }
    });
    Worth { volume, swap, fee }
}

/// Totals over all fills that count.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    trades: u64,
    orders: BTreeSet<u64>,
    volume: Decimal,
    paid: Decimal,
    rebates: Decimal,
    fees_by_asset: Quantities,
    unconverted_volume: Quantities,
    unconverted_fees: Quantities,
    hour: Calendar,
    day: Calendar,
    week: Calendar,
    month: Calendar,
}

type Calendar = BTreeMap<Timestamp, Slot>;

#[derive(Debug, Default)]
struct Slot {
    volume: Decimal,
    trades: u64,
    fees: Decimal,
}

impl Totals {
    pub(crate) fn of(fills: &[Scoped<'_, Fill>], worths: &[Worth]) -> Checked<Self> {
        let mut totals = Self::default();
        for (fill, worth) in fills.iter().map(|fill| fill.record).zip(worths) {
            totals.add(fill, worth)?;
        }
        Ok(totals)
    }

    fn add(&mut self, fill: &Fill, worth: &Worth) -> Checked<()> {
        self.trades += 1;
        self.orders.insert(fill.order);
        let volume = worth.volume.unwrap_or_default();
        if worth.volume.is_none() {
            add_to(self.unconverted_volume.entry(fill.quote).or_default(), fill.notional)?;
        }
        add_to(&mut self.volume, volume)?;
        let mut fee_value = Decimal::ZERO;
        if let Some((asset, amount)) = fill.fee {
            add_to(self.fees_by_asset.entry(asset).or_default(), amount)?;
            match worth.fee {
                Some(value) => fee_value = value,
                None => add_to(self.unconverted_fees.entry(asset).or_default(), amount)?,
            }
        }
        if fee_value.is_sign_negative() {
            self.rebates = sub(self.rebates, fee_value)?;
        } else {
            add_to(&mut self.paid, fee_value)?;
        }
        let at = fill.stamp.at;
        for (calendar, start) in [
            (&mut self.hour, at.hour_start()),
            (&mut self.day, at.day_start()),
            (&mut self.week, at.week_start()),
            (&mut self.month, at.month_start()),
        ] {
            let slot = calendar.entry(start).or_default();
            slot.trades += 1;
            add_to(&mut slot.volume, volume)?;
            add_to(&mut slot.fees, fee_value)?;
        }
        Ok(())
    }

    pub(crate) fn activity(&self, valuation: &Valuation<'_>, ledger: &Ledger) -> Checked<Activity> {
        let average =
            (self.trades > 0).then(|| div(self.volume, self.trades.into())).transpose()?;
        let mean = mean_value(valuation)?.filter(|mean| *mean > Decimal::ZERO);
        let turnover = match mean {
            Some(mean) => Some(div(self.volume, mul(mean, Decimal::TWO)?)?),
            None => None,
        };
        Ok(Activity {
            trades: self.trades,
            orders: count(self.orders.len()),
            volume: Money::new(self.volume),
            average_trade: average.map(Money::new),
            turnover: turnover.map(Ratio::new),
            buckets: Buckets {
                hour: buckets(&self.hour),
                day: buckets(&self.day),
                week: buckets(&self.week),
                month: buckets(&self.month),
            },
            unconverted: natives(&self.unconverted_volume, ledger),
        })
    }

    pub(crate) fn fees(&self, ledger: &Ledger) -> Checked<Fees> {
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
            by_asset: natives(&self.fees_by_asset, ledger),
            rate_bps: rate.map(Ratio::new),
            unconverted: natives(&self.unconverted_fees, ledger),
        })
    }
}

fn buckets(calendar: &Calendar) -> Vec<Bucket> {
    let bucket = |(start, slot): (&Timestamp, &Slot)| Bucket {
        start: *start,
        volume: Money::new(slot.volume),
        trades: slot.trades,
        fees: Money::new(slot.fees),
    };
    calendar.iter().map(bucket).collect()
}

pub(crate) fn natives(sums: &Quantities, ledger: &Ledger) -> BTreeMap<String, Native> {
    let native = |(asset, sum): (&AssetId, &Decimal)| {
        (ledger.assets.name(*asset).to_owned(), Native::new(*sum))
    };
    sums.iter().map(native).collect()
}

/// Value over time: that of each tick lasts until the next.
fn mean_value(valuation: &Valuation<'_>) -> Checked<Option<Decimal>> {
    let Some((start, end)) = valuation.period().filter(|(start, end)| start < end) else {
        return Ok(None);
    };
    let mut area = Decimal::ZERO;
    for pair in valuation.ticks.windows(2) {
        let [now, next] = pair else { continue };
        add_to(&mut area, mul(now.value, days(next.at.micros_since(now.at)))?)?;
    }
    div(area, days(end.micros_since(start))).map(Some)
}

/// In days, so that the sum of values times lengths stays in range.
fn days(micros: i64) -> Decimal {
    crate::reconcile::seconds(micros) / Decimal::from(86_400)
}

/// Income in base currency.
#[derive(Debug, Default)]
pub(crate) struct Incomes {
    by_kind: BTreeMap<IncomeKind, Decimal>,
    unconverted: Quantities,
    /// What profit takes into account.
    pub(crate) valued: Vec<(Stamp, Entry)>,
}

impl Incomes {
    pub(crate) fn of(incomes: &[Scoped<'_, record::Income>], rates: Rates<'_>) -> Checked<Self> {
        let mut all = Self::default();
        for income in incomes {
            let record::Income { stamp, kind, asset, amount, .. } = *income.record;
            let rate = rates.rate(asset, stamp.at);
            let value = rate.and_then(|rate| rate.of(amount).and_then(bounded).ok());
            match value {
                Some(value) => add_to(all.by_kind.entry(kind).or_default(), value)?,
                None => add_to(all.unconverted.entry(asset).or_default(), amount)?,
            }
            if income.valued {
                let value = value.unwrap_or_default();
                all.valued.push((stamp, Entry { asset, quantity: amount, value }));
            }
        }
        Ok(all)
    }

    pub(crate) fn section(&self, ledger: &Ledger) -> Checked<Income> {
        let total = crate::decimal::sum(self.by_kind.values().copied())?;
        let by_kind = self.by_kind.iter().map(|(kind, sum)| (*kind, Money::new(*sum)));
        Ok(Income {
            total: Money::new(total),
            by_kind: by_kind.collect(),
            unconverted: natives(&self.unconverted, ledger),
        })
    }
}
