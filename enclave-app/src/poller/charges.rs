//! What executions cost, where the list of executions does not say: the bookings do, and they
//! name the execution.
//!
//! A fill waits for its booking and a booking for its fill, because what is told twice with
//! different costs is told wrong. The two lists are read one after the other and either can lag,
//! so each waits until the other list was read [`OVERLAP`] past it. What was waited for in vain is
//! told alone: a fill without a cost, a cost as one of its own. Nothing is told twice and nothing
//! is lost.

use std::collections::BTreeMap;

use exchanges::{Fill, Money};
use protocol::time::UnixMillis;

use super::marks::OVERLAP;

/// What a booking says that an execution cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// The booking.
    pub(super) id: String,
    /// Positive is paid.
    pub(super) fee: Money,
    pub(super) at: UnixMillis,
}

/// Fills and costs of one account that wait for each other, by the fill's id.
#[derive(Debug, Default)]
pub(super) struct Charges {
    fills: BTreeMap<String, Fill>,
    costs: BTreeMap<String, Vec<Cost>>,
    /// Everything up to here was read at least once, of either list.
    fills_covered: Option<UnixMillis>,
    costs_covered: Option<UnixMillis>,
}

/// What need not wait any longer.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// With what they cost, oldest first.
    pub(super) fills: Vec<Fill>,
    /// What belongs to no fill.
    pub(super) alone: Vec<Cost>,
}

impl Charges {
    /// A fill that is new.
    pub(super) fn fill(&mut self, fill: Fill) {
        self.fills.insert(fill.id.clone(), fill);
    }

    /// A booking that is new, of the fill `execution`.
    pub(super) fn cost(&mut self, execution: String, cost: Cost) {
        self.costs.entry(execution).or_default().push(cost);
    }

    /// The whole list of fills was read at `now`.
    pub(super) const fn fills_read(&mut self, now: UnixMillis) {
        self.fills_covered = Some(now);
    }

    /// The whole list of bookings was read at `now`.
    pub(super) const fn costs_read(&mut self, now: UnixMillis) {
        self.costs_covered = Some(now);
    }

    /// Takes what has met, and what has waited in vain.
    pub(super) fn settle(&mut self) -> Settled {
        let mut settled = Settled::default();
        let costs_covered = self.costs_covered;
        let waiting = std::mem::take(&mut self.fills);
        for (id, mut fill) in waiting {
            if let Some(costs) = self.costs.remove(&id) {
                settled.alone.extend(charge(&mut fill, costs));
            } else if !is_past(fill.at, costs_covered) {
                self.fills.insert(id, fill);
                continue;
            }
            settled.fills.push(fill);
        }
        let fills_covered = self.fills_covered;
        let in_vain = |_: &String, costs: &mut Vec<Cost>| {
            costs.iter().all(|cost| is_past(cost.at, fills_covered))
        };
        settled.alone.extend(self.costs.extract_if(.., in_vain).flat_map(|(_, costs)| costs));
        settled.alone.retain(|cost| !cost.fee.amount.is_zero());
        settled.fills.sort_by_key(|fill| fill.at);
        settled
    }
}

/// Gives a fill its cost, unless its own list told it. Returns what does not fit in: a fill has
/// one fee in one asset.
fn charge(fill: &mut Fill, costs: Vec<Cost>) -> Vec<Cost> {
    if fill.fee.is_some() {
        return Vec::new();
    }
    let mut rest = Vec::new();
    for cost in costs {
        match &mut fill.fee {
            None if cost.fee.amount.is_zero() => {}
            None => fill.fee = Some(cost.fee),
            Some(fee) if fee.asset == cost.fee.asset => {
                match fee.amount.checked_add(cost.fee.amount) {
                    Some(sum) => fee.amount = sum,
                    None => rest.push(cost),
                }
            }
            Some(_) => rest.push(cost),
        }
    }
    rest
}

fn is_past(at: UnixMillis, covered: Option<UnixMillis>) -> bool {
    covered.is_some_and(|covered| covered.since(at) > OVERLAP)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use exchanges::{AmountUnit, Instrument, Side};
    use rust_decimal::Decimal;

    use super::*;

    const AT: UnixMillis = UnixMillis(1_770_000_000_000);

    fn fill(id: &str) -> Fill {
        Fill {
            id: id.into(),
            trade_id: None,
            fill_type: None,
            order_id: "o".into(),
            instrument: Arc::new(Instrument::spot("PF_XBTUSD", "BTC", "USD")),
            side: Side::Buy,
            price: 1.into(),
            amount: 1.into(),
            amount_unit: AmountUnit::Base,
            notional_quote: 1.into(),
            fee: None,
            realized_pnl: None,
            liquidity: None,
            at: AT,
        }
    }

    fn money(asset: &str, amount: i64) -> Money {
        Money { asset: asset.into(), amount: Decimal::from(amount) }
    }

    fn cost(id: &str, asset: &str, amount: i64) -> Cost {
        Cost { id: id.into(), fee: money(asset, amount), at: AT }
    }

    fn later(by: std::time::Duration) -> UnixMillis {
        AT.saturating_add(by + std::time::Duration::from_millis(1))
    }

    #[test]
    fn whichever_comes_first_waits_for_the_other() {
        for fill_first in [true, false] {
            let mut charges = Charges::default();
            for step in [fill_first, !fill_first] {
                let settled = charges.settle();
                assert!(settled.fills.is_empty() && settled.alone.is_empty());
                if step {
                    charges.fill(fill("f"));
                } else {
                    charges.cost("f".into(), cost("1", "USD", 3));
                }
                charges.fills_read(AT);
                charges.costs_read(AT);
            }
            let settled = charges.settle();
            assert_eq!(settled.fills[0].fee, Some(money("USD", 3)));
            assert_eq!(settled.alone, []);
            assert!(charges.settle().fills.is_empty(), "told once");
        }
    }

    #[test]
    fn what_waits_in_vain_is_told_alone() {
        let mut charges = Charges::default();
        charges.fill(fill("f"));
        charges.cost("g".into(), cost("1", "USD", 3));
        charges.cost("h".into(), cost("2", "USD", 0));
        charges.fills_read(AT.saturating_add(OVERLAP));
        charges.costs_read(AT.saturating_add(OVERLAP));
        let settled = charges.settle();
        assert!(settled.fills.is_empty() && settled.alone.is_empty(), "not yet");
        charges.costs_read(later(OVERLAP));
        let settled = charges.settle();
        assert_eq!((settled.fills.len(), settled.alone.len()), (1, 0));
        assert_eq!(settled.fills[0].fee, None);
        charges.fills_read(later(OVERLAP));
        assert_eq!(charges.settle().alone, [cost("1", "USD", 3)]);
        assert!(charges.costs.is_empty());
    }

    #[test]
    fn a_list_that_fails_for_hours_loses_no_cost() {
        let mut charges = Charges::default();
        charges.cost("f".into(), cost("1", "USD", 3));
        charges.fills_read(AT);
        charges.costs_read(later(OVERLAP * 20));
        assert!(charges.settle().alone.is_empty(), "the fills were not read past it");
        charges.fill(fill("f"));
        assert_eq!(charges.settle().fills[0].fee, Some(money("USD", 3)));
    }

    #[test]
    fn a_fill_has_one_fee_in_one_asset() {
        let of = |costs: &[(&str, i64)]| {
            let mut charges = Charges::default();
            for (index, (asset, amount)) in costs.iter().enumerate() {
                charges.cost("f".into(), cost(&index.to_string(), asset, *amount));
            }
            charges.fill(fill("f"));
            let mut settled = charges.settle();
            (settled.fills.remove(0).fee, settled.alone)
        };
        assert_eq!(of(&[("USD", 0), ("BTC", 2)]), (Some(money("BTC", 2)), vec![]));
        assert_eq!(of(&[("USD", 1), ("USD", -4)]), (Some(money("USD", -3)), vec![]));
        assert_eq!(of(&[("USD", 0)]), (None, vec![]));
        let rest = vec![cost("1", "BTC", 2)];
        assert_eq!(of(&[("USD", 1), ("BTC", 2)]), (Some(money("USD", 1)), rest));
    }

    #[test]
    fn a_fee_that_the_fill_itself_tells_is_not_told_again() {
        let mut charges = Charges::default();
        charges.cost("f".into(), cost("1", "USD", 3));
        charges.fill(Fill { fee: Some(money("USD", 3)), ..fill("f") });
        let settled = charges.settle();
        assert_eq!(settled.fills[0].fee, Some(money("USD", 3)));
        assert_eq!(settled.alone, []);
    }
}
