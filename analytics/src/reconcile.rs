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
use crate::decimal::{Checked, add, add_to, mul, sub, sum};
use crate::effect::Effect;
use crate::names::{AccountId, AssetId};
use crate::record::{Fill, Flow, Income};
use crate::scope::Scoped;
use crate::time::Timestamp;
use crate::valuation::{Quantities, Stay, Tick, Valuation};

/// Half of a timing skew.
#[derive(Debug)]
pub(crate) struct Skew {
    pub(crate) asset: AssetId,
    pub(crate) amount: Decimal,
    /// At the tick that ends its sub-period.
    pub(crate) value: Decimal,
    pub(crate) tick: usize,
    pub(crate) at: Timestamp,
}

/// What one account cannot explain at one tick.
#[derive(Debug)]
pub(crate) struct Unexplained {
    pub(crate) tick: usize,
    pub(crate) lines: Vec<Line>,
    /// Sum of the values.
    pub(crate) net: Decimal,
}

/// Asset, quantity, value.
type Line = (AssetId, Decimal, Decimal);

#[derive(Debug, Default)]
pub(crate) struct Reconciled {
    pub(crate) skews: Vec<Skew>,
    pub(crate) pairs: u64,
    pub(crate) unexplained: Vec<Unexplained>,
    /// Tick, asset, quantity of what never had a price: in no value, so
    /// neither a flow nor a loss.
    pub(crate) unpriced: Vec<(usize, AssetId, Decimal)>,
}

/// What the ledger says happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'a> {
    pub(crate) fills: &'a [Scoped<'a, Fill>],
    /// One for each fill.
    pub(crate) effects: &'a [Effect],
    pub(crate) flows: &'a [Scoped<'a, Flow>],
    pub(crate) incomes: &'a [Scoped<'a, Income>],
}

pub(crate) fn reconcile(
    valuation: &Valuation<'_>,
    recorded: Recorded<'_>,
    config: &Config,
    rates: Rates<'_>,
) -> Checked<Reconciled> {
    let mut reconciled = Reconciled::default();
    let mut residuals = residuals(valuation, recorded, rates, &mut reconciled.unpriced)?;
    residuals.retain(|residual| residual.worth > config.recon_tolerance.get());
    for (earlier, later) in pairs(&residuals, config)? {
        reconciled.pairs += 1;
        for index in [earlier, later] {
            let Some(residual) = residuals.get_mut(index) else { continue };
            residual.matched = true;
            let at = recorded_at(residual, valuation, recorded.flows)?.unwrap_or(residual.at);
            let Residual { asset, amount, rate, tick, .. } = *residual;
            let value = rate.of(amount)?;
            reconciled.skews.push(Skew { asset, amount, value, tick, at });
        }
    }
    let mut rest: BTreeMap<(usize, AccountId), Vec<Line>> = BTreeMap::new();
    for residual in residuals.iter().filter(|residual| !residual.matched) {
        let line = (residual.asset, residual.amount, residual.rate.of(residual.amount)?);
        rest.entry((residual.tick, residual.account)).or_default().push(line);
    }
    for ((tick, _), lines) in rest {
        let net = sum(lines.iter().map(|(.., value)| *value))?;
        reconciled.unexplained.push(Unexplained { tick, lines, net });
    }
    Ok(reconciled)
}

#[derive(Clone, Copy, Debug)]
struct Residual {
    account: AccountId,
    asset: AssetId,
    amount: Decimal,
    /// In base currency for one unit.
    rate: Rate,
    /// Its value without the sign.
    worth: Decimal,
    tick: usize,
    at: Timestamp,
    matched: bool,
}

/// Every residual that has a rate, in order of time.
fn residuals(
    valuation: &Valuation<'_>,
    recorded: Recorded<'_>,
    rates: Rates<'_>,
    unpriced: &mut Vec<(usize, AssetId, Decimal)>,
) -> Checked<Vec<Residual>> {
    let changes = changes(valuation, recorded)?;
    let none = Quantities::new();
    let mut residuals = Vec::new();
    for (before, pair) in valuation.ticks.windows(2).enumerate() {
        let [earlier, later] = pair else { continue };
        let tick = before + 1;
        let stayed =
            |stay: &&Stay| stay.ticks.is_some_and(|(first, last)| first <= before && tick <= last);
        for stay in valuation.stays.iter().filter(stayed) {
            let changes = changes.get(&(tick, stay.account)).unwrap_or(&none);
            let account = stay.account;
            for (asset, amount) in between(earlier, later, account, changes)? {
                let at = later.at;
                let rate = rates.rate(asset, at).or_else(|| earlier.rates.get(&asset).copied());
                let Some(rate) = rate else {
                    unpriced.push((tick, asset, amount));
                    continue;
                };
                let worth = rate.of(amount)?.abs();
                let matched = false;
                residuals.push(Residual { account, asset, amount, rate, worth, tick, at, matched });
            }
        }
    }
    Ok(residuals)
}

/// What changed and is not recorded.
fn between(
    earlier: &Tick<'_>,
    later: &Tick<'_>,
    account: AccountId,
    changes: &Quantities,
) -> Checked<Vec<(AssetId, Decimal)>> {
    let (Some(before), Some(now)) = (earlier.holdings.get(&account), later.holdings.get(&account))
    else {
        return Ok(Vec::new());
    };
    let held = before.snapshot.wallet.iter().chain(&now.snapshot.wallet);
    let mut assets: BTreeSet<AssetId> = held.map(|(asset, _)| *asset).collect();
    assets.extend(changes.keys());
    let mut residuals = Vec::new();
    for asset in assets {
        let change = changes.get(&asset).copied().unwrap_or_default();
        let amount = sub(sub(now.wallet(asset), before.wallet(asset))?, change)?;
        if !amount.is_zero() {
            residuals.push((asset, amount));
        }
    }
    Ok(residuals)
}

/// Everything recorded, by the tick that ends its sub-period and by account.
fn changes(
    valuation: &Valuation<'_>,
    recorded: Recorded<'_>,
) -> Checked<BTreeMap<(usize, AccountId), Quantities>> {
    let mut changes: BTreeMap<(usize, AccountId), Quantities> = BTreeMap::new();
    let mut note = |at, account, asset, amount| {
        let Some(tick) = valuation.ending(at) else { return Ok(()) };
        let of_account = changes.entry((tick, account)).or_default();
        add_to(of_account.entry(asset).or_default(), amount)
    };
    for (fill, effect) in recorded.fills.iter().zip(recorded.effects).filter(|(f, _)| f.valued) {
        for (asset, amount) in effect.changes(fill.record) {
            note(fill.record.stamp.at, fill.record.account, asset, amount)?;
        }
    }
    for flow in recorded.flows.iter().filter(|flow| flow.valued) {
        let record = flow.record;
        note(record.stamp.at, record.account, record.asset, record.amount)?;
    }
    for income in recorded.incomes.iter().filter(|income| income.valued) {
        let record = income.record;
        note(record.stamp.at, record.account, record.asset, record.amount)?;
    }
    Ok(changes)
}

/// Pairs each residual with the first later one that undoes it.
fn pairs(residuals: &[Residual], config: &Config) -> Checked<Vec<(usize, usize)>> {
    let mut by_asset: BTreeMap<(AccountId, AssetId), Vec<(usize, &Residual)>> = BTreeMap::new();
    for (index, residual) in residuals.iter().enumerate() {
        by_asset.entry((residual.account, residual.asset)).or_default().push((index, residual));
    }
    let grace = i64::from(config.recon_grace_s).saturating_mul(1_000_000);
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    for of_asset in by_asset.values() {
        for (position, (earlier, one)) in of_asset.iter().enumerate() {
            if taken.contains(earlier) {
                continue;
            }
            for (later, other) in of_asset.iter().skip(position + 1) {
                if other.at.micros_since(one.at) > grace {
                    break;
                }
                let opposite = one.amount.is_sign_negative() != other.amount.is_sign_negative();
                let left = other.rate.of(add(one.amount, other.amount)?)?.abs();
                if opposite && left <= config.recon_tolerance.get() && !taken.contains(later) {
                    taken.extend([*earlier, *later]);
                    pairs.push((*earlier, *later));
                    break;
                }
            }
        }
    }
    pairs.sort_unstable();
    Ok(pairs)
}

/// The size-weighted mean time of the account's recorded flows of the asset
/// in the sub-period, if there are any.
fn recorded_at(
    residual: &Residual,
    valuation: &Valuation<'_>,
    flows: &[Scoped<'_, Flow>],
) -> Checked<Option<Timestamp>> {
    let mut weights = Decimal::ZERO;
    let mut moments = Decimal::ZERO;
    for flow in flows.iter().filter(|flow| flow.valued).map(|flow| flow.record) {
        let same = flow.account == residual.account && flow.asset == residual.asset;
        if same && valuation.ending(flow.stamp.at) == Some(residual.tick) {
            let before = residual.at.micros_since(flow.stamp.at);
            add_to(&mut weights, flow.amount.abs())?;
            add_to(&mut moments, mul(flow.amount.abs(), seconds(before))?)?;
        }
    }
    if weights.is_zero() {
        return Ok(None);
    }
    let mean = crate::decimal::div(moments, weights)?;
    let micros = mul(mean, Decimal::from(1_000_000))?.round();
    let micros = i64::try_from(micros).map_err(|_| crate::decimal::Overflow)?;
    Ok(Some(Timestamp::from_micros(residual.at.as_micros().saturating_sub(micros))))
}

/// Microseconds as seconds, so that products with them stay small.
pub(crate) fn seconds(micros: i64) -> Decimal {
    Decimal::new(micros, 6)
}
