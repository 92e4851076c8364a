//! Binance's errors: an HTTP status, a negative code, a text.

use axum::body::Body;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Response};
use serde::Serialize;

use crate::scenario::Stamp;
use crate::venue::{Caller, plain};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: i32,
    msg: String,
    retry_after_secs: Option<u64>,
}

#[derive(Serialize)]
struct Wire<'a> {
    code: i32,
    msg: &'a str,
}

impl Refusal {
    fn new(status: u16, code: i32, msg: impl Into<String>) -> Self {
        Self { status, code, msg: msg.into(), retry_after_secs: None }
    }

    pub(super) fn internal() -> Self {
        Self::new(500, -1000, "An unknown error occurred while processing the request.")
    }

    pub(super) fn unavailable() -> Self {
        Self::new(503, -1001, "Internal error; unable to process your request. Please try again.")
    }

    pub(super) fn key_format() -> Self {
        Self::new(401, -2014, "API-key format invalid.")
    }

    pub(super) fn unknown_key() -> Self {
        Self::new(401, -2015, "Invalid API-key, IP, or permissions for action.")
    }

    pub(super) fn signature() -> Self {
        Self::new(400, -1022, "Signature for this request is not valid.")
    }

    pub(super) fn timestamp_ahead() -> Self {
        let msg = "Timestamp for this request was 1000ms ahead of the server's time.";
        Self::new(400, -1021, msg)
    }

    pub(super) fn timestamp_behind() -> Self {
        let msg = "Timestamp for this request is outside of the recvWindow.";
        Self::new(400, -1021, msg)
    }

    pub(super) fn recv_window() -> Self {
        Self::new(400, -1131, "recvWindow must be less than 60000.")
    }

    pub(super) fn mandatory(name: &str) -> Self {
        let msg =
            format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed.");
        Self::new(400, -1102, msg)
    }

    pub(super) fn illegal(name: &str, legal: &str) -> Self {
        let msg =
            format!("Illegal characters found in parameter '{name}'; legal range is '{legal}'.");
        Self::new(400, -1100, msg)
    }

    pub(super) fn duplicate() -> Self {
        Self::new(400, -1101, "Duplicate values for a parameter detected.")
    }

    pub(super) fn too_many(expected: usize, sent: usize) -> Self {
        let msg = format!("Too many parameters; expected '{expected}' and received '{sent}'.");
        Self::new(400, -1101, msg)
    }

    pub(super) fn unread(read: usize, sent: usize) -> Self {
        let msg = format!(
            "Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
        );
        Self::new(400, -1104, msg)
    }

    pub(super) fn empty(name: &str) -> Self {
        Self::new(400, -1105, format!("Parameter '{name}' was empty."))
    }

    pub(super) fn interval() -> Self {
        Self::new(400, -1120, "Invalid interval.")
    }

    pub(super) fn symbol() -> Self {
        Self::new(400, -1121, "Invalid symbol.")
    }

    pub(super) fn window(hours: u64) -> Self {
        Self::new(400, -1127, format!("More than {hours} hours between startTime and endTime."))
    }

    pub(super) fn combination() -> Self {
        Self::new(400, -1128, "Combination of optional parameters invalid.")
    }

    pub(super) fn invalid(name: &str) -> Self {
        Self::new(400, -1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    pub(super) fn no_margin_account() -> Self {
        Self::new(400, -3003, "Margin account does not exist.")
    }

    pub(super) fn throttled(limit: u32, retry_after_secs: u64) -> Self {
        let msg = format!(
            "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
            Please use WebSocket Streams for live updates to avoid polling the API."
        );
        Self { retry_after_secs: Some(retry_after_secs), ..Self::new(429, -1003, msg) }
    }

    pub(super) fn banned(secs: u64, now: Stamp) -> Self {
        let until = now.millis().saturating_add(secs.saturating_mul(1000));
        let msg = format!(
            "Way too much request weight used; IP banned until {until}. \
            Please use WebSocket Streams for live updates to avoid bans."
        );
        Self { retry_after_secs: Some(secs), ..Self::new(418, -1003, msg) }
    }

    fn body(&self) -> String {
        serde_json::to_string(&Wire { code: self.code, msg: &self.msg }).unwrap_or_default()
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = plain(self.status, super::JSON, self.body());
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

/// The body under a status that a fault rule chose.
pub(crate) fn body(status: u16, retry_after_secs: Option<u64>, caller: Caller) -> String {
    let refusal = match status {
        418 => Refusal::banned(retry_after_secs.unwrap_or(120), caller.server_time),
        429 => Refusal::throttled(6_000, 0),
        401 | 403 => Refusal::unknown_key(),
        451 => Refusal::new(
            451,
            0,
            "Service unavailable from a restricted location according to 'b. Eligibility' in \
            https://www.binance.com/en/terms.",
        ),
        _ => Refusal::unavailable(),
    };
    refusal.body()
}
