//! The handshake of hybrid vsock, and the device's part of it.
//!
//! ```text
//! host  → device   CONNECT 5000\n
//! host  ← device   OK 1073741824\n      then bytes, both ways
//! ```
//!
//! The device closes the connection where nobody listens on the port. One path
//! carries every port of a guest, so the listeners of one process that share a
//! path share a [`Hub`]: it alone accepts, and hands each connection to the
//! listener of the port it names.
//!
//! # Limits
//!
//! A line has at most 32 bytes and arrives within five seconds. It is read byte
//! by byte, since what follows belongs to the stream.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::Stream;
use crate::address::parse_vsock_port;
use crate::backoff::{AcceptErrorKind, Backoff};
use crate::limits::{
    HYBRID_HANDSHAKE_TIMEOUT, HYBRID_HANDSHAKES_MAX, HYBRID_LINE_LEN_MAX, HYBRID_QUEUE_LEN_MAX,
};
use crate::listener::BoundUnix;

/// The host's part: names the port, reads the answer.
pub(crate) async fn request(stream: &mut Stream, port: u32) -> io::Result<()> {
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let line = match read_line(stream).await {
        // The device closes where nobody listens.
        Err(error) if is_closed(&error) => return Err(io::ErrorKind::ConnectionRefused.into()),
        line => line?,
    };
    let answered = line.strip_prefix("OK ").is_some_and(|port| parse_vsock_port(port).is_ok());
    if answered { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The device's part, first half: the port that the host asks for.
async fn read_request(stream: &mut Stream) -> io::Result<u32> {
    let line = read_line(stream).await?;
    line.strip_prefix("CONNECT ")
        .and_then(|port| parse_vsock_port(port).ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// One line without its newline. Reads nothing past it.
async fn read_line(stream: &mut Stream) -> io::Result<String> {
    let mut line = [0; HYBRID_LINE_LEN_MAX];
    let mut len = 0;
    while let Some(slot) = line.get_mut(len..=len) {
        if stream.read(slot).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if slot == b"\n" {
            let text = line.get(..len).and_then(|text| std::str::from_utf8(text).ok());
            return text.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into());
        }
        len += 1;
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}

/// The hubs of this process by path.
static HUBS: Mutex<Option<HashMap<PathBuf, Weak<Hub>>>> = Mutex::new(None);

/// The device's end of one path: accepts, reads the port, hands over.
#[derive(Debug)]
struct Hub {
    path: PathBuf,
    bound: Arc<BoundUnix>,
    ports: Arc<Ports>,
    /// Ends with the hub.
    #[expect(dead_code, reason = "held so that dropping the hub stops its loop")]
    task: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Ports(Mutex<HashMap<u32, Sender<Stream>>>);

impl Ports {
    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Sender<Stream>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One port of a hub.
#[derive(Debug)]
pub(crate) struct HubListener {
    hub: Arc<Hub>,
    port: u32,
    queue: tokio::sync::Mutex<Receiver<Stream>>,
}

impl HubListener {
    /// Joins the hub of `path` or starts it.
    pub(crate) fn bind(path: &Path, port: u32) -> io::Result<Self> {
        let mut guard = HUBS.lock().unwrap_or_else(PoisonError::into_inner);
        let hubs = guard.get_or_insert_default();
        hubs.retain(|_, hub| hub.strong_count() > 0);
        let hub = if let Some(hub) = hubs.get(path).and_then(Weak::upgrade) {
            hub
        } else {
            let hub = Arc::new(Hub::start(path)?);
            hubs.insert(path.to_owned(), Arc::downgrade(&hub));
            hub
        };
        let (sender, receiver) = mpsc::channel(HYBRID_QUEUE_LEN_MAX);
        {
            let mut ports = hub.ports.lock();
            if ports.contains_key(&port) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            ports.insert(port, sender);
        }
        Ok(Self { hub, port, queue: tokio::sync::Mutex::new(receiver) })
    }

    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        // The hub lives as long as this listener and so does the sender.
        self.queue.lock().await.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.hub.path
    }

    pub(crate) const fn port(&self) -> u32 {
        self.port
    }
}

impl Drop for HubListener {
    fn drop(&mut self) {
        self.hub.ports.lock().remove(&self.port);
    }
}

impl Hub {
    fn start(path: &Path) -> io::Result<Self> {
        let bound = Arc::new(BoundUnix::bind(path)?);
        let ports = Arc::new(Ports::default());
        let mut task = JoinSet::new();
        task.spawn(serve(Arc::clone(&bound), Arc::clone(&ports)));
        Ok(Self { path: path.to_owned(), bound, ports, task })
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // The loop lets its socket go only when it is next polled; the path
        // must be free for a successor now.
        self.bound.unlink();
    }
}

async fn serve(bound: Arc<BoundUnix>, ports: Arc<Ports>) {
    let mut backoff = Backoff::new();
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        if handshakes.len() >= HYBRID_HANDSHAKES_MAX {
            handshakes.join_next().await;
            continue;
        }
        match bound.accept().await.map(Stream::hybrid) {
            Ok(stream) => {
                backoff.reset();
                handshakes.spawn(handshake(stream, Arc::clone(&ports)));
            }
            Err(error) => {
                debug!(kind = ?AcceptErrorKind::of(&error), "hybrid accept failed");
                if AcceptErrorKind::of(&error) != AcceptErrorKind::Gone {
                    sleep(backoff.step()).await;
                }
            }
        }
    }
}

/// Closing the stream is the refusal: a device says no more either.
async fn handshake(mut stream: Stream, ports: Arc<Ports>) {
    let done = timeout(HYBRID_HANDSHAKE_TIMEOUT, async {
        let port = read_request(&mut stream).await?;
        let sender = ports.lock().get(&port).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
        let place = sender.try_reserve_owned().map_err(|_| io::ErrorKind::QuotaExceeded)?;
        // The number is the host's port on a real device; nobody reads it.
        stream.write_all(b"OK 1073741824\n").await?;
        io::Result::Ok(place)
    })
    .await;
    match done {
        Ok(Ok(place)) => {
            place.send(stream);
        }
        Ok(Err(error)) => debug!(kind = ?error.kind(), "hybrid handshake refused"),
        Err(_) => debug!("hybrid handshake too slow"),
    }
}
