//! See the library's document.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use enclave_app::boot;
use enclave_app::config::{Cli, Task, environment};
use enclave_app::logs;
use enclave_app::supervisor::Stop;

/// Freed memory holds nothing, whoever freed it: buffers of libraries too.
#[global_allocator]
static ALLOCATOR: sys::WipingAllocator = sys::WipingAllocator;

fn main() -> ExitCode {
    // Before any other thread, and before anything secret exists.
    if let Err(error) = sys::harden_process() {
        return fail(2, &error.to_string());
    }
    let task = match Task::new(Cli::parse(), &environment()) {
        Ok(task) => task,
        Err(mistakes) => return fail(2, &mistakes.to_string()),
    };
    #[cfg_attr(
        not(feature = "simulator"),
        expect(clippy::infallible_destructuring_match, reason = "simulator builds have two tasks")
    )]
    let config = match task {
        Task::Serve(config) => config,
        #[cfg(feature = "simulator")]
        Task::Measurements { image_config } => {
            return match boot::measurements(&image_config) {
                Ok(json) => match std::io::stdout().write_all(&json) {
                    Ok(()) => ExitCode::SUCCESS,
                    Err(_) => ExitCode::FAILURE,
                },
                Err(error) => fail(1, &error.to_string()),
            };
        }
    };
    logs::start(config.verbosity);
    logs::tell_panics_by_location();
    match boot::run(&config) {
        Ok(Stop::Clean) => ExitCode::SUCCESS,
        Ok(Stop::Cut { .. } | Stop::Died { .. }) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            ExitCode::FAILURE
        }
    }
}

/// One line for whoever started the program.
fn fail(code: u8, text: &str) -> ExitCode {
    // Standard error is gone: the exit code still tells.
    drop(writeln!(std::io::stderr(), "enclave-app: {text}"));
    ExitCode::from(code)
}
