//! JSON with exactly one encoding, for everything that is signed or hashed.
//!
//! It is the part of RFC 8785 (JCS) that has no floating point: keys sorted by UTF-16 code units,
//! no white space, shortest escapes, UTF-8, integers within ±(2^53 − 1). Money and ratios are
//! decimal strings. `docs/decisions/0002-canonical-json.md` says why it is written here.
//!
//! # Guarantees
//!
//! * [`encode`] of equal values gives equal bytes, and [`parse_exact`] accepts no other bytes.
//! * Duplicate keys, floats, unknown fields, white space and trailing bytes are refused.
//!
//! # Limits
//!
//! Depth is at most [`JSON_DEPTH_MAX`](crate::limits::JSON_DEPTH_MAX), checked before parsing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::json;
use crate::limits::JSON_INTEGER_MAX;

/// Why a value has no canonical encoding, or bytes are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// More bytes than allowed.
    #[error("canonical JSON is longer than allowed")]
    TooLong,
    /// Nested too deeply.
    #[error("canonical JSON is nested too deeply")]
    TooDeep,
    /// Not JSON, not of the schema, or with a float, a large integer or a duplicate key.
    #[error("not of the expected form")]
    Malformed,
    /// Means the right thing, in other bytes than the one encoding.
    #[error("not the canonical encoding")]
    NotCanonical,
}

impl From<json::JsonError> for CanonicalError {
    fn from(error: json::JsonError) -> Self {
        match error {
            json::JsonError::TooLong => Self::TooLong,
            json::JsonError::TooDeep => Self::TooDeep,
            json::JsonError::Malformed => Self::Malformed,
        }
    }
}

/// Any value that has a canonical encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer within ±(2^53 − 1).
    Integer(i64),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// An object; its keys are sorted when it is written.
    Object(BTreeMap<String, Json>),
}

/// The one encoding of `value`.
///
/// A float is refused as soon as it is a number; serde_json writes the others as null, so types
/// that are signed have no floats at all.
///
/// # Errors
/// If the value holds a float, an integer out of range, a map with duplicate or non-string keys,
/// or too much nesting.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let loose = serde_json::to_vec(value).map_err(|_| CanonicalError::Malformed)?;
    let value: Json = json::read_owned(&loose, usize::MAX)?;
    let mut out = Vec::with_capacity(loose.len());
    value.write(&mut out)?;
    Ok(out)
}

/// Parses `bytes` as a `T` and refuses them unless they are exactly its encoding.
///
/// # Errors
/// If the bytes are too many, too deep, not of the schema, or not canonical.
pub fn parse_exact<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    len_max: usize,
) -> Result<T, CanonicalError> {
    let value: T = json::read_owned(bytes, len_max)?;
    if encode(&value)? == bytes { Ok(value) } else { Err(CanonicalError::NotCanonical) }
}

impl Json {
    /// The canonical form of anything serialisable.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, CanonicalError> {
        let loose = serde_json::to_vec(value).map_err(|_| CanonicalError::Malformed)?;
        Ok(json::read_owned(&loose, usize::MAX)?)
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(key),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::String(_) | Self::Array(_) => {
                None
            }
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Array(_) | Self::Object(_) => {
                None
            }
        }
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            Self::String(text) => write_string(text, out)?,
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out)?;
                }
                out.push(b']');
            }
            Self::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push(b'{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(key, out)?;
                    out.push(b':');
                    value.write(out)?;
                }
                out.push(b'}');
            }
        }
        Ok(())
    }
}

/// serde_json's escapes are RFC 8785's: `\b \t \n \f \r \" \\`, other controls as `\u00xx`.
fn write_string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    serde_json::to_writer(out, text).map_err(|_| CanonicalError::Malformed)
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Integer(value) => to.serialize_i64(*value),
            Self::String(text) => to.serialize_str(text),
            Self::Array(items) => {
                let mut list = to.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Self::Object(members) => {
                let mut map = to.serialize_map(Some(members.len()))?;
                for (key, value) in members {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

/// What serde_json's feature `arbitrary_precision` hands a float over as: a map with this key.
const FLOAT_TOKEN: &str = "$serde_json::private::Number";

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without floats")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        if value.unsigned_abs() <= JSON_INTEGER_MAX {
            Ok(Json::Integer(value))
        } else {
            Err(E::custom("integer out of range"))
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        self.visit_i64(i64::try_from(value).map_err(|_| E::custom("integer out of range"))?)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(key) = from.next_key::<String>()? {
            if key == FLOAT_TOKEN {
                return Err(A::Error::custom("floats are not allowed"));
            }
            if members.insert(key, from.next_value()?).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::{CanonicalError, Json, encode, parse_exact};
    use crate::limits::JSON_DEPTH_MAX;

    const LEN_MAX: usize = 10_000;

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(Json::Integer),
            any::<String>().prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_reads_back_from_its_one_encoding(value in json()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(parse_exact::<Json>(&bytes, LEN_MAX).unwrap(), value);
        }

        #[test]
        fn no_byte_can_be_changed_without_changing_the_value(
            value in json(),
            at: prop::sample::Index,
            to: u8,
        ) {
            let mut bytes = encode(&value).unwrap();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            if let Ok(read) = parse_exact::<Json>(&bytes, LEN_MAX) {
                prop_assert_ne!(read, value);
            }
        }
    }

    #[test]
    fn it_is_the_encoding_of_rfc_8785() {
        // RFC 8785 section 3.2.3, the sorting example, and 3.2.2.2, the string example
        let text = "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}";
        let value: Json = serde_json::from_str(text).unwrap();
        let sorted = "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}";
        assert_eq!(String::from_utf8(encode(&value).unwrap()).unwrap(), sorted);

        let text = "\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\"";
        let value: Json = serde_json::from_str(text).unwrap();
        let expected = "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"";
        assert_eq!(String::from_utf8(encode(&value).unwrap()).unwrap(), expected);
    }

    #[test]
    fn other_texts_of_a_value_are_refused() {
        for (text, error) in [
            (" 1", CanonicalError::NotCanonical),
            ("1\n", CanonicalError::NotCanonical),
            ("[1, 2]", CanonicalError::NotCanonical),
            ("{\"b\":1,\"a\":2}", CanonicalError::NotCanonical),
            ("\"\\u0061\"", CanonicalError::NotCanonical),
            ("\"\\/\"", CanonicalError::NotCanonical),
            ("\"\\u000A\"", CanonicalError::NotCanonical),
            ("{\"a\":1,\"a\":1}", CanonicalError::Malformed),
            ("1.0", CanonicalError::Malformed),
            ("1e2", CanonicalError::Malformed),
            ("-0", CanonicalError::Malformed),
            ("01", CanonicalError::Malformed),
            ("9007199254740992", CanonicalError::Malformed),
            ("-9007199254740992", CanonicalError::Malformed),
            ("18446744073709551616", CanonicalError::Malformed),
            ("{\"$serde_json::private::Number\":\"1\"}", CanonicalError::Malformed),
            ("1 2", CanonicalError::Malformed),
            ("\"\\ud800\"", CanonicalError::Malformed),
            ("", CanonicalError::Malformed),
        ] {
            assert_eq!(parse_exact::<Json>(text.as_bytes(), LEN_MAX), Err(error), "{text}");
        }
        assert_eq!(parse_exact::<Json>(b"\"\xff\"", LEN_MAX), Err(CanonicalError::Malformed));
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(parse_exact::<Json>(nested(JSON_DEPTH_MAX).as_bytes(), LEN_MAX).is_ok());
        let error = parse_exact::<Json>(nested(JSON_DEPTH_MAX + 1).as_bytes(), LEN_MAX);
        assert_eq!(error, Err(CanonicalError::TooDeep));
        assert_eq!(parse_exact::<Json>(b"123", 2), Err(CanonicalError::TooLong));
        let deep = (0..=JSON_DEPTH_MAX).fold(Json::Null, |inner, _| Json::Array(vec![inner]));
        assert_eq!(encode(&deep), Err(CanonicalError::TooDeep));
    }

    #[test]
    fn floats_are_not_encoded() {
        assert_eq!(encode(&1.5_f64), Err(CanonicalError::Malformed));
        assert_eq!(encode(&[1.0_f32]), Err(CanonicalError::Malformed));
        assert_eq!(encode(&(1_u64 << 53)), Err(CanonicalError::Malformed));
        assert_eq!(encode(&BTreeMap::from([((1, 2), 3)])), Err(CanonicalError::Malformed));
    }

    #[test]
    fn what_a_type_would_overlook_is_refused() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Lenient {
            a: u8,
            #[serde(default)]
            b: u8,
        }
        let read = |text: &str| parse_exact::<Lenient>(text.as_bytes(), LEN_MAX);
        assert_eq!(read("{\"a\":1,\"b\":2}"), Ok(Lenient { a: 1, b: 2 }));
        assert_eq!(read("{\"a\":1}"), Err(CanonicalError::NotCanonical));
        assert_eq!(read("{\"a\":1,\"b\":2,\"c\":3}"), Err(CanonicalError::NotCanonical));
    }
}
