//! Reads TOML tables key by key and collects every mistake, so that one run
//! names them all. A key that nobody asked for is a mistake too.

use std::fmt;
use std::ops::RangeInclusive;

use toml::{Table, Value};

/// One mistake of a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `limits.connections`, `ingress[1].listen`; empty for the whole file.
    pub at: String,
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.at.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", self.at, self.what)
        }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub struct Section {
    path: String,
    table: Table,
}

impl Section {
    /// The whole file.
    pub fn parse(text: &str, mistakes: &mut Vec<Mistake>) -> Self {
        let table = text.parse().unwrap_or_else(|error: toml::de::Error| {
            // The first line of the message names the fault; the rest quotes the file.
            let what = error.message().lines().next().unwrap_or("malformed").to_owned();
            mistakes.push(Mistake { at: String::new(), what: format!("not TOML: {what}") });
            Table::new()
        });
        Self { path: String::new(), table }
    }

    fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Records a mistake about `key` and gives `None`, for use at the end of a chain.
    pub fn wrong<T>(&self, key: &str, what: impl fmt::Display, to: &mut Vec<Mistake>) -> Option<T> {
        to.push(Mistake { at: self.at(key), what: what.to_string() });
        None
    }

    /// A table, or `None` if there is none.
    pub fn section(&mut self, key: &str, mistakes: &mut Vec<Mistake>) -> Option<Self> {
        if let Value::Table(table) = self.table.remove(key)? {
            return Some(Self { path: self.at(key), table });
        }
        self.wrong(key, "must be a table", mistakes)
    }

    /// The tables of `[[key]]`; none where the key is absent.
    pub fn sections(
        &mut self,
        key: &str,
        len_max: usize,
        mistakes: &mut Vec<Mistake>,
    ) -> Vec<Self> {
        let items = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.wrong::<()>(key, format!("must be written [[{key}]]"), mistakes);
                return Vec::new();
            }
        };
        if items.len() > len_max {
            self.wrong::<()>(key, format!("has more than {len_max} entries"), mistakes);
            return Vec::new();
        }
        let mut out = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{}[{index}]", self.at(key));
            if let Value::Table(table) = item {
                out.push(Self { path, table });
            } else {
                mistakes.push(Mistake { at: path, what: "must be a table".to_owned() });
            }
        }
        out
    }

    pub fn string(&mut self, key: &str, mistakes: &mut Vec<Mistake>) -> Option<String> {
        if let Value::String(text) = self.table.remove(key)? {
            return Some(text);
        }
        self.wrong(key, "must be a string", mistakes)
    }

    pub fn required(&mut self, key: &str, mistakes: &mut Vec<Mistake>) -> Option<String> {
        if self.table.contains_key(key) {
            self.string(key, mistakes)
        } else {
            self.wrong(key, "is missing", mistakes)
        }
    }

    pub fn boolean(&mut self, key: &str, mistakes: &mut Vec<Mistake>) -> Option<bool> {
        let value = self.table.remove(key)?.as_bool();
        value.or_else(|| self.wrong(key, "must be true or false", mistakes))
    }

    pub fn integer<T: TryFrom<i64> + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        range: &RangeInclusive<T>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        let value = self.table.remove(key)?.as_integer().and_then(|value| T::try_from(value).ok());
        let within = value.filter(|value| range.contains(value));
        if within.is_none() {
            let what = format!("must be an integer from {} to {}", range.start(), range.end());
            return self.wrong(key, what, mistakes);
        }
        within
    }

    /// As [`integer`](Self::integer), for a key that must be there.
    pub fn required_integer<T: TryFrom<i64> + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        range: &RangeInclusive<T>,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<T> {
        if self.table.contains_key(key) {
            self.integer(key, range, mistakes)
        } else {
            self.wrong(key, "is missing", mistakes)
        }
    }

    /// Every key that is left is unknown.
    pub fn finish(self, mistakes: &mut Vec<Mistake>) {
        for key in self.table.keys() {
            self.wrong::<()>(key, "is unknown", mistakes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_at_once() {
        let mut mistakes = Vec::new();
        let mut file = Section::parse(
            "number = 70000\ntext = 1\nlist = 2\n[table]\nextra = 1\n[[item]]\nflag = \"x\"\n",
            &mut mistakes,
        );
        assert_eq!(file.integer("number", &(1..=9_u16), &mut mistakes), None);
        assert_eq!(file.string("text", &mut mistakes), None);
        assert!(file.sections("list", 4, &mut mistakes).is_empty());
        file.section("table", &mut mistakes).unwrap().finish(&mut mistakes);
        for mut item in file.sections("item", 4, &mut mistakes) {
            assert_eq!(item.boolean("flag", &mut mistakes), None);
            assert_eq!(item.required("name", &mut mistakes), None);
        }
        file.finish(&mut mistakes);
        let told: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "number: must be an integer from 1 to 9",
                "text: must be a string",
                "list: must be written [[list]]",
                "table.extra: is unknown",
                "item[0].flag: must be true or false",
                "item[0].name: is missing",
            ]
        );
    }

    #[test]
    fn a_file_that_is_not_toml_is_one_mistake() {
        let mut mistakes = Vec::new();
        Section::parse("= 1", &mut mistakes).finish(&mut mistakes);
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().starts_with("not TOML"), "{mistakes:?}");
    }
}
