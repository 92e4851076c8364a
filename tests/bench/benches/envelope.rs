//! Opening an envelope, against its floor: one X25519, one HKDF-SHA256 and one AES-256-GCM with
//! the same crates, nothing checked and nothing wiped. The goal is 1.2 times the floor.
//!
//! ```text
//! cargo bench -p bench --bench envelope
//! ```
//!
//! The last lines are the ratios of this run.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{BenchmarkId, Criterion, Throughput};
use hkdf::Hkdf;
use protocol::envelope::{self, Envelope};
use protocol::keys::EnclaveSecret;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};

/// Plaintexts in bytes: one account, sixteen accounts, as much as there may be.
const SIZES: [usize; 3] = [512, 8 * 1024, 64 * 1024];

/// How often floor and ours take turns, and calls a turn.
const TURNS: usize = 1000;
const CALLS: u32 = 10;

const INFO: &[u8] = b"performance-aggregator/v1/credentials";
const NONCE: [u8; 12] = [9; 12];

/// The parts of an envelope, and the same as JSON.
struct Sealed {
    enclave: [u8; 32],
    enclave_pub: PublicKey,
    ephemeral_pub: [u8; 32],
    aad: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: [u8; 16],
    json: Vec<u8>,
}

fn seal(len: usize) -> Sealed {
    let enclave = [7; 32];
    let secret = StaticSecret::from([8; 32]);
    let enclave_pub = PublicKey::from(&StaticSecret::from(enclave));
    let ephemeral_pub = PublicKey::from(&secret).to_bytes();
    let key_id = EnclaveSecret::from_bytes(&enclave).key_id().0;
    let aad = [&[1, 1, 11][..], b"credentials", &key_id].concat();
    let key = derive(&secret, &enclave_pub, &ephemeral_pub, enclave_pub.as_bytes());
    let mut ciphertext = vec![b'x'; len];
    let tag = Aes256Gcm::new(&key.into())
        .encrypt_inout_detached(&Nonce::from(NONCE), &aad, ciphertext.as_mut_slice().into())
        .expect("the plaintext is short");
    let text = |bytes: &[u8]| STANDARD.encode(bytes);
    let json = serde_json::json!({
        "v": 1,
        "suite": 1,
        "key_id": text(&key_id),
        "ephemeral_pub": text(&ephemeral_pub),
        "nonce": text(&NONCE),
        "ciphertext": text(&ciphertext),
        "tag": text(&tag),
    });
    let json = json.to_string().into_bytes();
    Sealed { enclave, enclave_pub, ephemeral_pub, aad, ciphertext, tag: tag.into(), json }
}

fn derive(
    secret: &StaticSecret,
    theirs: &PublicKey,
    ephemeral_pub: &[u8; 32],
    enclave_pub: &[u8; 32],
) -> [u8; 32] {
    let shared = secret.diffie_hellman(theirs);
    let salt = [*ephemeral_pub, *enclave_pub].concat();
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes())
        .expand(INFO, &mut key)
        .expect("32 bytes is within HKDF's output limit");
    key
}

fn floor(secret: &StaticSecret, sealed: &Sealed) -> Vec<u8> {
    let ephemeral_pub = PublicKey::from(sealed.ephemeral_pub);
    let enclave_pub = sealed.enclave_pub.as_bytes();
    let key = derive(secret, &ephemeral_pub, &sealed.ephemeral_pub, enclave_pub);
    let mut plaintext = sealed.ciphertext.clone();
    Aes256Gcm::new(&key.into())
        .decrypt_inout_detached(
            &Nonce::from(NONCE),
            &sealed.aad,
            plaintext.as_mut_slice().into(),
            &Tag::from(sealed.tag),
        )
        .expect("it was sealed under this key");
    plaintext
}

fn opening(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope");
    group.measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    for len in SIZES {
        let sealed = seal(len);
        let secret = StaticSecret::from(sealed.enclave);
        let enclave = EnclaveSecret::from_bytes(&sealed.enclave);
        let read = Envelope::from_json(&sealed.json).expect("it is an envelope");
        let (opened, _) = envelope::open(&enclave, &read).expect("it is sealed to this key");
        assert_eq!(*opened, floor(&secret, &sealed));

        group.throughput(Throughput::Elements(1));
        group.bench_with_input(BenchmarkId::new("floor", len), &sealed, |bench, sealed| {
            bench.iter(|| floor(black_box(&secret), black_box(sealed)));
        });
        group.bench_with_input(BenchmarkId::new("open", len), &read, |bench, read| {
            bench.iter(|| envelope::open(black_box(&enclave), black_box(read)));
        });
        group.bench_with_input(
            BenchmarkId::new("parse and open", len),
            &sealed,
            |bench, sealed| {
                bench.iter(|| {
                    let read = Envelope::from_json(black_box(&sealed.json))?;
                    envelope::open(black_box(&enclave), &read)
                });
            },
        );
    }
    group.finish();
}

/// Ours against the floor, taken in turns: whatever else the machine does meets both.
fn ratios() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for len in SIZES {
        let sealed = seal(len);
        let secret = StaticSecret::from(sealed.enclave);
        let enclave = EnclaveSecret::from_bytes(&sealed.enclave);
        let read = Envelope::from_json(&sealed.json).expect("it is an envelope");
        let mut floors = Vec::new();
        let (mut opens, mut parses) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            floors.push(time(|| drop(black_box(floor(black_box(&secret), black_box(&sealed))))));
            opens.push(time(|| drop(black_box(envelope::open(&enclave, black_box(&read))))));
            parses.push(time(|| {
                let read = Envelope::from_json(black_box(&sealed.json));
                drop(black_box(read.and_then(|read| envelope::open(&enclave, &read))));
            }));
        }
        let floor = median(floors);
        for (name, times) in [("open", opens), ("parse and open", parses)] {
            let ours = median(times);
            let (micros, ratio) = (ours * 1e6, ours / floor);
            writeln!(out, "{name}, {len} B: {micros:.1} us, {ratio:.3} x the floor")?;
        }
    }
    Ok(())
}

/// Seconds of one call, out of a few in a row.
#[expect(clippy::disallowed_methods, reason = "a benchmark is what reads the clock")]
fn time(call: impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    start.elapsed().as_secs_f64() / f64::from(CALLS)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    opening(&mut criterion);
    criterion.final_summary();
    ratios()
}
