//! What refusals mean.

use std::time::Duration;

use crate::Reply;
use crate::error::{Answer, ExchangeError, Kind};
use crate::json;

/// What a Kraken reply that is not a success means. Errors come with the
/// status 200, as texts in a list; those that begin with `W` are warnings.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = (200..300).contains(&reply.status);
    let said = refusal(reply.body);
    let kind = match said {
        _ if reply.status == 429 => Kind::RateLimit,
        _ if matches!(reply.status, 418 | 451) => Kind::Blocked,
        Ok(Some(kind)) if kind != Kind::Unknown || success => kind,
        Ok(None) | Err(ExchangeError::Malformed { .. }) if success && !is_markup(reply.body) => {
            return None;
        }
        _ if reply.status == 403 => Kind::Blocked,
        _ if success || reply.status >= 500 || reply.status == 408 => Kind::Unavailable,
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
    for error in json::document(body)?.object("body")?.list("error")? {
        let text = error.string("error")?;
        if !text.starts_with('W') {
            return Ok(Some(by_text(&text)));
        }
    }
    Ok(None)
}

/// By how the text begins: Kraken adds details after a colon.
const TEXTS: [(Kind, &[&str]); 10] = [
    (Kind::Auth, &["EAPI:Invalid key", "EAPI:Invalid signature", "ESession:Invalid session"]),
    (Kind::Clock, &["EAPI:Invalid nonce"]),
    (Kind::Permission, &["EGeneral:Permission denied", "EAccount:Invalid permissions"]),
    (
        Kind::RateLimit,
        &[
            "EAPI:Rate limit exceeded",
            "EOrder:Rate limit exceeded",
            "EGeneral:Too many requests",
            "EService:Throttled",
            "EService: Throttled",
        ],
    ),
    (Kind::Blocked, &["EGeneral:Temporary lockout"]),
    (
        Kind::Unavailable,
        &[
            "EService:Unavailable",
            "EService:Busy",
            "EGeneral:Internal error",
            "EDatabase:Internal error",
        ],
    ),
    (Kind::Maintenance, &["EService:Market in cancel_only", "EService:Market in post_only"]),
    (
        Kind::InvalidSymbol,
        &["EQuery:Unknown asset pair", "EQuery:Invalid asset pair", "EQuery:Unknown asset"],
    ),
    (Kind::Account, &["ETrade:User Locked"]),
    (Kind::BadRequest, &["EGeneral:Invalid arguments"]),
];

fn by_text(error: &str) -> Kind {
    TEXTS
        .iter()
        .find(|(_, starts)| starts.iter().any(|start| error.starts_with(start)))
        .map_or(Kind::Unknown, |(kind, _)| *kind)
}
