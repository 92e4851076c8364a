//! Keys: what is refused before a session, and what ends an account in the middle of one.

use exchange_sim::faults::Fault;
use protocol::category::Category;
use protocol::secret::SecretBytes;
use protocol::session::{End, IdentityKind, OpenSession, Permission};

use super::story::Story;
use super::world::{Span, World};
use crate::egress::tests::Behaviour;
use crate::engine_api::{AccountRefusal, Engine as _};

async fn world() -> World {
    World::of(&Story::new(3).told()).await
}

async fn refused(world: &World, change: impl FnOnce(&mut OpenSession)) -> AccountRefusal {
    world.open_with(1, &["binance-spot"], change).await.expect_err("the session opened")
}

fn label() -> String {
    "my binance-spot".to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_do_more_than_read_are_refused_and_what_to_remove_is_named() {
    let world = world().await;
    for (permissions, remove) in [
        ("read,trade", vec!["enableSpotAndMarginTrading"]),
        ("read,withdraw", vec!["enableWithdrawals"]),
        ("read,internal-transfer", vec!["enableInternalTransfer"]),
        ("read,enableSomethingNew", vec!["enableSomethingNew"]),
    ] {
        world.sim.permit("binance-spot", &permissions.parse().unwrap()).unwrap();
        let remove = remove.into_iter().map(str::to_owned).collect();
        let expected = AccountRefusal::TooPowerful { label: label(), remove };
        assert_eq!(refused(&world, |_| ()).await, expected, "{permissions}");
    }
    let asked = world.asked();
    assert!(!asked.contains_key("/api/v3/account"), "nothing was read with such a key: {asked:?}");
    assert_eq!(world.parent.open(), world.parent.open().min(3), "no connection is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_even_read_is_refused() {
    let world = world().await;
    world.sim.permit("binance-spot", &"none".parse().unwrap()).unwrap();
    let refusal = refused(&world, |_| ()).await;
    assert_eq!(refusal, AccountRefusal::KeyRefused { label: label() });
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_told_from_malformed_ones() {
    let world = world().await;
    let secret = |text: &'static str| {
        move |request: &mut OpenSession| {
            request.accounts[0].credentials.api_secret = SecretBytes::copy(text.as_bytes());
        }
    };
    let key = |request: &mut OpenSession| {
        request.accounts[0].credentials.api_key = SecretBytes::copy(&[b'k'; 64]);
    };
    assert_eq!(refused(&world, key).await, AccountRefusal::KeyRefused { label: label() });
    let wrong = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    assert_eq!(refused(&world, secret(wrong)).await, AccountRefusal::KeyRefused { label: label() });
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(refused(&world, secret(pem)).await, AccountRefusal::Malformed { label: label() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_not_offered() {
    let world = world().await;
    let refusal = refused(&world, |request| request.accounts[0].venue = "okx".into()).await;
    assert_eq!(refusal, AccountRefusal::NotOffered { label: label() });
    let refusal =
        refused(&world, |request| request.accounts[0].market = "margin_cross".into()).await;
    assert_eq!(refusal, AccountRefusal::NotOffered { label: label() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_road_that_is_closed_is_no_fault_of_the_key() {
    let world = world().await;
    for answer in ["HTTP/1.1 403 Forbidden\r\n\r\n", "HTTP/1.1 502 Bad Gateway\r\n\r\n", ""] {
        world.parent.behave(Behaviour::Answer(answer));
        let refusal = refused(&world, |_| ()).await;
        assert_eq!(refusal, AccountRefusal::Unavailable { label: label() }, "{answer}");
    }
    world.parent.behave(Behaviour::Relay(world.sim.addr));
    world.inject(
        "/sapi",
        Fault::Status { status: 429, retry_after_secs: Some(30) },
        Span::default(),
    );
    let refusal = refused(&world, |_| ()).await;
    assert_eq!(refusal, AccountRefusal::Throttled { label: label() });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_known_by_what_the_exchange_says() {
    let world = world().await;
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    let account = &session.accounts()[0];
    assert_eq!(account.identity.kind, IdentityKind::Uid);
    assert!(account.identity.value.parse::<u64>().is_ok());
    assert_eq!(account.permissions, [Permission::Read]);
}

/// Polls once an hour, so that days pass quickly.
fn days() -> Story {
    Story { interval: 3600, ..Story::new(30) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_widened_later_ends_its_account_within_a_day() {
    let story = days();
    let world = World::of(&story.told()).await;
    let session = world.open(1, &["binance-spot"]).await.unwrap();
    world.until(story.at(2)).await;
    world.sim.permit("binance-spot", &"read,withdraw".parse().unwrap()).unwrap();
    world.becomes(|| world.status(&session).last_error.is_some()).await;
    world.becomes(|| world.status(&session).next_poll.is_none()).await;
    let status = world.status(&session);
    assert_eq!(status.last_error, Some(Category::Refused));
    assert_eq!(status.last_complete_poll, Some(story.at(23)));
    let report = world.report(&session).await;
    assert_eq!(report.payload.accounts[0].end_reason, Some(End::KeyRefused));
    assert_eq!(report.payload.accounts[0].closed_at, Some(story.at(24)));
    assert_eq!(report.results["activity"]["trades"], 23);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_exchange_withdraws_ends_its_account() {
    let story = Story { accounts: vec!["binance-spot", "binance-spot-2"], ..Story::new(6) };
    let world = World::of(&story.told()).await;
    let rule = exchange_sim::faults::FaultRule {
        host: None,
        path: None,
        account: Some("binance-spot".into()),
        skip: 0,
        times: None,
        from_ms: Some(story.at(3).0),
        until_ms: None,
        fault: Fault::Body {
            status: 401,
            body: r#"{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}"#
                .into(),
        },
    };
    world.sim.inject(vec![rule]).unwrap();
    let session = world.open(1, &["binance-spot", "binance-spot-2"]).await.unwrap();
    world.ended().await;
    let report = world.report(&session).await;
    let [one, other] = report.payload.accounts.as_slice() else { panic!("two accounts") };
    assert_eq!((one.end_reason, one.closed_at), (Some(End::KeyRefused), Some(story.at(3))));
    assert_eq!((other.end_reason, other.closed_at), (None, None));
    assert_eq!(report.results["quality"]["complete_ticks"], 7, "the portfolio goes on at once");
    let status = world.poller.status(&session).accounts;
    assert_eq!(status[0].next_poll, None);
    assert_eq!(status[1].last_complete_poll, Some(story.at(6)));
}
