//! Balances that changed by more, or less, than the records say.
//!
//! Between consecutive complete ticks, for each account and asset:
//! `residual = now - before - fills - flows - income`. Residuals worth at most
//! the tolerance are ignored. Of the others, two opposite ones of the same
//! size within the grace period are a timing skew: recorded at one poll,
//! credited at another. The rest is netted over the assets of an account and
//! tick: positive is a deposit and no profit, negative is a loss.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::book::{Rate, Rates};
use crate::config::Config;
use crate::decimal::{Checked, Overflow, add, add_to, div, mul, sub};
use crate::names::{AccountId, AssetId};
use crate::record::Flow;
use crate::time::Timestamp;
use crate::valuation::{Quantities, Tick, in_wallet};

/// What the records say changed, by account.
pub(crate) type Changes = BTreeMap<AccountId, Quantities>;

/// What one account cannot explain of one asset at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Residual {
    pub(crate) account: AccountId,
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
    pub(crate) value: Decimal,
    rate: Rate,
    pub(crate) skew: Option<Skew>,
}

/// A residual is one half of a timing skew.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Skew {
    /// The other half is at this later tick.
    UndoneAt(Timestamp),
    /// The other half is earlier.
    Undoes,
}

/// Everything unexplained at one tick, in order of account and asset.
#[derive(Clone, Debug)]
pub(crate) struct AtTick {
    pub(crate) at: Timestamp,
    pub(crate) residuals: Vec<Residual>,
    /// What never had a price: in no value, so neither a flow nor a loss.
    pub(crate) unpriced: Vec<(AssetId, Decimal)>,
}

impl AtTick {
    pub(crate) const fn none(at: Timestamp) -> Self {
        Self { at, residuals: Vec::new(), unpriced: Vec::new() }
    }

    /// Compares the wallet of an account with what it was before.
    pub(crate) fn account(
        &mut self,
        account: AccountId,
        before: &[(AssetId, Decimal)],
        now: &[(AssetId, Decimal)],
        changes: Option<&Quantities>,
        rate: impl Fn(AssetId) -> Option<Rate>,
        tolerance: Decimal,
    ) {
        // Most wallets are as they were.
        if changes.is_none_or(BTreeMap::is_empty) && before == now {
            return;
        }
        let recorded = |asset| changes.and_then(|all| all.get(&asset)).copied().unwrap_or_default();
        let mut assets: BTreeSet<AssetId> =
            before.iter().chain(now).map(|(asset, _)| *asset).collect();
        assets.extend(changes.into_iter().flat_map(BTreeMap::keys));
        for asset in assets {
            let grown = sub(in_wallet(now, asset), in_wallet(before, asset));
            let Ok(amount) = grown.and_then(|grown| sub(grown, recorded(asset))) else { continue };
            if amount.is_zero() {
                continue;
            }
            let Some(rate) = rate(asset) else {
                self.unpriced.push((asset, amount));
                continue;
            };
            // What overflows is past every balance: the records are at fault.
            let Ok(value) = rate.of(amount).and_then(crate::decimal::bounded) else { continue };
            if value.abs() > tolerance {
                self.residuals.push(Residual { account, asset, amount, value, rate, skew: None });
            }
        }
    }
}

/// The rate of what is unexplained at `now`: of that tick, or else of the one
/// before.
pub(crate) fn rate_at(asset: AssetId, now: &Tick, before: &Tick, rates: Rates<'_>) -> Option<Rate> {
    let held = now.rates.get(&asset).copied();
    held.or_else(|| rates.rate(asset, now.at)).or_else(|| before.rates.get(&asset).copied())
}

/// Half of a timing skew whose other half is folded: tick, account, asset.
pub(crate) type Settled = BTreeSet<(Timestamp, (AccountId, AssetId))>;

/// Pairs each residual with the first later one that undoes it.
pub(crate) fn pair(ticks: &mut [AtTick], settled: &Settled, config: &Config) {
    let grace = i64::from(config.recon_grace_s).saturating_mul(1_000_000);
    let mut by_asset: BTreeMap<(AccountId, AssetId), Vec<(usize, usize)>> = BTreeMap::new();
    for (tick, of_tick) in ticks.iter_mut().enumerate() {
        for (place, residual) in of_tick.residuals.iter_mut().enumerate() {
            let key = (residual.account, residual.asset);
            if settled.contains(&(of_tick.at, key)) {
                residual.skew = Some(Skew::Undoes);
            }
            by_asset.entry(key).or_default().push((tick, place));
        }
    }
    for places in by_asset.values().filter(|places| places.len() > 1) {
        let mut all: Vec<(Timestamp, Residual)> = places
            .iter()
            .filter_map(|&(tick, place)| {
                let of_tick = ticks.get(tick)?;
                Some((of_tick.at, *of_tick.residuals.get(place)?))
            })
            .collect();
        settle(&mut all, grace, config.recon_tolerance.get());
        for (&(tick, place), (_, residual)) in places.iter().zip(&all) {
            let of_tick = ticks.get_mut(tick);
            if let Some(to) = of_tick.and_then(|of_tick| of_tick.residuals.get_mut(place)) {
                to.skew = residual.skew;
            }
        }
    }
}

/// Pairs the residuals of one account and asset, which are in order of time.
fn settle(all: &mut [(Timestamp, Residual)], grace: i64, tolerance: Decimal) {
    let mut rest = all;
    while let Some(((at, one), later)) = rest.split_first_mut() {
        if one.skew.is_none() {
            let undoes = |other: &Residual| -> Checked<bool> {
                let opposite = one.amount.is_sign_negative() != other.amount.is_sign_negative();
                let left = other.rate.of(add(one.amount, other.amount)?)?.abs();
                Ok(opposite && left <= tolerance && other.skew.is_none())
            };
            let found = later
                .iter_mut()
                .take_while(|(then, _)| then.micros_since(*at) <= grace)
                .find(|(_, other)| undoes(other).unwrap_or(false));
            if let Some((then, other)) = found {
                one.skew = Some(Skew::UndoneAt(*then));
                other.skew = Some(Skew::Undoes);
            }
        }
        rest = later;
    }
}

/// The size-weighted mean time of recorded flows of one account and asset, if
/// there are any, before the tick at `end`.
pub(crate) fn mean_time<'a>(
    flows: impl Iterator<Item = &'a Flow>,
    end: Timestamp,
) -> Checked<Option<Timestamp>> {
    let mut weights = Decimal::ZERO;
    let mut moments = Decimal::ZERO;
    for flow in flows {
        let before = end.micros_since(flow.stamp.at);
        add_to(&mut weights, flow.amount.abs())?;
        add_to(&mut moments, mul(flow.amount.abs(), seconds(before))?)?;
    }
    if weights.is_zero() {
        return Ok(None);
    }
    let mean = div(moments, weights)?;
    let micros = mul(mean, Decimal::from(1_000_000))?.round();
    let micros = i64::try_from(micros).map_err(|_| Overflow)?;
    Ok(Some(Timestamp::from_micros(end.as_micros().saturating_sub(micros))))
}

/// Microseconds as seconds, so that products with them stay small.
pub(crate) fn seconds(micros: i64) -> Decimal {
    Decimal::new(micros, 6)
}
