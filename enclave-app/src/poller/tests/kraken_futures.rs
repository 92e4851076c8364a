//! Kraken Futures: profit from mark prices, fees and funding from the account log, transfers from
//! and to Kraken's spot wallet, and keys of which the exchange tells nothing.

use exchange_sim::faults::Fault;
use exchange_sim::keys::KeyForm;
use protocol::category::Category;
use protocol::session::{End, OpenSession, Permission};
use serde_json::{Value, json};

use super::story::{Story, results};
use super::world::{Span, World};
use crate::engine_api::AccountRefusal;

const NAME: &str = "krakenfutures-futures";
const HOST: &str = "futures.kraken.com";
const FILLS: &str = "/derivatives/api/v3/fills";
const LOG: &str = "/api/history/v3/account-log";
const VENUES: &str = include_str!("../../../../tests/exchange-sim/scenarios/venues.json");

/// Polls after which nothing happens any more, so that what failed is made good.
const POLLS: u64 = 8;

/// When something happens: a poll, and seconds after it.
fn at(poll: u64, secs: u64) -> String {
    Story::new(POLLS).time(poll, secs)
}

fn scenario(start: &str, end: &str, interval: u64, events: &[Value]) -> Value {
    json!({"schema": "pa-case/1", "id": "futures", "title": "futures", "features": [],
        "config": {"base_currency": "USD", "session_start": start, "as_of": end,
            "poll_interval_s": interval},
        "events": events})
}

fn price(t: &str, price: &str) -> Value {
    json!({"type": "price", "t": t, "asset": "BTC", "quote": "USD", "price": price})
}

fn fill(t: &str, side: &str, qty: &str, price: &str, fee: &str) -> Value {
    json!({"type": "fill", "t": t, "account": NAME, "market": "futures", "symbol": "PF_XBTUSD",
        "base": "BTC", "quote": "USD", "settle_asset": "USD", "side": side, "price": price,
        "qty": qty, "contract_size": "1", "inverse": false, "trade_id": t, "order_id": t,
        "liquidity": if fee.starts_with('-') { "maker" } else { "taker" },
        "fee": {"asset": "USD", "amount": fee}})
}

fn flow(account: &str, t: &str, amount: &str, id: &str, txid: Option<&str>) -> Value {
    let mut flow = json!({"type": "flow", "t": t, "account": account, "asset": "USD",
        "amount": amount, "id": id});
    if let Some(txid) = txid {
        flow["txid"] = txid.into();
    }
    flow
}

/// Buys 0.1, sells 0.15 for a rebate and buys 0.05 back; pays funding; 300 come and 100 go.
/// Dollars and 0.1 coins are the collateral.
fn linear() -> Value {
    let mut events = vec![
        fill(&at(0, 60), "buy", "0.1", "60000", "3"),
        json!({"type": "income", "t": at(1, 60), "account": NAME, "kind": "funding",
            "asset": "USD", "amount": "-0.5", "id": "f1"}),
        flow(NAME, &at(1, 120), "300", "t1", None),
        fill(&at(2, 60), "sell", "0.15", "60200", "-0.9"),
        flow(NAME, &at(3, 60), "-100", "t2", None),
        fill(&at(3, 120), "buy", "0.05", "60000", "1.5"),
    ];
    let polls = [
        ("60000", "10000", None),
        ("60100", "9997", Some(("0.1", "60000", "10"))),
        ("60200", "10296.5", Some(("0.1", "60000", "20"))),
        ("60000", "10317.4", Some(("-0.05", "60200", "10"))),
    ];
    let last = ("60000", "10225.9", None);
    for (poll, (btc, usd, held)) in
        (0..=POLLS).zip(polls.into_iter().chain(std::iter::repeat(last)))
    {
        let t = at(poll, 0);
        let position = |(qty, entry, profit): (&str, &str, &str)| {
            json!({"symbol": "PF_XBTUSD", "qty": qty, "entry_price": entry, "mark_price": btc,
                "unrealized_pnl": profit, "settle_asset": "USD"})
        };
        events.push(price(&t, btc));
        events.push(json!({"type": "snapshot", "t": t, "account": NAME,
            "balances": [{"asset": "USD", "free": usd}, {"asset": "BTC", "free": "0.1"}],
            "positions": held.map(position).into_iter().collect::<Vec<_>>()}));
    }
    scenario(&at(0, 0), &at(POLLS, 0), 300, &events)
}

/// Borrows dollars against coins: 1000 contracts at 50000, worth 0.004 coins more at 62500.
fn inverse() -> Value {
    let mut events = vec![json!({"type": "fill", "t": at(0, 60), "account": NAME,
        "market": "futures", "symbol": "PI_XBTUSD", "base": "BTC", "quote": "USD",
        "settle_asset": "BTC", "side": "buy", "price": "50000", "qty": "1000",
        "contract_size": "1", "inverse": true, "trade_id": "1", "order_id": "1",
        "fee": {"asset": "BTC", "amount": "0.00001"}})];
    for (poll, btc, coins, profit) in
        [(0, "50000", "1", None), (1, "62500", "0.99999", Some("0.004"))]
    {
        let position = |profit: &str| {
            json!({"symbol": "PI_XBTUSD", "qty": "1000", "entry_price": "50000",
                "mark_price": btc, "unrealized_pnl": profit, "settle_asset": "BTC"})
        };
        events.push(price(&at(poll, 0), btc));
        events.push(json!({"type": "snapshot", "t": at(poll, 0), "account": NAME,
            "balances": [{"asset": "BTC", "free": coins}],
            "positions": profit.map(position).into_iter().collect::<Vec<_>>()}));
    }
    scenario(&at(0, 0), &at(1, 0), 300, &events)
}

/// Gives every account of a request a key of its exchange's form.
fn placed<'a>(
    world: &'a World,
    accounts: &'a [(&'a str, KeyForm)],
) -> impl FnOnce(&mut OpenSession) + 'a {
    move |request| {
        for (index, (name, form)) in accounts.iter().enumerate() {
            world.place(&mut request.accounts[index], name, *form);
        }
    }
}

async fn report_of(scenario: &Value) -> Value {
    let world = World::admitting(scenario).await;
    let session =
        world.open_at(("krakenfutures", "futures"), KeyForm::KrakenFutures, NAME).await.unwrap();
    world.ended().await;
    assert_eq!(world.status(&session).polls_incomplete, 0);
    let report = world.report(&session).await;
    assert_eq!(report.payload.accounts[0].id, NAME);
    assert_eq!(report.results, results(scenario));
    report.results
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_in_units_of_the_coin() {
    let results = report_of(&linear()).await;
    // By hand: 30 realised, 0.5 funding and 3.6 fees paid, 200 came in.
    for (section, key, value) in [
        ("portfolio", "start_value", "16000.00000000"),
        ("portfolio", "end_value", "16225.90000000"),
        ("returns", "gain", "25.90000000"),
        ("flows", "inflow", "300.00000000"),
        ("flows", "outflow", "100.00000000"),
        ("activity", "volume", "18030.00000000"),
        ("fees", "paid", "4.50000000"),
        ("fees", "rebates", "0.90000000"),
        ("fees", "net", "3.60000000"),
        ("income", "total", "-0.50000000"),
        ("pnl", "realized_futures", "30.00000000"),
    ] {
        assert_eq!(results[section][key], value, "{section}.{key}");
    }
    assert_eq!(results["activity"]["trades"], 3);
    assert_eq!(results["quality"]["unreconciled"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_in_dollars_that_are_settled_in_the_coin() {
    let results = report_of(&inverse()).await;
    // By hand: 0.99999 and 0.004 coins at 62500; the fee at 50000.
    assert_eq!(results["portfolio"]["end_value"], "62749.37500000");
    assert_eq!(results["fees"]["net"], "0.50000000");
    assert_eq!(results["quality"]["unreconciled"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wallets_of_every_sort_and_more_fills_than_a_page_holds() {
    let scenario: Value = serde_json::from_str(VENUES).unwrap();
    let world = World::admitting(&scenario).await;
    let accounts = [("kim:usdm", KeyForm::KrakenFutures)];
    let session = world.open_with(1, &["kim:usdm"], placed(&world, &accounts)).await.unwrap();
    world.ended().await;
    assert_eq!(world.status(&session).polls_incomplete, 0);
    let results = world.report(&session).await.results;
    let of = |kind: &str| {
        let events = scenario["events"].as_array().unwrap().iter();
        let mine =
            |event: &&Value| event["account"] == "kim:usdm" || event["account"] == "kim:coinm";
        events.filter(mine).filter(|event| event["type"] == kind).count()
    };
    assert!(of("fill") > 100, "a page holds a hundred");
    assert_eq!(results["activity"]["trades"], of("fill"));
    // By hand: 10296.95 dollars, 0.599995 coins at 60030, 3 and 0.30 dollars of profit.
    assert_eq!(results["portfolio"]["end_value"], "46317.94985000");
    assert_eq!(results["income"]["total"], "-0.25000000");
    assert_eq!(results["flows"]["inflow"], "300.00000000");
    assert_eq!(results["quality"]["unreconciled"], 0);
}

/// 1000 dollars go from the spot wallet to the futures wallet, and 400 of them back.
fn transfers() -> Value {
    let mut events = Vec::new();
    for (poll, (spot, futures)) in
        (0..).zip([(5000, 100), (5000, 100), (4000, 1100), (4400, 700), (4400, 700)])
    {
        events.push(price(&at(poll, 0), "60000"));
        for (account, free) in [("u:spot", spot), ("u:usdm", futures)] {
            events.push(json!({"type": "snapshot", "t": at(poll, 0), "account": account,
                "balances": [{"asset": "USD", "free": free.to_string()}]}));
        }
    }
    for (t, out, back, way) in [
        (at(1, 30), "-1000", "1000", "internal:spottofutures:71"),
        (at(2, 30), "400", "-400", "internal:spotfromfutures:72"),
    ] {
        events.push(flow("u:spot", &t, out, way, Some(way)));
        events.push(flow("u:usdm", &t, back, way, Some(way)));
    }
    scenario(&at(0, 0), &at(4, 0), 300, &events)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_between_spot_and_futures_is_neither_profit_nor_flow() {
    let world = World::admitting(&transfers()).await;
    let accounts = [("u:spot", KeyForm::Kraken), ("u:usdm", KeyForm::KrakenFutures)];
    let session =
        world.open_with(1, &["u:spot", "u:usdm"], placed(&world, &accounts)).await.unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    assert_eq!(report.results["portfolio"]["end_value"], "5100.00000000");
    assert_eq!(report.results["returns"]["gain"], "0.00000000");
    assert_eq!(report.results["flows"]["internal_transfers"], 2, "{}", report.results["flows"]);
    assert_eq!(report.results["flows"]["count"], 0);
    assert_eq!(report.results["quality"]["unreconciled"], 0);
    // The account whose key proves nothing is marked, the other is not.
    let unread: Vec<bool> =
        report.payload.accounts.iter().map(|it| it.permissions_unreadable).collect();
    assert_eq!(unread, [false, true]);
    let told: Vec<_> = session.accounts().iter().map(|it| it.permissions.as_slice()).collect();
    assert_eq!(told, [&[Permission::Read][..], &[Permission::Unknown]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_lose_no_fill_no_fee_and_no_funding() {
    for (path, fault) in [
        (FILLS, Fault::Status { status: 503, retry_after_secs: None }),
        (FILLS, Fault::Truncate {}),
        (FILLS, Fault::Body { status: 200, body: r#"{"result":"success","fills":[{}]}"#.into() }),
        (LOG, Fault::Status { status: 503, retry_after_secs: None }),
        (LOG, Fault::Html { status: 200 }),
        (LOG, Fault::Body { status: 200, body: "{}".into() }),
        ("/derivatives/api/v3/accounts", Fault::Html { status: 502 }),
        ("/derivatives/api/v3/tickers", Fault::Truncate {}),
    ] {
        let story = Story::new(POLLS);
        let world = World::admitting(&linear()).await;
        let span = Span { from: Some(story.at(1)), until: Some(story.at(4)), ..Span::default() };
        world.inject_at(HOST, path, fault.clone(), span);
        let session = world
            .open_at(("krakenfutures", "futures"), KeyForm::KrakenFutures, NAME)
            .await
            .unwrap();
        world.ended().await;
        let status = world.status(&session);
        assert_eq!((status.polls_incomplete, status.last_error), (3, None), "{path} {fault:?}");
        let mut told = linear();
        for event in told["events"].as_array_mut().unwrap() {
            if event["type"] == "snapshot" && (1..4).any(|poll| event["t"] == at(poll, 0)) {
                event["complete"] = false.into();
            }
        }
        let mut report = world.report(&session).await;
        // What waited for the list that failed is told after what happened later.
        report.results["quality"]["out_of_order"] = 0.into();
        assert_eq!(report.results, results(&told), "{path} {fault:?}");
        assert_eq!(report.results["fees"]["net"], "3.60000000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_category() {
    let answer = |word: &str| Fault::Body {
        status: 200,
        body: format!(
            r#"{{"result":"error","error":"{word}","serverTime":"2026-02-01T00:00:00Z"}}"#
        ),
    };
    for (fault, category) in [
        (Fault::Status { status: 503, retry_after_secs: None }, Category::Unavailable),
        (Fault::Status { status: 429, retry_after_secs: Some(60) }, Category::Throttled),
        (Fault::Html { status: 403 }, Category::Unavailable),
        (answer("apiLimitExceeded"), Category::Throttled),
        (answer("unavailable"), Category::Unavailable),
    ] {
        let story = Story::new(POLLS);
        let world = World::admitting(&linear()).await;
        world.inject_at(
            HOST,
            FILLS,
            fault.clone(),
            Span { from: Some(story.at(6)), ..Span::default() },
        );
        let session = world
            .open_at(("krakenfutures", "futures"), KeyForm::KrakenFutures, NAME)
            .await
            .unwrap();
        world.ended().await;
        let told = world.status(&session);
        assert_eq!(told.last_error, Some(category), "{fault:?}");
        assert_eq!(told.last_complete_poll, Some(story.at(5)), "{fault:?}");
    }
}

fn label() -> String {
    format!("my {NAME}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_which_nothing_is_known_is_refused_without_the_measured_policy() {
    let world = World::of(&linear()).await;
    let opened = world.open_at(("krakenfutures", "futures"), KeyForm::KrakenFutures, NAME).await;
    assert_eq!(opened.expect_err("opened"), AccountRefusal::Unproven { label: label() });
    let asked = world.asked();
    assert!(!asked.contains_key("/derivatives/api/v3/accounts"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_policy_admits_a_key_that_is_known_to_trade() {
    let world = World::admitting(&linear()).await;
    let opened = world
        .open_with(1, &[NAME], |request| {
            world.place(&mut request.accounts[0], NAME, KeyForm::KrakenFutures);
            world.sim.permit(NAME, &"read,trade".parse().unwrap()).unwrap();
        })
        .await;
    let remove = vec!["full_access".to_owned()];
    assert_eq!(opened.expect_err("opened"), AccountRefusal::TooPowerful { label: label(), remove });
}

/// Polls once an hour, so that days pass quickly.
fn days() -> Value {
    let story = Story { interval: 3600, ..Story::new(30) };
    let events = (0..=30).flat_map(|poll| {
        let t = story.time(poll, 0);
        let snapshot = json!({"type": "snapshot", "t": t, "account": "u:usdm",
            "balances": [{"asset": "USD", "free": "100"}]});
        [price(&t, "60000"), snapshot]
    });
    scenario(&story.time(0, 0), &story.time(30, 0), 3600, &events.collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admitted_key_is_checked_again_within_a_day_under_the_same_policy() {
    for (permissions, end) in [("read", None), ("read,withdraw", Some(End::KeyRefused))] {
        let story = Story { interval: 3600, ..Story::new(30) };
        let world = World::admitting(&days()).await;
        let accounts = [("u:usdm", KeyForm::KrakenFutures)];
        let session = world.open_with(1, &["u:usdm"], placed(&world, &accounts)).await.unwrap();
        world.until(story.at(2)).await;
        world.sim.permit("u:usdm", &permissions.parse().unwrap()).unwrap();
        match end {
            None => world.ended().await,
            Some(_) => world.becomes(|| world.status(&session).last_error.is_some()).await,
        }
        world.becomes(|| world.status(&session).next_poll.is_none() || end.is_none()).await;
        let report = world.report(&session).await;
        assert_eq!(report.payload.accounts[0].end_reason, end, "{permissions}");
        assert_eq!(world.status(&session).polls_incomplete, u64::from(end.is_some()));
    }
}
