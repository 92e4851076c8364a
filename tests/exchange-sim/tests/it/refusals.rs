//! What Binance refuses, and how.

use exchange_sim::keys::{IssuedKey, KeyForm, KeySpec};
use exchange_sim::{BINANCE, Options, Sim};

use crate::client::{Reply, call, hmac, private, public, sign, sign_at, start, start_with};

const ACCOUNT: &str = "binance-spot";

async fn with_key(sim: &Sim, api_key: &str, target: &str) -> Reply {
    call(sim, BINANCE, "GET", target, &[("X-MBX-APIKEY", api_key)], "").await.unwrap()
}

async fn signed_at(sim: &Sim, offset_ms: i64, query: &str) -> Reply {
    let key = sim.key_of(ACCOUNT).unwrap();
    let at = sim.clock.view().now_ms.checked_add_signed(offset_ms).unwrap();
    let target = format!("/api/v3/account?{}", sign_at(key, query, at));
    with_key(sim, &key.api_key, &target).await
}

#[tokio::test]
async fn the_documented_key_signs_with_the_documented_vector() {
    // From Binance's documentation; the request itself is ours.
    let api_key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
    let api_secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let payload = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
        &recvWindow=5000&timestamp=1499827319559";
    let signature = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
    assert_eq!(hmac(api_secret, payload), signature);
    let key = KeySpec {
        account: ACCOUNT.to_owned(),
        api_key: Some(api_key.to_owned()),
        api_secret: Some(api_secret.to_owned()),
        permissions: "read".parse().unwrap(),
        form: KeyForm::Binance,
    };
    let sim = start_with("quirks.json", Options { keys: vec![key], ..Options::default() }).await;
    assert_eq!(sim.key_of(ACCOUNT).unwrap().api_key, api_key);
    assert_eq!(private(&sim, ACCOUNT, "/api/v3/account", "recvWindow=5000").await.status, 200);
}

#[tokio::test]
async fn a_key_is_well_formed_and_known() {
    let sim = start("quirks.json").await;
    let key = sim.key_of(ACCOUNT).unwrap();
    let target = format!("/api/v3/account?{}", sign(&sim, key, ""));
    assert_eq!(public(&sim, &target).await.refusal(), (401, -2014));
    for short in ["", "abc", &"x".repeat(65), &"!".repeat(64)] {
        assert_eq!(with_key(&sim, short, &target).await.refusal(), (401, -2014), "{short}");
    }
    assert_eq!(with_key(&sim, &"x".repeat(64), &target).await.refusal(), (401, -2015));
    assert_eq!(with_key(&sim, &key.api_key, &target).await.status, 200);
}

#[tokio::test]
async fn a_key_without_the_right_to_read_is_refused_everywhere() {
    let sim = start("quirks.json").await;
    sim.permit(ACCOUNT, &"trade".parse().unwrap()).unwrap();
    for path in ["/api/v3/account", "/sapi/v1/account/apiRestrictions"] {
        assert_eq!(private(&sim, ACCOUNT, path, "").await.refusal(), (401, -2015), "{path}");
    }
}

#[tokio::test]
async fn a_signature_fits_the_exact_query() {
    let sim = start("quirks.json").await;
    let key = sim.key_of(ACCOUNT).unwrap();
    let query = sign(&sim, key, "omitZeroBalances=true");
    let (payload, signature) = query.split_once("&signature=").unwrap();
    let other = IssuedKey { api_secret: "x".repeat(64), ..key.clone() };
    for (bad, code) in [
        (query.replace("true", "false"), -1022),
        (sign(&sim, &other, ""), -1022),
        (format!("signature={signature}&{payload}"), -1022),
        (format!("{payload}&signature={}", signature.split_at(62).0), -1022),
        (format!("{payload}&signature=zz"), -1022),
        (payload.to_owned(), -1102),
        (format!("omitZeroBalances=true&signature={signature}"), -1102),
        (format!("{payload}&signature="), -1102),
    ] {
        let target = format!("/api/v3/account?{bad}");
        assert_eq!(with_key(&sim, &key.api_key, &target).await.refusal(), (400, code), "{bad}");
    }
    let upper = format!("/api/v3/account?{payload}&signature={}", signature.to_uppercase());
    assert_eq!(with_key(&sim, &key.api_key, &upper).await.status, 200);
}

#[tokio::test]
async fn a_signed_query_is_percent_encoded() {
    let sim = start("quirks.json").await;
    // Well signed, but not encoded.
    let reply = private(&sim, ACCOUNT, "/sapi/v1/capital/withdraw/history", "idList=W1,W2").await;
    assert_eq!(reply.refusal(), (400, -1022));
    let reply = private(&sim, ACCOUNT, "/sapi/v1/capital/withdraw/history", "idList=W1%2CW2").await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_timestamp_is_neither_old_nor_ahead() {
    let sim = start("quirks.json").await;
    for (offset, query, expected) in [
        (0, "", None),
        (999, "", None),
        (1000, "", Some(-1021)),
        (-5000, "", None),
        (-5001, "", Some(-1021)),
        (-5001, "recvWindow=5001", None),
        (-60_000, "recvWindow=60000", None),
        (-60_001, "recvWindow=60000", Some(-1021)),
        (-2, "recvWindow=1.5", Some(-1021)),
        (0, "recvWindow=60001", Some(-1131)),
        (0, "recvWindow=soon", Some(-1100)),
    ] {
        let reply = signed_at(&sim, offset, query).await;
        let got = (reply.status != 200).then(|| reply.refusal().1);
        assert_eq!(got, expected, "{offset} ms, {query}");
    }
    let key = sim.key_of(ACCOUNT).unwrap();
    let micros = sign_at(key, "", sim.clock.view().now_ms * 1000);
    let target = format!("/api/v3/account?{micros}");
    assert_eq!(with_key(&sim, &key.api_key, &target).await.status, 200);
}

#[tokio::test]
async fn parameters_are_there_and_make_sense() {
    let sim = start("quirks.json").await;
    let now = sim.clock.view().now_ms;
    let day = 24 * 3600 * 1000;
    let trades = "/api/v3/myTrades";
    let deposits = "/sapi/v1/capital/deposit/hisrec";
    for (path, query, code) in [
        (trades, String::new(), -1102),
        (trades, "symbol=".to_owned(), -1102),
        (trades, "symbol=NOPE".to_owned(), -1121),
        (trades, "symbol=USDTUSD".to_owned(), -1121),
        (trades, "symbol=btcusdt".to_owned(), -1100),
        (trades, "symbol=BTCUSDT&limit=1001".to_owned(), -1130),
        (trades, "symbol=BTCUSDT&limit=0".to_owned(), -1130),
        (trades, "symbol=BTCUSDT&fromId=-1".to_owned(), -1100),
        (trades, "symbol=BTCUSDT&fromID=1".to_owned(), -1104),
        (trades, "symbol=BTCUSDT&symbol=BTCUSDT".to_owned(), -1101),
        (trades, format!("symbol=BTCUSDT&fromId=1&startTime={now}"), -1128),
        (trades, format!("symbol=BTCUSDT&startTime={}&endTime={now}", now - day - 1), -1127),
        (trades, format!("symbol=BTCUSDT&startTime={now}&endTime={}", now - 1), -1130),
        ("/api/v3/account", "omitZeroBalances=yes".to_owned(), -1100),
        (deposits, format!("startTime={}&endTime={now}", now - 90 * day - 1), -1127),
        (deposits, format!("startTime={}", now - 90 * day - 1), -1127),
        (deposits, "limit=1001".to_owned(), -1130),
        ("/sapi/v1/fiat/orders", String::new(), -1102),
        ("/sapi/v1/fiat/orders", "transactionType=2".to_owned(), -1130),
    ] {
        let reply = private(&sim, ACCOUNT, path, &query).await;
        assert_eq!(reply.refusal(), (400, code), "{path} {query}");
    }
    let reply = private(&sim, ACCOUNT, trades, "").await.json();
    let text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.";
    assert_eq!(reply["msg"], text);
    for query in [
        format!("symbol=BTCUSDT&startTime={}&endTime={now}", now - day),
        "symbol=BTCUSDT&limit=1000&fromId=0".to_owned(),
    ] {
        assert_eq!(private(&sim, ACCOUNT, trades, &query).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn public_parameters_are_checked_too() {
    let sim = start("quirks.json").await;
    for (target, code) in [
        ("/api/v3/ticker/price?symbol=NOPE", -1121),
        ("/api/v3/ticker/price?symbol=BTCUSDT&symbols=%5B%22BTCUSDT%22%5D", -1128),
        ("/api/v3/ticker/price?symbols=BTCUSDT", -1100),
        ("/api/v3/ticker/price?symbols=%5B%5D", -1100),
        ("/api/v3/ticker/price?symbolStatus=GONE", -1130),
        ("/api/v3/klines?symbol=BTCUSDT", -1102),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", -1120),
        ("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=5000", -1130),
        ("/api/v3/time?verbose=true", -1104),
        ("/api/v3/time?timestamp=1", -1104),
    ] {
        assert_eq!(public(&sim, target).await.refusal(), (400, code), "{target}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_not_found() {
    let sim = start("quirks.json").await;
    let reply = public(&sim, "/api/v3/order").await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (404, Some("Not Found")));
    let reply = call(&sim, BINANCE, "POST", "/api/v3/time", &[], "").await.unwrap();
    assert_eq!(reply.status, 405);
}
