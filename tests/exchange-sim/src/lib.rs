//! Exchanges on loopback, played from a scenario.
//!
//! A TLS server that answers as `api.binance.com`, `api.kraken.com` and others would
//! if the world were the scenario (`pa-case/1`), with a clock that stands
//! still until the poller has finished its round. It checks what the
//! exchanges check: signatures, timestamps, windows, page limits, weights.
//! On request it misbehaves as they do.
//!
//! It is an independent second opinion on the connectors, so it shares no code
//! with them: it was written from the exchanges' documentation and depends on
//! no other crate of this workspace.
//!
//! What it refuses to do: listen on anything but loopback, log or return a
//! secret that it was not asked to issue, move its clock by itself.
//!
//! | module | |
//! |---|---|
//! | [`scenario`] | the file |
//! | `world` | what is visible at an instant |
//! | [`clock`] | the scenario clock |
//! | [`keys`] | API keys and their rights |
//! | `weights` | request weights and bans |
//! | [`faults`] | misbehaviour on purpose |
//! | `venue` | one request, whoever it is for |
//! | `counters` | rate counters that run down |
//! | `binance`, `bybit`, `coinbase`, `kraken`, `kraken_futures` | the wire formats |
//! | `control` | the control port |
//! | `server`, `tls` | sockets and certificates |
//! | [`requests`] | what was served |
//!
//! **Invariant:** the wall clock is never read; request weights count monotonic time.

pub mod clock;
pub mod faults;
pub mod keys;
pub mod number;
pub mod requests;
pub mod scenario;

mod binance;
mod bybit;
mod candles;
mod coinbase;
mod control;
mod counters;
mod form;
mod ids;
mod kraken;
mod kraken_futures;
mod limits;
mod server;
mod tls;
mod venue;
mod weights;
mod wire;
mod world;
mod worth;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::clock::Clock;
use crate::counters::Counters;
use crate::faults::{FaultError, FaultRule, FaultState, Faults};
use crate::keys::{IssuedKey, KeyError, KeyForm, KeyRing, KeySpec, Permissions};
use crate::requests::{RequestLog, Requests};
use crate::scenario::{Scenario, ScenarioError};
use crate::server::Door;
use crate::venue::{Shared, Venues};
use crate::weights::Meter;
use crate::world::World;

pub use crate::counters::Rates;
pub use crate::tls::TlsError;
pub use crate::venue::{
    BINANCE, BINANCE_COINM, BINANCE_USDM, BYBIT, CLOCK, COINBASE, HOSTS, KRAKEN, KRAKEN_FUTURES,
};
pub use crate::weights::Budgets;

/// How to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the venues listen; loopback.
    pub listen: SocketAddr,
    /// Where the control port listens; loopback.
    pub control: SocketAddr,
    /// Keys to begin with. An account without one gets a random key that may read.
    pub keys: Vec<KeySpec>,
    /// Rights of the random keys, by account.
    pub permissions: Vec<(String, Permissions)>,
    pub budgets: Budgets,
    pub rates: Rates,
    /// Connections served at once on each of the two ports.
    pub connections_max: usize,
}

impl Default for Options {
    /// Free ports, random keys, published limits.
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: any,
            control: any,
            keys: Vec::new(),
            permissions: Vec::new(),
            budgets: Budgets::default(),
            rates: Rates::default(),
            connections_max: limits::CONNECTIONS_MAX,
        }
    }
}

/// A running simulator. It ends when it is stopped or dropped.
#[derive(Debug)]
pub struct Sim {
    /// The venues, by TLS server name.
    pub addr: SocketAddr,
    /// The control port, plain HTTP.
    pub control: SocketAddr,
    /// The authority that signed the venues' certificates.
    pub root_pem: String,
    pub keys: Vec<IssuedKey>,
    pub clock: Clock,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tracker: TaskTracker,
}

/// What is told to whoever started the simulator.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    pub listen: SocketAddr,
    pub control: SocketAddr,
    pub hosts: Vec<String>,
    pub keys: Vec<IssuedKey>,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    #[error("the scenario cannot be played")]
    Scenario(#[from] ScenarioError),
    #[error("cannot prepare the API keys")]
    Keys(#[from] KeyError),
    #[error("cannot prepare TLS")]
    Tls(#[from] TlsError),
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl Sim {
    /// Starts on the current tokio runtime.
    ///
    /// # Errors
    /// When the scenario or the options are not sound, or an address cannot be listened on.
    pub async fn start(scenario: &Scenario, options: Options) -> Result<Self, StartError> {
        let clock = Clock::new(&scenario.config);
        let faults = Arc::new(Faults::default());
        let shared = Arc::new(Shared {
            world: World::new(scenario)?,
            clock: clock.clone(),
            keys: KeyRing::default(),
            faults: Arc::clone(&faults),
            requests: Requests::default(),
            meter: Meter::new(options.budgets),
            counters: Counters::new(options.rates),
        });
        let keys = issue(&shared, options.keys, &options.permissions)?;
        let identity = tls::Identity::new(&HOSTS, faults, clock.clone())?;
        let venues = listener(options.listen).await?;
        let control = listener(options.control).await?;
        let at = |listener: &TcpListener, wanted| {
            listener.local_addr().map_err(|error| StartError::Listen(wanted, error))
        };
        let sim = Self {
            addr: at(&venues, options.listen)?,
            control: at(&control, options.control)?,
            root_pem: identity.root_pem,
            keys,
            clock,
            stop: CancellationToken::new(),
            tracker: TaskTracker::new(),
            shared: Arc::clone(&shared),
        };
        let doors = [
            (
                venues,
                Door::Venues {
                    tls: TlsAcceptor::from(identity.config),
                    venues: Venues::new(Arc::clone(&shared)),
                },
            ),
            (control, Door::Control { router: control::router(shared) }),
        ];
        for (listener, door) in doors {
            let (tracker, stop) = (sim.tracker.clone(), sim.stop.clone());
            let places = options.connections_max;
            sim.tracker.spawn(server::listen(listener, door, places, tracker, stop));
        }
        info!(scenario = %scenario.id, listen = %sim.addr, control = %sim.control, "listening");
        Ok(sim)
    }

    /// The key of an account, the first one if it has several.
    pub fn key_of(&self, account: &str) -> Option<&IssuedKey> {
        self.keys.iter().find(|key| key.account == account)
    }

    /// Adds fault rules, as `POST /faults` does.
    ///
    /// # Errors
    /// When a rule is out of range; then none is added.
    pub fn inject(&self, rules: Vec<FaultRule>) -> Result<(), FaultError> {
        let knows = |account: &str| self.shared.world.account(account).is_some();
        self.shared.faults.add(rules, &HOSTS, knows)
    }

    /// Ends all faults; hanging requests are answered.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// The fault rules in force.
    pub fn faults(&self) -> Vec<FaultState> {
        self.shared.faults.list()
    }

    /// Changes the rights of every key of an account.
    ///
    /// # Errors
    /// When it has no key.
    pub fn permit(&self, account: &str, permissions: &Permissions) -> Result<(), KeyError> {
        self.shared.keys.permit(None, Some(account), permissions).map(drop)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// When the account is not in the scenario or the key is not well formed or not new.
    pub fn add_key(&self, spec: KeySpec) -> Result<IssuedKey, KeyError> {
        if self.shared.world.account(&spec.account).is_none() {
            return Err(KeyError::NoSuchAccount);
        }
        self.shared.keys.add(spec)
    }

    /// What was served so far.
    pub fn requests(&self) -> RequestLog {
        self.shared.requests.log()
    }

    /// Forgets what was served.
    pub fn clear_requests(&self) {
        self.shared.requests.clear();
    }

    pub fn announcement(&self) -> Announcement {
        Announcement {
            listen: self.addr,
            control: self.control,
            hosts: HOSTS.map(str::to_owned).to_vec(),
            keys: self.keys.clone(),
        }
    }

    /// Stops listening, lets requests finish for a few seconds, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        if timeout(limits::DRAIN_TIMEOUT, self.tracker.wait()).await.is_err() {
            info!(connections = self.tracker.len(), "closing what is left");
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listener(address: SocketAddr) -> Result<TcpListener, StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| StartError::Listen(address, error))
}

/// The given keys, and a random one for each account that has none, in the scenario's order.
fn issue(
    shared: &Shared,
    given: Vec<KeySpec>,
    permissions: &[(String, Permissions)],
) -> Result<Vec<IssuedKey>, KeyError> {
    let named = given.iter().map(|key| &key.account).chain(permissions.iter().map(|(it, _)| it));
    for account in named {
        if shared.world.account(account).is_none() {
            return Err(KeyError::NoSuchAccount);
        }
    }
    let mut issued = Vec::new();
    for key in given {
        issued.push(shared.keys.add(key)?);
    }
    for account in shared.world.accounts() {
        if issued.iter().all(|key| key.account != account) {
            let rights = permissions.iter().find(|(name, _)| name == account);
            issued.push(shared.keys.add(KeySpec {
                account: account.to_owned(),
                api_key: None,
                api_secret: None,
                permissions: rights.map(|(_, rights)| rights.clone()).unwrap_or_default(),
                form: KeyForm::Binance,
            })?);
        }
    }
    Ok(issued)
}
