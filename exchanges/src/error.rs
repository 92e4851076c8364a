//! Kinds of failure, who must act, when to ask again.

use std::time::Duration;

use protocol::category::Category;

use crate::permissions::KeyRefused;

/// What an exchange's refusal means, whatever words it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The key, its signature or its address is not accepted.
    Auth,
    /// The key is valid but may not read this.
    Permission,
    /// Too many requests.
    RateLimit,
    /// Our address is banned, fenced off or in the wrong country.
    Blocked,
    /// Timestamp or nonce out of range.
    Clock,
    /// Closed on purpose.
    Maintenance,
    /// Down, overloaded, or behind a broken road.
    Unavailable,
    /// No such pair.
    InvalidSymbol,
    /// The request was wrong: a bug of ours.
    BadRequest,
    /// The account or wallet does not exist, is inactive or locked.
    Account,
    /// The exchange no longer exists.
    Gone,
    /// None of the above.
    Unknown,
}

impl Kind {
    /// The word in conformance results and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::RateLimit => "rate_limit",
            Self::Blocked => "blocked",
            Self::Clock => "clock",
            Self::Maintenance => "maintenance",
            Self::Unavailable => "unavailable",
            Self::InvalidSymbol => "invalid_symbol",
            Self::BadRequest => "bad_request",
            Self::Account => "account",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// An exchange's refusal, without its text: a message may quote the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it means.
    pub kind: Kind,
    /// HTTP status.
    pub status: u16,
    /// The exchange's own number, if it sent one.
    pub code: Option<i64>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

/// Whether and when asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail the same way.
    Never,
    /// With growing pauses, up to the circuit breaker.
    Backoff,
    /// Not before this long has passed; the exchange said so.
    After(Duration),
    /// After the exchange's time was read again.
    AfterClock,
}

/// Whom a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// This query alone.
    Query,
    /// This account: stop polling it until someone acts.
    Account,
    /// Everyone behind this egress address: it counts against the exchange's
    /// circuit.
    Venue,
}

/// A failed exchange call. Carries no reply body and no URL: either may hold
/// a key, a signature or a balance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The exchange refused.
    #[error("exchange refused: {} (HTTP {}, code {:?})", .0.kind.name(), .0.status, .0.code)]
    Answered(Answer),
    /// The reply is not what the exchange documents, or was cut short.
    #[error("field `{field}` of the exchange reply is missing or malformed")]
    Malformed {
        /// The first field that could not be read; `body` for the whole.
        field: &'static str,
    },
    /// The reply is longer than anything the exchange should send.
    #[error("`{field}` of the exchange reply is longer than allowed")]
    TooLong {
        /// What was too long; `body` for the whole.
        field: &'static str,
    },
    /// A trade in a pair that the context does not hold: read the instruments
    /// again.
    #[error("exchange reply names an unknown instrument")]
    UnknownInstrument,
    /// The credentials are missing or cannot be a key of this exchange.
    #[error("credentials cannot be a key of this exchange")]
    InvalidCredentials,
    /// The credentials are a key of a sort that the exchange has retired.
    #[error("the exchange has retired this sort of key; create a new one ({0})")]
    RetiredCredentials(
        /// Which sort to create.
        &'static str,
    ),
    /// The key may do more than read, or did not prove that it may not.
    #[error(transparent)]
    KeyRefused(#[from] KeyRefused),
    /// This connector does not know the query.
    #[error("this exchange does not answer this query")]
    Unsupported,
    /// A bound of the query is out of the exchange's range.
    #[error("`{field}` of the query is out of range")]
    InvalidQuery {
        /// Which one.
        field: &'static str,
    },
}

impl ExchangeError {
    /// The shared category. Exhaustive on purpose: a new variant does not
    /// compile until placed.
    pub const fn category(&self) -> Category {
        match self {
            Self::Answered(answer) => match answer.kind {
                Kind::Auth | Kind::Permission | Kind::Account | Kind::Gone => Category::Refused,
                Kind::RateLimit => Category::Throttled,
                Kind::Blocked
                | Kind::Clock
                | Kind::Maintenance
                | Kind::Unavailable
                | Kind::Unknown => Category::Unavailable,
                Kind::InvalidSymbol => Category::Invalid,
                Kind::BadRequest => Category::Internal,
            },
            Self::Malformed { .. } | Self::TooLong { .. } | Self::UnknownInstrument => {
                Category::Unavailable
            }
            Self::InvalidCredentials | Self::RetiredCredentials(_) | Self::KeyRefused(_) => {
                Category::Refused
            }
            Self::Unsupported => Category::Invalid,
            Self::InvalidQuery { .. } => Category::Internal,
        }
    }

    /// Whether and when to ask again.
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Answered(answer) => answer.retry(),
            // Bodies get cut on the road; a reply that is wrong for good ends
            // in the circuit breaker.
            Self::Malformed { .. } | Self::TooLong { .. } | Self::UnknownInstrument => {
                Retry::Backoff
            }
            Self::InvalidCredentials
            | Self::RetiredCredentials(_)
            | Self::KeyRefused(_)
            | Self::Unsupported
            | Self::InvalidQuery { .. } => Retry::Never,
        }
    }

    /// Whom it concerns.
    pub const fn reach(&self) -> Reach {
        match self {
            Self::Answered(answer) => match answer.kind {
                Kind::Auth | Kind::Permission | Kind::Account => Reach::Account,
                Kind::RateLimit
                | Kind::Blocked
                | Kind::Maintenance
                | Kind::Unavailable
                | Kind::Gone => Reach::Venue,
                Kind::Clock | Kind::InvalidSymbol | Kind::BadRequest | Kind::Unknown => {
                    Reach::Query
                }
            },
            Self::InvalidCredentials | Self::RetiredCredentials(_) | Self::KeyRefused(_) => {
                Reach::Account
            }
            Self::Malformed { .. }
            | Self::TooLong { .. }
            | Self::UnknownInstrument
            | Self::Unsupported
            | Self::InvalidQuery { .. } => Reach::Query,
        }
    }
}

impl Answer {
    /// Whether and when to ask again. A block by location (451) stays.
    pub const fn retry(&self) -> Retry {
        match (self.kind, self.retry_after) {
            (Kind::Blocked, _) if self.status == 451 => Retry::Never,
            (
                Kind::RateLimit | Kind::Blocked | Kind::Maintenance | Kind::Unavailable,
                Some(wait),
            ) => Retry::After(wait),
            (Kind::RateLimit | Kind::Blocked | Kind::Maintenance | Kind::Unavailable, None) => {
                Retry::Backoff
            }
            (Kind::Clock, _) => Retry::AfterClock,
            (
                Kind::Auth
                | Kind::Permission
                | Kind::InvalidSymbol
                | Kind::BadRequest
                | Kind::Account
                | Kind::Gone
                | Kind::Unknown,
                _,
            ) => Retry::Never,
        }
    }
}
