//! Verifying one genuine attestation document with published crates and with ours, in one run.
//!
//! ```text
//! cargo run --release --locked --manifest-path tests/peers/Cargo.toml
//! ```
//!
//! Every round gives each verifier its turn, so that whatever else the machine does falls on all
//! alike; a figure is the median over the rounds of the thread's processor time. Each verifier
//! does what its own documentation calls verifying a document; ours does all of
//! `docs/verify.md`, steps 1 to 29, which none of the others does.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use nitro_attest::UnparsedAttestationDoc;
use protocol::attestation::ChainCache;
use protocol::attestation::internal::{aws_root, verify};
use time::OffsetDateTime;

mod clock;
#[path = "../../bench/benches/attestation/floor.rs"]
mod floor;

/// Made in 2026 by current firmware: 4829 bytes, five certificates.
const DOCUMENT: &[u8] =
    include_bytes!("../../../protocol/tests/attestation/real/2026-02-06_1ad417fab6ed.cose");
/// When it was made, in seconds since the Unix epoch.
const MADE_AT: i64 = 1_770_366_258;

const ROUNDS: usize = 40;
/// Calls of one verifier in a round.
const CALLS: u32 = 10;

/// A name, and whether it accepted the document.
type Contestant<'a> = (&'a str, Box<dyn FnMut() -> bool + 'a>);

fn main() -> Result<(), Box<dyn Error>> {
    let made_at = OffsetDateTime::from_unix_timestamp(MADE_AT)?;
    assert_eq!(SystemTime::UNIX_EPOCH.elapsed()?.as_secs(), u64::try_from(MADE_AT)?);

    let signatures = floor::signatures(DOCUMENT);
    let [.., target, document] = &signatures;
    let last_two = [target, document];
    let mut warm = ChainCache::new(1);
    let mut contestants: Vec<Contestant<'_>> = vec![
        ("floor: five P-384 by aws-lc-rs", Box::new(|| floor::verify(black_box(&signatures)))),
        ("ours", Box::new(|| ours(&mut ChainCache::new(1)))),
        ("floor: two P-384 by aws-lc-rs", Box::new(|| floor::verify(black_box(&last_two)))),
        ("ours, chain cached", Box::new(|| ours(&mut warm))),
        (
            "attestation-doc-validation 0.10.1",
            Box::new(|| {
                attestation_doc_validation::validate_attestation_doc(black_box(DOCUMENT)).is_ok()
            }),
        ),
        (
            "nitro_attest 0.2.0",
            Box::new(|| {
                UnparsedAttestationDoc::from(black_box(DOCUMENT)).parse_and_verify(made_at).is_ok()
            }),
        ),
    ];

    // The first turns are not counted: they warm caches, and show that everybody accepts.
    for (name, contestant) in &mut contestants {
        assert!(contestant(), "{name} refuses a genuine document");
    }
    let mut rounds = vec![Vec::with_capacity(ROUNDS); contestants.len()];
    for _ in 0..ROUNDS {
        for ((name, contestant), rounds) in contestants.iter_mut().zip(&mut rounds) {
            let before = clock::processor_time();
            for _ in 0..CALLS {
                assert!(contestant(), "{name} refuses a genuine document");
            }
            rounds.push((clock::processor_time() - before) / CALLS);
        }
    }
    let medians: Vec<_> = rounds.into_iter().map(median).collect();
    let names: Vec<_> = contestants.iter().map(|(name, _)| *name).collect();
    report(&names, &medians)?;
    Ok(())
}

fn ours(cache: &mut ChainCache) -> bool {
    verify(black_box(DOCUMENT), aws_root(), MADE_AT, None, cache).is_ok()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn report(names: &[&str], medians: &[Duration]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let micros = |time: &Duration| time.as_secs_f64() * 1e6;
    let [five, ours, two, cached, ..] = medians else { return Ok(()) };
    for (name, time) in names.iter().zip(medians) {
        let factor = time.as_secs_f64() / ours.as_secs_f64();
        writeln!(out, "{name:36} {:8.1} us  {factor:6.3} x ours", micros(time))?;
    }
    let ratio = |time: &Duration, floor: &Duration| time.as_secs_f64() / floor.as_secs_f64();
    writeln!(out, "ours: {:.3} x the floor of five", ratio(ours, five))?;
    writeln!(out, "ours, chain cached: {:.3} x the floor of two", ratio(cached, two))
}
