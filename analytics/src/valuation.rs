//! Which polls are valuations, and what they are worth.
//!
//! A poll is a valuation (a complete tick) if every account active then has a
//! complete snapshot, and every asset that was priced at an earlier complete
//! tick and is held now has a price now. Nothing is carried forward.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::book::{Rate, Rates};
use crate::decimal::{Checked, Overflow, add, add_to, bounded};
use crate::names::{AccountId, AssetId};
use crate::pack::packed;
use crate::record::{Snapshot, Snapshots};
use crate::stay::Stays;
use crate::time::Timestamp;

pub(crate) type Quantities = BTreeMap<AssetId, Decimal>;

/// One account at one complete tick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holding {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Value of wallet and unrealised profit.
    pub(crate) value: Decimal,
    /// Value of unrealised profit alone.
    pub(crate) unrealized: Decimal,
}

/// A complete tick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: Timestamp,
    pub(crate) holdings: BTreeMap<AccountId, Holding>,
    /// Of the whole portfolio, unrealised profit in it, coins in transit not.
    pub(crate) held: Quantities,
    /// Of every asset some account holds, where there is one.
    pub(crate) rates: BTreeMap<AssetId, Rate>,
    /// Assets that have a price for the first time.
    pub(crate) first_priced: Vec<AssetId>,
    /// Everything but coins in transit.
    pub(crate) value: Decimal,
}

packed!(Holding { snapshot, value, unrealized });
packed!(Tick { at, holdings, held, rates, first_priced, value });

impl Tick {
    /// The poll of `at`, if it is a valuation; `priced` are the assets that
    /// had a price at an earlier one.
    pub(crate) fn of(
        at: Timestamp,
        poll: &Snapshots,
        stays: &Stays,
        rates: Rates<'_>,
        priced: &BTreeSet<AssetId>,
    ) -> Option<Self> {
        let snapshots = complete(stays.active(at), poll)?;
        let held = held(&snapshots).ok()?;
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
        let first_priced = held
            .keys()
            .filter(|asset| rates.contains_key(asset) && !priced.contains(asset))
            .copied()
            .collect();
        Some(Self { at, holdings, held, rates, first_priced, value })
    }

    /// Unrealised futures profit of all accounts.
    pub(crate) fn unrealized(&self) -> Checked<Decimal> {
        crate::decimal::sum(self.holdings.values().map(|holding| holding.unrealized))
    }
}

/// Net quantity in a wallet, unrealised profit left out.
pub(crate) fn in_wallet(wallet: &[(AssetId, Decimal)], asset: AssetId) -> Decimal {
    let found = wallet.binary_search_by_key(&asset, |(held, _)| *held).ok();
    found.and_then(|at| wallet.get(at)).map_or(Decimal::ZERO, |(_, net)| *net)
}

/// The snapshots of all active accounts, if each has a complete one.
fn complete(mut active: impl Iterator<Item = AccountId>, poll: &Snapshots) -> Option<Snapshots> {
    let snapshots = active.try_fold(Snapshots::new(), |mut all, account| {
        let snapshot = poll.get(&account).filter(|snapshot| snapshot.complete)?;
        all.insert(account, Arc::clone(snapshot));
        Some(all)
    })?;
    (!snapshots.is_empty()).then_some(snapshots)
}

/// Wallets and unrealised profit of all accounts. An asset whose sum is zero
/// stays in, since the accounts' own values need its rate.
fn held(snapshots: &Snapshots) -> Checked<Quantities> {
    let mut held = Quantities::new();
    for snapshot in snapshots.values() {
        for (asset, net) in &snapshot.wallet {
            add_to(held.entry(*asset).or_default(), *net)?;
        }
        for position in &snapshot.positions {
            add_to(held.entry(position.settle).or_default(), position.unrealized)?;
        }
    }
    Ok(held)
}

type Holdings = BTreeMap<AccountId, Holding>;

fn holdings(
    snapshots: Snapshots,
    rates: &BTreeMap<AssetId, Rate>,
) -> Result<(Holdings, Decimal), Overflow> {
    let value_of = |asset, quantity| match rates.get(&asset) {
        Some(rate) => bounded(rate.of(quantity)?),
        None => Ok(Decimal::ZERO),
    };
    let mut holdings = Holdings::new();
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
        holdings.insert(account, Holding { snapshot, value, unrealized });
    }
    Ok((holdings, bounded(total)?))
}
