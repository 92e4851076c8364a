//! Bad input over the whole stack: each has its own answer, in time, and costs nobody else
//! anything.

use std::io::{Read, Write};

use e2e::customer::{Customer, Door};
use e2e::tls::{Tls, dial};
use e2e::world::{Options, TWO_ACCOUNTS, World, get};
use protocol::encoding::to_base64;
use protocol::limits::{ENVELOPE_JSON_LEN_MAX, ENVELOPE_PLAINTEXT_LEN_MAX};
use serde_json::{Value, json};

#[test]
fn envelopes_that_are_none_are_refused_each_by_its_own_rule() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    let good = customer.seal(&door, &customer.opening(&door, &world.key(0)));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut envelope = good.envelope.clone();
        change(&mut envelope);
        envelope.to_string().into_bytes()
    };
    let flipped = |field: &'static str| {
        changed(&move |envelope| {
            let text = envelope[field].as_str().unwrap();
            let mut bytes = protocol::encoding::from_base64(text).unwrap();
            bytes[0] ^= 1;
            envelope[field] = to_base64(&bytes).into();
        })
    };
    let text = good.envelope.to_string();
    let (head, tail) = text.split_at(text.len() / 2);
    let twice = text.replacen('{', "{\"v\":1,", 1).into_bytes();
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("empty", b"{}".to_vec(), 400),
        ("no JSON", b"envelope".to_vec(), 400),
        ("truncated", head.as_bytes().to_vec(), 400),
        ("the other half", tail.as_bytes().to_vec(), 400),
        ("two of them", [text.as_bytes(), text.as_bytes()].concat(), 400),
        ("not UTF-8", vec![0xff; 64], 400),
        ("too deep", [vec![b'['; 4000], vec![b']'; 4000]].concat(), 400),
        ("an unknown field", changed(&|it| it["more"] = json!(1)), 400),
        ("a field twice", twice, 400),
        ("a field less", changed(&|it| drop(it.as_object_mut().unwrap().remove("tag"))), 400),
        ("another version", changed(&|it| it["v"] = json!(2)), 400),
        ("another suite", changed(&|it| it["suite"] = json!(2)), 400),
        ("a version that is text", changed(&|it| it["v"] = json!("1")), 400),
        (
            "base64 without padding",
            changed(&|it| it["nonce"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
            400,
        ),
        ("a low-order key", changed(&|it| it["ephemeral_pub"] = json!(to_base64(&[0; 32]))), 400),
        ("a flipped ciphertext", flipped("ciphertext"), 400),
        ("a flipped tag", flipped("tag"), 400),
        ("a flipped nonce", flipped("nonce"), 400),
        ("another sender's key", flipped("ephemeral_pub"), 400),
        ("another enclave's key", flipped("key_id"), 421),
        (
            "a ciphertext past the limit",
            changed(&|it| {
                it["ciphertext"] = json!(to_base64(&vec![0; ENVELOPE_PLAINTEXT_LEN_MAX + 1]));
            }),
            400,
        ),
    ];
    for (what, body, status) in cases {
        let answer = door.post(&body);
        assert_eq!(answer.status, status, "{what}");
        assert!(!answer.is_sealed(), "{what}: nobody's keys are known");
        let code = if status == 421 { "wrong_key" } else { "invalid" };
        assert_eq!(answer.code(), code, "{what}");
        assert!(answer.header("pa-request-id").is_some(), "{what}");
    }
    // A body past every limit ends the connection as well, and is answered.
    let answer = customer.attest().post(&vec![b' '; ENVELOPE_JSON_LEN_MAX + 1]);
    assert_eq!((answer.status, answer.code().as_str()), (413, "invalid"));
    // After all of it the good one still opens, on the same connection.
    assert_eq!(door.submit(&good).status, 201);
}

#[test]
fn bodies_that_break_a_rule_are_told_which_under_seal() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let mut door = customer.attest();
    let account = |name: &'static str, value: Value| {
        move |body: &mut Value| body["accounts"][0][name] = value.clone()
    };
    let field =
        |name: &'static str, value: Value| move |body: &mut Value| body[name] = value.clone();
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(&str, Change, &str)> = vec![
        ("four minutes", Box::new(field("ttl_secs", json!(299))), "ttl_secs"),
        ("a week and a second", Box::new(field("ttl_secs", json!(604_801))), "ttl_secs"),
        ("a negative time", Box::new(field("ttl_secs", json!(-300))), "malformed"),
        ("half a second", Box::new(field("ttl_secs", json!(300.5))), "malformed"),
        ("an unknown field", Box::new(field("admin", json!(true))), "malformed"),
        ("another version", Box::new(field("v", json!(2))), "malformed"),
        ("another action", Box::new(field("action", json!("erase"))), "signature"),
        ("no accounts", Box::new(field("accounts", json!([]))), "accounts"),
        ("no currency", Box::new(field("base_currency", json!("usd"))), "base_currency"),
        ("a label with a line", Box::new(account("label", json!("a\nb"))), "label"),
        ("an unknown field of an account", Box::new(account("admin", json!(1))), "malformed"),
        ("a venue of capitals", Box::new(account("venue", json!("Binance"))), "venue"),
        ("a symbol of control", Box::new(account("symbols", json!(["A\u{7}"]))), "symbols"),
        (
            "a key past its length",
            Box::new(|body: &mut Value| {
                body["accounts"][0]["credentials"]["api_key"] = json!("k".repeat(257));
            }),
            "api_key",
        ),
    ];
    for (what, change, names) in cases {
        let mut body = customer.opening(&door, &world.key(0));
        change(&mut body);
        let sealed = customer.seal(&door, &body);
        let answer = door.submit(&sealed);
        let told = sealed.unseal(&answer);
        assert!(matches!(answer.status, 400 | 401), "{what}: {} {told}", answer.status);
        assert!(told["message"].as_str().unwrap().contains(names), "{what}: {told}");
    }
    let mut body = customer.opening(&door, &world.key(0));
    body["accounts"][0]["venue"] = json!("mtgox");
    let sealed = customer.seal(&door, &body);
    let answer = door.submit(&sealed);
    assert_eq!(answer.status, 403, "an exchange that is not offered: {}", sealed.unseal(&answer));
}

#[test]
fn requests_that_are_none_of_ours_are_refused_by_form() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let json = |length: usize| {
        vec![("content-type", "application/json".to_owned()), ("x", "y".repeat(length))]
    };
    let long = format!("/v1/session?{}", "q".repeat(4000));
    let mut door = customer.attest();
    for (method, path, headers, status) in [
        ("GET", "/", json(1), 404),
        ("GET", "/v1/sessions", json(1), 405),
        ("PUT", "/v1/session", json(1), 405),
        ("GET", "/v1/session?x=1", json(1), 400),
        ("GET", "/v1/../v1/session", json(1), 404),
        ("GET", "/attestation", json(1), 400),
        ("GET", "/attestation?nonce=00", json(1), 400),
        ("GET", "/attestation?nonce=zz", json(1), 400),
        ("GET", "/attestation?purpose=report&nonce=00112233445566778899aabbccddeeff", json(1), 400),
        ("GET", &long, json(1), 414),
        ("GET", "/health", json(10_000), 431),
    ] {
        let answer = door.call(method, path, &headers);
        assert_eq!(answer.status, status, "{method} {path}");
        if answer.header("connection") == Some("close") {
            door = customer.attest();
        }
    }
    // Not even HTTP: the connection ends, and the next customer notices nothing.
    for bytes in
        ["\0\0\0\0\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n"]
    {
        let mut tls = Tls::open(world.service);
        tls.send(bytes.as_bytes()).unwrap();
        if let Ok(answer) = tls.answer() {
            assert_eq!(answer.status, 400, "{bytes:?}");
        }
    }
    let session = customer.open(&world.key(0));
    assert_eq!(session.status(&customer)["state"], "active");
}

#[test]
fn silent_and_slow_customers_are_let_go_and_cost_nobody_anything() {
    let world = World::start(Options::default());
    let customer = Customer::of(&world, 1);
    let session = customer.open(&world.key(0));

    // Nothing at all; half a handshake; noise instead of one; half an envelope.
    let mut silent = dial(world.service);
    let mut half = dial(world.service);
    half.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let mut noise = dial(world.service);
    noise.write_all(&[b'x'; 100]).unwrap();
    let mut slow: Vec<Door> = (0..3).map(|_| customer.attest()).collect();
    for door in &mut slow {
        let head = "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
                    content-length: 1000\r\n\r\n{\"v\":1,";
        door.tls.send(head.as_bytes()).unwrap();
    }
    // Meanwhile everybody else is served.
    for _ in 0..3 {
        assert_eq!(session.status(&customer)["state"], "active");
        assert_eq!(get(world.admin, "/health").0, 200);
    }
    // Each is let go, with an answer where there is somebody to tell.
    for mut door in slow {
        let answer = door.tls.answer().unwrap();
        assert_eq!((answer.status, answer.code().as_str()), (408, "invalid"));
        assert_eq!(door.tls.rest(), b"");
    }
    for stream in [&mut noise, &mut half, &mut silent] {
        let mut rest = Vec::new();
        // At most an alert; cut or closed is the same to whoever said nothing.
        drop(stream.read_to_end(&mut rest));
        assert!(rest.len() <= 7, "{rest:?}");
    }
    assert_eq!(session.status(&customer)["state"], "active");
}

#[test]
fn an_idle_attested_connection_holds_nobody_up() {
    let world = World::start(Options { scenario: TWO_ACCOUNTS, ..Options::default() });
    let (one, two) = (Customer::of(&world, 1), Customer::of(&world, 2));
    let session = one.open(&world.key(0));
    let idle = one.attest();
    for _ in 0..3 {
        assert_eq!(session.status(&one)["state"], "active");
    }
    let other = two.open(&world.key(1));
    assert_eq!(other.status(&two)["state"], "active");
    drop(idle);
}
