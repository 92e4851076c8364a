//! The API from outside, router and all, without sockets: documents, forms and
//! limits here, sessions in [`sessions`].

mod sessions;

use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, Request, StatusCode, Version};
use protocol::attestation::{self, ExpectedPcrs, Policy, Root};
use protocol::category::Category;
use protocol::encoding::to_hex;
use protocol::key_bundle::AttestationReply;
use protocol::keys::EnclavePublicKey;
use protocol::limits::ENVELOPE_JSON_LEN_MAX;

use crate::counters::Event;
use crate::testing::{Answer, Customer, DEPLOYMENT, Enclave, START};

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
async fn the_health_listener_serves_health_and_nothing_else() {
    let enclave = Enclave::new().await;
    let router = crate::http::health_only(&enclave.front);
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
