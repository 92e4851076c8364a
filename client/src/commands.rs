//! What each command does, in the library's words.

use std::path::Path;
use std::time::Duration;

use clap::CommandFactory;
use client::attest::Step;
use client::clock::Clock;
use client::connection::Connection;
use client::error::ClientError;
use client::service::{self, Demands, Service};
use client::session::Wanted;
use client::session_file::SavedSession;
use client::verify::VerifiedFile;
use client::{accounts, files, portfolio_key, tear_sheet, verify};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::attestation::Root;
use protocol::category::Category;
use protocol::claim::ClaimReply;
use protocol::limits;
use protocol::report::SignedReport;
use protocol::session::{SessionStatus, Ttl};
use protocol::time::UnixMillis;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::{self, Command};
use crate::output::{Output, pairs};
use crate::summary;

/// How often a waiting command asks; the enclave polls every five minutes.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// Largest root certificate, in bytes.
#[cfg(feature = "simulator")]
const ROOT_LEN_MAX: usize = 4096;
/// Accounts as JSON, for those who keep secrets in the environment.
const ACCOUNTS_VARIABLE: &str = "PERFAGG_ACCOUNTS";

pub(crate) async fn run(command: Command, output: Output) -> Result<(), ClientError> {
    match command {
        Command::Attest { service } => attest(service, output).await,
        Command::Connect(options) => connect(options, output).await,
        Command::Status { session } => status(&session.session_file, output).await,
        Command::Report(options) => report(&options, output).await,
        Command::Claim(options) => claim(&options, output).await,
        Command::Verify(options) => verify_report(&options, output),
        Command::Revoke { session } => revoke(&session.session_file, output).await,
        Command::Keygen { out } => keygen(&out, output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut cli::Cli::command(), "perfagg", &mut script);
            print(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(cli::Cli::command())
                .render(&mut page)
                .map_err(|_| ClientError::Internal("the page cannot be made".into()))?;
            print(&page)
        }
    }
}

#[derive(Serialize)]
struct AttestResult {
    verified: bool,
    simulated: bool,
    steps: Vec<Step>,
}

async fn attest(service: cli::Service, output: Output) -> Result<(), ClientError> {
    let service = demanded(service)?;
    let attested = Connection::open(&service.url).await?.attest(&service).await?;
    let result = AttestResult {
        verified: true,
        simulated: service.demands.simulated(),
        steps: attested.steps,
    };
    output.result(&result, |result| {
        let table = pairs(result.steps.iter().map(|step| (step.what, &step.found)));
        format!("{}{table}\nenclave verified", summary::simulated_banner(result.simulated))
    })
}

async fn connect(options: cli::Connect, output: Output) -> Result<(), ClientError> {
    let ttl = Ttl::from_secs(options.ttl.as_secs())
        .ok_or_else(|| usage("the time to live is out of range", "give --ttl 5m to 7d"))?;
    if options.session_file.exists() {
        return Err(usage(
            &format!("{} exists", options.session_file.display()),
            "end that session with `perfagg revoke`, or name another file",
        ));
    }
    let portfolio = portfolio_key::read(&options.portfolio_key)?;
    let wanted = Wanted {
        accounts: read_accounts(options.accounts.as_deref())?,
        ttl,
        base_currency: options.base_currency,
    };
    let service = demanded(options.service)?;
    let simulated = service.demands.simulated();
    let attested = Connection::open(&service.url).await?.attest(&service).await?;
    // Before anything is opened that could not be kept.
    let reserved = files::Reserved::new(&options.session_file)?;
    let (saved, opened) = attested.open_session(service, wanted, &portfolio).await?;
    saved.save(reserved)?;
    // The enclave ends a session that nobody speaks for: its answer might have been lost.
    saved.caller().await?.status().await?;
    output.result(&summary::Opened::new(&opened, simulated), summary::Opened::text)
}

fn read_accounts(
    path: Option<&Path>,
) -> Result<Vec<protocol::session::AccountRequest>, ClientError> {
    let json = match path {
        Some(path) => files::read_secret(path, accounts::FILE_LEN_MAX)?,
        None => Zeroizing::new(variable(ACCOUNTS_VARIABLE)?.into_bytes()),
    };
    accounts::parse(&json)
}

#[expect(clippy::disallowed_methods, reason = "a secret may come from the environment, by design")]
fn variable(name: &str) -> Result<String, ClientError> {
    std::env::var(name).map_err(|_| {
        usage("no accounts are given", "name a file with --accounts, or set PERFAGG_ACCOUNTS")
    })
}

async fn status(path: &Path, output: Output) -> Result<(), ClientError> {
    let saved = SavedSession::read(path)?;
    let status = saved.caller().await?.status().await?;
    output.result(&status, summary::status)
}

async fn report(options: &cli::Report, output: Output) -> Result<(), ClientError> {
    let saved = SavedSession::read(&options.session.session_file)?;
    files::check_replaceable(&options.out, limits::REPORT_LEN_MAX, |bytes| {
        SignedReport::parse_exact(bytes).is_ok()
    })?;
    check_page(options.html.as_deref())?;
    if let Some(after) = options.after {
        let after = u64::try_from(after.as_millisecond())
            .map(UnixMillis)
            .map_err(|_| usage("the time lies before 1970", "give a later --after"))?;
        tokio::time::timeout(*options.wait, wait_until(&saved, after, output)).await.map_err(
            |_| ClientError::Late {
                what: "a complete poll at or after that time".to_owned(),
                within: options.wait.to_string(),
            },
        )??;
    }
    let bytes = saved.caller().await?.report().await?;
    // Never saved before it verified: a file on disk looks like a proof.
    let verified = VerifiedFile::new(bytes, &saved.service.demands)?;
    files::replace(&options.out, verified.bytes(), 0o644)?;
    shown(&verified, options.html.as_deref(), output)
}

/// Refuses to replace what is no page of this program.
fn check_page(path: Option<&Path>) -> Result<(), ClientError> {
    path.map_or(Ok(()), |path| {
        files::check_replaceable(path, tear_sheet::LEN_MAX, tear_sheet::is_page)
    })
}

/// Prints what a report says, and writes its tear sheet if one is wanted.
fn shown(file: &VerifiedFile, html: Option<&Path>, output: Output) -> Result<(), ClientError> {
    if let Some(path) = html {
        files::replace(path, tear_sheet::html(file).as_bytes(), 0o644)?;
    }
    output.result(&summary::Report::new(file.report()), summary::Report::text)
}

/// Waits on the state, not on a duration: every account polled at or after `after`. Connects anew
/// for each look, as a customer who waits for hours must.
async fn wait_until(
    saved: &SavedSession,
    after: UnixMillis,
    output: Output,
) -> Result<(), ClientError> {
    let bar =
        if output.shows_progress() { ProgressBar::no_length() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} polled up to {msg}") {
        bar.set_style(style);
    }
    loop {
        let status = saved.caller().await?.status().await?;
        let reached = polled_up_to(&status);
        bar.set_message(
            reached.and_then(UnixMillis::to_rfc3339).unwrap_or_else(|| "nothing".into()),
        );
        bar.tick();
        if reached.is_some_and(|reached| reached >= after) {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(STATUS_INTERVAL).await;
    }
}

fn polled_up_to(status: &SessionStatus) -> Option<UnixMillis> {
    status.accounts.iter().map(|account| account.last_complete_poll).min().flatten()
}

fn verify_report(options: &cli::Verify, output: Output) -> Result<(), ClientError> {
    let demands = demands(&options.expected, options.deployment_sha256.as_deref())?;
    check_page(options.html.as_deref())?;
    let bytes = files::read(&options.report, limits::REPORT_LEN_MAX)?;
    if verify::is_claim(&bytes) {
        if options.html.is_some() {
            return Err(usage("a claim has no page", "leave --html out, or name a report"));
        }
        let verified = verify::claim(&bytes, &demands)?;
        return output.result(&summary::Claim::new(&verified), summary::Claim::text);
    }
    shown(&VerifiedFile::new(bytes, &demands)?, options.html.as_deref(), output)
}

async fn claim(options: &cli::Claim, output: Output) -> Result<(), ClientError> {
    let saved = SavedSession::read(&options.session.session_file)?;
    let portfolio = portfolio_key::read(&options.portfolio_key)?;
    files::check_replaceable(&options.out, limits::REPORT_LEN_MAX, verify::is_claim)?;
    let predicates = options.predicates.clone();
    let reply = saved.caller().await?.claim(options.period, predicates, &portfolio).await?;
    let bytes = match reply {
        ClaimReply::Signed(bytes) => bytes,
        ClaimReply::Refused(why) => {
            return Err(ClientError::Refused {
                code: Category::Refused.code().to_owned(),
                message: why.to_string(),
                detail: None,
            });
        }
    };
    // Never saved before it verified: a file on disk looks like a proof.
    let verified = verify::claim(&bytes, &saved.service.demands)?;
    files::replace(&options.out, &bytes, 0o644)?;
    output.result(&summary::Claim::new(&verified), summary::Claim::text)
}

async fn revoke(path: &Path, output: Output) -> Result<(), ClientError> {
    let saved = SavedSession::read(path)?;
    let ended = saved.caller().await?.revoke().await?;
    std::fs::remove_file(path).map_err(|error| {
        usage(
            &format!(
                "the session ended, and {} cannot be removed: {}",
                path.display(),
                error.kind()
            ),
            "remove it yourself; its keys are of no use any more",
        )
    })?;
    output.result(&ended, |ended| {
        let at = ended.at.to_rfc3339().unwrap_or_default();
        format!("session ended at {at}; the enclave has wiped its keys")
    })
}

#[derive(Serialize)]
struct KeygenResult {
    portfolio_key: String,
    portfolio_id: String,
}

fn keygen(out: &Path, output: Output) -> Result<(), ClientError> {
    let public = portfolio_key::generate(out)?;
    let result = KeygenResult {
        portfolio_key: protocol::encoding::to_base64(&public.to_bytes()),
        portfolio_id: public.portfolio_id().to_string(),
    };
    output.result(&result, |result| {
        format!(
            "portfolio {} made; its key is in {}\nkeep a copy: who loses it loses the portfolio",
            result.portfolio_id,
            out.display()
        )
    })
}

fn demanded(options: cli::Service) -> Result<Service, ClientError> {
    let demands = demands(&options.expected, options.deployment_sha256.as_deref())?;
    Ok(Service {
        url: options.url,
        demands,
        #[cfg(feature = "simulator")]
        clock: options.clock.map_or(Clock::System, Clock::Scenario),
        #[cfg(not(feature = "simulator"))]
        clock: Clock::System,
    })
}

fn demands(expected: &cli::Expected, deployment: Option<&str>) -> Result<Demands, ClientError> {
    Ok(Demands {
        measurements: service::read_measurements(&expected.measurements)?,
        deployment: service::deployment_rule(deployment)?,
        #[cfg(feature = "simulator")]
        root: match &expected.root {
            Some(path) => Root::simulated(files::read(path, ROOT_LEN_MAX)?),
            None => Root::AWS,
        },
        #[cfg(not(feature = "simulator"))]
        root: Root::AWS,
    })
}

fn print(bytes: &[u8]) -> Result<(), ClientError> {
    use std::io::Write;
    std::io::stdout()
        .lock()
        .write_all(bytes)
        .map_err(|_| ClientError::Internal("standard output is closed".into()))
}

fn usage(message: &str, help: &str) -> ClientError {
    ClientError::Usage { message: message.to_owned(), help: help.to_owned() }
}
