//! One wallet of one user, as its venue would know it.
//!
//! An account of the scenario is one wallet. Its name says whose it is and
//! which one: `USER:WALLET` with `spot`, `cross`, `isolated`, `usdm` (linear
//! futures) or `coinm` (inverse futures), so that one API key reaches all the
//! wallets of its user. A name without a colon is a user with one wallet, and
//! what happens in it says which:
//!
//! * a name that ends in `-spot`: spot, whatever happens;
//! * positions or futures fills: futures, inverse if a fill says so;
//! * margin fills or borrowed assets: isolated margin if the name ends in `-isolated`, else cross;
//! * anything else: spot.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::scenario::{
    Balance, Fill, Flow, FlowStatus, Income, Market, Position, ScenarioError, Stamp,
};

use super::income::{self, IncomeRow};
use super::trades::{self, Book, Trade};
use super::transfers::{self, Received, Transfer, TransferVersion};
use super::{Newest, Pair};

/// What kind of wallet an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wallet {
    Spot,
    CrossMargin,
    IsolatedMargin,
    LinearFutures,
    InverseFutures,
}

impl Wallet {
    pub(crate) const fn is_futures(self) -> bool {
        matches!(self, Self::LinearFutures | Self::InverseFutures)
    }

    fn named(word: &str) -> Option<Self> {
        Some(match word {
            "spot" => Self::Spot,
            "cross" => Self::CrossMargin,
            "isolated" => Self::IsolatedMargin,
            "usdm" => Self::LinearFutures,
            "coinm" => Self::InverseFutures,
            _ => return None,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Account {
    /// Nine digits, the same in every run of the same user.
    pub(crate) uid: u64,
    pub(crate) user: String,
    pub(crate) wallet: Wallet,
    interval_micros: i64,
    snapshots: Vec<Snapshot>,
    newest: Newest,
    trades: BTreeMap<Book, Vec<Trade>>,
    transfers: Vec<Transfer>,
    income: Vec<IncomeRow>,
}

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Stamp,
    pub(super) visible: Stamp,
    pub(super) complete: bool,
    pub(crate) balances: Vec<Balance>,
    /// Open positions with their mark price and what they would make at it.
    pub(crate) positions: Vec<Position>,
}

impl Account {
    pub(super) fn new(
        name: &str,
        interval_micros: i64,
        draft: Draft<'_>,
        received: &Received<'_>,
    ) -> Result<Self, ScenarioError> {
        let (user, wallet) = match name.split_once(':') {
            Some((user, word)) => {
                (user, Wallet::named(word).ok_or(ScenarioError::Invalid("an account's wallet"))?)
            }
            None => (name, draft.wallet(name)),
        };
        let baseline = draft.snapshots.iter().min_by_key(|snapshot| snapshot.at);
        let mut trades = trades::numbered(&draft.fills)?;
        trades::realise(&mut trades, baseline)?;
        let transfers = transfers::transfers(&draft.flows, received)?;
        Ok(Self {
            uid: uid(user),
            user: user.to_owned(),
            wallet,
            interval_micros,
            newest: Newest::of(draft.snapshots.iter().map(|it| (it.visible, it.at))),
            income: income::rows(wallet, &draft, &trades, &transfers)?,
            snapshots: draft.snapshots,
            trades,
            transfers,
        })
    }

    /// The snapshot of this tick; `None` when the venue cannot give one.
    pub(crate) fn snapshot(&self, now: Stamp) -> Option<&Snapshot> {
        let newest = self.snapshots.get(self.newest.at(now)?)?;
        let fresh = now.micros() - newest.at.micros() < self.interval_micros;
        (fresh && newest.complete).then_some(newest)
    }

    /// What there was at the beginning.
    pub(crate) fn first_snapshot(&self) -> Option<&Snapshot> {
        self.snapshots.iter().min_by_key(|snapshot| snapshot.at)
    }

    /// Visible trades of one market and pair, by ascending id.
    pub(crate) fn trades(&self, market: Market, pair: &Pair, now: Stamp) -> Vec<&Trade> {
        let book = Book { market, pair: pair.clone(), symbol: String::new() };
        let all = self.trades.get(&book).into_iter().flatten();
        all.filter(|trade| trade.visible <= now).collect()
    }

    /// The pairs this wallet ever trades on a market.
    pub(crate) fn books(&self, market: Market) -> impl Iterator<Item = &Pair> {
        self.trades.keys().filter(move |book| book.market == market).map(|book| &book.pair)
    }

    /// Visible trades of one futures contract, by ascending id.
    pub(crate) fn futures_trades(&self, symbol: &str, now: Stamp) -> Vec<&Trade> {
        let books = self.trades.iter().filter(|(book, _)| book.symbol == symbol);
        books.flat_map(|(_, trades)| trades).filter(|trade| trade.visible <= now).collect()
    }

    /// Every visible trade of every market, oldest first.
    pub(crate) fn all_trades(&self, now: Stamp) -> Vec<(&Book, &Trade)> {
        let all = self.trades.iter().flat_map(|(book, all)| all.iter().map(move |it| (book, it)));
        let mut known: Vec<_> = all.filter(|(_, trade)| trade.visible <= now).collect();
        known.sort_by_key(|(_, trade)| (trade.at, trade.id));
        known
    }

    /// Visible transfers with their state at `now`, newest first.
    pub(crate) fn transfers(&self, now: Stamp) -> Vec<(&Transfer, &TransferVersion)> {
        let known = self.transfers.iter().filter_map(|it| Some((it, it.state(now)?)));
        let mut known: Vec<_> = known.collect();
        known.sort_by_key(|(transfer, _)| std::cmp::Reverse(transfer.created));
        known
    }

    /// Visible income and costs, oldest first.
    ///
    /// For a spot or margin wallet what the scenario calls income; for futures also what each
    /// trade realised, its commission, and what moved in and out.
    pub(crate) fn income(&self, now: Stamp) -> Vec<&IncomeRow> {
        self.income.iter().filter(|row| row.visible <= now).collect()
    }
}

impl Transfer {
    /// Completed is final; else the latest delivery counts.
    pub(crate) fn state(&self, now: Stamp) -> Option<&TransferVersion> {
        let mut versions = self.versions.iter().filter(|version| version.visible <= now);
        let done = versions.clone().find(|it| it.status == FlowStatus::Completed);
        done.or_else(|| versions.next_back())
    }
}

/// What the events say of one account, before it is indexed.
#[derive(Debug, Default)]
pub(super) struct Draft<'a> {
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) fills: Vec<&'a Fill>,
    pub(super) flows: Vec<&'a Flow>,
    pub(super) income: Vec<&'a Income>,
}

impl Draft<'_> {
    fn wallet(&self, name: &str) -> Wallet {
        let fills = |market| self.fills.iter().filter(move |fill| fill.market == market);
        let positions = self.snapshots.iter().any(|snapshot| !snapshot.positions.is_empty());
        let mut rows = self.snapshots.iter().flat_map(|snapshot| &snapshot.balances);
        if name.ends_with("-spot") {
            Wallet::Spot
        } else if fills(Market::Futures).any(|fill| fill.inverse == Some(true)) {
            Wallet::InverseFutures
        } else if positions || fills(Market::Futures).next().is_some() {
            Wallet::LinearFutures
        } else if fills(Market::Margin).next().is_some() || rows.any(|row| !row.borrowed.is_zero())
        {
            if name.ends_with("-isolated") { Wallet::IsolatedMargin } else { Wallet::CrossMargin }
        } else {
            Wallet::Spot
        }
    }
}

fn uid(user: &str) -> u64 {
    let digest = Sha256::digest(user.as_bytes());
    let number = digest.iter().take(7).fold(0u64, |sum, byte| sum * 256 + u64::from(*byte));
    100_000_000 + number % 900_000_000
}
