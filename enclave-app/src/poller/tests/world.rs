//! A simulated exchange, a stand-in for the parent, and the engine between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use exchange_sim::faults::{Fault, FaultRule};
use exchange_sim::keys::KeyForm;
use exchange_sim::scenario::Scenario;
use exchange_sim::{Options, Rates, Sim};
use protocol::attestation::{ExpectedPcrs, Root};
use protocol::key_bundle::{DeploymentRule, deployment_sha256};
use protocol::portfolio::PortfolioSecret;
use protocol::report::SignedReport;
use protocol::report_payload::ReportPayload;
use protocol::secret::SecretBytes;
use protocol::session::{AccountRequest, Credentials, OpenSession, SessionId, Ttl};
use protocol::time::UnixMillis;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::egress::Egress;
use crate::egress::tests::{BUDGETS, Parent};
use crate::engine_api::{
    AccountRefusal, AccountStatus, EgressParts, Engine, EngineParts, ReportRefusal, SimulatorEgress,
};
use crate::image_config::ImageConfig;
use crate::poller::{Poller, scenario};
use crate::sessions::{Active, Session};
use crate::testing::{DEPLOYMENT, Enclave};

/// No run takes as long; one that hangs fails by name.
const PATIENCE: Duration = Duration::from_secs(100);

/// The simulator counts in real time, and a scenario's hours last a second.
const RATES: Rates = Rates {
    kraken_points: u32::MAX,
    kraken_decay_millis: u32::MAX,
    kraken_public: u32::MAX,
    futures_cost: u32::MAX,
    futures_history: u32::MAX,
    coinbase_private: u32::MAX,
    coinbase_public: u32::MAX,
    coinbase_wallet: u32::MAX,
    bybit_user: u32::MAX,
    bybit_address: u32::MAX,
    refusals_before_lockout: u32::MAX,
    lockout_secs: 1,
};

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) parent: Parent,
    pub(crate) enclave: Enclave,
    pub(crate) poller: Arc<Poller>,
    /// Which deployment a reader of its reports expects.
    rule: DeploymentRule,
    stop: CancellationToken,
}

impl World {
    /// A world in which `scenario` is about to happen.
    pub(crate) async fn of(scenario: &Value) -> Self {
        Self::deployed(scenario, DEPLOYMENT, DeploymentRule::Default, |_| ()).await
    }

    /// The same, under a measured policy that admits keys whose permissions cannot be read.
    pub(crate) async fn admitting(scenario: &Value) -> Self {
        let (no, yes) = ("permissions\": false", "permissions\": true");
        let deployment = str::from_utf8(DEPLOYMENT).unwrap().replace(no, yes);
        // Which no verifier takes that has not pinned it.
        let rule = DeploymentRule::Pinned(deployment_sha256(deployment.as_bytes()));
        let change = |image: &mut ImageConfig| image.keys.admit_unreadable = true;
        Self::deployed(scenario, deployment.as_bytes(), rule, change).await
    }

    async fn deployed(
        scenario: &Value,
        deployment: &[u8],
        rule: DeploymentRule,
        change: impl FnOnce(&mut ImageConfig),
    ) -> Self {
        let scenario = Scenario::parse(scenario.to_string().as_bytes()).unwrap();
        let options = Options { budgets: BUDGETS, rates: RATES, ..Options::default() };
        let sim = Sim::start(&scenario, options).await.unwrap();
        let parent = Parent::relaying(sim.addr).await;
        let mut image = ImageConfig::parse(include_bytes!("../../../image.toml")).unwrap();
        image.polling.interval = Duration::from_millis(sim.clock.view().interval_ms);
        change(&mut image);
        let enclave = Enclave::deployed(deployment, |_| ()).await;
        let deployment = crate::deployment::check(deployment, &image).unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock: Arc<dyn Clock> = Arc::<crate::clock::ScenarioClock>::clone(&enclave.clock);
        let root = CertificateDer::from_pem_slice(sim.root_pem.as_bytes()).unwrap();
        let egress = Egress::open(EgressParts {
            to: parent.address.clone(),
            hosts: image.hosts.clone(),
            clock: Arc::clone(&clock),
            tasks: tasks.clone(),
            stop: stop.clone(),
            simulator: SimulatorEgress {
                root: Some(root),
                clock: Some(Arc::clone(&enclave.clock)),
            },
        })
        .unwrap();
        scenario::begin(&egress, &enclave.clock).await.unwrap();
        let poller = Poller::new(EngineParts {
            clock,
            entropy: Arc::clone(&enclave.front.entropy),
            signer: Arc::<crate::attest::Notary>::clone(&enclave.front.notary),
            egress,
            image: Arc::new(image),
            deployment: Arc::new(deployment),
            tasks: tasks.clone(),
            scenario: Some(Arc::clone(&enclave.clock)),
        });
        tasks.spawn(Arc::clone(&poller).run(stop.clone()));
        Self { sim, parent, enclave, poller, rule, stop }
    }

    /// A session of customer `owner` that reads these accounts of the scenario.
    pub(crate) async fn open(
        &self,
        owner: u8,
        accounts: &[&str],
    ) -> Result<Arc<Session<Active>>, AccountRefusal> {
        self.open_with(owner, accounts, |_| ()).await
    }

    /// A session that reads an account at another exchange, with a key of that exchange's form.
    pub(crate) async fn open_at(
        &self,
        (venue, market): (&str, &str),
        form: KeyForm,
        account: &str,
    ) -> Result<Arc<Session<Active>>, AccountRefusal> {
        self.open_with(1, &[account], |request| {
            self.place(&mut request.accounts[0], account, form);
            assert_eq!(request.accounts[0].venue, venue);
            request.accounts[0].market = market.to_owned();
        })
        .await
    }

    /// Gives an account of a request a key of another exchange's form, and that exchange.
    pub(crate) fn place(&self, request: &mut AccountRequest, account: &str, form: KeyForm) {
        let spec = serde_json::json!({ "account": account, "form": form });
        let key = self.sim.add_key(serde_json::from_value(spec).unwrap()).unwrap();
        request.venue = match form {
            KeyForm::Binance => "binance",
            KeyForm::Kraken => "kraken",
            KeyForm::KrakenFutures => "krakenfutures",
            KeyForm::Coinbase | KeyForm::CoinbaseEd25519 => "coinbase",
            KeyForm::Bybit => "bybit",
        }
        .to_owned();
        match form {
            KeyForm::Bybit => "unified".clone_into(&mut request.market),
            KeyForm::KrakenFutures => "futures".clone_into(&mut request.market),
            KeyForm::Binance | KeyForm::Kraken | KeyForm::Coinbase | KeyForm::CoinbaseEd25519 => {}
        }
        request.credentials.api_key = SecretBytes::copy(key.api_key.as_bytes());
        request.credentials.api_secret = SecretBytes::copy(key.api_secret.as_bytes());
    }

    pub(crate) async fn open_with(
        &self,
        owner: u8,
        accounts: &[&str],
        change: impl FnOnce(&mut OpenSession),
    ) -> Result<Arc<Session<Active>>, AccountRefusal> {
        let account = |name: &&str| {
            let key = self.sim.key_of(name).unwrap();
            AccountRequest {
                label: format!("my {name}"),
                venue: "binance".into(),
                market: "spot".into(),
                credentials: Credentials {
                    api_key: SecretBytes::copy(key.api_key.as_bytes()),
                    api_secret: SecretBytes::copy(key.api_secret.as_bytes()),
                    passphrase: None,
                },
                symbols: Vec::new(),
            }
        };
        let mut request = OpenSession {
            request_nonce: [1; 16],
            attested_at: self.enclave.clock.now(),
            ttl: Ttl::from_secs(7 * 86_400).unwrap(),
            base_currency: "USD".into(),
            portfolio_key: PortfolioSecret::from_bytes(&[owner; 32]).public(),
            accounts: accounts.iter().map(account).collect(),
        };
        change(&mut request);
        // As for a customer's connection: the clock stands still while a session is opened.
        let _held = self.enclave.clock.hold().await;
        let session = Session::open(request).unwrap();
        let checked = self.poller.verify_accounts(session.vault(), session.accounts()).await?;
        let id = SessionId::from_bytes(self.enclave.front.entropy.array().unwrap());
        let session = session.activate(checked, id, self.enclave.clock.now()).unwrap();
        let session = Arc::new(session);
        self.poller.start(Arc::clone(&session)).unwrap();
        Ok(session)
    }

    /// Ends a session as custody does.
    pub(crate) fn end(&self, session: &Session<Active>) {
        session.wipe();
        self.poller.stop(session);
    }

    /// Waits for the end of the scenario.
    pub(crate) async fn ended(&self) {
        timeout(PATIENCE, self.sim.clock.ended()).await.expect("the scenario does not end");
    }

    /// Waits until the scenario's clock has reached `at`.
    pub(crate) async fn until(&self, at: UnixMillis) {
        timeout(PATIENCE, self.enclave.clock.until(at)).await.expect("the scenario stands still");
    }

    /// Waits for a state that nothing tells of.
    pub(crate) async fn becomes(&self, holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("the state does not come");
    }

    pub(crate) fn status(&self, session: &Session<Active>) -> AccountStatus {
        self.poller.status(session).accounts[0]
    }

    pub(crate) async fn refused_report(&self, session: &Session<Active>) -> Option<ReportRefusal> {
        self.poller.report(session).await.err()
    }

    /// A report as a stranger reads it: verified from its bytes alone.
    pub(crate) async fn report(&self, session: &Session<Active>) -> Report {
        // As for a customer's connection: payload and document are of one time.
        let _held = self.enclave.clock.hold().await;
        let bytes = self.poller.report(session).await.unwrap();
        let signed = SignedReport::parse_exact(&bytes).unwrap();
        let measured = &self.enclave.measured;
        let pcrs =
            ExpectedPcrs { image: [&measured.pcr0, &measured.pcr1, &measured.pcr2], signer: None };
        let root = Root::simulated(self.enclave.root.clone());
        let verified = signed.verify(&root, pcrs, &self.rule).unwrap();
        let payload = verified.payload().clone();
        let results = serde_json::to_value(&payload.results).unwrap();
        Report { payload, results }
    }

    pub(crate) fn inject(&self, path: &str, fault: Fault, span: Span) {
        self.inject_at("api.binance.com", path, fault, span);
    }

    pub(crate) fn inject_at(&self, host: &str, path: &str, fault: Fault, span: Span) {
        let rule = FaultRule {
            host: Some(host.into()),
            path: Some(path.into()),
            account: None,
            skip: 0,
            times: span.times,
            from_ms: span.from.map(|at| at.0),
            until_ms: span.until.map(|at| at.0),
            fault,
        };
        self.sim.inject(vec![rule]).unwrap();
    }

    /// How often each path of the exchange was asked.
    pub(crate) fn asked(&self) -> BTreeMap<String, u64> {
        let mut asked = BTreeMap::new();
        for line in self.sim.requests().requests {
            *asked.entry(line.path).or_default() += line.count;
        }
        asked
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// When a fault acts; always, unless it says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    pub(crate) times: Option<u32>,
    pub(crate) from: Option<UnixMillis>,
    pub(crate) until: Option<UnixMillis>,
}

pub(crate) struct Report {
    pub(crate) payload: ReportPayload,
    pub(crate) results: Value,
}
