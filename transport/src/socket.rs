//! A non-blocking socket under the runtime's reactor, registered for what it
//! needs and no more.
//!
//! Most sockets are never asked to wait for room to write, and a Unix or vsock
//! peer that takes a byte wakes everybody who waits for room. So a socket is
//! registered for reading alone; the first write that would block registers it
//! for writing too. A call is tried before it is waited for, because a fresh
//! connection usually has its first bytes already.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, Waker, ready};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrAny, SocketFlags,
    SocketType,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, ReadBuf};

/// `socket` as we want every socket.
pub(crate) fn open(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe because a descriptor might be closed or exchanged while \
              it is registered; an OwnedFd that nobody else can reach is neither"
)]
fn register(socket: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, interest)
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct Socket {
    /// `None` only if it could not be registered again.
    registered: Option<AsyncFd<OwnedFd>>,
    /// Not read from yet: the reactor has not said anything either.
    fresh: bool,
    /// Registered for writing as well.
    waits_to_write: bool,
    /// A short read means that there is no more for now.
    short_read_is_last: bool,
    /// Who waits to read, for when the registration is replaced.
    reader: Option<Waker>,
}

impl Socket {
    /// Takes an accepted socket over. It must not block.
    pub(crate) fn accepted(socket: OwnedFd, short_read_is_last: bool) -> io::Result<Self> {
        Ok(Self { fresh: true, ..Self::connected(socket, short_read_is_last)? })
    }

    /// As [`accepted`](Self::accepted), for one whose peer has hardly spoken yet.
    pub(crate) fn connected(socket: OwnedFd, short_read_is_last: bool) -> io::Result<Self> {
        Ok(Self {
            registered: Some(register(socket, Interest::READABLE)?),
            fresh: false,
            waits_to_write: false,
            short_read_is_last,
            reader: None,
        })
    }

    /// Connects a new socket. Cancel safe.
    pub(crate) async fn connect(
        family: AddressFamily,
        to: &impl rustix::net::addr::SocketAddrArg,
        short_read_is_last: bool,
    ) -> io::Result<Self> {
        let socket = open(family)?;
        match rustix::net::connect(&socket, to) {
            Ok(()) => Self::connected(socket, short_read_is_last),
            Err(Errno::INPROGRESS) => {
                let socket = register(socket, Interest::READABLE | Interest::WRITABLE)?;
                // Writable is how the reactor says that connecting is over.
                socket.writable().await?.retain_ready();
                rustix::net::sockopt::socket_error(socket.get_ref())??;
                Ok(Self {
                    registered: Some(socket),
                    fresh: false,
                    waits_to_write: true,
                    short_read_is_last,
                    reader: None,
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn get(&self) -> io::Result<&AsyncFd<OwnedFd>> {
        self.registered.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.fresh) {
            match receive(self.get()?, buf) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                read => return Poll::Ready(read.map(|_| ()).map_err(Into::into)),
            }
        }
        loop {
            let socket = self.get()?;
            let Poll::Ready(guard) = socket.poll_read_ready(cx) else {
                if !self.waits_to_write
                    && !self.reader.as_ref().is_some_and(|reader| reader.will_wake(cx.waker()))
                {
                    self.reader = Some(cx.waker().clone());
                }
                return Poll::Pending;
            };
            let mut guard = guard?;
            let room = buf.remaining();
            match receive(socket, buf) {
                Ok(len) => {
                    if self.short_read_is_last && len > 0 && len < room {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if !self.waits_to_write {
                match send(self.get()?, bufs) {
                    Err(Errno::AGAIN) => self.wait_to_write()?,
                    Err(Errno::INTR) => {}
                    sent => return Poll::Ready(sent.map_err(Into::into)),
                }
                continue;
            }
            let socket = self.get()?;
            let mut guard = ready!(socket.poll_write_ready(cx))?;
            match send(socket, bufs) {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                sent => return Poll::Ready(sent.map_err(Into::into)),
            }
        }
    }

    /// Registers for writing too. The old registration dies with its wakers, so
    /// whoever waits to read is called to wait on the new one.
    fn wait_to_write(&mut self) -> io::Result<()> {
        if let Some(socket) = self.registered.take() {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.registered = Some(register(socket.into_inner(), both)?);
        }
        self.waits_to_write = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Ok(())
    }

    pub(crate) fn shutdown_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self.get()?, rustix::net::Shutdown::Write)?)
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.registered.as_ref().map(AsyncFd::as_fd)
    }
}

fn receive(socket: &AsyncFd<OwnedFd>, buf: &mut ReadBuf<'_>) -> Result<usize, Errno> {
    // One that is initialised already, like a relay's, costs nothing here.
    let (len, _) = rustix::net::recv(socket, buf.initialize_unfilled(), RecvFlags::empty())?;
    buf.advance(len);
    Ok(len)
}

fn send(socket: &AsyncFd<OwnedFd>, bufs: &[io::IoSlice<'_>]) -> Result<usize, Errno> {
    match bufs {
        [one] => rustix::net::send(socket, one, SendFlags::NOSIGNAL),
        many => {
            let mut space: [MaybeUninit<u8>; 0] = [];
            let mut control = SendAncillaryBuffer::new(&mut space);
            rustix::net::sendmsg(socket, many, &mut control, SendFlags::NOSIGNAL)
        }
    }
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Acceptor(AsyncFd<OwnedFd>);

impl Acceptor {
    /// Takes a listening socket over. It must not block.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        register(socket, Interest::READABLE).map(Self)
    }

    /// Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<(OwnedFd, Option<SocketAddrAny>)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let mut guard = self.0.readable().await?;
            match rustix::net::acceptfrom_with(&self.0, flags) {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => {}
                accepted => return Ok(accepted?),
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
