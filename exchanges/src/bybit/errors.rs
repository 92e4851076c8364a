//! What a Bybit reply that is not a success means: `retCode`, whatever the
//! status.

use crate::Reply;
use crate::edge::{answer, by_status, decided, is_challenge, is_markup, is_success};
use crate::error::{Answer, Kind};
use crate::json;

/// Classifies `reply`. `None` if it reads like a success: then it must still
/// be read.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = is_success(reply.status);
    let refusal = refusal(reply.body);
    let kind = match (decided(reply.status), &refusal) {
        (Some(kind), _) => kind,
        _ if is_challenge(reply) || reply.status == 403 => Kind::Blocked,
        (None, Some((code, text))) => by_code(*code, text),
        (None, None) if success && is_markup(reply.body) => Kind::Unavailable,
        (None, None) if success => return None,
        (None, None) => by_status(reply.status),
    };
    Some(answer(reply, kind, refusal.map(|(code, _)| code)))
}

/// Code and text, in lower case, of a body that refuses.
fn refusal(body: &[u8]) -> Option<(i64, String)> {
    let object = json::document(body).ok()?.object("body").ok()?;
    let code = object.get("retCode")?.integer("retCode").ok()?;
    let text = object.get("retMsg").and_then(|text| text.string("retMsg").ok());
    (code != 0).then(|| (code, text.map(|text| text.to_ascii_lowercase()).unwrap_or_default()))
}

fn by_code(code: i64, text: &str) -> Kind {
    match code {
        10003 | 10004 | 10007 | 10010 | 33004 => Kind::Auth,
        10002 => Kind::Clock,
        10005 => Kind::Permission,
        10006 | 10018 | 10429 => Kind::RateLimit,
        10009 => Kind::Blocked,
        // Banned, restricted, or of the sort that this interface does not serve.
        10008 | 10024 | 10027 | 10028 | 100_028 => Kind::Account,
        10000 | 10016 => Kind::Unavailable,
        10029 | 170_121 => Kind::InvalidSymbol,
        10001 if text.contains("symbol") => Kind::InvalidSymbol,
        10001 | 10014 | 10017 | 10404 => Kind::BadRequest,
        _ => Kind::Unknown,
    }
}
