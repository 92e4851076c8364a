//! A stand-in for the parent: answers CONNECT, and relays or does not.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{Address, Listener, Side, Stream};

/// What it does with the next connections.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Opens a tunnel to one address, whatever host was asked for.
    Relay(SocketAddr),
    /// Says this and closes.
    Answer(&'static str),
}

#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) address: Address,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    behaviour: Mutex<Behaviour>,
    asked: Mutex<Vec<String>>,
    open: watch::Sender<usize>,
}

impl Parent {
    pub(crate) async fn relaying(to: SocketAddr) -> Self {
        let listener =
            Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap(), Side::Parent).await.unwrap();
        let address = listener.local_address().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Behaviour::Relay(to)),
            asked: Mutex::default(),
            open: watch::Sender::new(0),
        });
        let stop = CancellationToken::new();
        let (tasks, parent, stopped) = (TaskTracker::new(), Arc::clone(&shared), stop.clone());
        tasks.clone().spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = stopped.cancelled() => return,
                    accepted = listener.accept() => accepted.unwrap(),
                };
                let (parent, stopped) = (Arc::clone(&parent), stopped.clone());
                tasks.spawn(async move {
                    parent.open.send_modify(|open| *open += 1);
                    tokio::select! {
                        () = stopped.cancelled() => {}
                        () = parent.serve(accepted) => {}
                    }
                    parent.open.send_modify(|open| *open -= 1);
                });
            }
        });
        Self { address, shared, stop }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// Targets of CONNECT so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Connections from the enclave.
    pub(crate) fn open(&self) -> usize {
        *self.shared.open.borrow()
    }

    pub(crate) async fn until_open(&self, wanted: usize) {
        self.shared.open.subscribe().wait_for(|open| *open == wanted).await.unwrap();
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    async fn serve(&self, mut enclave: Stream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = enclave.read_u8().await else { return };
            head.push(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
        self.asked.lock().unwrap().push(target.to_owned());
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Answer(answer) => drop(enclave.write_all(answer.as_bytes()).await),
            Behaviour::Relay(to) => {
                let Ok(mut exchange) = transport::dial_tcp(to).await else { return };
                if enclave.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_ok() {
                    drop(copy_bidirectional(&mut enclave, &mut exchange).await);
                }
            }
        }
    }
}
