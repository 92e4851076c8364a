//! What a key may do, and the proof that it may only read.

use std::fmt;

/// What an exchange says a key may do.
///
/// Only a connector makes one, from a reply; so a [`ReadOnlyKey`] always
/// stands for an answer of the exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    pub(crate) can_read: Option<bool>,
    pub(crate) can_trade: Option<bool>,
    pub(crate) can_withdraw: Option<bool>,
    pub(crate) can_transfer_internal: Option<bool>,
    pub(crate) unknown_grants: Vec<String>,
    pub(crate) to_remove: Vec<String>,
    pub(crate) missing: Vec<&'static str>,
}

impl Permissions {
    /// `None` if the reply proves nothing; so below.
    pub const fn can_read(&self) -> Option<bool> {
        self.can_read
    }

    /// Whether the key may place or cancel orders.
    pub const fn can_trade(&self) -> Option<bool> {
        self.can_trade
    }

    /// Whether the key may send assets away.
    pub const fn can_withdraw(&self) -> Option<bool> {
        self.can_withdraw
    }

    /// Whether the key may move assets between accounts.
    pub const fn can_transfer_internal(&self) -> Option<bool> {
        self.can_transfer_internal
    }

    /// Grants that are on and that we do not know, by the exchange's names.
    pub fn unknown_grants(&self) -> &[String] {
        &self.unknown_grants
    }

    /// Grants that are on and must be off, by the exchange's names; unknown
    /// ones too.
    pub fn to_remove(&self) -> &[String] {
        &self.to_remove
    }

    /// Whether the key may read and nothing else, and the reply proves it.
    pub fn accept(&self) -> bool {
        self.can_read == Some(true)
            && self.can_trade == Some(false)
            && self.can_withdraw == Some(false)
            && self.can_transfer_internal == Some(false)
            && self.unknown_grants.is_empty()
            && self.to_remove.is_empty()
            && self.missing.is_empty()
    }

    /// Mints the proof: the one function a reviewer has to trust.
    pub fn confirm(self) -> Result<ReadOnlyKey, KeyRefused> {
        if self.accept() {
            Ok(ReadOnlyKey(()))
        } else {
            Err(KeyRefused {
                cannot_read: self.can_read == Some(false),
                remove: self.to_remove,
                unproven: self.missing,
            })
        }
    }
}

/// Proof that an exchange confirmed a key as read-only.
///
/// No public constructor and no `Clone`: the only way to hold one is
/// [`Permissions::confirm`].
#[derive(Debug)]
pub struct ReadOnlyKey(());

/// Why a key was refused, in words for the customer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct KeyRefused {
    /// Permissions to remove, by the exchange's names.
    pub remove: Vec<String>,
    /// Flags that the exchange should have sent and did not.
    pub unproven: Vec<&'static str>,
    /// Whether the key lacks the permission to read.
    pub cannot_read: bool,
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only keys that can read and nothing else are accepted")?;
        let mut separator = ": ";
        if !self.remove.is_empty() {
            write!(f, "{separator}remove {}", self.remove.join(", "))?;
            separator = "; ";
        }
        if self.cannot_read {
            write!(f, "{separator}allow reading")?;
            separator = "; ";
        }
        if !self.unproven.is_empty() {
            write!(f, "{separator}the exchange did not state {}", self.unproven.join(", "))?;
        }
        Ok(())
    }
}
