//! `measurements.json`: what a release's image measures to.
//!
//! The customer gets it from whoever built or reviewed the release; never from the service that
//! is to be verified.

use serde::{Deserialize, Serialize};

use crate::encoding::{hex_array, hex_array_option};
use crate::json::{self, Version1};
use crate::limits::{MEASUREMENTS_LEN_MAX, TEXT_LEN_MAX};
use crate::session::is_text;

/// A platform configuration register: a SHA-384.
pub type Pcr = [u8; 48];

/// The expected measurements of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurements {
    v: Version1,
    /// The release.
    pub version: String,
    /// Whether they are a simulator's: hashes of an executable and not of an image.
    pub simulated: bool,
    /// The image file.
    #[serde(with = "hex_array")]
    pub pcr0: Pcr,
    /// The kernel and boot ramdisk.
    #[serde(with = "hex_array")]
    pub pcr1: Pcr,
    /// The application.
    #[serde(with = "hex_array")]
    pub pcr2: Pcr,
    /// The certificate that signed the image, if it was signed.
    #[serde(default, with = "hex_array_option", skip_serializing_if = "Option::is_none")]
    pub pcr8: Option<Pcr>,
    /// The source revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The compiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolchain: Option<String>,
    /// The kernel's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// The image's configuration file.
    #[serde(default, with = "hex_array_option", skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<[u8; 32]>,
    /// The image file as it is stored.
    #[serde(default, with = "hex_array_option", skip_serializing_if = "Option::is_none")]
    pub eif_sha384: Option<[u8; 48]>,
}

/// `measurements.json` was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasurementsError {
    /// Not of the closed schema.
    #[error("measurements are malformed")]
    Malformed,
    /// A register is all zero, which is what debug mode shows: it measures nothing.
    #[error("{0} is all zero, which is debug mode and measures nothing")]
    Zero(&'static str),
}

impl Measurements {
    /// Makes the required part.
    pub const fn new(version: String, simulated: bool, [pcr0, pcr1, pcr2]: [Pcr; 3]) -> Self {
        Self {
            v: Version1,
            version,
            simulated,
            pcr0,
            pcr1,
            pcr2,
            pcr8: None,
            commit: None,
            toolchain: None,
            kernel: None,
            config_sha256: None,
            eif_sha384: None,
        }
    }

    /// Reads the file; unknown, missing and duplicate fields are refused, and zero registers.
    ///
    /// # Errors
    /// As [`MeasurementsError`] says.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MeasurementsError> {
        let read: Self = json::read_owned(bytes, MEASUREMENTS_LEN_MAX)
            .map_err(|_| MeasurementsError::Malformed)?;
        let texts = [
            Some(&read.version),
            read.commit.as_ref(),
            read.toolchain.as_ref(),
            read.kernel.as_ref(),
        ];
        if !texts.into_iter().flatten().all(|text| is_text(text, TEXT_LEN_MAX)) {
            return Err(MeasurementsError::Malformed);
        }
        let registers = [
            ("pcr0", Some(&read.pcr0)),
            ("pcr1", Some(&read.pcr1)),
            ("pcr2", Some(&read.pcr2)),
            ("pcr8", read.pcr8.as_ref()),
        ];
        for (name, pcr) in registers {
            if pcr.is_some_and(|pcr| pcr.iter().all(|byte| *byte == 0)) {
                return Err(MeasurementsError::Zero(name));
            }
        }
        Ok(read)
    }

    /// Writes the file.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("strings, booleans and integers only")
    }

    /// PCR0, PCR1, PCR2.
    pub const fn pcrs(&self) -> [&Pcr; 3] {
        [&self.pcr0, &self.pcr1, &self.pcr2]
    }
}
