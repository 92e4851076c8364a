//! Questions in, answers out: one, or one a line.

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use serde_json::{Map, Value};

/// Answers one question. The text of an error is for people.
pub(crate) type Answer = fn(&Value, batch: bool) -> Result<Map<String, Value>, Failure>;

/// Answers one question from its text, for a subject where JSON's details decide: a parsed
/// [`Value`] no longer shows a field that was there twice.
pub(crate) type AnswerText = fn(&[u8]) -> Map<String, Value>;

/// No answer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// What an answer in a batch says beside `error`.
    pub(crate) fields: Map<String, Value>,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), fields: Map::new() }
    }
}

/// The object an answer must be.
pub(crate) fn object(answer: anyhow::Result<Value>) -> Result<Map<String, Value>, Failure> {
    match answer {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(Failure::new("the answer is no object")),
        Err(error) => Err(Failure::new(format!("{error:#}"))),
    }
}

/// Exit status for input that is not a question at all.
const NOT_A_QUESTION: u8 = 2;

pub(crate) fn run(batch: bool, answer: Answer) -> ExitCode {
    run_with(batch, |question, _| answer(question, batch))
}

pub(crate) fn run_text(batch: bool, answer: AnswerText) -> ExitCode {
    run_with(batch, |_, text| Ok(answer(text)))
}

fn run_with(
    batch: bool,
    answer: impl Fn(&Value, &[u8]) -> Result<Map<String, Value>, Failure>,
) -> ExitCode {
    let outcome = if batch { many(answer) } else { one(answer) };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("cannot read or write: {}", error.kind()));
            ExitCode::FAILURE
        }
    }
}

fn one(
    answer: impl Fn(&Value, &[u8]) -> Result<Map<String, Value>, Failure>,
) -> io::Result<ExitCode> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    let Ok(question) = serde_json::from_slice::<Value>(&text) else {
        complain("the input is not JSON");
        return Ok(ExitCode::from(NOT_A_QUESTION));
    };
    match answer(&question, &text) {
        Ok(fields) => {
            write(&mut io::stdout().lock(), &with_id(&question, fields))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            complain(&failure.text);
            Ok(ExitCode::from(NOT_A_QUESTION))
        }
    }
}

fn many(
    answer: impl Fn(&Value, &[u8]) -> Result<Map<String, Value>, Failure>,
) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let question = serde_json::from_slice::<Value>(&line).unwrap_or(Value::Null);
        let fields = answer(&question, &line).unwrap_or_else(|failure| {
            let mut fields = failure.fields;
            fields.insert("error".to_owned(), Value::String(failure.text));
            fields
        });
        write(&mut out, &with_id(&question, fields))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn with_id(question: &Value, mut fields: Map<String, Value>) -> Value {
    if let Some(id) = question.get("id") {
        fields.insert("id".to_owned(), id.clone());
    }
    Value::Object(fields)
}

fn write(out: &mut impl Write, value: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn complain(text: &str) {
    // With standard error closed there is nobody left to tell.
    drop(writeln!(io::stderr().lock(), "error: {text}"));
}
