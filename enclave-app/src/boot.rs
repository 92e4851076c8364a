//! The start, step by step, and the stop.
//!
//! 1. The measured configuration is read and checked.
//! 2. Egress is ready, but nothing is asked of an exchange yet.
//! 3. The security module answers, and the enclave is not in debug mode.
//! 4. Wall time is the module's.
//! 5. Entropy is the kernel's and the module's.
//! 6. The deployment configuration is fetched, narrows the image's, extends
//!    PCR16; the registers are locked.
//! 7. Keys and the TLS identity are made.
//! 8. Engine and custody are built.
//! 9. Only now are listeners bound and `ready` is logged.
//!
//! Stopping goes backwards: listeners close, requests finish, sessions are
//! wiped, keys go last.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use transport::{Address, Listener, Side};

use crate::addresses::Addresses;
use crate::attest::{Notary, time_of};
use crate::clock::{AnchoredClock, Clock, Drift};
use crate::config::Config;
use crate::counters::{Counters, Event};
use crate::deployment::Fetched;
use crate::egress::Egress;
use crate::engine_api::{EgressParts, EngineParts, Signer as _};
use crate::entropy::{Entropy, SEED_LEN, stir_kernel};
use crate::http::{self, Front};
use crate::image_config::ImageConfig;
use crate::keys::Keys;
use crate::limits::{ANCHOR_INTERVAL, IMAGE_CONFIG_LEN_MAX, STOP_GRACE, SWEEP_INTERVAL};
use crate::nsm::Module;
use crate::poller::Poller;
use crate::server::Service;
use crate::sessions::custody::{Custody, CustodyParts};
use crate::supervisor::{Stop, Supervisor};
use crate::tls::Identity;
use crate::{deployment, tls};

#[cfg(feature = "simulator")]
pub use simulator::measurements;

/// Why nothing is served. The text goes to the console: it names the step and
/// quotes nothing.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {why}")]
pub struct BootError {
    step: &'static str,
    why: String,
}

/// Turns any error of a step into one that names the step.
trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, BootError>;
}

impl<T, E: std::fmt::Display> Step<T> for Result<T, E> {
    fn step(self, step: &'static str) -> Result<T, BootError> {
        self.map_err(|why| BootError { step, why: why.to_string() })
    }
}

/// Runs the program until it is asked to stop.
pub fn run(config: &Config) -> Result<Stop, BootError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().step("runtime")?;
    runtime.block_on(Box::pin(serve(config)))
}

async fn serve(config: &Config) -> Result<Stop, BootError> {
    // The signals are caught from the start, so that none kills us in the middle.
    let signals = Signals::catch().step("signals")?;
    // A second provider of another version cannot be there before us.
    drop(tls::provider().install_default());
    let mut supervisor = Supervisor::new();
    let counters = Arc::new(Counters::default());

    // 1
    let image_bytes = read_bounded(&config.image_config).step("image configuration")?;
    let image = Arc::new(ImageConfig::parse(&image_bytes).step("image configuration")?);

    // 2 to 4
    let Grounds {
        module,
        clock,
        egress,
        anchored,
        #[cfg(feature = "simulator")]
        scenario,
    } = grounds(config, &image, &image_bytes, &supervisor).await?;

    // 5
    let random = module.random(2 * SEED_LEN).await.step("entropy")?;
    let (seed, for_kernel) = random.split_at(SEED_LEN);
    stir_kernel(for_kernel).step("entropy")?;
    let entropy = Arc::new(Entropy::new(seed).step("entropy")?);

    // 6
    let fetched = configure(&config.egress, &image, &module).await?;
    let deployment = Arc::new(fetched.deployment);

    // 7
    let keys = Arc::new(Keys::generate(&entropy).step("keys")?);
    let identity = Identity::generate(Arc::clone(&clock)).step("keys")?;
    let notary = Arc::new(Notary::new(
        Arc::clone(&module),
        Arc::clone(&keys),
        identity.spki_sha256(),
        fetched.bytes.into(),
        Arc::clone(&counters),
    ));

    // 8
    let poller = Poller::new(EngineParts {
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        signer: Arc::<Notary>::clone(&notary),
        egress,
        image: Arc::clone(&image),
        deployment: Arc::clone(&deployment),
        tasks: supervisor.tasks(),
        #[cfg(feature = "simulator")]
        scenario: scenario.clone(),
    });
    let custody = Arc::new(Custody::new(CustodyParts {
        clock: Arc::clone(&clock),
        entropy: Arc::clone(&entropy),
        keys,
        engine: Arc::<Poller>::clone(&poller),
        deployment,
        counters: Arc::clone(&counters),
        limits: image.sessions,
    }));

    // 9
    let front = Front {
        custody: Arc::clone(&custody),
        notary: Arc::clone(&notary),
        entropy,
        counters: Arc::clone(&counters),
        addresses: Arc::new(Addresses::new(&image.firewall, &image.security_module)),
        requests_max: image.firewall.requests_max,
    };
    let listener = Listener::bind(&config.listen, Side::Enclave).await.step("listen")?;
    let health = Listener::bind(&config.health_listen, Side::Enclave).await.step("health")?;
    let tls = Some(TlsAcceptor::from(identity.config()));
    let customers = service(http::customers(&front), tls, &front, &image);
    #[cfg(feature = "simulator")]
    let customers = Service { scenario, ..customers };
    let probes = service(http::health_only(&front), None, &front, &image);
    let tasks = supervisor.tasks();
    supervisor.service("customers", |stop| customers.accept(listener, stop, tasks));
    let tasks = supervisor.tasks();
    supervisor.service("health", |stop| probes.accept(health, stop, tasks));
    supervisor.service("poller", |stop| poller.run(stop));
    supervisor.service("expiry", |stop| Arc::clone(&custody).keep_time(stop));
    supervisor.service("housekeeping", |stop| {
        housekeeping(Arc::clone(&front.addresses), Arc::clone(&counters), stop)
    });
    if let Some(anchored) = anchored {
        let counters = Arc::clone(&counters);
        supervisor.service("clock", |stop| keep_anchored(module, anchored, counters, stop));
    }
    info!(version = crate::VERSION, simulated = notary.simulated(), "ready");

    let stopped = until_stopped(supervisor, signals).await;
    custody.end_all();
    tell(&counters);
    Ok(stopped)
}

/// Step 6: what is fetched is what verifiers will see.
async fn configure(
    egress: &Address,
    image: &ImageConfig,
    module: &Module,
) -> Result<Fetched, BootError> {
    let fetched = deployment::fetch(egress, image).await.step("deployment")?;
    let extension = protocol::key_bundle::pcr16_extension(&fetched.bytes);
    let pcr16 = module.extend_and_lock(extension).await.step("security module")?;
    if pcr16 != protocol::key_bundle::pcr16(&fetched.bytes) {
        return Err("PCR16 is not what verifiers will compute").step("security module");
    }
    Ok(fetched)
}

/// Runs until asked to stop and drained, or asked twice, or a service died.
async fn until_stopped(supervisor: Supervisor, mut signals: Signals) -> Stop {
    let tasks = supervisor.tasks();
    let asked = CancellationToken::new();
    tokio::select! {
        stopped = supervisor.run(asked.clone().cancelled_owned(), STOP_GRACE) => stopped,
        () = async {
            signals.next().await;
            info!("asked to stop");
            asked.cancel();
            signals.next().await;
        } => {
            warn!("asked again; closing what is left");
            Stop::Cut { connections: tasks.len() }
        }
    }
}

/// What the rest of the start stands on.
struct Grounds {
    module: Arc<Module>,
    clock: Arc<dyn Clock>,
    egress: Arc<Egress>,
    /// The clock again, where it has to be anchored now and then.
    anchored: Option<Arc<AnchoredClock>>,
    #[cfg(feature = "simulator")]
    scenario: Option<Arc<crate::clock::ScenarioClock>>,
}

#[cfg(not(feature = "simulator"))]
async fn grounds(
    config: &Config,
    image: &ImageConfig,
    _image_bytes: &[u8],
    supervisor: &Supervisor,
) -> Result<Grounds, BootError> {
    let device = crate::nsm::device::Device::open().step("security module")?;
    let module = Arc::new(Module::new(Arc::new(device), image.security_module));
    module.refuse_debug().await.step("security module")?;
    let now = time_of(&module).await.step("clock")?;
    let anchored = Arc::new(AnchoredClock::starting_at(now));
    let clock: Arc<dyn Clock> = Arc::<AnchoredClock>::clone(&anchored);
    let egress = Egress::open(EgressParts {
        to: config.egress.clone(),
        hosts: image.hosts.clone(),
        clock: Arc::clone(&clock),
        tasks: supervisor.tasks(),
        stop: supervisor.token(),
    })
    .step("egress")?;
    Ok(Grounds { module, clock, egress, anchored: Some(anchored) })
}

#[cfg(feature = "simulator")]
use simulator::grounds;

fn service(
    router: axum::Router,
    tls: Option<TlsAcceptor>,
    front: &Front,
    image: &ImageConfig,
) -> Service {
    Service {
        router,
        tls,
        addresses: Arc::clone(&front.addresses),
        counters: Arc::clone(&front.counters),
        connections_max: image.firewall.connections_max,
        #[cfg(feature = "simulator")]
        scenario: None,
    }
}

/// Service: anchors wall time to the module again and again.
async fn keep_anchored(
    module: Arc<Module>,
    clock: Arc<AnchoredClock>,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ANCHOR_INTERVAL) => {}
        }
        match time_of(&module).await {
            Ok(now) => match clock.anchor(now) {
                Drift::Forward(by) if by > DRIFT_TOLD => {
                    warn!(by_ms = by.as_millis(), "the clock was behind");
                }
                Drift::Held(by) if by > DRIFT_TOLD => {
                    counters.count(Event::ClockHeld);
                    warn!(by_ms = by.as_millis(), "the clock was ahead and stands still");
                }
                Drift::Forward(_) | Drift::Held(_) => {}
            },
            Err(error) => warn!(%error, "the clock was not anchored"),
        }
    }
}

/// A quartz that drifts this much in five minutes is broken, or the enclave
/// was paused.
const DRIFT_TOLD: Duration = Duration::from_secs(1);

/// Service: forgets quiet addresses and logs the counters.
async fn housekeeping(addresses: Arc<Addresses>, counters: Arc<Counters>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        addresses.sweep();
        tell(&counters);
    }
}

fn tell(counters: &Counters) {
    for (name, count) in counters.snapshot() {
        info!(counter = name, count, "counted");
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let len_max = u64::try_from(IMAGE_CONFIG_LEN_MAX).unwrap_or(u64::MAX);
    File::open(path)?.take(len_max + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(feature = "simulator")]
mod simulator {
    use std::fs;

    use protocol::measurements::Measurements;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    use sha2::{Digest, Sha256};

    use super::{
        AnchoredClock, Arc, BootError, Clock, Config, Egress, EgressParts, Grounds, ImageConfig,
        Module, Path, Step, Supervisor, read_bounded, time_of, warn,
    };
    use crate::clock::{HostClock, ScenarioClock};
    use crate::engine_api::SimulatorEgress;
    use crate::nsm::TrustAnchor;
    use crate::nsm::simulated::{MARKER, Measured, Simulated};

    pub(super) async fn grounds(
        config: &Config,
        image: &ImageConfig,
        image_bytes: &[u8],
        supervisor: &Supervisor,
    ) -> Result<Grounds, BootError> {
        let simulator = &config.simulator;
        warn!(marker = MARKER, switches = ?simulator.switches, "SIMULATED");
        let scenario = simulator.scenario_clock.then(|| Arc::new(ScenarioClock::unset()));
        let host: Arc<dyn Clock> = match &scenario {
            Some(scenario) => Arc::<ScenarioClock>::clone(scenario),
            None => Arc::new(HostClock),
        };
        let root = match &simulator.exchange_root {
            Some(path) => {
                Some(CertificateDer::from_pem_file(path).step("exchange root certificate")?)
            }
            None => None,
        };
        let egress = Egress::open(EgressParts {
            to: config.egress.clone(),
            hosts: image.hosts.clone(),
            clock: Arc::clone(&host),
            tasks: supervisor.tasks(),
            stop: supervisor.token(),
            simulator: SimulatorEgress { root, clock: scenario.clone() },
        })
        .step("egress")?;
        if let Some(scenario) = &scenario {
            crate::poller::scenario::begin(&egress, scenario).await.step("scenario clock")?;
        }

        let measured = Measured::of_this_program(image_bytes).step("measuring this program")?;
        let simulated = Simulated::new(measured, Arc::clone(&host)).step("security module")?;
        let module = Arc::new(Module::new(Arc::new(simulated), image.security_module));
        module.refuse_debug().await.step("security module")?;
        if let (Some(path), TrustAnchor::Simulated(root)) =
            (&simulator.nsm_root_out, module.trust_anchor())
        {
            fs::write(path, root).step("root certificate")?;
        }
        if scenario.is_some() {
            return Ok(Grounds { module, clock: host, egress, anchored: None, scenario });
        }
        let now = time_of(&module).await.step("clock")?;
        let anchored = Arc::new(AnchoredClock::starting_at(now));
        let clock: Arc<dyn Clock> = Arc::<AnchoredClock>::clone(&anchored);
        Ok(Grounds { module, clock, egress, anchored: Some(anchored), scenario })
    }

    /// `measurements.json` of this executable and a configuration.
    pub fn measurements(image_config: &Path) -> Result<Vec<u8>, BootError> {
        let image_bytes = read_bounded(image_config).step("image configuration")?;
        ImageConfig::parse(&image_bytes).step("image configuration")?;
        let measured = Measured::of_this_program(&image_bytes).step("measuring this program")?;
        let mut measurements = Measurements::new(
            crate::VERSION.to_owned(),
            true,
            [measured.pcr0, measured.pcr1, measured.pcr2],
        );
        measurements.config_sha256 = Some(Sha256::digest(&image_bytes).into());
        let mut json = measurements.to_json();
        json.push(b'\n');
        Ok(json)
    }
}
