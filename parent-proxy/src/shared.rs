//! What every connection of the proxy needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;

use crate::admission::Admission;
use crate::config::Config;
use crate::health::Prober;
use crate::limits::LOOKUPS_MAX;
use crate::metrics::{Metrics, Road, Traffic};

/// One per process. The configuration is the only part that is ever replaced,
/// and always as a whole.
#[derive(Debug)]
pub struct Shared {
    pub config: ArcSwap<Config>,
    pub metrics: Metrics,
    pub ingress_traffic: Traffic,
    pub egress_traffic: Traffic,
    pub ingress: Arc<Admission>,
    pub egress: Arc<Admission>,
    pub admin: Arc<Admission>,
    pub lookups: Arc<Semaphore>,
    pub prober: Prober,
    draining: AtomicBool,
}

impl Shared {
    pub fn new(config: Config) -> Self {
        let metrics = Metrics::new();
        Self {
            config: ArcSwap::from_pointee(config),
            ingress_traffic: metrics.traffic(Road::Ingress),
            egress_traffic: metrics.traffic(Road::Egress),
            metrics,
            ingress: Arc::default(),
            egress: Arc::default(),
            admin: Arc::default(),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            prober: Prober::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// From here on `/health` is 503, so that a load balancer looks elsewhere.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
