//! Kraken: public prices only, as the reference for rates that other
//! exchanges do not list (USDT/USD). It takes no credentials.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Answer, ExchangeError, Kind};
use crate::fact::{Fact, Page, Price, Ticker};
use crate::json::{self, Object, Value, malformed};
use crate::query::Query;
use crate::sign::query_string;
use crate::{
    Bucket, Connector, Context, Credentials, Market, Reply, Request, Scope, UnixMillis, Venue,
    Weight, limits,
};

/// The connector for Kraken's public spot prices.
#[derive(Clone, Copy, Debug)]
pub struct Kraken;

const API: &str = "api.kraken.com";

/// Kraken's documentation demands one.
const USER_AGENT: &str = concat!("performance-aggregator/", env!("CARGO_PKG_VERSION"));

/// Pairs that are read without instruments in the context: the name a query
/// takes, the name the reply uses, base and quote.
const REFERENCE: [(&str, &str, &str, &str); 4] = [
    ("USDTUSD", "USDTZUSD", "USDT", "USD"),
    ("USDCUSD", "USDCUSD", "USDC", "USD"),
    ("EURUSD", "ZEURZUSD", "EUR", "USD"),
    ("GBPUSD", "ZGBPZUSD", "GBP", "USD"),
];

/// Public calls are counted by address, about one a second.
const PUBLIC: Bucket = Bucket { name: "kraken_public", scope: Scope::Address, per_minute: 60 };

impl Connector for Kraken {
    fn venue(&self) -> Venue {
        Venue::Kraken
    }

    fn market(&self) -> Market {
        Market::Spot
    }

    fn hosts(&self) -> &'static [&'static str] {
        &[API]
    }

    fn weight(&self, _: &Query) -> Weight {
        Weight { bucket: PUBLIC, cost: 1 }
    }

    fn window_max(&self, _: &Query) -> Option<Duration> {
        None
    }

    /// `at` and `credentials` are not used: nothing here is signed.
    fn request(
        &self,
        query: &Query,
        _: Option<&Credentials<'_>>,
        _: UnixMillis,
    ) -> Result<Request, ExchangeError> {
        let pairs = asked(query).ok_or(ExchangeError::Unsupported)?;
        let plain = |pair: &String| {
            (1..=limits::SYMBOL_LEN_MAX).contains(&pair.len())
                && pair.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
        };
        if pairs.len() > limits::PRICE_SYMBOLS_MAX || !pairs.iter().all(plain) {
            return Err(ExchangeError::InvalidQuery { field: "symbols" });
        }
        let query = if pairs.is_empty() {
            String::new()
        } else {
            query_string(&[("pair", pairs.join(","))])
        };
        let agent = Zeroizing::new(USER_AGENT.to_owned());
        Ok(Request::get(API, "/0/public/Ticker", Zeroizing::new(query))
            .with_header("User-Agent", agent))
    }

    fn read(
        &self,
        query: &Query,
        reply: Reply<'_>,
        context: &Context,
    ) -> Result<Page, ExchangeError> {
        if reply.body.len() > self.reply_len_max(query) {
            return Err(ExchangeError::TooLong { field: "body" });
        }
        asked(query).ok_or(ExchangeError::Unsupported)?;
        if let Some(answer) = classify(&reply) {
            return Err(ExchangeError::Answered(answer));
        }
        let result = json::document(reply.body)?.object("body")?.need("result")?;
        let rows = result.object("result")?;
        let mut facts = Vec::new();
        for (name, row) in rows.fields() {
            let Some((symbol, base, quote)) = pair(name, context) else { continue };
            let row = row.object("result")?;
            let last = first(&row, "c")?;
            facts.push(if matches!(query, Query::Prices { .. }) {
                Fact::Price(Price { symbol, base, quote, price: last, at: None })
            } else {
                let bid = Some(first(&row, "b")?);
                let ask = Some(first(&row, "a")?);
                let last = Some(last);
                Fact::Ticker(Ticker { symbol, base, quote, last, bid, ask, mark: None, at: None })
            });
        }
        Ok(Page::last(facts))
    }
}

/// The pairs of a query that this connector knows; all of them if empty.
fn asked(query: &Query) -> Option<&[String]> {
    if let Query::Prices { symbols } = query {
        Some(symbols)
    } else if let Query::Ticker { symbol } = query {
        Some(std::slice::from_ref(symbol))
    } else {
        None
    }
}

/// Symbol, base and quote of a pair in a reply.
fn pair(name: &str, context: &Context) -> Option<(String, String, String)> {
    if let Some(known) = context.instrument(name) {
        return Some((known.symbol.clone(), known.base.clone(), known.quote.clone()));
    }
    let (_, _, base, quote) =
        REFERENCE.iter().find(|(asked, answered, ..)| *asked == name || *answered == name)?;
    Some((format!("{base}/{quote}"), (*base).to_owned(), (*quote).to_owned()))
}

/// The price is the first of each list.
fn first(row: &Object<'_>, name: &'static str) -> Result<rust_decimal::Decimal, ExchangeError> {
    row.list(name)?.first().ok_or_else(|| malformed(name))?.decimal(name)
}

/// What a Kraken reply that is not a success means. Errors come with the
/// status 200, as texts in a list; those that begin with `W` are warnings.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = (200..300).contains(&reply.status);
    let kind = match refusal(reply.body) {
        _ if reply.status == 429 => Kind::RateLimit,
        _ if matches!(reply.status, 403 | 418 | 451) => Kind::Blocked,
        Ok(Some(kind)) => kind,
        Ok(None) | Err(ExchangeError::Malformed { .. }) if success && !is_markup(reply.body) => {
            return None;
        }
        _ if success || reply.status >= 500 => Kind::Unavailable,
        _ if reply.status == 401 => Kind::Auth,
        _ if reply.status == 400 => Kind::BadRequest,
        _ => Kind::Unknown,
    };
    let retry_after = reply.header("retry-after").and_then(|value| value.trim().parse().ok());
    Some(Answer {
        kind,
        status: reply.status,
        code: None,
        retry_after: retry_after.map(|seconds: u32| Duration::from_secs(u64::from(seconds))),
    })
}

fn is_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The meaning of the first error in the body.
fn refusal(body: &[u8]) -> Result<Option<Kind>, ExchangeError> {
    let errors = json::document(body)?.object("body")?.list("error")?;
    for error in errors {
        let error: Value<'_> = error;
        let text = error.string("error")?;
        if !text.starts_with('W') {
            return Ok(Some(by_text(&text)));
        }
    }
    Ok(None)
}

fn by_text(error: &str) -> Kind {
    let begins = |starts: &[&str]| starts.iter().any(|start| error.starts_with(start));
    if begins(&["EAPI:Invalid key", "EAPI:Invalid signature", "ESession:Invalid session"]) {
        Kind::Auth
    } else if begins(&["EAPI:Invalid nonce"]) {
        Kind::Clock
    } else if begins(&["EGeneral:Permission denied", "EAccount:Invalid permissions"]) {
        Kind::Permission
    } else if begins(&[
        "EAPI:Rate limit exceeded",
        "EOrder:Rate limit exceeded",
        "EGeneral:Too many requests",
        "EService:Throttled",
        "EService: Throttled",
    ]) {
        Kind::RateLimit
    } else if begins(&["EGeneral:Temporary lockout"]) {
        Kind::Blocked
    } else if begins(&[
        "EService:Unavailable",
        "EService:Busy",
        "EGeneral:Internal error",
        "EDatabase:Internal error",
    ]) {
        Kind::Unavailable
    } else if begins(&["EService:Market in cancel_only", "EService:Market in post_only"]) {
        Kind::Maintenance
    } else if begins(&[
        "EQuery:Unknown asset pair",
        "EQuery:Invalid asset pair",
        "EQuery:Unknown asset",
    ]) {
        Kind::InvalidSymbol
    } else if begins(&["ETrade:User Locked"]) {
        Kind::Account
    } else if begins(&["EGeneral:Invalid arguments"]) {
        Kind::BadRequest
    } else {
        Kind::Unknown
    }
}
