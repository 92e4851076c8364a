//! One connection, of any kind.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::limits::VSOCK_WRITE_LEN_MAX;
use crate::socket::Socket;

/// A connection to the other side, or to a customer.
///
/// `poll_shutdown` closes the writing half alone: the peer reads to the end and
/// may go on sending. Dropping closes both halves.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The peer, and this end where it is known without asking.
    Tcp(SocketAddr, Option<SocketAddr>),
    Unix,
    /// A Unix socket with a vhost device behind it, so a vsock all the same.
    Hybrid,
    Vsock {
        cid: u32,
        port: u32,
    },
}

/// Who is at the other end, as far as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    Tcp(SocketAddr),
    Vsock {
        cid: u32,
        port: u32,
    },
    /// Unix and hybrid sockets: a process of this machine.
    Local,
}

impl Stream {
    pub(crate) const fn tcp(socket: Socket, peer: SocketAddr, local: Option<SocketAddr>) -> Self {
        Self { socket, kind: Kind::Tcp(peer, local) }
    }

    pub(crate) const fn unix(socket: Socket) -> Self {
        Self { socket, kind: Kind::Unix }
    }

    pub(crate) const fn hybrid(socket: Socket) -> Self {
        Self { socket, kind: Kind::Hybrid }
    }

    pub(crate) const fn vsock(socket: Socket, cid: u32, port: u32) -> Self {
        Self { socket, kind: Kind::Vsock { cid, port } }
    }

    /// The other end.
    pub const fn peer(&self) -> Peer {
        match self.kind {
            Kind::Tcp(peer, _) => Peer::Tcp(peer),
            Kind::Unix | Kind::Hybrid => Peer::Local,
            Kind::Vsock { cid, port } => Peer::Vsock { cid, port },
        }
    }

    /// This end of a TCP connection; `None` for every other kind.
    pub fn local_socket_addr(&self) -> Option<SocketAddr> {
        match self.kind {
            Kind::Tcp(_, Some(local)) => Some(local),
            Kind::Tcp(_, None) => rustix::net::getsockname(self.socket.fd()?).ok()?.try_into().ok(),
            Kind::Unix | Kind::Hybrid | Kind::Vsock { .. } => None,
        }
    }

    /// Makes the close that follows a reset, so that the other end knows at once
    /// that nobody reads what it sends. Only TCP knows the difference.
    ///
    /// # Errors
    ///
    /// What `setsockopt` says; the close is an ordinary one then.
    pub fn reset_on_drop(&self) -> io::Result<()> {
        if let (Kind::Tcp(..), Some(fd)) = (self.kind, self.socket.fd()) {
            rustix::net::sockopt::set_socket_linger(fd, Some(std::time::Duration::ZERO))?;
        }
        Ok(())
    }

    pub(crate) fn set_nodelay(&self) -> io::Result<()> {
        let fd = self.socket.fd().ok_or(io::ErrorKind::NotConnected)?;
        Ok(rustix::net::sockopt::set_tcp_nodelay(fd, true)?)
    }

    /// The largest single write.
    const fn write_len_max(&self) -> usize {
        match self.kind {
            Kind::Tcp(..) | Kind::Unix => usize::MAX,
            Kind::Hybrid | Kind::Vsock { .. } => VSOCK_WRITE_LEN_MAX,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().socket.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let buf = buf.get(..this.write_len_max()).unwrap_or(buf);
        this.socket.poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_write_vectored() {
            return self.get_mut().socket.poll_write(cx, bufs);
        }
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
        self.poll_write(cx, first)
    }

    fn is_write_vectored(&self) -> bool {
        self.write_len_max() == usize::MAX
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is held back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown_write())
    }
}
