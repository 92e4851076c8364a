//! Lists that go on at a cursor: where a full page leads, and that no page is
//! mistaken for the last.

use exchanges::bybit::Bybit;
use exchanges::coinbase::Coinbase;
use exchanges::okx::Okx;
use exchanges::{
    Connector, Context, Credentials, Cursor, ExchangeError, Instrument, Nonce, Page, Query,
    UnixMillis, Window,
};

use crate::support::{list, reply};

const WINDOW: Window = Window::new(UnixMillis(1_700_000_000_000), UnixMillis(1_700_000_600_000));

fn context() -> Context {
    Context::new([
        Instrument::spot("BTC-USD", "BTC", "USD"),
        Instrument::spot("BTC-USDT", "BTC", "USDT"),
        Instrument::spot("BTCUSDT", "BTC", "USDT"),
    ])
}

fn at(cursor: &str) -> Cursor {
    cursor.parse().unwrap()
}

fn fills(cursor: impl Into<Option<Cursor>>) -> Query {
    let cursor = cursor.into();
    Query::AccountFills { window: WINDOW, cursor, limit: 2 }
}

fn transfers(cursor: impl Into<Option<Cursor>>) -> Query {
    let cursor = cursor.into();
    Query::Transfers { account: Some("wallet-1".to_owned()), window: WINDOW, cursor }
}

fn balances(cursor: impl Into<Option<Cursor>>) -> Query {
    Query::Balances { cursor: cursor.into() }
}

fn read(connector: &dyn Connector, query: &Query, body: &str) -> Result<Page, ExchangeError> {
    connector.read(query, reply(200, body), &context())
}

fn next(connector: &dyn Connector, query: &Query, body: &str) -> Option<Query> {
    read(connector, query, body).unwrap().next
}

fn malformed(field: &'static str) -> ExchangeError {
    ExchangeError::Malformed { field }
}

// ---- Coinbase

fn coinbase_fills(cursor: &str) -> String {
    format!(
        r#"{{"fills":[{{"entry_id":"e","trade_id":"t","order_id":"o","trade_time":"2024-01-01T00:00:00Z","trade_type":"FILL","price":"1","size":"1","commission":"0","product_id":"BTC-USD","liquidity_indicator":"MAKER","size_in_quote":false,"side":"BUY"}}],"cursor":{cursor}}}"#
    )
}

#[test]
fn coinbase_follows_the_cursor_until_it_is_empty() {
    let on = next(&Coinbase, &fills(None), &coinbase_fills(r#""C1""#));
    assert_eq!(on, Some(fills(at("C1"))));
    for last in [r#""""#, "null"] {
        assert_eq!(next(&Coinbase, &fills(at("C1")), &coinbase_fills(last)), None);
    }
    let stuck = read(&Coinbase, &fills(at("C1")), &coinbase_fills(r#""C1""#));
    assert_eq!(stuck.err(), Some(malformed("cursor")));
}

#[test]
fn coinbase_balances_go_on_only_where_there_is_more() {
    let page = |rest: &str| format!(r#"{{"accounts":[],{rest}}}"#);
    let more = page(r#""has_next":true,"cursor":"7""#);
    assert_eq!(next(&Coinbase, &balances(None), &more), Some(balances(at("7"))));
    assert_eq!(next(&Coinbase, &balances(None), &page(r#""has_next":false,"cursor":"7""#)), None);
    let cut = read(&Coinbase, &balances(None), &page(r#""has_next":true,"cursor":"""#));
    assert_eq!(cut.err(), Some(malformed("cursor")));
    let silent = read(&Coinbase, &balances(None), r#"{"accounts":[]}"#);
    assert_eq!(silent.err(), Some(malformed("has_next")));
    assert_eq!(read(&Coinbase, &balances(at("7")), &more).err(), Some(malformed("cursor")));
}

fn transactions(created: &str, next_uri: &str) -> String {
    format!(
        r#"{{"pagination":{{"order":"desc","next_uri":{next_uri}}},"data":[{{"id":"x","type":"trade","status":"completed","amount":{{"amount":"1","currency":"BTC"}},"created_at":"{created}"}}]}}"#
    )
}

#[test]
fn coinbase_transactions_go_on_below_the_last_until_the_window_begins() {
    let uri = r#""/v2/accounts/wallet-1/transactions?limit=100&starting_after=abc-1""#;
    let inside = transactions("2023-11-14T22:15:00Z", uri);
    assert_eq!(next(&Coinbase, &transfers(None), &inside), Some(transfers(at("abc-1"))));
    let before = transactions("2023-11-14T22:13:19Z", uri);
    assert_eq!(next(&Coinbase, &transfers(None), &before), None);
    let last = transactions("2023-11-14T22:15:00Z", "null");
    assert_eq!(next(&Coinbase, &transfers(None), &last), None);
    let stuck = read(&Coinbase, &transfers(at("abc-1")), &inside);
    assert_eq!(stuck.err(), Some(malformed("next_uri")));
}

#[test]
fn a_reply_does_not_say_where_a_token_is_sent() {
    for uri in [
        r#""https://evil.example/""#,
        r#""https://evil.example/?starting_after=a%2Fb""#,
        r#""/v2/accounts/other/transactions?starting_after=../../v2/user""#,
        r#""/v2/accounts/other/transactions""#,
    ] {
        let body = transactions("2023-11-14T22:15:00Z", uri);
        assert_eq!(
            read(&Coinbase, &transfers(None), &body).err(),
            Some(malformed("next_uri")),
            "{uri}"
        );
    }
    let elsewhere = r#""https://evil.example/v2/accounts/other/transactions?starting_after=abc""#;
    let on = next(&Coinbase, &transfers(None), &transactions("2023-11-14T22:15:00Z", elsewhere));
    let credentials = Credentials {
        key: "organizations/o/apiKeys/k",
        secret: b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
        passphrase: None,
    };
    let request =
        Coinbase.request_with(&on.unwrap(), Some(&credentials), WINDOW.end, &Nonce([0; 16]));
    assert_eq!(
        *request.unwrap().url(),
        "https://api.coinbase.com/v2/accounts/wallet-1/transactions?limit=100&starting_after=abc"
    );
}

// ---- OKX

fn okx(rows: impl IntoIterator<Item = String>) -> String {
    format!(r#"{{"code":"0","msg":"","data":{}}}"#, list(rows))
}

fn okx_fill(number: u64) -> String {
    format!(
        r#"{{"instId":"BTC-USDT","tradeId":"1","ordId":"2","billId":"{number}","fillPx":"1","fillSz":"1","side":"buy","execType":"T","feeCcy":"BTC","fee":"0","ts":"1700000000000"}}"#
    )
}

#[test]
fn okx_takes_one_sort_of_instrument_after_the_other() {
    let full = okx([9, 8].map(okx_fill));
    assert_eq!(next(&Okx, &fills(None), &full), Some(fills(at("SPOT:8"))));
    assert_eq!(next(&Okx, &fills(at("SPOT:8")), &okx([okx_fill(7)])), Some(fills(at("MARGIN:"))));
    assert_eq!(next(&Okx, &fills(at("MARGIN:")), &full), Some(fills(at("MARGIN:8"))));
    assert_eq!(next(&Okx, &fills(at("MARGIN:8")), &okx([])), None);
    let stuck = read(&Okx, &fills(at("SPOT:8")), &full);
    assert_eq!(stuck.err(), Some(malformed("billId")));
}

#[test]
fn okx_takes_one_wallet_after_the_other() {
    let mut query = balances(None);
    let mut wallets = Vec::new();
    while let Some(on) = next(&Okx, &query, &okx([])) {
        let Query::Balances { cursor: Some(cursor) } = &on else { panic!("{on:?}") };
        wallets.push(cursor.as_str().to_owned());
        query = on;
    }
    assert_eq!(wallets, ["funding", "savings"]);
}

fn okx_deposits(times: &[u64]) -> String {
    okx(times.iter().enumerate().map(|(id, ts)| {
        format!(
            r#"{{"amt":"1","ccy":"BTC","chain":"c","depId":"{id}","fromWdId":"","state":"2","ts":"{ts}","txId":"t"}}"#
        )
    }))
}

#[test]
fn okx_transfers_go_on_by_time_and_lose_nothing_that_shares_one() {
    let start = WINDOW.start.0;
    let mut times = vec![start + 50; 99];
    times.push(start + 20);
    let on = next(&Okx, &transfers(None), &okx_deposits(&times));
    assert_eq!(on, Some(transfers(at(&format!("deposits:{}", start + 21)))));
    // Beyond the window, or not full: the other list.
    let withdrawals = Some(transfers(at("withdrawals:")));
    times.push(start - 1);
    assert_eq!(next(&Okx, &transfers(None), &okx_deposits(&times)), withdrawals);
    assert_eq!(next(&Okx, &transfers(None), &okx_deposits(&times[..99])), withdrawals);
    assert_eq!(next(&Okx, &transfers(at("withdrawals:")), &okx([])), None);
    // A page of one single time would come again.
    let one = okx_deposits(&[start + 50; 100]);
    let stuck = read(&Okx, &transfers(at(&format!("deposits:{}", start + 51))), &one);
    assert_eq!(stuck.err(), Some(malformed("ts")));
}

// ---- Bybit

fn bybit(result: &str) -> String {
    format!(r#"{{"retCode":0,"retMsg":"OK","result":{result},"time":1}}"#)
}

#[test]
fn bybit_follows_the_cursor_until_it_is_empty_or_leads_to_nothing() {
    let fill = r#"{"symbol":"BTCUSDT","orderId":"o","side":"Buy","execFee":"0","execId":"e","execPrice":"1","execQty":"1","execType":"Trade","execTime":"1700000000000","isMaker":false}"#;
    let page = |rows: &str, cursor: &str| {
        bybit(&format!(r#"{{"list":[{rows}],"nextPageCursor":"{cursor}"}}"#))
    };
    let encoded = "132766%3A2%2C132766%3A2";
    assert_eq!(next(&Bybit, &fills(None), &page(fill, encoded)), Some(fills(at(encoded))));
    assert_eq!(next(&Bybit, &fills(at(encoded)), &page(fill, "")), None);
    assert_eq!(next(&Bybit, &fills(at(encoded)), &page("", "more")), None);
    let stuck = read(&Bybit, &fills(at("a")), &page(fill, "a"));
    assert_eq!(stuck.err(), Some(malformed("nextPageCursor")));
}

#[test]
fn bybit_takes_one_list_and_one_wallet_after_the_other() {
    let unified = bybit(r#"{"list":[]}"#);
    assert_eq!(next(&Bybit, &balances(None), &unified), Some(balances(at("FUND"))));
    let funding = bybit(r#"{"balance":[]}"#);
    assert_eq!(next(&Bybit, &balances(at("FUND")), &funding), None);
    let empty = bybit(r#"{"rows":[],"nextPageCursor":""}"#);
    assert_eq!(next(&Bybit, &transfers(None), &empty), Some(transfers(at("internal:"))));
    assert_eq!(
        next(&Bybit, &transfers(at("internal:")), &empty),
        Some(transfers(at("withdrawals:")))
    );
    assert_eq!(next(&Bybit, &transfers(at("withdrawals:")), &empty), None);
    let row = r#"{"coin":"USDT","chain":"E","amount":"7","txID":"","status":"success","withdrawFee":"1","createTime":"1670922217000","withdrawId":"9","withdrawType":0}"#;
    let more = bybit(&format!(r#"{{"rows":[{row}],"nextPageCursor":"c"}}"#));
    let on = next(&Bybit, &transfers(at("withdrawals:")), &more);
    assert_eq!(on, Some(transfers(at("withdrawals:c"))));
    let stuck = read(&Bybit, &transfers(at("withdrawals:c")), &more);
    assert_eq!(stuck.err(), Some(malformed("nextPageCursor")));
}

#[test]
fn a_cursor_of_another_exchange_is_refused() {
    let credentials = Credentials { key: "k", secret: b"s", passphrase: Some(b"p") };
    let connectors: [&dyn Connector; 2] = [&Okx, &Bybit];
    for connector in connectors {
        for query in [balances(at("nowhere")), transfers(at("nowhere:1"))] {
            let refused = connector.request(&query, Some(&credentials), WINDOW.end).err();
            assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "cursor" }));
        }
    }
    for cursor in ["SPOT", "SPOT:x", "SWAP:1"] {
        let refused = Okx.request(&fills(at(cursor)), Some(&credentials), WINDOW.end).err();
        assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "cursor" }));
    }
}

#[test]
fn a_contract_or_a_name_that_says_nothing_is_unknown() {
    let unknown = Some(ExchangeError::UnknownInstrument);
    let body = coinbase_fills("null");
    for product in ["BIT-27NOV26-CDE", "BTC", "-USD", "BTC-", ""] {
        let body = body.replace("BTC-USD", product);
        let read = read(&Coinbase, &fills(None), &body).err();
        let missing = product.is_empty().then(|| malformed("product_id"));
        assert_eq!(read, missing.or_else(|| unknown.clone()), "{product}");
    }
    let body = okx([okx_fill(1)]);
    for pair in ["BTC-USDT-SWAP", "BTC-USD-240329", "BTC", "-USDT"] {
        let body = body.replace("BTC-USDT", pair);
        assert_eq!(read(&Okx, &fills(None), &body).err(), unknown, "{pair}");
    }
    let fill = r#"{"symbol":"SYMBOL","orderId":"o","side":"Buy","execId":"e","execPrice":"1","execQty":"1","execType":"Trade","execTime":"1700000000000","isMaker":false}"#;
    for symbol in ["BTCPERP", "USDT", "BTC-29MAR24"] {
        let body = bybit(&format!(r#"{{"list":[{}]}}"#, fill.replace("SYMBOL", symbol)));
        assert_eq!(read(&Bybit, &fills(None), &body).err(), unknown, "{symbol}");
    }
}
