//! Random bytes, from two sources that would both have to fail.
//!
//! ```text
//! seed   = 64 bytes from the security module, at boot
//! block  = HMAC-SHA512(seed, u64 BE counter)
//! output = getrandom(2) XOR block || block || ..
//! ```
//!
//! The kernel's generator is good once it is seeded; a fresh enclave has few
//! sources to seed it from, and the parent controls some of them. XOR with a
//! stream keyed by the module can only add to what the kernel gives.
//!
//! **Invariant:** no output is derived from stored state alone, so an enclave
//! restored twice does not repeat itself.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use protocol::secret::SecretBytes;
use sha2::Sha512;
use zeroize::Zeroizing;

/// Bytes of the security module that seed the stream.
pub const SEED_LEN: usize = 64;

/// A source of random bytes for keys, nonces and identifiers.
pub struct Entropy {
    seed: SecretBytes,
    counter: AtomicU64,
}

/// A source failed; nothing that needs random bytes can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntropyError {
    /// The security module gave fewer bytes than asked for, or equal ones.
    #[error("the security module gave no usable entropy")]
    Seed,
    /// The kernel gave no random bytes.
    #[error("the kernel gave no entropy")]
    Kernel,
}

impl Entropy {
    /// Copies bytes of the security module; the caller wipes the original.
    pub fn new(seed: &[u8]) -> Result<Self, EntropyError> {
        let first = seed.first().copied();
        if seed.len() < SEED_LEN || seed.iter().all(|byte| Some(*byte) == first) {
            return Err(EntropyError::Seed);
        }
        Ok(Self { seed: SecretBytes::copy(seed), counter: AtomicU64::new(0) })
    }

    /// Fills `out`.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(out).map_err(|_| EntropyError::Kernel)?;
        for chunk in out.chunks_mut(SEED_LEN) {
            let mut mac = <Hmac<Sha512> as KeyInit>::new_from_slice(self.seed.expose())
                .map_err(|_| EntropyError::Seed)?;
            mac.update(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            let block = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
            for (byte, mask) in chunk.iter_mut().zip(block.iter()) {
                *byte ^= mask;
            }
        }
        Ok(())
    }

    /// An array for something public: a nonce, an identifier.
    pub fn array<const N: usize>(&self) -> Result<[u8; N], EntropyError> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    /// An array that is wiped: a key.
    pub fn secret<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, EntropyError> {
        let mut out = Zeroizing::new([0; N]);
        self.fill(out.as_mut_slice())?;
        Ok(out)
    }
}

/// Adds bytes of the security module to the kernel's own pool, for what draws
/// from it directly: the TLS library's keys and nonces. Whoever else knows
/// them takes nothing away from what the pool has.
pub fn stir_kernel(bytes: &[u8]) -> Result<(), EntropyError> {
    File::options()
        .write(true)
        .open("/dev/urandom")
        .and_then(|mut pool| pool.write_all(bytes))
        .map_err(|_| EntropyError::Kernel)
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn seed(len: u8) -> Vec<u8> {
        (0..len).collect()
    }

    fn entropy() -> Entropy {
        Entropy::new(&seed(64)).unwrap()
    }

    #[test]
    fn outputs_differ_and_long_ones_are_filled_to_the_end() {
        let entropy = entropy();
        let seen: BTreeSet<[u8; 12]> = (0..1000).map(|_| entropy.array().unwrap()).collect();
        assert_eq!(seen.len(), 1000);
        let mut long = [0u8; 200];
        entropy.fill(&mut long).unwrap();
        assert!(long.chunks(20).all(|part| part.iter().any(|byte| *byte != 0)));
    }

    #[test]
    fn equal_seeds_do_not_give_equal_outputs() {
        assert_ne!(entropy().array::<32>().unwrap(), entropy().array::<32>().unwrap());
    }

    #[test]
    fn a_short_or_constant_seed_is_refused() {
        for seed in [vec![], vec![1, 2, 3], vec![0; 64], vec![9; 64], seed(63)] {
            assert_eq!(Entropy::new(&seed).err(), Some(EntropyError::Seed));
        }
    }

    #[test]
    fn the_kernels_pool_can_be_stirred() {
        assert_eq!(stir_kernel(&seed(64)), Ok(()));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", entropy()), "Entropy(..)");
    }
}
