//! Refusals, and the only place that knows a status code.
//!
//! The body is `{"code","message","request_id"}` and, when sealed, `"detail"`.
//! Code and message come from the refusal itself: nothing a client or another
//! library wrote can get into them. An internal error always reads the same;
//! its cause is in the log under the request id.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use protocol::category::Category;
use protocol::session::{ErrorBody, ErrorDetail};

use crate::engine_api::ReportRefusal;
use crate::nsm::NsmError;
use crate::sessions::custody::{ClaimUnread, OpenRefusal};

/// Why a request got no other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    NoSuchRoute,
    /// Known path, other method; the methods it has.
    Method(&'static str),
    /// The request has something it must not have, by name.
    Form(&'static str),
    PathTooLong,
    HeadersTooLarge,
    MediaType,
    BodyTooLarge,
    BodyTooSlow,
    TooSlow,
    Busy,
    AddressLimit,
    SessionLimit,
    /// Whatever was wrong: all alike.
    Unauthorized,
    Document(NsmError),
    Open(OpenRefusal),
    Report(ReportRefusal),
    Claim(ClaimUnread),
    Internal,
}

impl Refusal {
    /// Who must act.
    pub const fn category(&self) -> Category {
        match self {
            Self::NoSuchRoute => Category::NotFound,
            Self::Method(_)
            | Self::Form(_)
            | Self::PathTooLong
            | Self::HeadersTooLarge
            | Self::MediaType
            | Self::BodyTooLarge
            | Self::BodyTooSlow => Category::Invalid,
            Self::Busy
            | Self::AddressLimit
            | Self::SessionLimit
            | Self::Document(NsmError::Busy) => Category::Throttled,
            Self::TooSlow | Self::Document(_) => Category::Unavailable,
            Self::Unauthorized => Category::Unauthorized,
            Self::Open(why) => why.category(),
            Self::Report(why) => why.category(),
            Self::Claim(why) => why.category(),
            Self::Internal => Category::Internal,
        }
    }

    /// The status: the category's, or a more exact one of the same class.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::PathTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoSuchRoute
            | Self::Form(_)
            | Self::TooSlow
            | Self::Busy
            | Self::AddressLimit
            | Self::SessionLimit
            | Self::Unauthorized
            | Self::Document(_)
            | Self::Open(_)
            | Self::Report(_)
            | Self::Claim(_)
            | Self::Internal => status_of(self.category()),
        }
    }

    /// One sentence for the customer.
    pub fn message(&self) -> String {
        if self.category() == Category::Internal {
            return "internal error".into();
        }
        match self {
            Self::NoSuchRoute => "there is no such route".into(),
            Self::Method(_) => "this route has no such method".into(),
            Self::Form(what) => format!("the request is malformed: {what}"),
            Self::PathTooLong => "the path is too long".into(),
            Self::HeadersTooLarge => "the header is too large".into(),
            Self::MediaType => "the body must be application/json, not encoded".into(),
            Self::BodyTooLarge => "the body is too large".into(),
            Self::BodyTooSlow => "the body did not arrive in time".into(),
            Self::TooSlow => "the request took too long".into(),
            Self::Busy => "too many requests at once; try again".into(),
            Self::AddressLimit => "too many requests from this address; wait".into(),
            Self::SessionLimit => "too many requests of this session; wait".into(),
            Self::Unauthorized => "the request is not that of a live session's owner".into(),
            Self::Document(NsmError::Busy) => "too many attestation documents; wait".into(),
            Self::Document(_) => "the security module gave no document".into(),
            Self::Open(why) => why.to_string(),
            Self::Report(why) => why.to_string(),
            Self::Claim(why) => why.to_string(),
            Self::Internal => "internal error".into(),
        }
    }

    /// What a sealed answer adds.
    fn detail(&self) -> Option<ErrorDetail> {
        match self {
            Self::Open(why) => why.detail(),
            Self::NoSuchRoute
            | Self::Method(_)
            | Self::Form(_)
            | Self::PathTooLong
            | Self::HeadersTooLarge
            | Self::MediaType
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::TooSlow
            | Self::Busy
            | Self::AddressLimit
            | Self::SessionLimit
            | Self::Unauthorized
            | Self::Document(_)
            | Self::Report(_)
            | Self::Claim(_)
            | Self::Internal => None,
        }
    }

    /// The body of a plain answer.
    pub fn body(&self, request_id: &RequestId) -> Vec<u8> {
        self.error_body(request_id, None).to_json()
    }

    /// The plaintext of a sealed answer.
    pub fn sealed_body(&self, request_id: &RequestId) -> Vec<u8> {
        self.error_body(request_id, self.detail()).to_json()
    }

    fn error_body(&self, request_id: &RequestId, detail: Option<ErrorDetail>) -> ErrorBody {
        ErrorBody {
            code: self.category(),
            message: self.message(),
            request_id: request_id.0.clone(),
            detail,
        }
    }

    /// The whole plain answer.
    pub fn answer(&self, request_id: &RequestId) -> Response {
        let mut response = super::json(self.status(), self.body(request_id));
        self.add_headers(&mut response);
        response
    }

    /// What goes with the status, whoever can read the body.
    pub fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Self::Method(allowed) = self {
            headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        match self.category() {
            Category::Throttled => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Category::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
            }
            Category::Invalid
            | Category::Unauthorized
            | Category::Refused
            | Category::WrongKey
            | Category::Replayed
            | Category::NotFound
            | Category::Integrity
            | Category::Internal => {}
        }
        // After these the rest of the connection's bytes cannot be trusted to
        // be where a next request would begin.
        if matches!(self, Self::BodyTooLarge | Self::BodyTooSlow | Self::HeadersTooLarge) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Names a request to the customer and in the log; says nothing about either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

const fn status_of(category: Category) -> StatusCode {
    match category {
        Category::Invalid => StatusCode::BAD_REQUEST,
        Category::Unauthorized => StatusCode::UNAUTHORIZED,
        Category::Refused => StatusCode::FORBIDDEN,
        Category::WrongKey => StatusCode::MISDIRECTED_REQUEST,
        Category::Replayed => StatusCode::CONFLICT,
        Category::NotFound => StatusCode::NOT_FOUND,
        Category::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Category::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Category::Integrity => StatusCode::BAD_GATEWAY,
        Category::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine_api::AccountRefusal;

    #[test]
    fn an_internal_error_says_nothing() {
        let id = RequestId("0011".into());
        for refusal in [
            Refusal::Internal,
            Refusal::Open(OpenRefusal::Internal),
            Refusal::Open(OpenRefusal::Account(AccountRefusal::Internal)),
            Refusal::Report(ReportRefusal::Internal),
        ] {
            assert_eq!(refusal.message(), "internal error");
            assert_eq!(refusal.status(), StatusCode::INTERNAL_SERVER_ERROR);
            let want = br#"{"code":"internal","message":"internal error","request_id":"0011"}"#;
            assert_eq!(refusal.sealed_body(&id), want);
        }
    }

    #[test]
    fn a_key_that_may_trade_is_forbidden_and_named_in_the_sealed_answer_alone() {
        let refusal = Refusal::Open(OpenRefusal::Account(AccountRefusal::TooPowerful {
            label: "main".into(),
            remove: vec!["enableWithdrawals".into()],
        }));
        assert_eq!(refusal.status(), StatusCode::FORBIDDEN);
        let id = RequestId("0011".into());
        let sealed = ErrorBody::from_json(&refusal.sealed_body(&id)).unwrap();
        assert_eq!(sealed.detail.unwrap().remove, ["enableWithdrawals"]);
        assert_eq!(ErrorBody::from_json(&refusal.body(&id)).unwrap().detail, None);
    }

    #[test]
    fn the_longest_list_of_grants_stays_a_message_that_the_customer_reads() {
        let names = exchanges::limits::UNKNOWN_GRANTS_MAX + 16;
        let remove = vec!["g".repeat(exchanges::limits::GRANT_LEN_MAX); names];
        let refusal = Refusal::Open(OpenRefusal::Account(AccountRefusal::TooPowerful {
            label: "l".repeat(protocol::limits::LABEL_LEN_MAX),
            remove: remove.clone(),
        }));
        let id = RequestId("0011".into());
        let sealed = ErrorBody::from_json(&refusal.sealed_body(&id)).unwrap();
        assert_eq!(sealed.detail.unwrap().remove, remove);
        ErrorBody::from_json(&refusal.body(&id)).unwrap();
    }

    #[test]
    fn every_category_has_a_status_of_an_error() {
        for category in Category::ALL {
            assert!(status_of(category).as_u16() >= 400, "{category}");
        }
        assert_eq!(status_of(Category::WrongKey).as_u16(), 421);
    }

    #[test]
    fn waiting_is_asked_for_where_it_helps() {
        let id = RequestId("0011".into());
        let header = |refusal: Refusal, name| {
            refusal.answer(&id).headers().get(name).map(|v| v.to_str().unwrap().to_owned())
        };
        assert!(header(Refusal::AddressLimit, header::RETRY_AFTER).is_some());
        assert!(header(Refusal::TooSlow, header::RETRY_AFTER).is_some());
        assert_eq!(header(Refusal::NoSuchRoute, header::RETRY_AFTER), None);
        assert_eq!(header(Refusal::Method("GET"), header::ALLOW).as_deref(), Some("GET"));
        assert_eq!(header(Refusal::BodyTooLarge, header::CONNECTION).as_deref(), Some("close"));
    }
}
