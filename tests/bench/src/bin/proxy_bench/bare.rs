//! The least that a relay in user space can do: wait, read, write, without a
//! runtime, limits, accounting, time-outs or backpressure. What it takes on the
//! same processors is the price of being a process in between.

use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrUnix, SocketType};
use rustix::net::{SocketFlags, sockopt};

const LISTENER: u64 = u64::MAX;

/// Two sockets, and how many of them have ended.
struct Pair {
    ends: [OwnedFd; 2],
    ended: u8,
}

/// Serves until the process ends.
pub(crate) fn run(port: u16, to: &str) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    rustix::net::listen(&listener, 4096)?;
    listener.set_nonblocking(true)?;
    sockopt::set_tcp_nodelay(&listener, true)?;
    let events = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&events, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut pairs: HashMap<u64, Pair> = HashMap::new();
    let mut next = 0;
    let mut ready = Vec::with_capacity(256);
    let mut buf = vec![0; 64 * 1024];
    loop {
        ready.clear();
        epoll::wait(&events, spare_capacity(&mut ready), None)?;
        for event in &ready {
            let data = event.data.u64();
            if data == LISTENER {
                while let Ok(near) = rustix::net::accept_with(&listener, SocketFlags::CLOEXEC) {
                    let pair = Pair { ends: [near, connect(to)?], ended: 0 };
                    for (end, id) in pair.ends.iter().zip([next, next + 1]) {
                        epoll::add(&events, end, EventData::new_u64(id), EventFlags::IN)?;
                    }
                    pairs.insert(next, pair);
                    next += 2;
                }
                continue;
            }
            let (first, second) = (data & !1, data & 1 == 1);
            let Some(pair) = pairs.get_mut(&first) else { continue };
            let [near, far] = &pair.ends;
            let (from, to) = if second { (far, near) } else { (near, far) };
            if moved(from, to, &mut buf) {
                continue;
            }
            pair.ended += 1;
            if pair.ended == 2 {
                pairs.remove(&first);
            } else {
                epoll::delete(&events, from)?;
                rustix::net::shutdown(to, Shutdown::Write)?;
            }
        }
    }
}

/// Moves what is there; `false` at the end, or once an end is gone.
fn moved(from: &OwnedFd, to: &OwnedFd, buf: &mut [u8]) -> bool {
    match rustix::net::recv(from, &mut *buf, RecvFlags::empty()) {
        Ok((len, _)) if len > 0 => {
            rustix::net::send(to, buf.get(..len).unwrap_or_default(), SendFlags::NOSIGNAL).is_ok()
        }
        _ => false,
    }
}

fn connect(to: &str) -> io::Result<OwnedFd> {
    if let Some(port) = to.strip_prefix("tcp://127.0.0.1:").and_then(|port| port.parse().ok()) {
        let far = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
        rustix::net::connect(&far, &std::net::SocketAddr::from(([127, 0, 0, 1], port)))?;
        sockopt::set_tcp_nodelay(far.as_fd(), true)?;
        return Ok(far);
    }
    let path = to.strip_prefix("unix://").unwrap_or(to);
    let far = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::net::connect(&far, &SocketAddrUnix::new(path)?)?;
    Ok(far)
}
