//! Claims: a signed word on whether a metric keeps a bound, without the metric.
//!
//! A claim names a period and one to four predicates (`twr >= 0.12`). The statement says which of
//! them hold, over which period and with which coverage, and how many were asked before. It is
//! signed and bound like a report ([`crate::report`]), under a payload type of its own.
//! `docs/claims.md` is normative.
//!
//! # Guarantees
//!
//! * A bound lies on a declared grid, and a period is the whole portfolio or a calendar month,
//!   quarter or year that has ended: neither a value nor a flattering window can be approached
//!   step by step.
//! * Each statement carries the number of predicates asked of the portfolio before it, whatever
//!   became of them.

mod asked;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use self::asked::{Bound, ClaimMetric, ClaimPeriod, Comparison, Predicate};
use crate::category::Category;
use crate::encoding::{b64, b64_array};
use crate::json::{self, JsonError, Version1, schema};
use crate::keys::KeyId;
use crate::limits::{CLAIM_BODY_LEN_MAX, CLAIM_PREDICATES_MAX, CLAIM_REPLY_LEN, TEXT_LEN_MAX};
use crate::portfolio::{Action, PortfolioId, PortfolioKey, PortfolioSecret, Signed};
use crate::report::Statement;
use crate::report_payload::{PayloadError, Period};
use crate::session::{is_asset, is_text};
use crate::time::{UnixMillis, rfc3339};

/// What is asked, as the portfolio's key signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    v: Version1,
    /// What is signed for: `claim`.
    action: Action,
    /// When the attestation was made that the client verified.
    pub attested_at: UnixMillis,
    /// What the claim is about.
    pub period: ClaimPeriod,
    /// What is to hold.
    pub predicates: Vec<Predicate>,
}

/// The body of `POST /v1/session/claim`: a claim's exact bytes, and what the portfolio's key says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedClaim {
    v: Version1,
    #[serde(with = "b64_array")]
    signature: [u8; 64],
    #[serde(with = "b64")]
    claim: Vec<u8>,
}

/// Why a claim was not understood. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Not a signature and a JSON body of the closed schema.
    #[error("the claim is malformed")]
    Malformed,
    /// The portfolio's key did not sign this body for this session.
    #[error("the claim's signature does not verify")]
    Signature,
    /// A field's value is out of its bounds, or off the grid.
    #[error("field `{0}` of the claim is out of bounds")]
    OutOfBounds(&'static str),
}

schema!("performance-aggregator/claim/1");

/// The signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimPayload {
    /// The name and version of this schema.
    pub schema: Schema,
    /// Whether a simulated security module vouches for it: then it proves nothing.
    pub simulated: bool,
    /// When it was signed.
    #[serde(with = "rfc3339")]
    pub issued_at: UnixMillis,
    /// The release that computed it.
    pub release: String,
    /// SHA-256 of the portfolio's key.
    pub portfolio_id: PortfolioId,
    /// The customer's key.
    pub portfolio_key: PortfolioKey,
    /// What everything is valued in.
    pub base_currency: String,
    /// What was asked for.
    pub asked: ClaimPeriod,
    /// From when to when that is.
    pub period: Period,
    /// Complete ticks of those that were due in the period: a ratio.
    pub coverage: String,
    /// No claim is signed under this coverage.
    pub coverage_min: String,
    /// Predicates that were asked of this portfolio before these.
    pub predicates_before: u64,
    /// Each predicate, and whether it holds.
    pub predicates: Vec<Judged>,
}

/// A predicate with its truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// Which metric.
    pub metric: ClaimMetric,
    /// The name and version of its method.
    pub method: String,
    /// Which side.
    pub comparison: Comparison,
    /// The bound.
    pub bound: Bound,
    /// Whether the metric is there. False also where the definitions give no number.
    pub holds: bool,
}

impl ClaimError {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::Malformed | Self::OutOfBounds(_) => Category::Invalid,
            Self::Signature => Category::Unauthorized,
        }
    }
}

/// Why no claim was signed. The answer is sealed and as long as a signed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClaimRefused {
    /// The period has not ended, or the portfolio does not cover it from end to end.
    #[error("the portfolio does not cover this period from end to end, or it has not ended")]
    NotCovered,
    /// Too many polls of the period are missing.
    #[error("too many polls of this period are missing")]
    Coverage,
    /// This calendar month's predicates are used up.
    #[error("no more predicates may be asked of this portfolio this month")]
    UsedUp,
}

/// The plaintext of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimReply {
    /// The bytes of `claim.json`.
    Signed(Vec<u8>),
    /// Why there are none.
    Refused(ClaimRefused),
}

/// [`ClaimReply`] as it is written: `signed` is empty where `refused` says why.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyWire {
    v: Version1,
    #[serde(with = "b64")]
    signed: Vec<u8>,
    #[serde(deserialize_with = "Option::deserialize")]
    refused: Option<ClaimRefused>,
}

impl Judged {
    /// What was judged.
    pub const fn predicate(&self) -> Predicate {
        Predicate { metric: self.metric, comparison: self.comparison, bound: self.bound }
    }
}

impl ClaimRequest {
    /// A claim to be signed.
    pub const fn new(
        period: ClaimPeriod,
        predicates: Vec<Predicate>,
        attested_at: UnixMillis,
    ) -> Self {
        Self { v: Version1, action: Action::Claim, attested_at, period, predicates }
    }

    /// Writes signature and body, for the session that `key_id` and `ephemeral_pub` name.
    ///
    /// # Errors
    /// As [`ClaimError`] says.
    pub fn sign(
        &self,
        secret: &PortfolioSecret,
        key_id: &KeyId,
        ephemeral_pub: &[u8; 32],
    ) -> Result<Vec<u8>, ClaimError> {
        self.check()?;
        let body = serde_json::to_vec(self).map_err(|_| ClaimError::Malformed)?;
        let signature = secret.sign(&self.signed(key_id, ephemeral_pub, &body));
        let signed = SignedClaim { v: Version1, signature, claim: body };
        serde_json::to_vec(&signed).map_err(|_| ClaimError::Malformed)
    }

    /// Reads what [`sign`](Self::sign) wrote, if `key` signed it for this session.
    ///
    /// # Errors
    /// As [`ClaimError`] says.
    pub fn verify(
        bytes: &[u8],
        key: &PortfolioKey,
        key_id: &KeyId,
        ephemeral_pub: &[u8; 32],
    ) -> Result<Self, ClaimError> {
        let SignedClaim { signature, claim, .. } = json::read_owned(bytes, CLAIM_BODY_LEN_MAX)?;
        let request: Self = json::read_owned(&claim, CLAIM_BODY_LEN_MAX)?;
        key.verify_strict(&request.signed(key_id, ephemeral_pub, &claim), &signature)
            .map_err(|_| ClaimError::Signature)?;
        request.check()?;
        Ok(request)
    }

    fn signed<'a>(
        &self,
        key_id: &'a KeyId,
        ephemeral_pub: &'a [u8; 32],
        body: &'a [u8],
    ) -> Signed<'a> {
        Signed { action: self.action, key_id, ephemeral_pub, attested_at: self.attested_at, body }
    }

    fn check(&self) -> Result<(), ClaimError> {
        let number = (1..=CLAIM_PREDICATES_MAX).contains(&self.predicates.len());
        if self.action != Action::Claim {
            Err(ClaimError::OutOfBounds("action"))
        } else if !number {
            Err(ClaimError::OutOfBounds("predicates"))
        } else if !self.predicates.iter().all(Predicate::is_on_grid) {
            Err(ClaimError::OutOfBounds("bound"))
        } else {
            Ok(())
        }
    }
}

impl From<JsonError> for ClaimError {
    fn from(_: JsonError) -> Self {
        Self::Malformed
    }
}

impl ClaimReply {
    /// JSON, and spaces up to the one length that all answers have.
    ///
    /// # Errors
    /// If the statement is too long for it.
    pub fn encode(&self) -> Result<Vec<u8>, ClaimError> {
        let (signed, refused) = match self {
            Self::Signed(signed) => (signed.clone(), None),
            Self::Refused(refused) => (Vec::new(), Some(*refused)),
        };
        let wire = ReplyWire { v: Version1, signed, refused };
        let mut bytes = serde_json::to_vec(&wire).map_err(|_| ClaimError::Malformed)?;
        if bytes.len() > CLAIM_REPLY_LEN {
            return Err(ClaimError::Malformed);
        }
        bytes.resize(CLAIM_REPLY_LEN, b' ');
        Ok(bytes)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ClaimError> {
        if bytes.len() != CLAIM_REPLY_LEN {
            return Err(ClaimError::Malformed);
        }
        let wire: ReplyWire = json::read_owned(bytes.trim_ascii_end(), CLAIM_REPLY_LEN)?;
        match wire.refused {
            None if !wire.signed.is_empty() => Ok(Self::Signed(wire.signed)),
            Some(refused) if wire.signed.is_empty() => Ok(Self::Refused(refused)),
            _ => Err(ClaimError::Malformed),
        }
    }
}

impl Statement for ClaimPayload {
    const PAYLOAD_TYPE: &'static str = "application/vnd.performance-aggregator.claim+json";

    fn check(&self) -> Result<(), PayloadError> {
        let sound = |field: &'static str, holds: bool| {
            if holds { Ok(()) } else { Err(PayloadError::Unsound(field)) }
        };
        let ratio = |text: &str| {
            let value = Decimal::from_str_exact(text).ok().filter(|_| text.len() <= TEXT_LEN_MAX);
            value.is_some_and(|value| (Decimal::ZERO..=Decimal::ONE).contains(&value))
        };
        sound("portfolio_id", self.portfolio_key.portfolio_id() == self.portfolio_id)?;
        sound("release", is_text(&self.release, TEXT_LEN_MAX))?;
        sound("base_currency", is_asset(&self.base_currency))?;
        sound("period", self.period.start < self.period.end)?;
        sound("period", self.period.end <= self.issued_at)?;
        sound("coverage", ratio(&self.coverage))?;
        sound("coverage_min", ratio(&self.coverage_min))?;
        sound("predicates", (1..=CLAIM_PREDICATES_MAX).contains(&self.predicates.len()))?;
        for judged in &self.predicates {
            sound("predicates", judged.predicate().is_on_grid())?;
            sound("predicates", is_text(&judged.method, TEXT_LEN_MAX))?;
        }
        Ok(())
    }

    fn simulated(&self) -> bool {
        self.simulated
    }

    fn issued_at(&self) -> UnixMillis {
        self.issued_at
    }
}
