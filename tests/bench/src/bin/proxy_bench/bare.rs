//! The least that a relay in user space can do: wait, read, write, for one
//! connection at a time, without limits, accounting or half-close. What it
//! takes on the same processors is the price of being a process in between.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketType, sockopt};

/// Serves until the process ends.
pub(crate) fn run(port: u16, to: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    loop {
        let (near, _) = listener.accept()?;
        near.set_nodelay(true)?;
        let far = connect(to)?;
        let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wanted = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&events, &near, epoll::EventData::new_u64(0), wanted)?;
        epoll::add(&events, &far, epoll::EventData::new_u64(1), wanted)?;
        // A client that breaks off is the client's business.
        drop(copy(&events, near.as_fd(), far.as_fd()));
    }
}

fn connect(to: &str) -> io::Result<rustix::fd::OwnedFd> {
    if let Some(port) = to.strip_prefix("tcp://127.0.0.1:").and_then(|port| port.parse().ok()) {
        let far = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::connect(&far, &std::net::SocketAddr::from(([127, 0, 0, 1], port)))?;
        sockopt::set_tcp_nodelay(&far, true)?;
        return Ok(far);
    }
    let path = to.strip_prefix("unix://").unwrap_or(to);
    let far = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::net::connect(&far, &SocketAddrUnix::new(path)?)?;
    Ok(far)
}

fn copy(
    events: &rustix::fd::OwnedFd,
    near: rustix::fd::BorrowedFd<'_>,
    far: rustix::fd::BorrowedFd<'_>,
) -> io::Result<()> {
    let mut ready = Vec::with_capacity(8);
    let mut buf = [0; 4096];
    loop {
        ready.clear();
        epoll::wait(events, spare_capacity(&mut ready), None)?;
        for event in &ready {
            let (from, to) = if event.data.u64() == 0 { (near, far) } else { (far, near) };
            let (len, _) = rustix::net::recv(from, &mut buf, RecvFlags::empty())?;
            if len == 0 {
                return Ok(());
            }
            rustix::net::send(to, buf.get(..len).unwrap_or_default(), SendFlags::NOSIGNAL)?;
        }
    }
}
