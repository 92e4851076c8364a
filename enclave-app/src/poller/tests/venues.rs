//! Each exchange in turn fails while the others go on: what it lists is neither lost nor counted
//! twice, and nobody else is touched.

use exchange_sim::faults::Fault;
use exchange_sim::keys::KeyForm;
use protocol::category::Category;
use serde_json::Value;

use super::story::{Story, results};
use super::world::{Span, World};
use crate::engine_api::{AccountStatus, Engine as _};

/// An exchange, the form of its keys, and where it lists trades.
const VENUES: [(&str, KeyForm, &str, &str); 4] = [
    ("binance-spot", KeyForm::Binance, "api.binance.com", "/api/v3/myTrades"),
    ("kraken-spot", KeyForm::Kraken, "api.kraken.com", "/0/private/TradesHistory"),
    (
        "coinbase-spot",
        KeyForm::Coinbase,
        "api.coinbase.com",
        "/api/v3/brokerage/orders/historical/fills",
    ),
    ("bybit-unified", KeyForm::Bybit, "api.bybit.com", "/v5/execution/list"),
];

fn story() -> Story {
    Story { accounts: VENUES.map(|venue| venue.0).to_vec(), ..Story::new(12) }
}

/// The story as if nothing had failed, but for polls 4 to 6 of one account.
fn expected(account: &str) -> Value {
    let story = story();
    let mut scenario = story.told();
    let spoilt: Vec<Value> = (4..=6).map(|poll| story.time(poll, 0).into()).collect();
    for event in scenario["events"].as_array_mut().unwrap() {
        if event["type"] == "snapshot"
            && event["account"] == account
            && spoilt.contains(&event["t"])
        {
            event["complete"] = false.into();
        }
    }
    results(&scenario)
}

/// Everybody's status and the results, with `fault` at one exchange from poll 4 to poll 6.
async fn through(at: usize, fault: &Fault) -> (Vec<AccountStatus>, Value) {
    let story = story();
    let world = World::of(&story.told()).await;
    let span = Span { from: Some(story.at(4)), until: Some(story.at(7)), ..Span::default() };
    let (_, _, host, path) = VENUES[at];
    world.inject_at(host, path, fault.clone(), span);
    let names = VENUES.map(|venue| venue.0);
    let session = world
        .open_with(1, &names, |request| {
            for (index, (name, form, _, _)) in VENUES.into_iter().enumerate().skip(1) {
                world.place(&mut request.accounts[index], name, form);
            }
        })
        .await
        .unwrap();
    world.ended().await;
    let status = world.poller.status(&session).accounts;
    (status, world.report(&session).await.results)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_loses_nothing_and_touches_nobody_else() {
    for (at, (account, ..)) in VENUES.into_iter().enumerate() {
        for fault in [
            Fault::Status { status: 503, retry_after_secs: None },
            Fault::Status { status: 429, retry_after_secs: None },
            Fault::Html { status: 200 },
            Fault::Html { status: 502 },
            Fault::Truncate {},
            Fault::Reset {},
            Fault::Body { status: 200, body: "{}".into() },
        ] {
            let (status, got) = through(at, &fault).await;
            let expected = expected(account);
            for (section, told) in expected.as_object().unwrap() {
                assert_eq!(got[section], *told, "{account} {fault:?} {section}");
            }
            for (index, told) in status.iter().enumerate() {
                let incomplete = if index == at { 3 } else { 0 };
                assert_eq!(told.polls_incomplete, incomplete, "{account} {fault:?} {index}");
                assert_eq!(told.last_error, None);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tells_its_failure_in_its_category() {
    for (name, form, host, path) in VENUES {
        for (fault, category) in [
            (Fault::Status { status: 503, retry_after_secs: None }, Category::Unavailable),
            (Fault::Status { status: 429, retry_after_secs: Some(60) }, Category::Throttled),
            (Fault::Html { status: 403 }, Category::Unavailable),
            (Fault::Truncate {}, Category::Unavailable),
        ] {
            let story = story();
            let world = World::of(&story.told()).await;
            let span = Span { from: Some(story.at(9)), ..Span::default() };
            world.inject_at(host, path, fault.clone(), span);
            let session = world
                .open_with(1, &[name], |request| {
                    if form != KeyForm::Binance {
                        world.place(&mut request.accounts[0], name, form);
                    }
                })
                .await
                .unwrap();
            world.ended().await;
            let told = world.status(&session);
            assert_eq!(told.last_error, Some(category), "{name} {fault:?}");
            assert_eq!(told.last_complete_poll, Some(story.at(8)), "{name} {fault:?}");
        }
    }
}
