//! A security module in software, for development and tests.
//!
//! It is another device, not a skipped check. It has registers that measure
//! the running program, can be extended and locked; it signs a fresh document
//! for each request under its own root, in the form that Nitro's module uses
//! today (an indefinite-length payload map, nulls for absent fields). The
//! enclave, the client and the verifier do everything they would do otherwise.
//!
//! | register | hash of |
//! | --- | --- |
//! | PCR0 | the executable's hash and `image.toml`'s hash |
//! | PCR1 | `image.toml` |
//! | PCR2 | the executable |
//! | PCR3 to 15 | zero, locked |
//! | PCR16 to 31 | zero until extended; in a document once locked and extended |
//!
//! # What it does not give
//!
//! * Any trust at all: its root was made by this process a moment ago.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sha2::{Digest as _, Sha384};
use zeroize::Zeroizing;

use super::pki::{Chain, Root};
use super::{AttestRequest, Digest, Nsm, NsmError, REGISTERS, Register, TrustAnchor};
use crate::clock::Clock;

/// In every simulator build and in no release: what a build is searched for.
pub const MARKER: &str = "performance-aggregator simulated security module";

/// Longest data of one field, as the real module bounds it.
const FIELD_LEN_MAX: usize = 1024;

/// The first register that programs may use.
const FIRST_FREE: usize = 16;

/// The registers that measure a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub pcr0: Digest,
    pub pcr1: Digest,
    pub pcr2: Digest,
}

impl Measured {
    /// Measures an executable and a configuration.
    pub fn of(executable: impl Read, image_config: &[u8]) -> io::Result<Self> {
        let executable = hash_of(executable)?;
        let config: Digest = Sha384::digest(image_config).into();
        let both: Digest =
            Sha384::new().chain_update(executable).chain_update(config).finalize().into();
        Ok(Self {
            pcr0: extended(&[0; 48], &both),
            pcr1: extended(&[0; 48], &config),
            pcr2: extended(&[0; 48], &executable),
        })
    }

    /// Measures the running program, and `image_config`.
    pub fn of_this_program(image_config: &[u8]) -> io::Result<Self> {
        Self::of(File::open("/proc/self/exe")?, image_config)
    }
}

/// The simulated module.
pub struct Simulated {
    clock: Arc<dyn Clock>,
    root: Root,
    state: Mutex<State>,
}

struct State {
    registers: [Register; 32],
    chain: Chain,
}

impl Simulated {
    /// A module that measured `measured` and tells the time of `clock`.
    pub fn new(measured: Measured, clock: Arc<dyn Clock>) -> Result<Self, NsmError> {
        let now = clock.now();
        let root = Root::new(now)?;
        let chain = root.issue(now)?;
        let mut registers = [Register { value: [0; 48], locked: false }; 32];
        for (index, register) in registers.iter_mut().enumerate() {
            register.locked = index < FIRST_FREE;
            register.value = match index {
                0 => measured.pcr0,
                1 => measured.pcr1,
                2 => measured.pcr2,
                _ => [0; 48],
            };
        }
        Ok(Self { clock, root, state: Mutex::new(State { registers, chain }) })
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nsm for Simulated {
    fn attest(&self, request: &AttestRequest) -> Result<Vec<u8>, NsmError> {
        let fields = [&request.nonce, &request.user_data, &request.public_key];
        if fields.iter().any(|field| field.as_ref().is_some_and(|f| f.len() > FIELD_LEN_MAX)) {
            return Err(NsmError::Refused("input too large"));
        }
        let mut state = self.lock_state();
        let now = self.clock.now();
        if !state.chain.serves(now) {
            state.chain = self.root.issue(now)?;
        }
        let payload = encode(&Payload {
            timestamp: now.0,
            registers: &state.registers,
            chain: &state.chain,
            request,
        })?;
        let signature = state.chain.sign(&encode(&(
            "Signature1",
            Bytes(&PROTECTED),
            Bytes(&[]),
            Bytes(&payload),
        ))?)?;
        encode(&(Bytes(&PROTECTED), NoHeaders, Bytes(&payload), Bytes(&signature)))
    }

    fn describe(&self, index: u8) -> Result<Register, NsmError> {
        let state = self.lock_state();
        state.registers.get(usize::from(index)).copied().ok_or(NsmError::Refused("invalid index"))
    }

    fn extend(&self, index: u8, data: &[u8]) -> Result<Digest, NsmError> {
        let mut state = self.lock_state();
        let register = state
            .registers
            .get_mut(usize::from(index))
            .ok_or(NsmError::Refused("invalid index"))?;
        if register.locked {
            return Err(NsmError::Locked);
        }
        register.value = extended(&register.value, data);
        Ok(register.value)
    }

    fn lock(&self, range: u8) -> Result<(), NsmError> {
        if range > REGISTERS {
            return Err(NsmError::Refused("invalid argument"));
        }
        let mut state = self.lock_state();
        for register in state.registers.iter_mut().take(usize::from(range)) {
            register.locked = true;
        }
        Ok(())
    }

    fn random(&self) -> Result<Zeroizing<Vec<u8>>, NsmError> {
        let mut out = Zeroizing::new(vec![0; 256]);
        getrandom::fill(&mut out).map_err(|_| NsmError::Refused("no entropy"))?;
        Ok(out)
    }

    fn trust_anchor(&self) -> TrustAnchor {
        TrustAnchor::Simulated(self.root.der().to_vec())
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Simulated(..)")
    }
}

/// `{1: -35}`: ES384, the only header there ever is.
const PROTECTED: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];

/// The document's payload, written as the module writes it.
struct Payload<'a> {
    timestamp: u64,
    registers: &'a [Register; 32],
    chain: &'a Chain,
    request: &'a AttestRequest,
}

impl Serialize for Payload<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Of no stated length: the indefinite-length map of today's documents.
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("module_id", "i-0simulated0000000-enc0000000000000000")?;
        map.serialize_entry("digest", "SHA384")?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.serialize_entry("pcrs", &Registers(self.registers))?;
        map.serialize_entry("certificate", &Bytes(&self.chain.certificate))?;
        let cabundle: Vec<Bytes<'_>> =
            self.chain.cabundle.iter().map(|certificate| Bytes(certificate)).collect();
        map.serialize_entry("cabundle", &cabundle)?;
        map.serialize_entry("public_key", &self.request.public_key.as_deref().map(Bytes))?;
        map.serialize_entry("user_data", &self.request.user_data.as_deref().map(Bytes))?;
        map.serialize_entry("nonce", &self.request.nonce.as_deref().map(Bytes))?;
        map.end()
    }
}

/// Those that a document shows: the first sixteen, and others once they are
/// locked with something in them.
struct Registers<'a>(&'a [Register; 32]);

impl Serialize for Registers<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let shown: Vec<(u8, &Digest)> = (0..)
            .zip(self.0)
            .filter(|(index, register)| {
                usize::from(*index) < FIRST_FREE || (register.locked && register.value != [0; 48])
            })
            .map(|(index, register)| (index, &register.value))
            .collect();
        let mut map = to.serialize_map(Some(shown.len()))?;
        for (index, value) in shown {
            map.serialize_entry(&index, &Bytes(value))?;
        }
        map.end()
    }
}

/// A CBOR byte string.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

/// The empty map of unprotected headers.
struct NoHeaders;

impl Serialize for NoHeaders {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_map(Some(0))?.end()
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, NsmError> {
    serde_cbor::to_vec(value).map_err(|_| NsmError::Refused("the simulated signer failed"))
}

fn extended(register: &Digest, data: &[u8]) -> Digest {
    Sha384::new().chain_update(register).chain_update(data).finalize().into()
}

fn hash_of(mut from: impl Read) -> io::Result<Digest> {
    let mut hash = Sha384::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests;
