//! The relay alone, between sockets whose other ends misbehave.

use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parent_proxy::relay::{End, Meter, Patience, relay};
use parent_proxy::silence::Watch;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

use crate::common::SOON;

const BULK_LEN: usize = 1 << 20;
const PATIENCE: Patience =
    Patience { first: Duration::from_hours(1), idle: Duration::from_hours(1) };

#[derive(Default)]
struct Counted {
    far: AtomicUsize,
    near: AtomicUsize,
}

impl Meter for Counted {
    fn towards_far(&self, bytes: usize) {
        self.far.fetch_add(bytes, Ordering::Relaxed);
    }

    fn towards_near(&self, bytes: usize) {
        self.near.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Relays between two sockets while `ends` plays their other ends.
async fn between<S: AsyncRead + AsyncWrite + Unpin, T>(
    near: S,
    far: S,
    lead: &[u8],
    ends: impl Future<Output = T>,
) -> (End, T, Counted) {
    let counted = Counted::default();
    let watch = Arc::new(Watch::default());
    let relaying = relay(near, far, lead.to_vec(), &watch, PATIENCE, &counted);
    let both = timeout(SOON, async { tokio::join!(relaying, ends) });
    let (end, told) = both.await.expect("hangs");
    (end, told, counted)
}

fn pairs() -> (UnixStream, UnixStream, UnixStream, UnixStream) {
    let (near, near_end) = UnixStream::pair().unwrap();
    let (far, far_end) = UnixStream::pair().unwrap();
    (near, near_end, far, far_end)
}

fn shut(stream: UnixStream, how: Shutdown) -> UnixStream {
    let stream = stream.into_std().unwrap();
    stream.shutdown(how).unwrap();
    UnixStream::from_std(stream).unwrap()
}

#[tokio::test]
async fn the_lead_goes_out_in_one_write_with_what_is_there() {
    let (near, mut near_end) = tokio::io::duplex(64);
    let (far, mut far_end) = tokio::io::duplex(64);
    near_end.write_all(b"hello").await.unwrap();
    let ends = async {
        let mut first = [0; 64];
        let read = far_end.read(&mut first).await.unwrap();
        drop((near_end, far_end));
        first[..read].to_vec()
    };
    let (end, first, counted) = between(near, far, b"lead:", ends).await;
    assert_eq!(first, b"lead:hello");
    assert_eq!(end, End::Closed);
    assert_eq!(counted.far.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn the_lead_does_not_wait_for_a_silent_client() {
    let (near, near_end, far, mut far_end) = pairs();
    let ends = async {
        let mut first = [0; 5];
        far_end.read_exact(&mut first).await.unwrap();
        drop((near_end, far_end));
        first
    };
    let (_, first, _) = between(near, far, b"lead:", ends).await;
    assert_eq!(&first, b"lead:");
}

#[tokio::test]
async fn a_far_side_that_stops_reading_is_still_heard_to_the_end() {
    let (near, mut near_end, far, far_end) = pairs();
    let ends = async move {
        let mut far_end = shut(far_end, Shutdown::Read);
        let answer = async {
            far_end.write_all(&vec![9; BULK_LEN]).await.unwrap();
            far_end.shutdown().await.unwrap();
            far_end
        };
        let client = async {
            // More than any queue holds, to a side that takes nothing.
            near_end.write_all(&vec![7; BULK_LEN]).await.unwrap();
            let mut back = Vec::new();
            near_end.read_to_end(&mut back).await.unwrap();
            back.len()
        };
        tokio::join!(client, answer).0
    };
    let (end, back, counted) = between(near, far, b"", ends).await;
    assert_eq!(back, BULK_LEN);
    assert_eq!(counted.near.load(Ordering::Relaxed), BULK_LEN);
    assert_eq!(end, End::FarLost);
}

#[tokio::test]
async fn a_near_side_that_stops_reading_is_still_heard_to_the_end() {
    let (near, near_end, far, mut far_end) = pairs();
    let ends = async move {
        let mut near_end = shut(near_end, Shutdown::Read);
        let server = async {
            far_end.write_all(&vec![9; BULK_LEN]).await.unwrap();
            let mut there = Vec::new();
            far_end.read_to_end(&mut there).await.unwrap();
            there.len()
        };
        let client = async {
            near_end.write_all(&vec![7; BULK_LEN]).await.unwrap();
            near_end.shutdown().await.unwrap();
            near_end
        };
        tokio::join!(server, client).0
    };
    let (end, there, counted) = between(near, far, b"", ends).await;
    assert_eq!(there, BULK_LEN);
    assert_eq!(counted.far.load(Ordering::Relaxed), BULK_LEN);
    assert_eq!(end, End::NearLost);
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_never_closes_does_not_hold_a_dead_client() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the client of a test is nobody's dialler")]
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (near, _) = listener.accept().await.unwrap();
    let (far, mut far_end) = UnixStream::pair().unwrap();
    let counted = Counted::default();
    let watch = Arc::new(Watch::default());
    let relaying = relay(near, far, Vec::new(), &watch, PATIENCE, &counted);
    let ends = async {
        let mut client = client;
        client.write_all(b"last words").await.unwrap();
        let mut words = [0; 10];
        far_end.read_exact(&mut words).await.unwrap();
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        // The end is passed on; this side hears it and stays.
        assert_eq!(far_end.read(&mut words).await.unwrap(), 0);
        far_end
    };
    let (end, _far_end) = tokio::join!(relaying, ends);
    assert_eq!(end, End::NearLost);
}

#[tokio::test]
async fn both_directions_are_full_at_once_and_nothing_locks() {
    let (near, near_end, far, far_end) = pairs();
    let pump = |stream: UnixStream, byte: u8| async move {
        let (mut from, mut to) = stream.into_split();
        let sending = async {
            to.write_all(&vec![byte; 8 * BULK_LEN]).await.unwrap();
            to.shutdown().await.unwrap();
        };
        let receiving = async {
            let mut all = Vec::new();
            from.read_to_end(&mut all).await.unwrap();
            all
        };
        tokio::join!(sending, receiving).1
    };
    let ends = async { tokio::join!(pump(near_end, 1), pump(far_end, 2)) };
    let (end, (at_near, at_far), _) = between(near, far, b"", ends).await;
    assert_eq!(end, End::Closed);
    assert_eq!((at_near.len(), at_far.len()), (8 * BULK_LEN, 8 * BULK_LEN));
    assert!(at_near.iter().all(|byte| *byte == 2) && at_far.iter().all(|byte| *byte == 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_given_less_time_for_its_first_byte_than_later() {
    let watch = Arc::new(Watch::default());
    let mut looking = tokio::task::JoinSet::new();
    let looker = Arc::clone(&watch);
    looking.spawn(async move { looker.run().await });
    let patience = Patience { first: Duration::from_secs(5), idle: Duration::from_secs(50) };
    for (says, end, waits_secs) in [(&b""[..], End::Silent, 5), (b"x", End::Idle, 50)] {
        let (near, mut near_end) = tokio::io::duplex(64);
        let (far, mut far_end) = tokio::io::duplex(64);
        near_end.write_all(says).await.unwrap();
        // The other side's words are no excuse.
        far_end.write_all(b"hello").await.unwrap();
        let start = tokio::time::Instant::now();
        let counted = Counted::default();
        let got = relay(near, far, b"lead".to_vec(), &watch, patience, &counted).await;
        assert_eq!(got, end);
        // On the paused clock this is the rule itself and no measurement.
        let waited = start.elapsed().as_secs();
        assert!((waits_secs..=waits_secs + 2).contains(&waited), "{waited} s");
    }
}
