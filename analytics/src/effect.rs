//! What each fill did to the balances of its account.
//!
//! Spot and margin: the base, the quote, the fee. Futures: the realised profit
//! by average entry, and the fee. Entries start from the positions in the
//! account's baseline snapshot; a flip opens the rest at the fill price.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal::{Checked, add, div, mul, sub};
use crate::event::{Market, Side};
use crate::names::{AssetId, SymbolId};
use crate::record::Fill;
use crate::scope::Scoped;
use crate::valuation::Valuation;

/// What one fill did.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    /// Signed changes: base and quote of a spot fill.
    pub(crate) swapped: Option<[(AssetId, Decimal); 2]>,
    /// Realised profit of a futures fill, in the settle asset.
    pub(crate) realized: Option<(AssetId, Decimal)>,
}

impl Effect {
    /// All signed changes, the fee last.
    pub(crate) fn changes(&self, fill: &Fill) -> impl Iterator<Item = (AssetId, Decimal)> {
        let fee = fill.fee.map(|(asset, amount)| (asset, -amount));
        self.swapped.into_iter().flatten().chain(self.realized).chain(fee)
    }
}

/// One effect for each of `fills`, which are in order of time.
pub(crate) fn effects(
    fills: &[Scoped<'_, Fill>],
    valuation: &Valuation<'_>,
) -> Checked<Vec<Effect>> {
    let mut positions: BTreeMap<(usize, SymbolId), Open> = BTreeMap::new();
    for (index, stay) in valuation.stays.iter().enumerate() {
        let baseline = stay.ticks.and_then(|(first, _)| valuation.ticks.get(first));
        let Some(holding) = baseline.and_then(|tick| tick.holdings.get(&stay.account)) else {
            continue;
        };
        for position in &holding.snapshot.positions {
            let open = Open { qty: position.qty, basis: Basis::Price(position.entry) };
            positions.insert((index, position.symbol), open);
        }
    }
    fills.iter().map(|fill| effect(fill, &mut positions)).collect()
}

fn effect(
    fill: &Scoped<'_, Fill>,
    positions: &mut BTreeMap<(usize, SymbolId), Open>,
) -> Checked<Effect> {
    let record = fill.record;
    let signed = |amount: Decimal| if record.side == Side::Buy { amount } else { -amount };
    match record.market {
        Market::Spot | Market::Margin => {
            let base = mul(record.qty, record.contract_size)?;
            let swapped = [(record.base, signed(base)), (record.quote, signed(-record.notional))];
            Ok(Effect { swapped: Some(swapped), realized: None })
        }
        Market::Futures => {
            let open = positions.entry((fill.stay, record.symbol)).or_default();
            let realized = open.trade(signed(record.qty), record)?;
            Ok(Effect { swapped: None, realized: Some((record.settle, realized)) })
        }
    }
}

/// An open position at its average entry.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    qty: Decimal,
    basis: Basis,
}

/// What the contracts were opened at. Summed as it averages: a linear
/// contract by price, an inverse one by 1 / price.
#[derive(Clone, Copy, Debug)]
enum Basis {
    Price(Decimal),
    Sum(Decimal),
}

impl Default for Basis {
    fn default() -> Self {
        Self::Sum(Decimal::ZERO)
    }
}

impl Open {
    /// Applies a signed trade and returns the profit it realises.
    fn trade(&mut self, qty: Decimal, fill: &Fill) -> Checked<Decimal> {
        let unit = |price: Decimal| {
            if fill.inverse { div(Decimal::ONE, price) } else { Ok(price) }
        };
        let at = unit(fill.price)?;
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
            let entered = if closed == self.qty { sum } else { div(mul(sum, closed)?, self.qty)? };
            let left = mul(closed, at)?;
            let gain = if fill.inverse { sub(entered, left)? } else { sub(left, entered)? };
            realized = mul(gain, fill.contract_size)?;
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
