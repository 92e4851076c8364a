//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};

use exchanges::binance::Binance;
use exchanges::{Connector as _, UnixMillis};
use exchanges::{Context, Credentials, ExchangeError, Instrument, Market, Page, Query, Reply};
use serde_json::Value;

pub(crate) const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

pub(crate) const CREDENTIALS: Credentials<'static> =
    Credentials { key: "key-canary", secret: b"secret-canary", passphrase: None };

pub(crate) fn test_data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("test_data").join(path)
}

/// The cases of one exchange, in the order of their names.
pub(crate) fn cases(exchange: &str) -> Vec<Value> {
    let folder = fs::read_dir(test_data(exchange)).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

pub(crate) fn context() -> Context {
    Context::new([
        Instrument::spot("BTCUSDT", "BTC", "USDT"),
        Instrument::spot("ETHUSDT", "ETH", "USDT"),
        Instrument::spot("LDOUSDT", "LDO", "USDT"),
    ])
}

pub(crate) fn reply(status: u16, body: &str) -> Reply<'_> {
    Reply { status, headers: &[], body: body.as_bytes() }
}

/// What the spot connector makes of a success.
pub(crate) fn spot(query: &Query, body: &str) -> Result<Page, ExchangeError> {
    Binance::new(Market::Spot).read(query, reply(200, body), &context())
}

pub(crate) fn fills(body: &str) -> Result<Page, ExchangeError> {
    spot(&Query::fills_from("BTCUSDT", 0), body)
}

/// One row of `myTrades`.
pub(crate) fn trade(id: u64) -> String {
    format!(
        r#"{{"symbol":"BTCUSDT","id":{id},"orderId":1,"price":"2.5","qty":"2","quoteQty":"5","commission":"0.1","commissionAsset":"USDT","time":1700000000000,"isBuyer":true,"isMaker":false}}"#
    )
}

pub(crate) fn list(rows: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", rows.into_iter().collect::<Vec<_>>().join(","))
}
