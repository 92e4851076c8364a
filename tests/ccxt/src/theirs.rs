//! ccxt: `read_accounts.py` as a child process.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Subject;
use crate::account::{Account, Held, Money, Ticker, Trade, Transfer};

/// What ccxt read.
#[derive(Debug)]
pub struct Told {
    pub account: Account,
    /// ccxt's own version.
    pub version: String,
    /// Methods that ccxt's `has` denies.
    pub cannot: Vec<String>,
}

/// The interpreter that has ccxt; `None` is noted as a skip of the test `name`.
pub fn interpreter(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PA_CCXT_PYTHON").map(PathBuf::from);
    if path.is_none() {
        transport::probe::skip(
            name,
            "PA_CCXT_PYTHON is not set: scripts/test installs ccxt and sets it",
        )
        .unwrap();
    }
    path
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The version that is pinned.
pub fn pinned_version() -> String {
    let pins = std::fs::read_to_string(folder().join("requirements.txt")).unwrap();
    pins.lines().find_map(|line| line.strip_prefix("ccxt==")).unwrap().to_owned()
}

/// Reads `subject` with ccxt. Blocks.
pub fn read(python: &Path, subject: &Subject<'_>) -> Told {
    let temporary = TempDir::new().unwrap();
    let root = temporary.path().join("root.pem");
    std::fs::write(&root, &subject.sim.root_pem).unwrap();
    let names: Vec<_> = subject.questions.iter().map(|question| question.name()).collect();
    let description = json!({
        "venue": subject.venue.name(),
        "market": subject.market.name(),
        "address": subject.sim.addr.to_string(),
        "ca": root,
        "key": subject.their_key.api_key,
        "secret": subject.their_key.api_secret,
        "symbols": subject.symbols,
        "questions": names,
    });
    let mut child = Command::new(python)
        .arg(folder().join("read_accounts.py"))
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(description.to_string().as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "ccxt: {}", String::from_utf8_lossy(&done.stderr));
    let reply: Value = serde_json::from_slice(&done.stdout).unwrap();
    let rows = |name: &str| reply[name].as_array().cloned().unwrap_or_default();
    let account = Account {
        balances: balances(&reply["balances"], subject),
        trades: rows("trades").iter().map(trade).collect(),
        deposits: rows("deposits").iter().map(transfer).collect(),
        withdrawals: rows("withdrawals").iter().map(transfer).collect(),
        tickers: rows("tickers").iter().map(ticker).collect(),
    };
    Told {
        account: account.settled(),
        version: text(&reply["ccxt"]),
        cannot: rows("cannot").iter().map(text).collect(),
    }
}

fn balances(rows: &Value, subject: &Subject<'_>) -> BTreeMap<String, Held> {
    let futures = subject.is_futures();
    let row = |(asset, row): (&String, &Value)| {
        let held = Held {
            free: number(&row["free"]),
            used: if futures { None } else { Some(number(&row["used"])) },
            total: number(&row["total"]),
            debt: maybe_number(&row["debt"]).unwrap_or_default(),
        };
        (asset.clone(), held)
    };
    rows.as_object().into_iter().flatten().map(row).collect()
}

fn trade(row: &Value) -> Trade {
    Trade {
        symbol: text(&row["symbol"]),
        id: text(&row["id"]),
        order: text(&row["order"]),
        side: text(&row["side"]),
        price: number(&row["price"]),
        amount: number(&row["amount"]),
        fee: fee(&row["fee"]),
        liquidity: row["takerOrMaker"].as_str().map(str::to_owned),
        at_ms: row["timestamp"].as_u64().unwrap(),
    }
}

fn transfer(row: &Value) -> Transfer {
    Transfer {
        id: text(&row["id"]),
        // A transaction that is not known yet is an empty text.
        txid: row["txid"].as_str().filter(|txid| !txid.is_empty()).map(str::to_owned),
        asset: text(&row["currency"]),
        amount: number(&row["amount"]),
        fee: fee(&row["fee"]),
        status: text(&row["status"]),
        at_ms: row["timestamp"].as_u64().unwrap(),
    }
}

fn ticker(row: &Value) -> Ticker {
    Ticker {
        symbol: text(&row["symbol"]),
        last: maybe_number(&row["last"]),
        bid: maybe_number(&row["bid"]),
        ask: maybe_number(&row["ask"]),
        at_ms: row["timestamp"].as_u64(),
    }
}

fn fee(row: &Value) -> Option<Money> {
    Some((row["currency"].as_str()?.to_owned(), maybe_number(&row["cost"])?))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// ccxt was told to make texts of numbers; anything else has been a float.
fn number(value: &Value) -> Decimal {
    maybe_number(value).unwrap_or_else(|| panic!("not a number as text: {value}"))
}

fn maybe_number(value: &Value) -> Option<Decimal> {
    assert!(!value.is_number(), "a number that has been a float: {value}");
    value.as_str().map(|text| text.parse::<Decimal>().unwrap().normalize())
}
