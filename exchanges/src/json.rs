//! A bounded reader of JSON that keeps every number as its text.
//!
//! One layer at a time: a document is checked as a whole, and what is not
//! asked for stays unparsed text of the reply. Memory grows with the rows that
//! are read, not with the depth or width of what a hostile reply holds.
//! Duplicate fields are refused, since two readers could see two values.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use rust_decimal::Decimal;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::ExchangeError;
use crate::fact::{Money, Side};
use crate::{UnixMillis, decimal, limits, times};

/// One JSON value, checked, as text.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a>(&'a RawValue);

/// The fields of one object.
pub(crate) struct Object<'a>(BTreeMap<Cow<'a, str>, Value<'a>>);

/// A reply's body as one JSON value.
pub(crate) fn document(body: &[u8]) -> Result<Value<'_>, ExchangeError> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("body"))?;
    serde_json::from_str(text).map(Value).map_err(|_| malformed("body"))
}

pub(crate) const fn malformed(field: &'static str) -> ExchangeError {
    ExchangeError::Malformed { field }
}

impl<'a> Value<'a> {
    fn text(self) -> &'a str {
        self.0.get()
    }

    pub(crate) fn is_null(self) -> bool {
        self.text() == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.text().starts_with('{')
    }

    pub(crate) fn is_list(self) -> bool {
        self.text().starts_with('[')
    }

    /// Whether this is null or a string without characters.
    pub(crate) fn is_empty(self) -> bool {
        matches!(self.text(), "null" | "\"\"")
    }

    /// The elements of an array; `field` is blamed if it is none.
    pub(crate) fn list(self, field: &'static str) -> Result<Vec<Self>, ExchangeError> {
        let list: Bounded<Vec<Self>> =
            serde_json::from_str(self.text()).map_err(|_| malformed(field))?;
        list.0.ok_or(ExchangeError::TooLong { field })
    }

    /// The fields of an object; `field` is blamed if it is none.
    pub(crate) fn object(self, field: &'static str) -> Result<Object<'a>, ExchangeError> {
        let fields: Bounded<Fields<'a>> =
            serde_json::from_str(self.text()).map_err(|_| malformed(field))?;
        fields.0.map(|fields| Object(fields.0)).ok_or(ExchangeError::TooLong { field })
    }

    /// A JSON string without control characters.
    pub(crate) fn string(self, field: &'static str) -> Result<Cow<'a, str>, ExchangeError> {
        let Text(text) = serde_json::from_str(self.text()).map_err(|_| malformed(field))?;
        if text.len() > limits::TEXT_LEN_MAX {
            return Err(ExchangeError::TooLong { field });
        }
        if text.chars().any(char::is_control) {
            return Err(malformed(field));
        }
        Ok(text)
    }

    /// A JSON string's text or a JSON number's digits.
    fn scalar(self, field: &'static str) -> Result<Cow<'a, str>, ExchangeError> {
        match self.text().bytes().next() {
            Some(b'"') => self.string(field),
            Some(b'-' | b'0'..=b'9') => Ok(Cow::Borrowed(self.text())),
            _ => Err(malformed(field)),
        }
    }

    pub(crate) fn decimal(self, field: &'static str) -> Result<Decimal, ExchangeError> {
        decimal::parse(&self.scalar(field)?).ok_or_else(|| malformed(field))
    }

    pub(crate) fn time(self, field: &'static str) -> Result<UnixMillis, ExchangeError> {
        times::parse(&self.scalar(field)?).ok_or_else(|| malformed(field))
    }

    pub(crate) fn integer(self, field: &'static str) -> Result<i64, ExchangeError> {
        self.scalar(field)?.parse().map_err(|_| malformed(field))
    }

    /// An id: a string that is not empty, or an integer of any length.
    pub(crate) fn id(self, field: &'static str) -> Result<String, ExchangeError> {
        let text = self.scalar(field)?;
        let number = !self.text().starts_with('"');
        let integral = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if text.is_empty() || text.len() > limits::TEXT_LEN_MAX || (number && !integral) {
            return Err(malformed(field));
        }
        Ok(text.into_owned())
    }

    pub(crate) fn flag(self, field: &'static str) -> Result<bool, ExchangeError> {
        match self.text() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(malformed(field)),
        }
    }
}

impl<'a> Object<'a> {
    /// The field, unless absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.0.get(name).copied().filter(|value| !value.is_null())
    }

    /// The field, unless absent.
    pub(crate) fn get_even_null(&self, name: &str) -> Option<Value<'a>> {
        self.0.get(name).copied()
    }

    pub(crate) fn need(&self, name: &'static str) -> Result<Value<'a>, ExchangeError> {
        self.get(name).ok_or_else(|| malformed(name))
    }

    /// All fields, by name.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, name: &'static str) -> Result<String, ExchangeError> {
        self.maybe_text(name)?.ok_or_else(|| malformed(name))
    }

    /// A string; `None` if absent, null or empty.
    pub(crate) fn maybe_text(&self, name: &'static str) -> Result<Option<String>, ExchangeError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let text = value.string(name)?;
        Ok((!text.is_empty()).then(|| text.into_owned()))
    }

    pub(crate) fn id(&self, name: &'static str) -> Result<String, ExchangeError> {
        self.need(name)?.id(name)
    }

    /// An id; `None` if absent, null or empty.
    pub(crate) fn maybe_id(&self, name: &'static str) -> Result<Option<String>, ExchangeError> {
        match self.get(name) {
            Some(value) if value.text() != "\"\"" => value.id(name).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn decimal(&self, name: &'static str) -> Result<Decimal, ExchangeError> {
        self.need(name)?.decimal(name)
    }

    /// A decimal; `None` if absent, null or an empty string.
    pub(crate) fn maybe_decimal(
        &self,
        name: &'static str,
    ) -> Result<Option<Decimal>, ExchangeError> {
        match self.get(name) {
            Some(value) if value.text() != "\"\"" => value.decimal(name).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn time(&self, name: &'static str) -> Result<UnixMillis, ExchangeError> {
        self.need(name)?.time(name)
    }

    /// A time; `None` if absent, null, an empty string or zero.
    pub(crate) fn maybe_time(
        &self,
        name: &'static str,
    ) -> Result<Option<UnixMillis>, ExchangeError> {
        match self.get(name) {
            Some(value) if !matches!(value.text(), "\"\"" | "0") => value.time(name).map(Some),
            _ => Ok(None),
        }
    }

    pub(crate) fn integer(&self, name: &'static str) -> Result<i64, ExchangeError> {
        self.need(name)?.integer(name)
    }

    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, ExchangeError> {
        self.need(name)?.flag(name)
    }

    /// An amount with its asset; `None` if there is no amount.
    pub(crate) fn money(
        &self,
        amount: &'static str,
        asset: &'static str,
    ) -> Result<Option<Money>, ExchangeError> {
        match self.maybe_decimal(amount)? {
            Some(amount) => Ok(Some(Money { asset: self.text(asset)?, amount })),
            None => Ok(None),
        }
    }

    /// Which way an execution went, in the exchange's words for buying and selling.
    pub(crate) fn side(&self, name: &'static str, words: [&str; 2]) -> Result<Side, ExchangeError> {
        let stated = self.text(name)?;
        match words.iter().position(|word| *word == stated) {
            Some(0) => Ok(Side::Buy),
            Some(_) => Ok(Side::Sell),
            None => Err(malformed(name)),
        }
    }

    pub(crate) fn list(&self, name: &'static str) -> Result<Vec<Value<'a>>, ExchangeError> {
        self.need(name)?.list(name)
    }
}

/// A string, borrowed where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        from.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(Value)
    }
}

/// A list or object read up to its bound; `None` if there was more.
struct Bounded<T>(Option<T>);

struct Fields<'a>(BTreeMap<Cow<'a, str>, Value<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Bounded<Vec<Value<'a>>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ListVisitor<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for ListVisitor<'a> {
            type Value = Bounded<Vec<Value<'a>>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = from.next_element()? {
                    if list.len() >= limits::ROWS_MAX {
                        while from.next_element::<de::IgnoredAny>()?.is_some() {}
                        return Ok(Bounded(None));
                    }
                    list.push(value);
                }
                Ok(Bounded(Some(list)))
            }
        }

        from.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bounded<Fields<'a>> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FieldsVisitor<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for FieldsVisitor<'a> {
            type Value = Bounded<Fields<'a>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((Text(name), value)) = from.next_entry()? {
                    if fields.len() >= limits::FIELDS_MAX {
                        while from.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
                        return Ok(Bounded(None));
                    }
                    if fields.insert(name, value).is_some() {
                        return Err(de::Error::custom("duplicate field"));
                    }
                }
                Ok(Bounded(Some(Fields(fields))))
            }
        }

        from.deserialize_map(FieldsVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(text: &str) -> Result<Object<'_>, ExchangeError> {
        document(text.as_bytes())?.object("object")
    }

    fn too_long(field: &'static str) -> ExchangeError {
        ExchangeError::TooLong { field }
    }

    #[test]
    fn numbers_are_read_from_their_text() {
        let row = object(r#"{"a":0.1,"b":"1.2345e-05","c":12345678901234567890123}"#).unwrap();
        assert_eq!(row.decimal("a").unwrap().to_string(), "0.1");
        assert_eq!(row.decimal("b").unwrap().to_string(), "0.000012345");
        assert_eq!(row.id("c").unwrap(), "12345678901234567890123");
    }

    #[test]
    fn absent_null_and_wrong_fields_are_named() {
        let row =
            object(r#"{"a":null,"b":[],"c":{},"d":true,"e":"","f":1.5,"g":"\u0000"}"#).unwrap();
        assert_eq!(row.decimal("z").err(), Some(malformed("z")));
        assert_eq!(row.decimal("a").err(), Some(malformed("a")));
        assert_eq!(row.decimal("b").err(), Some(malformed("b")));
        assert_eq!(row.id("c").err(), Some(malformed("c")));
        assert_eq!(row.time("d").err(), Some(malformed("d")));
        assert_eq!(row.text("e").err(), Some(malformed("e")));
        assert_eq!(row.id("e").err(), Some(malformed("e")));
        assert_eq!(row.id("f").err(), Some(malformed("f")));
        assert_eq!(row.integer("f").err(), Some(malformed("f")));
        assert_eq!(row.text("g").err(), Some(malformed("g")));
        assert_eq!(row.flag("f").err(), Some(malformed("f")));
        assert_eq!(row.maybe_decimal("e"), Ok(None));
        assert_eq!(row.maybe_id("e"), Ok(None));
        assert_eq!(row.maybe_text("a"), Ok(None));
    }

    #[test]
    fn a_document_is_one_whole_value() {
        for text in
            ["", " ", "{", "[1", "{}x", "nul", "<html></html>", "[1,]", "{\"a\":1,}", "\u{feff}{}"]
        {
            assert_eq!(document(text.as_bytes()).err(), Some(malformed("body")), "{text}");
        }
        assert_eq!(document(&[0xff, 0xfe]).err(), Some(malformed("body")));
    }

    #[test]
    fn duplicate_fields_are_refused() {
        assert_eq!(object(r#"{"a":1,"a":1}"#).err(), Some(malformed("object")));
        assert_eq!(object(r#"{"a":1,"\u0061":1}"#).err(), Some(malformed("object")));
    }

    #[test]
    fn lists_are_bounded() {
        let list = |len: usize| format!("[{}]", vec!["0"; len].join(","));
        let full = list(limits::ROWS_MAX);
        assert_eq!(document(full.as_bytes()).unwrap().list("l").unwrap().len(), limits::ROWS_MAX);
        let over = list(limits::ROWS_MAX + 1);
        assert_eq!(document(over.as_bytes()).unwrap().list("l").err(), Some(too_long("l")));
    }

    #[test]
    fn objects_are_bounded() {
        let fields: Vec<String> = (0..=limits::FIELDS_MAX).map(|n| format!("\"{n}\":0")).collect();
        let over = format!("{{{}}}", fields.join(","));
        assert_eq!(object(&over).err(), Some(too_long("object")));
    }

    #[test]
    fn texts_are_bounded() {
        let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::TEXT_LEN_MAX));
        assert!(object(&fits).unwrap().text("a").is_ok());
        let over = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::TEXT_LEN_MAX + 1));
        assert_eq!(object(&over).unwrap().text("a").err(), Some(too_long("a")));
        let number = format!(r#"{{"a":{}}}"#, "1".repeat(limits::TEXT_LEN_MAX + 1));
        assert_eq!(object(&number).unwrap().id("a").err(), Some(malformed("a")));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(object(&deep).unwrap().get("a").is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = document(&bytes) {
                let _list = value.list("l");
                let _object = value.object("o");
                let _decimal = value.decimal("d");
                let _time = value.time("t");
                let _id = value.id("i");
            }
        }
    }
}
