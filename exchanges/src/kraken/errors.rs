//! What refusals mean.

use crate::error::{Answer, ExchangeError, Kind};
use crate::{Reply, edge, json};

/// What a Kraken reply that is not a success means. Errors come with the
/// status 200, as texts in a list; those that begin with `W` are warnings.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = edge::is_success(reply.status);
    let kind = match (edge::decided(reply.status), refusal(reply.body)) {
        (Some(kind), _) => kind,
        _ if edge::is_challenge(reply) => Kind::Blocked,
        (None, Ok(Some(kind))) if kind != Kind::Unknown || success => kind,
        (None, Ok(None) | Err(_)) if success && !edge::is_markup(reply.body) => return None,
        _ if success => Kind::Unavailable,
        _ => edge::by_status(reply.status),
    };
    Some(edge::answer(reply, kind, None))
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
