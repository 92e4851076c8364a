//! A wire tap: bytes in, bytes out, and a copy of every byte each side sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use memchr::memmem;

/// Forwards connections to a target and keeps what was said.
#[derive(Debug)]
pub struct Tap {
    pub addr: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    connections: Arc<Mutex<Vec<Arc<Mutex<Recorded>>>>>,
}

/// The bytes of one connection, by direction.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
    /// How much of `to_server` had passed when the server last said more than goodbye.
    answered_at: usize,
}

impl Recorded {
    /// What the client sent after the server's last answer.
    pub fn after_the_answer(&self) -> &[u8] {
        &self.to_server[self.answered_at..]
    }
}

impl Tap {
    /// Listens on a free port and forwards to `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(target));
        let connections = Arc::new(Mutex::new(Vec::new()));
        let (kept, to) = (Arc::clone(&connections), Arc::clone(&target));
        thread::spawn(move || {
            for client in listener.incoming() {
                let to = *to.lock().unwrap();
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                let up = Arc::new(Mutex::new(Recorded::default()));
                kept.lock().unwrap().push(Arc::clone(&up));
                let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let down = Arc::clone(&up);
                thread::spawn(move || {
                    copy(client, server, |bytes| up.lock().unwrap().to_server.extend(bytes));
                });
                thread::spawn(move || {
                    copy(server2, client2, |bytes| {
                        let mut recorded = down.lock().unwrap();
                        recorded.to_client.extend(bytes);
                        if bytes.len() > GOODBYE_LEN {
                            recorded.answered_at = recorded.to_server.len();
                        }
                    });
                });
            }
        });
        Self { addr, target, connections }
    }

    /// A tap whose target is not known yet.
    pub fn waiting() -> Self {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    /// Where connections go from now on.
    pub fn forward_to(&self, target: SocketAddr) {
        *self.target.lock().unwrap() = target;
    }

    /// What was said so far, a connection each.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.connections.lock().unwrap().iter().map(|one| one.lock().unwrap().clone()).collect()
    }

    /// How many bytes passed, and whether `needle` was among them.
    pub fn heard(&self, needle: &[u8]) -> (usize, bool) {
        let recorded = self.recorded();
        let streams = || recorded.iter().flat_map(|one| [&one.to_server, &one.to_client]);
        let found = streams().any(|bytes| memmem::find(bytes, needle).is_some());
        (streams().map(Vec::len).sum(), found)
    }
}

/// A TLS alert under encryption: five bytes of head, and two with their type and tag.
const GOODBYE_LEN: usize = 5 + ALERT_LEN;
/// The length of an encrypted alert's record (RFC 8446 section 5.2).
pub const ALERT_LEN: usize = 2 + 1 + 16;

fn copy(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 {
            break;
        }
        // Before it is passed on, so that whoever acts on it finds it recorded.
        keep(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    drop(to.shutdown(Shutdown::Write));
}

/// The lengths of the TLS application-data records in a byte stream (RFC 8446 section 5.1).
pub fn application_records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            lengths.push(length);
        }
        bytes = rest.get(length..).unwrap_or_default();
    }
    lengths
}
