//! The loads, and the figures they give.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::paths::{Path, Socket};
use crate::tls;

const ROUND_TRIPS: usize = 8000;
const ROUND_TRIP_LEN: usize = 64;
const BULK_TOTAL_LEN: usize = 1 << 30;
const BULK_PART_LEN: usize = 128 * 1024;
const CONNECT_THREADS: usize = 8;
const CONNECT_TIME: Duration = Duration::from_millis(1500);

#[derive(Default)]
pub(crate) struct Figures {
    /// Round trips, client and server on different processors.
    pub(crate) apart_us: Vec<f64>,
    /// Round trips, everything on one processor.
    pub(crate) together_us: Vec<f64>,
    pub(crate) up: Vec<BulkFigure>,
    pub(crate) down: Vec<BulkFigure>,
    pub(crate) connect: Vec<ConnectFigure>,
    /// New connections with a TLS 1.3 handshake.
    pub(crate) handshake: Vec<ConnectFigure>,
    /// KiB resident a connection.
    pub(crate) memory: Vec<f64>,
}

pub(crate) struct BulkFigure {
    pub(crate) mib_per_s: f64,
    pub(crate) cpu_s_per_gib: f64,
}

pub(crate) struct ConnectFigure {
    pub(crate) per_s: f64,
    pub(crate) cpu_us: f64,
}

#[derive(Clone, Copy)]
pub(crate) enum Bulk {
    Up,
    Down,
}

/// Median time of one 64-byte echo on one connection.
pub(crate) fn round_trip_us(path: &Path) -> io::Result<f64> {
    let mut stream = path.open()?;
    let mut message = [b'e'; ROUND_TRIP_LEN];
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for trip in 0..ROUND_TRIPS + ROUND_TRIPS / 10 {
        let start = now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        // The first tenth warms up.
        if trip >= ROUND_TRIPS / 10 {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(median(&times))
}

/// One GiB over one connection.
pub(crate) fn bulk(path: &Path, direction: Bulk) -> io::Result<BulkFigure> {
    let cpu = cpu_s(path)?;
    let start = now();
    let mut stream = path.open()?;
    let mut moved = 0;
    match direction {
        Bulk::Up => {
            let part = vec![b's'; BULK_PART_LEN];
            while moved < BULK_TOTAL_LEN {
                stream.write_all(&part)?;
                moved += part.len();
            }
            stream.end()?;
            let mut sum = [0; 8];
            stream.read_exact(&mut sum)?;
            if usize::try_from(u64::from_be_bytes(sum)).ok() != Some(moved) {
                return Err(io::Error::other("bytes were lost on the way up"));
            }
        }
        Bulk::Down => {
            let mut request = [0; 9];
            request[0] = b'd';
            let wanted = u64::try_from(BULK_TOTAL_LEN).map_err(io::Error::other)?;
            request[1..].copy_from_slice(&wanted.to_be_bytes());
            stream.write_all(&request)?;
            let mut part = vec![0; BULK_PART_LEN];
            loop {
                let len = stream.read(&mut part)?;
                if len == 0 {
                    break;
                }
                moved += len;
            }
            if moved != BULK_TOTAL_LEN {
                return Err(io::Error::other("bytes were lost on the way down"));
            }
        }
    }
    drop(stream);
    let seconds = start.elapsed().as_secs_f64();
    settle(path)?;
    let gib = count(moved) / count(1 << 30);
    Ok(BulkFigure { mib_per_s: gib * 1024.0 / seconds, cpu_s_per_gib: (cpu_s(path)? - cpu) / gib })
}

/// Connect, 64 bytes there and back, close, from eight threads at once. With
/// `tls` there is a TLS 1.3 handshake before and the bytes are inside it.
///
/// The server closes first. Were it the client, its ports would be the limit:
/// 28,000 of them, each unusable for a second.
pub(crate) fn connections(
    path: &Path,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<ConnectFigure> {
    let cpu = cpu_s(path)?;
    let start = now();
    let threads: Vec<_> = (0..CONNECT_THREADS)
        .map(|_| {
            let (entry, connect, tls) = (path.entry.clone(), path.connect, tls.cloned());
            thread::spawn(move || -> io::Result<usize> {
                let path = Path { name: String::new(), entry, connect, process: None, bare: false };
                let mut made = 0;
                while start.elapsed() < CONNECT_TIME {
                    once(path.open()?, tls.as_ref())?;
                    made += 1;
                }
                Ok(made)
            })
        })
        .collect();
    let mut made = 0;
    for thread in threads {
        made += thread.join().map_err(|_| io::Error::other("a client panicked"))??;
    }
    let seconds = start.elapsed().as_secs_f64();
    settle(path)?;
    let made = count(made);
    Ok(ConnectFigure { per_s: made / seconds, cpu_us: (cpu_s(path)? - cpu) * 1e6 / made })
}

fn once(mut stream: Box<dyn Socket + Send>, tls: Option<&Arc<ClientConfig>>) -> io::Result<()> {
    let mut message = [b'o'; ROUND_TRIP_LEN];
    if let Some(config) = tls {
        let mut connection = tls::connection(config)?;
        let mut inside = rustls::Stream::new(&mut connection, &mut stream);
        inside.write_all(&message)?;
        inside.read_exact(&mut message)?;
    } else {
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
    }
    while stream.read(&mut message)? > 0 {}
    Ok(())
}

/// KiB resident for each of `number` connections that have echoed once and idle.
pub(crate) fn memory(path: &Path, number: usize) -> io::Result<Option<f64>> {
    let Some(process) = &path.process else { return Ok(None) };
    let before = process.resident_kib()?;
    let mut open = Vec::with_capacity(number);
    for _ in 0..number {
        let mut stream = path.open()?;
        let mut message = [b'e'; ROUND_TRIP_LEN];
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        open.push(stream);
    }
    let after = process.resident_kib()?;
    Ok(Some((after - before) / count(number)))
}

/// Lets the children of a forking proxy end, so that their time is counted.
fn settle(path: &Path) -> io::Result<()> {
    let mut last = cpu_s(path)?;
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(20));
        let cpu = cpu_s(path)?;
        if (cpu - last).abs() < f64::EPSILON {
            break;
        }
        last = cpu;
    }
    Ok(())
}

fn cpu_s(path: &Path) -> io::Result<f64> {
    path.process.as_ref().map_or(Ok(0.0), |process| process.cpu_s())
}

pub(crate) fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(crate) fn median_of<T>(of: &[T], pick: impl Fn(&T) -> f64) -> f64 {
    median(&of.iter().map(pick).collect::<Vec<_>>())
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a figure for a table")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn now() -> Instant {
    Instant::now()
}
