//! What a Binance reply that is not a success means.
//!
//! The status decides alone where the exchange's edge speaks (403, 418, 429,
//! 451); else the code in the body; else the status. A body may be HTML, and a
//! success status proves nothing.

use crate::error::{Answer, Kind};
use crate::json::{self, Value};
use crate::{Reply, edge};

/// Classifies `reply`. `None` if it reads like a success: then it must still
/// be read.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let body = Body::of(reply.body);
    let success = edge::is_success(reply.status);
    let kind = match (reply.status, body) {
        (403, _) => Kind::Blocked,
        (status, _) if let Some(kind) = edge::decided(status) => kind,
        // Challenges of the web application firewall come with 202 and 405.
        _ if edge::is_challenge(reply) => Kind::Blocked,
        (status, Body::Refusal(code)) => match by_code(code) {
            Some(kind) => kind,
            // A code that is not listed says more than the status 400 does.
            None if status == 400 => Kind::Unknown,
            None => edge::by_status(status),
        },
        (_, Body::Maintenance) => Kind::Maintenance,
        // A page where JSON was due: something in between answered.
        (_, Body::NotJson) if success && edge::is_markup(reply.body) => Kind::Unavailable,
        (_, Body::Other | Body::NotJson) if success => return None,
        (status, Body::Other | Body::NotJson) => edge::by_status(status),
    };
    let code = match body {
        Body::Refusal(code) => Some(code),
        Body::Maintenance | Body::Other | Body::NotJson => None,
    };
    Some(edge::answer(reply, kind, code))
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
