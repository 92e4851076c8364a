//! The Nitro Security Module, as this program knows it.
//!
//! * [`Nsm`]: what a module can do, blocking.
//! * [`device`]: the real one, `/dev/nsm`.
//! * `simulated`, in simulator builds alone: another device, not a skipped
//!   check. It measures, extends, locks and signs under its own root, and the
//!   same verifier runs on its documents.
//! * [`Module`]: either of them, asked from async code, a few at a time.

pub mod device;
#[cfg(feature = "simulator")]
mod pki;
#[cfg(feature = "simulator")]
pub mod simulated;

use std::fmt::Debug;
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::image_config::SecurityModule;
use crate::limits::{NSM_DOCUMENT_LEN_MAX, NSM_PERMITS, NSM_TURN_TIMEOUT};

/// A platform configuration register's value: SHA-384.
pub type Digest = [u8; 48];

/// Registers of a module.
pub const REGISTERS: u8 = 32;

/// A register and whether it can still be extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    pub value: Digest,
    pub locked: bool,
}

/// What goes into a document besides what the module puts there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttestRequest {
    pub nonce: Option<Vec<u8>>,
    pub user_data: Option<Vec<u8>>,
    pub public_key: Option<Vec<u8>>,
}

/// Who signs the module's documents, in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustAnchor {
    /// AWS's root, which every verifier has.
    Aws,
    /// A root of this process: DER.
    #[cfg(feature = "simulator")]
    Simulated(Vec<u8>),
}

/// What a module did not do. Carries no text of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NsmError {
    #[error("there is no security module at /dev/nsm")]
    NoDevice,
    #[error("the security module refused: {0}")]
    Refused(&'static str),
    #[error("the security module answered something else")]
    Unexpected,
    #[error("the register is locked")]
    Locked,
    #[error("more requests than the security module may be asked")]
    Busy,
    #[error("the enclave is in debug mode: PCR0 to PCR2 are zero")]
    Debug,
}

/// A security module. Every call blocks.
pub trait Nsm: Send + Sync + Debug {
    /// A signed document.
    fn attest(&self, request: &AttestRequest) -> Result<Vec<u8>, NsmError>;

    /// One register.
    fn describe(&self, index: u8) -> Result<Register, NsmError>;

    /// `register = SHA-384(register || data)`; the new value.
    fn extend(&self, index: u8, data: &[u8]) -> Result<Digest, NsmError>;

    /// Locks registers `0..range`.
    fn lock(&self, range: u8) -> Result<(), NsmError>;

    /// Random bytes; how many is the module's choice, but some.
    fn random(&self) -> Result<Zeroizing<Vec<u8>>, NsmError>;

    /// Who vouches for its documents.
    fn trust_anchor(&self) -> TrustAnchor;
}

/// A module for async callers: calls run on blocking threads, few at once, and
/// documents at a bounded rate, so that nobody can keep others from theirs.
#[derive(Debug)]
pub struct Module {
    nsm: Arc<dyn Nsm>,
    turns: Arc<Semaphore>,
    /// For whoever asks.
    documents: DefaultDirectRateLimiter,
    /// For reports, which only sessions may ask for.
    reports: DefaultDirectRateLimiter,
}

/// Out of whose share a document is made: strangers cannot spend that of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Whoever asks.
    Public,
    /// Reports.
    Reports,
    /// Our own clock, which nobody can make ask.
    Clock,
}

impl Module {
    pub fn new(nsm: Arc<dyn Nsm>, limits: SecurityModule) -> Self {
        let quota = Quota::per_second(limits.documents_per_sec).allow_burst(limits.burst);
        Self {
            nsm,
            turns: Arc::new(Semaphore::new(NSM_PERMITS)),
            documents: RateLimiter::direct(quota),
            reports: RateLimiter::direct(quota),
        }
    }

    /// A document; [`NsmError::Busy`] past the rate of its share.
    pub async fn attest(&self, request: AttestRequest, share: Share) -> Result<Vec<u8>, NsmError> {
        let room = match share {
            Share::Public => self.documents.check().is_ok(),
            Share::Reports => self.reports.check().is_ok(),
            Share::Clock => true,
        };
        if !room {
            return Err(NsmError::Busy);
        }
        let document = self.ask(move |nsm| nsm.attest(&request)).await?;
        if document.is_empty() || document.len() > NSM_DOCUMENT_LEN_MAX {
            return Err(NsmError::Unexpected);
        }
        Ok(document)
    }

    /// Refuses a debug enclave, whose registers measure nothing.
    pub async fn refuse_debug(&self) -> Result<(), NsmError> {
        self.ask(|nsm| {
            for index in 0..3 {
                if nsm.describe(index)?.value != [0; 48] {
                    return Ok(());
                }
            }
            Err(NsmError::Debug)
        })
        .await
    }

    /// At least `len` random bytes of the module.
    pub async fn random(&self, len: usize) -> Result<Zeroizing<Vec<u8>>, NsmError> {
        self.ask(move |nsm| {
            let mut out = Zeroizing::new(Vec::with_capacity(len + 4096));
            while out.len() < len {
                let more = nsm.random()?;
                if more.is_empty() || more.len() > 4096 {
                    return Err(NsmError::Unexpected);
                }
                out.extend_from_slice(&more);
            }
            Ok(out)
        })
        .await
    }

    /// Extends PCR16 with `data`, then locks PCR16 to PCR31 with all before
    /// them; the value of PCR16.
    pub async fn extend_and_lock(&self, data: [u8; 48]) -> Result<Digest, NsmError> {
        self.ask(move |nsm| {
            let register = nsm.describe(16)?;
            if register.locked || register.value != [0; 48] {
                return Err(NsmError::Locked);
            }
            let value = nsm.extend(16, &data)?;
            nsm.lock(REGISTERS)?;
            let register = nsm.describe(16)?;
            if !register.locked || register.value != value {
                return Err(NsmError::Unexpected);
            }
            Ok(value)
        })
        .await
    }

    /// Who vouches for the documents.
    pub fn trust_anchor(&self) -> TrustAnchor {
        self.nsm.trust_anchor()
    }

    /// Waits for a turn and runs `call` where it may block.
    async fn ask<R: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Nsm) -> Result<R, NsmError> + Send + 'static,
    ) -> Result<R, NsmError> {
        let turn = timeout(NSM_TURN_TIMEOUT, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_| NsmError::Busy)?
            .map_err(|_| NsmError::Busy)?;
        let nsm = Arc::clone(&self.nsm);
        // The permit moves along: a caller that gave up does not make room
        // while its call still occupies the device.
        let work = tokio::task::spawn_blocking(move || {
            let result = call(nsm.as_ref());
            drop(turn);
            result
        });
        work.await.map_err(|_| NsmError::Unexpected)?
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Mutex;

    use super::*;

    /// Registers without a signer.
    #[derive(Debug)]
    struct Bank {
        registers: Mutex<Vec<Register>>,
        random: Vec<u8>,
    }

    impl Bank {
        fn new(measured: Digest) -> Arc<Self> {
            let mut registers = vec![Register { value: [0; 48], locked: false }; 32];
            registers[0].value = measured;
            Arc::new(Self { registers: Mutex::new(registers), random: vec![7; 16] })
        }
    }

    impl Nsm for Bank {
        fn attest(&self, _: &AttestRequest) -> Result<Vec<u8>, NsmError> {
            Ok(vec![1])
        }
        fn describe(&self, index: u8) -> Result<Register, NsmError> {
            Ok(self.registers.lock().unwrap()[usize::from(index)])
        }
        fn extend(&self, index: u8, _: &[u8]) -> Result<Digest, NsmError> {
            let value = [9; 48];
            self.registers.lock().unwrap()[usize::from(index)].value = value;
            Ok(value)
        }
        fn lock(&self, range: u8) -> Result<(), NsmError> {
            for register in self.registers.lock().unwrap().iter_mut().take(range.into()) {
                register.locked = true;
            }
            Ok(())
        }
        fn random(&self) -> Result<Zeroizing<Vec<u8>>, NsmError> {
            Ok(Zeroizing::new(self.random.clone()))
        }
        fn trust_anchor(&self) -> TrustAnchor {
            TrustAnchor::Aws
        }
    }

    fn module(bank: Arc<Bank>) -> Module {
        let few = NonZeroU32::new(3).unwrap();
        Module::new(
            bank,
            SecurityModule {
                documents_per_sec: NonZeroU32::MIN,
                documents_per_address_per_min: few,
                burst_per_address: few,
                burst: few,
            },
        )
    }

    #[tokio::test]
    async fn a_debug_enclave_is_refused() {
        assert_eq!(module(Bank::new([0; 48])).refuse_debug().await, Err(NsmError::Debug));
        assert_eq!(module(Bank::new([1; 48])).refuse_debug().await, Ok(()));
    }

    #[tokio::test]
    async fn one_measured_register_is_not_debug_mode() {
        let bank = Bank::new([0; 48]);
        bank.registers.lock().unwrap()[2].value = [1; 48];
        assert_eq!(module(bank).refuse_debug().await, Ok(()));
    }

    #[tokio::test]
    async fn pcr16_is_extended_once_and_everything_is_locked() {
        let bank = Bank::new([1; 48]);
        let module = module(Arc::clone(&bank));
        assert_eq!(module.extend_and_lock([5; 48]).await, Ok([9; 48]));
        assert!(bank.registers.lock().unwrap().iter().all(|register| register.locked));
        assert_eq!(module.extend_and_lock([5; 48]).await, Err(NsmError::Locked));
    }

    #[tokio::test]
    async fn a_register_that_was_extended_before_us_is_refused() {
        let bank = Bank::new([1; 48]);
        bank.registers.lock().unwrap()[16].value = [4; 48];
        assert_eq!(module(bank).extend_and_lock([5; 48]).await, Err(NsmError::Locked));
    }

    #[tokio::test]
    async fn documents_are_made_at_a_bounded_rate() {
        let module = module(Bank::new([1; 48]));
        let mut made = 0;
        while module.attest(AttestRequest::default(), Share::Public).await.is_ok() {
            made += 1;
            assert!(made <= 10, "never refused");
        }
        assert!(made >= 3);
        assert_eq!(
            module.attest(AttestRequest::default(), Share::Public).await,
            Err(NsmError::Busy)
        );
        // Strangers spend their own share only.
        for share in [Share::Reports, Share::Clock] {
            assert!(module.attest(AttestRequest::default(), share).await.is_ok());
        }
    }

    #[tokio::test]
    async fn random_bytes_are_collected_until_there_are_enough() {
        let module = module(Bank::new([1; 48]));
        assert!(module.random(40).await.unwrap().len() >= 40);
        let empty = Arc::new(Bank { registers: Mutex::new(Vec::new()), random: Vec::new() });
        assert_eq!(self::module(empty).random(40).await.err(), Some(NsmError::Unexpected));
    }
}
