//! Seeds: the recorded replies of a connector, as answers to every question.

use std::error::Error;
use std::path::Path;
use std::{env, fs, process};

use serde_json::Value;

use crate::{QUESTIONS, Target, input};

/// Writes them into the folder that `PA_FUZZ_SEEDS` names, and ends the process; without it,
/// nothing. A program of its own could not be linked: it would have no libFuzzer.
pub fn seeds(target: Target) {
    let Ok(into) = env::var("PA_FUZZ_SEEDS") else { return };
    match write(target, Path::new(&into)) {
        Ok(()) => process::exit(0),
        Err(error) => {
            eprintln!("no seeds: {error}");
            process::exit(1);
        }
    }
}

fn write(target: Target, into: &Path) -> Result<(), Box<dyn Error>> {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exchanges/test_data");
    let (folder, market) = target.recorded();
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(recorded.join(folder))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let case: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        if market.is_some_and(|market| case["market"] != market) {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let steps = case["steps"].as_array().into_iter().flatten();
        let replies = steps.chain([&case]).map(|step| &step["response"]);
        for (step, response) in replies.enumerate() {
            let Some(body) = response["body"].as_str() else { continue };
            let status = response["status"].as_u64().and_then(|it| u16::try_from(it).ok());
            for question in 0..QUESTIONS {
                let seed = input(question, status.unwrap_or(200), "", body.as_bytes());
                fs::write(into.join(format!("{name}-{step}-{question:02}")), seed)?;
            }
        }
    }
    Ok(())
}
