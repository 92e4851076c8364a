//! What each copied or written reply of Coinbase, OKX, Bybit and FTX becomes,
//! field by field.

use crate::answers;
use crate::support::{cases, reply};

fn read_all(exchange: &str) -> usize {
    let mut read = 0;
    for case in cases(exchange) {
        if case["kind"] != "parse" && case["kind"] != "permissions" {
            continue;
        }
        let id = case["id"].as_str().unwrap();
        let (connector, query) = (answers::connector(&case), answers::query(&case).unwrap());
        let instruments = answers::context(&case).unwrap();
        let body = case["response"]["body"].as_str().unwrap();
        let page = connector.unwrap().read(&query, reply(200, body), &instruments).unwrap();
        insta::with_settings!({ snapshot_suffix => id }, {
            insta::assert_debug_snapshot!("facts", page.facts);
        });
        read += 1;
    }
    read
}

#[test]
fn every_reply_of_coinbase_has_its_facts() {
    assert_eq!(read_all("coinbase"), 14);
}

#[test]
fn every_reply_of_okx_has_its_facts() {
    assert_eq!(read_all("okx"), 14);
}

#[test]
fn every_reply_of_bybit_has_its_facts() {
    assert_eq!(read_all("bybit"), 15);
}

#[test]
fn every_reply_of_ftx_has_its_facts() {
    assert_eq!(read_all("ftx"), 4);
}
