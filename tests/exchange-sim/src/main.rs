//! `exchange-sim`: plays a scenario until it is told to stop.
//!
//! When it is ready it writes `exchange-root.pem` and then `exchange-sim.json`
//! into the output folder. Logs are JSON lines on standard error.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Parser;
use exchange_sim::keys::{Permissions, read_key_file};
use exchange_sim::scenario::Scenario;
use exchange_sim::{Budgets, Options, Sim};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// Plays a pa-case/1 scenario as Binance, Kraken and Coinbase would, on loopback.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// The scenario file
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Where the venues listen (TLS)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the control port listens (plain HTTP)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Folder for exchange-root.pem and exchange-sim.json
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// API keys: a JSON list of {"account", "api_key", "api_secret", "permissions", "form"}; the
    /// form is binance, kraken, kraken-futures, coinbase, coinbase-ed25519 or bybit
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Rights of an account's random key, for example binance-spot=read,trade
    #[arg(long = "permissions", value_name = "ACCOUNT=WORDS", value_parser = rights)]
    permissions: Vec<(String, Permissions)>,
    /// Weight of /api calls a minute of real time and address
    #[arg(long, value_name = "N", default_value_t = Budgets::default().request_weight)]
    request_weight: u32,
    /// Weight of /sapi calls a minute of real time and address
    #[arg(long, value_name = "N", default_value_t = Budgets::default().sapi_ip_weight)]
    sapi_ip_weight: u32,
    /// Weight of /sapi calls a minute of real time and user id
    #[arg(long, value_name = "N", default_value_t = Budgets::default().sapi_uid_weight)]
    sapi_uid_weight: u32,
    /// Weight of the calls of each futures host a minute of real time and address
    #[arg(long, value_name = "N", default_value_t = Budgets::default().futures_weight)]
    futures_weight: u32,
    /// Requests refused with 429 in one minute before the address is banned
    #[arg(long, value_name = "N", default_value_t = Budgets::default().refusals_before_ban)]
    refusals_before_ban: u32,
    /// Length of a ban in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = Budgets::default().ban_secs)]
    ban_secs: u32,
    /// What to log: error, warn, info, debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

fn rights(text: &str) -> Result<(String, Permissions), String> {
    let (account, words) = text.split_once('=').ok_or("expected ACCOUNT=WORDS")?;
    let permissions = words.parse::<Permissions>().map_err(|wrong| wrong.to_string())?;
    Ok((account.to_owned(), permissions))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_new(&cli.log_level).context("the log level")?)
        .with_writer(std::io::stderr)
        .init();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // An announcement of an earlier run must not be taken for ours.
    let stale = cli.out.join(ANNOUNCEMENT);
    if stale.exists() {
        fs::remove_file(&stale).with_context(|| format!("cannot remove {}", stale.display()))?;
    }
    let scenario = Scenario::read(&cli.scenario)?;
    let options = Options {
        listen: cli.listen,
        control: cli.control,
        keys: cli.keys.as_deref().map(read_key_file).transpose()?.unwrap_or_default(),
        permissions: cli.permissions,
        budgets: Budgets {
            request_weight: cli.request_weight,
            sapi_ip_weight: cli.sapi_ip_weight,
            sapi_uid_weight: cli.sapi_uid_weight,
            futures_weight: cli.futures_weight,
            refusals_before_ban: cli.refusals_before_ban,
            ban_secs: cli.ban_secs,
        },
        ..Options::default()
    };
    let sim = Sim::start(&scenario, options).await?;
    drop(scenario);
    announce(&sim, &cli.out).with_context(|| format!("cannot write into {}", cli.out.display()))?;
    info!("ready");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sim.stop().await;
    info!("stopped");
    Ok(())
}

const ANNOUNCEMENT: &str = "exchange-sim.json";

/// The announcement comes last: whoever finds it finds the root too.
fn announce(sim: &Sim, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    write_whole(&folder.join("exchange-root.pem"), sim.root_pem.as_bytes())?;
    let json = serde_json::to_vec(&sim.announcement())?;
    write_whole(&folder.join(ANNOUNCEMENT), &json)
}

/// Writes a file that is there whole or not at all, readable by its owner alone.
fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let name = path.file_name().ok_or_else(|| anyhow!("no file name"))?;
    let draft = path.with_file_name(format!(".{}.draft", name.to_string_lossy()));
    if draft.exists() {
        fs::remove_file(&draft)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    Ok(())
}
