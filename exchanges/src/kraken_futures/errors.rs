//! What refusals mean.

use crate::error::{Answer, Kind};
use crate::json::{self, Object};
use crate::{Reply, edge};

/// What a Kraken Futures reply that is not a success means. `/derivatives`
/// says `"result":"error"` with the status 200; `/api/history` and
/// `/api/auth` send a list of errors with a status of their own.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = edge::is_success(reply.status);
    let kind = match (edge::decided(reply.status), refusal(reply.body)) {
        (Some(kind), _) => kind,
        _ if edge::is_challenge(reply) => Kind::Blocked,
        (None, Some(kind)) if kind != Kind::Unknown || success => kind,
        (None, None) if success && !edge::is_markup(reply.body) => return None,
        // The exchange itself refused, and not a firewall.
        (None, Some(_)) if reply.status == 403 => Kind::Permission,
        _ if success => Kind::Unavailable,
        _ => edge::by_status(reply.status),
    };
    Some(edge::answer(reply, kind, None))
}

/// The meaning of the error in the body, if there is one.
fn refusal(body: &[u8]) -> Option<Kind> {
    let body = json::document(body).and_then(|body| body.object("body")).ok()?;
    let word = |name| body.get(name).and_then(|value| value.string(name).ok());
    if let Some(error) = word("error") {
        return Some(by_text(&error));
    }
    listed(&body).or_else(|| (word("result")? == "error").then_some(Kind::Unknown))
}

/// The first of `errors`: a word, or an object with a word in it.
fn listed(body: &Object<'_>) -> Option<Kind> {
    let errors = body.get("errors")?.list("errors").ok()?;
    let first = errors.first()?;
    if let Ok(text) = first.string("errors") {
        return Some(by_text(&text));
    }
    let Ok(error) = first.object("errors") else { return Some(Kind::Unknown) };
    let words = ["message", "code", "error"];
    let mut kinds = words.iter().filter_map(|name| {
        error.get(name).and_then(|value| value.string("errors").ok()).map(|text| by_text(&text))
    });
    Some(kinds.find(|kind| *kind != Kind::Unknown).unwrap_or(Kind::Unknown))
}

/// By how the text begins: details may follow.
const TEXTS: [(Kind, &[&str]); 8] = [
    (Kind::Auth, &["authenticationError"]),
    (Kind::Permission, &["insufficientPrivileges"]),
    (Kind::Clock, &["nonceBelowThreshold", "nonceDuplicate"]),
    (Kind::RateLimit, &["apiLimitExceeded"]),
    (Kind::Account, &["accountInactive"]),
    (Kind::Unavailable, &["Server Error", "unavailable", "Unavailable"]),
    (Kind::InvalidSymbol, &["contractNotFound"]),
    (Kind::BadRequest, &["invalidArgument", "requiredArgumentMissing"]),
];

fn by_text(error: &str) -> Kind {
    TEXTS
        .iter()
        .find(|(_, starts)| starts.iter().any(|start| error.starts_with(start)))
        .map_or(Kind::Unknown, |(kind, _)| *kind)
}
