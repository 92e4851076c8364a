//! The states of a session as types.
//!
//! A [`Session<Opened>`] was decrypted and its owner's signature verified; it
//! can lend its credentials to the permission check and nothing else. Only
//! [`Session::activate`] leads on, and it eats one
//! [`ReadOnlyKey`](exchanges::ReadOnlyKey) for each account, which only the
//! exchange's own answer mints. What is live is a [`Session<Active>`].

use std::sync::atomic::{AtomicU64, Ordering};

use exchanges::{Market, Proof, Venue};
use protocol::portfolio::{PortfolioId, PortfolioKey};
use protocol::session::{Identity, OpenSession, Permission, SessionId, Ttl};
use protocol::time::UnixMillis;

use super::vault::{Vault, VaultError};
use crate::engine_api::{CheckedAccount, OpenedAccount};

mod sealed {
    pub trait Sealed {}
}

/// The states a session can be in. Sealed: nobody adds one from outside.
pub trait State: sealed::Sealed {}

/// Decrypted and signed for, not yet shown to any exchange.
#[derive(Debug)]
pub struct Opened {
    accounts: Vec<OpenedAccount>,
    ttl: Ttl,
}

/// Every exchange accepted its key and proved it read-only.
#[derive(Debug)]
pub struct Active {
    id: SessionId,
    number: u64,
    accounts: Vec<ActiveAccount>,
    started_at: UnixMillis,
    expires_at: UnixMillis,
}

impl sealed::Sealed for Opened {}
impl sealed::Sealed for Active {}
impl State for Opened {}
impl State for Active {}

/// An account whose key the exchange confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveAccount {
    pub label: String,
    pub venue: Venue,
    pub market: Market,
    pub symbols: Vec<String>,
    pub identity: Identity,
    pub permissions: Vec<Permission>,
    /// What the key was admitted on.
    pub proof: Proof,
}

/// One session: whose it is, and its credentials, in a state.
#[derive(Debug)]
pub struct Session<S: State> {
    portfolio_key: PortfolioKey,
    base_currency: String,
    vault: Vault,
    state: S,
}

/// Why a session was not opened or activated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// An account names an exchange or market this build does not have.
    #[error("account `{label}`: this exchange or market is not offered")]
    NotOffered { label: String },
    /// There is no secret memory for the credentials.
    #[error("no secret memory")]
    Vault(#[from] VaultError),
    /// Fewer or more proofs than accounts: a bug of the engine.
    #[error("the permission check did not answer for every account")]
    Unproven,
}

impl Session<Opened> {
    /// Moves the credentials into a vault and drops, and so wipes, the rest.
    pub fn open(request: OpenSession) -> Result<Self, LifecycleError> {
        let mut accounts = Vec::with_capacity(request.accounts.len());
        for account in &request.accounts {
            let not_offered = || LifecycleError::NotOffered { label: account.label.clone() };
            accounts.push(OpenedAccount {
                label: account.label.clone(),
                venue: account.venue.parse().map_err(|_| not_offered())?,
                market: account.market.parse().map_err(|_| not_offered())?,
                symbols: account.symbols.clone(),
            });
        }
        Ok(Self {
            portfolio_key: request.portfolio_key,
            vault: Vault::new(&request.accounts)?,
            state: Opened { accounts, ttl: request.ttl },
            base_currency: request.base_currency,
        })
    }

    /// What the permission check is about.
    pub fn accounts(&self) -> &[OpenedAccount] {
        &self.state.accounts
    }

    /// The credentials, for the permission check.
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Consumes the proofs, so one confirmation activates one session.
    pub fn activate(
        self,
        checked: Vec<CheckedAccount>,
        id: SessionId,
        now: UnixMillis,
    ) -> Result<Session<Active>, LifecycleError> {
        let Opened { accounts, ttl } = self.state;
        if checked.len() != accounts.len() {
            return Err(LifecycleError::Unproven);
        }
        let accounts = accounts
            .into_iter()
            .zip(checked)
            .map(|(account, CheckedAccount { identity, permissions, proof })| ActiveAccount {
                label: account.label,
                venue: account.venue,
                market: account.market,
                symbols: account.symbols,
                identity,
                permissions,
                proof: proof.proof(),
            })
            .collect();
        Ok(Session {
            portfolio_key: self.portfolio_key,
            base_currency: self.base_currency,
            vault: self.vault,
            state: Active {
                id,
                number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
                accounts,
                started_at: now,
                expires_at: now.saturating_add(ttl.duration()),
            },
        })
    }
}

impl Session<Active> {
    /// Identifies the session to its owner; never in a log.
    pub const fn id(&self) -> &SessionId {
        &self.state.id
    }

    /// Identifies the session inside this process, for as long as it runs.
    pub const fn number(&self) -> u64 {
        self.state.number
    }

    /// In the order the customer named them.
    pub fn accounts(&self) -> &[ActiveAccount] {
        &self.state.accounts
    }

    /// When it became active.
    pub const fn started_at(&self) -> UnixMillis {
        self.state.started_at
    }

    /// When it ends by itself.
    pub const fn expires_at(&self) -> UnixMillis {
        self.state.expires_at
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        now >= self.state.expires_at
    }

    /// Lends the credentials of one account for the length of `read`.
    ///
    /// [`VaultError::Gone`] once the session is expired, whether or not the
    /// timer has wiped the vault yet.
    pub fn with_secret<R>(
        &self,
        now: UnixMillis,
        account: usize,
        read: impl FnOnce(&exchanges::Credentials<'_>) -> R,
    ) -> Result<R, VaultError> {
        if self.is_expired(now) {
            return Err(VaultError::Gone);
        }
        self.vault.with_secret(account, read)
    }

    /// Wipes the credentials. The session stays nameable and can sign nothing.
    pub fn wipe(&self) {
        self.vault.wipe();
    }

    /// Whether the credentials are wiped.
    pub fn is_wiped(&self) -> bool {
        self.vault.is_wiped()
    }
}

impl<S: State> Session<S> {
    /// The customer's key.
    pub const fn portfolio_key(&self) -> &PortfolioKey {
        &self.portfolio_key
    }

    /// The portfolio this session reads for.
    pub fn portfolio_id(&self) -> PortfolioId {
        self.portfolio_key.portfolio_id()
    }

    /// What everything is valued in.
    pub fn base_currency(&self) -> &str {
        &self.base_currency
    }
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
mod tests {
    use super::*;

    // A session is one: it cannot be copied, printed or sent.
    static_assertions::assert_not_impl_any!(Session<Opened>: Clone, std::fmt::Display);
    static_assertions::assert_not_impl_any!(Session<Active>: Clone, std::fmt::Display);
    // A proof is consumed once.
    static_assertions::assert_not_impl_any!(exchanges::ReadOnlyKey: Clone, Copy, Default);
    static_assertions::assert_not_impl_any!(CheckedAccount: Clone, Copy, Default);
    // What is polled can be shared between tasks.
    static_assertions::assert_impl_all!(Session<Active>: Send, Sync);
}
