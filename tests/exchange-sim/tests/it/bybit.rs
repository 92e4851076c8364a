//! Bybit on the wire.

use exchange_sim::keys::{IssuedKey, KeyForm};
use exchange_sim::{BYBIT, Options, Rates, Sim};
use serde_json::{Value, json};

use crate::client::{Reply, call, get, hmac};
use crate::signed::{spec, venue};

const CLEO: &str = "cleo:spot";
const BALANCE: &str = "/v5/account/wallet-balance";
const FILLS: &str = "/v5/execution/list";

async fn cleo() -> (Sim, IssuedKey) {
    venue(CLEO, KeyForm::Bybit, 5, Options::default()).await
}

async fn signed_at(sim: &Sim, key: &IssuedKey, path: &str, query: &str, at: u64) -> Reply {
    let at = at.to_string();
    let signature = hmac(&key.api_secret, &format!("{at}{}5000{query}", key.api_key));
    let headers = [
        ("X-BAPI-API-KEY", key.api_key.as_str()),
        ("X-BAPI-SIGN", signature.as_str()),
        ("X-BAPI-TIMESTAMP", at.as_str()),
        ("X-BAPI-RECV-WINDOW", "5000"),
    ];
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    call(sim, BYBIT, "GET", &target, &headers, "").await.unwrap()
}

async fn ask(sim: &Sim, key: &IssuedKey, path: &str, query: &str) -> Value {
    let reply = signed_at(sim, key, path, query, sim.clock.view().now_ms).await;
    assert_eq!(reply.status, 200);
    reply.json()
}

#[tokio::test]
async fn key_time_and_signature_are_checked() {
    let (sim, key) = cleo().await;
    let now = sim.clock.view().now_ms;
    let query = "accountType=UNIFIED";
    for (at, code) in
        [(now, 0), (now + 999, 0), (now + 1_000, 10002), (now - 5_000, 0), (now - 5_001, 10002)]
    {
        let reply = signed_at(&sim, &key, BALANCE, query, at).await.json();
        assert_eq!(reply["retCode"], code, "{at}");
    }
    let other = sim.add_key(spec(CLEO, KeyForm::Bybit)).unwrap();
    let mixed = IssuedKey { api_secret: other.api_secret, ..key.clone() };
    assert_eq!(ask(&sim, &mixed, BALANCE, query).await["retCode"], 10004);
    let foreign = sim.key_of(CLEO).unwrap().clone();
    assert_eq!(ask(&sim, &foreign, BALANCE, query).await["retCode"], 10003);
    assert_eq!(get(&sim, BYBIT, BALANCE).await.json()["retCode"], 10003);
    assert_eq!(ask(&sim, &key, BALANCE, "").await["retCode"], 10001);
    assert_eq!(get(&sim, BYBIT, "/v5/order/create").await.status, 404);
}

#[tokio::test]
async fn calls_are_counted_by_user_and_by_address() {
    let rates = Rates { bybit_user: 0, bybit_address: 1, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, key) = venue(CLEO, KeyForm::Bybit, 5, options).await;
    let reply = ask(&sim, &key, "/v5/user/query-api", "").await;
    assert_eq!(reply["retCode"], 10006);
    let rates = Rates { bybit_address: 0, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, _) = venue(CLEO, KeyForm::Bybit, 5, options).await;
    assert_eq!(get(&sim, BYBIT, "/v5/market/time").await.status, 403);
}

#[tokio::test]
async fn a_key_that_only_reads_says_so() {
    let (sim, key) = cleo().await;
    for (words, read_only, spot, wallet) in [
        ("read", 1, json!([]), json!([])),
        ("read,trade", 0, json!(["SpotTrade"]), json!([])),
        ("read,withdraw,internal-transfer", 0, json!([]), json!(["AccountTransfer", "Withdraw"])),
        ("read,enableTimeTravel", 0, json!([]), json!([])),
    ] {
        sim.permit(CLEO, &words.parse().unwrap()).unwrap();
        let told = ask(&sim, &key, "/v5/user/query-api", "").await["result"].clone();
        assert_eq!(told["readOnly"], read_only, "{words}");
        let scopes = (&told["permissions"]["Spot"], &told["permissions"]["Wallet"]);
        assert_eq!(scopes, (&spot, &wallet), "{words}");
    }
    sim.permit(CLEO, &"trade".parse().unwrap()).unwrap();
    assert_eq!(ask(&sim, &key, BALANCE, "accountType=UNIFIED").await["retCode"], 10005);
}

#[tokio::test]
async fn balances_fills_and_transfers_are_those_of_the_scenario() {
    let (sim, key) = cleo().await;
    let all = ask(&sim, &key, BALANCE, "accountType=UNIFIED").await["result"].clone();
    let coins = all["list"][0]["coin"].as_array().unwrap().clone();
    let bitcoin = coins.iter().find(|coin| coin["coin"] == "BTC").unwrap();
    assert_eq!((&bitcoin["equity"], &bitcoin["locked"]), (&json!("1.0798"), &json!("0.5")));
    let fund = "/v5/asset/transfer/query-account-coins-balance";
    let fund = ask(&sim, &key, fund, "accountType=FUND").await["result"]["balance"].clone();
    assert_eq!((&fund[0]["coin"], &fund[0]["walletBalance"]), (&json!("SOL"), &json!("4")));
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let query = format!("category=spot&limit=20&cursor={cursor}");
        let page = ask(&sim, &key, FILLS, &query).await["result"].clone();
        ids.extend(page["list"].as_array().unwrap().iter().map(|row| row["execId"].to_string()));
        cursor = page["nextPageCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 53);
    let sent = ask(&sim, &key, "/v5/asset/withdraw/query-record", "withdrawType=2&coin=ETH").await;
    let sent = sent["result"]["rows"][0].clone();
    assert_eq!((&sent["amount"], &sent["withdrawFee"]), (&json!("0.499"), &json!("0.001")));
    assert_eq!(sent["status"], "success");
    let come =
        ask(&sim, &key, "/v5/asset/deposit/query-record", "").await["result"]["rows"].clone();
    assert_eq!((&come[0]["txID"], &come[0]["status"]), (&json!("aa11"), &json!(3)));
    let now = sim.clock.view().now_ms;
    let week = 7 * 24 * 3600 * 1000;
    for (path, query) in [
        (FILLS, "category=spot&limit=101".to_owned()),
        (FILLS, "limit=1".to_owned()),
        (FILLS, "category=spot&cursor=x".to_owned()),
        (FILLS, format!("category=spot&startTime={}&endTime={now}", now - week - 1)),
        ("/v5/asset/deposit/query-record", "limit=51".to_owned()),
        ("/v5/asset/withdraw/query-record", "withdrawType=3".to_owned()),
    ] {
        assert_eq!(ask(&sim, &key, path, &query).await["retCode"], 10001, "{path} {query}");
    }
}

#[tokio::test]
async fn the_market_is_public() {
    let (sim, _) = cleo().await;
    let public = async |target: &str| get(&sim, BYBIT, target).await.json();
    let tickers = public("/v5/market/tickers?category=spot&symbol=BTCUSD").await;
    assert_eq!(tickers["result"]["list"][0]["lastPrice"], "60005");
    let listed = public("/v5/market/instruments-info?category=spot").await;
    assert_eq!(listed["result"]["list"].as_array().unwrap().len(), 8);
    let bars = public("/v5/market/kline?category=spot&symbol=BTCUSD&interval=5").await;
    assert_eq!(bars["result"]["list"].as_array().unwrap().len(), 2);
    assert_eq!(bars["result"]["list"][0][4], "60005");
    for target in [
        "/v5/market/tickers?category=spot&symbol=NOPE",
        "/v5/market/tickers",
        "/v5/market/kline?symbol=BTCUSD&interval=7",
        "/v5/market/kline?symbol=BTCUSD&interval=5&limit=1001",
    ] {
        assert_eq!(public(target).await["retCode"], 10001, "{target}");
    }
}
