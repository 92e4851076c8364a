//! Customers' connections: accept, dial the enclave, say who it is, copy.
//!
//! The client's address travels in a PROXY v2 header. The parent could write
//! anything there: it serves the enclave's rate limits and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;
use transport::proxy_v2::{self, Header};
use transport::{Address, Peer, Side, Stream, dial};

use crate::admission::{Place, Refused, Source};
use crate::config::Timeouts;
use crate::metrics::{IngressOutcome, Road};
use crate::relay::{Patience, relay};
use crate::shared::Shared;

/// Takes one accepted connection to its end.
///
/// Admission is decided before the first await, so that a burst cannot queue
/// past the limits.
pub fn accepted(
    stream: Stream,
    listen: &Address,
    shared: &Arc<Shared>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let config = shared.config.load();
    let enclave = config.ingress.iter().find(|road| road.listen == *listen)?.enclave.clone();
    let client = match stream.peer() {
        Peer::Tcp(client) => Some(client),
        Peer::Local | Peer::Vsock { .. } => None,
    };
    let limits = config.limits;
    let place = shared.ingress.admit(
        client.map(|client| Source::of(client.ip())),
        limits.ingress_connections,
        limits.ingress_connections_per_address,
    );
    match place {
        Ok(place) => {
            let Timeouts { connect, header: first, idle, .. } = config.timeouts;
            let patience = Patience { first, idle };
            let header = proxy_v2::encode(&header(&stream, client));
            Some(carry(stream, enclave, header, place, connect, patience, Arc::clone(shared)))
        }
        Err(refused) => {
            let outcome = match refused {
                Refused::Total => IngressOutcome::RefusedTotal,
                Refused::PerAddress => IngressOutcome::RefusedAddress,
            };
            debug!(reason = outcome.word(), "client turned away");
            shared.metrics.ingress(outcome);
            reset(&stream);
            None
        }
    }
}

async fn carry(
    client: Stream,
    enclave: Address,
    header: Vec<u8>,
    place: Place,
    connect: Duration,
    patience: Patience,
    shared: Arc<Shared>,
) {
    let _open = shared.metrics.open(Road::Ingress);
    let outcome = match timeout(connect, dial(&enclave, Side::Parent)).await {
        Ok(Ok(stream)) => {
            drop(enclave);
            let (watch, traffic) = (&shared.silence, &shared.ingress_traffic);
            relay(client, stream, header, watch, patience, traffic).await.into()
        }
        Ok(Err(error)) => {
            debug!(kind = ?error.kind(), "enclave not reached");
            reset(&client);
            IngressOutcome::ConnectFailed
        }
        Err(_) => {
            reset(&client);
            IngressOutcome::ConnectTimeout
        }
    };
    drop(place);
    shared.metrics.ingress(outcome);
}

fn header(stream: &Stream, client: Option<SocketAddr>) -> Header {
    match client.zip(stream.local_socket_addr()) {
        Some((source, destination)) => Header::Proxied { source, destination },
        None => Header::Local,
    }
}

/// A reset, so that the client knows at once and no half-dead socket stays here.
fn reset(stream: &Stream) {
    if let Err(error) = stream.reset_on_drop() {
        debug!(kind = ?error.kind(), "reset not set");
    }
}
