//! Sessions come and go; the portfolio goes on.

use protocol::session::{End, Ttl};
use serde_json::Value;

use super::story::{Story, results};
use super::world::{Report, World};
use crate::engine_api::{AccountStatus, Engine as _, StartRefusal};
use crate::poller::make_room;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ended_is_read_with_no_more_and_its_connections_are_gone() {
    let story = Story { accounts: vec!["binance-spot", "other"], ..Story::new(200) };
    let world = World::of(&story.told()).await;
    let one = world.open(1, &["binance-spot"]).await.unwrap();
    let two = world.open(2, &["other"]).await.unwrap();
    world.until(story.at(3)).await;
    world.end(&one);
    world.end(&two);
    assert_eq!(world.poller.status(&one).accounts, []);
    // What is left are the shared connections: prices, the reference, the scenario's clock.
    world.parent.until_open(3).await;
    let at = world.enclave.clock.seen();
    assert!(at < story.at(200), "nobody is polled any more, so the clock stands still");
    let one = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    world.report(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_takes_over_before_the_old_one_ends() {
    let story = Story::new(60);
    let world = World::of(&story.told()).await;
    let old = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(4)).await;
    let new = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(8)).await;
    world.end(&old);
    world.ended().await;
    let report = world.report(&new).await;
    assert_eq!(report.results, results(&story.told()), "as if nothing had happened");
    let [account] = report.payload.accounts.as_slice() else { panic!("one account") };
    assert_eq!((account.opened_at, account.closed_at), (story.at(0), None));
    let asked = world.asked();
    assert_eq!(asked["/api/v3/account"], 61 + 2, "polled once, though two sessions read it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_key_serves_on_when_the_new_session_ends_first() {
    let story = Story::new(8);
    let world = World::of(&story.told()).await;
    let old = world.open(1, &["binance-spot"]).await.unwrap();
    let new = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(3)).await;
    world.end(&new);
    world.ended().await;
    let report = world.report(&old).await;
    assert_eq!(report.results["quality"]["complete_ticks"], 9, "the round went on with it");
    assert_eq!(report.results["activity"]["trades"], 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_leaves_and_comes_back_was_never_away() {
    let story = Story { accounts: vec!["binance-spot", "other"], ..Story::new(60) };
    let world = World::of(&story.told()).await;
    let stays = world.open(1, &["other"]).await.unwrap();
    let first = world.open(1, &["binance-spot"]).await.unwrap();
    let closed_at = |report: &Report| {
        let mut listed = report.payload.accounts.iter();
        listed.find(|it| it.label == "my binance-spot").unwrap().closed_at
    };
    let left = |report: &Report| report.results["flows"]["by_kind"]["account_left"].clone();
    world.until(story.at(4)).await;
    world.end(&first);
    world
        .until(world.enclave.clock.seen().saturating_add(std::time::Duration::from_mins(15)))
        .await;
    let away = world.report(&stays).await;
    assert!(closed_at(&away).is_some(), "{:?}", away.payload.accounts);
    assert_ne!(left(&away), Value::Null);

    let back = world.open(1, &["binance-spot"]).await.unwrap();
    world.ended().await;
    assert!(world.status(&back).polls_complete > 0);
    let report = world.report(&stays).await;
    assert_eq!(closed_at(&report), None);
    assert_eq!(left(&report), Value::Null);
    let ticks = report.results["quality"]["complete_ticks"].as_u64();
    assert!(ticks < Some(59), "the absence is a gap: {ticks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_has_one_portfolio_in_one_currency() {
    let story = Story { accounts: vec!["binance-spot", "other"], ..Story::new(12) };
    let world = World::of(&story.told()).await;
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    let id = session.portfolio_id();
    assert_eq!(world.poller.counts_in(&id, "USD"), Ok(()));
    let refused = world.poller.counts_in(&id, "EUR");
    assert_eq!(refused, Err(StartRefusal::OtherBase { base: "USD".into() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_expires_by_itself() {
    let story = Story::new(8);
    let world = World::of(&story.told()).await;
    let session = world
        .open_with(1, &["binance-spot"], |request| request.ttl = Ttl::from_secs(900).unwrap())
        .await
        .unwrap();
    let over = |it: AccountStatus| it.polls_complete > 0 && it.next_poll.is_none();
    world.becomes(|| over(world.status(&session))).await;
    assert_eq!(world.status(&session).polls_complete, 3);
    let report = world.report(&session).await;
    assert_eq!(report.payload.accounts[0].end_reason, Some(End::Expired));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_idle_portfolio_with_the_least_history_makes_room() {
    let story = Story { accounts: vec!["binance-spot", "other", "third"], ..Story::new(200) };
    let world = World::of(&story.told()).await;
    let long = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(5)).await;
    let short = world.open(2, &["other"]).await.unwrap();
    world.until(story.at(6)).await;
    let live = world.open(3, &["third"]).await.unwrap();
    world.end(&long);
    world.end(&short);
    let portfolios = || world.poller.portfolios.lock().unwrap();
    world
        .becomes(|| {
            let idle = |cell: &&std::sync::Arc<_>| std::sync::Arc::strong_count(cell) == 1;
            portfolios().values().filter(idle).count() == 2
        })
        .await;
    make_room(&mut portfolios(), 4);
    assert_eq!(portfolios().len(), 3);
    let key = |session: &crate::sessions::Session<_>| session.portfolio_id();
    for (gone, left) in [(&short, 2), (&long, 1)] {
        make_room(&mut portfolios(), left + 1);
        assert_eq!(portfolios().len(), left);
        assert!(!portfolios().contains_key(&key(gone)));
    }
    make_room(&mut portfolios(), 1);
    assert!(portfolios().contains_key(&key(&live)), "who is read stays");
}
