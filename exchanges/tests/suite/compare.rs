//! Whether an answer is the expected one, by the fixtures' rules: decimals as
//! numbers, lists as sets, extra fields ignored.

use exchanges::decimal;
use serde_json::Value;

/// The first difference, in words.
pub(crate) fn difference(expected: &Value, found: &Value) -> Option<String> {
    compare("", expected, found).err()
}

/// Objects whose keys are data: none may be missing, none may be more.
const WHOLE: [&str; 4] = ["net_by_asset", "prices", "sum", "headers"];

fn compare(at: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let differs = || Err(format!("{at}: expected {expected}, found {found}"));
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let name = at.rsplit('.').next().unwrap_or_default();
            if WHOLE.contains(&name) && expected.len() != found.len() {
                return differs();
            }
            for (name, value) in expected {
                let at = format!("{at}.{name}");
                let found = found.get(name).ok_or_else(|| format!("{at} is missing"))?;
                compare(&at, value, found)?;
            }
            Ok(())
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
            let mut left: Vec<&Value> = found.iter().collect();
            for row in expected {
                let place = left.iter().position(|found| compare(at, row, found).is_ok());
                match place {
                    Some(place) => left.remove(place),
                    None => return Err(format!("{at}: no row {row} in {found:?}")),
                };
            }
            Ok(())
        }
        (Value::String(expected), Value::String(found)) => {
            let number = |text: &str| decimal::parse(text).filter(|_| !text.contains(['e', 'E']));
            let equal_numbers = number(expected).is_some() && number(expected) == number(found);
            let is_text = at.ends_with("id") || at.ends_with("key");
            if expected == found || (equal_numbers && !is_text) { Ok(()) } else { differs() }
        }
        _ if expected == found => Ok(()),
        _ => differs(),
    }
}

#[test]
fn the_comparison_sees_differences() {
    let compare = |expected: &str, found: &str| {
        let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
        difference(&parse(expected), &parse(found)).is_none()
    };
    assert!(compare(r#"{"a":"1.50","b":[1,2]}"#, r#"{"a":"1.5","b":[2,1],"c":0}"#));
    for (expected, found) in [
        (r#"{"a":"1.50"}"#, r#"{"a":"1.51"}"#),
        (r#"{"a":"1.50"}"#, r#"{"a":1.5}"#),
        (r#"{"a":"1"}"#, r#"{"a":"1e0"}"#),
        (r#"{"id":"1.0"}"#, r#"{"id":"1"}"#),
        (r#"{"a":null}"#, r"{}"),
        (r#"{"a":[1]}"#, r#"{"a":[1,1]}"#),
        (r#"{"a":[1,1]}"#, r#"{"a":[1,2]}"#),
        (r#"{"prices":{"a":"1"}}"#, r#"{"prices":{"a":"1","b":"2"}}"#),
    ] {
        assert!(!compare(expected, found), "{expected} {found}");
    }
}
