//! What a Binance reply that is not a success means.
//!
//! The status decides alone where the exchange's edge speaks (403, 418, 429,
//! 451); else the code in the body; else the status. A body may be HTML, and a
//! success status proves nothing.

use std::time::Duration;

use crate::Reply;
use crate::error::{Answer, Kind};
use crate::json::{self, Value};

/// Classifies `reply`. `None` if it reads like a success: then it must still
/// be read.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let body = Body::of(reply.body);
    let success = (200..300).contains(&reply.status);
    let kind = match (reply.status, body) {
        (403 | 418 | 451, _) => Kind::Blocked,
        (429, _) => Kind::RateLimit,
        // Challenges of the web application firewall come with 202 and 405.
        _ if reply.header("x-amzn-waf-action").is_some() => Kind::Blocked,
        (_, Body::Refusal(code)) => match by_code(code) {
            Some(kind) => kind,
            // A code that is not listed says more than the status 400 does.
            None if reply.status == 400 => Kind::Unknown,
            None => by_status(reply.status),
        },
        (_, Body::Maintenance) => Kind::Maintenance,
        // A page where JSON was due: something in between answered.
        (_, Body::NotJson) if success && looks_like_markup(reply.body) => Kind::Unavailable,
        (_, Body::Other | Body::NotJson) if success => return None,
        (status, Body::Other | Body::NotJson) => by_status(status),
    };
    let code = match body {
        Body::Refusal(code) => Some(code),
        Body::Maintenance | Body::Other | Body::NotJson => None,
    };
    Some(Answer { kind, status: reply.status, code, retry_after: retry_after(reply) })
}

/// What a body says before it is read.
#[derive(Clone, Copy)]
enum Body {
    /// `{"code": negative, "msg": …}`.
    Refusal(i64),
    /// `{"status": 1, "msg": "system_maintenance"}`.
    Maintenance,
    /// JSON of any other shape.
    Other,
    /// HTML, or cut short.
    NotJson,
}

impl Body {
    fn of(body: &[u8]) -> Self {
        let Ok(document) = json::document(body) else { return Self::NotJson };
        if !document.is_object() {
            return Self::Other;
        }
        let Ok(object) = document.object("body") else { return Self::Other };
        let integer = |name| object.get(name).and_then(|value: Value<'_>| value.integer(name).ok());
        let message = object.get("msg").and_then(|value| value.string("msg").ok());
        match (integer("code"), integer("status"), message) {
            (Some(code), _, _) if code < 0 => Self::Refusal(code),
            (None, Some(1), Some(message)) if message == "system_maintenance" => Self::Maintenance,
            _ => Self::Other,
        }
    }
}

const fn by_code(code: i64) -> Option<Kind> {
    Some(match code {
        -1002 | -1022 | -2014 | -2015 => Kind::Auth,
        -1003 | -1015 => Kind::RateLimit,
        -1021 => Kind::Clock,
        -1001..=-1000 | -1004 | -1008..=-1006 => Kind::Unavailable,
        -1016 => Kind::Maintenance,
        -1121 => Kind::InvalidSymbol,
        -1106..=-1100 | -1108 | -1127 | -1128 | -1130 => Kind::BadRequest,
        -3003 => Kind::Account,
        _ => return None,
    })
}

const fn by_status(status: u16) -> Kind {
    match status {
        401 => Kind::Auth,
        400 => Kind::BadRequest,
        408 | 500..=599 => Kind::Unavailable,
        _ => Kind::Unknown,
    }
}

fn looks_like_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// Whole seconds; a date is not used by Binance and not read.
fn retry_after(reply: &Reply<'_>) -> Option<Duration> {
    let seconds: u32 = reply.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(u64::from(seconds)))
}
