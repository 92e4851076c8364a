//! Comparing a result with the expected one, key by key.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

/// Every leaf under its key: objects joined by dots, elements as `[n]`, and
/// the length of a list under `key#`.
pub(crate) fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    collect(value, String::new(), &mut all);
    all
}

fn collect(value: &Value, key: String, all: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, below) in map {
                let dot = if key.is_empty() { "" } else { "." };
                collect(below, format!("{key}{dot}{name}"), all);
            }
        }
        Value::Array(list) => {
            all.insert(format!("{key}#"), list.len().into());
            for (at, below) in list.iter().enumerate() {
                collect(below, format!("{key}[{at}]"), all);
            }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            all.insert(key, value.clone());
        }
    }
}

/// What differs, one line each.
pub(crate) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let got = leaves(got);
    let mut all = Vec::new();
    for (key, wanted) in leaves(expected) {
        match got.get(&key) {
            Some(value) if agree(&key, &wanted, value) => {}
            Some(value) => all.push(format!("{key}: expected {wanted}, got {value}")),
            None => all.push(format!("{key}: expected {wanted}, which is missing")),
        }
    }
    all
}

fn agree(key: &str, wanted: &Value, got: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<Decimal>().ok());
    let Some(wanted_number) = number(wanted) else { return wanted == got };
    let Some(got_number) = number(got) else { return false };
    let size = wanted_number.abs();
    if key == "pnl.residual" {
        return got_number.abs() <= size.max(Decimal::new(1, 2)) * Decimal::TWO;
    }
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    let ratio = key != "returns.gain"
        && starts(&["returns.", "risk.", "quality.coverage", "fees.rate_bps", "activity.turnover"]);
    let native = key.ends_with(".quantity") || starts(&["fees.by_asset", "activity.unconverted"]);
    let off = (wanted_number - got_number).abs();
    if native {
        // 1e-24 relative: compare in units that keep the digits.
        off.is_zero() || off <= size * Decimal::new(1, 24)
    } else {
        let least = if ratio { Decimal::new(1, 9) } else { Decimal::new(1, 6) };
        off <= least.max(size * Decimal::new(1, 12))
    }
}
