//! A wire tap: TCP in, TCP out, and a copy of every byte each side sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards connections to a target and keeps what was said.
#[derive(Debug)]
pub struct Tap {
    pub addr: SocketAddr,
    connections: Arc<Mutex<Vec<Arc<Mutex<Recorded>>>>>,
}

/// The bytes of one connection, by direction.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
}

impl Tap {
    /// Listens on a free port and forwards to `target`.
    pub fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(target)) else {
                    continue;
                };
                let recorded = Arc::new(Mutex::new(Recorded::default()));
                kept.lock().unwrap().push(Arc::clone(&recorded));
                let (client2, server2) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let up = Arc::clone(&recorded);
                thread::spawn(move || {
                    copy(client, server, |bytes| up.lock().unwrap().to_server.extend(bytes));
                });
                thread::spawn(move || {
                    copy(server2, client2, |bytes| {
                        recorded.lock().unwrap().to_client.extend(bytes);
                    });
                });
            }
        });
        Self { addr, connections }
    }

    /// What was said so far, a connection each.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.connections.lock().unwrap().iter().map(|one| one.lock().unwrap().clone()).collect()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        keep(&buffer[..read]);
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
