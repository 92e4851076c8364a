//! Verifying a genuine document, against its floor: its five P-384 signatures by aws-lc-rs, or
//! two where the chain of authorities verified before. The goal is 1.15 times the floor.
//!
//! ```text
//! cargo bench -p bench --bench attestation
//! ```
//!
//! The last lines are the ratios of this run. `tests/peers` measures other verifiers.

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use std::{env, fs, io};

use criterion::{Criterion, SamplingMode};
use protocol::attestation::ChainCache;
use protocol::attestation::internal::{aws_root, verify};

#[path = "attestation/floor.rs"]
mod floor;

/// Made in 2026 by current firmware: 4829 bytes, five certificates.
const DOCUMENT: &[u8] =
    include_bytes!("../../../protocol/tests/attestation/real/2026-02-06_1ad417fab6ed.cose");
/// When it was made, in seconds since the Unix epoch.
const MADE_AT: i64 = 1_770_366_258;

fn verifying(criterion: &mut Criterion) {
    let signatures = floor::signatures(DOCUMENT);
    let [.., target, document] = &signatures;
    let last_two = [target, document];
    assert!(floor::verify(&signatures));
    let mut warm = ChainCache::new(1);
    assert_eq!(verify(DOCUMENT, aws_root(), MADE_AT, None, &mut warm), Ok(()));

    let mut group = criterion.benchmark_group("attestation");
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    group.sampling_mode(SamplingMode::Flat);
    group.bench_function("floor of five", |bench| {
        bench.iter(|| floor::verify(black_box(&signatures)));
    });
    group.bench_function("cold", |bench| {
        bench.iter(|| {
            let mut cold = ChainCache::new(1);
            verify(black_box(DOCUMENT), aws_root(), MADE_AT, None, &mut cold)
        });
    });
    group.bench_function("floor of two", |bench| {
        bench.iter(|| floor::verify(black_box(&last_two)));
    });
    group.bench_function("cached", |bench| {
        bench.iter(|| verify(black_box(DOCUMENT), aws_root(), MADE_AT, None, &mut warm));
    });
    group.finish();
}

/// The median of a benchmark of this run, in nanoseconds.
fn median(function: &str) -> Option<f64> {
    // `cargo bench` runs in the package's folder; the target folder is the workspace's
    let target = env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), Into::into);
    let path = target.join(format!("criterion/attestation/{function}/new/estimates.json"));
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn ratios() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (function, floor) in [("cold", "floor of five"), ("cached", "floor of two")] {
        let (Some(ours), Some(bound)) = (median(function), median(floor)) else { continue };
        let (micros, ratio) = (ours / 1000.0, ours / bound);
        writeln!(out, "{function}: {micros:.1} us, {ratio:.3} x the {floor}")?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    verifying(&mut criterion);
    criterion.final_summary();
    ratios()
}
