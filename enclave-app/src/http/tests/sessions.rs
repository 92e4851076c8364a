//! Opening sessions, speaking for them, and their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use protocol::category::Category;
use protocol::limits::{ATTESTED_AGE_MS_MAX, ATTESTED_AHEAD_MS_MAX, REQUEST_SKEW_MS_MAX};
use protocol::reply::NONCE_UNREAD;
use protocol::session::{End, Ended, ErrorBody, SessionStatus, Ttl};
use protocol::time::UnixMillis;

use crate::counters::Event;
use crate::engine_api::AccountRefusal;
use crate::limits::{NONCES_PER_SESSION_MAX, SESSION_REQUESTS_PER_MIN};
use crate::testing::{Answer, Customer, Enclave, Owner, START, with_auth};

#[tokio::test]
async fn the_whole_life_of_a_session() {
    let enclave = Enclave::new().await;
    let mut owner = Customer::new(1).open(&enclave).await;
    assert_eq!(owner.opened.expires_at, UnixMillis(START.0 + 3_600_000));
    assert_eq!(owner.opened.accounts.len(), 1);
    assert_eq!(enclave.engine.live.lock().unwrap().len(), 1);

    let answer = owner.ask(&enclave, "GET", "/v1/session").await;
    assert_eq!(answer.status, StatusCode::OK);
    let status = SessionStatus::from_json(&owner.read(&answer)).unwrap();
    assert_eq!((status.now, status.simulated), (START, true));
    assert_eq!(status.coverage.as_deref(), Some("1"));
    assert_eq!(status.accounts[0].identity.value, "354937868");

    let answer = owner.ask(&enclave, "GET", "/v1/session/report").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "nothing yet, and sealed");
    let body = ErrorBody::from_json(&owner.read(&answer)).unwrap();
    assert_eq!(body.code, Category::NotFound);
    *enclave.engine.report.lock().unwrap() = Some(b"{\"report\":1}".to_vec());
    let answer = owner.ask(&enclave, "GET", "/v1/session/report").await;
    assert_eq!(owner.read(&answer), b"{\"report\":1}");

    let session = Arc::clone(&enclave.engine.live.lock().unwrap()[0]);
    let answer = owner.ask(&enclave, "DELETE", "/v1/session").await;
    let ended = Ended::from_json(&owner.read(&answer)).unwrap();
    assert_eq!((ended.ended, ended.at), (End::Revoked, START));
    assert!(session.is_wiped());
    assert_eq!(*enclave.engine.wiped_before_stop.lock().unwrap(), [true]);
    assert!(enclave.custody.table().is_empty());

    let answer = owner.ask(&enclave, "GET", "/v1/session").await;
    assert_eq!(answer.refusal(), (401, "unauthorized"));
    let counted = |event| enclave.front.counters.of(event);
    assert_eq!((counted(Event::SessionOpened), counted(Event::SessionRevoked)), (1, 1));
}

#[tokio::test]
async fn an_envelope_works_once_even_after_its_session_ended() {
    let enclave = Enclave::new().await;
    let mut customer = Customer::new(1);
    let mut owner = customer.open(&enclave).await;
    let again = enclave.post(owner.sent.json.clone()).await;
    assert_eq!(owner.sent.refusal(&again).1.code, Category::Replayed);
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(owner.ask(&enclave, "DELETE", "/v1/session").await.status, StatusCode::OK);
    let again = enclave.post(owner.sent.json.clone()).await;
    assert_eq!(owner.sent.refusal(&again).1.code, Category::Replayed);
    // Old enough to be forgotten is too old to be accepted.
    enclave.wait(Duration::from_mins(21));
    let again = enclave.post(owner.sent.json.clone()).await;
    assert_eq!(owner.sent.refusal(&again).1.code, Category::Unauthorized);
    assert_eq!(enclave.engine.checks.load(Ordering::SeqCst), 1, "no exchange was called again");
    assert_eq!(enclave.front.counters.of(Event::EnvelopeReplayed), 2);
}

#[tokio::test]
async fn an_envelope_is_used_up_by_a_refusal_too() {
    let enclave = Enclave::new().await;
    let refusal = AccountRefusal::KeyRefused { label: "main".into() };
    *enclave.engine.refuse.lock().unwrap() = Some(refusal);
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).0, 403);
    *enclave.engine.refuse.lock().unwrap() = None;
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).0, 409);
    assert!(enclave.custody.table().is_empty());
}

#[tokio::test]
async fn a_restarted_enclave_has_other_keys_and_refuses_old_envelopes() {
    let old = Enclave::new().await;
    let sent = Customer::new(1).seal(&old.key().await, |_| ());
    let new = Enclave::new().await;
    assert_eq!(new.post(sent.json).await.refusal(), (421, "wrong_key"));
}

#[tokio::test]
async fn a_key_that_may_trade_is_refused_by_name() {
    let enclave = Enclave::new().await;
    *enclave.engine.refuse.lock().unwrap() = Some(AccountRefusal::TooPowerful {
        label: "main".into(),
        remove: vec!["enableSpotAndMarginTrading".into()],
    });
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    let (status, body) = sent.refusal(&answer);
    assert_eq!((status, body.code), (403, Category::Refused));
    let detail = body.detail.unwrap();
    assert_eq!(detail.account, "main");
    assert_eq!(detail.remove, ["enableSpotAndMarginTrading"]);
    assert!(enclave.engine.live.lock().unwrap().is_empty());
}

#[tokio::test]
async fn proofs_must_match_accounts_one_to_one() {
    let enclave = Enclave::new().await;
    *enclave.engine.forget_one.lock().unwrap() = true;
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).0, 500);
    assert!(enclave.custody.table().is_empty());
}

#[tokio::test]
async fn an_exchange_outside_the_deployment_is_refused_before_it_is_called() {
    let enclave = Enclave::new().await;
    for venue in ["okx", "mtgox", "okx"] {
        let sent =
            Customer::new(1).seal(&enclave.key().await, |r| r.accounts[0].venue = venue.into());
        let answer = enclave.post(sent.json.clone()).await;
        let (status, body) = sent.refusal(&answer);
        // It takes no room in the record of used envelopes either.
        assert_eq!(status, 403, "{body:?}");
    }
    assert_eq!(enclave.engine.checks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_portfolio_counts_in_one_currency() {
    let enclave = Enclave::new().await;
    *enclave.engine.base.lock().unwrap() = Some("EUR".into());
    let sent = Customer::new(1).seal(&enclave.key().await, |r| r.base_currency = "USD".into());
    let answer = enclave.post(sent.json.clone()).await;
    let (status, body) = sent.refusal(&answer);
    assert_eq!((status, body.code), (403, Category::Refused));
    assert!(body.message.contains("counts in EUR"), "{body:?}");
    assert_eq!(enclave.engine.checks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_session_that_cannot_be_polled_is_not_opened() {
    let enclave = Enclave::new().await;
    *enclave.engine.refuse_start.lock().unwrap() = true;
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).0, 403);
    assert!(enclave.custody.table().is_empty());
}

#[tokio::test]
async fn one_account_serves_so_many_sessions_whosever_they_are() {
    let enclave = Enclave::with_image(|image| image.sessions.per_account_max = 2).await;
    let first = Customer::new(1).open(&enclave).await;
    Customer::new(2).open(&enclave).await;
    let sent = Customer::new(3).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    let (status, body) = sent.refusal(&answer);
    assert_eq!((status, body.code), (429, Category::Throttled));
    let live = enclave.custody.table().find(first.id(), START).unwrap();
    assert!(enclave.custody.revoke(&live));
    Customer::new(4).open(&enclave).await;
}

#[tokio::test(start_paused = true)]
async fn exchanges_that_never_answer_are_given_up() {
    let enclave = Enclave::new().await;
    *enclave.engine.hang.lock().unwrap() = true;
    let sent = Customer::new(1).seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    let (status, body) = sent.refusal(&answer);
    assert_eq!((status, body.code), (503, Category::Unavailable));
    assert!(enclave.custody.table().is_empty());
}

#[tokio::test]
async fn the_attestation_behind_an_envelope_has_an_age() {
    let age = ATTESTED_AGE_MS_MAX;
    let ahead = ATTESTED_AHEAD_MS_MAX;
    for (attested_at, opens) in [
        (START.0 - age, true),
        (START.0 - age - 1, false),
        (START.0 + ahead, true),
        (START.0 + ahead + 1, false),
        (0, false),
    ] {
        let enclave = Enclave::new().await;
        let sent = Customer::new(1)
            .seal(&enclave.key().await, |r| r.attested_at = UnixMillis(attested_at));
        let answer = enclave.post(sent.json.clone()).await;
        if opens {
            assert_eq!(answer.status, StatusCode::CREATED, "{attested_at}");
        } else {
            assert_eq!(sent.refusal(&answer).1.code, Category::Unauthorized, "{attested_at}");
        }
    }
}

#[tokio::test]
async fn times_to_live_are_accepted_up_to_their_bounds() {
    let enclave = Enclave::with_image(|image| image.sessions.per_portfolio_max = 64).await;
    let mut customer = Customer::new(1);
    for ttl in [Ttl::MIN, Ttl::MAX] {
        let owner = customer.open_with(&enclave, |r| r.ttl = ttl).await;
        let lives = owner.opened.expires_at.since(START);
        assert_eq!(lives, ttl.duration());
    }
    // Out of bounds, and signed: only a changed body can say so.
    for (from, to) in
        [("3600", "0299"), ("3600", "0300"), ("\"ttl_secs\":3600", "\"ttl_secs\":604801")]
    {
        let sent = customer.seal_bytes(
            &enclave.key().await,
            |_| (),
            |plaintext| {
                let body = String::from_utf8(plaintext.split_off(64)).unwrap();
                plaintext.extend_from_slice(body.replace(from, to).as_bytes());
            },
        );
        let answer = enclave.post(sent.json.clone()).await;
        let body = ErrorBody::from_json(&sent.read_for(&answer, &NONCE_UNREAD).unwrap()).unwrap();
        assert!(matches!(body.code, Category::Unauthorized | Category::Invalid), "{body:?}");
    }
}

#[tokio::test]
async fn nobody_opens_a_portfolio_without_its_signature() {
    let enclave = Enclave::new().await;
    let key = enclave.key().await;
    let mut customer = Customer::new(1);
    let spoil: [fn(&mut Vec<u8>); 4] = [
        |plain| plain[0] ^= 1,
        |plain| plain[63] ^= 0x80,
        |plain| {
            let last = plain.len() - 2;
            plain[last] ^= 1;
        },
        |plain| plain.truncate(40),
    ];
    for spoil in spoil {
        let sent = customer.seal_bytes(&key, |_| (), spoil);
        let answer = enclave.post(sent.json.clone()).await;
        let body = ErrorBody::from_json(&sent.read_for(&answer, &NONCE_UNREAD).unwrap()).unwrap();
        assert!(matches!(body.code, Category::Unauthorized | Category::Invalid), "{body:?}");
        assert_eq!(sent.read_for(&answer, &sent.request_nonce), None, "bound to the nonce unread");
    }
    assert_eq!(enclave.engine.checks.load(Ordering::SeqCst), 0);
    assert!(enclave.custody.table().is_empty());
}

#[tokio::test]
async fn sessions_are_limited_in_each_portfolio_and_in_all() {
    let enclave = Enclave::with_image(|image| {
        image.sessions.max = 3;
        image.sessions.per_portfolio_max = 2;
    })
    .await;
    let (mut one, mut other) = (Customer::new(1), Customer::new(2));
    let mut first = one.open(&enclave).await;
    let second = one.open(&enclave).await;
    let sent = one.seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).1.code, Category::Throttled);
    let third = other.open(&enclave).await;
    let sent = other.seal(&enclave.key().await, |_| ());
    let answer = enclave.post(sent.json.clone()).await;
    assert_eq!(sent.refusal(&answer).1.code, Category::Unavailable);
    // An ended session gives its place back.
    assert_eq!(first.ask(&enclave, "DELETE", "/v1/session").await.status, StatusCode::OK);
    let fourth = one.open(&enclave).await;
    assert_ne!(second.id(), fourth.id());
    assert_ne!(third.id(), fourth.id());
}

#[tokio::test]
async fn whatever_is_wrong_with_an_authentication_is_answered_alike() {
    let enclave = Enclave::new().await;
    let mut owner = Customer::new(1).open(&enclave).await;
    let mut stranger = Customer::new(2).open(&enclave).await;
    let path = "/v1/session";
    let mut answers: Vec<(&str, Answer)> = Vec::new();

    answers.push(("no headers", enclave.get(path).await));

    // A stolen id under another key.
    let mut stolen = with_auth("GET", path, &stranger.auth("GET", path, START));
    stolen.headers_mut().insert("pa-session", owner.id().to_base64().parse().unwrap());
    answers.push(("stolen id", enclave.ask(stolen).await));

    // An id that nobody has.
    let mut unknown = with_auth("GET", path, &owner.auth("GET", path, START));
    unknown
        .headers_mut()
        .insert("pa-session", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap());
    answers.push(("unknown id", enclave.ask(unknown).await));

    // Another method, another path, another time than was signed.
    let auth = owner.auth("GET", path, START);
    answers.push(("method", enclave.ask(with_auth("DELETE", path, &auth)).await));
    answers.push(("path", enclave.ask(with_auth("GET", "/v1/session/report", &auth)).await));
    let mut moved = with_auth("GET", path, &auth);
    let later = (START.0 + 1).to_string();
    moved.headers_mut().insert("pa-timestamp", later.parse().unwrap());
    answers.push(("timestamp changed", enclave.ask(moved).await));

    for skew in [REQUEST_SKEW_MS_MAX + 1, u64::MAX - START.0] {
        let auth = owner.auth("GET", path, UnixMillis(START.0 + skew));
        answers.push(("future", enclave.ask(with_auth("GET", path, &auth)).await));
    }
    let auth = owner.auth("GET", path, UnixMillis(START.0 - REQUEST_SKEW_MS_MAX - 1));
    answers.push(("past", enclave.ask(with_auth("GET", path, &auth)).await));

    // A nonce used twice.
    let auth = owner.auth("GET", path, START);
    assert_eq!(enclave.ask(with_auth("GET", path, &auth)).await.status, StatusCode::OK);
    answers.push(("nonce twice", enclave.ask(with_auth("GET", path, &auth)).await));

    // A header twice, or not in its one spelling.
    let auth = owner.auth("GET", path, START);
    let mut twice = with_auth("GET", path, &auth);
    twice.headers_mut().append("pa-timestamp", START.0.to_string().parse().unwrap());
    answers.push(("header twice", enclave.ask(twice).await));
    let mut zero = with_auth("GET", path, &auth);
    zero.headers_mut().insert("pa-timestamp", format!("0{}", START.0).parse().unwrap());
    answers.push(("leading zero", enclave.ask(zero).await));

    assert_eq!(answers.len(), 12);
    let first = ErrorBody::from_json(&answers[0].1.body).unwrap();
    for (what, answer) in &answers {
        assert_eq!(answer.refusal(), (401, "unauthorized"), "{what}");
        let body = ErrorBody::from_json(&answer.body).unwrap();
        assert_eq!(body.message, first.message, "{what}");
        let names = |a: &Answer| a.headers.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(answer), names(&answers[0].1), "{what}");
    }
}

#[tokio::test]
async fn timestamps_are_accepted_up_to_their_bounds() {
    let enclave = Enclave::new().await;
    let mut owner = Customer::new(1).open(&enclave).await;
    for at in [START.0 - REQUEST_SKEW_MS_MAX, START.0 + REQUEST_SKEW_MS_MAX] {
        let auth = owner.auth("GET", "/v1/session", UnixMillis(at));
        let answer = enclave.ask(with_auth("GET", "/v1/session", &auth)).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn one_session_is_limited_and_the_limit_stays_below_the_nonces() {
    // Within the two minutes that nonces are kept, and a burst.
    let most = 2 * usize::try_from(SESSION_REQUESTS_PER_MIN).unwrap() + 200;
    assert!(most < NONCES_PER_SESSION_MAX);
    let enclave = Enclave::new().await;
    let mut owner = Customer::new(1).open(&enclave).await;
    let mut other = Customer::new(2).open(&enclave).await;
    let mut refused = None;
    for _ in 0..100 {
        let answer = owner.ask(&enclave, "GET", "/v1/session").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer.refusal());
            break;
        }
    }
    assert_eq!(refused, Some((429, "throttled")));
    assert_eq!(other.ask(&enclave, "GET", "/v1/session").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_answer_opens_for_its_own_request_alone() {
    let enclave = Enclave::new().await;
    let mut owner = Customer::new(1).open(&enclave).await;
    let answer = owner.ask(&enclave, "GET", "/v1/session").await;
    assert!(owner.sent.read_for(&answer, &[0x42; 16]).is_none());
    assert!(SessionStatus::from_json(&owner.read(&answer)).is_ok());
}

#[tokio::test]
async fn expiry_refuses_at_once_and_wipes() {
    let enclave = Enclave::new().await;
    let mut owner: Owner = Customer::new(1).open(&enclave).await;
    let session = Arc::clone(&enclave.engine.live.lock().unwrap()[0]);
    enclave.wait(Duration::from_millis(3_599_999));
    assert_eq!(owner.ask(&enclave, "GET", "/v1/session").await.status, StatusCode::OK);
    enclave.wait(Duration::from_millis(1));
    // The timer has not run yet, and still nothing can be read or signed.
    assert_eq!(owner.ask(&enclave, "GET", "/v1/session").await.refusal(), (401, "unauthorized"));
    assert!(session.with_secret(enclave.custody.now(), 0, |_| ()).is_err());
    assert!(!session.is_wiped());
    enclave.custody.sweep();
    assert!(session.is_wiped());
    assert!(enclave.engine.live.lock().unwrap().is_empty());
    assert_eq!(enclave.front.counters.of(Event::SessionExpired), 1);
}

#[tokio::test]
async fn a_hung_up_customer_leaves_nothing_behind() {
    let enclave = Enclave::with_image(|image| image.sessions.per_portfolio_max = 1).await;
    *enclave.engine.hang.lock().unwrap() = true;
    let mut customer = Customer::new(1);
    let sent = customer.seal(&enclave.key().await, |_| ());
    {
        let open = enclave.post(sent.json);
        tokio::pin!(open);
        while enclave.engine.checks.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                biased;
                answer = &mut open => panic!("answered: {answer:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    *enclave.engine.hang.lock().unwrap() = false;
    // Its place is free again.
    customer.open(&enclave).await;
}
