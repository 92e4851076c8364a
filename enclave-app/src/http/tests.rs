//! The API from outside, router and all, without sockets.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Request, StatusCode, Version};
use protocol::attestation::{self, ExpectedPcrs, Policy, Root};
use protocol::category::Category;
use protocol::encoding::to_hex;
use protocol::key_bundle::AttestationReply;
use protocol::keys::EnclavePublicKey;
use protocol::limits::{
    ATTESTED_AGE_MS_MAX, ATTESTED_AHEAD_MS_MAX, ENVELOPE_JSON_LEN_MAX, REQUEST_SKEW_MS_MAX,
};
use protocol::reply::NONCE_UNREAD;
use protocol::session::{End, Ended, ErrorBody, SessionStatus, Ttl};
use protocol::time::UnixMillis;

use crate::counters::Event;
use crate::engine_api::AccountRefusal;
use crate::limits::{NONCES_PER_SESSION_MAX, SESSION_REQUESTS_PER_MIN};
use crate::testing::{Answer, Customer, DEPLOYMENT, Enclave, Owner, START, with_auth};

#[tokio::test]
async fn the_document_verifies_and_binds_nonce_keys_and_configuration() {
    let enclave = Enclave::new().await;
    let nonce = [0x5a; 32];
    let answer = enclave.get(&format!("/attestation?nonce={}", to_hex(&nonce))).await;
    assert_eq!(answer.status, StatusCode::OK);
    let AttestationReply { document, key_bundle } =
        AttestationReply::from_json(&answer.body).unwrap();
    let root = Root::simulated(enclave.root.clone());
    let m = enclave.measured;
    let pcrs = ExpectedPcrs { image: [&m.pcr0, &m.pcr1, &m.pcr2], signer: None };
    let policy = Policy::new(&root, pcrs, DEPLOYMENT, &nonce, Duration::from_mins(5));
    let live = attestation::verify(&document, &policy, START).unwrap();
    assert_eq!(live.encryption_key().0, key_bundle.x25519);
    assert_eq!(live.user_data().ed25519, key_bundle.ed25519);
    assert_eq!(live.user_data().tls_spki_sha256, enclave.tls.spki_sha256());
    assert_eq!(live.timestamp(), START);
    assert_eq!(key_bundle.deployment, DEPLOYMENT);

    // Another nonce, another image, another root: refused.
    let other = Policy::new(&root, pcrs, DEPLOYMENT, &[1; 32], Duration::from_mins(5));
    assert_eq!(attestation::verify(&document, &other, START).unwrap_err().step(), 32);
    let zeros = [1; 48];
    let pcrs = ExpectedPcrs { image: [&zeros, &m.pcr1, &m.pcr2], signer: None };
    let other = Policy::new(&root, pcrs, DEPLOYMENT, &nonce, Duration::from_mins(5));
    assert_eq!(attestation::verify(&document, &other, START).unwrap_err().step(), 30);
    let pcrs = ExpectedPcrs { image: [&m.pcr0, &m.pcr1, &m.pcr2], signer: None };
    let other = Policy::new(&Root::AWS, pcrs, DEPLOYMENT, &nonce, Duration::from_mins(5));
    assert_eq!(attestation::verify(&document, &other, START).unwrap_err().step(), 22);
}

#[tokio::test]
async fn a_missing_or_odd_nonce_is_refused() {
    let enclave = Enclave::new().await;
    for target in
        ["/attestation", "/attestation?nonce=", "/attestation?nonce=00", "/attestation?x=1"]
    {
        assert_eq!(enclave.get(target).await.refusal(), (400, "invalid"), "{target}");
    }
}

#[tokio::test]
async fn documents_are_limited_for_everybody() {
    let few = NonZeroU32::new(2).unwrap();
    let enclave = Enclave::with_image(|image| {
        image.security_module.documents_per_sec = NonZeroU32::MIN;
        image.security_module.burst = few;
    })
    .await;
    let target = format!("/attestation?nonce={}", "ab".repeat(32));
    let mut refused = None;
    for _ in 0..6 {
        let answer = enclave.get(&target).await;
        if answer.status != StatusCode::OK {
            refused = Some((answer.refusal(), answer.header("retry-after").is_some()));
        }
    }
    assert_eq!(refused, Some(((429, "throttled"), true)));
    assert!(enclave.front.counters.of(Event::DocumentRefused) > 0);
}

#[tokio::test]
async fn one_address_does_not_use_up_everybodys_documents() {
    let enclave = Enclave::with_image(|image| {
        image.security_module.documents_per_address_per_min = NonZeroU32::MIN;
        image.security_module.burst_per_address = NonZeroU32::new(4).unwrap();
    })
    .await;
    let from = async |last: u8| {
        let target = format!("/attestation?nonce={}", "ab".repeat(32));
        let mut request = Request::get(target).body(Body::empty()).unwrap();
        let address = std::net::IpAddr::from([192, 0, 2, last]);
        request.extensions_mut().insert(crate::addresses::Origin::of(Some(address)));
        enclave.ask(request).await
    };
    for _ in 0..4 {
        assert_eq!(from(1).await.status, StatusCode::OK);
    }
    assert_eq!(from(1).await.refusal(), (429, "throttled"));
    assert_eq!(from(2).await.status, StatusCode::OK);
}

#[tokio::test]
async fn health_tells_that_it_is_simulated_and_nothing_else() {
    let enclave = Enclave::new().await;
    let answer = enclave.get("/health").await;
    let want =
        format!(r#"{{"status":"ok","version":"{}","simulated":true}}"#, env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(answer.body.clone()).unwrap(), want);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("date"), None, "the system's clock is not told");
}

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
    for venue in ["kraken", "mtgox"] {
        let sent =
            Customer::new(1).seal(&enclave.key().await, |r| r.accounts[0].venue = venue.into());
        let answer = enclave.post(sent.json.clone()).await;
        let (status, body) = sent.refusal(&answer);
        assert_eq!(status, if venue == "kraken" { 403 } else { 409 }, "{body:?}");
    }
    assert_eq!(enclave.engine.checks.load(Ordering::SeqCst), 0);
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
async fn garbled_envelopes_are_refused_before_anything_else() {
    let enclave = Enclave::new().await;
    let mut customer = Customer::new(1);
    let good = customer.seal(&enclave.key().await, |_| ()).json;
    let text = String::from_utf8(good.clone()).unwrap();
    let truncated = good[..good.len() / 2].to_vec();
    for body in [
        b"".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        vec![0xff; 100],
        b"[".repeat(1000),
        truncated,
        text.replacen('{', "{\"extra\":1,", 1).into_bytes(),
        text.replacen("\"v\":1", "\"v\":1,\"v\":1", 1).into_bytes(),
        text.replacen("\"v\":1", "\"v\":2", 1).into_bytes(),
        text.replacen("\"suite\":1", "\"suite\":2", 1).into_bytes(),
        format!("{text} {text}").into_bytes(),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(enclave.post(body).await.refusal(), (400, "invalid"), "{shown}");
    }
    assert_eq!(enclave.front.counters.refused(Category::Invalid), 12);
    // The tag flipped: opaque, and the envelope is not used up by it.
    let mut value: serde_json::Value = serde_json::from_slice(&good).unwrap();
    value["tag"] = "AAAAAAAAAAAAAAAAAAAAAA==".into();
    let answer = enclave.post(value.to_string()).await;
    assert_eq!(answer.refusal(), (400, "invalid"));
    assert_eq!(enclave.post(good).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_envelope_for_another_key_is_misdirected() {
    let enclave = Enclave::new().await;
    let other = EnclavePublicKey([9; 32]);
    let sent = Customer::new(1).seal(&other, |_| ());
    assert_eq!(enclave.post(sent.json).await.refusal(), (421, "wrong_key"));
}

#[tokio::test]
async fn a_body_longer_than_an_envelope_is_refused_with_and_without_its_length() {
    let enclave = Enclave::new().await;
    let long = vec![b' '; ENVELOPE_JSON_LEN_MAX + 1];
    assert_eq!(enclave.post(long.clone()).await.refusal(), (413, "invalid"));
    let chunks = long.chunks(1000).map(|c| Ok::<_, std::io::Error>(c.to_vec())).collect::<Vec<_>>();
    let stream = Body::from_stream(futures_util::stream::iter(chunks));
    let answer = enclave.post(stream).await;
    assert_eq!(answer.refusal(), (413, "invalid"));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[tokio::test]
async fn only_plain_json_is_a_body() {
    let enclave = Enclave::new().await;
    let post = |headers: &[(&str, &str)]| {
        let mut request = Request::post("/v1/sessions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        enclave.ask(request.body(Body::from("{}")).unwrap())
    };
    assert_eq!(post(&[]).await.refusal(), (415, "invalid"));
    assert_eq!(post(&[("content-type", "text/plain")]).await.refusal(), (415, "invalid"));
    let twice = [("content-type", "application/json"), ("content-type", "application/json")];
    assert_eq!(post(&twice).await.refusal(), (415, "invalid"));
    let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
    assert_eq!(post(&packed).await.refusal(), (415, "invalid"));
    assert_eq!(post(&[("content-type", "Application/JSON")]).await.refusal(), (400, "invalid"));
}

#[tokio::test]
async fn nothing_but_the_listed_routes_and_methods_exists() {
    let enclave = Enclave::new().await;
    for path in [
        "/",
        "/v1",
        "/v1/sessions/",
        "//health",
        "/Health",
        "/health/",
        "/v1/session/1",
        "/metrics",
        "/deployment",
        "/%68ealth",
        "/v1/../health",
    ] {
        assert_eq!(enclave.get(path).await.refusal(), (404, "not_found"), "{path}");
    }
    for (method, path, allowed) in [
        ("POST", "/health", "GET"),
        ("GET", "/v1/sessions", "POST"),
        ("PUT", "/v1/session", "GET, DELETE"),
        ("HEAD", "/health", "GET"),
        ("OPTIONS", "/v1/session/report", "GET"),
        ("TRACE", "/attestation", "GET"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = enclave.ask(request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed));
    }
}

#[tokio::test]
async fn the_form_of_a_request_is_strict() {
    let enclave = Enclave::new().await;
    let get = |uri: String| Request::get(uri).body(Body::empty()).unwrap();
    let refused = async |request| enclave.ask(request).await.refusal();
    assert_eq!(refused(get("/health?x=1".into())).await, (400, "invalid"));
    assert_eq!(refused(get("http://enclave/health".into())).await, (400, "invalid"));
    assert_eq!(refused(get(format!("/{}", "a".repeat(3000)))).await, (414, "invalid"));
    let with_body = Request::get("/health").body(Body::from("x")).unwrap();
    assert_eq!(refused(with_body).await, (400, "invalid"));
    let mut old = get("/health".into());
    *old.version_mut() = Version::HTTP_10;
    assert_eq!(refused(old).await, (400, "invalid"));
    let mut wide = get("/health".into());
    wide.headers_mut().insert("x-padding", "y".repeat(9000).parse().unwrap());
    assert_eq!(refused(wide).await, (431, "invalid"));
    let mut many = get("/health".into());
    for number in 0..40 {
        let name: HeaderName = format!("x-{number}").parse().unwrap();
        many.headers_mut().insert(name, "y".parse().unwrap());
    }
    assert_eq!(refused(many).await, (431, "invalid"));
}

#[tokio::test]
async fn one_address_is_limited_and_others_are_not() {
    let enclave = Enclave::with_image(|image| {
        image.firewall.requests_per_address_per_min = NonZeroU32::MIN;
        image.firewall.burst = NonZeroU32::new(3).unwrap();
    })
    .await;
    let from = async |last: u8| {
        let mut request = Request::get("/health").body(Body::empty()).unwrap();
        let address = std::net::IpAddr::from([192, 0, 2, last]);
        request.extensions_mut().insert(crate::addresses::Origin::of(Some(address)));
        enclave.ask(request).await
    };
    for _ in 0..3 {
        assert_eq!(from(1).await.status, StatusCode::OK);
    }
    assert_eq!(from(1).await.refusal(), (429, "throttled"));
    assert_eq!(from(2).await.status, StatusCode::OK);
    assert_eq!(enclave.front.counters.refused(Category::Throttled), 1);
}

#[tokio::test]
async fn requests_at_once_are_limited() {
    let enclave = Enclave::with_image(|image| image.firewall.requests_max = 1).await;
    *enclave.engine.hang.lock().unwrap() = true;
    let key = enclave.key().await;
    let sent = Customer::new(1).seal(&key, |_| ());
    let open = enclave.post(sent.json);
    tokio::pin!(open);
    // Poll until it hangs in the permission check.
    while enclave.engine.checks.load(Ordering::SeqCst) == 0 {
        tokio::select! {
            biased;
            answer = &mut open => panic!("answered: {answer:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(enclave.get("/health").await.refusal(), (429, "throttled"));
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

#[tokio::test]
async fn the_health_listener_serves_health_and_nothing_else() {
    let enclave = Enclave::new().await;
    let router = super::health_only(&enclave.front);
    let get = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
        Answer::read(response).await
    };
    assert_eq!(get("/health").await.status, StatusCode::OK);
    for path in ["/attestation?nonce=00", "/v1/session", "/openapi.json", "/"] {
        assert_eq!(get(path).await.refusal(), (404, "not_found"), "{path}");
    }
}
