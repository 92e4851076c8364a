//! Logs: JSON lines on standard error.
//!
//! What may be in them: what this program says in its own words, counts,
//! categories, and request ids. What never is: credentials, session and key
//! ids, client addresses, symbols, amounts, paths, texts of other libraries.
//! The last is kept by a filter: only targets of our own are let through.

use std::io;
use std::panic;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
}

impl Verbosity {
    /// Reads `LOG_LEVEL`; `trace` is as much as there is.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Some(Self::Error),
            "warn" | "warning" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "debug" | "trace" => Some(Self::Debug),
            _ => None,
        }
    }

    const fn level(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
        }
    }
}

/// The crates whose words may be logged.
const OURS: [&str; 5] = ["enclave_app", "transport", "exchanges", "analytics", "protocol"];

/// Starts logging for the process. Once.
pub fn start(verbosity: Verbosity) {
    let ours = Targets::new().with_targets(OURS.map(|target| (target, verbosity.level())));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .without_time()
        .with_writer(io::stderr);
    tracing_subscriber::registry().with(lines).with(ours).init();
}

/// A panic tells where it was and nothing else: its message may quote input.
pub fn tell_panics_by_location() {
    panic::set_hook(Box::new(|panicked| {
        let (file, line) = panicked.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
        tracing::error!(file, line, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_their_usual_names() {
        assert_eq!(Verbosity::parse("INFO"), Some(Verbosity::Info));
        assert_eq!(Verbosity::parse("trace"), Some(Verbosity::Debug));
        assert_eq!(Verbosity::parse("warning"), Some(Verbosity::Warn));
        assert_eq!(Verbosity::parse("loud"), None);
    }
}
