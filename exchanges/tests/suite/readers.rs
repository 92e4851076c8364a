//! Replies become facts.

use exchanges::binance::Binance;
use exchanges::kraken::Kraken;
use exchanges::{
    Connector as _, Context, ExchangeError, Fact, FillsFrom, Interval, Market, Query, SystemStatus,
    TransferKind, UnixMillis, Window,
};

use crate::support::{CREDENTIALS, NOW, cases, context, reply, spot};

/// What each copied reply of Binance becomes, field by field.
#[test]
fn every_recorded_reply_has_its_facts() {
    let mut read = 0;
    for case in cases("binance") {
        if case["kind"] != "parse" && case["kind"] != "permissions" {
            continue;
        }
        let market: Market = case["market"].as_str().unwrap().parse().unwrap();
        let query = question(case["method"].as_str().unwrap());
        let instruments = crate::answers::context(&case).unwrap();
        let body = case["response"]["body"].as_str().unwrap();
        let page = Binance::new(market).read(&query, reply(200, body), &instruments).unwrap();
        assert_eq!(page.next, None);
        insta::with_settings!({ snapshot_suffix => case["id"].as_str().unwrap() }, {
            insta::assert_debug_snapshot!("facts", page.facts);
        });
        read += 1;
    }
    assert_eq!(read, 24);
}

#[test]
fn transfers_between_own_wallets_move_the_spot_wallet() {
    let window = Window::new(UnixMillis(1), UnixMillis(2));
    let query = |way: &str| Query::transfers(Some(way.to_owned()), window);
    let row = |way: &str, id: u64, status: &str| {
        format!(
            r#"{{"asset":"USDT","amount":"1.5","type":"{way}","status":"{status}","tranId":{id},"timestamp":1544433328000}}"#
        )
    };
    let read = |query: &Query, rows: &[String]| {
        spot(query, &format!(r#"{{"total":{},"rows":[{}]}}"#, rows.len(), rows.join(",")))
    };
    for (way, kind) in
        [("MAIN_UMFUTURE", TransferKind::Withdrawal), ("UMFUTURE_MAIN", TransferKind::Deposit)]
    {
        let page = read(&query(way), &[row(way, 7, "CONFIRMED")]).unwrap();
        let [Fact::Transfer(transfer)] = page.facts.as_slice() else { panic!("{page:?}") };
        assert_eq!((transfer.kind, transfer.internal), (kind, Some(true)));
        assert_eq!((transfer.id.as_str(), transfer.at), ("7", UnixMillis(1_544_433_328_000)));
        assert_eq!(page.next, None);
    }
    let full: Vec<_> = (0..100).map(|id| row("MAIN_MARGIN", id, "PENDING")).collect();
    let next = read(&query("MAIN_MARGIN"), &full).unwrap().next.unwrap();
    let request = Binance::new(Market::Spot).request(&next, Some(&CREDENTIALS), NOW);
    assert!(request.unwrap().url().contains("type=MAIN_MARGIN&startTime=1&endTime=2&current=2"));
    assert_eq!(spot(&query("MAIN_MARGIN"), r#"{"total":0}"#).unwrap().facts.len(), 0);
    for bad in [r#"{"total":3}"#, "{}", "[]", r#"{"total":1,"rows":[{}]}"#] {
        assert!(spot(&query("MAIN_MARGIN"), bad).is_err(), "{bad}");
    }
    assert!(read(&query("MAIN_MARGIN"), &[row("UMFUTURE_CMFUTURE", 1, "CONFIRMED")]).is_err());
    let unknown = Binance::new(Market::Spot).request(&query("MAIN_X&a=b"), Some(&CREDENTIALS), NOW);
    assert_eq!(unknown.err(), Some(ExchangeError::InvalidQuery { field: "account" }));
}

fn question(method: &str) -> Query {
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    let symbol = String::new();
    match method {
        "check_key_permissions" => Query::Permissions,
        "fetch_fills" => Query::Fills { symbol, from: FillsFrom::Id(0), limit: 1000 },
        "fetch_balances" => Query::balances(),
        "fetch_futures_balances" => Query::FuturesBalances,
        "fetch_positions" => Query::Positions,
        "fetch_deposits" => Query::deposits(window),
        "fetch_withdrawals" => Query::withdrawals(window),
        "fetch_fiat_orders" => Query::fiat_orders(TransferKind::Deposit, window),
        "fetch_income" => Query::Income { start: None, end: None, page: 1, limit: 1000 },
        "fetch_candles" => candles(),
        "fetch_ticker" => Query::Ticker { symbol },
        "fetch_prices" => Query::Prices { symbols: Vec::new() },
        "fetch_server_time" => Query::ServerTime,
        other => panic!("{other}"),
    }
}

fn candles() -> Query {
    Query::Candles { symbol: String::new(), interval: Interval::Day, window: None, limit: 1000 }
}

fn balances(rows: &str) -> Result<Vec<String>, ExchangeError> {
    let body = format!(r#"{{"balances":[{rows}],"uid":42}}"#);
    let page = spot(&Query::balances(), &body)?;
    let line = |fact: &Fact| match fact {
        Fact::Balance(balance) => format!(
            "{} {} {}+{}={}",
            balance.asset, balance.wallet, balance.free, balance.used, balance.net
        ),
        Fact::Identity(identity) => format!("{} {}", identity.kind.name(), identity.value),
        other => panic!("{other:?}"),
    };
    Ok(page.facts.iter().map(line).collect())
}

#[test]
fn balances_come_with_the_account_they_belong_to() {
    let rows = r#"{"asset":"BTC","free":"0.5","locked":"0.25"}"#;
    assert_eq!(balances(rows).unwrap(), ["BTC main 0.5+0.25=0.75", "uid 42"]);
}

#[test]
fn a_balance_may_be_negative() {
    let rows = r#"{"asset":"USDT","free":"-12.50","locked":"2"}"#;
    assert_eq!(balances(rows).unwrap(), ["USDT main -12.5+2=-10.5", "uid 42"]);
    // Zero in sum, but not zero throughout.
    let rows = r#"{"asset":"USDT","free":"-2","locked":"2"}"#;
    assert_eq!(balances(rows).unwrap(), ["USDT main -2+2=0", "uid 42"]);
}

#[test]
fn savings_are_told_from_assets_that_begin_alike() {
    let row = |asset: &str| format!(r#"{{"asset":"{asset}","free":"1","locked":"0"}}"#);
    for (asset, expected) in [
        ("LDBTC", "BTC earn 1+0=1"),
        // An asset of its own.
        ("LDO", "LDO main 1+0=1"),
        // Neither it nor what would remain is known.
        ("LDXYZ", "LDXYZ main 1+0=1"),
        ("LD", "LD main 1+0=1"),
        ("LDLDO", "LDO earn 1+0=1"),
    ] {
        assert_eq!(balances(&row(asset)).unwrap()[0], expected);
    }
}

#[test]
fn sums_that_do_not_fit_are_an_error_and_no_panic() {
    let max = "79228162514264337593543950335";
    let rows = format!(r#"{{"asset":"A","free":"{max}","locked":"1"}}"#);
    assert_eq!(balances(&rows).err(), Some(ExchangeError::Malformed { field: "free" }));
}

#[test]
fn the_account_is_known_by_its_uid() {
    let read = |body: &str| {
        let page = spot(&Query::AccountIdentity, body)?;
        match page.facts.as_slice() {
            [Fact::Identity(identity)] => Ok::<_, ExchangeError>(identity.value.clone()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(r#"{"uid":354937868}"#).unwrap(), "354937868");
    assert_eq!(read(r#"{"uid":"9007199254740993"}"#).unwrap(), "9007199254740993");
    let missing = ExchangeError::Malformed { field: "uid" };
    for body in ["{}", r#"{"uid":null}"#, r#"{"uid":""}"#, r#"{"uid":1.5}"#, r#"{"uid":[]}"#] {
        assert_eq!(read(body).err(), Some(missing.clone()), "{body}");
    }
}

#[test]
fn maintenance_is_an_answer_to_the_question_for_it() {
    let status = |body: &str| match spot(&Query::SystemStatus, body)?.facts.as_slice() {
        [Fact::SystemStatus(status)] => Ok::<_, ExchangeError>(*status),
        other => panic!("{other:?}"),
    };
    assert_eq!(status(r#"{"status":0,"msg":"normal"}"#), Ok(SystemStatus::Normal));
    let closed = r#"{"status":1,"msg":"system_maintenance"}"#;
    assert_eq!(status(closed), Ok(SystemStatus::Maintenance));
    assert!(status(r#"{"status":2,"msg":"?"}"#).is_err());
    assert!(status("{}").is_err());
    assert!(spot(&Query::ServerTime, closed).is_err());
}

fn instruments(market: Market, rows: &str) -> Vec<Fact> {
    let body = format!(r#"{{"timezone":"UTC","serverTime":1,"symbols":[{rows}]}}"#);
    let read = Binance::new(market).read(&Query::Instruments, reply(200, &body), &context());
    read.unwrap().facts
}

#[test]
fn instruments_are_named_by_market() {
    let spot = r#"{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
        {"symbol":"1000SATSFDUSD","status":"BREAK","baseAsset":"1000SATS","quoteAsset":"FDUSD"}"#;
    insta::assert_debug_snapshot!("instruments-spot", instruments(Market::Spot, spot));
    let usdm = r#"{"symbol":"BTCUSDT","contractType":"PERPETUAL","baseAsset":"BTC","quoteAsset":"USDT","marginAsset":"USDT"},
        {"symbol":"BTCUSDT_261225","contractType":"CURRENT_QUARTER","baseAsset":"BTC","quoteAsset":"USDT","marginAsset":"USDT"}"#;
    insta::assert_debug_snapshot!("instruments-usdm", instruments(Market::UsdM, usdm));
    let coinm = r#"{"symbol":"BTCUSD_PERP","baseAsset":"BTC","quoteAsset":"USD","marginAsset":"BTC","contractSize":100},
        {"symbol":"BTCUSD_261225","baseAsset":"BTC","quoteAsset":"USD","marginAsset":"BTC","contractSize":100}"#;
    insta::assert_debug_snapshot!("instruments-coinm", instruments(Market::CoinM, coinm));
}

#[test]
fn a_context_of_listed_instruments_reads_the_fills() {
    let row = r#"{"symbol":"ABCXYZ","baseAsset":"ABC","quoteAsset":"XYZ"}"#;
    let listed = instruments(Market::Spot, row).into_iter().map(|fact| match fact {
        Fact::Instrument(instrument) => instrument,
        other => panic!("{other:?}"),
    });
    let known = Context::new(listed);
    assert!(known.knows_asset("ABC") && known.knows_asset("XYZ"));
    let fill = crate::support::trade(1).replace("BTCUSDT", "ABCXYZ");
    let query = Query::fills_from("ABCXYZ", 0);
    let body = format!("[{fill}]");
    let spot = Binance::new(Market::Spot);
    let page = spot.read(&query, reply(200, &body), &known).unwrap();
    assert_eq!(page.facts.len(), 1);
    let unknown = spot.read(&query, reply(200, &body), &context()).err();
    assert_eq!(unknown, Some(ExchangeError::UnknownInstrument));
}

#[test]
fn one_price_comes_bare_and_empty_ones_are_left_out() {
    let prices = |body: &str| {
        let page = spot(&Query::Prices { symbols: Vec::new() }, body)?;
        let line = |fact: &Fact| match fact {
            Fact::Price(price) => format!("{} {}", price.symbol, price.price),
            other => panic!("{other:?}"),
        };
        Ok::<_, ExchangeError>(page.facts.iter().map(line).collect::<Vec<_>>())
    };
    let bare = r#"{"symbol":"BTCUSDT","price":"70000.10"}"#;
    assert_eq!(prices(bare).unwrap(), ["BTC/USDT 70000.1"]);
    let mixed = r#"[{"symbol":"BTCUSDT","price":""},{"symbol":"NEW","price":"1"},{"symbol":"ETHUSDT","price":3000.5}]"#;
    assert_eq!(prices(mixed).unwrap(), ["ETH/USDT 3000.5"]);
    let wrong = r#"[{"symbol":"BTCUSDT","price":"about 7"}]"#;
    assert_eq!(prices(wrong), Err(ExchangeError::Malformed { field: "price" }));
}

#[test]
fn coin_futures_bars_count_the_base_asset() {
    let body = r#"[[1700000300000,"1","4","0.5","2","900",1700000599999,"0.9",3,"0","0","0"],
        [1700000000000,"1","4","0.5","2","300",1700000299999,"0.3",3,"0","0","0"]]"#;
    let volumes = |market| {
        let read = Binance::new(market).read(&candles(), reply(200, body), &context());
        let volume = |fact: &Fact| match fact {
            Fact::Candle(candle) => (candle.open_at.0, candle.volume.to_string()),
            other => panic!("{other:?}"),
        };
        read.unwrap().facts.iter().map(volume).collect::<Vec<_>>()
    };
    let pair = |first: &str, second: &str| {
        [(1_700_000_000_000, first.to_owned()), (1_700_000_300_000, second.to_owned())]
    };
    assert_eq!(volumes(Market::Spot), pair("300", "900"));
    assert_eq!(volumes(Market::CoinM), pair("0.3", "0.9"));
}

#[test]
fn a_withdrawal_debits_amount_and_fee() {
    let row = r#"[{"id":"w","amount":"8.91","transactionFee":"0.004","coin":"USDT","status":6,"txId":"t","applyTime":"2024-02-29 00:00:00","completeTime":"2024-02-29 00:10:00"}]"#;
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    let page = spot(&Query::withdrawals(window), row).unwrap();
    let [Fact::Transfer(transfer)] = page.facts.as_slice() else { panic!("{:?}", page.facts) };
    assert_eq!(transfer.balance_change().unwrap().to_string(), "-8.914");
    assert_eq!(transfer.at, UnixMillis(1_709_164_800_000));
    assert_eq!(transfer.completed_at, Some(UnixMillis(1_709_165_400_000)));
    let page = spot(&Query::deposits(window), &row.replace("applyTime", "insertTime")).unwrap();
    let [Fact::Transfer(transfer)] = page.facts.as_slice() else { panic!("{:?}", page.facts) };
    assert_eq!(transfer.balance_change().unwrap().to_string(), "8.91");
}

#[test]
fn every_status_of_a_transfer_has_its_place() {
    use exchanges::TransferStatus::{Canceled, Failed, Ok, Pending, Unknown};
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    let status = |query: &Query, status: i32| {
        let body = format!(
            r#"[{{"amount":"1","coin":"A","status":{status},"txId":"t","applyTime":1,"insertTime":1}}]"#
        );
        match spot(query, &body).unwrap().facts.as_slice() {
            [Fact::Transfer(transfer)] => {
                // No id of its own: the transaction's.
                assert_eq!(transfer.id, "t");
                transfer.status
            }
            other => panic!("{other:?}"),
        }
    };
    let deposits = [Pending, Ok, Failed, Unknown, Unknown, Unknown, Ok, Failed, Pending, Unknown];
    let withdrawals = [Pending, Canceled, Pending, Failed, Pending, Failed, Ok, Unknown];
    for (code, expected) in (0..).zip(deposits) {
        assert_eq!(status(&Query::deposits(window), code), expected, "{code}");
    }
    for (code, expected) in (0..).zip(withdrawals) {
        assert_eq!(status(&Query::withdrawals(window), code), expected, "{code}");
    }
    let fiat = |status: &str| {
        let body = format!(
            r#"{{"code":"000000","data":[{{"orderNo":"1","fiatCurrency":"EUR","amount":"1","status":"{status}","createTime":1}}],"success":true}}"#
        );
        match spot(&Query::fiat_orders(TransferKind::Deposit, window), &body)
            .unwrap()
            .facts
            .as_slice()
        {
            [Fact::Transfer(transfer)] => transfer.status,
            other => panic!("{other:?}"),
        }
    };
    for (word, expected) in [
        ("Successful", Ok),
        ("Finished", Ok),
        ("Completed", Ok),
        ("Processing", Pending),
        ("Refunding", Pending),
        ("Refunded", Canceled),
        ("Failed", Failed),
        ("Expired", Failed),
        ("Refund Failed", Failed),
        ("successful", Unknown),
        ("Anything", Unknown),
    ] {
        assert_eq!(fiat(word), expected, "{word}");
    }
}

#[test]
fn kraken_prices_the_dollar_without_a_context() {
    let body = r#"{"error":[],"result":{
        "USDTZUSD":{"a":["1.00010","1","1.0"],"b":["1.00000","1","1.0"],"c":["0.99990","5"]},
        "XNEWZUSD":{"c":["7","1"]}}}"#;
    let prices = Query::Prices { symbols: vec!["USDTUSD".to_owned()] };
    let page = Kraken.read(&prices, reply(200, body), &Context::default()).unwrap();
    let [Fact::Price(price)] = page.facts.as_slice() else { panic!("{:?}", page.facts) };
    assert_eq!((price.base.as_str(), price.quote.as_str()), ("USDT", "USD"));
    assert_eq!(price.price.to_string(), "0.9999");
    let ticker = Query::Ticker { symbol: "USDTUSD".to_owned() };
    let page = Kraken.read(&ticker, reply(200, body), &Context::default()).unwrap();
    let [Fact::Ticker(ticker)] = page.facts.as_slice() else { panic!("{:?}", page.facts) };
    assert_eq!(ticker.bid.unwrap().to_string(), "1");
    assert_eq!(ticker.ask.unwrap().to_string(), "1.0001");
    for body in [
        r#"{"error":[]}"#,
        r#"{"error":[],"result":[]}"#,
        r#"{"error":[],"result":{"USDTZUSD":{}}}"#,
        r#"{"error":[],"result":{"USDTZUSD":{"c":[]}}}"#,
        "[]",
        "",
    ] {
        let read = Kraken.read(&prices, reply(200, body), &Context::default());
        assert!(matches!(read, Err(ExchangeError::Malformed { .. })), "{body}");
    }
}
