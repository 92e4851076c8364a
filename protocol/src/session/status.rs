//! What the enclave answers.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::SessionId;
use crate::category::Category;
use crate::json::{self, Version1};
use crate::limits::{
    ACCOUNTS_MAX, ERROR_BODY_LEN_MAX, LABEL_LEN_MAX, LIST_LEN_MAX, SLUG_LEN_MAX, STATUS_LEN_MAX,
    TEXT_LEN_MAX,
};
use crate::portfolio::PortfolioId;
use crate::time::UnixMillis;

/// A message is not of its closed schema, or out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message is malformed")]
pub struct MessageError;

/// What identifies an account at its exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityKind {
    /// The exchange's user id.
    Uid,
    /// The exchange's portfolio UUID.
    PortfolioUuid,
    /// The exchange tells none: the value names the API key, never the key itself.
    ApiKey,
}

/// An account's identity, as its exchange says it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// What the value is.
    pub kind: IdentityKind,
    /// The value: at most [`TEXT_LEN_MAX`] printable ASCII characters.
    pub value: String,
}

/// Something an API key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Read balances and history.
    Read,
    /// Trade: spot, margin, futures or options.
    Trade,
    /// Move funds between the customer's own accounts at the exchange.
    Transfer,
    /// Withdraw funds.
    Withdraw,
    /// What the connector cannot tell, which is refused like the worst unless the deployment
    /// admits keys whose permissions cannot be read.
    Unknown,
}

/// The plaintext of `201 Created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedSession {
    v: Version1,
    /// What later calls name.
    pub session_id: SessionId,
    /// When the session ends by itself.
    pub expires_at: UnixMillis,
    /// The portfolio it belongs to.
    pub portfolio_id: PortfolioId,
    /// The accounts, in the order they were asked for.
    pub accounts: Vec<OpenedAccount>,
}

/// An account whose key was confirmed at its exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedAccount {
    /// The customer's name for it.
    pub label: String,
    /// The exchange.
    pub venue: String,
    /// The market.
    pub market: String,
    /// Who it is at the exchange.
    pub identity: Identity,
    /// What the key may do.
    pub permissions: Vec<Permission>,
}

/// Whether a session is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Its keys are live and it is polled.
    Active,
}

/// The plaintext of `GET /v1/session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionStatus {
    v: Version1,
    /// Whether it is served.
    pub state: SessionState,
    /// The enclave's clock.
    pub now: UnixMillis,
    /// When the session ends by itself.
    pub expires_at: UnixMillis,
    /// The portfolio it belongs to.
    pub portfolio_id: PortfolioId,
    /// The accounts, in the order they were asked for.
    pub accounts: Vec<AccountStatus>,
    /// Complete ticks out of expected ones, a decimal, null before the first.
    #[serde(deserialize_with = "Option::deserialize")]
    pub coverage: Option<String>,
    /// Whether a simulated security module vouches for it.
    pub simulated: bool,
}

/// How polling an account goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountStatus {
    /// The customer's name for it.
    pub label: String,
    /// The exchange.
    pub venue: String,
    /// The market.
    pub market: String,
    /// Who it is at the exchange.
    pub identity: Identity,
    /// When a poll was last complete.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last_complete_poll: Option<UnixMillis>,
    /// When the next one is due.
    #[serde(deserialize_with = "Option::deserialize")]
    pub next_poll: Option<UnixMillis>,
    /// What the last incomplete poll failed with, if none was complete since.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last_error: Option<Category>,
    /// Complete polls of this session.
    pub polls_complete: u64,
    /// Incomplete polls of this session.
    pub polls_incomplete: u64,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The customer asked for it.
    Revoked,
    /// Its time to live was over.
    Expired,
    /// The exchange no longer accepts the key, or lets it do more than read.
    KeyRefused,
    /// The enclave stopped.
    Shutdown,
}

/// The plaintext of `DELETE /v1/session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    v: Version1,
    /// How.
    pub ended: End,
    /// When.
    pub at: UnixMillis,
}

/// Every error, plain or sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorBody {
    /// The category.
    pub code: Category,
    /// One sentence for a person; no input is quoted.
    pub message: String,
    /// What to tell the operator.
    pub request_id: String,
    /// More, in a sealed error only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ErrorDetail>,
}

/// Which account, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorDetail {
    /// The customer's name for the account.
    pub account: String,
    /// Permissions of its key to remove, in the exchange's own words; may be empty.
    pub remove: Vec<String>,
}

impl OpenedSession {
    /// Makes the message.
    pub const fn new(
        session_id: SessionId,
        expires_at: UnixMillis,
        portfolio_id: PortfolioId,
        accounts: Vec<OpenedAccount>,
    ) -> Self {
        Self { v: Version1, session_id, expires_at, portfolio_id, accounts }
    }
}

impl SessionStatus {
    /// Makes the message of an active session.
    pub const fn active(
        now: UnixMillis,
        expires_at: UnixMillis,
        portfolio_id: PortfolioId,
        accounts: Vec<AccountStatus>,
        coverage: Option<String>,
        simulated: bool,
    ) -> Self {
        Self {
            v: Version1,
            state: SessionState::Active,
            now,
            expires_at,
            portfolio_id,
            accounts,
            coverage,
            simulated,
        }
    }
}

impl Ended {
    /// Makes the message.
    pub const fn new(ended: End, at: UnixMillis) -> Self {
        Self { v: Version1, ended, at }
    }
}

/// A message that checks its bounds after its types.
trait Message: Serialize + DeserializeOwned {
    const LEN_MAX: usize;

    fn in_bounds(&self) -> bool;

    fn read(bytes: &[u8]) -> Result<Self, MessageError> {
        let read: Self = json::read_owned(bytes, Self::LEN_MAX).map_err(|_| MessageError)?;
        if read.in_bounds() { Ok(read) } else { Err(MessageError) }
    }

    fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, integers and lists only")
    }
}

macro_rules! message_api {
    ($($name:ident),*) => {$(
        impl $name {
            /// Reads the message; unknown, missing and duplicate fields are refused.
            ///
            /// # Errors
            /// If it is not of its closed schema, or out of its bounds.
            pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
                Message::read(bytes)
            }

            /// Writes the message.
            pub fn to_json(&self) -> Vec<u8> {
                Message::write(self)
            }
        }
    )*};
}

message_api!(OpenedSession, SessionStatus, Ended, ErrorBody);

impl Message for OpenedSession {
    const LEN_MAX: usize = STATUS_LEN_MAX;

    fn in_bounds(&self) -> bool {
        self.accounts.len() <= ACCOUNTS_MAX
            && self.accounts.iter().all(|account| {
                account_in_bounds(
                    &account.label,
                    &account.venue,
                    &account.market,
                    &account.identity,
                ) && account.permissions.len() <= LIST_LEN_MAX
            })
    }
}

impl Message for SessionStatus {
    const LEN_MAX: usize = STATUS_LEN_MAX;

    fn in_bounds(&self) -> bool {
        self.coverage.as_ref().is_none_or(|text| is_ratio(text))
            && self.accounts.len() <= ACCOUNTS_MAX
            && self.accounts.iter().all(|account| {
                account_in_bounds(
                    &account.label,
                    &account.venue,
                    &account.market,
                    &account.identity,
                )
            })
    }
}

impl Message for Ended {
    const LEN_MAX: usize = STATUS_LEN_MAX;

    fn in_bounds(&self) -> bool {
        true
    }
}

impl Message for ErrorBody {
    const LEN_MAX: usize = ERROR_BODY_LEN_MAX;

    fn in_bounds(&self) -> bool {
        is_text(&self.message, TEXT_LEN_MAX)
            && is_text(&self.request_id, TEXT_LEN_MAX)
            && self.detail.as_ref().is_none_or(|detail| {
                is_text(&detail.account, LABEL_LEN_MAX)
                    && detail.remove.len() <= LIST_LEN_MAX
                    && detail.remove.iter().all(|text| is_text(text, TEXT_LEN_MAX))
            })
    }
}

impl Identity {
    /// Whether a message can carry it: printable ASCII, not too long.
    pub fn in_bounds(&self) -> bool {
        is_text(&self.value, TEXT_LEN_MAX)
    }
}

fn account_in_bounds(label: &str, venue: &str, market: &str, identity: &Identity) -> bool {
    is_text(label, LABEL_LEN_MAX)
        && is_text(venue, SLUG_LEN_MAX)
        && is_text(market, SLUG_LEN_MAX)
        && identity.in_bounds()
}

/// Printable ASCII, so that a terminal shows what is there and nothing happens to it.
pub(crate) fn is_text(text: &str, len_max: usize) -> bool {
    (1..=len_max).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// An unsigned decimal without exponent.
fn is_ratio(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= TEXT_LEN_MAX && digits(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::{
        AccountStatus, End, Ended, ErrorBody, ErrorDetail, Identity, IdentityKind, OpenedAccount,
        OpenedSession, Permission, SessionStatus,
    };
    use crate::category::Category;
    use crate::portfolio::PortfolioId;
    use crate::session::SessionId;
    use crate::time::UnixMillis;

    fn identity() -> Identity {
        Identity { kind: IdentityKind::Uid, value: "354937868".to_owned() }
    }

    fn opened() -> OpenedSession {
        let account = OpenedAccount {
            label: "main".to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            identity: identity(),
            permissions: vec![Permission::Read],
        };
        OpenedSession::new(
            SessionId::from_bytes([1; 32]),
            UnixMillis(2),
            PortfolioId([3; 32]),
            vec![account],
        )
    }

    fn status() -> SessionStatus {
        let account = AccountStatus {
            label: "main".to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            identity: identity(),
            last_complete_poll: Some(UnixMillis(1)),
            next_poll: None,
            last_error: Some(Category::Throttled),
            polls_complete: 1,
            polls_incomplete: 2,
        };
        SessionStatus::active(
            UnixMillis(1),
            UnixMillis(2),
            PortfolioId([3; 32]),
            vec![account],
            Some("0.98".to_owned()),
            true,
        )
    }

    fn error() -> ErrorBody {
        ErrorBody {
            code: Category::Refused,
            message: "the key may do more than read".to_owned(),
            request_id: "00000000".to_owned(),
            detail: Some(ErrorDetail {
                account: "main".to_owned(),
                remove: vec!["Enable Spot & Margin Trading".to_owned()],
            }),
        }
    }

    #[test]
    fn messages_are_these_texts() {
        let zeros = "03".repeat(32);
        assert_eq!(
            String::from_utf8(opened().to_json()).unwrap(),
            format!(
                r#"{{"v":1,"session_id":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","expires_at":2,"portfolio_id":"{zeros}","accounts":[{{"label":"main","venue":"binance","market":"spot","identity":{{"kind":"uid","value":"354937868"}},"permissions":["read"]}}]}}"#
            )
        );
        assert_eq!(
            String::from_utf8(status().to_json()).unwrap(),
            format!(
                r#"{{"v":1,"state":"active","now":1,"expires_at":2,"portfolio_id":"{zeros}","accounts":[{{"label":"main","venue":"binance","market":"spot","identity":{{"kind":"uid","value":"354937868"}},"last_complete_poll":1,"next_poll":null,"last_error":"throttled","polls_complete":1,"polls_incomplete":2}}],"coverage":"0.98","simulated":true}}"#
            )
        );
        assert_eq!(
            Ended::new(End::Revoked, UnixMillis(5)).to_json(),
            br#"{"v":1,"ended":"revoked","at":5}"#
        );
        assert_eq!(
            String::from_utf8(error().to_json()).unwrap(),
            r#"{"code":"refused","message":"the key may do more than read","request_id":"00000000","detail":{"account":"main","remove":["Enable Spot & Margin Trading"]}}"#
        );
        assert_eq!(
            String::from_utf8(ErrorBody { detail: None, ..error() }.to_json()).unwrap(),
            r#"{"code":"refused","message":"the key may do more than read","request_id":"00000000"}"#
        );
    }

    #[test]
    fn messages_read_back() {
        assert_eq!(OpenedSession::from_json(&opened().to_json()), Ok(opened()));
        assert_eq!(SessionStatus::from_json(&status().to_json()), Ok(status()));
        assert_eq!(ErrorBody::from_json(&error().to_json()), Ok(error()));
        let ended = Ended::new(End::KeyRefused, UnixMillis(5));
        assert_eq!(Ended::from_json(&ended.to_json()), Ok(ended));
    }

    #[test]
    fn fields_are_closed_and_required_even_where_null_is_allowed() {
        let text = String::from_utf8(status().to_json()).unwrap();
        for (from, to) in [
            (r#""next_poll":null,"#, ""),
            (r#","coverage":"0.98""#, ""),
            (r#""v":1,"#, ""),
            (r#""v":1"#, r#""v":2"#),
            (r#""v":1"#, r#""v":1,"more":0"#),
            (r#""v":1"#, r#""v":1,"v":1"#),
            (r#""active""#, r#""gone""#),
            (r#""throttled""#, r#""other""#),
            (r#""0.98""#, r#""98%""#),
            (r#""0.98""#, r#""-1""#),
            (r#""0.98""#, "0.98"),
            (r#""main""#, r#""a\u001b""#),
            (r#""354937868""#, r#""""#),
        ] {
            let bad = text.replacen(from, to, 1);
            assert_ne!(bad, text, "{from}");
            assert!(SessionStatus::from_json(bad.as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn lists_and_texts_are_bounded() {
        let mut many = opened();
        many.accounts = vec![many.accounts[0].clone(); 17];
        assert!(OpenedSession::from_json(&many.to_json()).is_err());
        many.accounts.pop();
        assert!(OpenedSession::from_json(&many.to_json()).is_ok());
        let mut long = error();
        long.message = "m".repeat(257);
        assert!(ErrorBody::from_json(&long.to_json()).is_err());
        long.message.pop();
        assert!(ErrorBody::from_json(&long.to_json()).is_ok());
    }
}
