//! The scenario as a venue would know it at one instant.
//!
//! Everything is asked with the instant as an argument; nothing here has
//! state. An event is visible at `now` when it has happened and has been
//! delivered: `t <= now` and `seen <= now`.
//!
//! * Prices: the newest visible price event of the pair.
//! * Balances: the newest visible snapshot, unless it is older than one poll
//!   interval or marked incomplete; then the account cannot be read.
//! * Trades: one row per (market, symbol, trade id). A venue knows one version of a trade, so of
//!   several deliveries the first counts.
//! * Transfers: one row per id; a later delivery may change its status until it is completed.
//! * Positions: those of the snapshot. What a futures trade realised follows from the positions
//!   of the first snapshot and the trades since.
//!
//! | module | |
//! |---|---|
//! | `account` | wallets and whose they are |
//! | `trades` | executions |
//! | `transfers` | deposits and withdrawals |
//! | `income` | funding, interest, rewards; of futures also fees, gains and transfers |
//! | `instruments` | futures contracts |

mod account;
mod income;
mod instruments;
mod trades;
mod transfers;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;

use crate::number::Number;
use crate::scenario::{Event, Market, Scenario, ScenarioError, Stamp};

use self::account::Draft;

pub(crate) use self::account::{Account, Snapshot, Wallet};
pub(crate) use self::income::{IncomeRow, Kind};
pub(crate) use self::instruments::Instrument;
pub(crate) use self::trades::{Book, Trade};
pub(crate) use self::transfers::{Transfer, TransferVersion};

/// A trading pair: base and quote asset.
pub(crate) type Pair = (String, String);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) started: Stamp,
    pairs: BTreeMap<Pair, PriceTrack>,
    accounts: BTreeMap<String, Account>,
    instruments: BTreeMap<String, Instrument>,
    margin: BTreeSet<Pair>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> Result<Self, ScenarioError> {
        let mut pairs: BTreeMap<Pair, PriceTrack> = BTreeMap::new();
        let mut drafts: BTreeMap<&str, Draft<'_>> = BTreeMap::new();
        for event in &scenario.events {
            let account = match event {
                Event::Price(it) => {
                    pairs.entry((it.asset.clone(), it.quote.clone())).or_default().push(
                        PriceTick {
                            at: it.t,
                            visible: visible(it.t, it.seen),
                            value: it.price.decimal()?,
                            price: it.price.clone(),
                        },
                    );
                    continue;
                }
                Event::AccountOpen(it) | Event::AccountClose(it) => &it.account,
                Event::Snapshot(it) => &it.account,
                Event::Fill(it) => &it.account,
                Event::Flow(it) => &it.account,
                Event::Income(it) => &it.account,
            };
            let draft = drafts.entry(account).or_default();
            match event {
                Event::Snapshot(it) => draft.snapshots.push(Snapshot {
                    at: it.t,
                    visible: visible(it.t, it.seen),
                    complete: it.complete,
                    balances: it.balances.clone(),
                    positions: it.positions.clone(),
                }),
                Event::Fill(it) => {
                    pairs.entry((it.base.clone(), it.quote.clone())).or_default();
                    draft.fills.push(it);
                }
                Event::Flow(it) => draft.flows.push(it),
                Event::Income(it) => draft.income.push(it),
                Event::Price(_) | Event::AccountOpen(_) | Event::AccountClose(_) => {}
            }
        }
        for track in pairs.values_mut() {
            track.settle();
        }
        let interval = i64::from(scenario.config.poll_interval_s) * 1_000_000;
        let instruments = instruments::of(&scenario.events, &pairs)?;
        let flows = drafts.values().flat_map(|draft| draft.flows.iter().copied());
        let received = transfers::received_by_txid(flows);
        let on_margin = |event: &Event| {
            let Event::Fill(it) = event else { return None };
            (it.market == Market::Margin).then(|| (it.base.clone(), it.quote.clone()))
        };
        let margin = scenario.events.iter().filter_map(on_margin).collect();
        let mut accounts = BTreeMap::new();
        for (name, draft) in drafts {
            accounts.insert(name.to_owned(), Account::new(name, interval, draft, &received)?);
        }
        let mut wallets: Vec<_> = accounts.values().map(|it| (&it.user, it.wallet)).collect();
        wallets.sort_unstable();
        let all = wallets.len();
        wallets.dedup();
        if wallets.len() != all {
            return Err(ScenarioError::Invalid("a user has two wallets of one kind"));
        }
        Ok(Self { started: scenario.config.session_start, pairs, accounts, instruments, margin })
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// A wallet of the user whose account `name` is.
    pub(crate) fn wallet(&self, name: &str, wallet: Wallet) -> Option<&Account> {
        let user = &self.accounts.get(name)?.user;
        self.accounts.values().find(|it| it.user == *user && it.wallet == wallet)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The prices of one pair.
    pub(crate) fn price(&self, pair: &Pair) -> Option<&PriceTrack> {
        self.pairs.get(pair)
    }

    /// Whether the pair is traded on margin.
    pub(crate) fn has_margin(&self, pair: &Pair) -> bool {
        self.margin.contains(pair)
    }

    /// Every futures contract the scenario ever trades or holds, by symbol.
    pub(crate) fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    pub(crate) fn instrument(&self, symbol: &str) -> Option<&Instrument> {
        self.instruments.get(symbol)
    }

    /// Every pair the scenario ever prices or trades.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Pair, &PriceTrack)> {
        self.pairs.iter()
    }
}

const fn visible(at: Stamp, seen: Option<Stamp>) -> Stamp {
    match seen {
        Some(seen) if seen.micros() > at.micros() => seen,
        _ => at,
    }
}

/// All price events of one pair.
#[derive(Debug, Default)]
pub(crate) struct PriceTrack {
    ticks: Vec<PriceTick>,
    newest: Newest,
}

#[derive(Debug)]
pub(crate) struct PriceTick {
    pub(crate) at: Stamp,
    visible: Stamp,
    pub(crate) price: Number,
    pub(crate) value: Decimal,
}

impl PriceTrack {
    fn push(&mut self, tick: PriceTick) {
        self.ticks.push(tick);
    }

    fn settle(&mut self) {
        self.newest = Newest::of(self.ticks.iter().map(|tick| (tick.visible, tick.at)));
    }

    /// The price that is current at `now`.
    pub(crate) fn at(&self, now: Stamp) -> Option<&PriceTick> {
        self.ticks.get(self.newest.at(now)?)
    }

    /// All visible price events, oldest first.
    pub(crate) fn until(&self, now: Stamp) -> Vec<&PriceTick> {
        let mut seen: Vec<_> = self.ticks.iter().filter(|tick| tick.visible <= now).collect();
        seen.sort_by_key(|tick| tick.at);
        seen
    }
}

/// Which event is the newest one known, at any instant.
///
/// Of events with equal times the later delivery counts.
#[derive(Debug, Default)]
struct Newest(Vec<(Stamp, usize)>);

impl Newest {
    fn of(events: impl Iterator<Item = (Stamp, Stamp)>) -> Self {
        let mut order: Vec<_> =
            events.enumerate().map(|(index, (visible, at))| (visible, index, at)).collect();
        order.sort_unstable();
        let mut steps: Vec<(Stamp, usize)> = Vec::new();
        let mut best = None;
        for (visible, index, at) in order {
            if best.is_none_or(|best| at >= best) {
                best = Some(at);
                steps.push((visible, index));
            }
        }
        Self(steps)
    }

    fn at(&self, now: Stamp) -> Option<usize> {
        let known = self.0.partition_point(|(visible, _)| *visible <= now);
        known.checked_sub(1).and_then(|last| self.0.get(last)).map(|(_, index)| *index)
    }
}
