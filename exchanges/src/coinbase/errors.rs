//! What a Coinbase reply that is not a success means.
//!
//! Three shapes: `{"error", "error_details", "message"}`, `{"code", "message"}`
//! with gRPC's numbers, and `{"errors": [{"id", "message"}]}` of the older
//! interface. Besides, plain text (`Unauthorized`) and pages of a firewall.

use crate::Reply;
use crate::edge::{answer, by_status, decided, is_challenge, is_markup, is_success};
use crate::error::{Answer, Kind};
use crate::json::{self, Object};

/// Classifies `reply`. `None` if it reads like a success: then it must still
/// be read.
pub fn classify(reply: &Reply<'_>) -> Option<Answer> {
    let success = is_success(reply.status);
    let refusal = Refusal::of(reply.body).filter(|refusal| !success || refusal.is_plain());
    let code = refusal.as_ref().and_then(|refusal| refusal.code);
    let kind = match (decided(reply.status), &refusal) {
        (Some(kind), _) => kind,
        _ if is_challenge(reply) => Kind::Blocked,
        (None, Some(refusal)) => refusal.kind(reply.status),
        (None, None) if success && is_markup(reply.body) => Kind::Unavailable,
        (None, None) if success => return None,
        (None, None) => by_status(reply.status),
    };
    Some(answer(reply, kind, code))
}

/// A refusal in the exchange's own words, in lower case; all of them may be
/// missing.
struct Refusal {
    word: String,
    code: Option<i64>,
    text: String,
    /// Of the interface that knows wallets and no products.
    older: bool,
}

impl Refusal {
    fn of(body: &[u8]) -> Option<Self> {
        let object = json::document(body).ok()?.object("body").ok()?;
        let lower = |from: &Object<'_>, name: &'static str| {
            let text = from.get(name).and_then(|value| value.string(name).ok());
            text.map(|text| text.to_ascii_lowercase()).unwrap_or_default()
        };
        if let Some(first) = object.get("errors") {
            let rows = first.list("errors").ok()?;
            let row = rows.first()?.object("errors").ok()?;
            let (word, text) = (lower(&row, "id"), lower(&row, "message"));
            return Some(Self { word, code: None, text, older: true });
        }
        let text = [lower(&object, "message"), lower(&object, "error_details")].join(" ");
        let code = object.get("code").and_then(|code| code.integer("code").ok());
        let code = code.filter(|code| *code != 0);
        let word = lower(&object, "error");
        Some(Self { word, code, text, older: false })
    }

    /// Whether it refuses whatever the status says.
    fn is_plain(&self) -> bool {
        self.older || !self.word.is_empty() || self.code.is_some()
    }

    fn kind(&self, status: u16) -> Kind {
        let said = self.by_word().or_else(|| self.by_code());
        let says = |word: &str| self.text.contains(word);
        match said {
            _ if status >= 500 && says("maintenance") => Kind::Maintenance,
            Some(Kind::Auth) if says("timestamp") => Kind::Clock,
            // A pair is missing, or the customer's wallet is.
            Some(Kind::InvalidSymbol)
                if !says("product")
                    && (self.older || says("account") || says("portfolio") || says("wallet")) =>
            {
                Kind::Account
            }
            Some(kind) => kind,
            None if is_success(status) => Kind::Unknown,
            None if status == 401 && says("timestamp") => Kind::Clock,
            // The exchange itself speaks, and not what stands before it.
            None if status == 403 => Kind::Permission,
            None if status == 404 && says("product") => Kind::InvalidSymbol,
            None => by_status(status),
        }
    }

    fn by_word(&self) -> Option<Kind> {
        Some(match self.word.as_str() {
            "unauthenticated"
            | "unauthorized"
            | "authentication_error"
            | "invalid_token"
            | "expired_token"
            | "revoked_token"
            | "invalid_signature"
            | "invalid_api_key" => Kind::Auth,
            "permission_denied" | "forbidden" | "invalid_scope" | "unauthorized_scope"
            | "insufficient_scope" => Kind::Permission,
            "resource_exhausted" | "rate_limit_exceeded" | "too_many_requests" => Kind::RateLimit,
            "not_found" => Kind::InvalidSymbol,
            "invalid_argument"
            | "invalid_request"
            | "validation_error"
            | "param_required"
            | "failed_precondition"
            | "out_of_range" => Kind::BadRequest,
            "personal_details_required"
            | "identity_verification_required"
            | "unverified_email"
            | "two_factor_required" => Kind::Account,
            "internal"
            | "internal_server_error"
            | "unavailable"
            | "deadline_exceeded"
            | "aborted" => Kind::Unavailable,
            _ => return None,
        })
    }

    /// gRPC's numbers.
    const fn by_code(&self) -> Option<Kind> {
        match self.code {
            Some(16) => Some(Kind::Auth),
            Some(7) => Some(Kind::Permission),
            Some(8) => Some(Kind::RateLimit),
            Some(5) => Some(Kind::InvalidSymbol),
            Some(3 | 9 | 11) => Some(Kind::BadRequest),
            Some(4 | 10 | 13 | 14) => Some(Kind::Unavailable),
            Some(_) | None => None,
        }
    }
}
