//! What a key may do, and the proof that it may only read.

use std::fmt;

use crate::{UnixMillis, limits};

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
    pub(crate) unreadable: bool,
    pub(crate) valid_until: Option<UnixMillis>,
    pub(crate) history: (Option<UnixMillis>, Option<UnixMillis>),
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

    /// Whether the exchange accepted the key and told nothing about its
    /// permissions that we can read. Nothing is wrong with such a key except
    /// that nothing is proven.
    pub const fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// When the key ends, if it does.
    pub const fn valid_until(&self) -> Option<UnixMillis> {
        self.valid_until
    }

    /// From when and until when the key may see the account's history, where
    /// it is limited: what lies outside will be missing from every metric.
    pub const fn history(&self) -> (Option<UnixMillis>, Option<UnixMillis>) {
        self.history
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
            && !self.unreadable
    }

    /// Mints the proof: the one function a reviewer has to trust.
    pub fn confirm(self) -> Result<ReadOnlyKey, KeyRefused> {
        if self.accept() { Ok(ReadOnlyKey(Proof::Confirmed)) } else { Err(self.refused()) }
    }

    /// As [`Permissions::confirm`], and also admits a key whose permissions
    /// the exchange does not tell in words we know ([`Proof::Unreadable`]).
    ///
    /// Only for an operator whose measured policy says so, and a report must
    /// say so too. A grant that is known to be too much still refuses.
    pub fn confirm_or_admit_unreadable(self) -> Result<ReadOnlyKey, KeyRefused> {
        let excess = [self.can_trade, self.can_withdraw, self.can_transfer_internal];
        let harmless = self.can_read != Some(false)
            && !excess.contains(&Some(true))
            && self.unknown_grants.is_empty()
            && self.to_remove.is_empty();
        if self.unreadable && harmless {
            Ok(ReadOnlyKey(Proof::Unreadable))
        } else {
            self.confirm()
        }
    }

    fn refused(self) -> KeyRefused {
        KeyRefused {
            cannot_read: self.can_read == Some(false),
            remove: self.to_remove,
            unproven: self.missing,
        }
    }
}

/// What a [`ReadOnlyKey`] stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The exchange confirmed that the key may read and nothing else.
    Confirmed,
    /// The exchange tells nothing that we can read; the operator's measured
    /// policy admits such keys.
    Unreadable,
}

/// The name of a grant as the customer may see it.
pub(crate) fn printable(name: &str) -> String {
    let fits = (1..=limits::GRANT_LEN_MAX).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        name.to_owned()
    } else {
        "(a grant with an unprintable name)".to_owned()
    }
}

/// Proof that an exchange confirmed a key as read-only, or that a policy
/// stands in for that ([`ReadOnlyKey::proof`]).
///
/// No public constructor and no `Clone`: the only ways to hold one are
/// [`Permissions::confirm`] and [`Permissions::confirm_or_admit_unreadable`].
#[derive(Debug)]
pub struct ReadOnlyKey(Proof);

impl ReadOnlyKey {
    /// What it stands on.
    pub const fn proof(&self) -> Proof {
        self.0
    }
}

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
