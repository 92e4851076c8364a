//! Which polls are valuations, and what they are worth.
//!
//! A poll is a valuation (a complete tick) if every account active then has a
//! complete snapshot, and every asset that was priced at an earlier complete
//! tick and is held now has a price now. Nothing is carried forward.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::book::{Rate, Rates};
use crate::decimal::{Checked, Overflow, add, add_to, bounded};
use crate::ledger::Ledger;
use crate::names::{AccountId, AssetId};
use crate::record::Snapshot;
use crate::time::Timestamp;
use crate::transfer::Transfer;

pub(crate) type Quantities = BTreeMap<AssetId, Decimal>;

/// One stretch of time an account was part of the portfolio.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stay {
    pub(crate) account: AccountId,
    open: Timestamp,
    close: Option<Timestamp>,
    /// First and last complete tick in it, as indices. The first is the
    /// baseline: what happened up to it is in its balance already.
    pub(crate) ticks: Option<(usize, usize)>,
}

impl Stay {
    pub(crate) fn covers(&self, at: Timestamp) -> bool {
        self.open <= at && self.close.is_none_or(|close| at < close)
    }
}

/// One account at one complete tick.
#[derive(Debug)]
pub(crate) struct Holding<'a> {
    pub(crate) account: AccountId,
    pub(crate) snapshot: &'a Snapshot,
    /// Value of wallet and unrealised profit.
    pub(crate) value: Decimal,
    /// Value of unrealised profit alone.
    pub(crate) unrealized: Decimal,
}

impl Holding<'_> {
    /// Net quantity in the wallet, unrealised profit left out.
    pub(crate) fn wallet(&self, asset: AssetId) -> Decimal {
        let wallet = &self.snapshot.wallet;
        let found = wallet.binary_search_by_key(&asset, |(held, _)| *held).ok();
        found.and_then(|at| wallet.get(at)).map_or(Decimal::ZERO, |(_, net)| *net)
    }
}

/// A complete tick.
#[derive(Debug)]
pub(crate) struct Tick<'a> {
    pub(crate) at: Timestamp,
    pub(crate) holdings: BTreeMap<AccountId, Holding<'a>>,
    /// Of the whole portfolio, unrealised profit in it, coins in transit not.
    pub(crate) held: Quantities,
    /// Of every asset some account holds, where there is one.
    pub(crate) rates: BTreeMap<AssetId, Rate>,
    /// Assets that have a price for the first time.
    pub(crate) first_priced: Vec<AssetId>,
    /// Own coins on the way between accounts.
    pub(crate) in_transit: Decimal,
    /// Everything, coins in transit in it.
    pub(crate) value: Decimal,
}

/// All polls up to a moment.
#[derive(Debug)]
pub(crate) struct Valuation<'a> {
    pub(crate) ticks: Vec<Tick<'a>>,
    pub(crate) incomplete: u64,
    pub(crate) stays: Vec<Stay>,
}

impl Valuation<'_> {
    pub(crate) fn at(&self, index: usize) -> Option<Timestamp> {
        self.ticks.get(index).map(|tick| tick.at)
    }

    /// Start and end of the period that returns cover.
    pub(crate) fn period(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.ticks.first()?.at, self.ticks.last()?.at))
    }

    /// The tick that ends the sub-period `at` lies in: the first one at or
    /// after it.
    pub(crate) fn ending(&self, at: Timestamp) -> Option<usize> {
        let index = self.ticks.partition_point(|tick| tick.at < at);
        (index < self.ticks.len()).then_some(index)
    }
}

/// Values every poll from `start` to `as_of` but the `dropped` ones.
pub(crate) fn value<'a>(
    ledger: &'a Ledger,
    rates: Rates<'_>,
    start: Timestamp,
    as_of: Timestamp,
    dropped: &BTreeSet<Timestamp>,
) -> Valuation<'a> {
    let mut stays = stays(ledger);
    let mut ticks: Vec<Tick<'a>> = Vec::new();
    let mut priced: BTreeSet<AssetId> = BTreeSet::new();
    let mut incomplete = 0;
    for (&at, poll) in ledger.polls.range(start..=as_of.max(start)).filter(|(at, _)| **at <= as_of)
    {
        let active = stays.iter().filter(|stay| stay.covers(at)).map(|stay| stay.account);
        let tick = complete(active, poll)
            .filter(|_| !dropped.contains(&at))
            .and_then(|holdings| tick(holdings, rates, at, &mut priced));
        let Some(tick) = tick else {
            incomplete += 1;
            continue;
        };
        let index = ticks.len();
        for stay in stays.iter_mut().filter(|stay| stay.covers(at)) {
            let first = stay.ticks.map_or(index, |(first, _)| first);
            stay.ticks = Some((first, index));
        }
        ticks.push(tick);
    }
    Valuation { ticks, incomplete, stays }
}

/// Adds what is on the way between accounts to every tick. Fails at the tick
/// whose coins in transit have lost their price.
pub(crate) fn add_in_transit(
    ticks: &mut [Tick<'_>],
    transfers: &[Transfer],
    rates: Rates<'_>,
) -> Result<(), Timestamp> {
    let mut priced: BTreeSet<AssetId> = BTreeSet::new();
    for tick in ticks {
        priced.extend(&tick.first_priced);
        for transfer in transfers.iter().filter(|transfer| transfer.under_way(tick.at)) {
            let value = match rates.rate(transfer.asset, tick.at) {
                Some(rate) => rate.of(transfer.arriving),
                None if priced.contains(&transfer.asset) => Err(Overflow),
                None => Ok(Decimal::ZERO),
            };
            let total = value.and_then(|value| add(tick.in_transit, value)).and_then(bounded);
            tick.in_transit = total.map_err(|Overflow| tick.at)?;
        }
        let value = add(tick.value, tick.in_transit).and_then(bounded);
        tick.value = value.map_err(|Overflow| tick.at)?;
    }
    Ok(())
}

/// When each account was part of the portfolio. Without an opening it is from
/// the beginning.
fn stays(ledger: &Ledger) -> Vec<Stay> {
    let mut stays = Vec::new();
    for account in ledger.accounts.ids() {
        let changes = ledger.changes.get(&account).map_or(&[][..], Vec::as_slice);
        let beginning = Timestamp::from_micros(i64::MIN);
        let from_the_start = changes.first().is_none_or(|change| !change.open);
        let mut open = from_the_start.then_some(beginning);
        for change in changes {
            if change.open {
                open = open.or(Some(change.stamp.at));
            } else if let Some(since) = open.take() {
                let close = Some(change.stamp.at);
                stays.push(Stay { account, open: since, close, ticks: None });
            }
        }
        if let Some(open) = open {
            stays.push(Stay { account, open, close: None, ticks: None });
        }
    }
    stays
}

/// The snapshots of all active accounts, if each has a complete one.
fn complete(
    mut active: impl Iterator<Item = AccountId>,
    poll: &BTreeMap<AccountId, Snapshot>,
) -> Option<BTreeMap<AccountId, &Snapshot>> {
    let snapshots = active.try_fold(BTreeMap::new(), |mut all, account| {
        all.insert(account, poll.get(&account).filter(|snapshot| snapshot.complete)?);
        Some(all)
    })?;
    (!snapshots.is_empty()).then_some(snapshots)
}

/// `None` if an asset that had a price has none now, or a number overflows.
fn tick<'a>(
    snapshots: BTreeMap<AccountId, &'a Snapshot>,
    rates: Rates<'_>,
    at: Timestamp,
    priced: &mut BTreeSet<AssetId>,
) -> Option<Tick<'a>> {
    let held = held(snapshots.values().copied()).ok()?;
    let rates: BTreeMap<AssetId, Rate> =
        held.keys().filter_map(|&asset| Some((asset, rates.rate(asset, at)?))).collect();
    let missing = |(asset, net): (&AssetId, &Decimal)| {
        !net.is_zero() && priced.contains(asset) && !rates.contains_key(asset)
    };
    if held.iter().any(missing) {
        return None;
    }
    let (holdings, value) = holdings(snapshots, &rates).ok()?;
    let held: Quantities = held.into_iter().filter(|(_, net)| !net.is_zero()).collect();
    let first_priced: Vec<AssetId> = held
        .keys()
        .filter(|asset| rates.contains_key(asset) && !priced.contains(asset))
        .copied()
        .collect();
    priced.extend(&first_priced);
    let in_transit = Decimal::ZERO;
    Some(Tick { at, holdings, held, rates, first_priced, in_transit, value })
}

/// Wallets and unrealised profit of all accounts. An asset whose sum is zero
/// stays in, since the accounts' own values need its rate.
fn held<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Checked<Quantities> {
    let mut held = Quantities::new();
    for snapshot in snapshots {
        for (asset, net) in &snapshot.wallet {
            add_to(held.entry(*asset).or_default(), *net)?;
        }
        for position in &snapshot.positions {
            add_to(held.entry(position.settle).or_default(), position.unrealized)?;
        }
    }
    Ok(held)
}

type Holdings<'a> = BTreeMap<AccountId, Holding<'a>>;

fn holdings<'a>(
    snapshots: BTreeMap<AccountId, &'a Snapshot>,
    rates: &BTreeMap<AssetId, Rate>,
) -> Result<(Holdings<'a>, Decimal), Overflow> {
    let value_of = |asset, quantity| match rates.get(&asset) {
        Some(rate) => bounded(rate.of(quantity)?),
        None => Ok(Decimal::ZERO),
    };
    let mut holdings = BTreeMap::new();
    let mut total = Decimal::ZERO;
    for (account, snapshot) in snapshots {
        let mut wallet = Decimal::ZERO;
        for (asset, net) in &snapshot.wallet {
            add_to(&mut wallet, value_of(*asset, *net)?)?;
        }
        let mut unrealized = Decimal::ZERO;
        for position in &snapshot.positions {
            add_to(&mut unrealized, value_of(position.settle, position.unrealized)?)?;
        }
        let value = bounded(add(wallet, unrealized)?)?;
        add_to(&mut total, value)?;
        holdings.insert(account, Holding { account, snapshot, value, unrealized });
    }
    Ok((holdings, bounded(total)?))
}
