//! `parent-proxy --config FILE`: see the library's document.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use parent_proxy::config::{Config, log_level};
use parent_proxy::limits::LOOKUPS_MAX;
use parent_proxy::proxy::{Proxy, Stop};
use tracing::{error, info};

/// Moves bytes between customers, the enclave and exchanges.
///
/// SIGHUP reloads the configuration and the allow-list, SIGTERM drains, a
/// second SIGTERM exits at once. Exit codes: 0 drained, 1 failed, 2 usage or
/// configuration, 3 connections were cut at the deadline, 4 asked twice.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration (TOML).
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only check the configuration and the allow-list.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let level = match log_level() {
        Ok(level) => level,
        Err(mistakes) => return refuse(&mistakes),
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .init();
    if arguments.check {
        return Config::load(&arguments.config)
            .map_or_else(|wrong| refuse(&wrong), |_| ExitCode::SUCCESS);
    }
    match run(&arguments) {
        Ok(stop) => {
            info!(?stop, "stopped");
            ExitCode::from(match stop {
                Stop::Clean => 0,
                Stop::Died { .. } => 1,
                Stop::Cut { .. } => 3,
                Stop::Forced => 4,
            })
        }
        Err(failed) => {
            error!(error = format!("{failed:#}"), "not started");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Look-ups, and files beside them.
        .max_blocking_threads(LOOKUPS_MAX + 4)
        .build()
        .context("no runtime")?;
    let stop = runtime.block_on(async {
        let proxy = Proxy::start(&arguments.config).await?;
        Ok(proxy.run().await)
    });
    // A look-up may hang in the system's resolver; nobody waits for it.
    runtime.shutdown_background();
    stop
}

/// Configuration mistakes are for a person, before there is a log.
fn refuse(mistakes: &parent_proxy::config::Mistakes) -> ExitCode {
    #[expect(clippy::print_stderr, reason = "one line a mistake, for whoever started us")]
    for mistake in &mistakes.0 {
        eprintln!("error: {mistake}");
    }
    ExitCode::from(2)
}
