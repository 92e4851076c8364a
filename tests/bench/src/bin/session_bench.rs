//! `session_bench`: what a whole `POST /v1/sessions` costs the enclave, and what it is made of.
//!
//! ```text
//! customer ──TLS 1.3──► parent-proxy ──unix──► enclave-app ──unix──► parent-proxy ──► exchange-sim
//! ```
//!
//! Four kinds of visit, each one doing what the one before does and one thing more, take turns.
//! What is counted is the CPU time of the enclave's process, so the customer's share and the
//! machine's other work fall out; the difference between two kinds is the cost of the thing more.
//! The enclave is kept on one processor and everything else on the others, and the last figure is
//! the rate that several customers at once get through it.
//!
//! The security module is the simulated one, which signs with P-384 inside this process; a real
//! one signs outside of it.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use e2e::customer::{Customer, seal_signed_by};
use e2e::tls::Tls;
use e2e::world::{Options, TWO_ACCOUNTS, World};
use protocol::portfolio::PortfolioSecret;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Visits of each kind in a turn, and turns.
const VISITS: u8 = 25;
const TURNS: u8 = 8;
/// Customers at once when the rate is measured.
const AT_ONCE: usize = 4;

/// What a visit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handshake,
    Attestation,
    Refused,
    Opened,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Handshake, "TLS 1.3 handshake, X25519MLKEM768, certificate signed in the enclave"),
    (Kind::Attestation, "one document with its nonce, signed by the simulated module"),
    (Kind::Refused, "envelope opened, portfolio's signature refused, answer sealed"),
    (Kind::Opened, "key checked at the exchange, secrets mapped, session and first poll started"),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(io::stderr(), "session_bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let options = Options { scenario: TWO_ACCOUNTS, limited: false, ..Options::default() };
    let world = World::start(options);
    pin(&world)?;
    let mut out = io::stdout().lock();

    let mut nanos = [0_u64; KINDS.len()];
    let mut seed = 0_u8;
    for _ in 0..TURNS {
        for (spent, (kind, _)) in nanos.iter_mut().zip(KINDS) {
            let before = cpu_nanos(world.enclave.pid())?;
            for _ in 0..VISITS {
                visit(&world, kind, seed);
                seed = seed.wrapping_add(u8::from(kind == Kind::Opened));
            }
            *spent += cpu_nanos(world.enclave.pid())? - before;
        }
    }
    let mut below = 0.0;
    writeln!(
        out,
        "{:>9}  {:>9}  enclave's CPU time, of one more than the line above",
        "ms", "sum"
    )?;
    for (spent, (_, what)) in nanos.iter().zip(KINDS) {
        let sum = millis(*spent) / f64::from(VISITS) / f64::from(TURNS);
        writeln!(out, "{:>9.3}  {sum:>9.3}  {what}", sum - below)?;
        below = sum;
    }
    writeln!(
        out,
        "{:>9.1}  requests a second on one core: a second by the last sum",
        1000.0 / below
    )?;

    let world = World::start(options);
    pin(&world)?;
    let done = AtomicUsize::new(0);
    let before = cpu_nanos(world.enclave.pid())?;
    let started = now();
    std::thread::scope(|scope| {
        for lane in 0..AT_ONCE {
            let (world, done) = (&world, &done);
            scope.spawn(move || {
                let seeds = (0..=u8::MAX).filter(|seed| usize::from(*seed) % AT_ONCE == lane);
                for seed in seeds.take(usize::from(VISITS) * 2) {
                    visit(world, Kind::Opened, seed);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let elapsed = started.elapsed().as_secs_f64();
    let busy = millis(cpu_nanos(world.enclave.pid())? - before) / 1000.0 / elapsed;
    let visits = u32::try_from(done.into_inner()).map_or(0.0, f64::from);
    writeln!(
        out,
        "{:>9.1}  requests a second, {AT_ONCE} customers at once; the enclave's core was {:.0} % busy",
        visits / elapsed,
        busy * 100.0
    )?;
    Ok(())
}

/// One visit on a connection of its own.
fn visit(world: &World, kind: Kind, seed: u8) {
    if kind == Kind::Handshake {
        drop(Tls::open(world.service));
        return;
    }
    let customer = Customer::of(world, seed);
    let mut door = customer.attest();
    let sealed = match kind {
        Kind::Handshake | Kind::Attestation => return,
        Kind::Refused => {
            let body = customer.opening(&door, &world.key(0));
            seal_signed_by(&PortfolioSecret::from_bytes(&[!seed; 32]), &door, &body)
        }
        Kind::Opened => customer.seal(&door, &customer.opening(&door, &world.key(0))),
    };
    let answer = door.submit(&sealed);
    let expected = if kind == Kind::Opened { 201 } else { 401 };
    assert_eq!(answer.status, expected, "{}", sealed.unseal(&answer));
}

/// The enclave on the first processor, the rest on the others.
fn pin(world: &World) -> io::Result<()> {
    let own = std::process::id();
    let others = [world.proxy.pid(), world.simulator.pid(), own];
    let processors = std::thread::available_parallelism()?.get();
    on(world.enclave.pid(), 0..1)?;
    for pid in others {
        on(pid, 1.min(processors - 1)..processors)?;
    }
    Ok(())
}

fn on(pid: u32, processors: std::ops::Range<usize>) -> io::Result<()> {
    let mut set = CpuSet::new();
    processors.for_each(|processor| set.set(processor));
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let id = task?.file_name().to_string_lossy().parse().ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        sched_setaffinity(id, &set)?;
    }
    Ok(())
}

/// Time on a processor of all threads of a process, in nanoseconds. The kernel's count of ticks is
/// too coarse for a handshake.
fn cpu_nanos(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        sum += text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

#[expect(clippy::disallowed_methods, reason = "real time is what a benchmark measures")]
fn now() -> Instant {
    Instant::now()
}

fn millis(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1000.0
}
