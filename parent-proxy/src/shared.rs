//! What every connection of the proxy needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::admission::Admission;
use crate::config::Config;
use crate::egress::resolve::Resolver;
use crate::health::Prober;
use crate::metrics::{Metrics, Road, Traffic};
use crate::silence::Watch;

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
    pub resolver: Resolver,
    pub prober: Prober,
    pub silence: Arc<Watch>,
    draining: AtomicBool,
}

impl Shared {
    pub fn new(config: Config, resolver: Resolver) -> Self {
        let metrics = Metrics::new();
        Self {
            config: ArcSwap::from_pointee(config),
            ingress_traffic: metrics.traffic(Road::Ingress),
            egress_traffic: metrics.traffic(Road::Egress),
            metrics,
            ingress: Arc::default(),
            egress: Arc::default(),
            admin: Arc::default(),
            resolver,
            prober: Prober::default(),
            silence: Arc::default(),
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
