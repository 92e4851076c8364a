//! The dialling end.

use std::io;
use std::path::Path;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_vsock::{VsockAddr, VsockStream};

use crate::address::hybrid_guest_path;
use crate::limits::{DIAL_RETRY_MAX, DIAL_RETRY_MIN, HYBRID_HANDSHAKE_TIMEOUT};
use crate::{Address, Side, Stream, hybrid};

/// Connects to `address`.
///
/// A TCP name is resolved by the system and every address it has is tried. A
/// Unix listener whose queue is full is tried again until the caller gives up,
/// so callers put a time-out around this. Cancel safe: nothing stays open.
///
/// # Errors
///
/// What the system says; `InvalidData` if a hybrid device answers something
/// else than `OK n`, `TimedOut` if it does not answer, `ConnectionRefused` if
/// it closes instead, since that is how it says that no one listens.
pub async fn dial(address: &Address, side: Side) -> io::Result<Stream> {
    match address {
        Address::Vsock { cid, port } => {
            let stream = VsockStream::connect(VsockAddr::new(*cid, *port)).await?;
            Ok(Stream::vsock(stream))
        }
        Address::Hybrid { path, port } => match side {
            Side::Parent => {
                let mut stream = dial_unix(path).await?;
                timeout(HYBRID_HANDSHAKE_TIMEOUT, hybrid::request(&mut stream, *port))
                    .await
                    .map_err(|_| io::ErrorKind::TimedOut)??;
                Ok(Stream::hybrid(stream))
            }
            Side::Enclave => dial_unix(&hybrid_guest_path(path, *port)).await.map(Stream::hybrid),
        },
        Address::Unix(path) => dial_unix(path).await.map(Stream::unix),
        Address::Tcp { host, port } => {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the dialler that everything else must go through"
            )]
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::tcp(stream))
        }
    }
}

async fn dial_unix(path: &Path) -> io::Result<UnixStream> {
    let mut wait = DIAL_RETRY_MIN;
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(wait).await;
                wait = DIAL_RETRY_MAX.min(wait * 2);
            }
            settled => return settled,
        }
    }
}
