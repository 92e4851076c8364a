//! What refusals mean, by status, headers and body.

use std::time::Duration;

use exchanges::binance::{self, Binance};
use exchanges::kraken;
use exchanges::{Connector as _, Context, ExchangeError, Kind, Market, Query, Reach, Reply, Retry};
use protocol::category::Category;

use crate::support::{CREDENTIALS, NOW, reply};

fn kind(status: u16, body: &str) -> Option<Kind> {
    binance::classify(&reply(status, body)).map(|answer| answer.kind)
}

fn coded(code: i64) -> String {
    format!(r#"{{"code":{code},"msg":"words"}}"#)
}

#[test]
fn every_listed_code_has_its_kind() {
    for (kind_expected, codes) in [
        (Kind::Auth, &[-1002, -1022, -2014, -2015][..]),
        (Kind::RateLimit, &[-1003, -1015]),
        (Kind::Clock, &[-1021]),
        (Kind::Unavailable, &[-1000, -1001, -1004, -1006, -1007, -1008]),
        (Kind::Maintenance, &[-1016]),
        (Kind::InvalidSymbol, &[-1121]),
        (
            Kind::BadRequest,
            &[-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1127, -1128, -1130],
        ),
        (Kind::Account, &[-3003]),
        (Kind::Unknown, &[-1, -1107, -1109, -9999]),
    ] {
        for code in codes {
            assert_eq!(kind(400, &coded(*code)), Some(kind_expected), "{code}");
            let answer = binance::classify(&reply(400, &coded(*code))).unwrap();
            assert_eq!(answer.code, Some(*code));
        }
    }
}

#[test]
fn a_refusal_with_a_success_status_is_still_one() {
    assert_eq!(kind(200, &coded(-2015)), Some(Kind::Auth));
    assert_eq!(kind(200, r#"{"status":1,"msg":"system_maintenance"}"#), Some(Kind::Maintenance));
    assert_eq!(kind(200, "<html>checking your browser</html>"), Some(Kind::Unavailable));
}

#[test]
fn the_edge_speaks_by_status() {
    for body in ["", "<html></html>", &coded(-1003), r#"{"code":0,"msg":"words"}"#] {
        assert_eq!(kind(418, body), Some(Kind::Blocked));
        assert_eq!(kind(403, body), Some(Kind::Blocked));
        assert_eq!(kind(451, body), Some(Kind::Blocked));
        assert_eq!(kind(429, body), Some(Kind::RateLimit));
    }
    for (status, expected) in [
        (401, Kind::Auth),
        (400, Kind::BadRequest),
        (404, Kind::Unknown),
        (302, Kind::Unknown),
        (408, Kind::Unavailable),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (599, Kind::Unavailable),
    ] {
        assert_eq!(kind(status, "<html></html>"), Some(expected), "{status}");
        assert_eq!(kind(status, "[]"), Some(expected), "{status}");
    }
}

#[test]
fn a_challenge_of_the_firewall_is_a_block() {
    let headers = [("X-Amzn-Waf-Action".to_owned(), "challenge".to_owned())];
    for status in [202, 405] {
        let reply = Reply { status, headers: &headers, body: b"" };
        assert_eq!(binance::classify(&reply).unwrap().kind, Kind::Blocked);
    }
}

#[test]
fn retry_after_is_read_in_seconds_and_in_any_case() {
    for (value, expected) in [
        ("17", Some(17)),
        (" 259200 ", Some(259_200)),
        ("0", Some(0)),
        ("-1", None),
        ("1.5", None),
        ("99999999999999999999", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
    ] {
        for name in ["Retry-After", "retry-after", "RETRY-AFTER"] {
            let headers = [(name.to_owned(), value.to_owned())];
            let reply = Reply { status: 429, headers: &headers, body: b"" };
            let wait = binance::classify(&reply).unwrap().retry_after;
            assert_eq!(wait, expected.map(Duration::from_secs), "{value}");
            assert_eq!(kraken::classify(&reply).unwrap().retry_after, wait, "{value}");
        }
    }
}

#[test]
fn a_success_is_no_refusal() {
    for body in ["[]", "{}", r#"{"serverTime":1}"#, r#"{"code":"000000"}"#, r#"{"code":1}"#] {
        assert_eq!(kind(200, body), None, "{body}");
    }
}

#[test]
fn each_kind_says_who_must_act_and_when_to_ask_again() {
    let read = |status, headers: &[(String, String)], body: &str| {
        let reply = Reply { status, headers, body: body.as_bytes() };
        Binance::new(Market::Spot)
            .read(&Query::balances(), reply, &Context::default())
            .expect_err("a refusal")
    };
    let wait = [("Retry-After".to_owned(), "7".to_owned())];
    let after = Retry::After(Duration::from_secs(7));
    for (status, code, headers, category, retry, reach) in [
        (401, -2015, &[][..], Category::Refused, Retry::Never, Reach::Account),
        (429, -1003, &wait[..], Category::Throttled, after, Reach::Venue),
        (429, -1003, &[], Category::Throttled, Retry::Backoff, Reach::Venue),
        (418, -1003, &wait, Category::Unavailable, after, Reach::Venue),
        (403, 0, &[], Category::Unavailable, Retry::Backoff, Reach::Venue),
        (451, 0, &wait, Category::Unavailable, Retry::Never, Reach::Venue),
        (400, -1021, &[], Category::Unavailable, Retry::AfterClock, Reach::Query),
        (503, -1008, &[], Category::Unavailable, Retry::Backoff, Reach::Venue),
        (400, -1016, &[], Category::Unavailable, Retry::Backoff, Reach::Venue),
        (400, -1121, &[], Category::Invalid, Retry::Never, Reach::Query),
        (400, -1100, &[], Category::Internal, Retry::Never, Reach::Query),
        (400, -3003, &[], Category::Refused, Retry::Never, Reach::Account),
        (400, -9999, &[], Category::Unavailable, Retry::Never, Reach::Query),
    ] {
        let error = read(status, headers, &coded(code));
        assert_eq!(error.category(), category, "{error}");
        assert_eq!(error.retry(), retry, "{error}");
        assert_eq!(error.reach(), reach, "{error}");
    }
    let cut = read(200, &[], r#"{"balances":["#);
    assert_eq!(cut, ExchangeError::Malformed { field: "body" });
    assert_eq!(cut.retry(), Retry::Backoff);
}

#[test]
fn kraken_errors_come_with_success_and_warnings_do_not_count() {
    let kind = |status, body: &str| kraken::classify(&reply(status, body)).map(|found| found.kind);
    let error = |text: &str| format!(r#"{{"error":["{text}"]}}"#);
    for (text, expected) in [
        ("EAPI:Invalid signature", Kind::Auth),
        ("ESession:Invalid session", Kind::Auth),
        ("EAPI:Invalid nonce", Kind::Clock),
        ("EAccount:Invalid permissions", Kind::Permission),
        ("EOrder:Rate limit exceeded", Kind::RateLimit),
        ("EGeneral:Too many requests", Kind::RateLimit),
        ("EService: Throttled: 1700000000", Kind::RateLimit),
        ("EGeneral:Temporary lockout", Kind::Blocked),
        ("EService:Unavailable", Kind::Unavailable),
        ("EService:Market in post_only mode", Kind::Maintenance),
        ("EQuery:Invalid asset pair", Kind::InvalidSymbol),
        ("EQuery:Unknown asset", Kind::InvalidSymbol),
        ("ETrade:User Locked", Kind::Account),
        ("EGeneral:Invalid arguments", Kind::BadRequest),
        ("EBrandNew:Thing", Kind::Unknown),
    ] {
        assert_eq!(kind(200, &error(text)), Some(expected), "{text}");
    }
    assert_eq!(kind(200, r#"{"error":["WGeneral:Careful"],"result":{}}"#), None);
    let both = r#"{"error":["WGeneral:Careful","EAPI:Invalid key"]}"#;
    assert_eq!(kind(200, both), Some(Kind::Auth));
    assert_eq!(kind(520, "<html></html>"), Some(Kind::Unavailable));
    assert_eq!(kind(200, "<html></html>"), Some(Kind::Unavailable));
    assert_eq!(kind(403, "<html></html>"), Some(Kind::Blocked));
}

#[test]
fn no_error_repeats_what_an_exchange_said() {
    let canary = "canary-7f3a";
    let spot = Binance::new(Market::Spot);
    for (status, body) in [
        (400, format!(r#"{{"code":-9,"msg":"{canary}"}}"#)),
        (200, format!(r#"{{"balances":[{{"asset":"{canary}","free":"{canary}"}}]}}"#)),
        (200, format!(r#"{{"{canary}":1}}"#)),
        (500, canary.to_owned()),
        (200, canary.to_owned()),
    ] {
        let reply = reply(status, &body);
        assert!(!format!("{reply:?}").contains(canary));
        let error = spot.read(&Query::balances(), reply, &Context::default()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(canary), "{error:?}");
    }
    let refused = spot.request(&Query::fills_from("", 0), Some(&CREDENTIALS), NOW).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}
