//! `perfagg`: the customer's command line. Its help is in `cli.rs`.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod commands;
mod output;
mod summary;

use cli::Cli;
use output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output { json: cli.json };
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|_| client::error::ClientError::Internal("no runtime can be started".into()))
        .and_then(|runtime| runtime.block_on(commands::run(cli.command, output)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}
