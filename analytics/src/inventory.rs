//! Signed average-cost inventory, one line per asset, in base currency.
//!
//! Average cost needs two numbers per asset; first-in-first-out would keep
//! open lots, and lots are trades.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::decimal::{Checked, add, add_to, share, sub};
use crate::names::AssetId;
use crate::pack::packed;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Line {
    pub(crate) quantity: Decimal,
    /// What the quantity cost; negative for a short.
    pub(crate) cost: Decimal,
}

packed!(Line { quantity, cost });

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inventory {
    lines: BTreeMap<AssetId, Line>,
    /// Everything realised so far.
    pub(crate) realized: Decimal,
}

packed!(Inventory { lines, realized });

impl Inventory {
    /// Takes in, or gives away, `quantity` at `value`; both have one sign.
    /// What closes a holding realises the difference to its average cost;
    /// what goes past zero opens at its own price.
    pub(crate) fn take(
        &mut self,
        asset: AssetId,
        quantity: Decimal,
        value: Decimal,
    ) -> Checked<()> {
        let line = self.lines.entry(asset).or_default();
        let opposite = line.quantity.is_sign_negative() != quantity.is_sign_negative()
            && !line.quantity.is_zero()
            && !quantity.is_zero();
        if !opposite {
            add_to(&mut line.quantity, quantity)?;
            return add_to(&mut line.cost, value);
        }
        let whole = quantity.abs() >= line.quantity.abs();
        // In the sign of the holding: what is closed, its cost, its proceeds.
        let closed = if whole { line.quantity } else { -quantity };
        let cost = if whole { line.cost } else { share(line.cost, closed, line.quantity)? };
        let proceeds = if closed == -quantity { -value } else { share(-value, closed, -quantity)? };
        add_to(&mut self.realized, sub(proceeds, cost)?)?;
        line.quantity = add(line.quantity, quantity)?;
        // What is left of the holding, plus what opens past zero.
        line.cost = add(sub(line.cost, cost)?, add(value, proceeds)?)?;
        Ok(())
    }

    /// Changes the cost of what is held and not its quantity.
    pub(crate) fn revalue(&mut self, asset: AssetId, value: Decimal) -> Checked<()> {
        add_to(&mut self.lines.entry(asset).or_default().cost, value)
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = (AssetId, Line)> {
        self.lines.iter().map(|(asset, line)| (*asset, *line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(trades: &[(&str, &str)]) -> (Line, Decimal) {
        let asset = AssetId::of("A");
        let mut inventory = Inventory::default();
        for (quantity, price) in trades {
            let quantity: Decimal = quantity.parse().unwrap();
            let price: Decimal = price.parse().unwrap();
            inventory.take(asset, quantity, quantity * price).unwrap();
        }
        let (_, line) = inventory.lines().next().unwrap();
        (line, inventory.realized)
    }

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// Buys 1 at 100, 1 at 130, 2 at 160, sells 1.5 at 150.
    #[test]
    fn average_cost_realises_the_difference_to_the_average() {
        let (line, realized) = run(&[("1", "100"), ("1", "130"), ("2", "160"), ("-1.5", "150")]);
        assert_eq!(realized, number("18.75"));
        assert_eq!(line.quantity * number("150") - line.cost, number("31.25"));
    }

    #[test]
    fn a_flip_opens_the_rest_at_its_own_price() {
        let (line, realized) = run(&[("2", "100"), ("-5", "110")]);
        assert_eq!(realized, number("20"));
        assert_eq!((line.quantity, line.cost), (number("-3"), number("-330")));
        let (line, realized) = run(&[("2", "100"), ("-5", "110"), ("3", "90")]);
        assert_eq!(realized, number("80"));
        assert_eq!((line.quantity, line.cost), (number("0"), number("0")));
    }
}
