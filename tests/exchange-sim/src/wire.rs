//! JSON as the venues with unquoted numbers and ordered objects write it.

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};

use crate::scenario::Stamp;

/// A JSON value, or an object whose members keep their order.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Value(Value),
    Ordered(Vec<(String, Wire)>),
}

impl Serialize for Wire {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Ordered(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// The digits of `text` as a JSON number; `null` if it is none.
pub(crate) fn number(text: &str) -> Value {
    text.parse::<Number>().map_or(Value::Null, Value::Number)
}

pub(crate) fn decimal(value: Decimal) -> Value {
    number(&value.normalize().to_string())
}

/// Seconds with four decimals, as Kraken writes the times of trades.
pub(crate) fn seconds(at: Stamp) -> Value {
    let ten_thousandths = at.micros().div_euclid(100);
    let (whole, part) = (ten_thousandths.div_euclid(10_000), ten_thousandths.rem_euclid(10_000));
    number(&format!("{whole}.{part:04}"))
}

/// RFC 3339 with milliseconds.
pub(crate) fn iso_millis(at: Stamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// RFC 3339 with microseconds.
pub(crate) fn iso_micros(at: Stamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.%6fZ")
}

/// Seconds, whole or with a fraction, of a parameter.
pub(crate) fn from_seconds(text: &str) -> Option<Stamp> {
    let value: Decimal = text.parse().ok()?;
    let micros = value.checked_mul(Decimal::from(1_000_000))?;
    Some(Stamp::from_micros(rust_decimal::prelude::ToPrimitive::to_i64(&micros.trunc())?))
}

/// RFC 3339 of a parameter.
pub(crate) fn from_iso(text: &str) -> Option<Stamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Stamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_and_order_is_kept() {
        let all = Wire::Ordered(vec![
            ("z".to_owned(), Wire::Value(number("1.2300"))),
            ("a".to_owned(), Wire::Value(decimal(Decimal::new(150, 2)))),
            ("none".to_owned(), Wire::Value(number("x"))),
        ]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"{"z":1.2300,"a":1.5,"none":null}"#);
    }

    #[test]
    fn times_read_as_they_are_written() {
        let at = Stamp::from_micros(1_688_667_796_880_249);
        assert_eq!(seconds(at).to_string(), "1688667796.8802");
        assert_eq!(iso_millis(at), "2023-07-06T18:23:16.880Z");
        assert_eq!(from_iso(&iso_micros(at)), Some(at));
        assert_eq!(from_seconds("1688667796.880249"), Some(at));
        assert_eq!(from_seconds("soon"), None);
    }
}
