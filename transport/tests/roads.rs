//! Every kind of address, over real sockets: bytes, half-close in both orders,
//! large writes, and what a hostile or absent peer gets.

#![expect(clippy::unwrap_used, reason = "the helpers of a test are part of the test")]

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use transport::{Address, Backoff, Listener, Peer, Side, Stream, dial, probe};

const BULK_LEN: usize = 1 << 20;

/// Guards a test against hanging; no test expects it to pass.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_mins(1), what).await.expect("hangs")
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Both ends of a connection: who listened, who dialled.
async fn pair(listen: &Address, listening: Side, dialling: Side) -> (Listener, Stream, Stream) {
    let listener = Listener::bind(listen, listening).await.unwrap();
    let at = match (listen, listener.local_address().unwrap()) {
        (Address::Vsock { port, .. }, _) => Address::Vsock { cid: probe::CID_LOCAL, port: *port },
        (_, at) => at,
    };
    let (accepted, dialled) =
        soon(async { tokio::join!(listener.accept(), dial(&at, dialling)) }).await;
    (listener, accepted.unwrap(), dialled.unwrap())
}

/// One end sends a mebibyte and closes its half, the other answers with as
/// much; then the same with the parts exchanged.
async fn half_closes_both_ways(listen: &Address, listening: Side, dialling: Side) {
    for accepted_first in [true, false] {
        let (listener, accepted, dialled) = pair(listen, listening, dialling).await;
        let (first, second) =
            if accepted_first { (accepted, dialled) } else { (dialled, accepted) };
        let opening = async move {
            let mut first = first;
            first.write_all(&vec![7; BULK_LEN]).await.unwrap();
            first.shutdown().await.unwrap();
            let mut back = Vec::new();
            first.read_to_end(&mut back).await.unwrap();
            back.len()
        };
        let answering = async move {
            let mut second = second;
            let mut there = Vec::new();
            second.read_to_end(&mut there).await.unwrap();
            second.write_all(&vec![9; BULK_LEN + 1]).await.unwrap();
            second.shutdown().await.unwrap();
            there.len()
        };
        let (back, there) = soon(async { tokio::join!(opening, answering) }).await;
        assert_eq!((there, back), (BULK_LEN, BULK_LEN + 1), "{listen} {accepted_first}");
        drop(listener);
    }
}

#[tokio::test]
async fn every_local_kind_half_closes_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().display();
    let unix = address(&format!("unix://{path}/u.sock"));
    let hybrid = address(&format!("hvsock://{path}/h.sock:52"));
    half_closes_both_ways(&address("tcp://127.0.0.1:0"), Side::Enclave, Side::Parent).await;
    half_closes_both_ways(&address("tcp://[::1]:0"), Side::Enclave, Side::Parent).await;
    half_closes_both_ways(&unix, Side::Enclave, Side::Parent).await;
    half_closes_both_ways(&hybrid, Side::Enclave, Side::Parent).await;
    half_closes_both_ways(&hybrid, Side::Parent, Side::Enclave).await;
}

#[tokio::test]
async fn vsock_loopback_half_closes_both_ways() {
    if let Err(reason) = probe::vsock_loopback(52_001).await {
        probe::skip("vsock loopback in transport", &reason).unwrap();
        return;
    }
    half_closes_both_ways(&address("vsock://any:52002"), Side::Enclave, Side::Parent).await;
}

/// Reader and writer of one stream in two tasks, both directions full: the
/// first write that blocks must not lose the reader that waits meanwhile.
#[tokio::test]
async fn split_halves_in_two_tasks_never_lose_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let unix = address(&format!("unix://{}/u.sock", dir.path().display()));
    let hybrid = address(&format!("hvsock://{}/h.sock:52", dir.path().display()));
    for listen in [address("tcp://127.0.0.1:0"), unix, hybrid] {
        let (_listener, accepted, dialled) = pair(&listen, Side::Enclave, Side::Parent).await;
        let mut tasks = tokio::task::JoinSet::new();
        for stream in [accepted, dialled] {
            let (mut from, mut to) = tokio::io::split(stream);
            tasks.spawn(async move {
                let mut all = Vec::new();
                from.read_to_end(&mut all).await.unwrap();
                all.len()
            });
            tasks.spawn(async move {
                // Lets every reader wait first.
                tokio::task::yield_now().await;
                to.write_all(&vec![3; 8 * BULK_LEN]).await.unwrap();
                to.shutdown().await.unwrap();
                8 * BULK_LEN
            });
        }
        while let Some(len) = soon(tasks.join_next()).await {
            assert_eq!(len.unwrap(), 8 * BULK_LEN, "{listen}");
        }
    }
}

#[tokio::test]
async fn writes_towards_an_enclave_are_at_most_16_kib() {
    let dir = tempfile::tempdir().unwrap();
    let hybrid = address(&format!("hvsock://{}/h.sock:52", dir.path().display()));
    let unix = address(&format!("unix://{}/u.sock", dir.path().display()));
    let big = vec![1; 20_000];
    let (_listener, _accepted, mut dialled) = pair(&hybrid, Side::Enclave, Side::Parent).await;
    assert_eq!(dialled.write(&big).await.unwrap(), 16 * 1024);
    let parts = [io::IoSlice::new(&[]), io::IoSlice::new(&big), io::IoSlice::new(&big)];
    assert_eq!(dialled.write_vectored(&parts).await.unwrap(), 16 * 1024);
    assert!(!dialled.is_write_vectored());
    let (_listener, _accepted, mut dialled) = pair(&unix, Side::Enclave, Side::Parent).await;
    assert_eq!(dialled.write(&big).await.unwrap(), big.len());
}

#[tokio::test]
async fn peers_are_named_as_the_kernel_knows_them() {
    let dir = tempfile::tempdir().unwrap();
    let unix = address(&format!("unix://{}/u.sock", dir.path().display()));
    let (_listener, accepted, dialled) =
        pair(&address("tcp://127.0.0.1:0"), Side::Enclave, Side::Parent).await;
    let Peer::Tcp(client) = accepted.peer() else { panic!("not tcp") };
    assert_eq!(dialled.local_socket_addr(), Some(client));
    let (_listener, accepted, _dialled) = pair(&unix, Side::Enclave, Side::Parent).await;
    assert_eq!(accepted.peer(), Peer::Local);
    assert_eq!(accepted.local_socket_addr(), None);
}

#[tokio::test]
async fn a_socket_file_is_private_and_goes_with_its_listener() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.sock");
    let at = Address::Unix(path.clone());
    let listener = Listener::bind(&at, Side::Enclave).await.unwrap();
    let meta = std::fs::metadata(&path).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_nothing_else_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.sock");
    let at = Address::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves its file");
    let live = Listener::bind(&at, Side::Enclave).await.unwrap();

    let taken = Listener::bind(&at, Side::Enclave).await.unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    // Our own probe of the taken path is in the queue; the listener lives on.
    soon(dial(&at, Side::Parent)).await.unwrap();
    drop(live);

    std::fs::write(&path, "a file").unwrap();
    let file = Listener::bind(&at, Side::Enclave).await.unwrap_err();
    assert_eq!(file.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&path).unwrap(), b"a file");
}

#[tokio::test]
async fn a_listener_leaves_a_file_that_took_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.sock");
    let first = Listener::bind(&Address::Unix(path.clone()), Side::Enclave).await.unwrap();
    std::fs::rename(&path, dir.path().join("moved.sock")).unwrap();
    let second = Listener::bind(&Address::Unix(path.clone()), Side::Enclave).await.unwrap();
    let inode = std::fs::metadata(&path).unwrap().ino();
    drop(first);
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), inode);
    drop(second);
}

#[tokio::test]
async fn one_hybrid_path_carries_several_ports() {
    let dir = tempfile::tempdir().unwrap();
    let at = |port: u32| Address::Hybrid { path: dir.path().join("h.sock"), port };
    let api = Listener::bind(&at(5000), Side::Enclave).await.unwrap();
    let health = Listener::bind(&at(5001), Side::Enclave).await.unwrap();
    let twice = Listener::bind(&at(5000), Side::Enclave).await.unwrap_err();
    assert_eq!(twice.kind(), io::ErrorKind::AddrInUse);

    for (listener, port, byte) in [(&health, 5001, b'h'), (&api, 5000, b'a')] {
        let here = at(port);
        let (accepted, dialled) =
            soon(async { tokio::join!(listener.accept(), dial(&here, Side::Parent)) }).await;
        dialled.unwrap().write_u8(byte).await.unwrap();
        assert_eq!(accepted.unwrap().read_u8().await.unwrap(), byte);
    }

    let nobody = soon(dial(&at(5002), Side::Parent)).await.unwrap_err();
    assert_eq!(nobody.kind(), io::ErrorKind::ConnectionRefused);
    drop(health);
    let gone = soon(dial(&at(5001), Side::Parent)).await.unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::ConnectionRefused);
    drop(api);
    assert!(!dir.path().join("h.sock").exists(), "the last port takes the path with it");
    let again = Listener::bind(&at(5000), Side::Enclave).await.unwrap();
    drop(again);
}

/// What a raw client of a hybrid path gets for `line`: everything until the end.
async fn answer_to(path: &Path, line: &[u8]) -> Vec<u8> {
    let mut raw = UnixStream::connect(path).await.unwrap();
    raw.write_all(line).await.unwrap();
    let mut answer = Vec::new();
    // Closing with bytes unread is a reset, which is a refusal as well.
    if let Err(error) = soon(raw.read_to_end(&mut answer)).await {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    answer
}

#[tokio::test]
async fn a_malformed_hybrid_request_is_closed_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.sock");
    let at = Address::Hybrid { path: path.clone(), port: 5000 };
    let listener = Listener::bind(&at, Side::Enclave).await.unwrap();
    for line in [
        &b"connect 5000\n"[..],
        b"CONNECT\n",
        b"CONNECT 5000 \n",
        b"CONNECT  5000\n",
        b"CONNECT 05000\n",
        b"CONNECT -1\n",
        b"CONNECT 4294967295\n",
        b"CONNECT 4294967296\n",
        b"CONNECT 5000\r\n",
        b"\xff\xfe\n",
        b"\n",
        b"CONNECT 00000000000000000000000000000000000000000000000000\n",
        &[b'x'; 4096],
    ] {
        assert!(answer_to(&path, line).await.is_empty(), "{line:?}");
    }
    let (accepted, dialled) =
        soon(async { tokio::join!(listener.accept(), dial(&at, Side::Parent)) }).await;
    assert!(accepted.is_ok() && dialled.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_hybrid_host_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.sock");
    let at = Address::Hybrid { path: path.clone(), port: 5000 };
    let _listener = Listener::bind(&at, Side::Enclave).await.unwrap();
    let mut silent = UnixStream::connect(&path).await.unwrap();
    silent.write_all(b"CONNECT 50").await.unwrap();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn bytes_behind_the_handshake_belong_to_the_stream() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.sock");
    let at = Address::Hybrid { path: path.clone(), port: 5000 };
    let listener = Listener::bind(&at, Side::Enclave).await.unwrap();
    let mut raw = UnixStream::connect(&path).await.unwrap();
    raw.write_all(b"CONNECT 5000\nhello").await.unwrap();
    let mut accepted = soon(listener.accept()).await.unwrap();
    let mut first = [0; 5];
    soon(accepted.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"hello");
}

/// Dials a device that answers `line`.
async fn dial_device_that_says(line: &'static [u8]) -> io::Result<Stream> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.sock");
    let device = UnixListener::bind(&path).unwrap();
    let answering = async {
        let (mut stream, _) = device.accept().await.unwrap();
        let mut request = [0; 13];
        stream.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b"CONNECT 5000\n");
        stream.write_all(line).await.unwrap();
        stream
    };
    let at = Address::Hybrid { path: path.clone(), port: 5000 };
    let (kept, dialled) = tokio::join!(
        async {
            if line.is_empty() {
                drop(answering.await);
                None
            } else {
                Some(answering.await)
            }
        },
        dial(&at, Side::Parent)
    );
    drop(kept);
    dialled
}

#[tokio::test(start_paused = true)]
async fn a_device_that_answers_wrongly_is_refused_by_kind() {
    for (line, want) in [
        (&b"OK 7\n"[..], None),
        (b"", Some(io::ErrorKind::ConnectionRefused)),
        (b"ok 7\n", Some(io::ErrorKind::InvalidData)),
        (b"OK\n", Some(io::ErrorKind::InvalidData)),
        (b"OK x\n", Some(io::ErrorKind::InvalidData)),
        (b"HTTP/1.1 200 OK\r\n", Some(io::ErrorKind::InvalidData)),
        (b"OK 11111111111111111111111111111111111", Some(io::ErrorKind::InvalidData)),
        (b"OK ", Some(io::ErrorKind::TimedOut)),
    ] {
        let got = dial_device_that_says(line).await.err().map(|error| error.kind());
        assert_eq!(got, want, "{line:?}");
    }
}

#[tokio::test]
async fn dialling_waits_for_a_place_in_a_full_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u.sock");
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::UNIX,
        rustix::net::SocketType::STREAM,
        None,
    )
    .unwrap();
    rustix::net::bind(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 1).unwrap();
    let at = Address::Unix(path);
    let mut queued = Vec::new();
    // The kernel lets one more than the backlog in.
    for _ in 0..2 {
        queued.push(soon(dial(&at, Side::Parent)).await.unwrap());
    }
    let listener = std::os::unix::net::UnixListener::from(socket);
    let mut waiting = std::pin::pin!(dial(&at, Side::Parent));
    let first = futures_poll(waiting.as_mut()).await;
    assert!(first.is_none(), "the queue was not full");
    let taken = listener.accept().unwrap();
    soon(waiting).await.unwrap();
    drop(taken);
}

/// Polls once.
async fn futures_poll<F: Future>(mut what: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match what.as_mut().poll(cx) {
            std::task::Poll::Ready(out) => Some(out),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn accept_next_gives_connections_one_after_another() {
    let listener = Listener::bind(&address("tcp://127.0.0.1:0"), Side::Enclave).await.unwrap();
    let at = listener.local_address().unwrap();
    let mut backoff = Backoff::new();
    for _ in 0..3 {
        let (_accepted, dialled) = soon(async {
            tokio::join!(
                listener.accept_next(&mut backoff, |kind, error| panic!("{kind:?} {error}")),
                dial(&at, Side::Parent)
            )
        })
        .await;
        assert!(dialled.is_ok());
    }
}
