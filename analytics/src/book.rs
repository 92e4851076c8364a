//! Prices, and the route from an asset to the base currency.
//!
//! A leg a -> b is, in this order: 1 if the two are pegged by policy; the
//! latest price of (a, b), not older than the maximal age; 1 / price of
//! (b, a) likewise. A route is one leg, or two through one pivot, or three
//! through two different pivots, pivots in configured order. If market prices
//! give no route, prices of own spot fills may serve too, the newer of the
//! two for each pair.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal::{Checked, div, mul};
use crate::names::AssetId;
use crate::pack::{Pack, Reader, Unpacked, Unsealable, packed};
use crate::record::Stamp;
use crate::time::Timestamp;

/// (asset, quote): 1 asset = price quote.
pub(crate) type Pair = (AssetId, AssetId);

/// A price at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quoted {
    pub(crate) stamp: Stamp,
    pub(crate) price: Decimal,
}

packed!(Quoted { stamp, price });

/// All prices, by pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Book {
    market: BTreeMap<Pair, Series>,
    own: BTreeMap<Pair, Series>,
}

packed!(Book { market, own });

/// Prices of one pair in order of time, one for each time.
#[derive(Clone, Debug, Default, PartialEq)]
struct Series(Vec<Quoted>);

impl Pack for Series {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let points: Vec<Quoted> = Pack::unpack(from)?;
        let in_order = points.is_sorted_by(|a, b| a.stamp.at < b.stamp.at);
        let priced = points.iter().all(|quoted| quoted.price > Decimal::ZERO);
        if in_order && priced { Ok(Self(points)) } else { Err(Unsealable) }
    }
}

impl Series {
    /// True if the series grew.
    fn insert(&mut self, quoted: Quoted) -> bool {
        // Most come in order.
        if self.0.last().is_none_or(|last| last.stamp.at < quoted.stamp.at) {
            self.0.push(quoted);
            return true;
        }
        let at = self.0.partition_point(|other| other.stamp.at < quoted.stamp.at);
        match self.0.get_mut(at) {
            Some(other) if other.stamp.at == quoted.stamp.at => {
                if other.stamp < quoted.stamp {
                    *other = quoted;
                }
                false
            }
            _ => {
                self.0.insert(at, quoted);
                true
            }
        }
    }

    fn latest(&self, from: Timestamp, to: Timestamp) -> Option<&Quoted> {
        let after = self.0.partition_point(|quoted| quoted.stamp.at <= to);
        self.0.get(after.checked_sub(1)?).filter(|quoted| quoted.stamp.at >= from)
    }
}

impl Series {
    /// Forgets what no rate after `at` can need: all but the last point up to
    /// it, and that one too if it is older than `oldest`.
    fn forget(&mut self, at: Timestamp, oldest: Timestamp) {
        let after = self.0.partition_point(|quoted| quoted.stamp.at <= at);
        let from = self.0.partition_point(|quoted| quoted.stamp.at < oldest);
        self.0.drain(..after.saturating_sub(1).max(from.min(after)));
    }
}

impl Book {
    /// True if there is one point more.
    pub(crate) fn market(&mut self, pair: Pair, quoted: Quoted) -> bool {
        self.market.entry(pair).or_default().insert(quoted)
    }

    pub(crate) fn own(&mut self, pair: Pair, quoted: Quoted) {
        self.own.entry(pair).or_default().insert(quoted);
    }

    /// Forgets what no rate after `at` can need.
    pub(crate) fn forget(&mut self, at: Timestamp, max_age_s: i64) {
        let oldest = at.minus_seconds(max_age_s);
        for all in [&mut self.market, &mut self.own] {
            all.retain(|_, series| {
                series.forget(at, oldest);
                !series.0.is_empty()
            });
        }
    }

    /// Market prices held.
    pub(crate) fn points(&self) -> usize {
        self.market.values().map(|series| series.0.len()).sum()
    }
}

/// What the configuration says about prices, in ids.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) base: AssetId,
    pub(crate) pivots: Vec<AssetId>,
    pub(crate) pegs: Vec<Pair>,
    pub(crate) max_age_s: i64,
}

/// Base currency for one unit of an asset, as the legs that lead there.
///
/// Kept apart so that a tiny price meets the quantity first: the product of
/// the prices alone might have lost its digits.
///
/// Its exact digits are those of the prices it was taken from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate([Leg; 3]);

impl Pack for Rate {
    fn pack(&self, to: &mut Vec<u8>) {
        for leg in &self.0 {
            let (kind, price) = match leg {
                Leg::One => (0, None),
                Leg::Times(price) => (1, Some(price)),
                Leg::Over(price) => (2, Some(price)),
            };
            to.push(kind);
            if let Some(price) = price {
                price.pack(to);
            }
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let mut rate = Self::ONE;
        for leg in &mut rate.0 {
            *leg = match u8::unpack(from)? {
                0 => Leg::One,
                1 => Leg::Times(Pack::unpack(from)?),
                2 => Leg::Over(Pack::unpack(from)?),
                _ => return Err(Unsealable),
            };
        }
        Ok(rate)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leg {
    One,
    Times(Decimal),
    Over(Decimal),
}

impl Rate {
    const ONE: Self = Self([Leg::One; 3]);

    /// The value of `quantity`. Multiplies before it divides.
    pub(crate) fn of(&self, quantity: Decimal) -> Checked<Decimal> {
        let times = self.0.iter().try_fold(quantity, |value, leg| match leg {
            Leg::Times(price) => mul(value, *price),
            Leg::One | Leg::Over(_) => Ok(value),
        })?;
        self.0.iter().try_fold(times, |value, leg| match leg {
            Leg::Over(price) => div(value, *price),
            Leg::One | Leg::Times(_) => Ok(value),
        })
    }
}

/// The book under a policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates<'a> {
    pub(crate) book: &'a Book,
    pub(crate) policy: &'a Policy,
}

impl Rates<'_> {
    /// The rate of `asset` at `at`, if there is a route.
    pub(crate) fn rate(&self, asset: AssetId, at: Timestamp) -> Option<Rate> {
        if asset == self.policy.base {
            return Some(Rate::ONE);
        }
        self.route(asset, at, false).or_else(|| self.route(asset, at, true))
    }

    fn route(&self, asset: AssetId, at: Timestamp, own: bool) -> Option<Rate> {
        let leg = |from, to| self.leg(from, to, at, own);
        let base = self.policy.base;
        if let Some(direct) = leg(asset, base) {
            return Some(Rate([direct, Leg::One, Leg::One]));
        }
        let first: Vec<_> =
            self.policy.pivots.iter().map(|&pivot| (pivot, leg(asset, pivot))).collect();
        let last: Vec<_> =
            self.policy.pivots.iter().map(|&pivot| (pivot, leg(pivot, base))).collect();
        for (&(_, to_pivot), &(_, to_base)) in first.iter().zip(&last) {
            if let (Some(to_pivot), Some(to_base)) = (to_pivot, to_base) {
                return Some(Rate([to_pivot, to_base, Leg::One]));
            }
        }
        for &(one, to_one) in &first {
            let Some(to_one) = to_one else { continue };
            for &(two, to_base) in &last {
                let Some(to_base) = to_base.filter(|_| one != two) else { continue };
                if let Some(across) = leg(one, two) {
                    return Some(Rate([to_one, across, to_base]));
                }
            }
        }
        None
    }

    fn leg(&self, from: AssetId, to: AssetId, at: Timestamp, own: bool) -> Option<Leg> {
        let pegged = |&peg: &Pair| peg == (from, to) || peg == (to, from);
        if self.policy.pegs.iter().any(pegged) {
            return Some(Leg::One);
        }
        let direct = self.latest((from, to), at, own).map(Leg::Times);
        direct.or_else(|| self.latest((to, from), at, own).map(Leg::Over))
    }

    fn latest(&self, pair: Pair, at: Timestamp, own: bool) -> Option<Decimal> {
        let from = at.minus_seconds(self.policy.max_age_s);
        let in_series = |series: &BTreeMap<Pair, Series>| {
            series.get(&pair).and_then(|series| series.latest(from, at)).copied()
        };
        let market = in_series(&self.book.market);
        let newest = match in_series(&self.book.own).filter(|_| own) {
            Some(fill) if market.is_none_or(|market| market.stamp < fill.stamp) => Some(fill),
            _ => market,
        };
        newest.map(|quoted| quoted.price)
    }
}
