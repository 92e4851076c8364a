//! What an account holds at a round's time: wallets, or collateral and positions.

use std::collections::BTreeMap;

use exchanges::{Balance, Context, Fact, Money, Position, PositionSide, Query};
use rust_decimal::Decimal;

use super::{Account, Hand, Incomplete};
use crate::poller::convert::NotCarried;
use crate::poller::market::Marks;
use crate::poller::plan::Holdings;

/// What an account holds.
#[derive(Debug, Default)]
pub(in crate::poller) struct Held {
    pub(in crate::poller) balances: Vec<Balance>,
    /// Assets that secure positions, without what those would bring.
    pub(in crate::poller) collateral: Vec<Money>,
    pub(in crate::poller) positions: Vec<Position>,
    /// Ids of wallets, where transfers are listed for each.
    pub(in crate::poller) wallets: Vec<String>,
}

impl Held {
    fn take(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            if let Fact::Balance(balance) = fact {
                self.balances.push(balance);
            } else if let Fact::FuturesBalance(balance) = fact {
                let (asset, amount) = (balance.asset, balance.wallet_balance);
                self.collateral.push(Money { asset, amount });
            } else if let Fact::Collateral(row) = fact {
                self.collateral.push(Money { asset: row.asset, amount: row.quantity });
            } else if let Fact::Position(position) = fact {
                self.positions.push(position);
            } else if let Fact::Wallet(wallet) = fact {
                self.wallets.push(wallet.id);
            }
        }
    }

    /// How much of each asset, wallets taken together.
    fn totals(&self) -> Result<BTreeMap<String, Decimal>, NotCarried> {
        let wallets = self.balances.iter().map(|it| (&it.asset, it.net));
        let collateral = self.collateral.iter().map(|it| (&it.asset, it.amount));
        let mut totals: BTreeMap<String, Decimal> = BTreeMap::new();
        for (asset, amount) in wallets.chain(collateral) {
            let total = totals.entry(asset.clone()).or_default();
            *total = total.checked_add(amount).ok_or(NotCarried)?;
        }
        Ok(totals)
    }
}

impl Account {
    pub(super) async fn holdings(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
    ) -> Result<Held, Incomplete> {
        let mut held = Held::default();
        let queries: &[Query] = match self.plan.holdings {
            Holdings::Wallets => &[Query::balances()],
            Holdings::WalletsAndPositions => &[Query::balances(), Query::Positions],
            Holdings::Futures | Holdings::FuturesAtMark => {
                &[Query::FuturesBalances, Query::Positions]
            }
        };
        for query in queries {
            held.take(self.ask(hand, query.clone(), context).await?);
        }
        if self.plan.holdings == Holdings::FuturesAtMark && !held.positions.is_empty() {
            let marks = hand.public.marks(hand.desk, context).await?;
            held.positions.iter_mut().try_for_each(|position| value(position, &marks))?;
        }
        let totals = held.totals()?;
        for asset in totals.keys().chain(self.balances.keys()) {
            if totals.get(asset) != self.balances.get(asset) {
                self.assets.insert(asset.clone(), Some(hand.tick));
            }
        }
        self.balances = totals;
        self.wallets.clone_from(&held.wallets);
        Ok(held)
    }
}

/// What an open position would bring at its contract's mark price, and the funding that it has
/// earned and not been paid.
fn value(position: &mut Position, marks: &Marks) -> Result<(), NotCarried> {
    let instrument = &position.instrument;
    let mark = *marks.get(&instrument.symbol).ok_or(NotCarried)?;
    let gain = |from: Decimal, to: Decimal| {
        let size = position.amount.checked_mul(instrument.contract_size)?;
        let by = match position.side {
            PositionSide::Long => to.checked_sub(from)?,
            PositionSide::Short => from.checked_sub(to)?,
        };
        size.checked_mul(by)?.checked_add(position.unrealized_funding.unwrap_or_default())
    };
    let each = |price: Decimal| Decimal::ONE.checked_div(price);
    let gain = if instrument.inverse {
        // A contract is a fixed amount of money: fewer coins as the price rises.
        each(mark).and_then(|to| gain(to, each(position.entry_price)?))
    } else {
        gain(position.entry_price, mark)
    };
    position.unrealized_pnl = Some(gain.ok_or(NotCarried)?);
    position.mark_price = Some(mark);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use exchanges::{AmountUnit, Instrument, InstrumentKind};

    use super::*;

    fn position(inverse: bool, side: PositionSide, amount: &str, entry: &str) -> Position {
        let settle = if inverse { "BTC" } else { "USD" };
        Position {
            instrument: Arc::new(Instrument {
                symbol: format!("BTC/USD:{settle}"),
                settle: Some(settle.into()),
                kind: InstrumentKind::Perpetual,
                inverse,
                ..Instrument::spot("P_XBTUSD", "BTC", "USD")
            }),
            side,
            amount: amount.parse().unwrap(),
            amount_unit: AmountUnit::Base,
            entry_price: entry.parse().unwrap(),
            mark_price: None,
            unrealized_pnl: None,
            unrealized_funding: None,
            settle: Some(settle.into()),
        }
    }

    fn profit(mut position: Position, mark: &str) -> Option<String> {
        let marks = [(position.instrument.symbol.clone(), mark.parse().unwrap())].into();
        value(&mut position, &marks).ok()?;
        position.unrealized_pnl.map(|it| it.normalize().to_string())
    }

    #[test]
    fn a_position_is_worth_what_its_mark_price_says() {
        use PositionSide::{Long, Short};
        for (inverse, side, amount, entry, mark, expected) in [
            (false, Long, "0.5", "60000", "60100", "50"),
            (false, Short, "0.5", "60000", "60100", "-50"),
            // 1000 dollars are 0.02 coins at 50000 and 0.016 at 62500.
            (true, Long, "1000", "50000", "62500", "0.004"),
            (true, Short, "1000", "50000", "62500", "-0.004"),
        ] {
            let got = profit(position(inverse, side, amount, entry), mark);
            assert_eq!(got.as_deref(), Some(expected), "{inverse} {side:?}");
        }
        let mut funded = position(false, Short, "1", "60000");
        funded.unrealized_funding = Some("-0.25".parse().unwrap());
        assert_eq!(profit(funded, "59999").as_deref(), Some("0.75"));
    }

    #[test]
    fn what_has_no_mark_price_or_none_that_can_be_is_no_valuation() {
        let mut unmarked = position(false, PositionSide::Long, "1", "60000");
        assert!(value(&mut unmarked, &Marks::new()).is_err());
        assert_eq!(profit(position(true, PositionSide::Long, "1", "60000"), "0"), None);
        assert_eq!(profit(position(true, PositionSide::Long, "1", "0"), "60000"), None);
        let huge = position(false, PositionSide::Long, "79228162514264337593543950335", "1");
        assert_eq!(profit(huge, "60000"), None);
    }
}
