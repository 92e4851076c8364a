//! Customers' connections through a real proxy: half-close, crowds, aborts,
//! storms and limits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::common::{Behaviour, Enclave, Proxy, config, connect, until};
use rustix::net::sockopt::set_socket_linger;

const BULK_LEN: usize = 1 << 20;
const CLOSED: &str = "pa_proxy_ingress_connections_total{outcome=\"closed\"}";
const CLIENT_LOST: &str = "pa_proxy_ingress_connections_total{outcome=\"client_lost\"}";
const OPEN: &str = "pa_proxy_connections_open{road=\"ingress\"}";

/// Every kind of road that works on every machine.
fn roads(dir: &std::path::Path) -> [String; 3] {
    let dir = dir.display();
    [
        "tcp://127.0.0.1:0".to_owned(),
        format!("unix://{dir}/e.sock"),
        format!("hvsock://{dir}/v.sock:5000"),
    ]
}

fn echo(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(message).unwrap();
    let mut back = vec![0; message.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, message);
}

/// Whether the other end closed or reset the connection.
fn is_over(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 16]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_client_that_ends_first_gets_the_whole_answer() {
    let dir = tempfile::tempdir().unwrap();
    for road in roads(dir.path()) {
        let enclave = Enclave::start(&road, Behaviour::ReadThenSend(BULK_LEN + 1));
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
        let mut client = connect(proxy.customer());
        client.write_all(&vec![7; BULK_LEN]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert_eq!(back.len(), BULK_LEN + 1, "{road}");
        let seen = enclave.wait_for(1);
        assert_eq!(seen, [(Some(client.local_addr().unwrap()), BULK_LEN)], "{road}");
        proxy.wait_for_metric(CLOSED, 1);
        let sent = "pa_proxy_bytes_total{road=\"ingress\",direction=\"from_enclave\"}";
        assert_eq!(proxy.metric(sent), u64::try_from(BULK_LEN + 1).unwrap());
    }
}

#[test]
fn an_enclave_that_ends_first_still_reads_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    for road in roads(dir.path()) {
        let enclave = Enclave::start(&road, Behaviour::SendThenRead(BULK_LEN));
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
        let mut client = connect(proxy.customer());
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert_eq!(back.len(), BULK_LEN, "{road}");
        client.write_all(&vec![7; BULK_LEN + 2]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(enclave.wait_for(1)[0].1, BULK_LEN + 2, "{road}");
        proxy.wait_for_metric(CLOSED, 1);
    }
}

#[test]
fn two_thousand_connections_are_served_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for road in roads(dir.path()) {
        let enclave = Enclave::start(&road, Behaviour::Echo);
        let more = "[limits]\ningress_connections_per_address = 2000\n";
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
        let mut clients: Vec<_> = (0..2000).map(|_| connect(proxy.customer())).collect();
        // All are open before any is answered.
        for client in &mut clients {
            client.write_all(b"here").unwrap();
        }
        for client in &mut clients {
            let mut back = [0; 4];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"here", "{road}");
        }
        assert_eq!(proxy.metric(OPEN), 2000, "{road}");
        drop(clients);
        proxy.wait_for_metric(CLOSED, 2000);
        proxy.wait_for_metric(OPEN, 0);
    }
}

#[test]
fn five_hundred_aborted_connections_leave_no_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    for road in roads(dir.path()) {
        let enclave = Enclave::start(&road, Behaviour::Echo);
        let more = "[limits]\ningress_connections_per_address = 1000\n";
        let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
        echo(&mut connect(proxy.customer()), b"first");
        proxy.wait_for_metric(OPEN, 0);
        let before = proxy.descriptors();
        let mut clients: Vec<_> = (0..500).map(|_| connect(proxy.customer())).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            // A third never says anything, a third has a conversation, a third
            // has bytes on their way both ways.
            match index % 3 {
                0 => {}
                1 => echo(client, b"hello"),
                _ => client.write_all(&vec![1; 50_000]).unwrap(),
            }
            set_socket_linger(&*client, Some(Duration::ZERO)).unwrap();
        }
        drop(clients);
        until(|| proxy.descriptors() <= before, || format!("{} descriptors", proxy.descriptors()));
        proxy.wait_for_metric(OPEN, 0);
        until(
            || proxy.metric(CLIENT_LOST) + proxy.metric(CLOSED) == 501,
            || format!("{} and {}", proxy.metric(CLIENT_LOST), proxy.metric(CLOSED)),
        );
        echo(&mut connect(proxy.customer()), b"still here");
    }
}

#[test]
fn a_storm_of_accept_errors_neither_ends_nor_spins_the_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
    // Their descriptors are the room that is given back in the end.
    let mut held: Vec<_> = (0..10).map(|_| connect(proxy.customer())).collect();
    for client in &mut held {
        echo(client, b"before");
    }

    // No room for one more: were there any, a connection could be taken out of
    // the queue, find none left to dial with, and be ended, until the queue is empty.
    proxy.limit_descriptors(u64::try_from(proxy.descriptors()).unwrap() - 1);
    let waiting: Vec<_> = (0..200).map(|_| connect(proxy.customer())).collect();

    let before = proxy.cpu_ticks();
    // Time itself is the subject: what does the loop do while it lasts?
    std::thread::sleep(Duration::from_secs(2));
    let spent = proxy.cpu_ticks() - before;
    // A spinning loop takes about 200 ticks of 10 ms; a backed-off one next to none.
    assert!(spent < 50, "{spent} ticks of CPU in two seconds of accept errors");

    for client in &mut held {
        echo(client, b"still in");
    }
    drop((held, waiting));
    until(
        || {
            // Whatever was left in the queue ends as well.
            let mut client = connect(proxy.customer());
            client.write_all(b"after").is_ok() && client.read_exact(&mut [0; 5]).is_ok()
        },
        || "never served again".to_owned(),
    );
    let exhausted = "pa_proxy_accept_errors_total{road=\"ingress\",kind=\"exhausted\"}";
    assert!(proxy.metric(exhausted) > 0);
}

#[test]
fn one_address_cannot_take_more_than_its_share() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let more = "[limits]\ningress_connections = 5\ningress_connections_per_address = 3\n";
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut clients: Vec<_> = (0..3).map(|_| connect(proxy.customer())).collect();
    for client in &mut clients {
        echo(client, b"in");
    }

    assert!(is_over(&mut connect(proxy.customer())));
    proxy.wait_for_metric("pa_proxy_ingress_connections_total{outcome=\"refused_address\"}", 1);
    // The others are untouched, and a freed place is taken again.
    for client in &mut clients {
        echo(client, b"still in");
    }
    clients.truncate(2);
    proxy.wait_for_metric(OPEN, 2);
    echo(&mut connect(proxy.customer()), b"in again");
}

#[test]
fn the_total_is_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let more = "[limits]\ningress_connections = 2\n";
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut clients: Vec<_> = (0..2).map(|_| connect(proxy.customer())).collect();
    for client in &mut clients {
        echo(client, b"in");
    }
    assert!(is_over(&mut connect(proxy.customer())));
    proxy.wait_for_metric("pa_proxy_ingress_connections_total{outcome=\"refused_total\"}", 1);
}

#[test]
fn a_client_is_told_when_the_enclave_is_not_there() {
    let more = "[timeouts]\nconnect_secs = 1\n";
    let proxy =
        Proxy::start(tempfile::tempdir().unwrap(), &config(&["unix://{dir}/nobody.sock"], more));
    assert!(is_over(&mut connect(proxy.customer())));
    proxy.wait_for_metric("pa_proxy_ingress_connections_total{outcome=\"connect_failed\"}", 1);
}

#[test]
fn an_enclave_that_does_not_answer_the_handshake_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("v.sock");
    // A device that accepts and stays silent.
    let _device = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let enclave = format!("hvsock://{}:5000", path.display());
    let more = "[timeouts]\nconnect_secs = 1\n";
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave], more));
    assert!(is_over(&mut connect(proxy.customer())));
    proxy.wait_for_metric("pa_proxy_ingress_connections_total{outcome=\"connect_timeout\"}", 1);
}

#[test]
fn silence_in_both_directions_ends_a_connection_and_traffic_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let more = "[timeouts]\nidle_secs = 2\n";
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut busy = connect(proxy.customer());
    let mut silent = connect(proxy.customer());
    echo(&mut silent, b"once");
    let idle = "pa_proxy_ingress_connections_total{outcome=\"idle\"}";
    until(
        || {
            echo(&mut busy, b"tick");
            proxy.metric(idle) == 1
        },
        || "the silent client was never cut".to_owned(),
    );
    assert!(is_over(&mut silent));
    echo(&mut busy, b"still here");
}

#[test]
fn a_client_that_never_says_anything_is_cut_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let more = "[timeouts]\nheader_secs = 1\n";
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], more));
    let mut spoke = connect(proxy.customer());
    echo(&mut spoke, b"hello");
    assert!(is_over(&mut connect(proxy.customer())));
    proxy.wait_for_metric("pa_proxy_ingress_connections_total{outcome=\"silent\"}", 1);
    echo(&mut spoke, b"still here");
}

#[test]
fn a_client_that_does_not_read_costs_nobody_else_anything() {
    let dir = tempfile::tempdir().unwrap();
    let road = format!("unix://{}/e.sock", dir.path().display());
    let enclave = Enclave::start(&road, Behaviour::Echo);
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&enclave.address], ""));
    let mut stuck = connect(proxy.customer());
    stuck.set_nonblocking(true).unwrap();
    // Writes until every queue between here and the enclave is full.
    let full_write = vec![5; 65_536];
    let mut full = 0;
    until(
        || {
            full = match stuck.write(&full_write) {
                Ok(_) => 0,
                Err(error) if error.kind() == ErrorKind::WouldBlock => full + 1,
                Err(error) => panic!("{error}"),
            };
            full > 20
        },
        || "never full".to_owned(),
    );
    for _ in 0..100 {
        echo(&mut connect(proxy.customer()), b"served");
    }
}
