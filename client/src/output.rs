//! What is printed: tables for people, one JSON object for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;

use client::error::ClientError;

/// Where results go: text, or JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints `value` as JSON, or what `text` makes of it.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), ClientError> {
        let line = if self.json {
            serde_json::to_string(value)
                .map_err(|_| ClientError::Internal("the result cannot be written".into()))?
        } else {
            text(value)
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line.trim_end())
            .and_then(|()| out.flush())
            .map_err(|_| ClientError::Internal("standard output is closed".into()))
    }

    /// Whether a moving progress line makes sense.
    pub(crate) fn shows_progress(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }
}

/// A two-column table.
pub(crate) fn pairs<K: ToString, V: ToString>(rows: impl IntoIterator<Item = (K, V)>) -> String {
    table(None, rows.into_iter().map(|(key, value)| vec![key.to_string(), value.to_string()]))
}

/// A table with an optional header.
pub(crate) fn table(
    header: Option<Vec<&str>>,
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(header) = header {
        table.set_header(header);
    }
    table.add_rows(rows);
    table.to_string()
}

#[derive(Serialize)]
struct Failure<'a> {
    error: &'a str,
    help: &'a str,
    exit_code: u8,
}

impl Output {
    /// Two lines on standard error: what is wrong, what to do; or one JSON object.
    pub(crate) fn failure(self, error: &ClientError) {
        let (what, help) = (error.to_string(), error.help());
        let text = if self.json {
            let failure = Failure { error: &what, help: &help, exit_code: error.exit_code() };
            serde_json::to_string(&failure).unwrap_or_else(|_| what.clone())
        } else {
            format!("error: {what}\nhelp: {help}")
        };
        // With standard error closed there is nobody left to tell.
        drop(writeln!(io::stderr().lock(), "{text}"));
    }
}
