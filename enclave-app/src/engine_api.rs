//! The seam between custody and work.
//!
//! Custody (keys, sessions, HTTP, attestation) never talks to an exchange and
//! knows no metric. The engine (egress, poller, portfolio, report) never sees
//! an envelope, a request or a session id on the wire. They meet here:
//!
//! * custody calls [`Engine`]: check these accounts, start and stop polling a
//!   session, tell how it goes, build its report;
//! * the engine calls [`Signer`] for the attestation document and the
//!   signature of a report, and borrows exchange credentials for the length
//!   of one closure through [`Vault::with_secret`](crate::sessions::Vault::with_secret).
//!
//! **Invariant:** no type in this file holds credentials. They stay in the
//! session's secret mapping, and the engine reaches them by account index.

use std::fmt::{self, Debug};
use std::sync::Arc;

use async_trait::async_trait;
use exchanges::{Market, ReadOnlyKey, Venue};
use protocol::category::Category;
use protocol::claim::{ClaimReply, ClaimRequest};
use protocol::key_bundle::{Deployment, KeyBundle};
use protocol::portfolio::PortfolioId;
use protocol::session::{ErrorDetail, Identity, Permission};
use protocol::time::UnixMillis;
#[cfg(feature = "simulator")]
use rustls_pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::Address;

use crate::clock::Clock;
#[cfg(feature = "simulator")]
use crate::clock::ScenarioClock;
use crate::egress::Egress;
use crate::entropy::{Entropy, EntropyError};
use crate::image_config::ImageConfig;
use crate::sessions::{Active, Session, Vault};

/// What custody asks of the poller, the portfolio and the report builder.
#[async_trait]
pub trait Engine: Send + Sync + Debug {
    /// Asks the exchange about every account: does the key work, whose is it,
    /// and can it only read.
    ///
    /// Returns one [`CheckedAccount`] for each of `accounts`, in their order,
    /// or the first refusal. Called before the session is active; the
    /// credentials of `accounts[i]` are `vault.with_secret(i, ..)`.
    /// Cancel safe: dropping the future abandons the calls and changes nothing.
    async fn verify_accounts(
        &self,
        vault: &Vault,
        accounts: &[OpenedAccount],
    ) -> Result<Vec<CheckedAccount>, AccountRefusal>;

    /// Whether `portfolio` is new or counts in `base` already.
    fn counts_in(&self, portfolio: &PortfolioId, base: &str) -> Result<(), StartRefusal>;

    /// Begins to poll `session`. Returns at once.
    fn start(&self, session: Arc<Session<Active>>) -> Result<(), StartRefusal>;

    /// Ends polling of `session` and forgets what is kept under it. Called
    /// after its vault was wiped; a poll under way finds the vault empty.
    fn stop(&self, session: &Session<Active>);

    /// How polling goes, account by account, in the session's order.
    fn status(&self, session: &Session<Active>) -> EngineStatus;

    /// The bytes of `report.json`, signed, as of the last complete tick.
    async fn report(&self, session: &Session<Active>) -> Result<Vec<u8>, ReportRefusal>;

    /// Judges a claim of the portfolio's owner and signs what came out, or says why not.
    async fn claim(
        &self,
        session: &Session<Active>,
        claim: &ClaimRequest,
    ) -> Result<ClaimReply, ReportRefusal>;
}

/// What egress is built from, before the clock, the keys or the engine exist:
/// `Egress::open(EgressParts) -> Result<Arc<Egress>, EgressError>`.
#[derive(Clone, Debug)]
pub struct EgressParts {
    /// The parent's egress.
    pub to: Address,
    /// The measured list. What is reached must be here and in a connector.
    pub hosts: Vec<String>,
    /// For certificate validity.
    pub clock: Arc<dyn Clock>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    #[cfg(feature = "simulator")]
    pub simulator: SimulatorEgress,
}

/// How the simulated exchanges are reached.
#[cfg(feature = "simulator")]
#[derive(Clone, Debug, Default)]
pub struct SimulatorEgress {
    /// Their certificate authority, in place of the webpki roots.
    pub root: Option<CertificateDer<'static>>,
    /// The scenario clock, if time comes from there: egress admits its host,
    /// `poller::scenario::begin(&Egress, &ScenarioClock)` sets it for the
    /// first time, and the poller moves it on.
    pub clock: Option<Arc<ScenarioClock>>,
}

/// What the engine is built from, once, after the keys exist:
/// `Poller::new(EngineParts) -> Arc<Poller>`, which implements [`Engine`];
/// `Poller::run(self: Arc<Self>, stop: CancellationToken)` is its service.
#[derive(Clone, Debug)]
pub struct EngineParts {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<Entropy>,
    pub signer: Arc<dyn Signer>,
    pub egress: Arc<Egress>,
    pub image: Arc<ImageConfig>,
    pub deployment: Arc<Deployment>,
    /// Where poll rounds and other tasks of the engine are tracked.
    pub tasks: TaskTracker,
    /// Moved to the next tick when every account's round is complete.
    #[cfg(feature = "simulator")]
    pub scenario: Option<Arc<ScenarioClock>>,
}

/// An account as the customer asked for it, without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedAccount {
    /// The customer's own name for it; unique in the session.
    pub label: String,
    pub venue: Venue,
    pub market: Market,
    /// Symbols to watch besides those the balances show.
    pub symbols: Vec<String>,
}

/// What the exchange confirmed about one account.
#[derive(Debug)]
pub struct CheckedAccount {
    pub identity: Identity,
    pub permissions: Vec<Permission>,
    /// Minted by the permission check alone.
    pub proof: ReadOnlyKey,
}

/// Why an account was not accepted. Every text in it is safe to show to the
/// customer: it names the label and permissions, never a reply or a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// The key may do more than read. The names go into the detail, which has room for them.
    #[error("account `{label}`: the key may do more than read")]
    TooPowerful { label: String, remove: Vec<String> },
    /// The exchange does not accept the key.
    #[error("account `{label}`: the exchange refused the API key")]
    KeyRefused { label: String },
    /// The exchange accepted the key and does not prove what it may do.
    #[error("account `{label}`: the exchange does not prove what the key may do")]
    Unproven { label: String },
    /// This build or this deployment has no such exchange or market.
    #[error("account `{label}`: this exchange or market is not offered")]
    NotOffered { label: String },
    /// The credentials do not have the exchange's form.
    #[error("account `{label}`: the credentials are malformed")]
    Malformed { label: String },
    /// The exchange is limiting us.
    #[error("account `{label}`: the exchange is limiting requests")]
    Throttled { label: String },
    /// The exchange or the road to it is down.
    #[error("account `{label}`: the exchange cannot be reached")]
    Unavailable { label: String },
    /// A bug of ours; the cause is in the log.
    #[error("internal error")]
    Internal,
}

impl AccountRefusal {
    pub const fn category(&self) -> Category {
        match self {
            Self::TooPowerful { .. }
            | Self::KeyRefused { .. }
            | Self::Unproven { .. }
            | Self::NotOffered { .. } => Category::Refused,
            Self::Malformed { .. } => Category::Invalid,
            Self::Throttled { .. } => Category::Throttled,
            Self::Unavailable { .. } => Category::Unavailable,
            Self::Internal => Category::Internal,
        }
    }

    /// What the sealed answer adds: which account, and what to remove.
    pub fn detail(&self) -> Option<ErrorDetail> {
        let (label, remove) = match self {
            Self::TooPowerful { label, remove } => (label, remove.clone()),
            Self::KeyRefused { label }
            | Self::Unproven { label }
            | Self::NotOffered { label }
            | Self::Malformed { label }
            | Self::Throttled { label }
            | Self::Unavailable { label } => (label, Vec::new()),
            Self::Internal => return None,
        };
        Some(ErrorDetail { account: label.clone(), remove })
    }
}

/// Why a session cannot be polled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartRefusal {
    /// One portfolio has one history, in one currency.
    #[error("this portfolio counts in {base}; open it with that base currency")]
    OtherBase { base: String },
    /// The analytics cannot count in this currency.
    #[error("this base currency cannot be counted in")]
    Uncounted,
    /// No random bytes for the key of its digests.
    #[error("internal error")]
    Entropy(#[from] EntropyError),
}

/// Polling of one session at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// One for each account of the session, in its order.
    pub accounts: Vec<AccountStatus>,
    /// Share of complete polls as a decimal, `None` before the first.
    pub coverage: Option<String>,
}

/// Polling of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStatus {
    pub last_complete_poll: Option<UnixMillis>,
    pub next_poll: Option<UnixMillis>,
    pub last_error: Option<Category>,
    pub polls_complete: u64,
    pub polls_incomplete: u64,
}

/// Why there is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportRefusal {
    /// No poll has been complete yet.
    #[error("no poll is complete yet")]
    NothingYet,
    /// Exchange clocks disagree with ours past the bound; nothing is signed.
    #[error("the clock disagrees with the exchanges; nothing is signed")]
    ClockDisagrees,
    /// The security module did not answer.
    #[error("the security module is busy")]
    Busy,
    /// A bug of ours; the cause is in the log.
    #[error("internal error")]
    Internal,
}

impl ReportRefusal {
    pub const fn category(self) -> Category {
        match self {
            Self::NothingYet => Category::NotFound,
            Self::ClockDisagrees | Self::Busy => Category::Unavailable,
            Self::Internal => Category::Internal,
        }
    }
}

/// What the report builder may ask of the keys. It cannot ask for a `session`
/// document, and nothing but the pre-authentication encoding can be signed.
#[async_trait]
pub trait Signer: Send + Sync + Debug {
    /// A fresh document of purpose `report`; `nonce` is SHA-256 of the PAE.
    async fn attest_report(&self, nonce: [u8; 32]) -> Result<Vec<u8>, SignerBusy>;

    /// Ed25519 over the exact bytes of the PAE, by the key the document names.
    fn sign(&self, pae: &Pae<'_>) -> [u8; 64];

    /// What goes beside every document.
    fn key_bundle(&self) -> KeyBundle;

    /// True where the documents come from the simulated module.
    fn simulated(&self) -> bool;
}

/// The security module failed or had no room for this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the security module did not give a document")]
pub struct SignerBusy;

/// A pre-authentication encoding (DSSE v1), so that [`Signer::sign`] cannot be
/// handed other bytes by mistake.
#[derive(Clone, Copy)]
pub struct Pae<'a>(&'a [u8]);

impl<'a> Pae<'a> {
    /// `None` unless `bytes` begin with the encoding's own prefix.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.starts_with(b"DSSEv1 ").then_some(Self(bytes))
    }

    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

impl Debug for Pae<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pae({} bytes)", self.0.len())
    }
}
