//! Replies that no exchange should send: none panics, none grows without
//! bound, none is mistaken for an empty page.

use exchanges::binance::Binance;
use exchanges::kraken::Kraken;
use exchanges::{
    Connector, Context, ExchangeError, Fact, FillsFrom, Interval, Market, Query, Reply,
    TransferKind, UnixMillis, Window, limits,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{cases, context, reply, spot};

/// A recorded reply and what it answers.
struct Recorded {
    connector: Box<dyn Connector>,
    context: Context,
    queries: Vec<Query>,
    body: String,
}

fn queries() -> Vec<Query> {
    let window = Window::new(UnixMillis(0), UnixMillis(0));
    let symbol = || "BTCUSDT".to_owned();
    vec![
        Query::ServerTime,
        Query::SystemStatus,
        Query::Instruments,
        Query::Prices { symbols: Vec::new() },
        Query::Ticker { symbol: symbol() },
        Query::Candles { symbol: symbol(), interval: Interval::Hour, window: None, limit: 2 },
        Query::Permissions,
        Query::AccountIdentity,
        Query::balances(),
        Query::Fills { symbol: symbol(), from: FillsFrom::Id(7), limit: 1 },
        Query::deposits(window),
        Query::withdrawals(window),
        Query::fiat_orders(TransferKind::Deposit, window),
        Query::FuturesBalances,
        Query::Positions,
        Query::Income { start: Some(UnixMillis(1)), end: None, page: u32::MAX, limit: 1 },
    ]
}

/// The questions of exchanges whose lists go on at a cursor, in each list.
fn walks() -> Vec<Query> {
    let window = Window::new(UnixMillis(1), UnixMillis(u64::MAX));
    let symbol = || "BTC-USD".to_owned();
    let mut queries = vec![
        Query::ServerTime,
        Query::SystemStatus,
        Query::Instruments,
        Query::Prices { symbols: Vec::new() },
        Query::Ticker { symbol: symbol() },
        Query::Candles { symbol: symbol(), interval: Interval::Hour, window: None, limit: 2 },
        Query::Permissions,
        Query::AccountIdentity,
        Query::deposits(window),
        Query::withdrawals(window),
    ];
    let place = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
    for wallet in ["", "FUND", "funding", "savings"] {
        queries.push(Query::Balances { cursor: place(wallet) });
    }
    for sort in ["", "MARGIN:9"] {
        queries.push(Query::AccountFills { window, cursor: place(sort), limit: 1 });
    }
    for list in ["", "internal:x", "withdrawals:9"] {
        let account = Some("wallet".to_owned());
        queries.push(Query::Transfers { account, window, cursor: place(list) });
    }
    queries
}

fn recorded() -> Vec<Recorded> {
    let mut all = Vec::new();
    for exchange in ["binance", "bybit", "coinbase", "ftx", "kraken", "okx"] {
        for case in cases(exchange) {
            let Some(body) = case["response"]["body"].as_str() else { continue };
            all.push(Recorded {
                connector: crate::answers::connector(&case).unwrap(),
                context: crate::answers::context(&case).unwrap(),
                queries: if matches!(exchange, "binance" | "kraken") { queries() } else { walks() },
                body: body.to_owned(),
            });
        }
    }
    all
}

impl Recorded {
    /// Reads `body` as the answer to everything.
    fn read(&self, status: u16, body: &[u8]) -> Vec<Result<usize, ExchangeError>> {
        let reply = Reply { status, headers: &[], body };
        let read = |query| self.connector.read(query, reply, &self.context);
        self.queries.iter().map(|query| read(query).map(|page| page.facts.len())).collect()
    }
}

/// Every value of every reply, replaced by each of these.
#[test]
fn no_wrong_value_panics() {
    let odd = [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "\"x\"",
        "-1",
        "0",
        "1e999999999",
        "-79228162514264337593543950335",
        "\"79228162514264337593543950335\"",
        "18446744073709551616",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"😀\"",
    ];
    let mut tried = 0;
    for recorded in recorded() {
        let Ok(body) = serde_json::from_str::<Value>(&recorded.body) else { continue };
        for path in leaves(&body) {
            for value in odd {
                let mut mutated = body.clone();
                // Stands for text that may not even be JSON.
                *mutated.pointer_mut(&path).unwrap() = Value::String("@@".to_owned());
                let mutated = mutated.to_string().replace("\"@@\"", value);
                recorded.read(200, mutated.as_bytes());
                tried += 1;
            }
        }
    }
    assert!(tried > 5000, "{tried}");
}

/// Every field of every reply, left out: the page fails and names it, or the
/// field was not needed.
#[test]
fn a_missing_field_is_named_or_not_needed() {
    let mut named = 0;
    for recorded in recorded() {
        let Ok(body) = serde_json::from_str::<Value>(&recorded.body) else { continue };
        let before = recorded.read(200, recorded.body.as_bytes());
        for path in leaves(&body) {
            let (parent, name) = path.rsplit_once('/').unwrap_or_default();
            let mut mutated = body.clone();
            let Some(Value::Object(fields)) = mutated.pointer_mut(parent) else { continue };
            fields.remove(name);
            let after = recorded.read(200, mutated.to_string().as_bytes());
            for (before, after) in before.iter().zip(after) {
                if let (Ok(_), Err(error)) = (before, after) {
                    assert_eq!(error.to_string(), missing(name), "{path}");
                    named += 1;
                }
            }
        }
    }
    assert!(named > 50, "{named}");
}

fn missing(name: &str) -> String {
    format!("field `{name}` of the exchange reply is missing or malformed")
}

/// The paths of all values that hold no others.
fn leaves(value: &Value) -> Vec<String> {
    let below = |name: String, value: &Value| {
        leaves(value).into_iter().map(move |path| format!("/{name}{path}"))
    };
    let paths: Vec<String> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, value)| below(name.replace('/', "~1"), value)).collect()
        }
        Value::Array(rows) => {
            rows.iter().enumerate().flat_map(|(at, value)| below(at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    if paths.is_empty() { vec![String::new()] } else { paths }
}

#[test]
fn an_oversized_body_is_refused_before_it_is_read() {
    let body = vec![b' '; limits::REPLY_LEN_MAX + 1];
    let reply = Reply { status: 200, headers: &[], body: &body };
    let too_long = Some(ExchangeError::TooLong { field: "body" });
    let prices = Query::Prices { symbols: Vec::new() };
    let spot = Binance::new(Market::Spot);
    assert_eq!(spot.read(&prices, reply, &context()).err(), too_long);
    assert_eq!(Kraken.read(&prices, reply, &context()).err(), too_long);
    // The list of instruments may be longer.
    let longer = spot.read(&Query::Instruments, reply, &context()).err();
    assert_eq!(longer, Some(ExchangeError::Malformed { field: "body" }));
}

#[test]
fn too_many_rows_are_refused() {
    let rows = vec!["{\"symbol\":\"NEW\"}"; limits::ROWS_MAX + 1].join(",");
    let read = spot(&Query::Prices { symbols: Vec::new() }, &format!("[{rows}]"));
    assert_eq!(read.err(), Some(ExchangeError::TooLong { field: "body" }));
}

#[test]
fn an_empty_body_is_no_empty_page() {
    for query in queries() {
        for body in ["", " ", "null", "\"\"", "0", "false"] {
            assert!(spot(&query, body).is_err(), "{} {body:?}", query.name());
        }
    }
}

#[test]
fn an_empty_object_is_no_empty_page() {
    for query in queries() {
        match spot(&query, "{}") {
            // Flags that are all absent prove nothing, and say so.
            Ok(page) => match page.facts.as_slice() {
                [Fact::Permissions(found)] => assert!(!found.accept()),
                other => panic!("{} {other:?}", query.name()),
            },
            Err(error) => assert!(matches!(
                error,
                ExchangeError::Malformed { .. } | ExchangeError::Unsupported
            )),
        }
    }
}

#[test]
fn a_failed_status_is_never_a_page() {
    for recorded in recorded() {
        for status in [0, 100, 301, 400, 401, 403, 404, 418, 429, 451, 500, 503, 999] {
            for read in recorded.read(status, recorded.body.as_bytes()) {
                assert!(read.is_err(), "{status}");
            }
        }
    }
    assert!(spot(&Query::ServerTime, r#"{"serverTime":1}"#).is_ok());
    let failed = Binance::new(Market::Spot).read(
        &Query::fills_from("BTCUSDT", 0),
        reply(500, "[]"),
        &context(),
    );
    assert!(failed.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_reply_panics(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..8),
    ) {
        let all = recorded();
        let recorded = which.get(&all);
        let mut body = recorded.body.clone().into_bytes();
        for (at, byte, edit) in edits {
            if body.is_empty() {
                break;
            }
            let at = at.index(body.len());
            match edit {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                2 => drop(body.remove(at)),
                _ => body.truncate(at),
            }
        }
        recorded.read(200, &body);
        recorded.read(400, &body);
    }

    #[test]
    fn no_cut_reply_is_a_page(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let all = recorded();
        let recorded = which.get(&all);
        let bytes = recorded.body.as_bytes();
        prop_assume!(bytes.len() > 1);
        for read in recorded.read(200, &bytes[..at.index(bytes.len() - 1)]) {
            prop_assert!(read.is_err());
        }
    }
}
