//! The key that owns a portfolio: made here, kept here, never sent.

use std::path::Path;

use protocol::encoding::b64_array;
use protocol::portfolio::{PortfolioKey, PortfolioSecret};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::ClientError;
use crate::files;
use crate::random;

const FILE_LEN_MAX: usize = 1024;

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct File {
    v: u8,
    #[serde(with = "b64_array")]
    portfolio_key: [u8; 32],
    #[serde(with = "b64_array")]
    portfolio_secret: [u8; 32],
}

/// Makes a key and the file that holds it; returns the public half.
pub fn generate(path: &Path) -> Result<PortfolioKey, ClientError> {
    let seed = Zeroizing::new(random::bytes::<32>()?);
    let secret = PortfolioSecret::from_bytes(&seed);
    let file = File {
        v: 1,
        portfolio_key: secret.public().to_bytes(),
        portfolio_secret: *secret.expose(),
    };
    let json = Zeroizing::new(
        serde_json::to_vec(&file)
            .map_err(|_| ClientError::Internal("a key cannot be written".into()))?,
    );
    files::create_secret(path, &json)?;
    Ok(secret.public())
}

/// Reads the file that [`generate`] wrote.
pub fn read(path: &Path) -> Result<PortfolioSecret, ClientError> {
    let bytes = files::read_secret(path, FILE_LEN_MAX)?;
    let malformed = || {
        ClientError::usage(
            format!("{} is no portfolio key", path.display()),
            "make one: perfagg keygen",
        )
    };
    let file: File = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
    let secret = PortfolioSecret::from_bytes(&file.portfolio_secret);
    if file.v != 1 || secret.public().to_bytes() != file.portfolio_key {
        return Err(malformed());
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_file_reads_back_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portfolio.key");
        let public = generate(&path).unwrap();
        assert_eq!(read(&path).unwrap().public(), public);
        assert_eq!(generate(&path).unwrap_err().exit_code(), 2);

        let other = dir.path().join("other.key");
        generate(&other).unwrap();
        let mut mixed: File = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let stranger: File = serde_json::from_slice(&std::fs::read(&other).unwrap()).unwrap();
        mixed.portfolio_secret = stranger.portfolio_secret;
        files::replace(&path, &serde_json::to_vec(&mixed).unwrap(), 0o600).unwrap();
        assert_eq!(read(&path).unwrap_err().exit_code(), 2);
    }
}
