//! What refusals of Coinbase, OKX, Bybit and FTX mean.

use std::time::Duration;

use exchanges::ftx::Ftx;
use exchanges::{
    Answer, Connector as _, Credentials, ExchangeError, Kind, Nonce, Query, Reach, Reply, Retry,
    UnixMillis, Window, bybit, coinbase, ftx, okx,
};

use crate::support::reply;

fn kind(classify: fn(&Reply<'_>) -> Option<Answer>, status: u16, body: &str) -> Option<Kind> {
    classify(&reply(status, body)).map(|answer| answer.kind)
}

#[test]
fn the_edge_speaks_by_status_at_every_exchange() {
    for classify in [coinbase::classify, okx::classify, bybit::classify] {
        for body in ["", "{}", "<html></html>", r#"{"code":"50111","retCode":10003,"error":"x"}"#] {
            assert_eq!(kind(classify, 418, body), Some(Kind::Blocked));
            assert_eq!(kind(classify, 451, body), Some(Kind::Blocked));
            assert_eq!(kind(classify, 429, body), Some(Kind::RateLimit));
        }
        for (status, expected) in [
            (401, Kind::Auth),
            (400, Kind::BadRequest),
            (302, Kind::Unknown),
            (404, Kind::Unknown),
            (0, Kind::Unknown),
            (408, Kind::Unavailable),
            (500, Kind::Unavailable),
            (503, Kind::Unavailable),
        ] {
            for body in ["", "<html></html>", "[]", "{", "{}"] {
                assert_eq!(kind(classify, status, body), Some(expected), "{status} {body}");
            }
        }
        assert_eq!(kind(classify, 403, "<html></html>"), Some(Kind::Blocked));
        assert_eq!(kind(classify, 200, " <!DOCTYPE html>"), Some(Kind::Unavailable));
        assert_eq!(kind(classify, 200, "{}"), None);
        assert_eq!(kind(classify, 200, "{"), None);
        for header in ["CF-Mitigated", "x-amzn-waf-action"] {
            let headers = [(header.to_owned(), "challenge".to_owned())];
            let reply = Reply { status: 202, headers: &headers, body: b"" };
            assert_eq!(classify(&reply).map(|answer| answer.kind), Some(Kind::Blocked));
        }
    }
}

#[test]
fn the_wait_an_exchange_asks_for_is_kept() {
    let headers = [("Retry-After".to_owned(), "17".to_owned())];
    for classify in [coinbase::classify, okx::classify, bybit::classify] {
        let answer = classify(&Reply { status: 429, headers: &headers, body: b"" }).unwrap();
        assert_eq!(answer.retry(), Retry::After(Duration::from_secs(17)));
    }
}

#[test]
fn every_word_of_coinbase_has_its_kind() {
    for (expected, words) in [
        (Kind::Auth, &["UNAUTHENTICATED", "unauthorized", "Unauthorized", "invalid_token"][..]),
        (Kind::Auth, &["authentication_error", "expired_token", "revoked_token"]),
        (Kind::Permission, &["PERMISSION_DENIED", "forbidden", "invalid_scope"]),
        (Kind::RateLimit, &["resource_exhausted", "RESOURCE_EXHAUSTED", "rate_limit_exceeded"]),
        (Kind::InvalidSymbol, &["NOT_FOUND"]),
        (Kind::BadRequest, &["INVALID_ARGUMENT", "validation_error", "param_required"]),
        (Kind::Account, &["personal_details_required", "unverified_email"]),
        (Kind::Unavailable, &["INTERNAL", "internal_server_error", "UNAVAILABLE"]),
    ] {
        for word in words {
            let v3 = format!(r#"{{"error":"{word}","error_details":"d","message":"m"}}"#);
            assert_eq!(kind(coinbase::classify, 400, &v3), Some(expected), "{word}");
            assert_eq!(kind(coinbase::classify, 200, &v3), Some(expected), "{word}");
            let v2 = format!(r#"{{"errors":[{{"id":"{word}","message":"m"}}]}}"#);
            let older = if *word == "NOT_FOUND" { Kind::Account } else { expected };
            assert_eq!(kind(coinbase::classify, 400, &v2), Some(older), "{word}");
        }
    }
}

#[test]
fn every_number_of_coinbase_has_its_kind() {
    for (expected, codes) in [
        (Kind::Auth, &[16][..]),
        (Kind::Permission, &[7]),
        (Kind::RateLimit, &[8]),
        (Kind::InvalidSymbol, &[5]),
        (Kind::BadRequest, &[3, 9, 11]),
        (Kind::Unavailable, &[4, 10, 13, 14]),
        (Kind::Unknown, &[1, 2, 12, 99]),
    ] {
        for code in codes {
            let body = format!(r#"{{"code":{code},"message":"m","details":[]}}"#);
            let answer = coinbase::classify(&reply(200, &body)).unwrap();
            assert_eq!((answer.kind, answer.code), (expected, Some(*code)));
        }
    }
}

#[test]
fn coinbase_tells_a_late_token_from_a_wrong_one() {
    let late =
        r#"{"errors":[{"id":"authentication_error","message":"Request timestamp expired"}]}"#;
    let answer = coinbase::classify(&reply(401, late)).unwrap();
    assert_eq!((answer.kind, answer.retry()), (Kind::Clock, Retry::AfterClock));
    let wrong = late.replace("Request timestamp expired", "invalid signature");
    assert_eq!(kind(coinbase::classify, 401, &wrong), Some(Kind::Auth));
    assert_eq!(kind(coinbase::classify, 401, "Unauthorized\n"), Some(Kind::Auth));
}

#[test]
fn coinbase_tells_a_missing_product_from_a_missing_account() {
    let body = |text: &str| format!(r#"{{"error":"NOT_FOUND","message":"{text}"}}"#);
    for (text, expected) in [
        ("product not found", Kind::InvalidSymbol),
        ("not found", Kind::InvalidSymbol),
        ("account not found", Kind::Account),
        ("portfolio could not be found", Kind::Account),
    ] {
        assert_eq!(kind(coinbase::classify, 404, &body(text)), Some(expected), "{text}");
    }
}

#[test]
fn coinbase_may_refuse_without_a_known_word() {
    let body = r#"{"error":"unknown","message":"words"}"#;
    for (status, expected) in [
        (200, Kind::Unknown),
        (400, Kind::BadRequest),
        (401, Kind::Auth),
        (403, Kind::Permission),
        (500, Kind::Unavailable),
    ] {
        assert_eq!(kind(coinbase::classify, status, body), Some(expected), "{status}");
    }
    for body in [r#"{"message":"Missing required scopes"}"#, "{}"] {
        assert_eq!(kind(coinbase::classify, 403, body), Some(Kind::Permission));
        assert_eq!(kind(coinbase::classify, 200, body), None);
    }
    let late = r#"{"message":"request timestamp expired"}"#;
    assert_eq!(kind(coinbase::classify, 401, late), Some(Kind::Clock));
    let closed = r#"{"error":"UNAVAILABLE","message":"Scheduled maintenance"}"#;
    assert_eq!(kind(coinbase::classify, 503, closed), Some(Kind::Maintenance));
}

#[test]
fn every_code_of_okx_has_its_kind() {
    for (expected, codes) in [
        (Kind::Auth, &[50100, 50101, 50103, 50105, 50110, 50111, 50113, 50114, 50119][..]),
        (Kind::Clock, &[50102, 50112]),
        (Kind::Permission, &[50030, 50120]),
        (Kind::RateLimit, &[50011, 50040, 50061]),
        (Kind::Maintenance, &[50001]),
        (Kind::Unavailable, &[50004, 50005, 50013, 50026]),
        (Kind::Account, &[50007, 50008, 50009, 50012, 50027]),
        (Kind::InvalidSymbol, &[51001, 51014, 51015]),
        (Kind::BadRequest, &[50000, 50002, 50014, 51000]),
        (Kind::Unknown, &[1, 59999]),
    ] {
        for code in codes {
            // As a text or as a number.
            for body in [
                format!(r#"{{"code":"{code}","msg":"m","data":[]}}"#),
                format!(r#"{{"code":{code},"msg":"m"}}"#),
            ] {
                for status in [200, 400] {
                    let answer = okx::classify(&reply(status, &body)).unwrap();
                    assert_eq!((answer.kind, answer.code), (expected, Some(*code)), "{code}");
                }
            }
        }
    }
    assert_eq!(kind(okx::classify, 200, r#"{"code":"0","data":[]}"#), None);
    assert_eq!(kind(okx::classify, 500, r#"{"code":"59999"}"#), Some(Kind::Unavailable));
}

#[test]
fn every_code_of_bybit_has_its_kind() {
    for (expected, codes) in [
        (Kind::Auth, &[10003, 10004, 10007, 10010, 33004][..]),
        (Kind::Clock, &[10002]),
        (Kind::Permission, &[10005]),
        (Kind::RateLimit, &[10006, 10018, 10429]),
        (Kind::Blocked, &[10009]),
        (Kind::Unavailable, &[10000, 10016]),
        (Kind::Account, &[10008, 10024, 10027, 10028, 100_028]),
        (Kind::InvalidSymbol, &[10029, 170_121]),
        (Kind::BadRequest, &[10001, 10014, 10017, 10404]),
        (Kind::Unknown, &[-1, 1, 110_001]),
    ] {
        for code in codes {
            let body = format!(r#"{{"retCode":{code},"retMsg":"m","result":{{}},"time":1}}"#);
            let answer = bybit::classify(&reply(200, &body)).unwrap();
            assert_eq!((answer.kind, answer.code), (expected, Some(*code)), "{code}");
        }
    }
    let symbol = r#"{"retCode":10001,"retMsg":"params error: Symbol Invalid","result":{}}"#;
    assert_eq!(kind(bybit::classify, 200, symbol), Some(Kind::InvalidSymbol));
    let banned = r#"{"retCode":10006,"retMsg":"m"}"#;
    assert_eq!(kind(bybit::classify, 403, banned), Some(Kind::Blocked));
}

#[test]
fn nothing_is_asked_of_ftx() {
    let window = Window::new(UnixMillis(0), UnixMillis(1));
    let credentials = Credentials { key: "key-canary", secret: b"secret-canary", passphrase: None };
    for query in [
        Query::ServerTime,
        Query::SystemStatus,
        Query::Instruments,
        Query::Permissions,
        Query::AccountIdentity,
        Query::balances(),
        Query::account_fills(window, 1),
        Query::transfers(None, window),
        Query::fills_from("BTC/USD", 0),
        Query::Positions,
    ] {
        for credentials in [None, Some(&credentials)] {
            let plain = Ftx.request(&query, credentials, window.end).unwrap_err();
            let with = Ftx.request_with(&query, credentials, window.end, &Nonce([0; 16]));
            assert_eq!(with.unwrap_err(), plain);
            let ExchangeError::Answered(answer) = &plain else { panic!("{plain:?}") };
            assert_eq!((answer.kind, answer.status), (Kind::Gone, 0));
            assert_eq!((plain.retry(), plain.reach()), (Retry::Never, Reach::Venue));
        }
    }
    assert!(Ftx.hosts().is_empty());
}

#[test]
fn whoever_answers_for_ftx_is_not_ftx() {
    for (status, body) in [(0, ""), (200, "<html>"), (401, "{}"), (503, r#"{"success":true}"#)] {
        let answer = ftx::classify(&reply(status, body));
        assert_eq!((answer.kind, answer.retry()), (Kind::Gone, Retry::Never));
    }
    let refused = r#"{"success":false,"error":"Not logged in"}"#;
    let read = Ftx.read(&Query::balances(), reply(200, refused), &exchanges::Context::default());
    assert!(matches!(read, Err(ExchangeError::Answered(answer)) if answer.kind == Kind::Gone));
}
