//! Bounded texts, and reading a value from a JSON string.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use crate::limits::{ASSET_LEN_MAX, NAME_LEN_MAX};

/// Reads anything with a `FromStr` from a string and nothing else.
pub(crate) struct FromText<T>(&'static str, PhantomData<T>);

impl<T> FromText<T> {
    pub(crate) const fn new(expecting: &'static str) -> Self {
        Self(expecting, PhantomData)
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for FromText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $expecting:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(TextError($expecting)) }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(FromText::new($expecting))
            }
        }
    };
}

text!(
    /// The code of an asset: upper-case ASCII letters and digits.
    Asset,
    "an asset code of upper-case letters and digits",
    |text| (1..=ASSET_LEN_MAX).contains(&text.len())
        && text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
);

text!(
    /// An account, a symbol, or an id given by an exchange.
    Name,
    "a name of 1 to 128 bytes without control characters",
    |text| (1..=NAME_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
);

/// A text that is not what its place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {0}")]
pub struct TextError(&'static str);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded() {
        for (text, good) in
            [("BTC", true), ("1INCH", true), ("", false), ("btc", false), ("B-C", false)]
        {
            assert_eq!(text.parse::<Asset>().is_ok(), good, "{text}");
        }
        assert!("A".repeat(ASSET_LEN_MAX).parse::<Asset>().is_ok());
        assert!("A".repeat(ASSET_LEN_MAX + 1).parse::<Asset>().is_err());
        assert!("a".repeat(NAME_LEN_MAX).parse::<Name>().is_ok());
        assert!("a".repeat(NAME_LEN_MAX + 1).parse::<Name>().is_err());
        assert!("a\nb".parse::<Name>().is_err());
    }
}
