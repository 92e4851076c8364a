//! The read-only check of Coinbase, OKX and Bybit, one grant at a time.

use exchanges::bybit::Bybit;
use exchanges::coinbase::Coinbase;
use exchanges::okx::Okx;
use exchanges::{Connector, Context, ExchangeError, Fact, Permissions, Query};
use serde_json::{Value, json};

use crate::support::reply;

fn read(connector: &dyn Connector, body: &str) -> Result<Permissions, ExchangeError> {
    let page = connector.read(&Query::Permissions, reply(200, body), &Context::default())?;
    let mut facts = page.facts.into_iter();
    match (facts.next(), facts.next()) {
        (Some(Fact::Permissions(found)), None) => Ok(found),
        other => panic!("{other:?}"),
    }
}

/// Reads, trades, withdraws, transfers.
fn answers(found: &Permissions) -> [Option<bool>; 4] {
    [found.can_read(), found.can_trade(), found.can_withdraw(), found.can_transfer_internal()]
}

const READS: [Option<bool>; 4] = [Some(true), Some(false), Some(false), Some(false)];

fn coinbase(flags: &Value) -> Permissions {
    read(&Coinbase, &flags.to_string()).unwrap()
}

fn viewing() -> Value {
    json!({ "can_view": true, "can_trade": false, "can_transfer": false, "portfolio_uuid": "p" })
}

#[test]
fn a_coinbase_key_that_views_is_accepted_and_no_other() {
    let found = coinbase(&viewing());
    assert_eq!(answers(&found), READS);
    assert!(found.confirm().is_ok());
    for (name, value, expected) in [
        ("can_view", json!(false), [Some(false), Some(false), Some(false), Some(false)]),
        ("can_trade", json!(true), [Some(true), Some(true), Some(false), Some(false)]),
        ("can_transfer", json!(true), [Some(true), Some(false), Some(true), Some(true)]),
        ("can_view", json!(null), [None, Some(false), Some(false), Some(false)]),
        ("can_trade", json!("false"), [Some(true), None, Some(false), Some(false)]),
        ("can_transfer", json!(0), [Some(true), Some(false), None, None]),
    ] {
        let mut flags = viewing();
        flags[name] = value;
        let found = coinbase(&flags);
        assert_eq!(answers(&found), expected, "{flags}");
        assert!(!found.accept() && found.confirm().is_err(), "{flags}");
        flags.as_object_mut().unwrap().remove(name);
        let refused = coinbase(&flags).confirm().unwrap_err();
        assert_eq!(refused.unproven, [name]);
    }
}

#[test]
fn an_unknown_grant_of_coinbase_is_refused_and_named() {
    for value in [json!(true), json!(1), json!("yes"), json!(null), json!({})] {
        let mut flags = viewing();
        flags["can_stake"] = value;
        let found = coinbase(&flags);
        assert_eq!(found.unknown_grants(), ["can_stake"]);
        assert_eq!(found.confirm().unwrap_err().remove, ["can_stake"]);
    }
    let mut flags = viewing();
    flags["can_stake"] = json!(false);
    flags["is_default"] = json!(true);
    assert!(coinbase(&flags).accept());
    let mut many = viewing();
    for at in 0..100 {
        many[format!("can_{at}\n")] = json!(true);
    }
    let found = coinbase(&many);
    assert_eq!(found.unknown_grants().len(), exchanges::limits::UNKNOWN_GRANTS_MAX);
    assert!(!found.unknown_grants().iter().any(|name| name.contains('\n')));
    assert!(!found.accept());
}

fn okx(perm: &Value) -> Permissions {
    let body = json!({ "code": "0", "msg": "", "data": [{ "uid": "1", "perm": perm }] });
    read(&Okx, &body.to_string()).unwrap()
}

#[test]
fn an_okx_key_that_reads_is_accepted_and_no_other() {
    assert!(okx(&json!("read_only")).confirm().is_ok());
    for (perm, expected, remove) in [
        ("read_only,trade", [Some(true), Some(true), Some(false), Some(true)], vec!["trade"]),
        (
            "withdraw, read_only",
            [Some(true), Some(false), Some(true), Some(false)],
            vec!["withdraw"],
        ),
        ("trade", [Some(false), Some(true), Some(false), Some(true)], vec!["trade"]),
        ("read_only,", READS, vec!["(a grant with an unprintable name)"]),
        ("READ_ONLY", [Some(false), Some(false), Some(false), Some(false)], vec!["READ_ONLY"]),
        ("read_only,lend", READS, vec!["lend"]),
    ] {
        let found = okx(&json!(perm));
        assert_eq!(answers(&found), expected, "{perm}");
        assert_eq!(found.to_remove(), remove, "{perm}");
        assert!(!found.accept(), "{perm}");
    }
    for nothing in [json!(null), json!("")] {
        let found = okx(&nothing);
        assert_eq!(answers(&found), [None; 4]);
        assert_eq!(found.confirm().unwrap_err().unproven, ["perm"]);
    }
    let empty = read(&Okx, r#"{"code":"0","data":[]}"#).err();
    assert_eq!(empty, Some(ExchangeError::Malformed { field: "data" }));
}

fn bybit(result: &Value) -> Permissions {
    let body = json!({ "retCode": 0, "retMsg": "", "result": result, "time": 1 });
    read(&Bybit, &body.to_string()).unwrap()
}

#[test]
fn a_bybit_key_is_what_read_only_says() {
    let scopes = json!({ "Spot": ["SpotTrade"], "Wallet": ["Withdraw"] });
    for one in [json!(1), json!("1")] {
        let found = bybit(&json!({ "readOnly": one, "permissions": scopes }));
        assert_eq!(answers(&found), READS);
        assert!(found.accept());
    }
    for odd in [json!(null), json!(2), json!(-1), json!(true), json!("yes"), json!([1])] {
        let found = bybit(&json!({ "readOnly": odd, "permissions": scopes }));
        assert_eq!(answers(&found), [None; 4]);
        assert_eq!(found.confirm().unwrap_err().unproven, ["readOnly"]);
    }
    assert!(!bybit(&json!({ "permissions": scopes })).accept());
}

#[test]
fn a_bybit_key_that_writes_is_refused_with_what_it_may_do() {
    for (scopes, expected) in [
        (json!({}), READS),
        (json!({ "Spot": [], "Wallet": [] }), READS),
        (json!({ "Spot": ["SpotTrade"] }), [Some(true), Some(true), Some(false), Some(false)]),
        (json!({ "Derivatives": ["x"] }), [Some(true), Some(true), Some(false), Some(false)]),
        (json!({ "Options": ["x"] }), [Some(true), Some(true), Some(false), Some(false)]),
        (json!({ "ContractTrade": ["x"] }), [Some(true), Some(true), Some(false), Some(false)]),
        (json!({ "Wallet": ["Withdraw"] }), [Some(true), Some(false), Some(true), Some(false)]),
        (
            json!({ "Wallet": ["AccountTransfer"] }),
            [Some(true), Some(false), Some(false), Some(true)],
        ),
        (
            json!({ "Wallet": ["SubMemberTransfer"] }),
            [Some(true), Some(false), Some(false), Some(true)],
        ),
    ] {
        let found = bybit(&json!({ "readOnly": 0, "permissions": scopes }));
        assert_eq!(answers(&found), expected, "{scopes}");
        assert!(!found.accept(), "{scopes}");
        assert!(found.confirm().unwrap_err().to_string().contains("read-only"));
    }
    assert!(!bybit(&json!({ "readOnly": 0 })).accept());
}

#[test]
fn a_bybit_key_says_when_it_ends() {
    let until = |end: Value| bybit(&json!({ "readOnly": 1, "expiredAt": end })).valid_until();
    let end = json!("2026-05-15T03:21:05Z");
    assert_eq!(until(end), Some(exchanges::UnixMillis(1_778_815_265_000)));
    for never in [json!("1970-01-01T00:00:00Z"), json!(null), json!(""), json!("soon"), json!({})] {
        assert_eq!(until(never), None);
    }
}
