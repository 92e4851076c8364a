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

#[cfg(test)]
mod tests {
    use super::{Measurements, MeasurementsError};

    fn sample() -> Measurements {
        Measurements::new("0.1.0".to_owned(), false, [[1; 48], [2; 48], [3; 48]])
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut measurements = sample();
        assert_eq!(Measurements::from_json(&measurements.to_json()), Ok(measurements.clone()));
        measurements.pcr8 = Some([8; 48]);
        measurements.commit = Some("0123456789abcdef".to_owned());
        measurements.toolchain = Some("1.95.0".to_owned());
        measurements.kernel = Some("6.12".to_owned());
        measurements.config_sha256 = Some([4; 32]);
        measurements.eif_sha384 = Some([5; 48]);
        assert_eq!(Measurements::from_json(&measurements.to_json()), Ok(measurements.clone()));
    }

    #[test]
    fn zero_registers_are_refused_because_they_match_debug_mode() {
        for (name, zero) in [("pcr0", 0), ("pcr1", 1), ("pcr2", 2)] {
            let mut pcrs = [[1; 48]; 3];
            pcrs[zero] = [0; 48];
            let json = Measurements::new("0.1.0".to_owned(), false, pcrs).to_json();
            assert_eq!(Measurements::from_json(&json), Err(MeasurementsError::Zero(name)));
        }
        let zero = Measurements { pcr8: Some([0; 48]), ..sample() };
        let read = Measurements::from_json(&zero.to_json());
        assert_eq!(read, Err(MeasurementsError::Zero("pcr8")));
    }

    #[test]
    fn other_files_are_refused() {
        let text = String::from_utf8(sample().to_json()).unwrap();
        let pcr = "01".repeat(48);
        for (from, to) in [
            ("\"v\": 1", "\"v\": 2".to_owned()),
            ("\"v\": 1", "\"v\": 1, \"pcr3\": \"\"".to_owned()),
            ("\"v\": 1", format!("\"v\": 1, \"pcr0\": \"{pcr}\"")),
            ("\"simulated\": false,", String::new()),
            (&pcr, "01".repeat(47)),
            (&pcr, format!("{pcr}01")),
            (&pcr, format!("0A{}", "01".repeat(47))),
            ("0.1.0", "0.1\\n".to_owned()),
        ] {
            let bad = text.replacen(from, &to, 1);
            assert_ne!(bad, text, "{from}");
            let read = Measurements::from_json(bad.as_bytes());
            assert_eq!(read, Err(MeasurementsError::Malformed), "{to}");
        }
    }
}
