//! Whole scenarios: what the report says equals what the analytics say of the same events.

use exchange_sim::keys::KeyForm;
use serde_json::{Value, json};

use super::story::{Story, results};
use super::world::World;
use crate::engine_api::ReportRefusal;

const SPOT_HOURS: &str = include_str!("../../../../tests/exchange-sim/scenarios/spot-hours.json");
const DEPOSIT: &str = include_str!("../../../../tests/exchange-sim/scenarios/deposit.json");
const USDT_FUTURES: &str =
    include_str!("../../../../tests/exchange-sim/scenarios/usdt-futures.json");
const WITHDRAWAL: &str = include_str!("../../../../tests/exchange-sim/scenarios/withdrawal.json");

/// A scenario whose account is called as the engine will call it.
fn scenario(text: &str, account: &str) -> Value {
    serde_json::from_str(&text.replace(account, "binance-spot")).unwrap()
}

async fn run(scenario: &Value) -> Value {
    run_in(scenario, "spot").await
}

/// The scenario's only account is in `market`, and called as the engine will call it.
async fn run_in(scenario: &Value, market: &str) -> Value {
    let world = World::of(scenario).await;
    let name = format!("binance-{market}");
    let session = world
        .open_with(1, &[&name], |request| request.accounts[0].market = market.to_owned())
        .await
        .unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    assert_eq!(report.payload.accounts[0].id, name);
    assert_eq!(report.payload.accounts[0].label, format!("my {name}"));
    assert_eq!(report.payload.session.started_at, report.payload.period.start);
    report.results
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_of_trading() {
    let scenario = scenario(SPOT_HOURS, "binance-spot");
    let got = run(&scenario).await;
    assert_eq!(got, results(&scenario));
    // The definitions' own oracle, digit by digit where no rounding is involved.
    for (section, key) in [
        ("returns", "twr"),
        ("returns", "gain"),
        ("portfolio", "end_value"),
        ("activity", "volume"),
        ("fees", "net"),
        ("pnl", "realized_spot"),
        ("risk", "max_drawdown"),
        ("quality", "coverage"),
    ] {
        assert_eq!(got[section][key], scenario["expected"][section][key], "{section}.{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit() {
    let scenario = scenario(DEPOSIT, "kraken-spot");
    let got = run(&scenario).await;
    assert_eq!(got, results(&scenario));
    assert_eq!(got["flows"]["inflow"], scenario["expected"]["flows"]["inflow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_with_the_fee_that_the_exchange_kept() {
    let scenario = scenario(WITHDRAWAL, "coinbase");
    let got = run(&scenario).await;
    assert_eq!(got, results(&scenario));
    assert_eq!(got["flows"]["outflow"], scenario["expected"]["flows"]["outflow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn futures_with_funding_a_flip_and_a_rebate() {
    let scenario: Value =
        serde_json::from_str(&USDT_FUTURES.replace("binance-futures", "binance-usdm")).unwrap();
    let got = run_in(&scenario, "usdm").await;
    assert_eq!(got, results(&scenario));
    for (section, key) in [
        ("returns", "twr"),
        ("portfolio", "end_value"),
        ("activity", "volume"),
        ("fees", "net"),
        ("fees", "rebates"),
        ("income", "total"),
        ("pnl", "realized_futures"),
    ] {
        assert_eq!(got[section][key], scenario["expected"][section][key], "{section}.{key}");
    }
}

/// The scenario's account, called as the engine will call it, at another exchange.
async fn run_at(text: &str, account: &str, venue: &str, form: KeyForm) {
    let market = if form == KeyForm::Bybit { "unified" } else { "spot" };
    let name = format!("{venue}-{market}");
    let text = text.replace(&format!("\"{account}\""), &format!("\"{name}\""));
    let scenario: Value = serde_json::from_str(&text).unwrap();
    let world = World::of(&scenario).await;
    let session = world.open_at((venue, market), form, &name).await.unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    assert_eq!(report.payload.accounts[0].id, name);
    assert_eq!(report.results, results(&scenario), "{venue} {account}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_stories_at_kraken_coinbase_and_bybit() {
    // Fees in the quote currency: what these exchanges list trades with.
    let trades = Story::new(12).told().to_string();
    for (text, account) in
        [(DEPOSIT, "kraken-spot"), (WITHDRAWAL, "coinbase"), (&trades, "binance-spot")]
    {
        for (venue, form) in [
            ("kraken", KeyForm::Kraken),
            ("coinbase", KeyForm::Coinbase),
            ("coinbase", KeyForm::CoinbaseEd25519),
            ("bybit", KeyForm::Bybit),
        ] {
            run_at(text, account, venue, form).await;
        }
    }
}

/// 1000 USDT go from the spot wallet to the futures wallet, and 400 of them back.
fn wallets_story() -> Value {
    let at = |poll: u64, secs: u64| format!("2026-02-01T00:{:02}:{secs:02}Z", 5 * poll);
    let mut events = Vec::new();
    let moved = |t: &str, amount: i64, way: &str, id: u64| {
        let flow = |account: &str, amount: i64| {
            json!({"type": "flow", "t": t, "account": account, "asset": "USDT",
                "amount": amount.to_string(), "id": id.to_string(),
                "txid": format!("internal:{way}:{id}")})
        };
        [flow("u:spot", -amount), flow("u:usdm", amount)]
    };
    let holding = [(5000, 100), (5000, 100), (4000, 1100), (4400, 700), (4400, 700)];
    for (poll, (spot, futures)) in (0..).zip(holding) {
        let t = at(poll, 0);
        for (asset, quote, price) in [("BTC", "USDT", "60000"), ("USDT", "USD", "1")] {
            events.push(json!({"type": "price", "t": t, "asset": asset, "quote": quote,
                "price": price}));
        }
        for (account, free) in [("u:spot", spot), ("u:usdm", futures)] {
            events.push(json!({"type": "snapshot", "t": t, "account": account,
                "balances": [{"asset": "USDT", "free": free.to_string()}]}));
        }
        match poll {
            1 => events.extend(moved(&at(1, 30), 1000, "MAIN_UMFUTURE", 71)),
            2 => events.extend(moved(&at(2, 30), -400, "UMFUTURE_MAIN", 72)),
            _ => {}
        }
    }
    json!({"schema": "pa-case/1", "id": "wallets", "title": "wallets", "features": [],
        "config": {"base_currency": "USD", "session_start": at(0, 0), "as_of": at(4, 0),
            "poll_interval_s": 300},
        "events": events})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_between_own_wallets_is_neither_profit_nor_flow() {
    let world = World::of(&wallets_story()).await;
    let session = world
        .open_with(1, &["u:spot", "u:usdm"], |request| {
            request.accounts[1].market = "usdm".to_owned();
        })
        .await
        .unwrap();
    world.ended().await;
    let results = world.report(&session).await.results;
    assert_eq!(results["portfolio"]["end_value"], "5100.00000000");
    assert_eq!(results["returns"]["gain"], "0.00000000");
    assert_eq!(results["flows"]["internal_transfers"], 2, "{}", results["flows"]);
    assert_eq!(results["flows"]["count"], 0);
    assert_eq!(results["quality"]["unreconciled"], 0);
}

/// Each account buys 0.001 BTC at 60000 before each poll, for a fee of 1 USDT.
#[tokio::test(flavor = "multi_thread")]
async fn one_session_at_three_exchanges() {
    let names = ["binance-spot", "kraken-spot", "coinbase-spot"];
    let story = Story { accounts: names.to_vec(), ..Story::new(12) };
    let scenario = story.told();
    let world = World::of(&scenario).await;
    let session = world
        .open_with(1, &names, |request| {
            for (index, form) in [(1, KeyForm::Kraken), (2, KeyForm::Coinbase)] {
                world.place(&mut request.accounts[index], names[index], form);
            }
        })
        .await
        .unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    assert_eq!(report.results, results(&scenario));
    assert_eq!(report.payload.accounts.len(), 3);
    // By hand: 1.012 BTC at 60250 and 99268 USDT in each, USDT at 0.9995; before,
    // 1 BTC at 60000 and 100000 USDT.
    for (section, key, value) in [
        ("portfolio", "start_value", "479760.00000000"),
        ("portfolio", "end_value", "480482.63850000"),
        ("returns", "gain", "722.63850000"),
        ("activity", "volume", "2158.92000000"),
        ("fees", "net", "35.98200000"),
    ] {
        assert_eq!(report.results[section][key], value, "{section}.{key}");
    }
    assert_eq!(report.results["activity"]["trades"], 36);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_are_one_portfolio() {
    let story = Story { accounts: vec!["binance-spot", "binance-spot-2"], ..Story::new(6) };
    let scenario = story.told();
    let world = World::of(&scenario).await;
    let session = world.open(1, &["binance-spot", "binance-spot-2"]).await.unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    assert_eq!(report.results, results(&scenario));
    assert_eq!(report.payload.accounts.len(), 2);
    assert_eq!(world.poller.portfolios.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_customers_have_a_portfolio_each() {
    let story = Story { accounts: vec!["binance-spot", "other"], ..Story::new(4) };
    let alone = |account| Story { accounts: vec![account], ..Story::new(4) }.told();
    let world = World::of(&story.told()).await;
    // Both are there before the clock moves.
    let held = world.enclave.clock.hold().await;
    let one = world.open(1, &["binance-spot"]).await.unwrap();
    let two = world.open(2, &["other"]).await.unwrap();
    drop(held);
    world.ended().await;
    for session in [one, two] {
        assert_eq!(world.report(&session).await.results, results(&alone("binance-spot")));
    }
    let asked = world.asked();
    assert_eq!(asked["/api/v3/ticker/price"], 5, "prices are fetched once for all");
    assert_eq!(asked["/0/public/Ticker"], 5);
    assert_eq!(asked["/api/v3/exchangeInfo"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_up_late_counts_at_its_own_time() {
    let story = Story::new(12);
    let fill = |id: &str, t: &str, seen: &str| {
        json!({"type": "fill", "t": t, "seen": seen, "account": "binance-spot", "market": "spot",
            "symbol": "BTCUSDT", "base": "BTC", "quote": "USDT", "side": "sell", "price": "60010",
            "qty": "0.002", "trade_id": id, "order_id": id})
    };
    let flow = |id: &str, t: &str, seen: &str, status: &str, amount: &str| {
        json!({"type": "flow", "t": t, "seen": seen, "account": "binance-spot", "asset": "USDT",
            "amount": amount, "id": id, "status": status})
    };
    let [early, later, late] =
        ["2026-02-01T00:07:00Z", "2026-02-01T00:12:00Z", "2026-02-01T00:33:00Z"];
    let scenario = story.with([
        // Between the fills 1010 and 1020, and shown after 1030.
        fill("1015", early, "2026-02-01T00:18:00Z"),
        flow("D1", early, later, "pending", "500"),
        flow("D1", later, late, "completed", "500"),
        flow("D2", early, later, "failed", "700"),
        flow("W1", early, later, "pending", "-300"),
        flow("W1", early, late, "canceled", "-300"),
    ]);
    assert_eq!(run(&scenario).await, results(&scenario));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_complete_poll_there_is_no_report() {
    let mut scenario = Story::new(3).told();
    for event in scenario["events"].as_array_mut().unwrap() {
        if event["type"] == "snapshot" {
            event["complete"] = false.into();
        }
    }
    let world = World::of(&scenario).await;
    // The permission check needs no balance; the identity does.
    let Err(refusal) = world.open(1, &["binance-spot"]).await else { panic!("opened") };
    assert_eq!(refusal.category().code(), "unavailable");

    let world = World::of(&Story::new(3).told()).await;
    let held = world.enclave.clock.hold().await;
    world.parent.behave(crate::egress::tests::Behaviour::Relay(world.sim.addr));
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.end(&session);
    assert_eq!(world.refused_report(&session).await, Some(ReportRefusal::NothingYet));
    drop(held);
}
