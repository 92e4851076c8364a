//! An exchange that fails: each failure has its category, and nothing is lost by it.

use exchange_sim::faults::Fault;
use protocol::category::Category;
use serde_json::Value;

use super::story::{Story, results};
use super::world::{Report, Span, World};
use crate::engine_api::ReportRefusal;

const FILLS: &str = "/api/v3/myTrades";
const BALANCES: &str = "/api/v3/account";

fn status(status: u16, retry_after_secs: Option<u64>) -> Fault {
    Fault::Status { status, retry_after_secs }
}

/// A fault from poll 4 to poll 6 of twelve; how many polls it spoilt, and the report at the end.
async fn through(path: &str, fault: Fault) -> (u64, Report) {
    let story = Story::new(12);
    let world = World::of(&story.told()).await;
    let span = Span { from: Some(story.at(4)), until: Some(story.at(7)), ..Span::default() };
    world.inject(path, fault, span);
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    let status = world.status(&session);
    assert_eq!(status.last_error, None);
    assert_eq!(status.last_complete_poll, Some(story.at(12)));
    assert_eq!(status.polls_complete + status.polls_incomplete, 13);
    (status.polls_incomplete, world.report(&session).await)
}

/// The report as if the exchange had not failed, but for the polls that are no valuations.
fn expected(incomplete: &[u64]) -> Value {
    let story = Story::new(12);
    let mut scenario = story.told();
    for event in scenario["events"].as_array_mut().unwrap() {
        let at = |poll: &u64| event["t"] == story.with([])["events"][poll_event(*poll)]["t"];
        if event["type"] == "snapshot" && incomplete.iter().any(at) {
            event["complete"] = false.into();
        }
    }
    results(&scenario)
}

/// Where the events of a poll begin: two prices, a snapshot and a fill each.
fn poll_event(poll: u64) -> usize {
    usize::try_from(4 * poll).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fill_is_lost_whatever_goes_wrong() {
    let page = "<html><body>blocked</body></html>".to_owned();
    for fault in [
        status(503, None),
        status(429, None),
        Fault::Truncate {},
        Fault::Reset {},
        Fault::Html { status: 200 },
        Fault::Body { status: 200, body: page },
        Fault::Body { status: 200, body: "[{\"id\":1}]".into() },
        Fault::Body { status: 200, body: String::new() },
    ] {
        let (incomplete, report) = through(FILLS, fault.clone()).await;
        assert_eq!(incomplete, 3, "{fault:?}");
        assert_eq!(report.results, expected(&[4, 5, 6]), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_balance_is_no_empty_balance() {
    for fault in [status(500, None), Fault::Body { status: 200, body: "{}".into() }] {
        let (incomplete, report) = through(BALANCES, fault.clone()).await;
        assert_eq!(incomplete, 3, "{fault:?}");
        assert_eq!(report.results, expected(&[4, 5, 6]), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_is_made_good_within_the_poll() {
    let story = Story::new(4);
    let world = World::of(&story.told()).await;
    for fault in [status(503, None), Fault::Truncate {}, Fault::Reset {}, status(429, Some(1))] {
        let span = Span { times: Some(1), from: Some(story.at(1)), until: None };
        world.inject(FILLS, fault, span);
    }
    // One at a poll: the first rule that applies acts until it is spent.
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    // Three tries a poll: four faults spoil one poll at most.
    assert!(world.status(&session).polls_incomplete <= 1);
    assert_eq!(report.results["activity"]["trades"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_category() {
    for (fault, category) in [
        (status(429, Some(60)), Category::Throttled),
        (status(418, Some(600)), Category::Unavailable),
        (status(403, None), Category::Unavailable),
        (status(500, None), Category::Unavailable),
        (Fault::Html { status: 503 }, Category::Unavailable),
        (Fault::Truncate {}, Category::Unavailable),
        (Fault::Body { status: 200, body: "[{\"id\":1}]".into() }, Category::Unavailable),
        (
            Fault::Body { status: 400, body: "{\"code\":-1102,\"msg\":\"x\"}".into() },
            Category::Internal,
        ),
    ] {
        let story = Story::new(2);
        let world = World::of(&story.told()).await;
        world.inject(FILLS, fault.clone(), Span { from: Some(story.at(2)), ..Span::default() });
        let session = world.open(1, &["binance-spot"]).await.unwrap();
        world.ended().await;
        let told = world.status(&session);
        assert_eq!(told.last_error, Some(category), "{fault:?}");
        assert_eq!(told.last_complete_poll, Some(story.at(1)), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_asks_for_a_pause_gets_it() {
    let story = Story::new(8);
    let world = World::of(&story.told()).await;
    let span = Span { times: Some(1), from: Some(story.at(2)), until: None };
    world.inject(FILLS, status(429, Some(700)), span);
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    // The polls 300 and 600 seconds later fall into the pause.
    assert_eq!(world.status(&session).polls_incomplete, 3);
    assert_eq!(world.report(&session).await.results["activity"]["trades"], 8);
    assert_eq!(world.asked()[BALANCES], 8, "one with the opening, none in the pause");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_that_is_down_is_asked_little() {
    let story = Story::new(12);
    let world = World::of(&story.told()).await;
    let span = Span { from: Some(story.at(1)), until: Some(story.at(11)), ..Span::default() };
    world.inject("/", status(503, None), span);
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(1)).await;
    let before: u64 = world.sim.requests().total;
    world.until(story.at(11)).await;
    let during = world.sim.requests().total - before;
    world.ended().await;
    assert_eq!(world.status(&session).polls_incomplete, 10);
    assert_eq!(world.report(&session).await.results["activity"]["trades"], 12);
    // Kraken and the clock are asked once a poll; without a breaker Binance would be asked six
    // times a poll.
    assert!(during <= 60, "{during}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_a_little_off_is_allowed_for() {
    for ms in [-20_000, 20_000] {
        let story = Story::new(3);
        let world = World::of(&story.told()).await;
        world.inject("/", Fault::ClockSkew { ms }, Span::default());
        let session = world.open(1, &["binance-spot"]).await.unwrap();
        world.ended().await;
        assert_eq!(world.status(&session).polls_incomplete, 0);
        world.report(&session).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_is_read_again() {
    let story = Story::new(6);
    let world = World::of(&story.told()).await;
    let span = Span { from: Some(story.at(2)), until: Some(story.at(4)), ..Span::default() };
    world.inject("/", Fault::ClockSkew { ms: -12_000 }, span);
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    assert_eq!(world.status(&session).polls_incomplete, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_while_the_clocks_disagree() {
    let story = Story::new(6);
    for (until, refusal) in [(None, Some(ReportRefusal::ClockDisagrees)), (Some(4), None)] {
        let world = World::of(&story.told()).await;
        let until = until.map(|poll| story.at(poll));
        let span = Span { from: Some(story.at(2)), until, ..Span::default() };
        world.inject("/", Fault::ClockSkew { ms: 45_000 }, span);
        let session = world.open(1, &["binance-spot"]).await.unwrap();
        world.ended().await;
        assert_eq!(world.refused_report(&session).await, refusal);
    }
}
