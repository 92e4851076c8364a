//! What the keys of each venue look like, and how to make new ones.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use super::KeyError;

/// Whose keys they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// Sixty-four letters and digits each.
    #[default]
    Binance,
    /// Both base64; a secret of 64 bytes.
    Kraken,
    /// As at Kraken Spot, but not the same keys.
    KrakenFutures,
    /// `organizations/{id}/apiKeys/{id}` and a P-256 key in PEM.
    Coinbase,
    /// `organizations/{id}/apiKeys/{id}` and an Ed25519 key, seed and public key in base64.
    CoinbaseEd25519,
    /// Letters and digits: 18 and 36.
    Bybit,
}

impl KeyForm {
    // serde passes a reference.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) const fn is_coinbase(self) -> bool {
        matches!(self, Self::Coinbase | Self::CoinbaseEd25519)
    }

    /// The key and its secret: what is given, if it has the form, and else random ones.
    pub(super) fn issue(
        self,
        key: Option<String>,
        secret: Option<String>,
    ) -> Result<(String, String), KeyError> {
        let key = match key {
            Some(key) if self.fits_key(&key) => key,
            Some(_) => return Err(KeyError::Format),
            None => self.random_key()?,
        };
        let secret = match secret {
            Some(secret) if self.fits_secret(&secret) => secret,
            Some(_) => return Err(KeyError::Format),
            None => self.random_secret()?,
        };
        Ok((key, secret))
    }

    fn fits_key(self, key: &str) -> bool {
        match self {
            Self::Binance => is_well_formed(key),
            Self::Bybit => is_plain(key, 18),
            Self::Kraken | Self::KrakenFutures => {
                (1..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
            }
            Self::Coinbase | Self::CoinbaseEd25519 => {
                let parts: Vec<_> = key.split('/').collect();
                let id = |part: &str| {
                    (1..=64).contains(&part.len())
                        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                };
                matches!(parts.as_slice(), ["organizations", org, "apiKeys", key] if id(org) && id(key))
            }
        }
    }

    fn fits_secret(self, secret: &str) -> bool {
        match self {
            Self::Binance => is_well_formed(secret),
            Self::Bybit => is_plain(secret, 36),
            Self::Kraken | Self::KrakenFutures => kraken_secret(secret).is_some(),
            Self::Coinbase | Self::CoinbaseEd25519 => public_key(self, secret).is_some(),
        }
    }

    fn random_key(self) -> Result<String, KeyError> {
        match self {
            Self::Binance => random_text(64),
            Self::Bybit => random_text(18),
            Self::Kraken | Self::KrakenFutures => Ok(STANDARD.encode(random::<42>()?)),
            Self::Coinbase | Self::CoinbaseEd25519 => {
                let [organization, key] = [random_uuid()?, random_uuid()?];
                Ok(format!("organizations/{organization}/apiKeys/{key}"))
            }
        }
    }

    fn random_secret(self) -> Result<String, KeyError> {
        match self {
            Self::Binance => random_text(64),
            Self::Bybit => random_text(36),
            Self::Kraken | Self::KrakenFutures => Ok(STANDARD.encode(random::<64>()?)),
            Self::Coinbase => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
                let pair = pair.map_err(|_| KeyError::Random)?;
                let der = pair.private_key().as_der().map_err(|_| KeyError::Random)?;
                Ok(pem("EC PRIVATE KEY", der.as_ref()))
            }
            Self::CoinbaseEd25519 => {
                let seed = random::<32>()?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
                let pair = pair.map_err(|_| KeyError::Random)?;
                Ok(STANDARD.encode([&seed, pair.public_key().as_ref()].concat()))
            }
        }
    }
}

/// The form of Binance's HMAC keys and secrets.
pub(crate) fn is_well_formed(key: &str) -> bool {
    is_plain(key, 64)
}

fn is_plain(key: &str, length: usize) -> bool {
    key.len() == length && key.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The bytes of a Kraken secret.
pub(crate) fn kraken_secret(secret: &str) -> Option<Vec<u8>> {
    STANDARD.decode(secret).ok().filter(|bytes| bytes.len() == 64)
}

/// The public half of a Coinbase secret.
pub(crate) fn public_key(form: KeyForm, secret: &str) -> Option<Vec<u8>> {
    if form == KeyForm::Coinbase {
        let der = PrivateKeyDer::from_pem_slice(secret.as_bytes()).ok()?;
        let pair =
            EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der());
        return Some(pair.ok()?.public_key().as_ref().to_vec());
    }
    let bytes = STANDARD.decode(secret).ok().filter(|bytes| bytes.len() == 64)?;
    let (seed, public) = bytes.split_at_checked(32)?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok()?;
    Some(public.to_vec())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    let mut left = text.as_str();
    while let Some((line, rest)) = left.split_at_checked(64) {
        lines.extend([line, "\n"]);
        left = rest;
    }
    if !left.is_empty() {
        lines.extend([left, "\n"]);
    }
    lines + &format!("-----END {label}-----\n")
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

fn random_uuid() -> Result<String, KeyError> {
    Ok(crate::ids::uuid_of(random::<16>()?))
}

/// Letters and digits, uniform.
fn random_text(length: usize) -> Result<String, KeyError> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let pool = random::<96>()?;
        // 248 = 4 * 62: larger bytes would favour the first letters.
        let letters = pool.iter().filter(|byte| **byte < 248);
        let letters = letters.filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len()));
        text.extend(letters.take(length - text.len()).map(|letter| char::from(*letter)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_keys_have_their_venues_form() {
        for form in [
            KeyForm::Binance,
            KeyForm::Kraken,
            KeyForm::KrakenFutures,
            KeyForm::Coinbase,
            KeyForm::CoinbaseEd25519,
            KeyForm::Bybit,
        ] {
            let (key, secret) = form.issue(None, None).unwrap();
            assert!(form.fits_key(&key) && form.fits_secret(&secret), "{form:?}");
            assert_eq!(form.issue(Some(key.clone()), Some(secret.clone())), Ok((key, secret)));
        }
    }

    #[test]
    fn keys_of_another_venue_are_refused() {
        let (key, secret) = KeyForm::Binance.issue(None, None).unwrap();
        let refused = Err(KeyError::Format);
        assert_eq!(KeyForm::Kraken.issue(None, Some(secret.clone())), refused);
        assert_eq!(KeyForm::Coinbase.issue(Some(key), None), refused);
        let (_, pem) = KeyForm::Coinbase.issue(None, None).unwrap();
        assert_eq!(KeyForm::CoinbaseEd25519.issue(None, Some(pem)), refused);
        assert_eq!(KeyForm::Coinbase.issue(None, Some(secret)), refused);
    }
}
