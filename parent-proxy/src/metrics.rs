//! What the proxy counts: a closed set of names and labels, each there at zero
//! from the start. No label holds anything that came over a connection.

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use transport::AcceptErrorKind;

use crate::health::Health;
use crate::relay::{End, Meter};

/// An enum whose variants are label values.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant,)* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The word in metrics and logs.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// Which kind of listener a connection came in on.
    Road {
        Ingress = "ingress",
        Egress = "egress",
        Admin = "admin",
    }
}

words! {
    /// What became of an ingress connection.
    IngressOutcome {
        Closed = "closed",
        ClientLost = "client_lost",
        EnclaveLost = "enclave_lost",
        Silent = "silent",
        Idle = "idle",
        RefusedTotal = "refused_total",
        RefusedAddress = "refused_address",
        ConnectFailed = "connect_failed",
        ConnectTimeout = "connect_timeout",
    }
}

words! {
    /// What became of an egress request.
    EgressOutcome {
        Closed = "closed",
        EnclaveLost = "enclave_lost",
        HostLost = "host_lost",
        Idle = "idle",
        Deployment = "deployment",
        Abandoned = "abandoned",
        Malformed = "malformed",
        TooLarge = "too_large",
        TooSlow = "too_slow",
        NotFound = "not_found",
        NotAllowed = "not_allowed",
        PrivateAddress = "private_address",
        LookupFailed = "lookup_failed",
        LookupTimeout = "lookup_timeout",
        ConnectFailed = "connect_failed",
        ConnectTimeout = "connect_timeout",
        DeploymentUnavailable = "deployment_unavailable",
        RefusedTotal = "refused_total",
        RefusedCid = "refused_cid",
    }
}

words! {
    /// What became of a request to the administration port.
    AdminOutcome {
        Health = "health",
        Metrics = "metrics",
        Abandoned = "abandoned",
        Malformed = "malformed",
        TooLarge = "too_large",
        TooSlow = "too_slow",
        NotFound = "not_found",
        RefusedTotal = "refused_total",
    }
}

words! {
    /// What became of a SIGHUP.
    Reload {
        Applied = "applied",
        Refused = "refused",
    }
}

type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Every metric, and the registry that prints them.
pub struct Metrics {
    registry: Registry,
    ingress: Family<Labels<1>, Counter>,
    egress: Family<Labels<1>, Counter>,
    admin: Family<Labels<1>, Counter>,
    open: Family<Labels<1>, Gauge>,
    bytes: Family<Labels<2>, Counter>,
    accept_errors: Family<Labels<2>, Counter>,
    probes: Family<Labels<1>, Counter>,
    enclave_up: Gauge,
    reloads: Family<Labels<1>, Counter>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("pa_proxy");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program that answers", build);
        let metrics = Self {
            ingress: Family::default(),
            egress: Family::default(),
            admin: Family::default(),
            open: Family::default(),
            bytes: Family::default(),
            accept_errors: Family::default(),
            probes: Family::default(),
            enclave_up: Gauge::default(),
            reloads: Family::default(),
            registry,
        };
        metrics.register().at_zero()
    }

    fn register(mut self) -> Self {
        let to = &mut self.registry;
        to.register(
            "ingress_connections",
            "Connections of customers by what became of them",
            self.ingress.clone(),
        );
        to.register(
            "egress_requests",
            "Requests of the enclave by what became of them",
            self.egress.clone(),
        );
        to.register("admin_requests", "Requests to the administration port", self.admin.clone());
        to.register("connections_open", "Connections that are open now", self.open.clone());
        to.register("bytes", "Bytes copied, as written", self.bytes.clone());
        to.register("accept_errors", "Errors of accept", self.accept_errors.clone());
        to.register("health_probes", "Round trips into the enclave", self.probes.clone());
        to.register("enclave_up", "1 if the last round trip succeeded", self.enclave_up.clone());
        to.register("reloads", "Configuration reloads", self.reloads.clone());
        self
    }

    /// A counter that first appears with its first event hides that event from rates.
    fn at_zero(self) -> Self {
        for outcome in IngressOutcome::ALL {
            drop(self.ingress.get_or_create(&[("outcome", outcome.word())]));
        }
        for outcome in EgressOutcome::ALL {
            drop(self.egress.get_or_create(&[("outcome", outcome.word())]));
        }
        for outcome in AdminOutcome::ALL {
            drop(self.admin.get_or_create(&[("outcome", outcome.word())]));
        }
        for road in Road::ALL {
            drop(self.open.get_or_create(&[("road", road.word())]));
            for kind in [AcceptErrorKind::Gone, AcceptErrorKind::Exhausted, AcceptErrorKind::Other]
            {
                let labels = [("road", road.word()), ("kind", accept_word(kind))];
                drop(self.accept_errors.get_or_create(&labels));
            }
        }
        for road in [Road::Ingress, Road::Egress] {
            drop(self.traffic(road));
        }
        for health in Health::ALL {
            drop(self.probes.get_or_create(&[("outcome", health.word())]));
        }
        for reload in Reload::ALL {
            drop(self.reloads.get_or_create(&[("outcome", reload.word())]));
        }
        self
    }

    pub fn ingress(&self, outcome: IngressOutcome) {
        self.ingress.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    pub fn egress(&self, outcome: EgressOutcome) {
        self.egress.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    pub fn admin(&self, outcome: AdminOutcome) {
        self.admin.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    pub fn accept_error(&self, road: Road, kind: AcceptErrorKind) {
        let labels = [("road", road.word()), ("kind", accept_word(kind))];
        self.accept_errors.get_or_create(&labels).inc();
    }

    pub fn probe(&self, health: Health) {
        self.probes.get_or_create(&[("outcome", health.word())]).inc();
        self.enclave_up.set(i64::from(health == Health::Ok));
    }

    pub fn reload(&self, outcome: Reload) {
        self.reloads.get_or_create(&[("outcome", outcome.word())]).inc();
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn open(&self, road: Road) -> OpenGuard {
        let gauge = self.open.get_or_create_owned(&[("road", road.word())]);
        gauge.inc();
        OpenGuard(gauge)
    }

    /// The byte counters of a road, for [`relay`](crate::relay::relay).
    pub fn traffic(&self, road: Road) -> Traffic {
        let counter = |direction| {
            self.bytes.get_or_create_owned(&[("road", road.word()), ("direction", direction)])
        };
        let (to_enclave, from_enclave) = (counter("to_enclave"), counter("from_enclave"));
        match road {
            Road::Ingress | Road::Admin => {
                Traffic { towards_far: to_enclave, towards_near: from_enclave }
            }
            Road::Egress => Traffic { towards_far: from_enclave, towards_near: to_enclave },
        }
    }

    /// The text that a scraper reads.
    ///
    /// # Errors
    ///
    /// Never for a `String`; the signature is the encoder's.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics(..)")
    }
}

/// An open connection in the gauge.
#[derive(Debug)]
pub struct OpenGuard(Gauge);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The byte counters of one road.
#[derive(Debug)]
pub struct Traffic {
    towards_far: Counter,
    towards_near: Counter,
}

impl Meter for Traffic {
    fn towards_far(&self, bytes: usize) {
        self.towards_far.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn towards_near(&self, bytes: usize) {
        self.towards_near.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl From<End> for IngressOutcome {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::NearLost => Self::ClientLost,
            End::FarLost => Self::EnclaveLost,
            End::Silent => Self::Silent,
            End::Idle => Self::Idle,
        }
    }
}

impl From<End> for EgressOutcome {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Closed,
            End::NearLost => Self::EnclaveLost,
            End::FarLost => Self::HostLost,
            End::Silent | End::Idle => Self::Idle,
        }
    }
}

const fn accept_word(kind: AcceptErrorKind) -> &'static str {
    match kind {
        AcceptErrorKind::Gone => "gone",
        AcceptErrorKind::Exhausted => "exhausted",
        AcceptErrorKind::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_there_at_zero() {
        let text = Metrics::new().render().unwrap();
        for line in [
            "pa_proxy_ingress_connections_total{outcome=\"refused_address\"} 0",
            "pa_proxy_egress_requests_total{outcome=\"private_address\"} 0",
            "pa_proxy_admin_requests_total{outcome=\"too_slow\"} 0",
            "pa_proxy_connections_open{road=\"egress\"} 0",
            "pa_proxy_bytes_total{road=\"ingress\",direction=\"to_enclave\"} 0",
            "pa_proxy_accept_errors_total{road=\"ingress\",kind=\"exhausted\"} 0",
            "pa_proxy_health_probes_total{outcome=\"timeout\"} 0",
            "pa_proxy_reloads_total{outcome=\"refused\"} 0",
            "pa_proxy_enclave_up 0",
        ] {
            assert!(text.contains(line), "{line} is missing from\n{text}");
        }
        let samples = text.lines().filter(|line| !line.starts_with('#')).count();
        let outcomes =
            IngressOutcome::ALL.len() + EgressOutcome::ALL.len() + AdminOutcome::ALL.len();
        // Build, open, bytes, accept errors, probes, enclave_up, reloads.
        assert_eq!(samples, outcomes + 1 + 3 + 4 + 9 + Health::ALL.len() + 1 + 2);
    }

    #[test]
    fn an_open_connection_is_counted_while_its_guard_lives() {
        let metrics = Metrics::new();
        let guard = metrics.open(Road::Ingress);
        assert!(metrics.render().unwrap().contains("connections_open{road=\"ingress\"} 1"));
        drop(guard);
        assert!(metrics.render().unwrap().contains("connections_open{road=\"ingress\"} 0"));
    }
}
