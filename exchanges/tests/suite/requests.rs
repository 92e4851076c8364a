//! What goes out: paths, bounds, secrets.

use std::time::Duration;

use exchanges::binance::Binance;
use exchanges::kraken::Kraken;
use exchanges::{
    Connector, Credentials, ExchangeError, FillsFrom, Interval, Market, Method, Query, Request,
    TransferKind, UnixMillis, Venue, Window, limits,
};

use crate::support::{CREDENTIALS, NOW};

static_assertions::assert_not_impl_any!(Request: Clone, std::fmt::Display);

const MARKETS: [Market; 5] =
    [Market::Spot, Market::MarginCross, Market::MarginIsolated, Market::UsdM, Market::CoinM];

fn window() -> Window {
    Window::new(UnixMillis(1_700_000_000_000), UnixMillis(1_700_000_300_000))
}

/// Each question once.
fn queries() -> Vec<Query> {
    let symbol = "BTCUSDT".to_owned();
    vec![
        Query::ServerTime,
        Query::SystemStatus,
        Query::Instruments,
        Query::Prices { symbols: Vec::new() },
        Query::Prices { symbols: vec![symbol.clone()] },
        Query::Prices { symbols: vec![symbol.clone(), "ETHUSDT".to_owned()] },
        Query::Ticker { symbol: symbol.clone() },
        Query::Candles {
            symbol,
            interval: Interval::FiveMinutes,
            window: Some(window()),
            limit: 2,
        },
        Query::Permissions,
        Query::AccountIdentity,
        Query::balances(),
        Query::fills_from("BTCUSDT", 7),
        Query::fills_in("BTCUSDT", window()),
        Query::deposits(window()),
        Query::withdrawals(window()),
        Query::fiat_orders(TransferKind::Deposit, window()),
        Query::fiat_orders(TransferKind::Withdrawal, window()),
        Query::FuturesBalances,
        Query::Positions,
        Query::Income { start: Some(window().start), end: None, page: 2, limit: 1000 },
    ]
}

fn build(market: Market, query: &Query) -> Result<Request, ExchangeError> {
    Binance::new(market).request(query, Some(&CREDENTIALS), NOW)
}

/// Method, address and weight of every question at every market.
#[test]
fn every_question_has_its_address() {
    let mut lines = Vec::new();
    for market in MARKETS {
        let connector = Binance::new(market);
        for query in queries() {
            let Ok(request) = build(market, &query) else {
                lines.push(format!("{market} {}: unsupported", query.name()));
                continue;
            };
            assert_eq!(request.method(), Method::Get);
            assert!(connector.hosts().contains(&request.host()));
            assert!(request.body().is_empty());
            let url = request.url();
            let shown = url.split("&signature=").next().unwrap();
            let weight = connector.weight(&query);
            lines.push(format!(
                "{market} {}: {shown} ({} of {})",
                query.name(),
                weight.cost,
                weight.bucket.name
            ));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_private_question_is_signed_last_and_carries_the_key() {
    for market in MARKETS {
        for query in queries().into_iter().filter(Query::is_private) {
            let Ok(request) = build(market, &query) else { continue };
            let target = request.path_and_query();
            let (_, signature) = target.split_once("&signature=").unwrap();
            assert_eq!(signature.len(), 64);
            assert!(target.contains("recvWindow=5000&timestamp=1700000000000&signature="));
            let headers: Vec<_> = request.headers().collect();
            assert_eq!(headers, [("X-MBX-APIKEY", "key-canary")]);
        }
    }
}

#[test]
fn a_public_question_carries_nothing_of_the_customer() {
    for market in MARKETS {
        for query in queries().into_iter().filter(|query| !query.is_private()) {
            let request = build(market, &query).unwrap();
            let target = request.path_and_query();
            assert!(!target.contains("signature") && !target.contains("timestamp"));
            assert_eq!(request.headers().count(), 0);
        }
    }
}

#[test]
fn a_private_question_without_credentials_is_refused() {
    let refused = Binance::new(Market::Spot).request(&Query::balances(), None, NOW).err();
    assert_eq!(refused, Some(ExchangeError::InvalidCredentials));
}

#[test]
fn no_debug_output_shows_a_secret() {
    let request = build(Market::Spot, &Query::balances()).unwrap();
    let signature = request.url().rsplit('=').next().unwrap().to_owned();
    let shown = format!("{request:?} {CREDENTIALS:?} {:?}", Binance::new(Market::Spot));
    assert!(shown.contains("/api/v3/account"));
    for secret in ["canary", "omitZeroBalances", signature.as_str()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn windows_longer_than_the_exchange_takes_are_refused() {
    let out_of_range = ExchangeError::InvalidQuery { field: "window" };
    let connector = Binance::new(Market::Spot);
    let like = [
        |window| Query::fills_in("BTCUSDT", window),
        Query::deposits,
        Query::withdrawals,
        |window| Query::fiat_orders(TransferKind::Deposit, window),
    ];
    for query in like {
        let max = connector.window_max(&query(window())).unwrap();
        let of = |length: Duration| {
            let start = 1_600_000_000_000;
            let end = start + u64::try_from(length.as_millis()).unwrap();
            query(Window::new(UnixMillis(start), UnixMillis(end)))
        };
        assert!(build(Market::Spot, &of(max)).is_ok());
        let over = build(Market::Spot, &of(max + Duration::from_millis(1))).err();
        assert_eq!(over, Some(out_of_range.clone()));
        let backwards = Window::new(window().end, window().start);
        assert_eq!(build(Market::Spot, &query(backwards)).err(), Some(out_of_range.clone()));
    }
}

#[test]
fn limits_and_symbols_out_of_range_are_refused() {
    let fills = |symbol: &str, limit| Query::Fills {
        symbol: symbol.to_owned(),
        from: FillsFrom::Id(0),
        limit,
    };
    assert!(build(Market::Spot, &fills("BTCUSDT", 1000)).is_ok());
    for limit in [0, 1001] {
        let refused = build(Market::Spot, &fills("BTCUSDT", limit)).err();
        assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "limit" }));
    }
    for symbol in ["", "BTC\r\nUSDT", &"X".repeat(65)] {
        let refused = build(Market::Spot, &fills(symbol, 1)).err();
        assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "symbol" }));
    }
    let many = Query::Prices { symbols: vec!["A".to_owned(); 101] };
    let refused = build(Market::Spot, &many).err();
    assert_eq!(refused, Some(ExchangeError::InvalidQuery { field: "symbols" }));
}

#[test]
fn a_symbol_cannot_add_parameters() {
    let request = build(Market::Spot, &Query::fills_from("A&fromId=1#?/", 9)).unwrap();
    let target = request.path_and_query();
    assert!(target.starts_with("/api/v3/myTrades?symbol=A%26fromId%3D1%23%3F%2F&fromId=9&"));
}

#[test]
fn kraken_tells_prices_to_anybody_and_names_itself() {
    let prices = Query::Prices { symbols: vec!["USDTUSD".to_owned(), "USDCUSD".to_owned()] };
    let request = Kraken.request(&prices, None, NOW).unwrap();
    assert_eq!(*request.url(), "https://api.kraken.com/0/public/Ticker?pair=USDTUSD%2CUSDCUSD");
    let headers: Vec<_> = request.headers().map(|(name, _)| name).collect();
    assert_eq!(headers, ["User-Agent"]);
    for query in queries() {
        if let Ok(request) = Kraken.request(&query, Some(&CREDENTIALS), NOW) {
            assert!(!request.url().contains("canary"), "{}", query.name());
        }
    }
    let injected = Query::Ticker { symbol: "USDTUSD&x=1".to_owned() };
    assert!(Kraken.request(&injected, None, NOW).is_err());
}

#[test]
fn the_registry_names_every_host_once() {
    let hosts: Vec<_> = exchanges::hosts().iter().map(|host| (host.name, host.port)).collect();
    let names = [
        "api.binance.com",
        "api.bybit.com",
        "api.coinbase.com",
        "api.kraken.com",
        "dapi.binance.com",
        "fapi.binance.com",
        "futures.kraken.com",
    ];
    assert_eq!(hosts, names.map(|name| (name, 443)));
}

#[test]
fn the_registry_has_whole_markets_only() {
    for venue in Venue::ALL {
        let markets: &[Market] = match venue {
            Venue::Binance => &[Market::Spot, Market::UsdM, Market::CoinM],
            Venue::Kraken | Venue::Coinbase | Venue::Ftx => &[Market::Spot],
            Venue::KrakenFutures => &[Market::Futures],
            Venue::Okx | Venue::Bybit => &[Market::Unified],
        };
        for market in Market::ALL {
            let connector = exchanges::connector(venue, market);
            assert_eq!(connector.is_some(), markets.contains(&market), "{venue} {market}");
            if let Some(connector) = connector {
                assert_eq!((connector.venue(), connector.market()), (venue, market));
            }
        }
    }
}

#[test]
fn names_are_read_back() {
    for market in MARKETS {
        assert_eq!(market.to_string().parse(), Ok(market));
    }
    for venue in [Venue::Binance, Venue::Kraken] {
        assert_eq!(venue.to_string().parse(), Ok(venue));
    }
    assert!("Binance".parse::<Venue>().is_err());
    assert!("".parse::<Market>().is_err());
}

#[test]
fn credentials_of_any_bytes_never_panic() {
    let long = vec![b'x'; limits::API_SECRET_LEN_MAX + 1];
    for secret in [&b""[..], b"\xff\xfe", b"-----BEGIN \xff", b"nul\0", &long] {
        let credentials = Credentials { key: "key", secret, passphrase: Some(b"") };
        let built = Binance::new(Market::Spot).request(&Query::balances(), Some(&credentials), NOW);
        assert_eq!(built.err(), Some(ExchangeError::InvalidCredentials));
    }
}
