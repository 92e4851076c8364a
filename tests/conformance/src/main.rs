//! `conformance`: fixture sets through the code that the enclave and the client run.
//!
//! A filter: JSON on standard input, JSON on standard output. One object in, one out; with
//! `--batch` one a line, and each answer carries the `id` of its question. Input that is not
//! JSON: exit status 2, or in a batch an answer with the error.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod analytics;
mod attestation;
mod batch;
mod envelope;
mod exchange;

#[derive(Debug, Parser)]
#[command(name = "conformance", version)]
struct Cli {
    #[command(subcommand)]
    subject: Subject,
    /// One JSON object a line in, one a line out.
    #[arg(long, global = true)]
    batch: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Subject {
    /// A scenario without its expected values in, the result out.
    Analytics,
    /// A document, a root, a time and a policy in, the verdict out.
    Attestation,
    /// An enclave key and an envelope in, the plaintext out.
    Envelope,
    /// A recorded reply or signing input in, the normalised result out.
    Exchange,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer: batch::Answer = match cli.subject {
        Subject::Analytics => analytics::answer,
        Subject::Attestation => attestation::answer,
        Subject::Envelope => return batch::run_text(cli.batch, envelope::answer),
        Subject::Exchange => |case, _| batch::object(exchange::answer(case)),
    };
    batch::run(cli.batch, answer)
}
