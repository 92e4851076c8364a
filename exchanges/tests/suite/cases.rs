//! Every copied conformance case, through the same filter that the
//! `conformance` program runs.

use crate::compare::difference;
use crate::{answers, support};

/// Guards against a folder that is quietly empty.
const BINANCE: usize = 35;
const KRAKEN: usize = 6;

fn run(exchange: &str) -> usize {
    let cases = support::cases(exchange);
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        let mut question = case.clone();
        question.as_object_mut().unwrap().remove("expect");
        let answer = answers::answer(&question).unwrap_or_else(|error| panic!("{id}: {error:#}"));
        assert_eq!(difference(&case["expect"], &answer), None, "{id}");
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
fn an_exchange_without_a_connector_is_an_error_and_no_panic() {
    for exchange in ["coinbase", "ftx", "", "BINANCE"] {
        let case = serde_json::json!({ "kind": "parse", "exchange": exchange, "market": "spot" });
        assert!(answers::answer(&case).is_err());
    }
}

#[test]
fn an_incomplete_case_is_an_error_and_no_panic() {
    for case in support::cases("binance") {
        for field in ["kind", "exchange", "method", "request", "response", "steps"] {
            let mut case = case.clone();
            case.as_object_mut().unwrap().remove(field);
            let _answer = answers::answer(&case);
        }
    }
}
