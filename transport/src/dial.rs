//! The dialling end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tokio_vsock::{VsockAddr, VsockStream};

use crate::address::hybrid_guest_path;
use crate::limits::{DIAL_RETRY_MAX, DIAL_RETRY_MIN, HYBRID_HANDSHAKE_TIMEOUT};
use crate::socket::Socket;
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
            Ok(Stream::vsock(Socket::connected(stream.into(), false)?, *cid, *port))
        }
        Address::Hybrid { path, port } => match side {
            Side::Parent => {
                let mut stream = Stream::hybrid(dial_unix(path).await?);
                timeout(HYBRID_HANDSHAKE_TIMEOUT, hybrid::request(&mut stream, *port))
                    .await
                    .map_err(|_| io::ErrorKind::TimedOut)??;
                Ok(stream)
            }
            Side::Enclave => dial_unix(&hybrid_guest_path(path, *port)).await.map(Stream::hybrid),
        },
        Address::Unix(path) => dial_unix(path).await.map(Stream::unix),
        Address::Tcp { host, port } => {
            let mut last = io::Error::from(io::ErrorKind::NotFound);
            for at in lookup_host((host.as_str(), *port)).await? {
                match dial_tcp(at).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

/// Connects to one TCP address; nothing is looked up. Cancel safe.
///
/// # Errors
///
/// What the system says. It sets no time-out.
pub async fn dial_tcp(at: SocketAddr) -> io::Result<Stream> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = Socket::connect(family, &at, true).await?;
    let stream = Stream::tcp(socket, at, None);
    stream.set_nodelay()?;
    Ok(stream)
}

async fn dial_unix(path: &Path) -> io::Result<Socket> {
    let at = SocketAddrUnix::new(path)?;
    let mut wait = DIAL_RETRY_MIN;
    loop {
        match Socket::connect(AddressFamily::UNIX, &at, true).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(wait).await;
                wait = DIAL_RETRY_MAX.min(wait * 2);
            }
            settled => return settled,
        }
    }
}
