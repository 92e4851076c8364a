//! What stands between us and an exchange, and is the same for many: firewalls,
//! balancers, statuses. Each exchange's own words come first where it has any.

use std::time::Duration;

use crate::Reply;
use crate::error::{Answer, Kind};

/// What the status says alone, whatever stands in the body.
pub(crate) const fn decided(status: u16) -> Option<Kind> {
    match status {
        418 | 451 => Some(Kind::Blocked),
        429 => Some(Kind::RateLimit),
        _ => None,
    }
}

/// A firewall's challenge instead of an answer.
pub(crate) fn is_challenge(reply: &Reply<'_>) -> bool {
    ["x-amzn-waf-action", "cf-mitigated"].into_iter().any(|name| reply.header(name).is_some())
}

/// What a status says where the body is of no help.
pub(crate) const fn by_status(status: u16) -> Kind {
    match status {
        401 => Kind::Auth,
        403 => Kind::Blocked,
        400 => Kind::BadRequest,
        408 | 500..=599 => Kind::Unavailable,
        _ => Kind::Unknown,
    }
}

pub(crate) fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// A page where JSON was due: something in between answered.
pub(crate) fn is_markup(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The verdict with what the reply's head says.
pub(crate) fn answer(reply: &Reply<'_>, kind: Kind, code: Option<i64>) -> Answer {
    // Whole seconds; none of the exchanges sends a date.
    let seconds = reply.header("retry-after").and_then(|value| value.trim().parse::<u32>().ok());
    Answer {
        kind,
        status: reply.status,
        code,
        retry_after: seconds.map(|seconds| Duration::from_secs(u64::from(seconds))),
    }
}
