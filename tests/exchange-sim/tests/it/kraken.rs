//! Kraken Spot on the wire.

use std::collections::BTreeMap;

use exchange_sim::keys::{IssuedKey, KeyForm};
use exchange_sim::{KRAKEN, Options, Rates, Sim};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::client::{call, get};
use crate::signed::{kraken, spec, venue};

const KIM: &str = "kim:spot";

async fn kim() -> (Sim, IssuedKey) {
    let rates = Rates { kraken_points: 1_000, ..Rates::default() };
    venue(KIM, KeyForm::Kraken, 5, Options { rates, ..Options::default() }).await
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn refused(reply: &Value) -> &str {
    assert_eq!(reply.get("result"), None);
    reply["error"][0].as_str().unwrap()
}

#[tokio::test]
async fn the_key_the_signature_and_the_nonce_are_checked() {
    let (sim, key) = kim().await;
    let good = kraken(&sim, &key, "BalanceEx", 10, "").await;
    assert_eq!(good["error"], json!([]));
    // A nonce counts once, and only upwards; refused ones are not used up.
    for nonce in [10, 9] {
        let reply = kraken(&sim, &key, "BalanceEx", nonce, "").await;
        assert_eq!(refused(&reply), "EAPI:Invalid nonce");
    }
    let other = sim.add_key(spec(KIM, KeyForm::Kraken)).unwrap();
    let mixed = IssuedKey { api_secret: other.api_secret.clone(), ..key.clone() };
    let reply = kraken(&sim, &mixed, "BalanceEx", 5_000, "").await;
    assert_eq!(refused(&reply), "EAPI:Invalid signature");
    // What nobody signed has not raised the nonce.
    assert_eq!(kraken(&sim, &key, "BalanceEx", 11, "").await["error"], json!([]));
    let unknown = IssuedKey { api_key: "AAAA".to_owned(), ..key.clone() };
    assert_eq!(refused(&kraken(&sim, &unknown, "Balance", 12, "").await), "EAPI:Invalid key");
    // A key of Kraken Futures is none of Kraken's.
    let futures = sim.add_key(spec(KIM, KeyForm::KrakenFutures)).unwrap();
    assert_eq!(refused(&kraken(&sim, &futures, "Balance", 1, "").await), "EAPI:Invalid key");
    let bare = call(&sim, KRAKEN, "POST", "/0/private/Balance", &[], "nonce=1").await.unwrap();
    assert_eq!((bare.status, refused(&bare.json())), (200, "EAPI:Invalid key"));
    let body = kraken(&sim, &key, "AddOrder", 20, "pair=XBTUSD").await;
    assert_eq!(refused(&body), "EGeneral:Unknown method");
    assert_eq!(kraken(&sim, &key, "GetApiKeyInfo", 30, "").await["result"]["nonce"], "30");
}

#[tokio::test]
async fn points_run_out_and_come_to_a_lockout() {
    let rates = Rates { refusals_before_lockout: 2, kraken_decay_millis: 0, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, key) = venue(KIM, KeyForm::Kraken, 5, options).await;
    // Seven histories at two points and a balance at one.
    for nonce in 1..=7 {
        let reply = kraken(&sim, &key, "TradesHistory", nonce, "").await;
        assert_eq!(reply["error"], json!([]));
    }
    assert_eq!(refused(&kraken(&sim, &key, "Ledgers", 8, "").await), "EAPI:Rate limit exceeded");
    assert_eq!(kraken(&sim, &key, "Balance", 9, "").await["error"], json!([]));
    for nonce in [10, 11] {
        let reply = kraken(&sim, &key, "Balance", nonce, "").await;
        assert_eq!(refused(&reply), "EAPI:Rate limit exceeded");
    }
    let reply = kraken(&sim, &key, "Balance", 12, "").await;
    assert_eq!(refused(&reply), "EGeneral:Temporary lockout");
    // Another key has a counter of its own.
    let other = sim.add_key(spec(KIM, KeyForm::Kraken)).unwrap();
    assert_eq!(kraken(&sim, &other, "Balance", 1, "").await["error"], json!([]));
}

#[tokio::test]
async fn public_calls_are_counted_by_address() {
    let rates = Rates { kraken_public: 0, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, _) = venue(KIM, KeyForm::Kraken, 0, options).await;
    let reply = get(&sim, KRAKEN, "/0/public/Time").await.json();
    assert_eq!(refused(&reply), "EGeneral:Too many requests");
}

#[tokio::test]
async fn rights_are_told_in_kraken_s_words_and_enforced() {
    let (sim, key) = kim().await;
    let reading = ["query-funds", "query-open-trades", "query-closed-trades", "query-ledger"];
    let mut nonce = 0;
    for (words, more) in [
        ("read", vec![]),
        ("read,trade", vec!["modify-trades", "close-trades"]),
        ("read,withdraw", vec!["withdraw-funds"]),
        ("read,enableTimeTravel", vec!["time-travel"]),
    ] {
        sim.permit(KIM, &words.parse().unwrap()).unwrap();
        nonce += 1;
        let info = kraken(&sim, &key, "GetApiKeyInfo", nonce, "").await;
        let expected: Vec<&str> = reading.into_iter().chain(more).collect();
        assert_eq!(info["result"]["permissions"], json!(expected), "{words}");
    }
    sim.permit(KIM, &"trade".parse().unwrap()).unwrap();
    let reply = kraken(&sim, &key, "Balance", 100, "").await;
    assert_eq!(refused(&reply), "EGeneral:Permission denied");
    let info = kraken(&sim, &key, "GetApiKeyInfo", 101, "").await;
    assert_eq!(info["result"]["permissions"], json!(["modify-trades", "close-trades"]));
}

#[tokio::test]
async fn balances_have_the_old_names_and_what_earns_a_suffix() {
    let (sim, key) = kim().await;
    let all = kraken(&sim, &key, "Balance", 1, "").await["result"].clone();
    assert_eq!(all["XXBT"], "0.9199948000");
    assert_eq!(all["ETH.F"], "1.5000000000");
    assert_eq!(all["XXDG"], "1050.0000000000");
    assert_eq!(all["ZEUR"], "1272.04085");
    let extended = kraken(&sim, &key, "BalanceEx", 2, "").await["result"].clone();
    assert_eq!(extended["XXBT"], json!({"balance":"0.9199948000","hold_trade":"0.2500000000"}));
    let worth = kraken(&sim, &key, "TradeBalance", 3, "asset=ZUSD").await["result"].clone();
    // 51217.1955 + 0.9199948 × 60005 + 4.8991 × 3000 + 1050 × 0.15 + 1272.04085 × 1.1
    assert_eq!(worth["eb"], "122675.5284");
    assert_eq!((&worth["e"], &worth["n"]), (&worth["eb"], &json!("0.0000")));
}

#[tokio::test]
async fn trades_come_fifty_a_page_newest_first() {
    let (sim, key) = kim().await;
    let first = kraken(&sim, &key, "TradesHistory", 1, "").await["result"].clone();
    let second = kraken(&sim, &key, "TradesHistory", 2, "ofs=50").await["result"].clone();
    let beyond = kraken(&sim, &key, "TradesHistory", 3, "ofs=100").await["result"].clone();
    let rows = |page: &Value| page["trades"].as_object().unwrap().clone();
    assert_eq!((rows(&first).len(), rows(&second).len(), rows(&beyond).len()), (50, 7, 0));
    for page in [&first, &second, &beyond] {
        assert_eq!(page["count"], 57);
    }
    let mut ids: Vec<String> = rows(&first).keys().chain(rows(&second).keys()).cloned().collect();
    ids.dedup();
    assert_eq!(ids.len(), 57);
    // start is exclusive, end inclusive; both are seconds.
    let at = sim.clock.view().start_ms / 1000 + 4 * 60;
    for (params, count) in [
        (format!("start={at}"), 2),
        (format!("start={}", at + 1), 1),
        (format!("start={}&end={}", at + 1, at + 2), 1),
        (format!("end={at}"), 55),
        (format!("start={at}.5&end={}.25", at + 1), 1),
    ] {
        let nonce = sim.requests().total + 10;
        let page = kraken(&sim, &key, "TradesHistory", nonce, &params).await;
        assert_eq!(page["result"]["count"], count, "{params}");
    }
    for params in ["ofs=-1", "start=soon", "type=nonsense"] {
        let nonce = sim.requests().total + 10;
        let reply = kraken(&sim, &key, "TradesHistory", nonce, params).await;
        assert_eq!(refused(&reply), "EGeneral:Invalid arguments", "{params}");
    }
}

#[tokio::test]
async fn a_trade_tells_its_fee_in_the_quote_and_the_ledger_where_it_was_paid() {
    let (sim, key) = kim().await;
    let start = sim.clock.view().start_ms / 1000 + 4 * 60 + 1;
    let span = format!("start={start}&end={}", start + 1);
    let page = kraken(&sim, &key, "TradesHistory", 1, &span).await["result"]["trades"].clone();
    let (id, trade) = page.as_object().unwrap().iter().next().unwrap();
    assert_eq!(trade["pair"], "XXBTZUSD");
    assert_eq!((&trade["misc"], &trade["fee"]), (&json!("fcib"), &json!("0.3120234")));
    assert_eq!((&trade["cost"], &trade["maker"]), (&json!("1200.09000"), &json!(true)));
    assert!(trade["time"].is_number());
    let ledger = kraken(&sim, &key, "Ledgers", 2, "type=trade&asset=XBT").await["result"].clone();
    assert_eq!(ledger["count"], 1);
    let row = ledger["ledger"].as_object().unwrap().values().next().unwrap();
    assert_eq!((&row["refid"], &row["asset"]), (&json!(id), &json!("XXBT")));
    assert_eq!(row["amount"], "0.0200000000");
    assert_eq!((&row["fee"], &row["balance"]), (&json!("0.0000052000"), &json!("1.0199948000")));
}

#[tokio::test]
async fn the_ledger_adds_up_to_the_balances() {
    let (sim, key) = kim().await;
    let mut sums: BTreeMap<String, Decimal> =
        [("ZUSD", "50000"), ("ZEUR", "1000"), ("XXBT", "1"), ("XETH", "3"), ("XXDG", "500")]
            .map(|(asset, amount)| (asset.to_owned(), decimal(amount)))
            .into();
    let mut nonce = 0;
    let mut rows = 0;
    loop {
        nonce += 1;
        let page = kraken(&sim, &key, "Ledgers", nonce, &format!("ofs={rows}")).await;
        let entries = page["result"]["ledger"].as_object().unwrap().clone();
        if entries.is_empty() {
            assert_eq!(page["result"]["count"], rows);
            break;
        }
        rows += entries.len();
        for entry in entries.values() {
            let number = |name: &str| decimal(entry[name].as_str().unwrap());
            *sums.get_mut(entry["asset"].as_str().unwrap()).unwrap() +=
                number("amount") - number("fee");
        }
    }
    // Two sides of 57 trades, two deposits and one withdrawal that are done, one reward.
    assert_eq!(rows, 118);
    let balances = kraken(&sim, &key, "Balance", 100, "").await["result"].clone();
    for (asset, sum) in sums {
        let told = decimal(balances[&asset].as_str().unwrap());
        assert_eq!(told, sum, "{asset}");
    }
}

#[tokio::test]
async fn deposits_and_withdrawals_have_a_status_and_a_fee() {
    let (sim, key) = kim().await;
    let deposits = kraken(&sim, &key, "DepositStatus", 1, "").await["result"].clone();
    let told: Vec<_> = deposits
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["asset"].as_str().unwrap(),
                row["amount"].as_str().unwrap(),
                row["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("XETH", "0.4990000000", "Success"),
            ("ZEUR", "750.0000", "Pending"),
            ("ZUSD", "2500.0000", "Success")
        ]
    );
    let withdrawals = kraken(&sim, &key, "WithdrawStatus", 2, "").await["result"].clone();
    let (canceled, sent) = (&withdrawals[0], &withdrawals[1]);
    assert_eq!(
        (&canceled["status"], &canceled["status-prop"]),
        (&json!("Failure"), &json!("canceled"))
    );
    assert_eq!((&sent["amount"], &sent["fee"]), (&json!("0.0998000000"), &json!("0.0002000000")));
    assert_eq!(sent["txid"], "aa11");
    // With a cursor the answer is an object, and pages follow one another.
    let page =
        kraken(&sim, &key, "DepositStatus", 3, "cursor=true&limit=2").await["result"].clone();
    assert_eq!(page["deposits"].as_array().unwrap().len(), 2);
    let cursor = page["next_cursor"].as_str().unwrap().replace('=', "%3D").replace('+', "%2B");
    let params = format!("limit=2&cursor={cursor}");
    let page = kraken(&sim, &key, "DepositStatus", 4, &params).await["result"].clone();
    assert_eq!(page["deposits"].as_array().unwrap().len(), 1);
    assert_eq!(page["next_cursor"], Value::Null);
    let reply = kraken(&sim, &key, "DepositStatus", 5, "cursor=nonsense").await;
    assert_eq!(refused(&reply), "EGeneral:Invalid arguments");
}

#[tokio::test]
async fn pairs_assets_and_bars_are_public() {
    let (sim, _) = kim().await;
    let pairs = get(&sim, KRAKEN, "/0/public/AssetPairs?pair=XBTUSD,XDG/USD").await.json();
    assert_eq!(pairs["result"]["XXBTZUSD"]["wsname"], "XBT/USD");
    assert_eq!(pairs["result"]["XDGUSD"]["base"], "XXDG");
    let assets = get(&sim, KRAKEN, "/0/public/Assets").await.json();
    assert_eq!(assets["result"]["XXBT"]["altname"], "XBT");
    let bars = get(&sim, KRAKEN, "/0/public/OHLC?pair=XBTUSD&interval=5").await.json();
    let start = sim.clock.view().start_ms / 1000;
    assert_eq!(bars["result"]["last"], start);
    let row = json!([
        start + 300,
        "60005.00000",
        "60005.00000",
        "60005.00000",
        "60005.00000",
        "60005.00000",
        "1.00000000",
        1
    ]);
    assert_eq!(bars["result"]["XXBTZUSD"][1], row);
    for (target, error) in [
        ("AssetPairs?pair=NOPE", "EQuery:Unknown asset pair"),
        ("Assets?asset=NOPE", "EQuery:Unknown asset"),
        ("Ticker?pair=NOPE", "EQuery:Unknown asset pair"),
        ("Ticker?pair=XBTUSD,,", "EGeneral:Invalid arguments"),
        ("OHLC?pair=XBTUSD&interval=7", "EGeneral:Invalid arguments"),
        ("OHLC?interval=5", "EGeneral:Invalid arguments"),
        ("Nothing", "EGeneral:Unknown method"),
    ] {
        let reply = get(&sim, KRAKEN, &format!("/0/public/{target}")).await.json();
        assert_eq!(refused(&reply), error, "{target}");
    }
}
