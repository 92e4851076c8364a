//! Nobody acts for a portfolio or a session without its keys, and nothing works twice.

use std::fs;

use e2e::customer::{Customer, random, seal_signed_by};
use e2e::world::{Options, TWO_ACCOUNTS, World};
use protocol::encoding::to_base64;
use protocol::portfolio::PortfolioSecret;
use protocol::time::UnixMillis;
use serde_json::{Value, json};

#[test]
fn a_portfolio_is_opened_by_its_own_key_alone() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let stranger = PortfolioSecret::from_bytes(&[2; 32]);
    let mut door = customer.attest();
    let body = customer.opening(&door, &world.key(0));

    // Signed by somebody else, for the owner's portfolio.
    let sealed = seal_signed_by(&stranger, &door, &body);
    let answer = door.submit(&sealed);
    assert_eq!(answer.status, 401);
    assert_eq!(sealed.unseal(&answer)["code"], "unauthorized");

    // The same body and signature, which belong to another envelope.
    let taken = customer.seal(&door, &body);
    let mut other = customer.seal(&door, &body);
    other.envelope["ephemeral_pub"] = taken.envelope["ephemeral_pub"].clone();
    assert_eq!(door.submit(&other).status, 400, "does not open");

    // Its own key opens it.
    let sealed = customer.seal(&door, &body);
    assert_eq!(door.submit(&sealed).status, 201);
    let asked = served(&world);
    assert!(asked > 0, "the exchange was asked about the last one");
}

#[test]
fn a_signature_covers_every_byte_of_the_body() {
    use protocol::envelope::Ephemeral;
    use protocol::portfolio::{Action, Signed};
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    let body = customer.opening(&door, &world.key(0));
    let text = body.to_string();
    for (from, to) in [
        ("604800", "604801"),
        ("\"USD\"", "\"EUR\""),
        ("\"main\"", "\"Main\""),
        ("\"symbols\":[]", "\"symbols\":[ ]"),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        let ephemeral = Ephemeral::new(random::<32>().into());
        let signature = customer.portfolio.sign(&Signed {
            action: Action::Open,
            key_id: &door.live.encryption_key().key_id(),
            ephemeral_pub: ephemeral.public(),
            attested_at: door.live.timestamp(),
            body: text.as_bytes(),
        });
        let tampered = [signature.as_slice(), text.replace(from, to).as_bytes()].concat();
        let sealed = e2e::customer::seal_plaintext(&door, ephemeral, &body, &tampered);
        let answer = door.submit(&sealed);
        assert_eq!(answer.status, 401, "{from}");
        assert_eq!(sealed.unseal(&answer)["code"], "unauthorized", "{from}");
    }
    assert_eq!(served(&world), 0, "the exchange was asked nothing");
}

#[test]
fn a_replayed_envelope_is_refused_also_after_its_session_and_after_a_restart() {
    let mut world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    let sealed = customer.seal(&door, &customer.opening(&door, &world.key(0)));
    let opened = door.submit(&sealed);
    assert_eq!(opened.status, 201);

    let replayed = |door: &mut e2e::customer::Door| {
        let answer = door.submit(&sealed);
        assert_eq!(answer.status, 409);
        assert_eq!(sealed.unseal(&answer)["code"], "replayed");
    };
    replayed(&mut door);
    drop(door);
    // While its session lives, on another connection.
    replayed(&mut customer.attest());

    // After its session ended.
    let envelope = sealed.envelope.clone();
    let session = sealed.into_session(&opened);
    assert_eq!(session.ask(&customer, "DELETE", "/v1/session").0, 200);
    let mut door = customer.attest();
    assert_eq!(door.post(envelope.to_string().as_bytes()).status, 409);
    drop(door);

    // After a restart its key is gone, and with it whatever the envelope was sealed to.
    world.restart_enclave();
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    let answer = door.post(envelope.to_string().as_bytes());
    assert_eq!((answer.status, answer.code()), (421, "wrong_key".to_owned()));
    // Renaming the key does not help.
    let mut renamed = envelope;
    renamed["key_id"] = to_base64(&door.live.encryption_key().key_id().0).into();
    assert_eq!(door.post(renamed.to_string().as_bytes()).status, 400);
}

#[test]
fn an_envelope_of_an_old_attestation_is_refused() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    for (minutes, refused) in [(11, true), (9, false)] {
        let mut body = customer.opening(&door, &world.key(0));
        let at = body["attested_at"].as_u64().unwrap() - minutes * 60_000;
        body["attested_at"] = at.into();
        let sealed = customer.seal(&door, &body);
        let answer = door.submit(&sealed);
        assert_eq!(answer.status, if refused { 401 } else { 201 }, "{:?}", sealed.unseal(&answer));
    }
    let mut body = customer.opening(&door, &world.key(0));
    body["attested_at"] = (body["attested_at"].as_u64().unwrap() + 120_000).into();
    let sealed = customer.seal(&door, &body);
    assert_eq!(door.submit(&sealed).status, 401, "from the future");
}

#[test]
fn whoever_is_not_the_owner_gets_the_same_401_whatever_is_wrong() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let session = customer.open(&world.key(0));
    let path = "/v1/session";
    let mut door = customer.attest();
    let now = customer.now();
    let right = |nonce| session.headers("GET", path, nonce, now);
    let with = |name: &str, value: String| {
        let mut headers = right(random());
        headers.iter_mut().find(|(key, _)| *key == name).unwrap().1 = value;
        headers
    };
    let shifted = |ms: i64| UnixMillis(now.0.checked_add_signed(ms).unwrap());
    let reused = random();
    let answer = door.call("GET", path, &right(reused));
    assert_eq!(answer.status, 200, "the control");

    let id = right(random()).into_iter().filter(|(key, _)| *key == "pa-session").collect();
    let wrong: Vec<(&str, Vec<_>)> = vec![
        ("nothing at all", Vec::new()),
        ("a stolen session id alone", id),
        ("a stolen session id and an invented MAC", with("pa-mac", to_base64(&random::<32>()))),
        ("a MAC of another nonce", with("pa-nonce", to_base64(&random::<16>()))),
        ("a MAC of another time", with("pa-timestamp", shifted(1).0.to_string())),
        ("an unknown session", with("pa-session", to_base64(&random::<32>()))),
        ("a session id that is none", with("pa-session", "x".repeat(44))),
        ("a MAC of another method", session.headers("DELETE", path, random(), now)),
        ("a MAC of another path", session.headers("GET", "/v1/session/report", random(), now)),
        ("a nonce used before", right(reused)),
        ("a stale timestamp", session.headers("GET", path, random(), shifted(-61_000))),
        ("a timestamp of the future", session.headers("GET", path, random(), shifted(61_000))),
        ("a header twice", [right(random()), right(random())].concat()),
    ];
    let mut bodies = std::collections::BTreeSet::new();
    for (what, headers) in wrong {
        let answer = door.call("GET", path, &headers);
        assert_eq!(answer.status, 401, "{what}");
        assert!(!answer.is_sealed(), "{what}");
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap();
        body.as_object_mut().unwrap().remove("request_id").unwrap();
        bodies.insert(body.to_string());
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // At the edges of what is fresh it still works, and the answer is bound to its own nonce.
    for edge in [-59_000, 59_000] {
        let nonce = random();
        let answer = door.call("GET", path, &session.headers("GET", path, nonce, shifted(edge)));
        assert_eq!(answer.status, 200);
        assert!(session.opens(&nonce, &answer) && !session.opens(&random(), &answer));
    }
}

#[test]
fn nobody_reads_or_ends_anothers_session() {
    let world = World::start(Options { scenario: TWO_ACCOUNTS, ..Options::default() });
    let (owner, other) = (Customer::of(&world, 1), Customer::of(&world, 2));
    let (session, foreign) = (owner.open(&world.key(0)), other.open(&world.key(1)));
    let mut door = other.attest();
    for (method, path) in
        [("GET", "/v1/session"), ("GET", "/v1/session/report"), ("DELETE", "/v1/session")]
    {
        // Another's session id under one's own key.
        let mut headers = foreign.headers(method, path, random(), other.now());
        headers.iter_mut().find(|(key, _)| *key == "pa-session").unwrap().1 =
            session.id.to_base64();
        assert_eq!(door.call(method, path, &headers).status, 401, "{method} {path}");
    }
    drop(door);
    assert_eq!(session.status(&owner)["accounts"][0]["label"], "main");
    let ids = [&session, &foreign].map(|it| it.id.to_base64());
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn a_session_file_without_its_keys_is_worth_nothing() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    let text = fs::read_to_string(world.path("session.json")).unwrap();
    let stolen: Value = serde_json::from_str(&text).unwrap();
    for (field, value) in [("request_key", [7; 32]), ("session_id", [9; 32])] {
        let mut changed = stolen.clone();
        changed[field] = json!(to_base64(&value));
        world.write_secret("stolen.json", changed.to_string().as_bytes());
        let ran = world.perfagg(&["status", "--session-file", "stolen.json"]).failed_with(4);
        assert!(ran.err().contains("unauthorized"), "{field}: {}", ran.err());
    }
    world.perfagg(&["status", "--session-file", "session.json"]).succeeded();
}

#[test]
fn a_revoked_session_is_gone() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    fs::copy(world.path("session.json"), world.path("copy.json")).unwrap();
    world.perfagg(&["revoke", "--session-file", "session.json"]).succeeded();
    assert!(!world.path("session.json").exists());
    for command in ["status", "report", "revoke"] {
        let ran = world.perfagg(&[command, "--session-file", "copy.json"]).failed_with(4);
        assert!(ran.err().contains("unauthorized"), "{}", ran.err());
    }
}

/// Requests with a key that the exchange has served.
fn served(world: &World) -> u64 {
    let (status, log) = world.control("GET", "/requests", &Value::Null);
    assert_eq!(status, 200);
    let log: Value = serde_json::from_str(&log).unwrap();
    let lines = log["requests"].as_array().unwrap();
    let keyed = lines.iter().filter(|line| {
        let path = line["path"].as_str().unwrap();
        path.starts_with("/sapi") || path == "/api/v3/account"
    });
    keyed.map(|line| line["count"].as_u64().unwrap()).sum()
}
