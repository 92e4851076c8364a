//! Reading JSON within bounds: size and depth first, then exactly the schema.

mod strict;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};

use self::strict::Strict;
use crate::limits::JSON_DEPTH_MAX;

/// The text is not what was expected. Carries no text of the parser, which may quote the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JsonError {
    /// More bytes than allowed.
    #[error("more than the allowed bytes")]
    TooLong,
    /// Deeper nesting than [`JSON_DEPTH_MAX`].
    #[error("nested too deeply")]
    TooDeep,
    /// Not JSON, or not of this schema: unknown, missing and duplicate fields included.
    #[error("not of the expected form")]
    Malformed,
}

/// Checks size and depth, then parses. Schemas refuse unknown fields themselves.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    len_max: usize,
) -> Result<T, JsonError> {
    check_bounds(bytes, len_max)?;
    let mut from = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Strict(&mut from)).map_err(|_| JsonError::Malformed)?;
    from.end().map_err(|_| JsonError::Malformed)?;
    Ok(value)
}

/// [`read`] for types that borrow nothing.
pub(crate) fn read_owned<T: DeserializeOwned>(
    bytes: &[u8],
    len_max: usize,
) -> Result<T, JsonError> {
    read(bytes, len_max)
}

/// Bounds size and nesting without parsing; a bracket inside a string does not count.
pub(crate) fn check_bounds(bytes: &[u8], len_max: usize) -> Result<(), JsonError> {
    if bytes.len() > len_max {
        return Err(JsonError::TooLong);
    }
    let (mut depth, mut rest) = (0_usize, bytes);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_string(rest),
            b'[' | b'{' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(JsonError::TooDeep);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// What follows the string that `rest` is inside of; nothing if it does not end.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let ends = rest.get(at) == Some(&b'"');
        let skipped = if ends { at + 1 } else { at + 2 };
        rest = rest.get(skipped..).unwrap_or_default();
        if ends {
            return rest;
        }
    }
    &[]
}

/// Reads a string and turns it into a `T` without keeping the text.
pub(crate) fn visit_text<'de, D, T>(
    from: D,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Text<F, T> {
        expected: &'static str,
        parse: F,
        made: PhantomData<T>,
    }

    impl<F: Fn(&str) -> Option<T>, T> Visitor<'_> for Text<F, T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.parse)(text).ok_or_else(|| E::custom(self.expected))
        }
    }

    from.deserialize_str(Text { expected, parse, made: PhantomData })
}

/// A constant integer: `"v":1` and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version1;

impl serde::Serialize for Version1 {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(1)
    }
}

impl<'de> Deserialize<'de> for Version1 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u8::deserialize(from)? {
            1 => Ok(Self),
            _ => Err(D::Error::custom("unsupported version")),
        }
    }
}

/// Serde through [`Display`](std::fmt::Display) and [`FromStr`](std::str::FromStr), in the one
/// form that is written.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::json::visit_text(from, stringify!($name), |text| {
                    let read: Self = text.parse().ok()?;
                    (read.to_string() == text).then_some(read)
                })
            }
        }
    )*};
}

/// The name and version of a payload's schema, as a field that holds nothing else.
macro_rules! schema {
    ($name:literal) => {
        /// The name and version of this schema.
        pub const SCHEMA: &str = $name;

        /// [`SCHEMA`], and nothing else.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Schema;

        impl serde::Serialize for Schema {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(SCHEMA)
            }
        }

        impl<'de> serde::Deserialize<'de> for Schema {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                $crate::json::visit_text(from, SCHEMA, |text| (text == SCHEMA).then_some(Self))
            }
        }
    };
}

pub(crate) use {as_text, schema};

#[cfg(test)]
mod tests {
    use super::{JsonError, Version1, check_bounds, read};
    use crate::limits::JSON_DEPTH_MAX;

    fn nested(depth: usize) -> Vec<u8> {
        [vec![b'['; depth], vec![b']'; depth]].concat()
    }

    #[test]
    fn depth_and_size_are_bounded_exactly() {
        assert_eq!(check_bounds(&nested(JSON_DEPTH_MAX), 1000), Ok(()));
        assert_eq!(check_bounds(&nested(JSON_DEPTH_MAX + 1), 1000), Err(JsonError::TooDeep));
        assert_eq!(check_bounds(b"12345", 5), Ok(()));
        assert_eq!(check_bounds(b"123456", 5), Err(JsonError::TooLong));
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        let text = format!("[\"{}\\\"{}\"]", "[".repeat(40), "{".repeat(40));
        assert_eq!(check_bounds(text.as_bytes(), 1000), Ok(()));
        let deep = "[".repeat(40);
        for (text, fine) in [
            (format!("[\"\\\\\",\"{deep}\"]"), true),
            (format!("[\"\\\\\"{deep}"), false),
            (format!("[\"\\\\\\\"{deep}\"]"), true),
            (format!("\"{deep}"), true),
            (format!("\"\\\"{deep}"), true),
            (format!("\"\"{deep}"), false),
        ] {
            assert_eq!(check_bounds(text.as_bytes(), 1000).is_ok(), fine, "{text}");
        }
        assert_eq!(check_bounds(b"\"\\", 10), Ok(()));
    }

    #[test]
    fn version_is_the_integer_one() {
        assert_eq!(read::<Version1>(b"1", 10), Ok(Version1));
        for text in ["2", "0", "1.0", "1e0", "\"1\"", "true", "-1", "257", "null"] {
            assert_eq!(read::<Version1>(text.as_bytes(), 10), Err(JsonError::Malformed), "{text}");
        }
    }
}
