//! One host's socket: each connection to it becomes a tunnel through the parent.

use std::io;
use std::path::Path;

use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;
use transport::Address;

use super::connect;
use crate::engine_api::EgressParts;

/// Listens at `path` and bridges until told to stop.
pub(super) fn serve(path: &Path, host: &'static str, parts: &EgressParts) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    let (to, tasks, stop) = (parts.to.clone(), parts.tasks.clone(), parts.stop.clone());
    parts.tasks.spawn(async move {
        let mut backoff = transport::Backoff::default();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    backoff = transport::Backoff::default();
                    let (to, stop) = (to.clone(), stop.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = bridge(stream, to, host) => {}
                        }
                    });
                }
                Err(_) => tokio::time::sleep(backoff.step()).await,
            }
        }
    });
    Ok(())
}

/// Ends by closing its end: the client sees a connection that failed.
async fn bridge(mut client: UnixStream, to: Address, host: &'static str) {
    match connect::open(&to, host).await {
        Ok(mut tunnel) => {
            // A cut connection is the client's to notice; TLS tells it from an end.
            drop(copy_bidirectional(&mut client, &mut tunnel).await);
        }
        Err(error) => warn!(host, %error, "no tunnel"),
    }
}
