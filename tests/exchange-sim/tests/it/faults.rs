//! Misbehaviour on request.

use std::io::ErrorKind;

use exchange_sim::faults::{Fault, FaultRule};
use exchange_sim::{BINANCE, CLOCK, COINBASE, KRAKEN, KRAKEN_FUTURES, Sim};
use serde_json::json;

use crate::client::{call, control, get, minute, private, public, start};

fn inject(sim: &Sim, rules: &str) {
    let rules: Vec<FaultRule> = serde_json::from_str(rules).unwrap();
    sim.inject(rules).unwrap();
}

#[tokio::test]
async fn a_status_comes_with_the_venues_own_words() {
    let sim = start("quirks.json").await;
    inject(
        &sim,
        r#"[{"host":"api.binance.com","path":"/api/v3/ping","times":1,
             "fault":{"kind":"status","status":429,"retry_after_secs":17}},
            {"host":"api.binance.com","times":1,"fault":{"kind":"status","status":418,"retry_after_secs":120}},
            {"host":"api.binance.com","times":1,"fault":{"kind":"status","status":502}},
            {"host":"api.kraken.com","times":1,"fault":{"kind":"status","status":503}}]"#,
    );
    let throttled = public(&sim, "/api/v3/ping").await;
    assert_eq!(throttled.refusal(), (429, -1003));
    assert_eq!(throttled.header("Retry-After"), Some("17"));
    let banned = public(&sim, "/api/v3/ping").await;
    assert_eq!(banned.refusal(), (418, -1003));
    assert_eq!(banned.header("Retry-After"), Some("120"));
    assert_eq!(public(&sim, "/api/v3/ping").await.refusal(), (502, -1001));
    assert_eq!(public(&sim, "/api/v3/ping").await.status, 200);
    let kraken = get(&sim, KRAKEN, "/0/public/Time").await;
    assert_eq!(
        (kraken.status, kraken.text().as_str()),
        (503, r#"{"error":["EService:Unavailable"]}"#)
    );
    assert_eq!(sim.faults().iter().map(|fault| fault.hits).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_truncated_body_ends_in_the_middle() {
    let sim = start("quirks.json").await;
    let true_one = public(&sim, "/api/v3/exchangeInfo").await;
    inject(&sim, r#"[{"times":1,"fault":{"kind":"truncate"}}]"#);
    let cut = public(&sim, "/api/v3/exchangeInfo").await;
    assert_eq!((cut.status, cut.whole), (200, false));
    assert_eq!(cut.header("content-length"), true_one.header("content-length"));
    assert_eq!(cut.body, true_one.body[..true_one.body.len() / 2]);
    assert!(public(&sim, "/api/v3/exchangeInfo").await.whole);
}

#[tokio::test]
async fn a_firewall_answers_in_html_and_a_rule_with_any_body() {
    let sim = start("quirks.json").await;
    inject(
        &sim,
        r#"[{"times":1,"fault":{"kind":"html","status":403}},
            {"times":1,"fault":{"kind":"body","status":200,"body":"{\"status\":1,\"msg\":\"system_maintenance\"}"}}]"#,
    );
    let page = public(&sim, "/api/v3/ping").await;
    assert_eq!((page.status, page.header("content-type")), (403, Some("text/html; charset=UTF-8")));
    assert!(page.text().starts_with("<!DOCTYPE html>"));
    let maintenance = public(&sim, "/sapi/v1/system/status").await;
    assert_eq!(maintenance.json()["msg"], "system_maintenance");
    assert_eq!(public(&sim, "/sapi/v1/system/status").await.json()["msg"], "normal");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let sim = start("quirks.json").await;
    inject(&sim, r#"[{"times":1,"fault":{"kind":"reset"}}]"#);
    let error = call(&sim, BINANCE, "GET", "/api/v3/ping", &[], "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(public(&sim, "/api/v3/ping").await.status, 200);
    let log = sim.requests();
    assert_eq!(log.requests.iter().map(|line| line.status).collect::<Vec<_>>(), [0, 200]);
}

#[tokio::test]
async fn a_hanging_request_is_answered_when_the_rules_are_deleted() {
    let sim = start("quirks.json").await;
    inject(&sim, r#"[{"path":"/api/v3/time","fault":{"kind":"hang"}}]"#);
    let waiting = public(&sim, "/api/v3/time");
    let meanwhile = async {
        // Others are served; once the hang is in the log, it is ended.
        while sim.requests().total == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(public(&sim, "/api/v3/ping").await.status, 200);
        control(&sim, "DELETE", "/faults", "").await
    };
    let (answered, deleted) = tokio::join!(waiting, meanwhile);
    assert_eq!((answered.status, deleted.status), (200, 200));
}

#[tokio::test]
async fn stopping_ends_hanging_requests() {
    let sim = start("quirks.json").await;
    inject(&sim, r#"[{"fault":{"kind":"hang"}}]"#);
    let (addr, root_pem) = (sim.addr, sim.root_pem.clone());
    let stream = crate::client::dial(addr).await;
    let name = rustls_pki_types::ServerName::try_from(BINANCE).unwrap();
    let tls = crate::client::tls(&root_pem, &[&rustls::version::TLS13]);
    let stream = tls.connect(name, stream).await.unwrap();
    let request = crate::client::request(BINANCE, "GET", "/api/v3/ping", &[], "");
    let waiting = crate::client::exchange(stream, &request);
    let stopping = async {
        while sim.requests().total == 0 {
            tokio::task::yield_now().await;
        }
        sim.stop().await;
    };
    let (answered, ()) = tokio::join!(waiting, stopping);
    answered.unwrap_err();
}

#[tokio::test]
async fn a_clock_that_is_off_is_off_everywhere() {
    let sim = start("quirks.json").await;
    let rule = r#"[{"host":"api.binance.com","fault":{"kind":"clock_skew","ms":120000}}]"#;
    inject(&sim, rule);
    let now = sim.clock.view().now_ms;
    let time = public(&sim, "/api/v3/time").await;
    assert_eq!(time.json()["serverTime"], now + 120_000);
    assert_eq!(time.header("date"), Some("Fri, 01 May 2026 00:02:00 GMT"));
    assert_eq!(private(&sim, "binance-spot", "/api/v3/account", "").await.refusal(), (400, -1021));
    let key = sim.key_of("binance-spot").unwrap();
    let query = crate::client::sign_at(key, "", now + 120_000);
    let headers = [("X-MBX-APIKEY", key.api_key.as_str())];
    let target = format!("/api/v3/account?{query}");
    let reply = call(&sim, BINANCE, "GET", &target, &headers, "").await.unwrap();
    assert_eq!(reply.status, 200);
    let kraken = get(&sim, KRAKEN, "/0/public/Time").await.json();
    assert_eq!(kraken["result"]["unixtime"], now / 1000);
}

#[tokio::test]
async fn wrong_certificates_are_shown_and_must_be_refused() {
    let sim = start("quirks.json").await;
    for certificate in ["other_authority", "other_name", "expired"] {
        inject(
            &sim,
            &format!(
                r#"[{{"host":"api.binance.com","times":1,
                "fault":{{"kind":"wrong_certificate","certificate":"{certificate}"}}}}]"#
            ),
        );
        let error = call(&sim, BINANCE, "GET", "/api/v3/ping", &[], "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{certificate}");
        assert_eq!(public(&sim, "/api/v3/ping").await.status, 200, "{certificate}");
    }
    assert_eq!(get(&sim, CLOCK, "/clock").await.status, 200);
}

#[tokio::test]
async fn an_outage_lasts_from_one_scenario_time_to_another() {
    let sim = start("quirks.json").await;
    let (from, until) = (minute(&sim, 10), minute(&sim, 20));
    inject(
        &sim,
        &format!(
            r#"[{{"host":"api.binance.com","from_ms":{from},"until_ms":{until},"fault":{{"kind":"status","status":503}}}}]"#
        ),
    );
    let mut seen = Vec::new();
    for tick in [5, 10, 15, 20] {
        sim.clock.advance_to(minute(&sim, tick));
        seen.push(public(&sim, "/api/v3/ping").await.status);
    }
    assert_eq!(seen, [200, 503, 503, 200]);
}

#[tokio::test]
async fn a_fault_can_befall_one_account_alone() {
    let sim = start("quirks.json").await;
    sim.clock.advance_to(minute(&sim, 10));
    inject(&sim, r#"[{"account":"kraken-spot","fault":{"kind":"status","status":500}}]"#);
    assert_eq!(private(&sim, "kraken-spot", "/api/v3/account", "").await.status, 500);
    assert_eq!(private(&sim, "binance-spot", "/api/v3/account", "").await.status, 200);
}

#[tokio::test]
async fn every_venue_misbehaves_in_its_own_words() {
    let sim = start("deposit.json").await;
    let only = |host: &str, fault: Fault| FaultRule {
        host: Some(host.to_owned()),
        path: None,
        account: None,
        skip: 0,
        times: Some(1),
        from_ms: None,
        until_ms: None,
        fault,
    };
    let kraken = json!({"error": ["EGeneral:Too many requests"]});
    for (host, path, limited) in [
        (KRAKEN, "/0/public/Time", ("error", &kraken["error"])),
        (KRAKEN_FUTURES, "/derivatives/api/v3/tickers", ("error", &json!("apiLimitExceeded"))),
        (COINBASE, "/api/v3/brokerage/time", ("error", &json!("resource_exhausted"))),
    ] {
        for status in [418, 429, 500, 503] {
            let fault = Fault::Status { status, retry_after_secs: Some(7) };
            sim.inject(vec![only(host, fault)]).unwrap();
            let reply = get(&sim, host, path).await;
            assert_eq!((reply.status, reply.header("Retry-After")), (status, Some("7")), "{host}");
            if status == 429 {
                assert_eq!(&reply.json()[limited.0], limited.1, "{host}");
            }
        }
        sim.inject(vec![only(host, Fault::Html { status: 403 })]).unwrap();
        assert!(get(&sim, host, path).await.text().starts_with("<!DOCTYPE html>"));
        sim.inject(vec![only(host, Fault::Truncate {})]).unwrap();
        assert!(!get(&sim, host, path).await.whole);
        sim.inject(vec![only(host, Fault::Reset {})]).unwrap();
        assert!(call(&sim, host, "GET", path, &[], "").await.is_err());
        assert_eq!(get(&sim, host, path).await.status, 200);
    }
}
