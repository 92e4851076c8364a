//! The read-only check, one flag at a time.

use exchanges::{ExchangeError, Fact, KeyRefused, Permissions, Query};
use serde_json::{Value, json};

use crate::support::spot;

/// Everything that must be off, and whether it trades, withdraws, transfers.
const GRANTS: [(&str, [bool; 3]); 9] = [
    ("enableWithdrawals", [false, true, false]),
    ("enableSpotAndMarginTrading", [true, false, false]),
    ("enableMargin", [true, false, false]),
    ("enableFutures", [true, false, false]),
    ("enableVanillaOptions", [true, false, false]),
    ("enablePortfolioMarginTrading", [true, false, false]),
    ("enableFixApiTrade", [true, false, false]),
    ("enableInternalTransfer", [false, false, true]),
    ("permitsUniversalTransfer", [false, false, true]),
];

const MANDATORY: [&str; 3] = ["enableReading", "enableWithdrawals", "enableSpotAndMarginTrading"];

/// A key that may read and nothing else.
fn read_only() -> Value {
    let mut flags = json!({
        "ipRestrict": false,
        "createTime": 1_700_000_000_000_u64,
        "enableReading": true,
        "enableFixReadOnly": false,
    });
    for (name, _) in GRANTS {
        flags[name] = json!(false);
    }
    flags
}

fn check(flags: &Value) -> Permissions {
    let page = spot(&Query::Permissions, &flags.to_string()).unwrap();
    let mut facts = page.facts.into_iter();
    match (facts.next(), facts.next()) {
        (Some(Fact::Permissions(found)), None) => found,
        other => panic!("{other:?}"),
    }
}

fn refusal(flags: &Value) -> KeyRefused {
    let found = check(flags);
    assert!(!found.accept());
    found.confirm().unwrap_err()
}

#[test]
fn reading_alone_is_accepted() {
    let found = check(&read_only());
    assert_eq!(found.can_read(), Some(true));
    assert_eq!(found.can_trade(), Some(false));
    assert_eq!(found.can_withdraw(), Some(false));
    assert_eq!(found.can_transfer_internal(), Some(false));
    assert!(found.accept());
    assert!(found.confirm().is_ok());
}

#[test]
fn every_single_grant_is_refused_and_named() {
    for (name, [trades, withdraws, transfers]) in GRANTS {
        let mut flags = read_only();
        flags[name] = json!(true);
        let found = check(&flags);
        assert_eq!(found.can_trade(), Some(trades), "{name}");
        assert_eq!(found.can_withdraw(), Some(withdraws), "{name}");
        assert_eq!(found.can_transfer_internal(), Some(transfers), "{name}");
        let refused = refusal(&flags);
        assert_eq!(refused.remove, [name]);
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

#[test]
fn all_grants_are_named_together() {
    let mut flags = read_only();
    for (name, _) in GRANTS {
        flags[name] = json!(true);
    }
    let mut named = refusal(&flags).remove;
    named.sort();
    let mut all = GRANTS.map(|(name, _)| name.to_owned());
    all.sort();
    assert_eq!(named, all);
}

#[test]
fn reads_over_fix_and_a_restricted_address_are_harmless() {
    let mut flags = read_only();
    flags["enableFixReadOnly"] = json!(true);
    flags["ipRestrict"] = json!(true);
    flags["tradingAuthorityExpirationTime"] = json!(1_700_000_000_000_u64);
    assert!(check(&flags).accept());
}

#[test]
fn a_missing_mandatory_flag_is_refused_and_named() {
    for name in MANDATORY {
        for gone in [None, Some(Value::Null)] {
            let mut flags = read_only();
            match gone {
                None => flags.as_object_mut().unwrap().remove(name),
                Some(null) => flags.as_object_mut().unwrap().insert(name.to_owned(), null),
            };
            let refused = refusal(&flags);
            assert_eq!(refused.unproven, [name]);
            assert!(refused.to_string().contains(name), "{refused}");
        }
    }
}

#[test]
fn an_optional_flag_may_be_absent() {
    for (name, _) in GRANTS {
        if !MANDATORY.contains(&name) {
            let mut flags = read_only();
            flags.as_object_mut().unwrap().remove(name);
            assert!(check(&flags).accept(), "{name}");
        }
    }
}

#[test]
fn a_key_that_cannot_read_is_refused() {
    let mut flags = read_only();
    flags["enableReading"] = json!(false);
    let refused = refusal(&flags);
    assert!(refused.cannot_read);
    assert!(refused.to_string().contains("allow reading"), "{refused}");
}

#[test]
fn unknown_grants_are_refused_and_named() {
    for name in ["enableLending", "permitsEverything", "canMintCoins"] {
        let mut flags = read_only();
        flags[name] = json!(true);
        assert_eq!(check(&flags).unknown_grants(), [name]);
        assert_eq!(refusal(&flags).remove, [name]);
        flags[name] = json!(false);
        assert!(check(&flags).accept(), "{name}");
    }
}

#[test]
fn an_unknown_field_that_may_grant_something_is_refused_whatever_its_form() {
    for (name, value) in [
        ("canTrade", json!(7)),
        ("canTrade", json!("YES")),
        ("margin", json!(1)),
        ("margin", json!("true")),
        ("more", json!({ "enableTrading": true })),
        ("grants", json!(["TRADE"])),
    ] {
        let mut flags = read_only();
        flags[name] = value;
        assert_eq!(refusal(&flags).remove, [name], "{flags}");
    }
}

#[test]
fn times_counts_and_names_grant_nothing() {
    for value in [json!(1_700_000_000_000_u64), json!("my key"), json!(null), json!([]), json!(0)] {
        let mut flags = read_only();
        flags["somethingNew"] = value;
        assert!(check(&flags).accept(), "{flags}");
    }
}

#[test]
fn a_grant_that_is_neither_on_nor_off_is_refused() {
    for odd in [json!("false"), json!(0), json!(null), json!([]), json!({})] {
        for (name, _) in GRANTS {
            let mut flags = read_only();
            flags[name] = odd.clone();
            assert_eq!(refusal(&flags).unproven, [name], "{odd}");
        }
        let mut flags = read_only();
        flags["enableLending"] = odd.clone();
        assert_eq!(refusal(&flags).remove, ["enableLending"], "{odd}");
        let mut flags = read_only();
        flags["enableReading"] = odd.clone();
        assert_eq!(refusal(&flags).unproven, ["enableReading"], "{odd}");
    }
}

#[test]
fn an_unprintable_or_endless_grant_is_refused_without_repeating_it() {
    for name in ["enable\u{1b}[2J", &format!("enable{}", "x".repeat(1000))] {
        let mut flags = read_only();
        flags[name] = json!(true);
        let refused = refusal(&flags);
        assert_eq!(refused.remove.len(), 1);
        assert!(!refused.to_string().contains(name));
        assert!(refused.to_string().len() < 200);
    }
    let mut flags = read_only();
    for number in 0..1000 {
        flags[format!("enable{number}")] = json!(true);
    }
    assert_eq!(refusal(&flags).remove.len(), exchanges::limits::UNKNOWN_GRANTS_MAX);
}

#[test]
fn a_flag_stated_twice_proves_nothing() {
    let flags = read_only().to_string();
    let twice = flags.replacen('{', r#"{"enableWithdrawals":true,"#, 1);
    let refused = spot(&Query::Permissions, &twice).err();
    assert_eq!(refused, Some(ExchangeError::Malformed { field: "body" }));
}

#[test]
fn a_reply_that_is_no_list_of_flags_is_an_error() {
    for body in ["[]", "true", "\"enableReading\"", "", "<html>"] {
        assert!(spot(&Query::Permissions, body).is_err(), "{body}");
    }
    assert!(!check(&json!({})).accept());
}
