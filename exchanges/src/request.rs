//! What goes out, and the parts of what comes back.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// HTTP methods a read may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Everything Binance spot is asked.
    Get,
    /// For exchanges whose private reads are posted.
    Post,
}

impl Method {
    /// As in the request line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// Random bytes that no request was built with before.
///
/// Drawn by the caller for each request, since nothing in this crate draws
/// any; only exchanges whose tokens carry such a number look at it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

impl Nonce {
    pub(crate) fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

/// A request ready to be sent over TLS to `host`, port 443.
///
/// Query, headers and body may hold a key or a signature: they are wiped on
/// drop and absent from `Debug`, like a path with an id in it. No `Clone`.
pub struct Request {
    method: Method,
    host: &'static str,
    route: &'static str,
    path: Cow<'static, str>,
    query: Zeroizing<String>,
    headers: Vec<(&'static str, Zeroizing<String>)>,
    body: Zeroizing<Vec<u8>>,
}

impl Request {
    /// A request whose path is `route`.
    fn new(method: Method, host: &'static str, route: &'static str) -> Self {
        Self {
            method,
            host,
            route,
            path: Cow::Borrowed(route),
            query: Zeroizing::default(),
            headers: Vec::new(),
            body: Zeroizing::default(),
        }
    }

    pub(crate) fn get(host: &'static str, route: &'static str, query: Zeroizing<String>) -> Self {
        Self { query, ..Self::new(Method::Get, host, route) }
    }

    /// A read that is posted as a form.
    pub(crate) fn post(
        host: &'static str,
        route: &'static str,
        mut form: Zeroizing<String>,
    ) -> Self {
        let body = Zeroizing::new(std::mem::take(&mut *form).into_bytes());
        Self { body, ..Self::new(Method::Post, host, route) }
    }

    /// With `path`, already percent-encoded, instead of the route that stands
    /// for it in logs (`/accounts/{id}`).
    pub(crate) fn with_path(mut self, path: String) -> Self {
        self.path = Cow::Owned(path);
        self
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: Zeroizing<String>) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn with_headers(mut self, headers: Vec<(&'static str, Zeroizing<String>)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The host, which is also the name in TLS.
    pub const fn host(&self) -> &'static str {
        self.host
    }

    /// The path with names in place of ids: holds nothing about the customer,
    /// may be logged.
    pub const fn route(&self) -> &'static str {
        self.route
    }

    /// The path as it is sent. May hold an id: never log it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The request target. Holds the signature: never log it.
    pub fn path_and_query(&self) -> Zeroizing<String> {
        self.joined("")
    }

    /// `https://host/path?query`. Holds the signature: never log it.
    pub fn url(&self) -> Zeroizing<String> {
        self.joined("https://")
    }

    /// Names in the exchange's spelling, values as they go on the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// The body; empty for GET.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    fn joined(&self, scheme: &str) -> Zeroizing<String> {
        let host = if scheme.is_empty() { "" } else { self.host };
        let separator = if self.query.is_empty() { "" } else { "?" };
        let parts = [scheme, host, &self.path, separator, self.query.as_str()];
        // One allocation of the full length: a growing string would leave
        // unwiped copies behind.
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        let mut url = Zeroizing::new(String::with_capacity(len));
        for part in parts {
            url.push_str(part);
        }
        url
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// What came back. The caller has bounded the body already
/// ([`Connector::reply_len_max`](crate::Connector::reply_len_max)).
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// HTTP status.
    pub status: u16,
    /// Names in any case.
    pub headers: &'a [(String, String)],
    /// The whole body, decoded from any content coding.
    pub body: &'a [u8],
}

impl Reply<'_> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
