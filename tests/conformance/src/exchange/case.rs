//! What a case holds: a recorded reply, a request, what the connector knows.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail};
use exchanges::{Context, Instrument, InstrumentKind, Reply};
use rust_decimal::Decimal;
use serde_json::Value;

/// A reply as it stands in a case.
pub(super) struct Recorded {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Recorded {
    pub(super) fn of(response: &Value) -> Result<Self> {
        let status = response.get("status").and_then(Value::as_u64).context("status")?;
        let headers = response.get("headers").and_then(Value::as_object);
        Ok(Self {
            status: u16::try_from(status)?,
            headers: headers
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect(),
            body: text(response, "body")?.to_owned(),
        })
    }

    pub(super) fn reply(&self) -> Reply<'_> {
        Reply { status: self.status, headers: &self.headers, body: self.body.as_bytes() }
    }
}

/// What the request of a case asks.
pub(super) struct Asked {
    /// The path of its address.
    pub(super) path: String,
    parameters: BTreeMap<String, String>,
}

impl Asked {
    pub(super) fn of(case: &Value) -> Self {
        let part = |name: &str| case.pointer(name).and_then(Value::as_str).unwrap_or_default();
        let url = part("/request/url");
        let (path, query) = split_url(url);
        let path = path.to_owned();
        let mut parameters = pairs(query);
        parameters.extend(pairs(part("/request/body")));
        Self { path, parameters }
    }

    /// A parameter of the address or the form.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        self.parameters.get(name).cloned()
    }

    /// A parameter that is a number.
    pub(super) fn number(&self, name: &str, default: u64) -> u64 {
        self.parameter(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }
}

/// Path and query string of an address.
pub(super) fn split_url(url: &str) -> (&str, &str) {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (_, place) = address.split_once("://").unwrap_or(("", address));
    (place.find('/').and_then(|at| place.get(at..)).unwrap_or_default(), query)
}

/// A form, percent-encoded.
pub(super) fn encoded(form: &[(String, String)]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let encode =
        |text: &str| -> String {
            text.bytes()
                .map(|byte| {
                    if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
                })
                .collect()
        };
    let pairs: Vec<_> =
        form.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.join("&")
}

pub(super) fn pairs(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let escape = (byte == b'%').then(|| ahead.next().zip(ahead.next())).flatten();
        let value = escape.and_then(|(high, low)| {
            u8::from_str_radix(std::str::from_utf8(&[high, low]).ok()?, 16).ok()
        });
        if value.is_some() {
            rest = ahead;
        }
        bytes.push(value.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn context(case: &Value) -> Result<Context> {
    let Some(context) = case.get("context") else { return Ok(Context::default()) };
    let list = |name: &str| context.get(name).and_then(Value::as_array).into_iter().flatten();
    let instruments: Vec<Instrument> =
        list("instruments").map(instrument).collect::<Result<_>>()?;
    let assets = list("known_assets").filter_map(Value::as_str);
    Ok(Context::new(instruments).with_assets(assets))
}

fn instrument(row: &Value) -> Result<Instrument> {
    let own = |name: &str| text(row, name).map(str::to_owned);
    let aliases = row.get("aliases").and_then(Value::as_array).into_iter().flatten();
    Ok(Instrument {
        raw: own("raw")?,
        aliases: aliases.filter_map(Value::as_str).map(str::to_owned).collect(),
        symbol: own("symbol")?,
        base: own("base")?,
        quote: own("quote")?,
        settle: row.get("settle").and_then(Value::as_str).map(str::to_owned),
        kind: match text(row, "kind")? {
            "spot" => InstrumentKind::Spot,
            "perp" => InstrumentKind::Perpetual,
            "future" => InstrumentKind::Future,
            other => bail!("unknown kind of instrument {other}"),
        },
        contract_size: match row.get("contract_size") {
            Some(Value::Null) | None => Decimal::ONE,
            Some(size) => exchanges::decimal::parse(&plain(size)).context("contract_size")?,
        },
        inverse: row.get("inverse").and_then(Value::as_bool).unwrap_or(false),
    })
}

pub(super) fn pair_list(list: Option<&Value>) -> Result<Vec<(String, String)>> {
    let rows = list.and_then(Value::as_array).into_iter().flatten();
    rows.map(|row| match row.as_array().map(Vec::as_slice) {
        Some([name, value]) => Ok((plain(name), plain(value))),
        _ => Err(anyhow!("a parameter is no pair")),
    })
    .collect()
}

pub(super) fn text<'a>(from: &'a Value, name: &str) -> Result<&'a str> {
    from.get(name).and_then(Value::as_str).with_context(|| format!("no `{name}`"))
}

/// A string's text, anything else's JSON.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
