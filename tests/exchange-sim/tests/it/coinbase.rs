//! Coinbase Advanced Trade on the wire.

use exchange_sim::faults::{Fault, FaultRule};
use exchange_sim::keys::{IssuedKey, KeyForm};
use exchange_sim::{COINBASE, Options, Rates, Sim};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::client::{Reply, get};
use crate::signed::{bearing, claims, coinbase, spec, token, venue};

const CLEO: &str = "cleo:spot";
const ACCOUNTS: &str = "/api/v3/brokerage/accounts";
const FILLS: &str = "/api/v3/brokerage/orders/historical/fills";
const RIGHTS: &str = "/api/v3/brokerage/key_permissions";

async fn cleo(form: KeyForm) -> (Sim, IssuedKey) {
    let rates = Rates { coinbase_public: 100, ..Rates::default() };
    venue(CLEO, form, 5, Options { rates, ..Options::default() }).await
}

fn refused(reply: &Reply) -> (u16, String) {
    let text = reply.text();
    if reply.status == 401 {
        return (401, text);
    }
    (reply.status, reply.json()["error"].as_str().unwrap_or(&text).to_owned())
}

fn unauthorized() -> (u16, String) {
    (401, "Unauthorized\n".to_owned())
}

#[tokio::test]
async fn tokens_of_both_kinds_are_accepted() {
    for form in [KeyForm::Coinbase, KeyForm::CoinbaseEd25519] {
        let (sim, key) = cleo(form).await;
        let reply = coinbase(&sim, &key, ACCOUNTS, "limit=250").await;
        assert_eq!(reply.status, 200, "{form:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn a_token_is_fresh_signed_and_for_this_request() {
    let (sim, key) = cleo(KeyForm::Coinbase).await;
    let now = sim.clock.view().now_ms / 1000;
    let whole = claims(&sim, &key, ACCOUNTS);
    let with = |changes: Value| {
        let mut all = whole.clone();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        token(&key, &all)
    };
    for (changes, good) in [
        (json!({}), true),
        (json!({"nbf": now - 119, "exp": now + 1}), true),
        (json!({"iss": "coinbase-cloud"}), true),
        (json!({"nbf": now - 120, "exp": now}), false),
        (json!({"nbf": now + 1, "exp": now + 121}), false),
        (json!({"exp": now + 121}), false),
        (json!({"sub": "organizations/other/apiKeys/key"}), false),
        (json!({"iss": "somebody"}), false),
        (json!({"uri": format!("GET {COINBASE}{FILLS}")}), false),
        (json!({"uri": format!("POST {COINBASE}{ACCOUNTS}")}), false),
        (json!({"uri": format!("GET api.example.com{ACCOUNTS}")}), false),
        (json!({"uri": format!("GET {COINBASE}{ACCOUNTS}?limit=1")}), false),
    ] {
        let reply = bearing(&sim, &with(changes.clone()), ACCOUNTS).await;
        if good {
            assert_eq!(reply.status, 200, "{changes}");
        } else {
            assert_eq!(refused(&reply), unauthorized(), "{changes}");
        }
    }
    let good = with(json!({}));
    let other = sim.add_key(spec(CLEO, KeyForm::Coinbase)).unwrap();
    let stranger = IssuedKey { api_key: "organizations/a/apiKeys/b".to_owned(), ..key.clone() };
    let binance = sim.key_of(CLEO).unwrap();
    for bad in [
        token(&IssuedKey { api_secret: other.api_secret.clone(), ..key.clone() }, &whole),
        token(&stranger, &claims(&sim, &stranger, ACCOUNTS)),
        good.split_at(good.len() - 8).0.to_owned(),
        "a.b.c".to_owned(),
        binance.api_key.clone(),
        String::new(),
    ] {
        assert_eq!(refused(&bearing(&sim, &bad, ACCOUNTS).await), unauthorized());
    }
    assert_eq!(refused(&get(&sim, COINBASE, ACCOUNTS).await), unauthorized());
}

#[tokio::test]
async fn a_clock_that_is_off_refuses_tokens() {
    let (sim, key) = cleo(KeyForm::CoinbaseEd25519).await;
    let skew = FaultRule {
        host: Some(COINBASE.to_owned()),
        path: None,
        account: None,
        skip: 0,
        times: None,
        from_ms: None,
        until_ms: None,
        fault: Fault::ClockSkew { ms: -1_000 },
    };
    sim.inject(vec![skew]).unwrap();
    assert_eq!(refused(&coinbase(&sim, &key, ACCOUNTS, "").await), unauthorized());
    let told = get(&sim, COINBASE, "/api/v3/brokerage/time").await.json();
    let now = (sim.clock.view().now_ms - 1_000).to_string();
    assert_eq!(told["epochMillis"], now);
}

#[tokio::test]
async fn calls_are_counted_by_user_by_address_and_by_key() {
    let rates =
        Rates { coinbase_private: 2, coinbase_public: 0, coinbase_wallet: 0, ..Rates::default() };
    let options = Options { rates, ..Options::default() };
    let (sim, key) = venue(CLEO, KeyForm::CoinbaseEd25519, 5, options).await;
    let reply = coinbase(&sim, &key, RIGHTS, "").await;
    assert_eq!((reply.status, reply.header("x-ratelimit-limit")), (200, Some("2")));
    let public = get(&sim, COINBASE, "/api/v3/brokerage/time").await;
    assert_eq!(refused(&public), (429, "resource_exhausted".to_owned()));
    assert_eq!(public.header("x-ratelimit-remaining"), Some("0"));
    let older = coinbase(&sim, &key, "/v2/accounts", "").await;
    assert_eq!(
        (older.status, &older.json()["errors"][0]["id"]),
        (429, &json!("rate_limit_exceeded"))
    );
}

#[tokio::test]
async fn rights_are_told_and_enforced() {
    let (sim, key) = cleo(KeyForm::CoinbaseEd25519).await;
    for (words, view, trade, transfer) in [
        ("read", true, false, false),
        ("read,trade", true, true, false),
        ("read,withdraw", true, false, true),
        ("trade", false, true, false),
    ] {
        sim.permit(CLEO, &words.parse().unwrap()).unwrap();
        let told = coinbase(&sim, &key, RIGHTS, "").await.json();
        let rights = [&told["can_view"], &told["can_trade"], &told["can_transfer"]];
        assert_eq!(rights, [view, trade, transfer], "{words}");
    }
    assert_eq!(refused(&coinbase(&sim, &key, ACCOUNTS, "").await).0, 403);
    let older = coinbase(&sim, &key, "/v2/accounts", "").await;
    assert_eq!((older.status, &older.json()["errors"][0]["id"]), (403, &json!("invalid_scope")));
    sim.permit(CLEO, &"read,enableTimeTravel".parse().unwrap()).unwrap();
    assert_eq!(coinbase(&sim, &key, RIGHTS, "").await.json()["can_time_travel"], true);
}

#[tokio::test]
async fn accounts_come_in_pages() {
    let (sim, key) = cleo(KeyForm::CoinbaseEd25519).await;
    let all = coinbase(&sim, &key, ACCOUNTS, "").await.json();
    assert_eq!((all["accounts"].as_array().unwrap().len(), &all["has_next"]), (4, &json!(false)));
    let bitcoin = &all["accounts"][0];
    assert_eq!(bitcoin["available_balance"], json!({"value":"0.5798","currency":"BTC"}));
    assert_eq!(bitcoin["hold"], json!({"value":"0.5","currency":"BTC"}));
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = coinbase(&sim, &key, ACCOUNTS, &format!("limit=3&cursor={cursor}")).await.json();
        seen.extend(page["accounts"].as_array().unwrap().iter().map(|row| row["currency"].clone()));
        cursor = page["cursor"].as_str().unwrap().to_owned();
        if page["has_next"] == false {
            break;
        }
    }
    assert_eq!(
        (seen, cursor.as_str()),
        (vec![json!("BTC"), json!("ETH"), json!("SOL"), json!("USD")], "")
    );
    for query in ["limit=251", "limit=0", "limit=many", "cursor=x"] {
        let reply = coinbase(&sim, &key, ACCOUNTS, query).await;
        assert_eq!(refused(&reply), (400, "INVALID_ARGUMENT".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn fills_follow_a_cursor_to_the_end() {
    let (sim, key) = cleo(KeyForm::CoinbaseEd25519).await;
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = coinbase(&sim, &key, FILLS, &format!("limit=20&cursor={cursor}")).await.json();
        ids.extend(page["fills"].as_array().unwrap().iter().map(|row| row["entry_id"].to_string()));
        cursor = page["cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(ids.len(), 53);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 53);
    let first = coinbase(&sim, &key, FILLS, "limit=1").await.json()["fills"][0].clone();
    assert_eq!((&first["product_id"], &first["side"]), (&json!("BTC-USD"), &json!("SELL")));
    assert_eq!((&first["commission"], &first["size_in_quote"]), (&json!("7.2"), &json!(false)));
    let at = first["trade_time"].as_str().unwrap();
    for (query, count) in [
        (format!("start_sequence_timestamp={at}"), 1),
        (format!("end_sequence_timestamp={at}&product_ids=BTC-USD"), 1),
        ("product_ids=ETH-USD".to_owned(), 0),
    ] {
        let page = coinbase(&sim, &key, FILLS, &query).await.json();
        assert_eq!(page["fills"].as_array().unwrap().len(), count, "{query}");
    }
    for query in ["limit=251", "cursor=x", "start_sequence_timestamp=soon"] {
        let reply = coinbase(&sim, &key, FILLS, query).await;
        assert_eq!(refused(&reply), (400, "INVALID_ARGUMENT".to_owned()), "{query}");
    }
}

#[tokio::test]
async fn transactions_add_up_to_the_wallets() {
    let (sim, key) = cleo(KeyForm::CoinbaseEd25519).await;
    let wallets = coinbase(&sim, &key, "/v2/accounts", "").await.json()["data"].clone();
    let names: Vec<_> = wallets.as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["BTC Wallet", "ETH Wallet", "SOL Wallet", "Staked SOL", "USD Wallet"]);
    for (index, before) in [(0, "1"), (1, "2"), (2, "10"), (4, "50000")] {
        let wallet = &wallets[index];
        let path = format!("/v2/accounts/{}/transactions", wallet["id"].as_str().unwrap());
        let mut sum: Decimal = before.parse().unwrap();
        let mut query = "limit=20".to_owned();
        loop {
            let page = coinbase(&sim, &key, &path, &query).await.json();
            for row in page["data"].as_array().unwrap() {
                let amount: Decimal = row["amount"]["amount"].as_str().unwrap().parse().unwrap();
                sum += amount;
            }
            let Some(next) = page["pagination"]["next_uri"].as_str() else { break };
            query = next.split_once('?').unwrap().1.to_owned();
        }
        let told: Decimal = wallet["balance"]["amount"].as_str().unwrap().parse().unwrap();
        assert_eq!(told, sum, "{}", wallet["name"]);
    }
    let path = format!("/v2/accounts/{}/transactions", wallets[1]["id"].as_str().unwrap());
    let sent = coinbase(&sim, &key, &path, "").await.json()["data"][0].clone();
    assert_eq!((&sent["type"], &sent["amount"]["amount"]), (&json!("send"), &json!("-0.50000000")));
    assert_eq!(sent["network"]["transaction_amount"]["amount"], "0.49900000");
    assert_eq!(sent["network"]["transaction_fee"]["amount"], "0.00100000");
    for (query, status) in [("limit=301", 400), ("starting_after=x", 400)] {
        assert_eq!(coinbase(&sim, &key, &path, query).await.status, status, "{query}");
    }
    let strange = "/v2/accounts/0000/transactions";
    let reply = coinbase(&sim, &key, strange, "").await;
    assert_eq!((reply.status, &reply.json()["errors"][0]["id"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn products_and_bars_are_public() {
    let (sim, _) = cleo(KeyForm::CoinbaseEd25519).await;
    let public = "/api/v3/brokerage/market/products";
    let all =
        get(&sim, COINBASE, &format!("{public}?product_ids=BTC-USD&product_ids=SOL-USD")).await;
    let ids: Vec<_> = all.json()["products"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["product_id"].clone())
        .collect();
    assert_eq!(ids, ["BTC-USD", "SOL-USD"]);
    let ticker = get(&sim, COINBASE, &format!("{public}/BTC-USD/ticker?limit=1")).await.json();
    assert_eq!(
        (&ticker["best_bid"], ticker["trades"].as_array().unwrap().len()),
        (&json!("60005"), 1)
    );
    let start = sim.clock.view().start_ms / 1000;
    let bars =
        |end: u64, more: &str| format!("{public}/BTC-USD/candles?start={start}&end={end}{more}");
    let five = "&granularity=FIVE_MINUTE";
    let reply = get(&sim, COINBASE, &bars(start + 300, five)).await.json();
    let expected = json!([
        {"start": (start + 300).to_string(), "low": "60005", "high": "60005", "open": "60005",
            "close": "60005", "volume": "1"},
        {"start": start.to_string(), "low": "60000", "high": "60000", "open": "60000",
            "close": "60000", "volume": "1"}]);
    assert_eq!(reply["candles"], expected);
    assert_eq!(get(&sim, COINBASE, &bars(start + 349 * 300, five)).await.status, 200);
    for target in [
        bars(start + 350 * 300, five),
        bars(start + 300, ""),
        bars(start - 1, five),
        format!("{public}/BTC-USD/candles?granularity=FIVE_MINUTE"),
    ] {
        let reply = get(&sim, COINBASE, &target).await;
        assert_eq!(refused(&reply), (400, "INVALID_ARGUMENT".to_owned()), "{target}");
    }
    let reply = get(&sim, COINBASE, &format!("{public}/NO-PE/ticker")).await;
    assert_eq!(refused(&reply), (404, "NOT_FOUND".to_owned()));
    assert_eq!(get(&sim, COINBASE, "/api/v3/brokerage/orders").await.status, 404);
}
