//! What each copied or written reply of Coinbase, OKX, Bybit and FTX becomes,
//! field by field.

use exchanges::{Context, Fact, Market, Query, Venue};

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
    assert_eq!(read_all("coinbase"), 15);
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

/// Who an account is, by the reply that also says what its key may do.
#[test]
fn every_account_is_known_by_an_id() {
    for (exchange, market, body) in [
        ("coinbase", "spot", r#"{"portfolio_uuid":"b87a2d3f"}"#),
        ("okx", "unified", r#"{"code":"0","data":[{"uid":"b87a2d3f","perm":"read_only"}]}"#),
        ("bybit", "unified", r#"{"retCode":0,"result":{"userID":"b87a2d3f","readOnly":1}}"#),
    ] {
        let connector = exchanges::connector(exchange.parse().unwrap(), market.parse().unwrap());
        let read = |body: &str| {
            connector.unwrap().read(&Query::AccountIdentity, reply(200, body), &Context::default())
        };
        match read(body).unwrap().facts.as_slice() {
            [Fact::Identity(identity)] => assert_eq!(identity.value, "b87a2d3f"),
            other => panic!("{other:?}"),
        }
        assert!(read(&body.replace("b87a2d3f", "")).is_err());
    }
}

/// Only the hosts of exchanges that are polled are let out.
#[test]
fn a_connector_that_nothing_polls_adds_no_host() {
    let hosts: Vec<&str> = exchanges::hosts().iter().map(|host| host.name).collect();
    let okx = exchanges::connector(Venue::Okx, Market::Unified).unwrap();
    assert!(!okx.hosts().is_empty());
    assert!(okx.hosts().iter().all(|host| !hosts.contains(host)));
    let ftx = exchanges::connector(Venue::Ftx, Market::Spot).unwrap();
    assert!(ftx.hosts().is_empty());
}
