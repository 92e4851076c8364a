//! The enclave's way out: `CONNECT host:port` for hosts on the list, and
//! `GET /deployment`.
//!
//! ```text
//! 1  the peer's CID is the enclave's, if one is configured
//! 2  a place among the open connections                             503
//! 3  one request, whole, in time                                    400 408 431
//! 4  name and port on the allow-list, byte for byte                 403
//! 5  where: the operator's route, or DNS without private addresses  403 502 504
//! 6  connect                                                        502 504
//! 7  200, then bytes; what came behind the request goes first
//! ```
//!
//! The body of a refusal is its word in `pa_proxy_egress_requests_total`.

pub mod resolve;
pub mod target;

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tracing::{debug, info, warn};
use transport::{Address, Peer, Stream};

use self::target::Target;
use crate::allow_list::is_host_name;
use crate::config::Config;
use crate::http::{self, Method, Request, RequestError, Status};
use crate::limits::DEPLOYMENT_LEN_MAX;
use crate::metrics::{EgressOutcome, Road};
use crate::relay::{Patience, relay};
use crate::shared::Shared;

/// Takes one accepted connection to its end.
pub fn accepted(
    stream: Stream,
    _listen: &Address,
    shared: &Arc<Shared>,
) -> Option<impl Future<Output = ()> + Send + use<>> {
    let config = shared.config.load_full();
    let egress = config.egress.as_ref()?;
    if let (Some(enclave), Peer::Vsock { cid, .. }) = (egress.enclave_cid, stream.peer())
        && cid != enclave
    {
        warn!(cid, "egress used from another CID");
        shared.metrics.egress(EgressOutcome::RefusedCid);
        return None;
    }
    // Past the limit a connection still gets its answer, but nothing more; the
    // answers are bounded as well.
    let total_max = config.limits.egress_connections;
    let place = shared.egress.admit(None, total_max, total_max).ok();
    let answering = match place {
        Some(_) => None,
        None => Some(shared.egress.admit(None, total_max * 2, total_max * 2).ok()),
    };
    if let Some(None) = answering {
        shared.metrics.egress(EgressOutcome::RefusedTotal);
        return None;
    }
    let shared = Arc::clone(shared);
    Some(async move {
        let _open = shared.metrics.open(Road::Egress);
        let outcome = if place.is_some() {
            serve(stream, config, &shared).await
        } else {
            refuse(stream, EgressOutcome::RefusedTotal).await
        };
        drop((place, answering));
        shared.metrics.egress(outcome);
    })
}

async fn serve(mut stream: Stream, config: Arc<Config>, shared: &Arc<Shared>) -> EgressOutcome {
    let timeouts = config.timeouts;
    let request = match timeout(timeouts.header, http::read_request(&mut stream)).await {
        Ok(Ok(request)) => request,
        Ok(Err(RequestError::Abandoned(_))) => return EgressOutcome::Abandoned,
        Ok(Err(RequestError::Malformed)) => return refuse(stream, EgressOutcome::Malformed).await,
        Ok(Err(RequestError::TooLarge)) => return refuse(stream, EgressOutcome::TooLarge).await,
        Err(_) => return refuse(stream, EgressOutcome::TooSlow).await,
    };
    match request.method {
        Method::Connect => match connect(&request, &config, shared).await {
            Ok(host) => {
                drop(config);
                if stream.write_all(http::TUNNEL_OPEN).await.is_err() {
                    return EgressOutcome::EnclaveLost;
                }
                let patience = Patience { first: timeouts.idle, idle: timeouts.idle };
                let (watch, traffic) = (&shared.silence, &shared.egress_traffic);
                relay(stream, host, request.rest, watch, patience, traffic).await.into()
            }
            Err(outcome) => refuse(stream, outcome).await,
        },
        Method::Get if request.target == "/deployment" => {
            deployment(stream, config.deployment.as_deref()).await
        }
        Method::Get | Method::Other => refuse(stream, EgressOutcome::NotFound).await,
    }
}

/// Steps 4 to 6.
async fn connect(
    request: &Request,
    config: &Config,
    shared: &Shared,
) -> Result<Stream, EgressOutcome> {
    let target = Target::parse(request).ok_or(EgressOutcome::Malformed)?;
    let egress = config.egress.as_ref().ok_or(EgressOutcome::NotAllowed)?;
    let allowed = egress.allow_list.find(target.host, target.port).ok_or_else(|| {
        // Only a well-formed name is worth a line, and only that is safe in one.
        let named = if is_host_name(target.host) { target.host } else { "not a host name" };
        info!(host = named, port = target.port, "host is not on the allow-list");
        EgressOutcome::NotAllowed
    })?;
    let stream = resolve::connect(&target, allowed, &config.timeouts, &shared.resolver).await;
    stream.inspect_err(|outcome| {
        info!(host = target.host, reason = outcome.word(), "host not reached");
    })
}

/// Serves the file as it is now: a reload of it needs no reload of ours.
async fn deployment(mut stream: Stream, path: Option<&Path>) -> EgressOutcome {
    let Some(path) = path else {
        return refuse(stream, EgressOutcome::NotFound).await;
    };
    match read_deployment(path).await {
        Ok(bytes) => {
            match http::answer(&mut stream, Status::Ok, "application/json", &bytes).await {
                Ok(()) => EgressOutcome::Deployment,
                Err(_) => EgressOutcome::EnclaveLost,
            }
        }
        Err(error) => {
            warn!(kind = ?error.kind(), "deployment configuration not served");
            refuse(stream, EgressOutcome::DeploymentUnavailable).await
        }
    }
}

async fn read_deployment(path: &Path) -> io::Result<Vec<u8>> {
    let len_max = u64::try_from(DEPLOYMENT_LEN_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(len_max + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > DEPLOYMENT_LEN_MAX {
        Err(io::ErrorKind::FileTooLarge.into())
    } else {
        Ok(bytes)
    }
}

/// Answers with the outcome's status and word.
async fn refuse(mut stream: Stream, outcome: EgressOutcome) -> EgressOutcome {
    let body = format!("{}\n", outcome.word());
    let answered =
        http::answer(&mut stream, status(outcome), "text/plain; charset=utf-8", body.as_bytes());
    if let Err(error) = answered.await {
        debug!(kind = ?error.kind(), reason = outcome.word(), "refusal not delivered");
    }
    outcome
}

/// Exhaustive on purpose: a new outcome does not compile until it has a status.
const fn status(outcome: EgressOutcome) -> Status {
    match outcome {
        EgressOutcome::Malformed => Status::BadRequest,
        EgressOutcome::TooLarge => Status::HeaderFieldsTooLarge,
        EgressOutcome::TooSlow => Status::RequestTimeout,
        EgressOutcome::NotFound => Status::NotFound,
        EgressOutcome::NotAllowed | EgressOutcome::PrivateAddress | EgressOutcome::RefusedCid => {
            Status::Forbidden
        }
        EgressOutcome::LookupFailed | EgressOutcome::ConnectFailed => Status::BadGateway,
        EgressOutcome::LookupTimeout | EgressOutcome::ConnectTimeout => Status::GatewayTimeout,
        EgressOutcome::DeploymentUnavailable | EgressOutcome::RefusedTotal => {
            Status::ServiceUnavailable
        }
        EgressOutcome::Closed
        | EgressOutcome::EnclaveLost
        | EgressOutcome::HostLost
        | EgressOutcome::Idle
        | EgressOutcome::Deployment
        | EgressOutcome::Abandoned => Status::Ok,
    }
}
