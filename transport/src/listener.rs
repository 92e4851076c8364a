//! The listening end.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{TcpListener, TcpSocket, UnixListener, lookup_host};
use tokio::time::sleep;
use tokio_vsock::{VsockAddr, VsockListener};

use crate::address::hybrid_guest_path;
use crate::backoff::{AcceptErrorKind, Backoff};
use crate::hybrid::HubListener;
use crate::limits::BACKLOG_LEN;
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
    Tcp(TcpListener),
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
            Address::Tcp { host, port } => Inner::Tcp(bind_tcp(host, *port).await?),
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
            Inner::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::tcp(stream))
            }
            Inner::Unix(bound) => bound.listener().accept().await.map(|(s, _)| Stream::unix(s)),
            Inner::HybridHost { bound, .. } => {
                bound.listener().accept().await.map(|(s, _)| Stream::hybrid(s))
            }
            Inner::HybridGuest(listener) => listener.accept().await.map(Stream::hybrid),
            Inner::Vsock(listener) => listener.accept().await.map(|(s, _)| Stream::vsock(s)),
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
            Inner::Tcp(listener) => {
                let at = listener.local_addr()?;
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

async fn bind_tcp(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for at in lookup_host((host, port)).await? {
        match bind_tcp_at(at) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_tcp_at(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections in TIME_WAIT of a predecessor must not keep us from starting.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(u32::try_from(BACKLOG_LEN).unwrap_or(u32::MAX))
}

/// A Unix listener and the file it owns.
#[derive(Debug)]
pub(crate) struct BoundUnix {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of our file: another's is never removed.
    file: (u64, u64),
}

impl BoundUnix {
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        remove_stale(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before bind, this is the mode that the file will be made with.
        rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        rustix::net::listen(&socket, BACKLOG_LEN)?;
        Self::adopt(socket, path)
    }

    fn adopt(socket: OwnedFd, path: &Path) -> io::Result<Self> {
        let file = identity(path)?;
        let listener = UnixListener::from_std(socket.into())?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    pub(crate) const fn listener(&self) -> &UnixListener {
        &self.listener
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
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        Err(rustix::io::Errno::CONNREFUSED) => std::fs::remove_file(path),
        // Connected, or its queue is full: somebody is there.
        Ok(()) | Err(rustix::io::Errno::AGAIN) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error.into()),
    }
}
