//! The listening end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix};
use tokio::net::lookup_host;
use tokio::time::sleep;
use tokio_vsock::{VsockAddr, VsockListener};

use crate::address::hybrid_guest_path;
use crate::backoff::{AcceptErrorKind, Backoff};
use crate::hybrid::HubListener;
use crate::limits::BACKLOG_LEN;
use crate::socket::{self, Acceptor, Socket};
use crate::{Address, Side, Stream};

/// Accepts connections on an [`Address`].
///
/// A Unix or hybrid listener owns its socket file: it is made with mode 0600,
/// replaces a stale one that nobody answers on, and goes away with the listener.
#[derive(Debug)]
pub struct Listener {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    /// With its address, unless that is one for each connection.
    Tcp(Acceptor, Option<SocketAddr>),
    Unix(BoundUnix),
    /// The host's end: the device connects to us for each guest connection.
    HybridHost {
        bound: BoundUnix,
        path: PathBuf,
        port: u32,
    },
    /// The guest's end, played by this process.
    HybridGuest(HubListener),
    Vsock(VsockListener),
}

impl Listener {
    /// Binds and listens. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where somebody listens already, `AlreadyExists` where the
    /// path holds something that is not a socket, and what the system says.
    pub async fn bind(address: &Address, side: Side) -> io::Result<Self> {
        let inner = match address {
            Address::Tcp { host, port } => {
                let acceptor = bind_tcp(host, *port).await?;
                let local = SocketAddr::try_from(rustix::net::getsockname(acceptor.fd())?)?;
                Inner::Tcp(acceptor, Some(local).filter(|at| !at.ip().is_unspecified()))
            }
            Address::Unix(path) => Inner::Unix(BoundUnix::bind(path)?),
            Address::Hybrid { path, port } => match side {
                Side::Parent => Inner::HybridHost {
                    bound: BoundUnix::bind(&hybrid_guest_path(path, *port))?,
                    path: path.clone(),
                    port: *port,
                },
                Side::Enclave => Inner::HybridGuest(HubListener::bind(path, *port)?),
            },
            Address::Vsock { cid, port } => {
                let listener = VsockListener::bind(VsockAddr::new(*cid, *port))?;
                // The crate listens with 128; a second call only sets the length.
                rustix::net::listen(&listener, BACKLOG_LEN)?;
                Inner::Vsock(listener)
            }
        };
        Ok(Self { inner })
    }

    /// The next connection. Cancel safe.
    ///
    /// # Errors
    ///
    /// What `accept` says. Loops use [`accept_next`](Self::accept_next), which
    /// knows what to do about it.
    pub async fn accept(&self) -> io::Result<Stream> {
        match &self.inner {
            Inner::Tcp(acceptor, local) => {
                let (socket, peer) = acceptor.accept().await?;
                // A peer that is gone already has no address any more.
                let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
                Ok(Stream::tcp(Socket::accepted(socket, true)?, peer, *local))
            }
            Inner::Unix(bound) => bound.accept().await.map(Stream::unix),
            Inner::HybridHost { bound, .. } => bound.accept().await.map(Stream::hybrid),
            Inner::HybridGuest(listener) => listener.accept().await,
            Inner::Vsock(listener) => {
                let (stream, at) = poll_fn(|cx| listener.poll_accept_std(cx)).await?;
                stream.set_nonblocking(true)?;
                Ok(Stream::vsock(Socket::accepted(stream.into(), false)?, at.cid(), at.port()))
            }
        }
    }

    /// The next connection, whatever it takes: an error is told to `on_error`
    /// and, unless only the peer had gone, waited out with `backoff`. Never
    /// ends a loop and never spins it. Cancel safe.
    pub async fn accept_next(
        &self,
        backoff: &mut Backoff,
        mut on_error: impl FnMut(AcceptErrorKind, &io::Error),
    ) -> Stream {
        loop {
            match self.accept().await {
                Ok(stream) => {
                    backoff.reset();
                    return stream;
                }
                Err(error) => {
                    let kind = AcceptErrorKind::of(&error);
                    on_error(kind, &error);
                    if kind != AcceptErrorKind::Gone {
                        sleep(backoff.step()).await;
                    }
                }
            }
        }
    }

    /// Where this listens; a TCP port 0 has become the port it got.
    ///
    /// # Errors
    ///
    /// What `getsockname` says.
    pub fn local_address(&self) -> io::Result<Address> {
        Ok(match &self.inner {
            Inner::Tcp(acceptor, _) => {
                let at = SocketAddr::try_from(rustix::net::getsockname(acceptor.fd())?)?;
                Address::Tcp { host: at.ip().to_string(), port: at.port() }
            }
            Inner::Unix(bound) => Address::Unix(bound.path.clone()),
            Inner::HybridHost { path, port, .. } => {
                Address::Hybrid { path: path.clone(), port: *port }
            }
            Inner::HybridGuest(hub) => {
                Address::Hybrid { path: hub.path().to_owned(), port: hub.port() }
            }
            Inner::Vsock(listener) => {
                let at = listener.local_addr()?;
                Address::Vsock { cid: at.cid(), port: at.port() }
            }
        })
    }
}

async fn bind_tcp(host: &str, port: u16) -> io::Result<Acceptor> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for at in lookup_host((host, port)).await? {
        match bind_tcp_at(at) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_tcp_at(at: SocketAddr) -> io::Result<Acceptor> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket::open(family)?;
    // Connections in TIME_WAIT of a predecessor must not keep us from starting.
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted sockets inherit it.
    rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &at)?;
    rustix::net::listen(&socket, BACKLOG_LEN)?;
    Acceptor::new(socket)
}

/// A Unix listener and the file it owns.
#[derive(Debug)]
pub(crate) struct BoundUnix {
    acceptor: Acceptor,
    path: PathBuf,
    /// Device and inode of our file: another's is never removed.
    file: (u64, u64),
}

impl BoundUnix {
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = socket::open(AddressFamily::UNIX)?;
        // Before bind, this is the mode that the file will be made with.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, BACKLOG_LEN)?;
        Self::adopt(socket, path)
    }

    fn adopt(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let file = identity(path)?;
        Ok(Self { acceptor: Acceptor::new(socket)?, path: path.to_owned(), file })
    }

    pub(crate) async fn accept(&self) -> io::Result<Socket> {
        let (socket, _) = self.acceptor.accept().await?;
        Socket::accepted(socket, true)
    }
}

impl BoundUnix {
    /// Removes our file. The open socket keeps its inode, so that another's
    /// file is never taken for ours.
    pub(crate) fn unlink(&self) {
        if identity(&self.path).is_ok_and(|file| file == self.file)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::debug!(kind = ?error.kind(), "socket file not removed");
        }
    }
}

impl Drop for BoundUnix {
    fn drop(&mut self) {
        self.unlink();
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok((meta.dev(), meta.ino()))
}

/// Removes a socket that refuses connections; anything else is left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !meta.file_type().is_socket() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let probe = socket::open(AddressFamily::UNIX)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(rustix::io::Errno::CONNREFUSED) => std::fs::remove_file(path),
        // Connected, or its queue is full: somebody is there.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error.into()),
    }
}
