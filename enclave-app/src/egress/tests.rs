//! Egress against real TLS: the exchange simulator behind a stand-in for the parent.

mod parent;

use std::sync::Arc;
use std::time::Duration;

use exchange_sim::faults::{Fault, FaultRule, WrongCertificate};
use exchange_sim::scenario::Scenario;
use exchange_sim::{Budgets, Options, Sim};
use exchanges::{Credentials, Market, Query, Venue};
use protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use parent::{Behaviour, Parent};

use super::*;
use crate::clock::ScenarioClock;
use crate::engine_api::SimulatorEgress;

/// Half an hour in which nothing happens.
const QUIET: &str = r#"{"schema":"pa-case/1","id":"quiet","title":"quiet","features":[],
    "config":{"base_currency":"USD","session_start":"2026-02-01T00:00:00Z",
    "as_of":"2026-02-01T00:30:00Z"},"events":[
    {"type":"price","t":"2026-02-01T00:00:00Z","asset":"BTC","quote":"USDT","price":"60000"},
    {"type":"snapshot","t":"2026-02-01T00:00:00Z","account":"binance-spot",
     "balances":[{"asset":"BTC","free":"1"}]}]}"#;

/// The simulator never counts: its minutes are real ones.
pub(crate) const BUDGETS: Budgets = Budgets {
    request_weight: u32::MAX,
    sapi_ip_weight: u32::MAX,
    sapi_uid_weight: u32::MAX,
    futures_weight: u32::MAX,
    refusals_before_ban: u32::MAX,
    ban_secs: 1,
};

/// Egress on its own, and everything behind it.
struct Road {
    sim: Sim,
    parent: Parent,
    egress: Arc<Egress>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Road {
    async fn new() -> Self {
        let scenario = Scenario::parse(QUIET.as_bytes()).unwrap();
        let options = Options { budgets: BUDGETS, ..Options::default() };
        let sim = Sim::start(&scenario, options).await.unwrap();
        let parent = Parent::relaying(sim.addr).await;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock = ScenarioClock::unset();
        clock.set(UnixMillis(sim.clock.view().now_ms));
        let root = CertificateDer::from_pem_slice(sim.root_pem.as_bytes()).unwrap();
        let egress = Egress::open(EgressParts {
            to: parent.address.clone(),
            hosts: vec!["api.binance.com".into()],
            clock: Arc::new(clock),
            tasks: tasks.clone(),
            stop: stop.clone(),
            simulator: SimulatorEgress { root: Some(root), clock: None },
        })
        .unwrap();
        Self { sim, parent, egress, stop, tasks }
    }

    /// The exchange's time, through a client of its own.
    async fn ask(&self) -> Result<u16, FetchError> {
        ask(&self.egress.http(&["api.binance.com"]), LEN_MAX).await
    }

    fn inject(&self, fault: Fault, times: Option<u32>) {
        let rule = FaultRule {
            host: None,
            path: None,
            account: None,
            skip: 0,
            times,
            from_ms: None,
            until_ms: None,
            fault,
        };
        self.sim.inject(vec![rule]).unwrap();
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const LEN_MAX: usize = 1000;

async fn ask(http: &Http, len_max: usize) -> Result<u16, FetchError> {
    let connector = exchanges::connector(Venue::Binance, Market::Spot).unwrap();
    let request = connector.request(&Query::ServerTime, None, UnixMillis(0)).unwrap();
    http.send(&request, len_max).await.map(|fetched| fetched.status)
}

#[tokio::test]
async fn an_exchange_answers_through_the_tunnel() {
    let road = Road::new().await;
    assert_eq!(road.ask().await, Ok(200));
    assert_eq!(road.parent.asked(), ["api.binance.com:443"]);
}

#[tokio::test]
async fn only_listed_hosts_have_a_client() {
    let road = Road::new().await;
    let kraken = exchanges::connector(Venue::Kraken, Market::Spot).unwrap();
    let query = Query::Prices { symbols: vec!["USDTUSD".into()] };
    let request = kraken.request(&query, None, UnixMillis(0)).unwrap();
    for http in [road.egress.http(&["api.kraken.com"]), road.egress.http(&["api.binance.com"])] {
        assert_eq!(http.send(&request, LEN_MAX).await.err(), Some(FetchError::NotAdmitted));
    }
    assert!(road.parent.asked().is_empty());
}

#[tokio::test]
async fn an_image_cannot_list_what_no_connector_has() {
    for host in ["evil.example.com", "API.binance.com", "api.binance.com.", "127.0.0.1"] {
        let opened = Egress::open(EgressParts {
            to: "unix:///nowhere".parse().unwrap(),
            hosts: vec![host.into()],
            clock: Arc::new(ScenarioClock::unset()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            simulator: SimulatorEgress::default(),
        });
        assert!(matches!(opened, Err(EgressError::UnknownHost)), "{host}");
    }
}

#[tokio::test]
async fn the_sockets_are_nobody_elses() {
    use std::os::unix::fs::PermissionsExt;
    let road = Road::new().await;
    let mode = std::fs::metadata(&road.egress.dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let dir = road.egress.dir.clone();
    drop(road);
    assert!(!dir.exists());
}

#[tokio::test]
async fn certificates_that_must_not_be_accepted_are_not() {
    let road = Road::new().await;
    for certificate in
        [WrongCertificate::OtherAuthority, WrongCertificate::OtherName, WrongCertificate::Expired]
    {
        road.inject(Fault::WrongCertificate { certificate }, None);
        assert_eq!(road.ask().await, Err(FetchError::Unreachable), "{certificate:?}");
        road.sim.clear_faults();
        assert_eq!(road.ask().await, Ok(200));
    }
}

#[tokio::test]
async fn without_the_simulators_root_its_certificates_are_refused() {
    let road = Road::new().await;
    let clock = ScenarioClock::unset();
    clock.set(UnixMillis(road.sim.clock.view().now_ms));
    let egress = Egress::open(EgressParts {
        to: road.parent.address.clone(),
        hosts: vec!["api.binance.com".into()],
        clock: Arc::new(clock),
        tasks: road.tasks.clone(),
        stop: road.stop.clone(),
        simulator: SimulatorEgress::default(),
    })
    .unwrap();
    let http = egress.http(&["api.binance.com"]);
    assert_eq!(ask(&http, LEN_MAX).await, Err(FetchError::Unreachable));
}

#[tokio::test]
async fn a_parent_that_refuses_or_talks_nonsense_is_no_road() {
    let road = Road::new().await;
    for answer in [
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "HTTP/1.1 502 Bad Gateway\r\n\r\n",
        "HTTP/1.1 504 Gateway Timeout\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nno TLS at all",
        "",
    ] {
        road.parent.behave(Behaviour::Answer(answer));
        assert_eq!(road.ask().await, Err(FetchError::Unreachable), "{answer:?}");
    }
    road.parent.behave(Behaviour::Relay(road.sim.addr));
    assert_eq!(road.ask().await, Ok(200));
}

#[tokio::test]
async fn hostile_answers_are_bounded_and_told_apart() {
    let road = Road::new().await;
    let body = |len: usize| Fault::Body { status: 200, body: "x".repeat(len) };
    road.inject(body(LEN_MAX), Some(1));
    assert_eq!(road.ask().await, Ok(200));
    road.inject(body(LEN_MAX + 1), Some(1));
    assert_eq!(road.ask().await, Err(FetchError::TooLong));
    road.inject(Fault::Truncate {}, Some(1));
    assert_eq!(road.ask().await, Err(FetchError::Cut));
    road.inject(Fault::Reset {}, Some(1));
    assert_eq!(road.ask().await, Err(FetchError::Cut));
    road.inject(Fault::Html { status: 302 }, Some(1));
    assert_eq!(road.ask().await, Ok(302), "redirects are not followed");
}

#[tokio::test]
async fn an_exchange_that_falls_silent_is_given_up() {
    let road = Road::new().await;
    road.inject(Fault::Hang {}, Some(1));
    assert_eq!(road.ask().await, Err(FetchError::TooSlow));
}

#[tokio::test]
async fn a_client_takes_its_connections_along() {
    let road = Road::new().await;
    let (one, other) =
        (road.egress.http(&["api.binance.com"]), road.egress.http(&["api.binance.com"]));
    for _ in 0..3 {
        assert_eq!(ask(&one, LEN_MAX).await, Ok(200));
        assert_eq!(ask(&other, LEN_MAX).await, Ok(200));
    }
    assert_eq!(road.parent.open(), 2, "one connection each, used again");
    drop(one);
    road.parent.until_open(1).await;
    drop(other);
    road.parent.until_open(0).await;
}

#[tokio::test]
async fn a_request_that_is_given_up_takes_its_connection_along() {
    let road = Road::new().await;
    road.inject(Fault::Hang {}, None);
    let http = road.egress.http(&["api.binance.com"]);
    let asking = async { ask(&http, LEN_MAX).await };
    tokio::select! {
        answer = asking => panic!("{answer:?}"),
        () = road.parent.until_open(1) => {}
    }
    drop(http);
    road.parent.until_open(0).await;
}

#[tokio::test]
async fn egress_stops_with_the_program() {
    let road = Road::new().await;
    let http = road.egress.http(&["api.binance.com"]);
    assert_eq!(ask(&http, LEN_MAX).await, Ok(200));
    road.stop.cancel();
    road.tasks.close();
    tokio::time::timeout(Duration::from_secs(30), road.tasks.wait()).await.unwrap();
    assert_eq!(ask(&http, LEN_MAX).await, Err(FetchError::Unreachable));
}

#[tokio::test]
async fn what_a_signed_request_holds_is_in_no_debug_output() {
    let road = Road::new().await;
    let connector = exchanges::connector(Venue::Binance, Market::Spot).unwrap();
    let key = road.sim.key_of("binance-spot").unwrap();
    let credentials =
        Credentials { key: &key.api_key, secret: key.api_secret.as_bytes(), passphrase: None };
    let at = UnixMillis(road.sim.clock.view().now_ms);
    let request = connector.request(&Query::balances(), Some(&credentials), at).unwrap();
    let http = road.egress.http(&["api.binance.com"]);
    let fetched = http.send(&request, LEN_MAX).await.unwrap();
    assert_eq!(fetched.status, 200);
    let shown = format!("{request:?} {http:?} {:?}", road.egress);
    assert!(!shown.contains(&key.api_key) && !shown.contains(&key.api_secret), "{shown}");
}
