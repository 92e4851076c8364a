//! Kraken Futures on the wire.

use exchange_sim::faults::{Fault, FaultRule};
use exchange_sim::keys::{IssuedKey, KeyForm};
use exchange_sim::{KRAKEN_FUTURES, Options, Rates, Sim};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::client::{Reply, call, get};
use crate::signed::{futures, spec, venue};

const KIM: &str = "kim:usdm";
const API: &str = "/derivatives/api/v3";
const CHECK: &str = "/api/auth/v1/api-keys/v3/check";
const LOG: &str = "/api/history/v3/account-log";

async fn kim() -> (Sim, IssuedKey) {
    venue(KIM, KeyForm::KrakenFutures, 5, Options::default()).await
}

async fn ask(sim: &Sim, key: &IssuedKey, method: &str, query: &str) -> Reply {
    futures(sim, key, &format!("{API}/{method}"), query, None).await
}

/// Version 3 tells errors under HTTP 200.
fn refused(reply: &Reply) -> String {
    let body = reply.json();
    assert_eq!((reply.status, body["result"].as_str()), (200, Some("error")));
    body["error"].as_str().unwrap().to_owned()
}

fn decimal(value: &Value) -> Decimal {
    assert!(value.is_number(), "{value}");
    value.to_string().parse().unwrap()
}

#[tokio::test]
async fn the_signature_and_a_nonce_are_checked() {
    let (sim, key) = kim().await;
    assert_eq!(ask(&sim, &key, "accounts", "").await.json()["result"], "success");
    // The nonce is optional; one that is sent must rise.
    let path = format!("{API}/openpositions");
    let with = |nonce| futures(&sim, &key, &path, "", Some(nonce));
    assert_eq!(with(7).await.json()["result"], "success");
    assert_eq!(refused(&with(7).await), "nonceDuplicate");
    assert_eq!(refused(&with(6).await), "nonceBelowThreshold");
    let other = sim.add_key(spec(KIM, KeyForm::KrakenFutures)).unwrap();
    let mixed = IssuedKey { api_secret: other.api_secret.clone(), ..key.clone() };
    assert_eq!(refused(&ask(&sim, &mixed, "accounts", "").await), "authenticationError");
    let spot = sim.add_key(spec(KIM, KeyForm::Kraken)).unwrap();
    assert_eq!(refused(&ask(&sim, &spot, "accounts", "").await), "authenticationError");
    let bare = get(&sim, KRAKEN_FUTURES, &format!("{API}/accounts")).await;
    assert_eq!(refused(&bare), "requiredArgumentMissing");
    // The other hosts' paths are signed whole and answer with a status.
    assert_eq!(futures(&sim, &key, LOG, "count=1", None).await.status, 200);
    assert_eq!(futures(&sim, &mixed, LOG, "count=1", None).await.status, 401);
    assert_eq!(futures(&sim, &mixed, CHECK, "", None).await.status, 401);
    assert_eq!(futures(&sim, &key, "/api/history/v3/nothing", "", None).await.status, 404);
    let post = call(&sim, KRAKEN_FUTURES, "POST", &format!("{API}/sendorder"), &[], "").await;
    assert_eq!(post.unwrap().status, 405);
}

#[tokio::test]
async fn cost_and_tokens_run_out_apart() {
    let rates = Rates { futures_cost: 29, futures_history: 4, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, key) = venue(KIM, KeyForm::KrakenFutures, 5, options).await;
    let older = "lastFillTime=2026-06-01T00%3A04%3A00.000Z";
    assert_eq!(ask(&sim, &key, "fills", older).await.json()["result"], "success");
    assert_eq!(ask(&sim, &key, "fills", "").await.json()["result"], "success");
    assert_eq!(refused(&ask(&sim, &key, "fills", older).await), "apiLimitExceeded");
    for (query, status) in [("count=1000", 200), ("count=51", 429), ("count=25", 200)] {
        assert_eq!(futures(&sim, &key, LOG, query, None).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_key_that_may_only_read_is_told_with_nothing() {
    let (sim, key) = kim().await;
    for (words, levels) in [
        ("read", json!({})),
        ("read,trade", json!({"general": "full_access"})),
        ("read,withdraw", json!({"withdrawal": "full_access"})),
        ("read,enableTimeTravel", json!({"enableTimeTravel": true})),
        ("none", json!({"general": "no_access"})),
    ] {
        sim.permit(KIM, &words.parse().unwrap()).unwrap();
        let told = futures(&sim, &key, CHECK, "", None).await.json();
        assert_eq!((&told["permissions"], &told["apiKey"]), (&levels, &json!(key.api_key)));
    }
    assert_eq!(refused(&ask(&sim, &key, "accounts", "").await), "insufficientPrivileges");
    assert_eq!(futures(&sim, &key, LOG, "count=1", None).await.status, 403);
}

#[tokio::test]
async fn collateral_and_single_coins_are_accounts_of_their_own() {
    let (sim, key) = kim().await;
    let all = ask(&sim, &key, "accounts", "").await.json()["accounts"].clone();
    let flex = &all["flex"];
    assert_eq!(decimal(&flex["currencies"]["USD"]["quantity"]), "10296.95".parse().unwrap());
    assert_eq!(decimal(&flex["currencies"]["XBT"]["value"]), "6000.5".parse().unwrap());
    // 0.1 bought at 60000 is worth 5 dollars a thousandth more at 60005.
    assert_eq!(decimal(&flex["pnl"]), "0.5".parse().unwrap());
    assert_eq!(decimal(&flex["portfolioValue"]), "16297.95".parse().unwrap());
    let coin = &all["fi_xbtusd"];
    assert_eq!((&coin["type"], &coin["currency"]), (&json!("marginAccount"), &json!("xbt")));
    assert_eq!(decimal(&coin["balances"]["xbt"]), "0.499995".parse().unwrap());
    assert_eq!(decimal(&coin["balances"]["pi_xbtusd"]), 600.into());
    let positions = ask(&sim, &key, "openpositions", "").await.json()["openPositions"].clone();
    let rows = positions.as_array().unwrap();
    assert_eq!((&rows[0]["symbol"], &rows[0]["side"]), (&json!("PF_XBTUSD"), &json!("long")));
    assert_eq!(decimal(&rows[0]["size"]), "0.1".parse().unwrap());
    assert_eq!((&rows[1]["symbol"], decimal(&rows[1]["size"])), (&json!("PI_XBTUSD"), 600.into()));
}

#[tokio::test]
async fn fills_come_a_hundred_a_page_and_older_ones_before_a_time() {
    let (sim, key) = kim().await;
    let rows = |reply: Reply| reply.json()["fills"].as_array().unwrap().clone();
    let first = rows(ask(&sim, &key, "fills", "").await);
    assert_eq!(first.len(), 100);
    assert_eq!(
        (&first[0]["symbol"], &first[0]["fillType"]),
        (&json!("PI_XBTUSD"), &json!("taker"))
    );
    let last = first[99]["fillTime"].as_str().unwrap().replace(':', "%3A");
    let second = rows(ask(&sim, &key, "fills", &format!("lastFillTime={last}")).await);
    assert_eq!(second.len(), 7);
    let mut ids: Vec<_> =
        first.iter().chain(&second).map(|row| row["fill_id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 107);
    assert_eq!(decimal(&second[0]["price"]), 60_000.into());
    let wrong = ask(&sim, &key, "fills", "lastFillTime=yesterday").await;
    assert_eq!(refused(&wrong), "invalidArgument: lastFillTime");
}

#[tokio::test]
async fn the_account_log_adds_up() {
    let (sim, key) = kim().await;
    let all = futures(&sim, &key, LOG, "count=1000&sort=asc", None).await.json();
    let rows = all["logs"].as_array().unwrap();
    // Two bookings of 107 trades, one of funding, one of a transfer.
    assert_eq!(rows.len(), 216);
    for (asset, account, change) in [("usd", "flex", "296.95"), ("xbt", "fi_xbtusd", "-0.000005")] {
        let own =
            rows.iter().filter(|row| row["asset"] == asset && row["margin_account"] == account);
        let sum: Decimal =
            own.map(|row| decimal(&row["new_balance"]) - decimal(&row["old_balance"])).sum();
        assert_eq!(sum, change.parse().unwrap(), "{asset}");
    }
    let last = rows.iter().rfind(|row| row["asset"] == "usd").unwrap();
    assert_eq!(last["info"], "cross-exchange transfer");
    assert_eq!(decimal(&last["new_balance"]), "10296.95".parse().unwrap());
    let sold = rows.iter().find(|row| row["asset"] == "usd" && row["realized_pnl"] != json!(0));
    let sold = sold.unwrap();
    assert_eq!(
        (decimal(&sold["realized_pnl"]), decimal(&sold["fee"])),
        ("0.5".parse().unwrap(), "0.15".parse().unwrap())
    );
    // Pages by id and by time, newest first unless asked otherwise.
    let page = futures(&sim, &key, LOG, "from=3&to=5", None).await.json();
    let ids: Vec<_> =
        page["logs"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [5, 4, 3]);
    let since = sim.clock.view().start_ms + (4 * 60 + 40) * 1000;
    for (query, count) in [
        (format!("since={since}"), 2),
        (format!("since={since}&before={}", since + 1), 1),
        ("info=futures%20trade&count=1000".to_owned(), 214),
    ] {
        let page = futures(&sim, &key, LOG, &query, None).await.json();
        assert_eq!(page["logs"].as_array().unwrap().len(), count, "{query}");
    }
    for query in ["count=0", "count=100001", "sort=up", "since=soon"] {
        assert_eq!(futures(&sim, &key, LOG, query, None).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn instruments_tickers_and_bars_are_free_and_public() {
    let (sim, _) = kim().await;
    let public = async |path: &str| get(&sim, KRAKEN_FUTURES, path).await.json();
    let all = public("/derivatives/api/v3/instruments").await["instruments"].clone();
    let kinds: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (row["symbol"].as_str().unwrap().to_owned(), row["type"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [("PF_XBTUSD", "flexible_futures"), ("PI_XBTUSD", "futures_inverse")];
    assert_eq!(kinds, expected.map(|(symbol, kind)| (symbol.to_owned(), kind.to_owned())));
    let tickers = public("/derivatives/api/v3/tickers").await["tickers"].clone();
    assert_eq!(decimal(&tickers[0]["last"]), 60_005.into());
    assert_eq!(tickers[2]["symbol"], "in_xbtusd");
    let one = public("/derivatives/api/v3/tickers/pf_xbtusd").await;
    assert_eq!(one["ticker"]["symbol"], "PF_XBTUSD");
    let unknown = get(&sim, KRAKEN_FUTURES, "/derivatives/api/v3/tickers/PF_NOPE").await;
    assert_eq!(refused(&unknown), "contractNotFound");
    let status = public("/derivatives/api/v3/instruments/PF_XBTUSD/status").await;
    assert_eq!((&status["tradeable"], &status["result"]), (&json!("PF_XBTUSD"), &json!("success")));
    let bars = public("/api/charts/v1/trade/PF_XBTUSD/5m").await;
    assert_eq!(
        (bars["candles"].as_array().unwrap().len(), &bars["more_candles"]),
        (2, &json!(false))
    );
    assert_eq!(bars["candles"][1]["close"], "60005");
    for (path, status) in [
        ("/api/charts/v1/trade/PF_NOPE/5m", 404),
        ("/api/charts/v1/trade/PF_XBTUSD/7m", 400),
        ("/derivatives/api/v2/tickers", 404),
    ] {
        assert_eq!(get(&sim, KRAKEN_FUTURES, path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn faults_befall_this_host_by_account_too() {
    let (sim, key) = kim().await;
    let rule = |account: &str, status: u16| FaultRule {
        host: Some(KRAKEN_FUTURES.to_owned()),
        path: None,
        account: Some(account.to_owned()),
        skip: 0,
        times: None,
        from_ms: None,
        until_ms: None,
        fault: Fault::Status { status, retry_after_secs: Some(3) },
    };
    sim.inject(vec![rule("cleo:spot", 503), rule(KIM, 429)]).unwrap();
    let reply = ask(&sim, &key, "accounts", "").await;
    assert_eq!((reply.status, reply.header("Retry-After")), (429, Some("3")));
    assert_eq!(reply.json()["error"], "apiLimitExceeded");
    assert_eq!(get(&sim, KRAKEN_FUTURES, "/derivatives/api/v3/tickers").await.status, 200);
}
