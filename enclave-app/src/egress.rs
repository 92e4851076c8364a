//! The enclave's road to exchanges: one Unix socket a host, CONNECT behind it.
//!
//! ```text
//! reqwest ── TLS ──► <private dir>/<host>.sock ──bridge──► CONNECT host:443 ──► parent
//! ```
//!
//! A client for a host can only reach that host's socket, so the host is
//! implied by the path and no name is resolved here. TLS is made above the
//! socket, with webpki roots and this program's clock; the parent sees bytes.
//!
//! # Guarantees
//!
//! * A host is reached only if a connector declares it **and** the measured
//!   `image.toml` lists it; the parent checks its own list again.
//! * Certificates are judged by the security module's time.
//! * An [`Http`] shares no connection with another, so what a session's
//!   requests left in buffers goes when its client does.
//!
//! # What it does not give
//!
//! * Hiding from the parent which hosts are called, when and how much.

mod bridge;
mod connect;
mod http;
#[cfg(test)]
#[cfg(feature = "simulator")]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::{RootCertStore, version};

use crate::clock::TlsTime;
use crate::engine_api::EgressParts;
pub use http::{FetchError, Fetched, Http};

/// Every exchange is reached on this port.
pub(crate) const PORT: u16 = 443;
/// Where the simulator tells the scenario's time.
#[cfg(feature = "simulator")]
pub(crate) const SCENARIO_HOST: &str = "clock.sim.test";

/// Open sockets to the hosts that may be reached.
#[derive(Debug)]
pub struct Egress {
    sockets: BTreeMap<&'static str, PathBuf>,
    dir: PathBuf,
    tls: Arc<ClientConfig>,
}

/// Why there is no egress.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The measured list names a host that no connector knows.
    #[error("the image's configuration lists a host that no connector has")]
    UnknownHost,
    /// The sockets could not be made.
    #[error("the sockets of egress cannot be made")]
    Sockets(#[source] io::Error),
    /// TLS could not be set up.
    #[error("TLS to the exchanges cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Egress {
    /// Makes a private folder with one listening socket for each host.
    pub fn open(parts: EgressParts) -> Result<Arc<Self>, EgressError> {
        let hosts = admitted(&parts)?;
        let dir = private_dir().map_err(EgressError::Sockets)?;
        let mut sockets = BTreeMap::new();
        for host in hosts {
            let path = dir.join(host);
            bridge::serve(&path, host, &parts).map_err(EgressError::Sockets)?;
            sockets.insert(host, path);
        }
        let tls = tls(parts).map_err(EgressError::Tls)?;
        Ok(Arc::new(Self { sockets, dir, tls: Arc::new(tls) }))
    }

    /// A client for some of the hosts, with connections of its own, which end when it is dropped.
    pub fn http(&self, hosts: &[&str]) -> Http {
        let sockets = self.sockets.iter().filter(|(host, _)| hosts.contains(host));
        Http::new(sockets.map(|(host, path)| (*host, path.clone())), &self.tls)
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        // At exit, in a file system of the enclave's own; a leftover is harmless.
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// What the image lists, each known to a connector.
fn admitted(parts: &EgressParts) -> Result<Vec<&'static str>, EgressError> {
    let known = exchanges::hosts();
    let find = |name: &String| {
        known.iter().find(|host| host.name == name && host.port == PORT).map(|host| host.name)
    };
    let hosts = parts
        .hosts
        .iter()
        .map(|name| find(name).ok_or(EgressError::UnknownHost))
        .collect::<Result<Vec<_>, _>>()?;
    #[cfg(feature = "simulator")]
    let hosts = {
        let mut hosts = hosts;
        hosts.extend(parts.simulator.clock.is_some().then_some(SCENARIO_HOST));
        hosts
    };
    Ok(hosts)
}

fn private_dir() -> io::Result<PathBuf> {
    let mut name = [0; 8];
    getrandom::fill(&mut name).map_err(|_| io::ErrorKind::Other)?;
    let dir = std::env::temp_dir().join(format!("pa-{}", hex::encode(name)));
    DirBuilder::new().mode(0o700).create(&dir)?;
    Ok(dir)
}

fn tls(parts: EgressParts) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    #[cfg(feature = "simulator")]
    let roots_given = parts.simulator.root;
    #[cfg(not(feature = "simulator"))]
    let roots_given: Option<rustls_pki_types::CertificateDer<'static>> = None;
    match roots_given {
        Some(root) => roots.add(root)?,
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let time = Arc::new(TlsTime(parts.clock));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_details(provider, time)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
