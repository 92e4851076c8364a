//! The control port and the clock's host.

use exchange_sim::clock::ClockView;
use exchange_sim::keys::{KeyForm, KeySpec};
use exchange_sim::scenario::Scenario;
use exchange_sim::{BINANCE, CLOCK, Options, Sim, StartError};
use serde_json::json;

use crate::client::{Reply, call, control, get, private, public, scenario, start, start_with};

fn view(reply: &Reply) -> ClockView {
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn the_clock_is_the_same_on_both_ports() {
    let sim = start("quirks.json").await;
    let shown = control(&sim, "GET", "/clock", "").await.json();
    let now = sim.clock.view().now_ms;
    let expected = json!({"now_ms":now,"start_ms":now,"end_ms":now + 1_800_000,
        "interval_ms":300_000,"ended":false});
    assert_eq!(shown, expected);
    assert_eq!(get(&sim, CLOCK, "/clock").await.json(), expected);
}

#[tokio::test]
async fn rounds_move_the_clock_to_the_end_and_no_further() {
    let sim = start("quirks.json").await;
    let start = sim.clock.view();
    let round = |tick: u64| format!(r#"{{"tick_ms":{tick}}}"#);
    let first = control(&sim, "POST", "/clock/round", &round(start.now_ms)).await;
    assert_eq!((first.status, view(&first).now_ms), (200, start.now_ms + 300_000));
    // The same round again is late and moves nothing; the answer says where the clock stands.
    let again = control(&sim, "POST", "/clock/round", &round(start.now_ms)).await;
    assert_eq!((again.status, view(&again)), (409, view(&first)));
    let mut shown = view(&first);
    while shown.now_ms < shown.end_ms {
        let body = round(shown.now_ms);
        let reply = call(&sim, CLOCK, "POST", "/clock/round", &[], &body).await.unwrap();
        assert_eq!((reply.status, view(&reply).now_ms), (200, shown.now_ms + 300_000));
        shown = view(&reply);
        assert!(!shown.ended);
    }
    let last = control(&sim, "POST", "/clock/round", &round(shown.end_ms)).await;
    assert_eq!((view(&last).now_ms, view(&last).ended), (shown.end_ms, true));
    sim.clock.ended().await;
}

#[tokio::test]
async fn the_clocks_host_controls_nothing_else() {
    let sim = start("quirks.json").await;
    for path in ["/faults", "/keys", "/permissions", "/requests"] {
        assert_eq!(get(&sim, CLOCK, path).await.status, 404, "{path}");
        assert_eq!(get(&sim, BINANCE, path).await.status, 404, "{path}");
    }
    assert_eq!(get(&sim, BINANCE, "/clock").await.status, 404);
}

#[tokio::test]
async fn bodies_are_closed_schemas_and_errors_quote_nothing() {
    let sim = start("quirks.json").await;
    for (path, body) in [
        ("/clock/round", r#"{"tick_ms":1,"more":2}"#),
        ("/clock/round", r#"{"tick_ms":"1"}"#),
        ("/clock/round", ""),
        ("/faults", r#"{"fault":{"kind":"hang"}}"#),
        ("/faults", r#"[{"host":"api.example.com","fault":{"kind":"hang"}}]"#),
        ("/permissions", r#"{"account":"binance-spot","permissions":"root"}"#),
        ("/permissions", r#"{"permissions":"read"}"#),
        ("/keys", r#"{"account":"nobody"}"#),
        ("/keys", r#"{"account":"binance-spot","api_key":"canary"}"#),
        ("/keys", r#"{"account":"binance-spot","api_secret":"canary","more":1}"#),
    ] {
        let reply = control(&sim, "POST", path, body).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("invalid")), "{body}");
        assert!(!reply.text().contains("canary"), "{body}");
    }
    let large = format!("[{}]", " ".repeat(2 * 1024 * 1024));
    assert_eq!(control(&sim, "POST", "/faults", &large).await.status, 413);
    assert_eq!(control(&sim, "PUT", "/faults", "").await.status, 405);
}

#[tokio::test]
async fn rights_and_keys_change_at_the_control_port() {
    let sim = start("quirks.json").await;
    let restrictions = "/sapi/v1/account/apiRestrictions";
    let body = r#"{"account":"binance-spot","permissions":"read,withdraw"}"#;
    let reply = control(&sim, "POST", "/permissions", body).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"keys":1})));
    let rights = private(&sim, "binance-spot", restrictions, "").await.json();
    assert_eq!(rights["enableWithdrawals"], true);

    let reply =
        control(&sim, "POST", "/keys", r#"{"account":"kraken-spot","permissions":"read,trade"}"#)
            .await;
    assert_eq!(reply.status, 201);
    let key: exchange_sim::keys::IssuedKey = serde_json::from_slice(&reply.body).unwrap();
    let target = format!("{restrictions}?{}", crate::client::sign(&sim, &key, ""));
    let headers = [("X-MBX-APIKEY", key.api_key.as_str())];
    let rights = call(&sim, BINANCE, "GET", &target, &headers, "").await.unwrap().json();
    assert_eq!(rights["enableSpotAndMarginTrading"], true);
    let body = format!(r#"{{"api_key":"{}","permissions":"none"}}"#, key.api_key);
    assert_eq!(control(&sim, "POST", "/permissions", &body).await.status, 200);
    let refused = call(&sim, BINANCE, "GET", &target, &headers, "").await.unwrap();
    assert_eq!(refused.refusal(), (401, -2015));
    let body = r#"{"api_key":"nobody","permissions":"read"}"#;
    assert_eq!(control(&sim, "POST", "/permissions", body).await.status, 404);
}

#[tokio::test]
async fn the_log_holds_no_query_and_no_key() {
    let sim = start("quirks.json").await;
    private(&sim, "binance-spot", "/api/v3/account", "omitZeroBalances=true").await;
    public(&sim, "/api/v3/ping").await;
    public(&sim, "/api/v3/ping").await;
    let log = control(&sim, "GET", "/requests", "").await;
    assert_eq!(
        log.json(),
        json!({"total":3,"requests":[
            {"host":"api.binance.com","method":"GET","path":"/api/v3/account","status":200,"count":1},
            {"host":"api.binance.com","method":"GET","path":"/api/v3/ping","status":200,"count":2}]})
    );
    let cleared = control(&sim, "DELETE", "/requests", "").await.json();
    assert_eq!(cleared, json!({"total":0,"requests":[]}));
}

#[tokio::test]
async fn faults_are_set_shown_and_ended_at_the_control_port() {
    let sim = start("quirks.json").await;
    let rules = r#"[{"path":"/api/v3/ping","fault":{"kind":"status","status":503}}]"#;
    let shown = control(&sim, "POST", "/faults", rules).await;
    assert_eq!((shown.status, &shown.json()[0]["hits"]), (200, &json!(0)));
    assert_eq!(public(&sim, "/api/v3/ping").await.status, 503);
    assert_eq!(control(&sim, "GET", "/faults", "").await.json()[0]["hits"], 1);
    assert_eq!(control(&sim, "DELETE", "/faults", "").await.json(), json!([]));
    assert_eq!(public(&sim, "/api/v3/ping").await.status, 200);
}

#[tokio::test]
async fn a_venues_body_is_bounded() {
    let sim = start("quirks.json").await;
    let body = "a".repeat(65 * 1024);
    let path = "/sapi/v1/asset/get-funding-asset";
    let reply = call(&sim, BINANCE, "POST", path, &[], &body).await.unwrap();
    assert_eq!(reply.status, 413);
    let long = format!("/api/v3/ping?{}", "a".repeat(64 * 1024));
    let refused = call(&sim, BINANCE, "GET", &long, &[], "").await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| (414..=431).contains(&reply.status)));
}

#[tokio::test]
async fn only_sound_options_start() {
    let scenario = Scenario::read(&scenario("quirks.json")).unwrap();
    let everywhere = Options { listen: "0.0.0.0:0".parse().unwrap(), ..Options::default() };
    let refused = Sim::start(&scenario, everywhere).await;
    assert!(matches!(refused, Err(StartError::NotLoopback(_))));
    let key = |account: &str, api_key: Option<&str>| KeySpec {
        account: account.to_owned(),
        api_key: api_key.map(str::to_owned),
        api_secret: None,
        permissions: "read".parse().unwrap(),
        form: KeyForm::Binance,
    };
    for keys in [vec![key("nobody", None)], vec![key("binance-spot", Some("short"))]] {
        let refused = Sim::start(&scenario, Options { keys, ..Options::default() }).await;
        assert!(matches!(refused, Err(StartError::Keys(_))));
    }
    let permissions = vec![("kraken-spot".to_owned(), "read,trade".parse().unwrap())];
    let sim = start_with("quirks.json", Options { permissions, ..Options::default() }).await;
    let rights: Vec<_> =
        sim.keys.iter().map(|key| (key.account.as_str(), key.permissions.to_string())).collect();
    let expected = [("binance-spot", "read".to_owned()), ("kraken-spot", "read,trade".to_owned())];
    assert_eq!(rights, expected);
}
