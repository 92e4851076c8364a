//! What can go wrong for a customer, and who must act.
//!
//! The exit codes are a contract with scripts: 2 usage, 3 not verified,
//! 4 refused, 5 not served: unreachable, too late or malformed; 1 is a fault of this program.

use protocol::attestation::AttestationError;
use protocol::category::Category;
use protocol::report::ReportError;

/// A failed operation. `Display` is the first line a person reads,
/// [`help`](Self::help) the second.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The command line or a file named on it cannot be used.
    #[error("{message}")]
    Usage { message: String, help: String },
    /// The attestation document broke a rule of `docs/verify.md`.
    #[error("the enclave is not verified: step {}: {source}", source.step())]
    Document { source: AttestationError },
    /// A report's bytes or its document broke a rule; nothing was asked of anybody.
    #[error("the report is not verified: {}", .0)]
    Report(ReportError),
    /// A check that is not about the document alone: TLS key, configuration, report.
    #[error("not verified: {step}: {message}")]
    NotVerified { step: &'static str, message: String },
    /// The enclave answered, and the answer is no.
    #[error("refused ({code}): {message}")]
    Refused { code: String, message: String, detail: Option<String> },
    /// Nobody answered, or not in time, or not in HTTP.
    #[error("{what} cannot be reached: {reason}")]
    Unreachable { what: String, reason: String },
    /// Everybody answered, and what was waited for did not happen.
    #[error("{what} did not happen in {within}")]
    Late { what: String, within: String },
    /// The enclave answered with something else than `docs/api.md` says.
    #[error("the enclave's answer is malformed")]
    Malformed,
    /// A fault of this program or of this machine.
    #[error("{0}")]
    Internal(String),
}

impl ClientError {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Document { .. } | Self::Report(_) | Self::NotVerified { .. } => 3,
            Self::Refused { .. } => 4,
            Self::Unreachable { .. } | Self::Late { .. } | Self::Malformed => 5,
            Self::Internal(_) => 1,
        }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Usage { help, .. } => help.clone(),
            Self::Document { source } => document_help(source),
            Self::Report(error) => report_help(error),
            Self::NotVerified { .. } => {
                "nothing was sent after this step; do not submit credentials to this service".into()
            }
            Self::Refused { code, detail, .. } => refusal_help(code, detail.as_deref()),
            Self::Unreachable { .. } => "check the address and the network, then try again".into(),
            Self::Late { .. } => {
                "`perfagg status` shows how far it is; give a longer --wait".into()
            }
            Self::Malformed => "use the `perfagg` of the same release as the enclave".into(),
            Self::Internal(_) => "this is a fault of perfagg; please report it".into(),
        }
    }

    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: help.into() }
    }

    pub(crate) fn unreachable(what: &str, reason: &(impl ToString + ?Sized)) -> Self {
        Self::Unreachable { what: what.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn not_verified(step: &'static str, message: impl Into<String>) -> Self {
        Self::NotVerified { step, message: message.into() }
    }
}

fn document_help(source: &AttestationError) -> String {
    match source.step() {
        30 => {
            "the service runs another image; if it was upgraded, fetch measurements.json of that \
               release and check where it comes from"
                .into()
        }
        31 => {
            "the enclave runs in debug mode: its operator can read its memory; send nothing".into()
        }
        25 | 34 => {
            "if the clock of this machine is right, the document is stale or replayed".into()
        }
        _ => "docs/verify.md explains the step; nothing was sent after it".into(),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is no intact report")]
fn report_help(error: &ReportError) -> String {
    match error {
        ReportError::Document(source) if source.step() == 30 => {
            "it was made by another image than these measurements name: check which release made it"
        }
        ReportError::Document(source) if source.step() == 32 => {
            "it was changed after it was signed, or its document belongs to another report"
        }
        ReportError::Document(_) => "docs/verify.md explains the step",
        ReportError::KeyBundle(_) => {
            "it was made under another configuration: pin it with --deployment if you trust it"
        }
        _ => "this is no report as it was issued, byte for byte; ask for it again",
    }
    .into()
}

fn refusal_help(code: &str, detail: Option<&str>) -> String {
    if let Some(detail) = detail {
        return detail.to_owned();
    }
    if code == Category::WrongKey.code() {
        "the enclave has rotated its key: run the command again, it attests anew".into()
    } else if code == Category::Throttled.code() {
        "wait a minute, then try again".into()
    } else if code == Category::Unauthorized.code() {
        "the session has ended or is not yours: open a new one with `perfagg connect`".into()
    } else if code == Category::Replayed.code() {
        "this envelope was submitted before: run `perfagg connect` again, which seals a new one"
            .into()
    } else if code == Category::NotFound.code() {
        "there is nothing to report yet: ask again after the next poll, or with --after".into()
    } else {
        "docs/errors.md lists the codes and who must act".into()
    }
}
