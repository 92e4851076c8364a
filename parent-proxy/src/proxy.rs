//! Start everything in one place, change it as a whole, stop it in one place.
//!
//! ```text
//! start   configuration whole → every listener bound → accept loops → ready
//! SIGHUP  new configuration whole → new listeners bound → swapped; else all stays
//! SIGTERM /health 503, listeners close, connections end by themselves → exit
//!         at the deadline, or at a second signal, what is left is cut
//! ```

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};
use transport::{AcceptErrorKind, Address, Backoff, Listener, Side, Stream};

use crate::config::{Config, Mistakes};
use crate::egress::resolve::Resolver;
use crate::metrics::{Reload, Road};
use crate::shared::Shared;
use crate::{admin, egress, ingress};

/// Why the process is going down; becomes its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Asked to stop, and every connection ended by itself.
    Clean,
    /// Asked to stop; this many connections were still open at the deadline.
    Cut { connections: usize },
    /// Asked twice.
    Forced,
    /// A loop ended or panicked without being asked to.
    Died { service: &'static str },
}

/// What keeps the proxy from starting or from taking a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("configuration: {0}")]
    Config(#[from] Mistakes),
    #[error("{} listener {address} cannot be bound", road.word())]
    Bind { road: Road, address: Address, source: io::Error },
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
}

/// The listeners of a configuration, by what they were configured as.
type Key = (Road, Address);

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    config_path: PathBuf,
    shared: Arc<Shared>,
    loops: JoinSet<(Key, CancellationToken)>,
    roads: HashMap<Key, CancellationToken>,
    /// Looks for silent connections.
    watch: JoinSet<()>,
    connections: TaskTracker,
    /// The administration port stays until the very end.
    admin_connections: TaskTracker,
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Proxy {
    /// Reads the configuration and binds every listener of it.
    ///
    /// # Errors
    ///
    /// As [`StartError`]; nothing stays bound.
    pub async fn start(config_path: &Path) -> Result<Self, StartError> {
        let config = Config::load(config_path)?;
        // Before the first listener, so that no signal is lost.
        let hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
        let terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
        let bound = bind_missing(&config, &HashMap::new()).await?;
        let mut proxy = Self {
            config_path: config_path.to_owned(),
            shared: Arc::new(Shared::new(config, Resolver::system())),
            loops: JoinSet::new(),
            roads: HashMap::new(),
            watch: JoinSet::new(),
            connections: TaskTracker::new(),
            admin_connections: TaskTracker::new(),
            hangup,
            terminate,
            interrupt,
        };
        let silence = Arc::clone(&proxy.shared.silence);
        proxy.watch.spawn(async move { silence.run().await });
        for (key, listener) in bound {
            proxy.listen(key, listener);
        }
        Ok(proxy)
    }

    /// Runs until a signal or a failure, then drains.
    pub async fn run(mut self) -> Stop {
        let died = loop {
            tokio::select! {
                _ = self.hangup.recv() => self.reload().await,
                _ = self.terminate.recv() => break None,
                _ = self.interrupt.recv() => break None,
                Some(ended) = self.loops.join_next() => {
                    if let Some(road) = unexpected(ended) {
                        break Some(road.word());
                    }
                }
                Some(_) = self.watch.join_next() => break Some("silence"),
            }
        };
        if let Some(service) = died {
            warn!(service, "ended by itself");
        }
        self.drain(died).await
    }

    fn listen(&mut self, key: Key, listener: Listener) {
        let (road, configured) = key.clone();
        match listener.local_address() {
            Ok(address) => info!(road = road.word(), %address, "listening"),
            Err(error) => info!(road = road.word(), kind = ?error.kind(), "listening"),
        }
        let token = CancellationToken::new();
        self.roads.insert(key.clone(), token.clone());
        let shared = Arc::clone(&self.shared);
        let tracker =
            if road == Road::Admin { &self.admin_connections } else { &self.connections }.clone();
        self.loops.spawn(async move {
            let at = configured;
            match road {
                Road::Ingress => {
                    accept(road, listener, &token, &shared, |stream| {
                        spawn(&tracker, ingress::accepted(stream, &at, &shared));
                    })
                    .await;
                }
                Road::Egress => {
                    accept(road, listener, &token, &shared, |stream| {
                        spawn(&tracker, egress::accepted(stream, &at, &shared));
                    })
                    .await;
                }
                Road::Admin => {
                    accept(road, listener, &token, &shared, |stream| {
                        spawn(&tracker, admin::accepted(stream, &at, &shared));
                    })
                    .await;
                }
            }
            (key, token)
        });
    }

    /// Takes a new configuration whole, or keeps the old one whole.
    async fn reload(&mut self) {
        let taken = async {
            let config = Config::load(&self.config_path)?;
            let bound = bind_missing(&config, &self.roads).await?;
            Ok::<_, StartError>((config, bound))
        };
        let (config, bound) = match taken.await {
            Ok(taken) => taken,
            Err(error) => {
                self.shared.metrics.reload(Reload::Refused);
                warn!(error = %chain(&error), "reload refused; the old configuration stays");
                return;
            }
        };
        let wanted = keys(&config);
        self.shared.config.store(Arc::new(config));
        self.roads.retain(|key, token| {
            let stays = wanted.contains(key);
            if !stays {
                info!(road = key.0.word(), address = %key.1, "no longer listening");
                token.cancel();
            }
            stays
        });
        for (key, listener) in bound {
            self.listen(key, listener);
        }
        self.shared.metrics.reload(Reload::Applied);
        info!("configuration reloaded");
    }

    async fn drain(mut self, died: Option<&'static str>) -> Stop {
        let grace = self.shared.config.load().timeouts.drain;
        info!(connections = self.connections.len(), ?grace, "stopping");
        self.shared.start_draining();
        for ((road, _), token) in &self.roads {
            if *road != Road::Admin {
                token.cancel();
            }
        }
        self.connections.close();
        let forced = tokio::select! {
            drained = timeout(grace, self.connections.wait()) => {
                if drained.is_err() {
                    let connections = self.connections.len();
                    warn!(connections, "grace period over; closing what is left");
                }
                false
            }
            _ = self.terminate.recv() => true,
            _ = self.interrupt.recv() => true,
        };
        match (died, self.connections.len()) {
            (Some(service), _) => Stop::Died { service },
            (None, _) if forced => Stop::Forced,
            (None, 0) => Stop::Clean,
            (None, connections) => Stop::Cut { connections },
        }
    }
}

/// The text of an error and of everything beneath it.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// The road whose loop ended without being told to.
fn unexpected(ended: Result<(Key, CancellationToken), tokio::task::JoinError>) -> Option<Road> {
    match ended {
        Ok((_, token)) if token.is_cancelled() => None,
        Ok(((road, _), _)) => Some(road),
        // A loop that panicked cannot say which it was; ingress is what matters most.
        Err(_) => Some(Road::Ingress),
    }
}

fn keys(config: &Config) -> Vec<Key> {
    let ingress = config.ingress.iter().map(|road| (Road::Ingress, road.listen.clone()));
    let egress = config.egress.iter().map(|egress| (Road::Egress, egress.listen.clone()));
    ingress.chain(egress).chain([(Road::Admin, config.admin.listen.clone())]).collect()
}

/// Binds what `config` asks for and `roads` does not have.
async fn bind_missing(
    config: &Config,
    roads: &HashMap<Key, CancellationToken>,
) -> Result<Vec<(Key, Listener)>, StartError> {
    let mut bound = Vec::new();
    for key in keys(config) {
        if !roads.contains_key(&key) {
            let listener = Listener::bind(&key.1, Side::Parent).await.map_err(|source| {
                StartError::Bind { road: key.0, address: key.1.clone(), source }
            })?;
            bound.push((key, listener));
        }
    }
    Ok(bound)
}

/// Accepts until the token is cancelled.
async fn accept(
    road: Road,
    listener: Listener,
    token: &CancellationToken,
    shared: &Shared,
    mut accepted: impl FnMut(Stream),
) {
    let mut backoff = Backoff::new();
    let on_error = |kind: AcceptErrorKind, error: &io::Error| {
        shared.metrics.accept_error(road, kind);
        debug!(road = road.word(), kind = ?error.kind(), "accept failed");
    };
    let cancelled = token.cancelled();
    tokio::pin!(cancelled);
    loop {
        tokio::select! {
            biased;
            () = &mut cancelled => return,
            stream = listener.accept_next(&mut backoff, on_error) => accepted(stream),
        }
    }
}

fn spawn(tracker: &TaskTracker, connection: Option<impl Future<Output = ()> + Send + 'static>) {
    if let Some(connection) = connection {
        drop(tracker.spawn(connection));
    }
}
