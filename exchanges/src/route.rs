//! Where a question goes, before it is signed.

use std::fmt::Display;

use zeroize::Zeroizing;

use crate::Request;
use crate::query::{Cursor, Window};
use crate::sign::query_string;

/// A request without its signature.
pub(crate) struct Route {
    pub(crate) host: &'static str,
    /// The path as it may be logged.
    pub(crate) template: &'static str,
    /// The path as it is sent, where that is another.
    filled: Option<String>,
    pub(crate) query: Vec<(&'static str, String)>,
}

impl Route {
    pub(crate) const fn to(host: &'static str, template: &'static str) -> Self {
        Self { host, template, filled: None, query: Vec::new() }
    }

    /// With `path`, already percent-encoded, instead of the template.
    pub(crate) fn filled(self, path: String) -> Self {
        Self { filled: Some(path), ..self }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// With a window in milliseconds, under the names of its start and end.
    pub(crate) fn within(self, names: (&'static str, &'static str), window: Window) -> Self {
        self.with(names.0, window.start.0).with(names.1, window.end.0)
    }

    /// With the place where a list goes on, if it does.
    pub(crate) fn after(self, name: &'static str, cursor: Option<&Cursor>) -> Self {
        match cursor {
            Some(cursor) => self.with(name, cursor.as_str()),
            None => self,
        }
    }

    /// The path as it is sent and signed.
    pub(crate) fn path(&self) -> &str {
        self.filled.as_deref().unwrap_or(self.template)
    }

    pub(crate) fn unsigned(self) -> Request {
        let query = Zeroizing::new(query_string(&self.query));
        let request = Request::get(self.host, self.template, query);
        match self.filled {
            Some(path) => request.with_path(path),
            None => request,
        }
    }
}
