//! What goes out to Coinbase, OKX and Bybit: paths, bounds, signatures.

use exchanges::bybit::Bybit;
use exchanges::coinbase::Coinbase;
use exchanges::okx::Okx;
use exchanges::{
    Connector, Credentials, ExchangeError, FillsFrom, Interval, Method, Nonce, Query, Request,
    TransferKind, UnixMillis, Window, limits,
};

use crate::support::NOW;

const WINDOW: Window = Window::new(UnixMillis(1_700_000_000_000), UnixMillis(1_700_000_300_000));

const CONNECTORS: [&dyn Connector; 3] = [&Coinbase, &Okx, &Bybit];

/// Of a shape that all three take.
const CREDENTIALS: Credentials<'static> = Credentials {
    key: "0f0e0d0c-0b0a-0908-0706-050403020100",
    secret: b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    passphrase: None,
};

fn credentials(connector: &dyn Connector) -> Credentials<'static> {
    let okx = connector.venue() == exchanges::Venue::Okx;
    Credentials { passphrase: okx.then_some(b"pass-canary".as_slice()), ..CREDENTIALS }
}

fn build(connector: &dyn Connector, query: &Query) -> Result<Request, ExchangeError> {
    connector.request_with(query, Some(&credentials(connector)), NOW, &Nonce([7; 16]))
}

fn on(query: Query, place: &str) -> Query {
    let place = Some(place.parse().unwrap());
    match query {
        Query::Balances { .. } => Query::Balances { cursor: place },
        Query::AccountFills { window, limit, .. } => {
            Query::AccountFills { window, cursor: place, limit }
        }
        Query::Transfers { account, window, .. } => {
            Query::Transfers { account, window, cursor: place }
        }
        other => panic!("{other:?}"),
    }
}

/// Each question once, and where an exchange's lists go on.
fn queries(connector: &dyn Connector) -> Vec<Query> {
    let symbol = || "BTC-USD".to_owned();
    let candles = |window| Query::Candles {
        symbol: symbol(),
        interval: Interval::FiveMinutes,
        window,
        limit: 2,
    };
    let (wallets, fills, transfers) = match connector.venue().name() {
        "coinbase" => (vec!["C 1"], vec!["C1"], vec!["abc"]),
        "okx" => (
            vec!["funding", "savings"],
            vec!["SPOT:9", "MARGIN:"],
            vec!["withdrawals:", "withdrawals:5"],
        ),
        _ => (vec!["FUND"], vec!["1%3A2%2C3"], vec!["internal:", "withdrawals:", "deposits:eyJ="]),
    };
    let mut queries = vec![
        Query::ServerTime,
        Query::SystemStatus,
        Query::Instruments,
        Query::Prices { symbols: Vec::new() },
        Query::Prices { symbols: vec![symbol()] },
        Query::Prices { symbols: vec![symbol(), "ETH-EUR".to_owned()] },
        Query::Ticker { symbol: symbol() },
        candles(None),
        candles(Some(WINDOW)),
        Query::Permissions,
        Query::AccountIdentity,
        Query::balances(),
        Query::account_fills(WINDOW, 100),
        Query::transfers(Some("wallet-1".to_owned()), WINDOW),
        Query::Fills { symbol: symbol(), from: FillsFrom::Id(0), limit: 1 },
        Query::deposits(WINDOW),
        Query::withdrawals(WINDOW),
        Query::fiat_orders(TransferKind::Deposit, WINDOW),
        Query::FuturesBalances,
        Query::Positions,
    ];
    queries.extend(wallets.iter().map(|place| on(Query::balances(), place)));
    queries.extend(fills.iter().map(|place| on(Query::account_fills(WINDOW, 100), place)));
    let list = || Query::transfers(Some("wallet-1".to_owned()), WINDOW);
    queries.extend(transfers.iter().map(|place| on(list(), place)));
    queries
}

/// Method, address and weight of every question at every exchange.
#[test]
fn every_question_has_its_address_there() {
    let mut lines = Vec::new();
    for connector in CONNECTORS {
        let venue = connector.venue();
        for query in queries(connector) {
            let request = match build(connector, &query) {
                Ok(request) => request,
                Err(error) => {
                    assert_eq!(error, ExchangeError::Unsupported, "{venue} {}", query.name());
                    lines.push(format!("{venue} {}: unsupported", query.name()));
                    continue;
                }
            };
            assert_eq!(request.method(), Method::Get);
            assert!(connector.hosts().contains(&request.host()));
            assert!(request.body().is_empty());
            let weight = connector.weight(&query);
            // Else there would never be room for it.
            assert!(weight.cost <= weight.bucket.at_once.unwrap_or(weight.bucket.per_minute));
            lines.push(format!(
                "{venue} {}: {} ({} of {})",
                query.name(),
                request.url().as_str(),
                weight.cost,
                weight.bucket.name
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

fn header(request: &Request, name: &str) -> Option<String> {
    let mut found = request.headers().filter(|(other, _)| *other == name);
    let value = found.next().map(|(_, value)| value.to_owned());
    assert!(found.next().is_none());
    value
}

#[test]
fn only_private_questions_carry_a_signature() {
    for connector in CONNECTORS {
        for query in queries(connector) {
            let Ok(request) = build(connector, &query) else { continue };
            let names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
            let expected: &[&str] = match (query.is_private(), connector.venue().name()) {
                (false, _) => &[],
                (true, "coinbase") => &["Authorization"],
                (true, "okx") => &[
                    "OK-ACCESS-KEY",
                    "OK-ACCESS-SIGN",
                    "OK-ACCESS-TIMESTAMP",
                    "OK-ACCESS-PASSPHRASE",
                ],
                (true, _) => {
                    &["X-BAPI-API-KEY", "X-BAPI-SIGN", "X-BAPI-TIMESTAMP", "X-BAPI-RECV-WINDOW"]
                }
            };
            assert_eq!(names, expected, "{}", query.name());
            let debug = format!("{request:?}");
            for canary in ["canary", "BwcH", "0f0e0d0c", "wallet-1", "BTC", "Bearer"] {
                assert!(!debug.contains(canary), "{debug}");
            }
            assert!(!request.route().contains("wallet-1"));
        }
    }
}

#[test]
fn what_is_signed_is_what_is_sent() {
    let query = on(Query::account_fills(WINDOW, 100), "SPOT:9");
    let request = build(&Okx, &query).unwrap();
    assert_eq!(header(&request, "OK-ACCESS-TIMESTAMP").unwrap(), "2023-11-14T22:13:20.000Z");
    let target = request.path_and_query();
    let signed = exchanges::okx::sign(
        &credentials(&Okx),
        Method::Get,
        &target,
        "",
        "2023-11-14T22:13:20.000Z",
    );
    let signature = header(&request, "OK-ACCESS-SIGN");
    assert_eq!(signature.as_deref(), Some(signed.unwrap().signature.as_str()));

    let query = on(Query::account_fills(WINDOW, 100), "1%3A2%2C3");
    let request = build(&Bybit, &query).unwrap();
    let target = request.path_and_query();
    let (_, sent) = target.split_once('?').unwrap();
    assert!(sent.ends_with("&cursor=1%3A2%2C3"), "{sent}");
    let signed = exchanges::bybit::sign(&CREDENTIALS, sent, "1700000000000", "5000").unwrap();
    let signature = header(&request, "X-BAPI-SIGN");
    assert_eq!(signature.as_deref(), Some(signed.signature.as_str()));

    let request = build(&Coinbase, &on(Query::balances(), "C 1")).unwrap();
    assert_eq!(*request.path_and_query(), "/api/v3/brokerage/accounts?limit=250&cursor=C%201");
    let path = "/api/v3/brokerage/accounts";
    let token = exchanges::coinbase::token(
        &CREDENTIALS,
        Method::Get,
        "api.coinbase.com",
        path,
        NOW,
        &Nonce([7; 16]),
    );
    let bearer = format!("Bearer {}", token.unwrap().as_str());
    assert_eq!(header(&request, "Authorization"), Some(bearer));
}

#[test]
fn a_name_cannot_leave_its_place_in_a_path() {
    for (symbol, sent) in [
        ("../time", "..%2Ftime"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("A B", "A%20B"),
        ("\u{fc}", "%C3%BC"),
    ] {
        let request = build(&Coinbase, &Query::Ticker { symbol: symbol.to_owned() }).unwrap();
        let expected = format!("/api/v3/brokerage/market/products/{sent}/ticker?limit=1");
        assert_eq!(*request.path_and_query(), expected);
        assert_eq!(request.route(), "/api/v3/brokerage/market/products/{id}/ticker");
    }
    let long = "x".repeat(limits::SYMBOL_LEN_MAX + 1);
    for connector in CONNECTORS {
        for symbol in ["", "a\r\nb", &long] {
            let refused = build(connector, &Query::Ticker { symbol: symbol.to_owned() }).err();
            assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "symbol" }));
        }
    }
    for account in [None, Some(String::new()), Some("a\nb".to_owned())] {
        let refused = build(&Coinbase, &Query::transfers(account, WINDOW)).err();
        assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "account" }));
    }
}

#[test]
fn bounds_are_checked_before_anything_is_sent() {
    let backwards = Window::new(WINDOW.end, WINDOW.start);
    let year = Window::new(UnixMillis(0), UnixMillis(365 * 24 * 3600 * 1000));
    let bad = |field| Some(ExchangeError::InvalidQuery { field });
    for connector in CONNECTORS {
        let account = || Some("wallet-1".to_owned());
        for query in [Query::account_fills(backwards, 1), Query::transfers(account(), backwards)] {
            assert_eq!(build(connector, &query).err(), bad("window"));
        }
        for limit in [0, 251, u16::MAX] {
            assert_eq!(build(connector, &Query::account_fills(WINDOW, limit)).err(), bad("limit"));
        }
        if let Some(max) = connector.window_max(&Query::account_fills(year, 1)) {
            let max = u64::try_from(max.as_millis()).unwrap();
            let at = |length| Window::new(UnixMillis(0), UnixMillis(length));
            assert!(build(connector, &Query::account_fills(at(max), 1)).is_ok());
            let over = build(connector, &Query::account_fills(at(max + 1), 1));
            assert_eq!(over.err(), bad("window"));
        }
        let too_many = vec!["A-B".to_owned(); limits::PRICE_SYMBOLS_MAX + 1];
        assert_eq!(build(connector, &Query::Prices { symbols: too_many }).err(), bad("symbols"));
    }
    let candles = |interval, window, limit| Query::Candles {
        symbol: "BTC-USD".to_owned(),
        interval,
        window,
        limit,
    };
    let hours = |count: u64| Some(Window::new(UnixMillis(0), UnixMillis(count * 3_600_000)));
    assert!(build(&Coinbase, &candles(Interval::Hour, hours(349), 349)).is_ok());
    let over = build(&Coinbase, &candles(Interval::Hour, hours(350), 349));
    assert_eq!(over.err(), bad("window"));
    assert_eq!(build(&Coinbase, &candles(Interval::Hour, None, 350)).err(), bad("limit"));
    assert_eq!(build(&Coinbase, &candles(Interval::Week, None, 1)).err(), bad("interval"));
}

#[test]
fn a_private_question_without_credentials_is_refused_there() {
    for connector in CONNECTORS {
        let none = connector.request_with(&Query::balances(), None, NOW, &Nonce([0; 16])).err();
        assert_eq!(none, Some(ExchangeError::InvalidCredentials));
    }
    let okx = Okx.request(&Query::balances(), Some(&CREDENTIALS), NOW).err();
    assert_eq!(okx, Some(ExchangeError::InvalidCredentials), "no passphrase");
    // Without a number that is used once there is no token.
    let coinbase = Coinbase.request(&Query::balances(), Some(&CREDENTIALS), NOW).err();
    assert_eq!(coinbase, Some(ExchangeError::InvalidQuery { field: "nonce" }));
    assert!(Coinbase.request(&Query::ServerTime, None, NOW).is_ok());
}

#[test]
fn a_passphrase_that_cannot_stand_in_a_header_is_refused() {
    let long = vec![b'x'; limits::PASSPHRASE_LEN_MAX + 1];
    for passphrase in
        [b"".as_slice(), b" x", b"x ", b"a\r\nb", b"\xff", "p\u{e4}ss".as_bytes(), &long]
    {
        let credentials = Credentials { passphrase: Some(passphrase), ..CREDENTIALS };
        for refused in [
            exchanges::okx::sign(&credentials, Method::Get, "/", "", "t").err(),
            exchanges::bitget::sign(&credentials, Method::Get, "/", "", "t").err(),
            exchanges::kucoin::sign(&credentials, Method::Get, "/", "", "t").err(),
        ] {
            assert_eq!(refused, Some(ExchangeError::InvalidCredentials), "{passphrase:?}");
        }
    }
    let credentials = Credentials { passphrase: Some(b"two words!"), ..CREDENTIALS };
    assert!(exchanges::okx::sign(&credentials, Method::Get, "/", "", "t").is_ok());
}
