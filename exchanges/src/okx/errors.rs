//! What an OKX reply that is not a success means: `code`, whatever the status.

use crate::Reply;
use crate::edge::{answer, by_status, decided, is_challenge, is_markup, is_success};
use crate::error::{Answer, Kind};
use crate::json;

/// Classifies `reply`. `None` if it reads like a success: then it must still
/// be read.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = is_success(reply.status);
    let code = refusal(reply.body);
    let kind = match (decided(reply.status), code) {
        (Some(kind), _) => kind,
        _ if is_challenge(reply) => Kind::Blocked,
        (None, Some(code)) => match by_code(code) {
            Some(kind) => kind,
            // A code that is not listed says more than these statuses do.
            None if matches!(reply.status, 400 | 403) => Kind::Unknown,
            None => by_status(reply.status),
        },
        (None, None) if success && is_markup(reply.body) => Kind::Unavailable,
        (None, None) if success => return None,
        (None, None) => by_status(reply.status),
    };
    Some(answer(reply, kind, code))
}

/// The code of a body that refuses.
fn refusal(body: &[u8]) -> Option<i64> {
    let object = json::document(body).ok()?.object("body").ok()?;
    let code = object.get("code")?.integer("code").ok()?;
    (code != 0).then_some(code)
}

const fn by_code(code: i64) -> Option<Kind> {
    Some(match code {
        50100 | 50101 | 50103..=50107 | 50110 | 50111 | 50113 | 50114 | 50119 => Kind::Auth,
        50102 | 50112 => Kind::Clock,
        50030 | 50041 | 50120 => Kind::Permission,
        50011 | 50040 | 50061 => Kind::RateLimit,
        50001 => Kind::Maintenance,
        50004 | 50005 | 50013 | 50026 => Kind::Unavailable,
        50007..=50009 | 50012 | 50027 | 50032 | 50033 | 50052 => Kind::Account,
        51001 | 51014 | 51015 => Kind::InvalidSymbol,
        50000 | 50002 | 50006 | 50010 | 50014..=50016 | 50024 | 50025 | 50115 | 51000 => {
            Kind::BadRequest
        }
        _ => return None,
    })
}
