//! What an account holds at a round's time: wallets, or collateral and positions.

use std::collections::BTreeMap;

use exchanges::{Balance, Context, Fact, FuturesBalance, Position, Query};
use rust_decimal::Decimal;

use super::{Account, Hand, Incomplete};
use crate::poller::convert::NotCarried;
use crate::poller::plan::Holdings;

/// What an account holds.
#[derive(Debug, Default)]
pub(in crate::poller) struct Held {
    pub(in crate::poller) balances: Vec<Balance>,
    pub(in crate::poller) collateral: Vec<FuturesBalance>,
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
                self.collateral.push(balance);
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
        let collateral = self.collateral.iter().map(|it| (&it.asset, it.wallet_balance));
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
            Holdings::Futures => &[Query::FuturesBalances, Query::Positions],
        };
        for query in queries {
            held.take(self.ask(hand, query.clone(), context).await?);
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
