use super::*;
use crate::number::padded;
use crate::scenario::{FlowStatus, IncomeKind, Market};

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
        [flow(1, "pending", "10"), flow(5, "completed", "10"), flow(9, "failed", "99")].join(",");
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

fn played(scenario: &str) -> (Scenario, World) {
    let scenario = Scenario::parse(scenario.as_bytes()).unwrap();
    let world = World::new(&scenario).unwrap();
    (scenario, world)
}

#[test]
fn what_a_futures_wallet_gains_between_two_snapshots_is_its_income() {
    for (text, name, wallet, snapshots) in [
        (
            include_str!("../../scenarios/usdt-futures.json"),
            "binance-futures",
            Wallet::LinearFutures,
            41,
        ),
        (
            include_str!("../../scenarios/inverse-futures.json"),
            "kraken-futures",
            Wallet::InverseFutures,
            25,
        ),
    ] {
        let (scenario, world) = played(text);
        let account = world.account(name).unwrap();
        assert_eq!(account.wallet, wallet);
        let mut known: BTreeMap<String, Decimal> = BTreeMap::new();
        let mut from = None;
        let mut seen = 0;
        for event in &scenario.events {
            let Event::Snapshot(snapshot) = event else { continue };
            let rows = account.income(snapshot.t);
            let rows = rows.iter().filter(|row| from.is_none_or(|from| row.at > from));
            for row in rows {
                *known.entry(row.asset.clone()).or_default() += row.amount;
            }
            for balance in &snapshot.balances {
                let free = balance.free.decimal().unwrap();
                if from.is_none() {
                    known.insert(balance.asset.clone(), free);
                }
                assert_eq!(known[&balance.asset], free, "{} at {:?}", balance.asset, snapshot.t);
            }
            from = Some(snapshot.t);
            seen += 1;
        }
        assert_eq!(seen, snapshots);
    }
}

#[test]
fn a_flip_realises_what_it_closes_and_opens_the_rest() {
    let (scenario, world) = played(include_str!("../../scenarios/usdt-futures.json"));
    let account = world.account("binance-futures").unwrap();
    let trades = account.futures_trades("BTCUSDT", scenario.config.as_of);
    let gains: Vec<_> = trades
        .iter()
        .map(|trade| (trade.id, trade.contract.as_ref().unwrap().realized.to_string()))
        .collect();
    // (63582.70 - 63313.78) * 0.04; (63418.61 - 63313.78) * 0.06, and the other 0.1 opens.
    let expected = [(500_001, "0"), (500_002, "10.7568"), (500_003, "6.2898")];
    assert_eq!(
        gains.iter().map(|(id, gain)| (*id, gain.trim_end_matches('0'))).collect::<Vec<_>>()[1..],
        expected[1..]
    );
    let kinds: Vec<_> = account.income(scenario.config.as_of).iter().map(|row| row.kind).collect();
    let funding = Kind::Income(IncomeKind::Funding);
    let expected = [
        Kind::Commission,
        funding,
        Kind::Commission,
        Kind::RealizedPnl,
        Kind::Commission,
        Kind::RealizedPnl,
        funding,
        Kind::Commission,
        Kind::RealizedPnl,
        funding,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn an_accounts_name_says_whose_it_is_and_which_wallet() {
    let snapshot = |account: &str| {
        format!(
            r#"{{"type":"snapshot","t":"2026-01-01T00:00:00Z","account":"{account}","balances":[]}}"#
        )
    };
    let events = ["ann:spot", "ann:usdm", "ann:isolated", "bob"].map(snapshot).join(",");
    let world = world(&events);
    let wallet = |name, wallet| world.wallet(name, wallet).map(|it| it.uid);
    let ann = wallet("ann:spot", Wallet::Spot).unwrap();
    assert_eq!(wallet("ann:spot", Wallet::LinearFutures), Some(ann));
    assert_eq!(wallet("ann:usdm", Wallet::IsolatedMargin), Some(ann));
    assert_eq!(wallet("ann:usdm", Wallet::CrossMargin), None);
    assert_eq!(wallet("bob", Wallet::LinearFutures), None);
    assert_ne!(wallet("bob", Wallet::Spot), Some(ann));
    let text = |account: &str| {
        format!(
            r#"{{"schema":"pa-case/1","id":"x","title":"x","features":[],"events":[{}],"config":
            {{"base_currency":"USD","session_start":"2026-01-01T00:00:00Z","as_of":"2026-01-01T01:00:00Z"}}}}"#,
            snapshot(account)
        )
    };
    World::new(&Scenario::parse(text("ann:attic").as_bytes()).unwrap()).unwrap_err();
}

#[test]
fn a_wallet_is_known_by_what_happens_in_it() {
    let (_, margin) = played(include_str!("../../scenarios/margin.json"));
    assert_eq!(margin.account("binance-margin").unwrap().wallet, Wallet::CrossMargin);
    let (_, spot) = played(include_str!("../../scenarios/own-transfer.json"));
    assert_eq!(spot.account("kraken-spot").unwrap().wallet, Wallet::Spot);
}
