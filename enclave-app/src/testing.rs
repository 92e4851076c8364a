//! What tests of this crate share: the whole front half on a simulated module
//! and a clock that tests move, with an engine that does as it is told, and a
//! customer who can seal, sign and read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use exchanges::{Context, Market, Query, ReadOnlyKey, Reply, Venue};
use http_body_util::BodyExt;
use protocol::claim::{ClaimRefused, ClaimReply, ClaimRequest};
use protocol::encoding::to_hex;
use protocol::envelope::{self, Ephemeral, SessionKeys};
use protocol::key_bundle::Deployment;
use protocol::keys::{EnclavePublicKey, KeyId};
use protocol::portfolio::{PortfolioId, PortfolioSecret};
use protocol::reply::{self, ReplyContext, SealedReply};
use protocol::request_auth::{self, RequestAuth};
use protocol::secret::SecretBytes;
use protocol::session::{
    AccountRequest, Credentials, ErrorBody, Identity, IdentityKind, OpenSession, OpenedSession,
    Permission, SessionId, Ttl,
};
use protocol::time::UnixMillis;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::attest::Notary;
use crate::clock::{Clock, ScenarioClock};
use crate::counters::Counters;
use crate::engine_api::{
    AccountRefusal, AccountStatus, CheckedAccount, Engine, EngineStatus, OpenedAccount,
    ReportRefusal, StartRefusal,
};
use crate::entropy::Entropy;
use crate::http::{self, Front};
use crate::image_config::ImageConfig;
use crate::keys::Keys;
use crate::nsm::simulated::{Measured, Simulated};
use crate::nsm::{Module, Nsm};
use crate::sessions::custody::{Custody, CustodyParts};
use crate::sessions::{Active, Session, Vault};
use crate::tls::Identity as TlsIdentity;

/// 2026-01-05T08:00:00Z.
pub(crate) const START: UnixMillis = UnixMillis(1_767_600_000_000);
pub(crate) const DEPLOYMENT: &[u8] = include_bytes!("../deployment.json");
pub(crate) const API_KEY: &str = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
pub(crate) const API_SECRET: &str =
    "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

/// An engine that does as it is told.
#[derive(Debug, Default)]
pub(crate) struct FakeEngine {
    /// What the next permission check says; `None` accepts.
    pub(crate) refuse: Mutex<Option<AccountRefusal>>,
    /// The permission check never answers.
    pub(crate) hang: Mutex<bool>,
    /// Answers with one proof less than there are accounts.
    pub(crate) forget_one: Mutex<bool>,
    pub(crate) report: Mutex<Option<Vec<u8>>>,
    /// The only base currency of every portfolio, if any.
    pub(crate) base: Mutex<Option<String>>,
    pub(crate) refuse_start: Mutex<bool>,
    pub(crate) checks: AtomicUsize,
    pub(crate) live: Mutex<Vec<Arc<Session<Active>>>>,
    /// Whether the vault was wiped when polling was stopped.
    pub(crate) wiped_before_stop: Mutex<Vec<bool>>,
}

/// A proof, minted by the connector from an exchange's own words.
pub(crate) fn read_only_key() -> ReadOnlyKey {
    let body = br#"{"ipRestrict":false,"createTime":1623840271000,"enableReading":true,
        "enableWithdrawals":false,"enableInternalTransfer":false,"enableMargin":false,
        "enableFutures":false,"permitsUniversalTransfer":false,"enableVanillaOptions":false,
        "enablePortfolioMarginTrading":false,"enableFixApiTrade":false,"enableFixReadOnly":false,
        "enableSpotAndMarginTrading":false}"#;
    let connector = exchanges::connector(Venue::Binance, Market::Spot).unwrap();
    let reply = Reply { status: 200, headers: &[], body };
    let page = connector.read(&Query::Permissions, reply, &Context::default()).unwrap();
    page.facts
        .into_iter()
        .find_map(|fact| {
            let exchanges::Fact::Permissions(permissions) = fact else { return None };
            permissions.confirm().ok()
        })
        .unwrap()
}

#[async_trait]
impl Engine for FakeEngine {
    async fn verify_accounts(
        &self,
        vault: &Vault,
        accounts: &[OpenedAccount],
    ) -> Result<Vec<CheckedAccount>, AccountRefusal> {
        self.checks.fetch_add(1, Ordering::SeqCst);
        let hang = *self.hang.lock().unwrap();
        if hang {
            std::future::pending::<()>().await;
        }
        if let Some(refusal) = self.refuse.lock().unwrap().clone() {
            return Err(refusal);
        }
        let seen = vault.with_secret(0, |c| (c.key.to_owned(), c.secret.to_vec())).unwrap();
        assert_eq!(seen, (API_KEY.to_owned(), API_SECRET.as_bytes().to_vec()));
        let forgotten = usize::from(*self.forget_one.lock().unwrap());
        Ok(accounts
            .iter()
            .skip(forgotten)
            .map(|_| CheckedAccount {
                identity: Identity { kind: IdentityKind::Uid, value: "354937868".into() },
                permissions: vec![Permission::Read],
                proof: read_only_key(),
            })
            .collect())
    }

    fn counts_in(&self, _: &PortfolioId, base: &str) -> Result<(), StartRefusal> {
        match self.base.lock().unwrap().clone() {
            Some(only) if only != base => Err(StartRefusal::OtherBase { base: only }),
            _ => Ok(()),
        }
    }

    fn start(&self, session: Arc<Session<Active>>) -> Result<(), StartRefusal> {
        if *self.refuse_start.lock().unwrap() {
            return Err(StartRefusal::Uncounted);
        }
        self.live.lock().unwrap().push(session);
        Ok(())
    }

    fn stop(&self, session: &Session<Active>) {
        self.wiped_before_stop.lock().unwrap().push(session.is_wiped());
        self.live.lock().unwrap().retain(|live| live.number() != session.number());
    }

    fn status(&self, session: &Session<Active>) -> EngineStatus {
        EngineStatus {
            accounts: session.accounts().iter().map(|_| AccountStatus::default()).collect(),
            coverage: Some("1".into()),
        }
    }

    async fn report(&self, _: &Session<Active>) -> Result<Vec<u8>, ReportRefusal> {
        self.report.lock().unwrap().clone().ok_or(ReportRefusal::NothingYet)
    }

    async fn claim(
        &self,
        _: &Session<Active>,
        _: &ClaimRequest,
    ) -> Result<ClaimReply, ReportRefusal> {
        let signed = self.report.lock().unwrap().clone();
        Ok(signed.map_or(ClaimReply::Refused(ClaimRefused::NotCovered), ClaimReply::Signed))
    }
}

/// One enclave without sockets.
pub(crate) struct Enclave {
    pub(crate) clock: Arc<ScenarioClock>,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) custody: Arc<Custody>,
    pub(crate) front: Front,
    pub(crate) router: Router,
    pub(crate) tls: TlsIdentity,
    pub(crate) root: Vec<u8>,
    pub(crate) measured: Measured,
}

impl Enclave {
    pub(crate) async fn new() -> Self {
        Self::with_image(|_| ()).await
    }

    /// An enclave whose measured configuration is the shipped one, changed.
    pub(crate) async fn with_image(change: impl FnOnce(&mut ImageConfig)) -> Self {
        Self::deployed(DEPLOYMENT, change).await
    }

    /// The same, under another deployment configuration.
    pub(crate) async fn deployed(deployment: &[u8], change: impl FnOnce(&mut ImageConfig)) -> Self {
        let mut image = ImageConfig::parse(include_bytes!("../image.toml")).unwrap();
        change(&mut image);
        let clock = Arc::new(ScenarioClock::unset());
        clock.set(START);
        let time: Arc<dyn Clock> = Arc::<ScenarioClock>::clone(&clock);
        let measured = Measured::of(&b"an executable"[..], b"v = 1").unwrap();
        let nsm = Simulated::new(measured, Arc::clone(&time)).unwrap();
        let crate::nsm::TrustAnchor::Simulated(root) = nsm.trust_anchor() else {
            panic!("not simulated");
        };
        let module = Arc::new(Module::new(Arc::new(nsm), image.security_module));
        module.extend_and_lock(protocol::key_bundle::pcr16_extension(deployment)).await.unwrap();
        let entropy = Arc::new(Entropy::new(&module.random(64).await.unwrap()).unwrap());
        let keys = Arc::new(Keys::generate(&entropy).unwrap());
        let tls = TlsIdentity::generate(Arc::clone(&time)).unwrap();
        let counters = Arc::new(Counters::default());
        let notary = Arc::new(Notary::new(
            module,
            Arc::clone(&keys),
            tls.spki_sha256(),
            deployment.into(),
            Arc::clone(&counters),
        ));
        let engine = Arc::new(FakeEngine::default());
        let custody = Arc::new(Custody::new(CustodyParts {
            clock: time,
            entropy: Arc::clone(&entropy),
            keys,
            engine: Arc::<FakeEngine>::clone(&engine),
            deployment: Arc::new(Deployment::from_json(deployment).unwrap()),
            counters: Arc::clone(&counters),
            limits: image.sessions,
        }));
        let front = Front {
            custody: Arc::clone(&custody),
            notary,
            entropy,
            counters,
            addresses: Arc::new(Addresses::new(&image.firewall, &image.security_module)),
            requests_max: image.firewall.requests_max,
        };
        let router = http::customers(&front);
        Self { clock, engine, custody, front, router, tls, root, measured }
    }

    /// Moves the clock.
    pub(crate) fn wait(&self, by: Duration) {
        self.clock.set(self.clock.now().saturating_add(by));
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        Answer::read(response).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(Request::get(target).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>) -> Answer {
        let request = Request::post("/v1/sessions").header("content-type", "application/json");
        self.ask(request.body(body.into()).unwrap()).await
    }

    /// The key that the enclave attests.
    pub(crate) async fn key(&self) -> EnclavePublicKey {
        let answer = self.get(&format!("/attestation?nonce={}", to_hex(&[7; 32]))).await;
        let reply = protocol::key_bundle::AttestationReply::from_json(&answer.body).unwrap();
        EnclavePublicKey(reply.key_bundle.x25519)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A plain error: status and code.
    pub(crate) fn refusal(&self) -> (u16, &'static str) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = ErrorBody::from_json(&self.body).unwrap();
        assert_eq!(self.header("pa-request-id"), Some(body.request_id.as_str()));
        assert_eq!(body.detail, None, "a plain error has no detail");
        (self.status.as_u16(), body.code.code())
    }
}

/// A customer with a portfolio key, sealing one envelope after the other.
pub(crate) struct Customer {
    pub(crate) portfolio: PortfolioSecret,
    next: u8,
}

/// What the customer keeps of an envelope.
pub(crate) struct Sent {
    pub(crate) json: Vec<u8>,
    pub(crate) keys: SessionKeys,
    key_id: KeyId,
    ephemeral_pub: [u8; 32],
    pub(crate) request_nonce: [u8; 16],
}

impl Customer {
    pub(crate) fn new(seed: u8) -> Self {
        Self { portfolio: PortfolioSecret::from_bytes(&[seed; 32]), next: 1 }
    }

    /// A request that is accepted as it is.
    pub(crate) fn request(&self) -> OpenSession {
        OpenSession {
            request_nonce: [self.next; 16],
            attested_at: START,
            ttl: Ttl::from_secs(3600).unwrap(),
            base_currency: "USD".into(),
            portfolio_key: self.portfolio.public(),
            accounts: vec![AccountRequest {
                label: "main".into(),
                venue: "binance".into(),
                market: "spot".into(),
                credentials: Credentials {
                    api_key: SecretBytes::copy(API_KEY.as_bytes()),
                    api_secret: SecretBytes::copy(API_SECRET.as_bytes()),
                    passphrase: None,
                },
                symbols: vec!["BTCUSDT".into()],
            }],
        }
    }

    /// Signs and seals what `change` makes of the plain request.
    pub(crate) fn seal(
        &mut self,
        enclave: &EnclavePublicKey,
        change: impl FnOnce(&mut OpenSession),
    ) -> Sent {
        self.seal_bytes(enclave, change, |_| ())
    }

    /// The same, with the signed plaintext spoilt on its way.
    pub(crate) fn seal_bytes(
        &mut self,
        enclave: &EnclavePublicKey,
        change: impl FnOnce(&mut OpenSession),
        spoil: impl FnOnce(&mut Vec<u8>),
    ) -> Sent {
        let mut request = self.request();
        self.next += 1;
        change(&mut request);
        let mut random = [self.next; 32];
        random[..32].copy_from_slice(&{
            let mut key = *self.portfolio.expose();
            key[31] = self.next;
            key
        });
        let ephemeral = Ephemeral::new(Zeroizing::new(random));
        let ephemeral_pub = *ephemeral.public();
        let key_id = enclave.key_id();
        let mut plaintext = request.sign(&self.portfolio, &key_id, &ephemeral_pub).unwrap();
        spoil(&mut plaintext);
        let (envelope, keys) =
            envelope::seal_unattested(enclave, ephemeral, [self.next; 12], &plaintext).unwrap();
        Sent {
            json: envelope.to_json(),
            keys,
            key_id,
            ephemeral_pub,
            request_nonce: request.request_nonce,
        }
    }

    /// Opens a session that is expected to open.
    pub(crate) async fn open(&mut self, enclave: &Enclave) -> Owner {
        self.open_with(enclave, |_| ()).await
    }

    pub(crate) async fn open_with(
        &mut self,
        enclave: &Enclave,
        change: impl FnOnce(&mut OpenSession),
    ) -> Owner {
        let sent = self.seal(&enclave.key().await, change);
        let answer = enclave.post(sent.json.clone()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let opened = OpenedSession::from_json(&sent.read(&answer)).unwrap();
        Owner { sent, opened, requests: 0 }
    }
}

impl Sent {
    /// Opens an answer to the opening request.
    pub(crate) fn read(&self, answer: &Answer) -> Vec<u8> {
        self.read_for(answer, &self.request_nonce).expect("the answer opens")
    }

    pub(crate) fn read_for(&self, answer: &Answer, nonce: &[u8; 16]) -> Option<Vec<u8>> {
        assert_eq!(answer.header("content-type"), Some(reply::CONTENT_TYPE), "{answer:?}");
        let sealed = SealedReply::from_json(&answer.body).unwrap();
        let context = ReplyContext {
            key_id: &self.key_id,
            ephemeral_pub: &self.ephemeral_pub,
            request_nonce: nonce,
        };
        reply::open(&self.keys.reply, &context, &sealed).ok().map(|plain| plain.to_vec())
    }

    /// A sealed error: status and body.
    pub(crate) fn refusal(&self, answer: &Answer) -> (u16, ErrorBody) {
        (answer.status.as_u16(), ErrorBody::from_json(&self.read(answer)).unwrap())
    }
}

/// The owner of a live session.
pub(crate) struct Owner {
    pub(crate) sent: Sent,
    pub(crate) opened: OpenedSession,
    requests: u8,
}

impl Owner {
    pub(crate) fn id(&self) -> &SessionId {
        &self.opened.session_id
    }

    /// A fresh authentication of a request made at `at`.
    pub(crate) fn auth(&mut self, method: &str, path: &str, at: UnixMillis) -> RequestAuth {
        self.requests += 1;
        let request = request_auth::Request { method, path_and_query: path, body: &[] };
        let nonce = [0x80 | self.requests; 16];
        request_auth::sign(&self.sent.keys.request, &request, self.id(), nonce, at).unwrap()
    }

    pub(crate) async fn ask(&mut self, enclave: &Enclave, method: &str, path: &str) -> Answer {
        let auth = self.auth(method, path, enclave.clock.now());
        enclave.ask(with_auth(method, path, &auth)).await
    }

    /// The plaintext of the answer to the last request.
    pub(crate) fn read(&self, answer: &Answer) -> Vec<u8> {
        self.sent.read_for(answer, &[0x80 | self.requests; 16]).expect("the answer opens")
    }
}

pub(crate) fn with_auth(method: &str, path: &str, auth: &RequestAuth) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in auth.headers() {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}
