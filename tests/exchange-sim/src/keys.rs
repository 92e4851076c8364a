//! API keys: who may ask, for which account, and with what rights.
//!
//! Secrets are test secrets, but they are treated as real ones: `Debug` hides
//! them and no log line or reply but the key announcement holds one.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::limits;

mod forms;

pub use self::forms::KeyForm;
pub(crate) use self::forms::{is_well_formed, kraken_secret, public_key};

/// A key to add: what is left out is random.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    pub account: String,
    #[serde(default)]
    pub api_key: Option<String>,
    #[serde(default)]
    pub api_secret: Option<String>,
    #[serde(default)]
    pub permissions: Permissions,
    #[serde(default)]
    pub form: KeyForm,
}

/// A key as it is announced to whoever started the simulator.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedKey {
    pub account: String,
    pub api_key: String,
    pub api_secret: String,
    pub permissions: Permissions,
    #[serde(default, skip_serializing_if = "KeyForm::is_default")]
    pub form: KeyForm,
}

impl fmt::Debug for KeySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySpec").field("account", &self.account).finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedKey").field("account", &self.account).finish_non_exhaustive()
    }
}

/// What a key may do: words separated by commas, `read` by default.
///
/// Besides the known words any name of the form `enableSomething` or
/// `permitsSomething` is a right that only this venue has heard of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Permissions(BTreeSet<String>);

/// Words of [`Permissions`] and the name of each in Binance's key restrictions, in its order.
pub(crate) const RIGHTS: [(&str, &str); 11] = [
    ("read", "enableReading"),
    ("withdraw", "enableWithdrawals"),
    ("internal-transfer", "enableInternalTransfer"),
    ("margin", "enableMargin"),
    ("futures", "enableFutures"),
    ("universal-transfer", "permitsUniversalTransfer"),
    ("options", "enableVanillaOptions"),
    ("fix-trade", "enableFixApiTrade"),
    ("fix-read", "enableFixReadOnly"),
    ("trade", "enableSpotAndMarginTrading"),
    ("portfolio-margin", "enablePortfolioMarginTrading"),
];

impl Permissions {
    pub fn read_only() -> Self {
        Self(BTreeSet::from(["read".to_owned()]))
    }

    pub(crate) fn holds(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// Rights that are none of the known words.
    pub(crate) fn unheard_of(&self) -> impl Iterator<Item = &str> {
        let known = |word: &&str| !RIGHTS.iter().any(|(name, _)| name == word);
        self.0.iter().map(String::as_str).filter(known)
    }
}

impl Default for Permissions {
    fn default() -> Self {
        Self::read_only()
    }
}

impl FromStr for Permissions {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text == "none" {
            return Ok(Self(BTreeSet::new()));
        }
        let known = |word: &str| RIGHTS.iter().any(|(name, _)| *name == word);
        let field = |word: &str| {
            let rest = word.strip_prefix("enable").or_else(|| word.strip_prefix("permits"));
            rest.is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_ascii_uppercase())
                    && rest.len() <= 64
                    && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }) && !RIGHTS.iter().any(|(_, name)| *name == word)
        };
        let words: BTreeSet<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
        let sound = words.len() <= 32 && words.iter().all(|word| known(word) || field(word));
        if sound { Ok(Self(words)) } else { Err(KeyError::Permissions) }
    }
}

impl TryFrom<String> for Permissions {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<Permissions> for String {
    fn from(permissions: Permissions) -> Self {
        permissions.to_string()
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        // The words in the order of RIGHTS, so that the usual case reads "read,trade".
        let known = RIGHTS.iter().map(|(word, _)| *word).filter(|word| self.holds(word));
        let words: Vec<_> = known.chain(self.unheard_of()).collect();
        f.write_str(&words.join(","))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    #[error("the scenario has no such account")]
    NoSuchAccount,
    #[error("no such API key")]
    NoSuchKey,
    #[error("an API key or its secret does not have its venue's form")]
    Format,
    #[error("the API key exists already")]
    Taken,
    #[error("too many API keys")]
    TooMany,
    #[error("unknown permission; words are separated by commas, for example read,trade")]
    Permissions,
    #[error("the operating system gave no random bytes")]
    Random,
    #[error("the key file cannot be read or is not a JSON list of keys")]
    File,
}

/// One key as a request meets it.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) account: String,
    pub(crate) secret: String,
    pub(crate) permissions: Permissions,
    pub(crate) form: KeyForm,
    /// The largest nonce it was used with.
    nonce: Arc<AtomicU64>,
}

impl Key {
    pub(crate) fn last_nonce(&self) -> u64 {
        self.nonce.load(Ordering::Acquire)
    }

    /// Notes a nonce; refused unless it is larger than every one before.
    pub(crate) fn advance(&self, nonce: u64) -> bool {
        self.nonce.fetch_max(nonce, Ordering::AcqRel) < nonce
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("account", &self.account).finish_non_exhaustive()
    }
}

/// All keys of this simulator.
#[derive(Default)]
pub(crate) struct KeyRing(RwLock<HashMap<String, Key>>);

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(..)")
    }
}

impl KeyRing {
    pub(crate) fn add(&self, spec: KeySpec) -> Result<IssuedKey, KeyError> {
        let (api_key, api_secret) = spec.form.issue(spec.api_key, spec.api_secret)?;
        let issued = IssuedKey {
            account: spec.account,
            api_key,
            api_secret,
            permissions: spec.permissions,
            form: spec.form,
        };
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.contains_key(&issued.api_key) {
            return Err(KeyError::Taken);
        }
        if keys.len() >= limits::KEYS_MAX {
            return Err(KeyError::TooMany);
        }
        keys.insert(
            issued.api_key.clone(),
            Key {
                account: issued.account.clone(),
                secret: issued.api_secret.clone(),
                permissions: issued.permissions.clone(),
                form: issued.form,
                nonce: Arc::default(),
            },
        );
        Ok(issued)
    }

    pub(crate) fn find(&self, api_key: &str) -> Option<Key> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(api_key).cloned()
    }

    /// Changes the rights of one key, or of every key of an account; returns how many.
    pub(crate) fn permit(
        &self,
        api_key: Option<&str>,
        account: Option<&str>,
        permissions: &Permissions,
    ) -> Result<usize, KeyError> {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = 0;
        for (name, key) in keys.iter_mut() {
            if api_key.is_none_or(|wanted| wanted == name)
                && account.is_none_or(|wanted| wanted == key.account)
            {
                key.permissions = permissions.clone();
                changed += 1;
            }
        }
        if changed == 0 { Err(KeyError::NoSuchKey) } else { Ok(changed) }
    }
}

/// Reads a key file: a JSON list of [`KeySpec`].
///
/// # Errors
/// When it cannot be read or is something else.
pub fn read_key_file(path: &Path) -> Result<Vec<KeySpec>, KeyError> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|_| KeyError::File)?;
    file.take(limits::KEYS_FILE_BYTES_MAX).read_to_end(&mut text).map_err(|_| KeyError::File)?;
    serde_json::from_slice(&text).map_err(|_| KeyError::File)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(account: &str) -> KeySpec {
        KeySpec {
            account: account.to_owned(),
            api_key: None,
            api_secret: None,
            permissions: Permissions::default(),
            form: KeyForm::Binance,
        }
    }

    #[test]
    fn a_key_of_no_ones_choosing_is_random_and_well_formed() {
        let ring = KeyRing::default();
        let [one, two] = ["a", "a"].map(|account| ring.add(spec(account)).unwrap());
        assert!(is_well_formed(&one.api_key) && is_well_formed(&one.api_secret));
        assert_ne!(one.api_key, two.api_key);
        assert_ne!(one.api_secret, two.api_secret);
        assert_ne!(one.api_key, one.api_secret);
    }

    #[test]
    fn a_nonce_counts_once_and_only_upwards() {
        let ring = KeyRing::default();
        let issued = ring.add(KeySpec { form: KeyForm::Kraken, ..spec("a") }).unwrap();
        let key = ring.find(&issued.api_key).unwrap();
        let used = [1, 5, 5, 4, 6].map(|nonce| key.advance(nonce));
        assert_eq!(used, [true, true, false, false, true]);
        assert_eq!(ring.find(&issued.api_key).unwrap().last_nonce(), 6);
    }

    #[test]
    fn debug_shows_no_secret() {
        let issued = KeyRing::default().add(spec("a")).unwrap();
        assert_eq!(format!("{issued:?}"), r#"IssuedKey { account: "a", .. }"#);
    }

    #[test]
    fn permissions_read_as_words() {
        assert_eq!(Permissions::default().to_string(), "read");
        let mixed: Permissions = "trade,read,enableTimeTravel".parse().unwrap();
        assert_eq!(mixed.to_string(), "read,trade,enableTimeTravel");
        assert_eq!(mixed.unheard_of().collect::<Vec<_>>(), ["enableTimeTravel"]);
        assert_eq!("none".parse::<Permissions>().unwrap().to_string(), "none");
        for text in ["", "Read", "root", "enable", "enableReading", "enablethings", "read,,trade"] {
            assert_eq!(text.parse::<Permissions>(), Err(KeyError::Permissions), "{text:?}");
        }
    }

    #[test]
    fn rights_change_for_a_key_or_for_an_account() {
        let ring = KeyRing::default();
        let first = ring.add(spec("a")).unwrap();
        ring.add(spec("a")).unwrap();
        let trade: Permissions = "read,trade".parse().unwrap();
        assert_eq!(ring.permit(Some(&first.api_key), None, &trade), Ok(1));
        assert_eq!(ring.find(&first.api_key).unwrap().permissions, trade);
        assert_eq!(ring.permit(None, Some("a"), &Permissions::default()), Ok(2));
        assert_eq!(ring.permit(None, Some("b"), &trade), Err(KeyError::NoSuchKey));
    }
}
