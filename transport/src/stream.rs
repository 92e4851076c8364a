//! One connection, of any kind.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_vsock::VsockStream;

use crate::limits::VSOCK_WRITE_LEN_MAX;

/// A connection to the other side, or to a customer.
///
/// `poll_shutdown` closes the writing half alone: the peer reads to the end and
/// may go on sending. Dropping closes both halves.
#[derive(Debug)]
pub struct Stream {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// A Unix socket with a vhost device behind it, so a vsock all the same.
    Hybrid(UnixStream),
    Vsock(VsockStream),
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
    pub(crate) const fn tcp(stream: TcpStream) -> Self {
        Self { inner: Inner::Tcp(stream) }
    }

    pub(crate) const fn unix(stream: UnixStream) -> Self {
        Self { inner: Inner::Unix(stream) }
    }

    pub(crate) const fn hybrid(stream: UnixStream) -> Self {
        Self { inner: Inner::Hybrid(stream) }
    }

    pub(crate) const fn vsock(stream: VsockStream) -> Self {
        Self { inner: Inner::Vsock(stream) }
    }

    /// The other end.
    ///
    /// # Errors
    ///
    /// The peer is already gone.
    pub fn peer(&self) -> io::Result<Peer> {
        match &self.inner {
            Inner::Tcp(stream) => stream.peer_addr().map(Peer::Tcp),
            Inner::Unix(_) | Inner::Hybrid(_) => Ok(Peer::Local),
            Inner::Vsock(stream) => {
                let address = stream.peer_addr()?;
                Ok(Peer::Vsock { cid: address.cid(), port: address.port() })
            }
        }
    }

    /// This end of a TCP connection; `None` for every other kind.
    pub fn local_socket_addr(&self) -> Option<SocketAddr> {
        match &self.inner {
            Inner::Tcp(stream) => stream.local_addr().ok(),
            Inner::Unix(_) | Inner::Hybrid(_) | Inner::Vsock(_) => None,
        }
    }
}

impl From<TcpStream> for Stream {
    /// For connections that were made elsewhere; `TCP_NODELAY` is up to them.
    fn from(stream: TcpStream) -> Self {
        Self::tcp(stream)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.inner {
            Inner::Tcp(stream) => stream.as_fd(),
            Inner::Unix(stream) | Inner::Hybrid(stream) => stream.as_fd(),
            Inner::Vsock(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Unix(stream) | Inner::Hybrid(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Vsock(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Inner::Hybrid(stream) => Pin::new(stream).poll_write(cx, clamp(buf)),
            Inner::Vsock(stream) => Pin::new(stream).poll_write(cx, clamp(buf)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match &mut this.inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Inner::Hybrid(_) | Inner::Vsock(_) => {
                let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| buf);
                Pin::new(this).poll_write(cx, first)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.inner, Inner::Tcp(_) | Inner::Unix(_))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // No kind holds anything back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            Inner::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Unix(stream) | Inner::Hybrid(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Vsock(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn clamp(buf: &[u8]) -> &[u8] {
    buf.get(..VSOCK_WRITE_LEN_MAX).unwrap_or(buf)
}
