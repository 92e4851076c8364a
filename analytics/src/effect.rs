//! What each fill did to the balances of its account.
//!
//! Spot and margin: the base, the quote, the fee. Futures: the realised profit
//! by average entry, and the fee. Entries start from the positions in the
//! account's baseline snapshot; a flip opens the rest at the fill price.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal::{Checked, add, div, mul, share, sub};
use crate::names::{AccountId, AssetId, SymbolId};
use crate::pack::{Pack, Reader, Unpacked, Unsealable, packed};
use crate::record::{Did, Fill, Snapshot};

/// Open positions by account and contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Positions(BTreeMap<(AccountId, SymbolId), Open>);

impl Pack for Positions {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        Pack::unpack(from).map(Self)
    }
}

impl Positions {
    /// Applies a fill and returns the profit it realises, in the settle asset.
    /// One that leaves the range of decimals does nothing: the balance shows
    /// what it was.
    pub(crate) fn trade(&mut self, fill: &Fill) -> Decimal {
        let Did::Trade { contract, .. } = fill.did else { return Decimal::ZERO };
        let key = (fill.account, contract);
        let mut open = self.0.get(&key).copied().unwrap_or_default();
        let Ok(realized) = open.trade(&fill.did) else { return Decimal::ZERO };
        if open.qty.is_zero() {
            self.0.remove(&key);
        } else {
            self.0.insert(key, open);
        }
        realized
    }

    /// The account's positions are those of its baseline.
    pub(crate) fn start(&mut self, account: AccountId, baseline: &Snapshot) {
        self.0.retain(|(of, _), _| *of != account);
        for position in &baseline.positions {
            let open = Open { qty: position.qty, basis: Basis::Price(position.entry) };
            self.0.insert((account, position.contract), open);
        }
    }

    /// Forgets the positions of accounts that are gone.
    pub(crate) fn keep(&mut self, stays: impl Fn(AccountId) -> bool) {
        self.0.retain(|(account, _), _| stays(*account));
    }
}

impl Fill {
    /// All signed changes, the fee last; `realized` is its futures profit.
    pub(crate) fn changes(&self, realized: Decimal) -> impl Iterator<Item = (AssetId, Decimal)> {
        let fee = self.fee.map(|fee| (fee.asset, -fee.amount));
        let (first, second) = match self.did {
            Did::Swap { base, bought } => ((base, bought), Some((self.quote, self.paid(bought)))),
            Did::Trade { settle, .. } => ((settle, realized), None),
        };
        [Some(first), second, fee].into_iter().flatten()
    }

    /// What came in of the quote, negative where it went out.
    pub(crate) fn paid(&self, bought: Decimal) -> Decimal {
        if bought.is_sign_negative() { self.notional } else { -self.notional }
    }
}

/// An open position at its average entry.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Open {
    qty: Decimal,
    basis: Basis,
}

packed!(Open { qty, basis });

/// What the contracts were opened at. Summed as it averages: a linear
/// contract by price, an inverse one by 1 / price.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Basis {
    Price(Decimal),
    Sum(Decimal),
}

impl Default for Basis {
    fn default() -> Self {
        Self::Sum(Decimal::ZERO)
    }
}

impl Pack for Basis {
    fn pack(&self, to: &mut Vec<u8>) {
        let (kind, number) = match self {
            Self::Price(price) => (0, price),
            Self::Sum(sum) => (1, sum),
        };
        to.push(kind);
        number.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        match (u8::unpack(from)?, Pack::unpack(from)?) {
            (0, price) => Ok(Self::Price(price)),
            (1, sum) => Ok(Self::Sum(sum)),
            _ => Err(Unsealable),
        }
    }
}

impl Open {
    /// Applies a trade and returns the profit it realises.
    fn trade(&mut self, did: &Did) -> Checked<Decimal> {
        let Did::Trade { qty, price, size, inverse, .. } = *did else { return Ok(Decimal::ZERO) };
        let unit = |price: Decimal| if inverse { div(Decimal::ONE, price) } else { Ok(price) };
        let at = unit(price)?;
        let mut sum = match self.basis {
            Basis::Sum(sum) => sum,
            // A snapshot without an entry price cannot realise anything.
            Basis::Price(entry) if entry.is_zero() => mul(self.qty, at)?,
            Basis::Price(entry) => mul(self.qty, unit(entry)?)?,
        };
        let mut realized = Decimal::ZERO;
        let against = self.qty.is_sign_negative() != qty.is_sign_negative();
        if against && !self.qty.is_zero() {
            let closed = if qty.abs() < self.qty.abs() { -qty } else { self.qty };
            let entered = if closed == self.qty { sum } else { share(sum, closed, self.qty)? };
            let left = mul(closed, at)?;
            let gain = if inverse { sub(entered, left)? } else { sub(left, entered)? };
            realized = mul(gain, size)?;
            sum = sub(sum, entered)?;
            let rest = add(qty, closed)?;
            self.qty = sub(self.qty, closed)?;
            sum = add(sum, mul(rest, at)?)?;
            self.qty = add(self.qty, rest)?;
        } else {
            sum = add(sum, mul(qty, at)?)?;
            self.qty = add(self.qty, qty)?;
        }
        self.basis = Basis::Sum(sum);
        Ok(realized)
    }
}
