//! Where a session's exchange credentials are.
//!
//! One [`SecretMapping`] a session: guard pages, locked, out of dumps and
//! children, unreadable except inside [`Vault::with_secret`]. Outside the
//! mapping only lengths are kept.
//!
//! # What it does not give
//!
//! * The closure can copy what it sees. Connectors wipe the keys they derive;
//!   registers and the stack are beyond us, and known-limits says so.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use protocol::secret::SecretBytes;
use protocol::session::AccountRequest;
use sys::{MappingError, SecretMapping};

/// The credentials of one session, by account index.
pub struct Vault {
    slots: Box<[Slot]>,
    /// `None` once wiped. The lock also keeps two signers from opening and
    /// closing the same pages at once.
    mapping: Mutex<Option<SecretMapping>>,
}

/// Where one account's credentials lie in the mapping.
struct Slot {
    key: Range<usize>,
    secret: Range<usize>,
    passphrase: Option<Range<usize>>,
}

/// Why there is nothing to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The session has ended and its credentials are wiped.
    #[error("the session has ended")]
    Gone,
    /// The session has no account of this index.
    #[error("no such account in this session")]
    NoSuchAccount,
    /// The pages could not be made, locked or opened.
    #[error("no secret memory")]
    Mapping(#[from] MappingError),
}

impl Vault {
    /// Copies the credentials of `accounts` into a mapping of their own. The
    /// originals are the caller's to drop, which wipes them.
    pub fn new(accounts: &[AccountRequest]) -> Result<Self, VaultError> {
        let mut parts: Vec<&SecretBytes> = Vec::with_capacity(3 * accounts.len());
        let mut len = 0;
        let mut place = |secret| -> Range<usize> {
            parts.push(secret);
            let start = len;
            len += secret.len();
            start..len
        };
        let slots = accounts
            .iter()
            .map(|account| Slot {
                key: place(&account.credentials.api_key),
                secret: place(&account.credentials.api_secret),
                passphrase: account.credentials.passphrase.as_ref().map(&mut place),
            })
            .collect();
        let mapping = SecretMapping::new(len, |room| {
            let mut room = room;
            for part in parts {
                // The lengths were added up above; a shorter room ends the copying.
                let Some((head, tail)) = room.split_at_mut_checked(part.len()) else { return };
                head.copy_from_slice(part.expose());
                room = tail;
            }
        })?;
        Ok(Self { slots, mapping: Mutex::new(Some(mapping)) })
    }

    /// Lends the credentials of account `account` to `read`, and makes them
    /// unreadable again when it returns. Keep `read` to the signing itself:
    /// other accounts of the session wait.
    pub fn with_secret<R>(
        &self,
        account: usize,
        read: impl FnOnce(&exchanges::Credentials<'_>) -> R,
    ) -> Result<R, VaultError> {
        let slot = self.slots.get(account).ok_or(VaultError::NoSuchAccount)?;
        // A panic inside `read` closed the pages on its way out, so what a
        // poisoned lock guards is still whole.
        let mut mapping = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        let mapping = mapping.as_mut().ok_or(VaultError::Gone)?;
        mapping
            .with_readable(|bytes| {
                let part = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
                // The protocol admits printable ASCII alone.
                let key = std::str::from_utf8(part(&slot.key)).unwrap_or_default();
                read(&exchanges::Credentials {
                    key,
                    secret: part(&slot.secret),
                    passphrase: slot.passphrase.as_ref().map(part),
                })
            })
            .map_err(VaultError::Mapping)
    }

    /// Wipes the credentials at once. A signer that holds the lock finishes
    /// first; every later one finds [`VaultError::Gone`].
    pub fn wipe(&self) {
        drop(self.mapping.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Whether the credentials are wiped.
    pub fn is_wiped(&self) -> bool {
        self.mapping.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} accounts)", self.slots.len())
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use protocol::session::Credentials;

    use super::*;

    static_assertions::assert_not_impl_any!(Vault: Clone, fmt::Display);

    fn account(label: &str, passphrase: Option<&str>) -> AccountRequest {
        AccountRequest {
            label: label.into(),
            venue: "binance".into(),
            market: "spot".into(),
            credentials: Credentials {
                api_key: SecretBytes::copy(format!("key of {label}").as_bytes()),
                api_secret: SecretBytes::copy(format!("secret of {label}").as_bytes()),
                passphrase: passphrase.map(|text| SecretBytes::copy(text.as_bytes())),
            },
            symbols: Vec::new(),
        }
    }

    #[test]
    fn each_account_gets_its_own_credentials_back() {
        let vault = Vault::new(&[account("a", None), account("b", Some("pass"))]).unwrap();
        let seen = |index| {
            vault.with_secret(index, |credentials| {
                (
                    credentials.key.to_owned(),
                    credentials.secret.to_vec(),
                    credentials.passphrase.map(<[u8]>::to_vec),
                )
            })
        };
        assert_eq!(seen(0).unwrap(), ("key of a".into(), b"secret of a".to_vec(), None));
        assert_eq!(
            seen(1).unwrap(),
            ("key of b".into(), b"secret of b".to_vec(), Some(b"pass".to_vec()))
        );
        assert_eq!(seen(2), Err(VaultError::NoSuchAccount));
    }

    #[test]
    fn a_wiped_vault_gives_nothing() {
        let vault = Vault::new(&[account("a", None)]).unwrap();
        assert!(!vault.is_wiped());
        vault.wipe();
        assert!(vault.is_wiped());
        assert_eq!(vault.with_secret(0, |_| ()), Err(VaultError::Gone));
    }

    #[test]
    fn a_panicking_reader_leaves_the_vault_usable_and_wipeable() {
        let vault = Vault::new(&[account("a", None)]).unwrap();
        let caught =
            catch_unwind(AssertUnwindSafe(|| vault.with_secret(0, |_| panic!("reader")).is_ok()));
        assert!(caught.is_err());
        assert_eq!(vault.with_secret(0, |credentials| credentials.key.len()), Ok(8));
        vault.wipe();
        assert!(vault.is_wiped());
    }

    #[test]
    fn debug_shows_nothing() {
        let vault = Vault::new(&[account("a", Some("hunter2"))]).unwrap();
        assert_eq!(format!("{vault:?}"), "Vault(1 accounts)");
    }
}
