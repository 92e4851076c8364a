//! A customer without `perfagg`: every byte of what it sends is the test's choice.
//!
//! It verifies the enclave as `docs/verify.md` says and seals as `docs/envelope.md` says, with the
//! same `protocol` crate; what it puts into an envelope, who signs it, and which headers a request
//! has, a test may change.

use std::fs;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use protocol::attestation::{self, ExpectedPcrs, LiveAttestation, Policy, Root};
use protocol::encoding::{to_base64, to_hex};
use protocol::envelope::{self, Ephemeral, SessionKeys};
use protocol::key_bundle::AttestationReply;
use protocol::keys::KeyId;
use protocol::measurements::Measurements;
use protocol::portfolio::{Action, PortfolioSecret, Signed};
use protocol::reply::{self, ReplyContext, SealedReply};
use protocol::request_auth::{self, Request};
use protocol::session::SessionId;
use protocol::time::UnixMillis;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::tls::{Answer, Tls};
use crate::world::World;

/// Between two looks at a session: fewer than it may ask in a minute.
const PAUSE: Duration = Duration::from_millis(260);
/// How many looks before a wait is given up: half a minute.
const LOOKS: usize = 120;

/// Somebody with a portfolio key and what it takes to verify the enclave.
#[derive(Debug)]
pub struct Customer {
    pub portfolio: PortfolioSecret,
    service: SocketAddr,
    root: Root,
    measurements: Measurements,
    clock: SocketAddr,
}

/// A connection that was attested.
#[derive(Debug)]
pub struct Door {
    pub tls: Tls,
    pub live: LiveAttestation,
}

/// An envelope on its way, and the keys of whoever sealed it.
#[derive(Debug)]
pub struct Sealed {
    pub envelope: Value,
    pub nonce: [u8; 16],
    key_id: KeyId,
    ephemeral_pub: [u8; 32],
    keys: SessionKeys,
}

/// An opened session.
#[derive(Debug)]
pub struct Session {
    pub id: SessionId,
    sealed: Sealed,
}

impl Customer {
    /// A customer of `world` whose portfolio key comes from `seed`.
    pub fn of(world: &World, seed: u8) -> Self {
        let read = |name: &str| fs::read(world.path(name)).unwrap();
        Self {
            portfolio: PortfolioSecret::from_bytes(&[seed; 32]),
            service: world.service,
            root: Root::simulated(read("root.der")),
            measurements: Measurements::from_json(&read("measurements.json")).unwrap(),
            clock: world.exchange["control"].as_str().unwrap().parse().unwrap(),
        }
    }

    /// The scenario's time.
    pub fn now(&self) -> UnixMillis {
        let (status, body) = crate::world::get(self.clock, "/clock");
        assert_eq!(status, 200, "{body}");
        let clock: Value = serde_json::from_str(&body).unwrap();
        UnixMillis(clock["now_ms"].as_u64().unwrap())
    }

    /// A new connection, attested. The scenario's clock stands still while it lives.
    pub fn attest(&self) -> Door {
        let mut tls = Tls::open(self.service);
        let nonce: [u8; 32] = random();
        let path = format!("/attestation?nonce={}", to_hex(&nonce));
        let answer = tls.ask("GET", &path, &[], b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        let AttestationReply { document, key_bundle } =
            AttestationReply::from_json(&answer.body).unwrap();
        let pcrs = ExpectedPcrs { image: self.measurements.pcrs(), signer: None };
        let age_max = Duration::from_mins(2);
        let policy = Policy::new(&self.root, pcrs, &key_bundle.deployment, &nonce, age_max);
        let live = attestation::verify(&document, &policy, self.now()).unwrap();
        assert_eq!(live.user_data().tls_spki_sha256, tls.spki_sha256, "the TLS key is bound");
        Door { tls, live }
    }

    /// The body of a well-formed opening of one Binance Spot account.
    pub fn opening(&self, door: &Door, key: &(String, String)) -> Value {
        json!({
            "v": 1,
            "request_nonce": to_base64(&random::<16>()),
            "attested_at": door.live.timestamp().0,
            "ttl_secs": 604_800,
            "base_currency": "USD",
            "portfolio_key": to_base64(&self.portfolio.public().to_bytes()),
            "action": "open",
            "accounts": [{
                "label": "main",
                "venue": "binance",
                "market": "spot",
                "credentials": {"api_key": key.0, "api_secret": key.1, "passphrase": null},
                "symbols": [],
            }],
        })
    }

    /// Signs and seals a body.
    pub fn seal(&self, door: &Door, body: &Value) -> Sealed {
        seal_signed_by(&self.portfolio, door, body)
    }

    /// Opens a session of one account, the way it is meant to be done.
    pub fn open(&self, key: &(String, String)) -> Session {
        let mut door = self.attest();
        let sealed = self.seal(&door, &self.opening(&door, key));
        let answer = door.submit(&sealed);
        assert_eq!(answer.status, 201, "{:?}", sealed.unseal(&answer));
        sealed.into_session(&answer)
    }
}

/// Seals a body with a signature of `signer`, whoever the body names.
pub fn seal_signed_by(signer: &PortfolioSecret, door: &Door, body: &Value) -> Sealed {
    let ephemeral = Ephemeral::new(Zeroizing::new(random()));
    let (key_id, ephemeral_pub) = (door.live.encryption_key().key_id(), *ephemeral.public());
    let bytes = body.to_string().into_bytes();
    let signature = signer.sign(&Signed {
        action: Action::Open,
        key_id: &key_id,
        ephemeral_pub: &ephemeral_pub,
        attested_at: UnixMillis(body["attested_at"].as_u64().unwrap_or_default()),
        body: &bytes,
    });
    seal_plaintext(door, ephemeral, body, &[signature.as_slice(), &bytes].concat())
}

/// Seals any plaintext; `body` tells the request's nonce.
pub fn seal_plaintext(door: &Door, ephemeral: Ephemeral, body: &Value, plaintext: &[u8]) -> Sealed {
    let ephemeral_pub = *ephemeral.public();
    let (envelope, keys) = envelope::seal_to(&door.live, ephemeral, random(), plaintext).unwrap();
    let nonce = body["request_nonce"].as_str().unwrap_or_default();
    Sealed {
        envelope: serde_json::from_slice(&envelope.to_json()).unwrap(),
        nonce: protocol::encoding::from_base64_array(nonce).unwrap_or(reply::NONCE_UNREAD),
        key_id: door.live.encryption_key().key_id(),
        ephemeral_pub,
        keys,
    }
}

impl Door {
    /// Posts an envelope.
    pub fn submit(&mut self, sealed: &Sealed) -> Answer {
        self.post(sealed.envelope.to_string().as_bytes())
    }

    /// Posts anything where envelopes go.
    pub fn post(&mut self, body: &[u8]) -> Answer {
        let json = [("content-type", "application/json".to_owned())];
        self.tls.ask("POST", "/v1/sessions", &json, body)
    }

    /// Sends a request with these `pa-*` headers.
    pub fn call(&mut self, method: &str, path: &str, headers: &[(&'static str, String)]) -> Answer {
        self.tls.ask(method, path, headers, b"")
    }
}

impl Sealed {
    /// Opens the answer to this envelope. A refusal may be bound to no nonce.
    pub fn unseal(&self, answer: &Answer) -> Value {
        assert!(answer.is_sealed(), "{answer:?}");
        self.open(&self.nonce, answer).or_else(|| self.open(&reply::NONCE_UNREAD, answer)).unwrap()
    }

    fn open(&self, nonce: &[u8; 16], answer: &Answer) -> Option<Value> {
        let sealed = SealedReply::from_json(&answer.body).unwrap();
        let context = ReplyContext {
            key_id: &self.key_id,
            ephemeral_pub: &self.ephemeral_pub,
            request_nonce: nonce,
        };
        let plain = reply::open(&self.keys.reply, &context, &sealed).ok()?;
        Some(serde_json::from_slice(&plain).unwrap())
    }

    /// The session that was opened.
    pub fn into_session(self, answer: &Answer) -> Session {
        let opened = self.unseal(answer);
        let id = SessionId::from_base64(opened["session_id"].as_str().unwrap()).unwrap();
        Session { id, sealed: self }
    }
}

impl Session {
    /// The headers of a request of this session.
    pub fn headers(
        &self,
        method: &str,
        path: &str,
        nonce: [u8; 16],
        at: UnixMillis,
    ) -> Vec<(&'static str, String)> {
        let request = Request { method, path_and_query: path, body: &[] };
        let signed =
            request_auth::sign(&self.sealed.keys.request, &request, &self.id, nonce, at).unwrap();
        signed.headers().into()
    }

    /// One request as it is meant to be: status and unsealed answer.
    pub fn ask(&self, customer: &Customer, method: &str, path: &str) -> (u16, Value) {
        let mut door = customer.attest();
        let nonce = random();
        let headers = self.headers(method, path, nonce, customer.now());
        let answer = door.call(method, path, &headers);
        let plain = if answer.is_sealed() {
            self.sealed.open(&nonce, &answer).unwrap()
        } else {
            serde_json::from_slice(&answer.body).unwrap()
        };
        (answer.status, plain)
    }

    /// Whether an answer opens under this session's key for this nonce.
    pub fn opens(&self, nonce: &[u8; 16], answer: &Answer) -> bool {
        self.sealed.open(nonce, answer).is_some()
    }

    /// Waits until what the session says of its only account is as wanted.
    pub fn until(&self, customer: &Customer, what: &str, wanted: impl Fn(&Value) -> bool) {
        for _ in 0..LOOKS {
            if wanted(&self.status(customer)["accounts"][0]) {
                return;
            }
            sleep(PAUSE);
        }
        panic!("no {what}: {}", self.status(customer));
    }

    /// What the session says of itself.
    pub fn status(&self, customer: &Customer) -> Value {
        let (status, body) = self.ask(customer, "GET", "/v1/session");
        assert_eq!(status, 200, "{body}");
        body
    }
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}
