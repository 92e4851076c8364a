//! The scenario on the wire, at several instants.

use exchange_sim::{KRAKEN, Sim};
use serde_json::{Value, json};

use crate::client::{call, get, minute, private, public, sign, start};

async fn balances(sim: &Sim, account: &str) -> (u16, Vec<(String, String, String)>) {
    let reply = private(sim, account, "/api/v3/account", "omitZeroBalances=true").await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = reply.json()["balances"].as_array().cloned().unwrap_or_default();
    let rows =
        rows.iter().map(|row| (text(&row["asset"]), text(&row["free"]), text(&row["locked"])));
    (reply.status, rows.collect())
}

async fn trades(sim: &Sim, account: &str, query: &str) -> Vec<Value> {
    let reply = private(sim, account, "/api/v3/myTrades", query).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json().as_array().unwrap().clone()
}

fn ids(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["id"].as_u64().unwrap()).collect()
}

fn row(asset: &str, free: &str, locked: &str) -> (String, String, String) {
    (asset.to_owned(), free.to_owned(), locked.to_owned())
}

#[tokio::test]
async fn balances_are_those_of_the_ticks_snapshot() {
    let sim = start("quirks.json").await;
    let (status, rows) = balances(&sim, "binance-spot").await;
    assert_eq!(status, 200);
    let expected = [
        row("BTC", "0.50000000", "0.10000000"),
        row("LDBTC", "0.25000000", "0.00000000"),
        row("ETH", "-0.01900000", "0.00000000"),
        row("USDT", "1000.00000000", "0.00000000"),
    ];
    assert_eq!(rows, expected);

    let mut readable = Vec::new();
    for tick in [0, 5, 10, 15, 20] {
        sim.clock.advance_to(minute(&sim, tick));
        readable.push((
            tick,
            balances(&sim, "binance-spot").await.0,
            balances(&sim, "kraken-spot").await.0,
        ));
    }
    // 5: marked incomplete; 15: no snapshot; the second account opens at 10.
    let expected = [(0, 200, 503), (5, 503, 503), (10, 200, 200), (15, 503, 200), (20, 200, 200)];
    assert_eq!(readable, expected);
    let (_, rows) = balances(&sim, "kraken-spot").await;
    assert_eq!(rows, [row("USDT", "77.1234567890123", "0.00000000")]);
}

#[tokio::test]
async fn an_account_is_described_as_the_venue_describes_it() {
    let sim = start("quirks.json").await;
    let reply = private(&sim, "binance-spot", "/api/v3/account", "").await.json();
    assert_eq!(reply["accountType"], "SPOT");
    assert_eq!(reply["updateTime"], sim.clock.view().now_ms);
    assert_eq!(reply["canWithdraw"], true);
    let uid = reply["uid"].as_u64().unwrap();
    assert!((100_000_000..1_000_000_000).contains(&uid));
    let again = start("quirks.json").await;
    let reply = private(&again, "binance-spot", "/api/v3/account", "").await.json();
    assert_eq!(reply["uid"], uid);
    let other = private(&sim, "kraken-spot", "/api/v3/account", "").await;
    assert_eq!(other.refusal(), (503, -1001));
    // Without the filter every asset of the venue is listed, zeros included.
    let assets: Vec<_> =
        reply["balances"].as_array().unwrap().iter().map(|row| &row["asset"]).collect();
    assert_eq!(assets, ["BTC", "LDBTC", "ETH", "BNB", "USDT", "EUR", "NEW"]);
}

#[tokio::test]
async fn trades_appear_when_they_are_delivered_and_only_once() {
    let sim = start("quirks.json").await;
    let mut seen = Vec::new();
    for tick in [0, 5, 10, 15, 20, 30] {
        sim.clock.advance_to(minute(&sim, tick));
        seen.push(ids(&trades(&sim, "binance-spot", "symbol=BTCUSDT").await));
    }
    let late = [501, 502, 503, 507];
    assert_eq!(seen[0], Vec::<u64>::new());
    assert_eq!(seen[1], [501, 502]);
    assert_eq!(seen[2], [501, 502, 507]);
    assert_eq!(seen[3..], [late, late, late]);
    let rows = trades(&sim, "binance-spot", "symbol=BTCUSDT").await;
    assert_eq!(
        rows[0],
        json!({"symbol":"BTCUSDT","id":501,"orderId":1,"orderListId":-1,"price":"60001.50000000",
            "qty":"0.01000000","quoteQty":"600.01500000","commission":"0.00060000",
            "commissionAsset":"BNB","time":minute(&sim, 1) + 10_000,"isBuyer":true,"isMaker":false,
            "isBestMatch":true})
    );
    // A rebate is negative; of a trade delivered twice the first version stays; order ids stay
    // the same for the same order.
    assert_eq!(
        (&rows[1]["commission"], &rows[1]["isMaker"]),
        (&json!("-0.12000000"), &json!(true))
    );
    assert_eq!(rows[2]["qty"], "0.03000000");
    assert_eq!([&rows[1]["orderId"], &rows[2]["orderId"]], [&json!(1), &json!(17)]);
    let new = trades(&sim, "binance-spot", "symbol=NEWUSDT").await;
    assert_eq!(new[0]["price"], "0.000123456789");
    assert_eq!(new[0]["quoteQty"], "30.86419725");
}

#[tokio::test]
async fn ids_that_are_no_numbers_are_numbered_in_order_of_delivery() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 15));
    let first = trades(&sim, "kraken-spot", "symbol=BTCUSDT").await;
    assert_eq!((ids(&first), &first[0]["isBuyer"]), (vec![1], &json!(false)));
    sim.clock.advance_to(minute(&sim, 20));
    let both = trades(&sim, "kraken-spot", "symbol=BTCUSDT").await;
    assert_eq!(both[0], first[0]);
    assert_eq!((ids(&both), &both[1]["isBuyer"]), (vec![1, 2], &json!(true)));
}

#[tokio::test]
async fn trades_are_paged_as_the_venue_pages_them() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 30));
    let at = |minute_of| minute(&sim, minute_of);
    for (query, expected) in [
        ("limit=2".to_owned(), vec![503, 507]),
        ("fromId=502".to_owned(), vec![502, 503, 507]),
        ("fromId=502&limit=2".to_owned(), vec![502, 503]),
        ("fromId=508".to_owned(), vec![]),
        ("orderId=1".to_owned(), vec![501, 502]),
        (format!("startTime={}", at(3)), vec![503, 507]),
        (format!("endTime={}", at(3)), vec![501, 502]),
        (format!("startTime={}&endTime={}&limit=1", at(0), at(10)), vec![501]),
        (format!("startTime={}&endTime={}", at(1) + 10_000, at(8)), vec![501, 502, 503, 507]),
        (format!("startTime={}&endTime={}", at(1) + 10_001, at(8) - 1), vec![502, 503]),
    ] {
        let rows = trades(&sim, "binance-spot", &format!("symbol=BTCUSDT&{query}")).await;
        assert_eq!(ids(&rows), expected, "{query}");
    }
}

#[tokio::test]
async fn deposits_go_from_pending_to_done() {
    let sim = start("quirks.json").await;
    let mut seen = Vec::new();
    for tick in [0, 5, 10, 15, 25] {
        sim.clock.advance_to(minute(&sim, tick));
        let reply =
            private(&sim, "binance-spot", "/sapi/v1/capital/deposit/hisrec", "").await.json();
        let rows = reply.as_array().unwrap().iter();
        seen.push(rows.map(|row| (row["id"].clone(), row["status"].clone())).collect::<Vec<_>>());
    }
    let (pending, done) = ((json!("D1"), json!(0)), (json!("D1"), json!(1)));
    let late = (json!("D3"), json!(1));
    let expected =
        vec![vec![], vec![pending.clone()], vec![pending], vec![done.clone()], vec![done, late]];
    assert_eq!(seen, expected);
    let query = "coin=USDT&status=1";
    let reply =
        private(&sim, "binance-spot", "/sapi/v1/capital/deposit/hisrec", query).await.json();
    let row = &reply[0];
    assert_eq!(reply.as_array().unwrap().len(), 1);
    assert_eq!(
        (&row["amount"], &row["coin"], &row["txId"]),
        (&json!("100"), &json!("USDT"), &json!(""))
    );
    assert_eq!(row["insertTime"], minute(&sim, 4));
    assert_eq!(row["completeTime"], minute(&sim, 11));
}

#[tokio::test]
async fn withdrawals_are_net_of_their_fee() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 10));
    let path = "/sapi/v1/capital/withdraw/history";
    let reply = private(&sim, "binance-spot", path, "").await;
    assert_eq!(reply.header("X-SAPI-USED-UID-WEIGHT-1M"), Some("18000"));
    let rows: Vec<_> = reply
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            ["id", "amount", "transactionFee", "applyTime", "txId"]
                .map(|field| row[field].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [
        ["W3", "4.99950000", "0.0005", "2026-05-01 00:08:00", ""],
        ["W2", "59994.00000000", "6", "2026-05-01 00:07:00", ""],
        ["W1", "0.69980000", "0.0002", "2026-05-01 00:06:30", "chain-1"],
    ];
    assert_eq!(rows, expected);
    let failed = private(&sim, "binance-spot", path, "status=5").await.json();
    assert_eq!((failed.as_array().unwrap().len(), &failed[0]["id"]), (1, &json!("W3")));
    assert!(failed[0].get("completeTime").is_none());
    // The other end of the same transfer.
    sim.clock.advance_to(minute(&sim, 15));
    let query = "txId=chain-1";
    let other = private(&sim, "kraken-spot", "/sapi/v1/capital/deposit/hisrec", query).await.json();
    assert_eq!(other[0]["amount"], "0.6998");
}

#[tokio::test]
async fn transfers_are_windowed_and_paged() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 10));
    let path = "/sapi/v1/capital/withdraw/history";
    for (query, expected) in [
        (format!("startTime={}&endTime={}", minute(&sim, 7), minute(&sim, 8)), vec!["W3", "W2"]),
        ("offset=1&limit=1".to_owned(), vec!["W2"]),
        ("idList=W1%2CW2".to_owned(), vec!["W2", "W1"]),
        ("withdrawOrderId=mine".to_owned(), vec![]),
    ] {
        let reply = private(&sim, "binance-spot", path, &query).await;
        let rows = reply.json();
        let ids: Vec<_> =
            rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{query}");
    }
}

#[tokio::test]
async fn bank_money_moves_through_fiat_orders() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 10));
    let path = "/sapi/v1/fiat/orders";
    let reply = private(&sim, "binance-spot", path, "transactionType=0").await.json();
    assert_eq!((&reply["code"], &reply["total"]), (&json!("000000"), &json!(1)));
    let row = &reply["data"][0];
    assert_eq!((&row["orderNo"], &row["fiatCurrency"]), (&json!("F1"), &json!("EUR")));
    assert_eq!((&row["amount"], &row["status"]), (&json!("250.50"), &json!("Successful")));
    let reply = private(&sim, "binance-spot", path, "transactionType=1").await.json();
    assert_eq!(reply["data"], json!([]));
}

#[tokio::test]
async fn a_key_shows_its_rights() {
    let sim = start("quirks.json").await;
    let path = "/sapi/v1/account/apiRestrictions";
    let reply = private(&sim, "binance-spot", path, "").await;
    assert_eq!(reply.header("X-SAPI-USED-IP-WEIGHT-1M"), Some("1"));
    let rights = reply.json();
    let on: Vec<_> = rights.as_object().unwrap().iter().filter(|(_, on)| **on == true).collect();
    assert_eq!(on, [(&"enableReading".to_owned(), &json!(true))]);
    assert_eq!(rights.as_object().unwrap().len(), 13);
    sim.permit("binance-spot", &"read,trade,withdraw,enableTimeTravel".parse().unwrap()).unwrap();
    let rights = private(&sim, "binance-spot", path, "").await.json();
    for name in ["enableSpotAndMarginTrading", "enableWithdrawals", "enableTimeTravel"] {
        assert_eq!(rights[name], true, "{name}");
    }
}

#[tokio::test]
async fn the_funding_wallet_is_read_by_post_and_empty() {
    let sim = start("quirks.json").await;
    let key = sim.key_of("binance-spot").unwrap();
    let path = "/sapi/v1/asset/get-funding-asset";
    let body = sign(&sim, key, "needBtcValuation=true");
    let headers = [("X-MBX-APIKEY", key.api_key.as_str())];
    let reply = call(&sim, "api.binance.com", "POST", path, &headers, &body).await.unwrap();
    assert_eq!((reply.status, reply.json()), (200, json!([])));
    let target = format!("{path}?{body}");
    let reply = call(&sim, "api.binance.com", "POST", &target, &headers, "").await.unwrap();
    assert_eq!(reply.status, 200);
    let reply = call(&sim, "api.binance.com", "GET", &target, &headers, "").await.unwrap();
    assert_eq!(reply.status, 405);
}

#[tokio::test]
async fn prices_are_the_newest_known() {
    let sim = start("quirks.json").await;
    let price =
        async |symbol: &str| public(&sim, &format!("/api/v3/ticker/price?symbol={symbol}")).await;
    let btc = price("BTCUSDT").await;
    assert_eq!(btc.json(), json!({"symbol":"BTCUSDT","price":"60000.00000000"}));
    assert_eq!(btc.header("X-MBX-USED-WEIGHT-1M"), Some("2"));
    // Listed, but without a price yet.
    assert_eq!(price("NEWUSDT").await.refusal(), (400, -1121));
    sim.clock.advance_to(minute(&sim, 20));
    let all = public(&sim, "/api/v3/ticker/price").await;
    assert_eq!(all.header("X-MBX-USED-WEIGHT-1M"), Some("8"));
    let expected = json!([{"symbol":"BTCUSDT","price":"60020.00000000"},
        {"symbol":"EURUSDT","price":"1.08000000"},{"symbol":"NEWUSDT","price":"0.000123456789"}]);
    assert_eq!(all.json(), expected);
    let some = "/api/v3/ticker/price?symbols=%5B%22EURUSDT%22%2C%22BTCUSDT%22%5D";
    let symbols: Vec<_> = public(&sim, some)
        .await
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["symbol"].clone())
        .collect();
    assert_eq!(symbols, ["EURUSDT", "BTCUSDT"]);
}

#[tokio::test]
async fn symbols_name_their_assets() {
    let sim = start("quirks.json").await;
    let info = public(&sim, "/api/v3/exchangeInfo").await.json();
    let symbols = info["symbols"].as_array().unwrap();
    let row =
        |row: &Value| [&row["symbol"], &row["baseAsset"], &row["quoteAsset"]].map(Clone::clone);
    let names: Vec<_> = symbols.iter().map(row).collect();
    // No pair with the US dollar here.
    assert_eq!(
        names,
        [["BTCUSDT", "BTC", "USDT"], ["EURUSDT", "EUR", "USDT"], ["NEWUSDT", "NEW", "USDT"]]
    );
    assert_eq!(info["rateLimits"][0]["limit"], 6000);
    assert_eq!(symbols[0]["filters"][0]["filterType"], "PRICE_FILTER");
    assert_eq!(symbols[0]["filters"][0]["tickSize"], "0.00000001");
    let one = public(&sim, "/api/v3/exchangeInfo?symbol=EURUSDT").await.json();
    assert_eq!(one["symbols"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn candles_hold_what_was_traded() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 20));
    let at = |minute_of| minute(&sim, minute_of);
    let klines = async |query: String| {
        public(&sim, &format!("/api/v3/klines?symbol=BTCUSDT&{query}")).await.json()
    };
    // The late price of 00:09:30 is known by now and is the low of its candle.
    let ten = klines(format!("interval=10m&startTime={}", at(0))).await;
    assert_eq!(ten["code"], -1120);
    let rows = klines(format!("interval=15m&startTime={}&limit=1", at(0))).await;
    assert_eq!(
        rows,
        json!([[
            at(0),
            "60000.00000000",
            "60010.00000000",
            "1.00000000",
            "60010.00000000",
            "4.00000000",
            at(15) - 1,
            "180016.00000000",
            4,
            "0.00000000",
            "0.00000000",
            "0"
        ]])
    );
    // Minutes without a trade repeat the last close.
    let rows = klines(format!("interval=1m&startTime={}&endTime={}", at(15) + 1, at(18))).await;
    let opens: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row[0].clone(), row[4].clone(), row[8].clone()))
        .collect();
    let flat = |minute_of| (json!(at(minute_of)), json!("60015.00000000"), json!(0));
    assert_eq!(opens, [flat(16), flat(17), flat(18)]);
    // Without a start the newest ones.
    let rows = klines("interval=5m&limit=2".to_owned()).await;
    assert_eq!((&rows[0][0], &rows[1][0]), (&json!(at(15)), &json!(at(20))));
    let rows = klines("interval=1M".to_owned()).await;
    assert_eq!(rows[0][8], 6);
}

#[tokio::test]
async fn kraken_prices_the_dollar() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 10));
    let reply = get(&sim, KRAKEN, "/0/public/Ticker?pair=USDTUSD").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.json(),
        json!({"error":[],"result":{"USDTZUSD":{
            "a":["0.99910","1","1.000"],"b":["0.99910","1","1.000"],"c":["0.99910","1.00000000"],
            "v":["3.00000000","3.00000000"],"p":["0.99905","0.99905"],"t":[3,3],
            "l":["0.99900","0.99900"],"h":["0.99910","0.99910"],"o":"0.99900"}}})
    );
    let two = get(&sim, KRAKEN, "/0/public/Ticker?pair=XBT/USDT,USDT%2FUSD").await.json();
    let keys: Vec<_> = two["result"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["USDTZUSD", "XBTUSDT"]);
    for (target, error) in [
        ("/0/public/Ticker?pair=NEWUSDT", "EQuery:Unknown asset pair"),
        ("/0/public/Ticker?pair=", "EGeneral:Invalid arguments"),
        ("/0/public/Trades", "EGeneral:Unknown method"),
    ] {
        let reply = get(&sim, KRAKEN, target).await;
        assert_eq!((reply.status, reply.json()), (200, json!({"error":[error]})), "{target}");
    }
}

#[tokio::test]
async fn kraken_tells_the_time_in_whole_seconds() {
    let sim = start("quirks.json").await;
    let time = get(&sim, KRAKEN, "/0/public/Time").await.json();
    let seconds = sim.clock.view().now_ms / 1000;
    let expected = json!({"unixtime":seconds,"rfc1123":"Fri, 01 May 26 00:00:00 +0000"});
    assert_eq!(time["result"], expected);
    let status = get(&sim, KRAKEN, "/0/public/SystemStatus").await.json();
    let expected = json!({"status":"online","timestamp":"2026-05-01T00:00:00Z"});
    assert_eq!(status["result"], expected);
}

#[tokio::test]
async fn the_whole_demonstration_can_be_read() {
    let sim = start("spot-hours.json").await;
    let mut bought = 0;
    loop {
        let view = sim.clock.view();
        assert_eq!(balances(&sim, "binance-spot").await.0, 200);
        if sim.clock.round(view.now_ms).unwrap().ended {
            break;
        }
    }
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let rows = trades(&sim, "binance-spot", &format!("symbol={symbol}")).await;
        assert_eq!(ids(&rows), (100_001..=100_014).collect::<Vec<_>>());
        bought += rows.iter().filter(|row| row["isBuyer"] == true).count();
    }
    assert_eq!(bought, 15);
}

#[tokio::test]
async fn deposit_and_withdrawal_of_any_account_read_as_binances() {
    let sim = start("deposit.json").await;
    sim.clock.advance_to(u64::MAX);
    let path = "/sapi/v1/capital/deposit/hisrec";
    let rows = private(&sim, "kraken-spot", path, "").await.json();
    assert_eq!((&rows[0]["amount"], &rows[0]["status"]), (&json!("12500"), &json!(1)));

    let sim = start("withdrawal.json").await;
    sim.clock.advance_to(u64::MAX);
    let path = "/sapi/v1/capital/withdraw/history";
    let rows = private(&sim, "coinbase", path, "").await.json();
    let row = &rows[0];
    assert_eq!((&row["amount"], &row["transactionFee"]), (&json!("59994.00000000"), &json!("6")));
    assert_eq!((&row["status"], &row["applyTime"]), (&json!(6), &json!("2026-02-20 12:25:03")));
}
