//! The command line, which completions and the man page are made from.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use jiff::Timestamp;
use protocol::claim::{ClaimPeriod, Predicate};
use url::Url;

/// Verify an enclave before trusting it, hand it read-only exchange keys, and
/// check the signed reports that come back.
///
/// Exit codes: 0 done, 1 a fault of this program or machine, 2 usage, 3 not
/// verified, 4 refused, 5 unreachable, late or malformed.
#[derive(Debug, Parser)]
#[command(name = "perfagg", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Print one JSON object instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch the enclave's attestation document and check it, step by step.
    Attest {
        #[command(flatten)]
        service: Service,
    },
    /// Attest, then seal exchange keys to the enclave and open a session.
    Connect(Connect),
    /// Show how a session is doing.
    Status {
        #[command(flatten)]
        session: SessionFile,
    },
    /// Fetch the session's signed report, verify it and save it.
    Report(Report),
    /// Have a bound on a metric signed, without the metric: 'twr >= 0.12'.
    Claim(Claim),
    /// Verify a saved report or claim, without any network.
    Verify(Verify),
    /// End a session at once; the enclave wipes its keys.
    Revoke {
        #[command(flatten)]
        session: SessionFile,
    },
    /// Make a portfolio key: it owns the portfolio, and never leaves this machine.
    Keygen {
        /// File to create; an existing one is never replaced.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
    /// Print a completion script for a shell.
    Completions { shell: Shell },
    /// Print the manual page (roff).
    Man,
}

/// Which service, and what to demand of it.
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// Address of the service.
    #[arg(long, env = "PERFAGG_URL", value_name = "https://HOST[:PORT]")]
    pub(crate) url: Url,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// Demand exactly this deployment configuration (SHA-256, hex) instead of
    /// the default rules: no trading keys, no escrow, not readable by the operator.
    #[arg(long, value_name = "HEX")]
    pub(crate) deployment_sha256: Option<String>,
    /// Scenario clock of a simulated service.
    #[cfg(feature = "simulator")]
    #[arg(long, env = "PERFAGG_CLOCK", value_name = "http://HOST:PORT/clock")]
    pub(crate) clock: Option<Url>,
}

/// Expected measurements; never taken from the service or from a report.
#[derive(Debug, Args)]
pub(crate) struct Expected {
    /// measurements.json of the release you trust.
    #[arg(long, env = "PERFAGG_MEASUREMENTS", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) measurements: PathBuf,
    /// Root certificate (DER) of a simulated security module.
    #[cfg(feature = "simulator")]
    #[arg(long, env = "PERFAGG_ROOT", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Connect {
    #[command(flatten)]
    pub(crate) service: Service,
    /// JSON file with the accounts and their keys, `-` for standard input.
    /// Without it the environment variable PERFAGG_ACCOUNTS holds the JSON.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) accounts: Option<PathBuf>,
    /// Portfolio key made by `perfagg keygen`.
    #[arg(long, env = "PERFAGG_PORTFOLIO_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) portfolio_key: PathBuf,
    /// How long the enclave may keep the keys: 5m to 7d.
    #[arg(long, default_value = "1d", value_name = "DURATION")]
    pub(crate) ttl: humantime::Duration,
    /// Currency the report counts in.
    #[arg(long, default_value = "USD", value_name = "ASSET")]
    pub(crate) base_currency: String,
    /// File to create with the session's keys; keep it as secret as a password.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) session_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SessionFile {
    /// Session file made by `perfagg connect`.
    #[arg(long, env = "PERFAGG_SESSION", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) session_file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) session: SessionFile,
    /// Where to save the report.
    #[arg(long, default_value = "report.json", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
    /// Write the verified report as one HTML file for people, too.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
    /// Wait until every account has a complete poll at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub(crate) after: Option<Timestamp>,
    /// Give up waiting after this long.
    #[arg(long, default_value = "15m", value_name = "DURATION", requires = "after")]
    pub(crate) wait: humantime::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Claim {
    /// What is to hold: twr, max_drawdown, volatility, sharpe, sortino or
    /// win_rate_days, then >= or <=, then a bound in whole percents (0.12) or,
    /// for sharpe and sortino, in tenths. One to four.
    #[arg(value_name = "PREDICATE", required = true, num_args = 1..=4)]
    pub(crate) predicates: Vec<Predicate>,
    #[command(flatten)]
    pub(crate) session: SessionFile,
    /// Portfolio key made by `perfagg keygen`.
    #[arg(long, env = "PERFAGG_PORTFOLIO_KEY", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) portfolio_key: PathBuf,
    /// all, or a calendar year, quarter or month in UTC that has ended: 2026, 2026-Q1, 2026-03.
    #[arg(long, default_value = "all", value_name = "PERIOD")]
    pub(crate) period: ClaimPeriod,
    /// Where to save the signed claim.
    #[arg(long, default_value = "claim.json", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The report or claim.
    #[arg(value_name = "REPORT", value_hint = ValueHint::FilePath)]
    pub(crate) report: PathBuf,
    #[command(flatten)]
    pub(crate) expected: Expected,
    /// Demand exactly this deployment configuration (SHA-256, hex).
    #[arg(long, value_name = "HEX")]
    pub(crate) deployment_sha256: Option<String>,
    /// Write the report, once verified, as one HTML file for people.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) html: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
