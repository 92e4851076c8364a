//! `proxy_bench`: parent-proxy against socat and the direct path, in one run.
//!
//! ```text
//! direct          client ──tcp──► server
//! ingress, ours   client ──tcp──► parent-proxy ──road──► server     PROXY v2 in front
//! ingress, socat  client ──tcp──► socat ──road──► server
//! egress, ours    client ──road──► parent-proxy ──tcp──► server     CONNECT in front
//! egress, socat   client ──road──► socat ──tcp──► server
//! ```
//!
//! The road is a Unix socket, or TCP with `--road tcp`. Rounds are interleaved,
//! every figure is the median of its rounds, and each goal is a ratio between
//! figures of the same run: the machine's own noise falls on all alike. Client
//! and server are the same for every path, and each a process of its own.
//!
//! Round trips are measured apart, client and server on different processors as
//! a customer and an enclave are, and together on one, where every proxy pays
//! two more switches of context. `bare` is the least that a process in between
//! can do with round trips and new connections.

mod bare;
mod load;
mod paths;
mod place;
mod process;
mod report;
mod server;
mod tls;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use load::{Bulk, Figures};
use paths::{Path, Road, Set};
use place::{Placement, Places};

/// Idle connections whose memory is measured.
const IDLE_CONNECTIONS: usize = 2000;

struct Options {
    proxy: PathBuf,
    road: Road,
    rounds: usize,
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    // This program is also the server, and the bare relay.
    let done = match words.as_slice() {
        ["serve", road, dir] => paths::serve(road, dir.as_ref()),
        ["bare", port, to] => {
            port.parse().map_err(io::Error::other).and_then(|port| bare::run(port, to))
        }
        _ => measure_all(&words),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::from(2)
        }
    }
}

fn measure_all(words: &[&str]) -> io::Result<()> {
    options(words).and_then(|options| run(&options))
}

fn options(words: &[&str]) -> io::Result<Options> {
    let mut options = Options {
        proxy: PathBuf::from("target/release/parent-proxy"),
        road: Road::Unix,
        rounds: 5,
        only: None,
    };
    let mut words = words.iter();
    while let Some(flag) = words.next() {
        let mut value =
            || words.next().ok_or_else(|| io::Error::other(format!("{flag} needs a value")));
        match *flag {
            "--proxy" => options.proxy = value()?.into(),
            "--road" => {
                options.road = match *value()? {
                    "unix" => Road::Unix,
                    "tcp" => Road::Tcp,
                    _ => return Err(io::Error::other("--road is unix or tcp")),
                }
            }
            "--rounds" => {
                options.rounds = value()?.parse().map_err(|_| io::Error::other("--rounds N"))?;
            }
            "--only" => options.only = Some((*value()?).to_owned()),
            _ => return Err(io::Error::other(format!("unknown option {flag}"))),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> io::Result<()> {
    let dir = std::env::temp_dir().join(format!("proxy-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let set = paths::start(&options.proxy, options.road, &dir)?;
    let places = Places::of_this_process()?;
    let wants = |what: &str| options.only.as_deref().is_none_or(|only| only == what);
    let mut figures: Vec<Figures> = set.paths.iter().map(|_| Figures::default()).collect();
    // First, while no proxy has memory left over from an earlier load.
    if wants("memory") {
        for (path, figures) in set.paths.iter().zip(&mut figures).filter(|(path, _)| !path.bare) {
            figures.memory.extend(load::memory(path, IDLE_CONNECTIONS)?);
        }
    }
    for round in 0..options.rounds {
        for (path, figures) in set.paths.iter().zip(&mut figures) {
            measure(&set, &places, path, figures, &wants)?;
        }
        report::say(&format!("round {} of {}", round + 1, options.rounds));
    }
    report::table(&set.paths, &figures);
    report::goals(&set.paths, &figures);
    drop(set);
    std::fs::remove_dir_all(&dir)
}

fn measure(
    set: &Set,
    places: &Places,
    path: &Path,
    figures: &mut Figures,
    wants: &dyn Fn(&str) -> bool,
) -> io::Result<()> {
    if wants("rtt") {
        for (placement, into) in [
            (Placement::Apart, &mut figures.apart_us),
            (Placement::Together, &mut figures.together_us),
        ] {
            places.place(placement, set.server.id(), &set.proxies())?;
            into.push(load::round_trip_us(path)?);
        }
        places.release(set.server.id(), &set.proxies())?;
    }
    if wants("bulk") && !path.bare {
        for (direction, into) in [(Bulk::Up, &mut figures.up), (Bulk::Down, &mut figures.down)] {
            into.push(load::bulk(path, direction)?);
        }
    }
    if wants("connect") {
        figures.connect.push(load::connections(path, None)?);
        figures.handshake.push(load::connections(path, Some(&set.tls))?);
    }
    Ok(())
}
