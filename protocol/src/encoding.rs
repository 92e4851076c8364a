//! Base64 and hexadecimal with exactly one text for each byte string.
//!
//! Base64 is RFC 4648 §4: the standard alphabet, padded, unused bits zero, no white space.
//! Hexadecimal is lower-case.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text is not the one encoding of any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64 or hexadecimal")]
pub struct EncodingError;

/// Encodes as base64.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64, refusing every text that [`to_base64`] would not write.
///
/// # Errors
/// On other alphabets, white space, missing or surplus padding, and non-zero unused bits.
pub fn from_base64(text: &str) -> Result<Vec<u8>, EncodingError> {
    STANDARD.decode(text).map_err(|_| EncodingError)
}

/// Decodes base64 of exactly `N` bytes.
///
/// # Errors
/// As [`from_base64`], and on any other length.
pub fn from_base64_array<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    if text.len() != base64_len(N) {
        return Err(EncodingError);
    }
    let mut bytes = [0; N];
    match STANDARD.decode_slice(text, &mut bytes) {
        Ok(len) if len == N => Ok(bytes),
        Ok(_) | Err(_) => Err(EncodingError),
    }
}

/// Length in characters of the base64 of `len` bytes.
pub const fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Encodes as lower-case hexadecimal.
pub fn to_hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

/// Decodes lower-case hexadecimal.
///
/// # Errors
/// On upper-case digits, an odd number of digits, or anything else.
pub fn from_hex(text: &str) -> Result<Vec<u8>, EncodingError> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(EncodingError);
    }
    hex::decode(text).map_err(|_| EncodingError)
}

/// Decodes lower-case hexadecimal of exactly `N` bytes.
///
/// # Errors
/// As [`from_hex`], and on any other length.
pub fn from_hex_array<const N: usize>(text: &str) -> Result<[u8; N], EncodingError> {
    from_hex(text)?.try_into().map_err(|_| EncodingError)
}

/// `#[serde(with = "protocol::encoding::b64")]` for a `Vec<u8>`.
pub mod b64 {
    use serde::{Deserializer, Serializer};

    use crate::json;

    /// Writes base64.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::to_base64(bytes))
    }

    /// Reads canonical base64.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        json::visit_text(from, "canonical base64", |text| super::from_base64(text).ok())
    }
}

/// `#[serde(with = "protocol::encoding::b64_array")]` for a `[u8; N]`.
pub mod b64_array {
    use serde::{Deserializer, Serializer};

    use crate::json;

    /// Writes base64.
    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::to_base64(bytes))
    }

    /// Reads canonical base64 of exactly `N` bytes.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        json::visit_text(from, "canonical base64 of the expected length", |text| {
            super::from_base64_array(text).ok()
        })
    }
}

/// `#[serde(with = "protocol::encoding::hex_array")]` for a `[u8; N]`.
pub mod hex_array {
    use serde::{Deserializer, Serializer};

    use crate::json;

    /// Writes lower-case hexadecimal.
    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::to_hex(bytes))
    }

    /// Reads lower-case hexadecimal of exactly `N` bytes.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<[u8; N], D::Error> {
        json::visit_text(from, "lower-case hexadecimal of the expected length", |text| {
            super::from_hex_array(text).ok()
        })
    }
}

/// `#[serde(with = "protocol::encoding::b64_array_option")]` for an `Option<[u8; N]>`.
pub mod b64_array_option {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Wrapped<const N: usize>(#[serde(with = "super::b64_array")] [u8; N]);

    /// Writes base64, or null.
    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::b64_array::serialize(bytes, to),
            None => to.serialize_none(),
        }
    }

    /// Reads canonical base64 of exactly `N` bytes, or null.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        Ok(Option::<Wrapped<N>>::deserialize(from)?.map(|Wrapped(bytes)| bytes))
    }
}

/// `#[serde(with = "protocol::encoding::hex_array_option")]` for an `Option<[u8; N]>`.
pub mod hex_array_option {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    struct Wrapped<const N: usize>(#[serde(with = "super::hex_array")] [u8; N]);

    /// Writes lower-case hexadecimal, or null.
    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::hex_array::serialize(bytes, to),
            None => to.serialize_none(),
        }
    }

    /// Reads lower-case hexadecimal of exactly `N` bytes, or null.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        Ok(Option::<Wrapped<N>>::deserialize(from)?.map(|Wrapped(bytes)| bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{base64_len, from_base64, from_base64_array, from_hex, to_base64, to_hex};

    proptest! {
        #[test]
        fn base64_reads_what_it_writes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = to_base64(&bytes);
            prop_assert_eq!(text.len(), base64_len(bytes.len()));
            prop_assert_eq!(from_base64(&text), Ok(bytes));
        }

        #[test]
        fn base64_of_any_text_has_one_encoding(text in "[A-Za-z0-9+/=_ -]{0,12}") {
            if let Ok(bytes) = from_base64(&text) {
                prop_assert_eq!(to_base64(&bytes), text);
            }
        }

        #[test]
        fn hex_reads_what_it_writes(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(from_hex(&to_hex(&bytes)), Ok(bytes));
        }
    }

    #[test]
    fn other_base64_is_refused() {
        for text in
            ["YQ", "YQ=", "YQ===", "YR==", "YW_=", "-_-_", " YQ==", "YQ==\n", "YQ==YQ==", "="]
        {
            assert!(from_base64(text).is_err(), "{text:?}");
            assert!(from_base64_array::<1>(text).is_err(), "{text:?}");
        }
        assert_eq!(from_base64_array::<1>("YQ=="), Ok(*b"a"));
    }

    #[test]
    fn other_hex_is_refused() {
        for text in ["A0", "0", "0x00", "g0", " 00"] {
            assert!(from_hex(text).is_err(), "{text:?}");
        }
    }
}
