//! Every copied conformance case, through the same filter that the
//! `conformance` program runs.

use crate::compare::difference;
use crate::{answers, support, tokens};

/// Guards against a folder that is quietly empty.
const BINANCE: usize = 35;
const KRAKEN: usize = 19;
const KRAKEN_FUTURES: usize = 11;
const COINBASE: usize = 30;
const OKX: usize = 21;
const BYBIT: usize = 22;
const FTX: usize = 7;

fn run(exchange: &str) -> usize {
    let cases = support::cases(exchange);
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let mut question = case.clone();
        question.as_object_mut().unwrap().remove("expect");
        let answer = answers::answer(&question).unwrap_or_else(|error| panic!("{id}: {error:#}"));
        let expected = &case["expect"];
        let difference = if expected["jwt_header"].is_null() {
            difference(expected, &answer)
        } else {
            tokens::difference(expected, &answer)
        };
        assert_eq!(difference, None, "{id}");
    }
    cases.len()
}

#[test]
fn every_binance_case_is_answered() {
    assert_eq!(run("binance"), BINANCE);
}

#[test]
fn every_kraken_case_is_answered() {
    assert_eq!(run("kraken"), KRAKEN);
}

#[test]
fn every_kraken_futures_case_is_answered() {
    assert_eq!(run("krakenfutures"), KRAKEN_FUTURES);
}

#[test]
fn every_coinbase_case_is_answered() {
    assert_eq!(run("coinbase"), COINBASE);
}

#[test]
fn every_okx_case_is_answered() {
    assert_eq!(run("okx"), OKX);
}

#[test]
fn every_bybit_case_is_answered() {
    assert_eq!(run("bybit"), BYBIT);
}

#[test]
fn every_ftx_case_is_answered() {
    assert_eq!(run("ftx"), FTX);
}

#[test]
fn exchanges_without_a_connector_are_signed_for() {
    for exchange in ["bitget", "gate", "kucoin"] {
        assert_eq!(run(exchange), 1);
    }
}

#[test]
fn an_exchange_without_a_connector_is_an_error_and_no_panic() {
    for exchange in ["bitget", "gate", "kucoin", "mtgox", "", "BINANCE"] {
        let case = serde_json::json!({ "kind": "parse", "exchange": exchange, "market": "spot" });
        assert!(answers::answer(&case).is_err());
    }
}

#[test]
fn an_incomplete_case_is_an_error_and_no_panic() {
    let folders = ["binance", "bybit", "coinbase", "ftx", "gate", "okx"];
    for case in folders.into_iter().flat_map(support::cases) {
        for field in ["kind", "exchange", "method", "request", "response", "steps"] {
            let mut case = case.clone();
            case.as_object_mut().unwrap().remove(field);
            let _answer = answers::answer(&case);
        }
    }
}
