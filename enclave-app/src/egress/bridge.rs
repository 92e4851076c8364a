//! One host's socket: each connection to it becomes a tunnel through the parent.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
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
async fn bridge(client: UnixStream, to: Address, host: &'static str) {
    match connect::open(&to, host).await {
        Ok(tunnel) => relay(client, tunnel).await,
        Err(error) => warn!(host, %error, "no tunnel"),
    }
}

/// Copies both ways. The end of one direction is passed on at once, and the other may go on for
/// a while: a client that is gone for good must not keep a tunnel open.
async fn relay<T: AsyncRead + AsyncWrite>(mut client: UnixStream, tunnel: T) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_host, mut to_host) = tokio::io::split(tunnel);
    let up = async {
        // A cut connection is the client's to notice; TLS tells it from an end.
        drop(copy(&mut from_client, &mut to_host).await);
        drop(to_host.shutdown().await);
    };
    let down = async {
        drop(copy(&mut from_host, &mut to_client).await);
        drop(to_client.shutdown().await);
    };
    let (mut up, mut down) = (pin!(up), pin!(down));
    tokio::select! {
        () = &mut up => drop(timeout(LINGER, down).await),
        () = &mut down => drop(timeout(LINGER, up).await),
    }
}

/// How long one direction may go on alone.
const LINGER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_end_of_one_direction_reaches_the_other_side_and_answers_still_come() {
        let (mut client, end) = UnixStream::pair().unwrap();
        let (tunnel, mut host) = duplex(64);
        let talking = async {
            client.write_all(b"question").await.unwrap();
            client.shutdown().await.unwrap();
            let mut question = Vec::new();
            host.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, b"question");
            host.write_all(b"answer").await.unwrap();
            drop(host);
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"answer");
        };
        tokio::join!(relay(end, tunnel), talking);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_gone_does_not_keep_the_tunnel_open() {
        let (client, end) = UnixStream::pair().unwrap();
        let (tunnel, mut host) = duplex(64);
        drop(client);
        relay(end, tunnel).await;
        assert_eq!(host.read(&mut [0]).await.unwrap(), 0);
        assert!(host.write_all(b"too late").await.is_err());
    }
}
