//! Margin and futures on the wire: one user, five wallets.

use exchange_sim::{BINANCE, BINANCE_COINM, BINANCE_USDM, Budgets, Options, Sim};
use serde_json::{Value, json};

use crate::client::{Reply, call, get, minute, sign, start, start_with};

const USDM: &str = BINANCE_USDM;
const COINM: &str = BINANCE_COINM;

async fn ask(sim: &Sim, account: &str, host: &str, path: &str, query: &str) -> Reply {
    let key = sim.key_of(account).unwrap();
    let target = format!("{path}?{}", sign(sim, key, query));
    call(sim, host, "GET", &target, &[("X-MBX-APIKEY", &key.api_key)], "").await.unwrap()
}

/// A reply of `ann`, whose key of any wallet reads them all.
async fn read(sim: &Sim, host: &str, path: &str, query: &str) -> Value {
    let reply = ask(sim, "ann:spot", host, path, query).await;
    assert_eq!(reply.status, 200, "{path}?{query}: {}", reply.text());
    reply.json()
}

async fn at_the_end(scenario: &str, last: u64) -> Sim {
    let sim = start(scenario).await;
    sim.clock.advance_to(minute(&sim, last));
    sim
}

fn pick(rows: &Value, names: &[&str]) -> Vec<Vec<Value>> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| names.iter().map(|name| row[*name].clone()).collect()).collect()
}

#[tokio::test]
async fn usdm_equity_is_the_wallet_and_what_the_positions_make() {
    let sim = at_the_end("usdt-futures.json", 25).await;
    let account = ask(&sim, "binance-futures", USDM, "/fapi/v3/account", "").await.json();
    let names = ["asset", "walletBalance", "unrealizedProfit", "marginBalance"];
    let texts = |row: [&str; 4]| row.map(|text| json!(text)).to_vec();
    let expected = [
        texts(["BNB", "3.00000000", "0.00000000", "3.00000000"]),
        // 95.085 of ETHUSDT and 3.197 of BTCUSDT.
        texts(["USDT", "24995.54744880", "98.28200000", "25093.82944880"]),
    ];
    assert_eq!(pick(&account["assets"], &names), expected);
    assert_eq!(account["totalMarginBalance"], "25093.82944880");
    let risk = ask(&sim, "binance-futures", USDM, "/fapi/v3/positionRisk", "").await.json();
    let names = ["symbol", "positionAmt", "entryPrice", "markPrice", "unRealizedProfit"];
    let texts = |row: [&str; 5]| row.map(|text| json!(text)).to_vec();
    let expected = [
        texts(["ETHUSDT", "1.5", "3200", "3263.39000000", "95.08500000"]),
        texts(["BTCUSDT", "0.1", "63313.78", "63345.75000000", "3.19700000"]),
    ];
    assert_eq!(pick(&risk, &names), expected);
    // The same user's spot wallet is empty, and there.
    let spot = ask(&sim, "binance-futures", BINANCE, "/api/v3/account", "omitZeroBalances=true");
    assert_eq!(spot.await.json()["balances"], json!([]));
}

#[tokio::test]
async fn usdm_trades_carry_what_they_realised() {
    let sim = at_the_end("wallets.json", 60).await;
    let trades = read(&sim, USDM, "/fapi/v1/userTrades", "symbol=BTCUSDT").await;
    let names = ["id", "side", "qty", "realizedPnl", "commission", "maker"];
    let row = |id: u64, texts: [&str; 4], maker: bool| {
        let texts = texts.map(|text| json!(text));
        [vec![json!(id)], texts.to_vec(), vec![json!(maker)]].concat()
    };
    let expected = [
        row(71001, ["BUY", "0.08", "0.00000000", "1.92161600"], false),
        // (60210 - 60050.5) * 0.03
        row(71002, ["SELL", "0.03", "4.78500000", "-0.18063000"], true),
        // (59950 - 60050.5) * 0.05; the other 0.04 opens a short.
        row(71003, ["SELL", "0.09", "-5.02500000", "2.15820000"], false),
    ];
    assert_eq!(pick(&trades, &names), expected);
    let from = read(&sim, USDM, "/fapi/v1/userTrades", "symbol=BTCUSDT&fromId=71002&limit=1").await;
    assert_eq!(pick(&from, &["id"]), [[json!(71002)]]);
}

#[tokio::test]
async fn income_is_listed_once_for_each_kind_and_by_pages() {
    let sim = at_the_end("wallets.json", 60).await;
    let all = read(&sim, USDM, "/fapi/v1/income", "limit=1000").await;
    let names = ["incomeType", "income", "asset", "symbol", "tradeId"];
    let text = |row: [&str; 5]| row.map(|text| json!(text)).to_vec();
    let expected = [
        text(["COMMISSION", "-1.92161600", "USDT", "BTCUSDT", "71001"]),
        text(["COMMISSION", "-0.00310000", "BNB", "ETHUSDT", "72001"]),
        text(["COMMISSION", "0.18063000", "USDT", "BTCUSDT", "71002"]),
        text(["REALIZED_PNL", "4.78500000", "USDT", "BTCUSDT", "71002"]),
        text(["COMMISSION", "-2.15820000", "USDT", "BTCUSDT", "71003"]),
        text(["REALIZED_PNL", "-5.02500000", "USDT", "BTCUSDT", "71003"]),
        text(["FUNDING_FEE", "-0.41200000", "USDT", "BTCUSDT", ""]),
        text(["TRANSFER", "-500.00000000", "USDT", "", ""]),
    ];
    assert_eq!(pick(&all, &names), expected);
    // A trade's lines share one number, unique within their kind.
    assert_eq!(all[2]["tranId"], all[3]["tranId"]);
    assert_ne!(all[3]["tranId"], all[4]["tranId"]);
    assert!(all[0]["tranId"].is_u64());
    let second = read(&sim, USDM, "/fapi/v1/income", "limit=3&page=2").await;
    assert_eq!(second, json!(all.as_array().unwrap()[3..6]));
    let funding = read(&sim, USDM, "/fapi/v1/income", "incomeType=FUNDING_FEE").await;
    assert_eq!(funding.as_array().unwrap().len(), 1);
    let time = all[3]["time"].as_u64().unwrap();
    let query = format!("startTime={time}&endTime={time}");
    let both = read(&sim, USDM, "/fapi/v1/income", &query).await;
    assert_eq!(both, json!(all.as_array().unwrap()[2..4]));
    let coins = read(&sim, COINM, "/dapi/v1/income", "").await;
    assert!(coins[0]["tranId"].is_string());
}

#[tokio::test]
async fn coinm_counts_contracts_and_settles_in_the_coin() {
    let sim = at_the_end("wallets.json", 60).await;
    let info = get(&sim, COINM, "/dapi/v1/exchangeInfo").await.json();
    let names = ["symbol", "contractType", "contractSize", "marginAsset", "quoteAsset"];
    let expected = [
        vec![
            json!("BTCUSD_260626"),
            json!("CURRENT_QUARTER"),
            json!(100),
            json!("BTC"),
            json!("USD"),
        ],
        vec![json!("BTCUSD_PERP"), json!("PERPETUAL"), json!(100), json!("BTC"), json!("USD")],
    ];
    assert_eq!(pick(&info["symbols"], &names), expected);
    let trades = read(&sim, COINM, "/dapi/v1/userTrades", "symbol=BTCUSD_PERP").await;
    let names = ["qty", "quoteQty", "baseQty", "realizedPnl"];
    let text = |row: [&str; 4]| row.map(|text| json!(text)).to_vec();
    let expected = [
        text(["10", "1000", "0.01664999", "0.00000000"]),
        // (1/59900 - 1/60060.1) * 4 * 100, of the short
        text(["4", "400", "0.0066778", "0.00001780"]),
        // (1/60300 - 1/60060.1) * 6 * 100, of the short; the other 3 open a long
        text(["9", "900", "0.01492537", "-0.00003974"]),
    ];
    assert_eq!(pick(&trades, &names), expected);
    let pair = read(&sim, COINM, "/dapi/v1/userTrades", "pair=BTCUSD").await;
    assert_eq!(pair.as_array().unwrap().len(), 4);
    let held = read(&sim, COINM, "/dapi/v1/positionRisk", "").await;
    let names = ["symbol", "positionAmt", "entryPrice"];
    let expected = [["BTCUSD_260626", "2", "60222.2"], ["BTCUSD_PERP", "3", "60300"]];
    assert_eq!(pick(&held, &names), expected.map(|row| row.map(|text| json!(text)).to_vec()));
}

#[tokio::test]
async fn margin_accounts_show_assets_and_debts() {
    let sim = at_the_end("wallets.json", 60).await;
    let cross = read(&sim, BINANCE, "/sapi/v1/margin/account", "").await;
    let names = ["asset", "free", "locked", "borrowed", "interest", "netAsset"];
    let text = |row: [&str; 6]| row.map(|text| json!(text)).to_vec();
    let expected = [
        text(["BTC", "0.00000000", "0.00000000", "0.10000000", "0.00000120", "-0.10000120"]),
        text(["ETH", "2.00000000", "0.00000000", "0.00000000", "0.00000000", "2.00000000"]),
        text([
            "USDT",
            "16003.49050000",
            "2000.00000000",
            "0.00000000",
            "0.00000000",
            "18003.49050000",
        ]),
    ];
    assert_eq!(pick(&cross["userAssets"], &names), expected);
    let isolated = read(&sim, BINANCE, "/sapi/v1/margin/isolated/account", "").await;
    let pairs = isolated["assets"].as_array().unwrap();
    let net = |row: &Value| (row["asset"].clone(), row["netAsset"].clone());
    let nets: Vec<_> =
        pairs.iter().map(|pair| (net(&pair["baseAsset"]), net(&pair["quoteAsset"]))).collect();
    let row = |asset: &str, net: &str| (json!(asset), json!(net));
    let expected = [
        // 500 - 300.55 - 150.3502 free, 300.015 owed.
        (row("BTC", "0.01499500"), row("USDT", "-250.91520000")),
        (row("ETH", "0.05000000"), row("USDT", "0.00000000")),
    ];
    assert_eq!(nets, expected);
    let one = "symbols=ETHUSDT";
    let one = read(&sim, BINANCE, "/sapi/v1/margin/isolated/account", one).await;
    assert_eq!(
        (one["assets"].as_array().unwrap().len(), &one["totalAssetOfBtc"]),
        (1, &Value::Null)
    );
    let trades = "/sapi/v1/margin/myTrades";
    for (query, ids) in [
        ("symbol=BTCUSDT", vec![51001]),
        ("symbol=BTCUSDT&isIsolated=TRUE", vec![51002]),
        ("symbol=ETHUSDT&isIsolated=TRUE", vec![52001]),
        ("symbol=ETHUSDT&isIsolated=FALSE", vec![]),
    ] {
        let rows = read(&sim, BINANCE, trades, query).await;
        let expected: Vec<_> = ids.into_iter().map(|id: u64| vec![json!(id)]).collect();
        assert_eq!(pick(&rows, &["id"]), expected, "{query}");
    }
    let interest = read(&sim, BINANCE, "/sapi/v1/margin/interestHistory", "").await;
    assert_eq!(
        pick(&interest["rows"], &["asset", "interest"]),
        [[json!("BTC"), json!("0.00000120")]]
    );
}

#[tokio::test]
async fn each_wallet_has_its_own_trades_and_transfers() {
    let sim = at_the_end("wallets.json", 60).await;
    let spot = read(&sim, BINANCE, "/api/v3/myTrades", "symbol=BTCUSDT").await;
    assert_eq!(pick(&spot, &["id"]), [[json!(41001)], [json!(41005)]]);
    let deposits = read(&sim, BINANCE, "/sapi/v1/capital/deposit/hisrec", "").await;
    assert_eq!(pick(&deposits, &["id", "amount"]), [[json!("dep-1"), json!("2500")]]);
    let withdrawals = read(&sim, BINANCE, "/sapi/v1/capital/withdraw/history", "").await;
    assert_eq!(pick(&withdrawals, &["id"]), [[json!("wd-2")], [json!("wd-1")]]);
    let account = read(&sim, BINANCE, "/api/v3/account", "omitZeroBalances=true").await;
    let names: Vec<_> = pick(&account["balances"], &["asset"]).concat();
    assert_eq!(names, ["BNB", "BTC", "ETH", "USDT", "LDUSDT"]);
}

#[tokio::test]
async fn savings_of_a_margin_wallet_are_in_the_spot_wallet() {
    let sim = at_the_end("margin.json", 70).await;
    let spot =
        ask(&sim, "binance-margin", BINANCE, "/api/v3/account", "omitZeroBalances=true").await;
    assert_eq!(
        pick(&spot.json()["balances"], &["asset", "free"]),
        [[json!("LDETH"), json!("1.50000000")]]
    );
}

#[tokio::test]
async fn the_last_price_is_in_every_ticker() {
    let sim = at_the_end("wallets.json", 60).await;
    for (host, path, price) in [
        (BINANCE, "/api/v3/ticker/24hr?symbol=BTCUSDT", "lastPrice"),
        (USDM, "/fapi/v1/ticker/24hr?symbol=BTCUSDT", "lastPrice"),
        (USDM, "/fapi/v1/ticker/price?symbol=BTCUSDT", "price"),
        (USDM, "/fapi/v1/premiumIndex?symbol=BTCUSDT", "markPrice"),
        (COINM, "/dapi/v1/ticker/24hr?symbol=BTCUSD_PERP", "lastPrice"),
        (COINM, "/dapi/v1/ticker/price?symbol=BTCUSD_PERP", "price"),
        (COINM, "/dapi/v1/premiumIndex?symbol=BTCUSD_PERP", "markPrice"),
    ] {
        let reply = get(&sim, host, path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let reply = reply.json();
        // COIN-M answers with a list even for one symbol.
        assert_eq!(reply.is_array(), host == COINM, "{path}");
        let row = if host == COINM { &reply[0] } else { &reply };
        assert_eq!(row[price], "60330.00000000", "{path}");
    }
    let day = get(&sim, BINANCE, "/api/v3/ticker/24hr?symbol=BTCUSDT").await.json();
    let names = ["openPrice", "highPrice", "lowPrice", "count"];
    let day: Vec<_> = names.iter().map(|name| day[*name].clone()).collect();
    let expected =
        [json!("60000.00000000"), json!("60330.00000000"), json!("59750.00000000"), json!(13)];
    assert_eq!(day, expected);
    let bars = "/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=2";
    let bars = get(&sim, USDM, bars).await.json();
    assert_eq!(bars[0][4], "60260.00000000");
}

#[tokio::test]
async fn futures_refuse_what_the_venue_refuses() {
    let sim = at_the_end("wallets.json", 60).await;
    let week = 7 * 24 * 3600 * 1000 + 1;
    for (host, path, query, expected) in [
        (USDM, "/fapi/v1/userTrades", String::new(), -1102),
        (USDM, "/fapi/v1/userTrades", "symbol=BTCUSD_PERP".into(), -1121),
        (USDM, "/fapi/v1/userTrades", "symbol=BTCUSDT&limit=1001".into(), -1130),
        (USDM, "/fapi/v1/userTrades", "symbol=BTCUSDT&fromId=1&startTime=1".into(), -1128),
        (USDM, "/fapi/v1/userTrades", format!("symbol=BTCUSDT&startTime=0&endTime={week}"), -1127),
        (USDM, "/fapi/v1/userTrades", "symbol=BTCUSDT&colour=red".into(), -1104),
        (USDM, "/fapi/v1/income", "limit=1001".into(), -1130),
        (COINM, "/dapi/v1/userTrades", "symbol=BTCUSD_PERP&pair=BTCUSD".into(), -1128),
        (COINM, "/dapi/v1/userTrades", "pair=BTCUSD&fromId=1".into(), -1128),
        (BINANCE, "/sapi/v1/margin/myTrades", "symbol=BTCUSDT&isIsolated=maybe".into(), -1130),
        (
            BINANCE,
            "/sapi/v1/margin/myTrades",
            "symbol=BTCUSDT&startTime=0&endTime=86400001".into(),
            -1127,
        ),
    ] {
        let reply = ask(&sim, "ann:usdm", host, path, &query).await;
        assert_eq!(reply.refusal(), (400, expected), "{path}?{query}");
    }
    let unsigned = get(&sim, USDM, "/fapi/v3/account").await;
    assert_eq!(unsigned.refusal(), (401, -2014));
    // A path of another host is no path here.
    assert_eq!(get(&sim, USDM, "/dapi/v1/time").await.status, 404);
    let spot = start("spot-hours.json").await;
    let futures = ask(&spot, "binance-spot", USDM, "/fapi/v3/account", "").await;
    assert_eq!(futures.refusal(), (401, -2015));
    let margin = ask(&spot, "binance-spot", BINANCE, "/sapi/v1/margin/account", "").await;
    assert_eq!(margin.refusal(), (400, -3003));
}

#[tokio::test]
async fn each_host_has_its_own_weight() {
    let budgets = Budgets { futures_weight: 45, ..Budgets::default() };
    let options = Options { budgets, ..Options::default() };
    let sim = start_with("wallets.json", options).await;
    let used = |reply: &Reply| reply.header("X-MBX-USED-WEIGHT-1M").map(str::to_owned);
    let income = ask(&sim, "ann:usdm", USDM, "/fapi/v1/income", "").await;
    assert_eq!((income.status, used(&income)), (200, Some("30".to_owned())));
    let bars = get(&sim, USDM, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1001").await;
    assert_eq!((bars.status, used(&bars)), (200, Some("40".to_owned())));
    let trades = ask(&sim, "ann:coinm", COINM, "/dapi/v1/userTrades", "pair=BTCUSD").await;
    assert_eq!((trades.status, used(&trades)), (200, Some("40".to_owned())));
    let over = ask(&sim, "ann:usdm", USDM, "/fapi/v1/income", "").await;
    assert_eq!(over.refusal(), (429, -1003));
    let spot = ask(&sim, "ann:spot", BINANCE, "/api/v3/account", "").await;
    assert_eq!((spot.status, used(&spot)), (200, Some("20".to_owned())));
    let symbols = "symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D";
    for (query, weight) in [("symbol=BTCUSDT", "22"), (symbols, "24"), ("", "104")] {
        let reply = get(&sim, BINANCE, &format!("/api/v3/ticker/24hr?{query}")).await;
        assert_eq!((reply.status, used(&reply)), (200, Some(weight.to_owned())), "{query}");
    }
}
