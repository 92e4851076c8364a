//! Parameters of a query string or a form, in their order.

use percent_encoding::percent_decode_str;

use crate::limits;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// `None` when it is no form: bad encoding, too many.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut all = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            all.push((decoded(name)?, decoded(value)?));
        }
        (all.len() <= limits::PARAMS_MAX).then_some(Self(all))
    }

    /// The members of a JSON object, texts and numbers alike.
    pub(crate) fn of_json(text: &[u8]) -> Option<Self> {
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(text).ok()?;
        let text = |value: serde_json::Value| {
            value.as_str().map_or_else(|| value.to_string(), str::to_owned)
        };
        let all: Vec<_> = object.into_iter().map(|(name, value)| (name, text(value))).collect();
        (all.len() <= limits::PARAMS_MAX).then_some(Self(all))
    }

    /// The first value of a name; empty is as good as none.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A whole number; the error is for one that is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, NotWhole> {
        self.get(name).map(|text| text.parse().map_err(|_| NotWhole)).transpose()
    }
}

/// A parameter that must be a whole number is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotWhole;

fn decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let form = Form::parse("a=1%2F2&b=x+y&a=3&empty=&n=7&flag").unwrap();
        assert_eq!(form.get("a"), Some("1/2"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1/2", "3"]);
        assert_eq!((form.get("b"), form.get("empty"), form.get("flag")), (Some("x y"), None, None));
        assert_eq!((form.number("n"), form.number("b")), (Ok(Some(7)), Err(NotWhole)));
        assert_eq!(Form::parse("a=%ff"), None);
        let json = Form::of_json(br#"{"nonce":12,"asset":"XBT"}"#).unwrap();
        assert_eq!((json.get("nonce"), json.get("asset")), (Some("12"), Some("XBT")));
        assert_eq!(Form::of_json(b"[1]"), None);
    }
}
