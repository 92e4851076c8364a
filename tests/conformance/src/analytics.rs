//! Scenarios through the metrics engine: a `pa-case/1` document in, the result
//! as of its end out. An `expected` in it is not looked at.

use analytics::Case;
use serde_json::{Map, Value};

use crate::batch::{Failure, object};

pub(crate) fn answer(question: &Value, _batch: bool) -> Result<Map<String, Value>, Failure> {
    let mut question = question.clone();
    if let Some(fields) = question.as_object_mut() {
        fields.remove("expected");
    }
    object(result(question))
}

fn result(question: Value) -> anyhow::Result<Value> {
    let case: Case = serde_json::from_value(question)?;
    Ok(serde_json::to_value(case.run()?)?)
}
