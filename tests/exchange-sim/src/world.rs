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

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::number::Number;
use crate::scenario::{
    Balance, Event, Fee, Fill, Flow, FlowStatus, Liquidity, Market, Scenario, ScenarioError, Side,
    Stamp,
};

/// A trading pair: base and quote asset.
pub(crate) type Pair = (String, String);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) started: Stamp,
    pairs: BTreeMap<Pair, PriceTrack>,
    accounts: BTreeMap<String, Account>,
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
                }),
                Event::Fill(it) => {
                    pairs.entry((it.base.clone(), it.quote.clone())).or_default();
                    draft.fills.push(it);
                }
                Event::Flow(it) => draft.flows.push(it),
                Event::Price(_)
                | Event::AccountOpen(_)
                | Event::AccountClose(_)
                | Event::Income(_) => {}
            }
        }
        for track in pairs.values_mut() {
            track.settle();
        }
        let interval = i64::from(scenario.config.poll_interval_s) * 1_000_000;
        let received = received_by_txid(&drafts);
        let mut accounts = BTreeMap::new();
        for (name, draft) in drafts {
            accounts.insert(name.to_owned(), Account::new(name, interval, draft, &received)?);
        }
        Ok(Self { started: scenario.config.session_start, pairs, accounts })
    }

    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
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

#[derive(Debug)]
pub(crate) struct Account {
    /// Nine digits, the same in every run of the same account name.
    pub(crate) uid: u64,
    interval_micros: i64,
    snapshots: Vec<Snapshot>,
    newest: Newest,
    trades: BTreeMap<(Market, Pair), Vec<Trade>>,
    transfers: Vec<Transfer>,
}

#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Stamp,
    visible: Stamp,
    complete: bool,
    pub(crate) balances: Vec<Balance>,
}

/// One execution as the venue numbers it.
#[derive(Debug)]
pub(crate) struct Trade {
    pub(crate) id: u64,
    pub(crate) order_id: u64,
    pub(crate) at: Stamp,
    visible: Stamp,
    pub(crate) side: Side,
    pub(crate) maker: bool,
    pub(crate) price: Number,
    pub(crate) qty: Number,
    pub(crate) quote_qty: Decimal,
    pub(crate) fee: Option<Fee>,
}

/// A deposit or withdrawal with every status it goes through.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) asset: String,
    pub(crate) deposit: bool,
    /// When it was first recorded.
    pub(crate) created: Stamp,
    versions: Vec<TransferVersion>,
}

#[derive(Debug)]
pub(crate) struct TransferVersion {
    visible: Stamp,
    pub(crate) at: Stamp,
    pub(crate) status: FlowStatus,
    /// Without sign and without the fee.
    pub(crate) amount: Decimal,
    pub(crate) fee: Decimal,
    pub(crate) txid: Option<String>,
}

impl Account {
    fn new(
        name: &str,
        interval_micros: i64,
        draft: Draft<'_>,
        received: &BTreeMap<(&str, &str), Decimal>,
    ) -> Result<Self, ScenarioError> {
        Ok(Self {
            uid: uid(name),
            interval_micros,
            newest: Newest::of(draft.snapshots.iter().map(|it| (it.visible, it.at))),
            snapshots: draft.snapshots,
            trades: trades(draft.fills)?,
            transfers: transfers(&draft.flows, received)?,
        })
    }

    /// The snapshot of this tick; `None` when the venue cannot give one.
    pub(crate) fn snapshot(&self, now: Stamp) -> Option<&Snapshot> {
        let newest = self.snapshots.get(self.newest.at(now)?)?;
        let fresh = now.micros() - newest.at.micros() < self.interval_micros;
        (fresh && newest.complete).then_some(newest)
    }

    /// Visible trades of one market and pair, by ascending id.
    pub(crate) fn trades(&self, market: Market, pair: &Pair, now: Stamp) -> Vec<&Trade> {
        self.trades
            .get(&(market, pair.clone()))
            .map(|all| all.iter().filter(|trade| trade.visible <= now).collect())
            .unwrap_or_default()
    }

    /// Visible transfers with their state at `now`, newest first.
    pub(crate) fn transfers(&self, now: Stamp) -> Vec<(&Transfer, &TransferVersion)> {
        let mut known: Vec<_> = self
            .transfers
            .iter()
            .filter_map(|transfer| {
                let versions: Vec<_> =
                    transfer.versions.iter().filter(|version| version.visible <= now).collect();
                let done = versions.iter().find(|it| it.status == FlowStatus::Completed);
                done.or_else(|| versions.last()).map(|version| (transfer, *version))
            })
            .collect();
        known.sort_by_key(|(transfer, _)| std::cmp::Reverse(transfer.created));
        known
    }
}

/// What the events say of one account, before it is indexed.
#[derive(Default)]
struct Draft<'a> {
    snapshots: Vec<Snapshot>,
    fills: Vec<&'a Fill>,
    flows: Vec<&'a Flow>,
}

fn uid(account: &str) -> u64 {
    let digest = Sha256::digest(account.as_bytes());
    let number = digest.iter().take(7).fold(0u64, |sum, byte| sum * 256 + u64::from(*byte));
    100_000_000 + number % 900_000_000
}

/// Numbers the trades.
///
/// Ids and order ids that are numbers stay; others get the next free number in
/// the order in which the trades became visible.
fn trades(mut fills: Vec<&Fill>) -> Result<BTreeMap<(Market, Pair), Vec<Trade>>, ScenarioError> {
    fills.sort_by_key(|fill| visible(fill.t, fill.seen));
    let mut orders = Numbering::new(fills.iter().map(|fill| fill.order_id.as_str()));
    let mut by_pair: BTreeMap<(Market, Pair), Vec<(&Fill, u64)>> = BTreeMap::new();
    for fill in fills {
        let pair = (fill.base.clone(), fill.quote.clone());
        by_pair.entry((fill.market, pair)).or_default().push((fill, orders.number(&fill.order_id)));
    }
    let mut numbered = BTreeMap::new();
    for (key, fills) in by_pair {
        let mut ids = Numbering::new(fills.iter().map(|(fill, _)| fill.trade_id.as_str()));
        let mut rows: BTreeMap<u64, Trade> = BTreeMap::new();
        for (fill, order_id) in fills {
            let id = ids.number(&fill.trade_id);
            if rows.contains_key(&id) {
                continue;
            }
            let quote_qty = fill
                .price
                .decimal()?
                .checked_mul(fill.qty.decimal()?)
                .ok_or(ScenarioError::Overflow(crate::number::NotANumber))?;
            rows.insert(
                id,
                Trade {
                    id,
                    order_id,
                    at: fill.t,
                    visible: visible(fill.t, fill.seen),
                    side: fill.side,
                    maker: fill.liquidity == Some(Liquidity::Maker),
                    price: fill.price.clone(),
                    qty: fill.qty.clone(),
                    quote_qty,
                    fee: fill.fee.clone(),
                },
            );
        }
        numbered.insert(key, rows.into_values().collect());
    }
    Ok(numbered)
}

/// Turns ids into numbers; an id that is one already keeps it.
struct Numbering {
    taken: BTreeSet<u64>,
    given: BTreeMap<String, u64>,
    last: u64,
}

impl Numbering {
    fn new<'a>(ids: impl Iterator<Item = &'a str>) -> Self {
        let taken = ids.filter_map(as_number).collect();
        Self { taken, given: BTreeMap::new(), last: 0 }
    }

    fn number(&mut self, id: &str) -> u64 {
        if let Some(number) = as_number(id) {
            self.last = self.last.max(number);
            return number;
        }
        if let Some(number) = self.given.get(id) {
            return *number;
        }
        let mut next = self.last + 1;
        while self.taken.contains(&next) {
            next += 1;
        }
        self.last = next;
        self.given.insert(id.to_owned(), next);
        next
    }
}

/// A canonical decimal number that fits a signed 64-bit id, as the venues use.
fn as_number(id: &str) -> Option<u64> {
    let number: u64 = id.parse().ok()?;
    (number.to_string() == id && i64::try_from(number).is_ok()).then_some(number)
}

/// What arrived of each transfer on the chain, in all accounts: (txid, asset) to amount.
fn received_by_txid<'a>(
    drafts: &BTreeMap<&str, Draft<'a>>,
) -> BTreeMap<(&'a str, &'a str), Decimal> {
    let mut received = BTreeMap::new();
    for flow in drafts.values().flat_map(|draft| &draft.flows) {
        if let (Some(txid), Ok(amount)) = (&flow.txid, flow.amount.decimal())
            && amount.is_sign_positive()
        {
            received.entry((txid.as_str(), flow.asset.as_str())).or_insert(amount);
        }
    }
    received
}

fn transfers(
    flows: &[&Flow],
    received: &BTreeMap<(&str, &str), Decimal>,
) -> Result<Vec<Transfer>, ScenarioError> {
    let mut ordered = flows.to_vec();
    ordered.sort_by_key(|flow| visible(flow.t, flow.seen));
    let mut by_id: BTreeMap<(&str, bool), Transfer> = BTreeMap::new();
    for flow in ordered {
        let total = flow.amount.decimal()?.abs();
        let deposit = !flow.amount.is_negative();
        let fee = if deposit { Decimal::ZERO } else { withdrawal_fee(flow, total, received) };
        let transfer = by_id.entry((&flow.id, deposit)).or_insert_with(|| Transfer {
            id: flow.id.clone(),
            asset: flow.asset.clone(),
            deposit,
            created: flow.t,
            versions: Vec::new(),
        });
        transfer.created = transfer.created.min(flow.t);
        transfer.versions.push(TransferVersion {
            visible: visible(flow.t, flow.seen),
            at: flow.t,
            status: flow.status,
            amount: total - fee,
            fee,
            txid: flow.txid.clone(),
        });
    }
    Ok(by_id.into_values().collect())
}

/// The part of a withdrawal that the venue keeps.
///
/// What did not arrive at the other end when the scenario says what did; else
/// one part in ten thousand, so that a reader who forgets that the reported
/// amount is net of the fee gets a different balance.
fn withdrawal_fee(
    flow: &Flow,
    total: Decimal,
    received: &BTreeMap<(&str, &str), Decimal>,
) -> Decimal {
    let arrived = flow
        .txid
        .as_ref()
        .and_then(|txid| received.get(&(txid.as_str(), flow.asset.as_str())))
        .filter(|arrived| **arrived <= total);
    match arrived {
        Some(arrived) => total - arrived,
        None => (total / Decimal::from(10_000)).trunc_with_scale(8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::padded;

    fn world(events: &str) -> World {
        let text = format!(
            r#"{{"schema":"pa-case/1","id":"x","title":"x","features":[],"events":[{events}],"config":
            {{"base_currency":"USD","session_start":"2026-01-01T00:00:00Z","as_of":"2026-01-01T01:00:00Z"}}}}"#
        );
        World::new(&Scenario::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn at(minute: u32) -> Stamp {
        Stamp::try_from(format!("2026-01-01T00:{minute:02}:00Z")).unwrap()
    }

    fn fill(trade: &str, order: &str, minute: u32, seen: u32) -> String {
        format!(
            r#"{{"type":"fill","t":"2026-01-01T00:{minute:02}:00Z","seen":"2026-01-01T00:{seen:02}:00Z",
            "account":"a","market":"spot","symbol":"BTCUSDT","base":"BTC","quote":"USDT","side":"buy",
            "price":"10","qty":"2","trade_id":"{trade}","order_id":"{order}"}}"#
        )
    }

    fn btc_usdt() -> Pair {
        ("BTC".to_owned(), "USDT".to_owned())
    }

    #[test]
    fn a_price_counts_once_it_is_delivered_and_the_newest_one_wins() {
        let price = |minute: u32, seen: u32, price: &str| {
            format!(
                r#"{{"type":"price","t":"2026-01-01T00:{minute:02}:00Z","seen":"2026-01-01T00:{seen:02}:00Z",
                "asset":"BTC","quote":"USDT","price":"{price}"}}"#
            )
        };
        let events = [price(5, 20, "5"), price(10, 10, "10"), price(10, 15, "11")].join(",");
        let world = world(&events);
        let (_, track) = world.pairs().next().unwrap();
        let shown = |minute| track.at(at(minute)).map(|tick| tick.price.as_str().to_owned());
        assert_eq!(shown(5), None);
        assert_eq!(shown(10).unwrap(), "10");
        assert_eq!(shown(15).unwrap(), "11");
        assert_eq!(shown(20).unwrap(), "11");
        assert_eq!(track.until(at(20)).len(), 3);
    }

    #[test]
    fn a_snapshot_serves_its_own_tick_only() {
        let snapshot = |minute: u32, complete: bool| {
            format!(
                r#"{{"type":"snapshot","t":"2026-01-01T00:{minute:02}:00Z","account":"a",
                "complete":{complete},"balances":[]}}"#
            )
        };
        let events = [snapshot(0, true), snapshot(5, false), snapshot(15, true)].join(",");
        let world = world(&events);
        let account = world.account("a").unwrap();
        let readable: Vec<_> =
            [0, 4, 5, 10, 15].map(|minute| account.snapshot(at(minute)).is_some()).into();
        assert_eq!(readable, [true, true, false, false, true]);
    }

    #[test]
    fn of_a_trade_delivered_twice_the_first_version_counts() {
        let first = fill("7", "1", 1, 30);
        let second = fill("7", "1", 1, 20).replace(r#""qty":"2""#, r#""qty":"3""#);
        let world = world(&[first, second].join(","));
        let account = world.account("a").unwrap();
        assert!(account.trades(Market::Spot, &btc_usdt(), at(19)).is_empty());
        let rows = account.trades(Market::Spot, &btc_usdt(), at(40));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].qty.as_str(), "3");
        assert_eq!(rows[0].quote_qty, Decimal::from(30));
    }

    #[test]
    fn ids_that_are_no_numbers_are_numbered_in_order_of_delivery() {
        let events =
            [fill("TB", "oB", 2, 30), fill("TA", "oA", 3, 10), fill("40", "12", 4, 20)].join(",");
        let world = world(&events);
        let rows = world.account("a").unwrap().trades(Market::Spot, &btc_usdt(), at(59));
        let ids: Vec<_> = rows.iter().map(|row| (row.id, row.order_id)).collect();
        assert_eq!(ids, [(1, 1), (40, 12), (41, 13)]);
    }

    #[test]
    fn a_transfer_has_one_row_that_changes_its_status() {
        let flow = |minute: u32, status: &str, amount: &str| {
            format!(
                r#"{{"type":"flow","t":"2026-01-01T00:{minute:02}:00Z","account":"a","asset":"USDT",
                "amount":"{amount}","id":"D9","status":"{status}"}}"#
            )
        };
        let events =
            [flow(1, "pending", "10"), flow(5, "completed", "10"), flow(9, "failed", "99")]
                .join(",");
        let world = world(&events);
        let account = world.account("a").unwrap();
        let status = |minute| {
            let rows = account.transfers(at(minute));
            assert_eq!(rows.len(), 1);
            (rows[0].1.status, rows[0].1.amount, rows[0].0.created)
        };
        assert_eq!(status(1), (FlowStatus::Pending, Decimal::TEN, at(1)));
        assert_eq!(status(5), (FlowStatus::Completed, Decimal::TEN, at(1)));
        assert_eq!(status(9), (FlowStatus::Completed, Decimal::TEN, at(1)));
    }

    #[test]
    fn a_withdrawal_is_net_of_what_the_venue_keeps() {
        let flow = |account: &str, amount: &str, id: &str, txid: &str| {
            format!(
                r#"{{"type":"flow","t":"2026-01-01T00:01:00Z","account":"{account}","asset":"BTC",
                "amount":"{amount}","id":"{id}"{txid}}}"#
            )
        };
        let events = [
            flow("a", "-0.7", "1", r#","txid":"x""#),
            flow("b", "0.6998", "2", r#","txid":"x""#),
            flow("a", "-2", "3", ""),
        ]
        .join(",");
        let world = world(&events);
        let rows = world.account("a").unwrap().transfers(at(1));
        let parts: Vec<_> =
            rows.iter().map(|(_, row)| (padded(row.amount, 0), padded(row.fee, 0))).collect();
        assert!(parts.contains(&("0.6998".to_owned(), "0.0002".to_owned())), "{parts:?}");
        assert!(parts.contains(&("1.9998".to_owned(), "0.0002".to_owned())), "{parts:?}");
    }
}
