//! What the exchanges have in common whose signature travels in a header, and
//! those of which nothing is known but how to sign.

use anyhow::{Context as _, Result, bail};
use exchanges::{
    Answer, Connector, Credentials, Cursor, ExchangeError, Market, Method, Query, Reply,
    SignedHeaders, UnixMillis, Window, bitget, gate, kucoin,
};
use serde_json::{Map, Value, json};

use super::case::{plain, text};
use super::sequence::Start;
use super::{Adapter, refused};

/// The whole of an account's history.
pub(super) const ALWAYS: Window = Window::new(UnixMillis(0), UnixMillis(4_102_444_800_000));

/// Rows of a page where a case names no number.
pub(super) const PAGE: u16 = 100;

/// Where a list goes on, if anywhere.
pub(super) fn place(text: Option<String>) -> Result<Option<Cursor>> {
    Ok(text.filter(|text| !text.is_empty()).map(|text| text.parse()).transpose()?)
}

/// One list of transfers, by the name it has in a cursor.
pub(super) fn transfers(list: &str) -> Result<Query> {
    let cursor = place(Some(list.to_owned()))?;
    Ok(Query::Transfers { account: None, window: ALWAYS, cursor })
}

/// The first queries where an account has one list of executions and one of transfers.
pub(super) fn lists_of_an_account(
    connector: &dyn Connector,
    case: &Value,
    start: &Start,
) -> Result<Vec<Query>> {
    let transfers = text(case, "method")?.contains("transfer");
    let limit = start.page_limit.unwrap_or(PAGE);
    Ok(start.queries(connector, |window| {
        if transfers { Query::transfers(None, window) } else { Query::account_fills(window, limit) }
    }))
}

/// An exchange without a connector.
pub(super) enum Signer {
    Bitget,
    Gate,
    Kucoin,
}

impl Adapter for Signer {
    fn connector(&self, _: Market) -> Result<Box<dyn Connector>> {
        bail!("no connector for this exchange")
    }

    fn classify(&self, _: &Reply<'_>) -> Option<Answer> {
        None
    }

    fn sign(&self, request: &Value) -> Result<Value> {
        let input = Input::of(request)?;
        let ((path, query), target) = (input.path_and_query()?, input.target()?);
        let timestamp = input.timestamp();
        let Input { credentials, method, body, .. } = &input;
        headers(match self {
            Self::Bitget => bitget::sign(credentials, *method, &target, body, &timestamp),
            Self::Gate => gate::sign(credentials, *method, path, &query, body, &timestamp),
            Self::Kucoin => kucoin::sign(credentials, *method, &target, body, &timestamp),
        })
    }
}

/// The answer to a `sign` case, or that the credentials are refused.
pub(super) fn answer<T>(
    made: Result<T, ExchangeError>,
    show: impl Fn(&T) -> Value,
) -> Result<Value> {
    match made {
        Ok(made) => Ok(show(&made)),
        Err(ExchangeError::InvalidCredentials | ExchangeError::RetiredCredentials(_)) => {
            Ok(refused())
        }
        Err(other) => Err(other.into()),
    }
}

/// The answer to a `sign` case where the signature travels in a header.
pub(super) fn headers(made: Result<SignedHeaders, ExchangeError>) -> Result<Value> {
    answer(made, |signed| {
        let headers: Map<String, Value> = signed
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value.as_str())))
            .collect();
        json!({
            "signed_payload": signed.payload.as_str(),
            "signature": signed.signature.as_str(),
            "headers": headers,
        })
    })
}

/// What a case gives to sign.
pub(super) struct Input<'a> {
    request: &'a Value,
    pub(super) credentials: Credentials<'a>,
    pub(super) method: Method,
    pub(super) body: String,
}

impl<'a> Input<'a> {
    pub(super) fn of(request: &'a Value) -> Result<Self> {
        let maybe = |name: &str| request.get(name).and_then(Value::as_str);
        let method = match maybe("method").unwrap_or("GET").to_ascii_uppercase().as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            other => bail!("no such request: {other}"),
        };
        Ok(Self {
            request,
            credentials: Credentials {
                key: maybe("api_key").unwrap_or_default(),
                secret: maybe("api_secret").unwrap_or_default().as_bytes(),
                passphrase: maybe("passphrase").map(str::as_bytes),
            },
            method,
            body: match request.get("body") {
                None | Some(Value::Null) => String::new(),
                Some(body) => plain(body),
            },
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str> {
        text(self.request, name)
    }

    /// A text or a number; empty if absent.
    pub(super) fn plain(&self, name: &str) -> String {
        self.request.get(name).filter(|value| !value.is_null()).map(plain).unwrap_or_default()
    }

    pub(super) fn timestamp(&self) -> String {
        let named = ["timestamp", "timestamp_ms", "timestamp_s"].map(|name| self.plain(name));
        named.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
    }

    /// Path and query, wherever the case has the query.
    pub(super) fn path_and_query(&self) -> Result<(&'a str, String)> {
        let path = self.text("path").context("path")?;
        let (path, within) = path.split_once('?').unwrap_or((path, ""));
        let beside = self.plain("query");
        Ok((path, if beside.is_empty() { within.to_owned() } else { beside }))
    }

    pub(super) fn target(&self) -> Result<String> {
        let (path, query) = self.path_and_query()?;
        Ok(if query.is_empty() { path.to_owned() } else { [path, "?", &query].concat() })
    }
}
