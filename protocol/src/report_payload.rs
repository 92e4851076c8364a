//! What a signed report says: canonical JSON with a schema name of its own.
//!
//! Decimals are strings, instants RFC 3339 in UTC, keys sorted. The results are those of the
//! analytics, carried as they are; every metric in them has its method and unit in `methods`.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::canonical::{CanonicalError, Json};
use crate::json::schema;
use crate::limits::{
    DECIMAL_LEN_MAX, LABEL_LEN_MAX, LIST_LEN_MAX, REPORT_ACCOUNTS_MAX, SERIES_DAYS_MAX,
    SLUG_LEN_MAX, TEXT_LEN_MAX,
};
use crate::portfolio::{PortfolioId, PortfolioKey};
use crate::report::Statement;
use crate::session::{End, Identity, is_asset, is_text};
use crate::time::{UnixMillis, rfc3339, rfc3339_option};

schema!("performance-aggregator/report/1");

/// The signed statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportPayload {
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
    /// The session it was asked for in.
    pub session: SessionSpan,
    /// What the results cover.
    pub period: Period,
    /// Every account ever opened under the portfolio.
    pub accounts: Vec<ReportAccount>,
    /// Where rates come from that an account's exchange does not list.
    pub rate_sources: Vec<RateSource>,
    /// The results of the analytics.
    pub results: Json,
    /// The index day by day, for charts.
    pub series: Series,
    /// The method and unit of each metric, by its path in the results.
    pub methods: BTreeMap<String, Method>,
}

/// From when to when a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSpan {
    /// When it was opened.
    #[serde(with = "rfc3339")]
    pub started_at: UnixMillis,
    /// When it ends by itself.
    #[serde(with = "rfc3339")]
    pub expires_at: UnixMillis,
}

/// The time that results cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Its first tick.
    #[serde(with = "rfc3339")]
    pub start: UnixMillis,
    /// Its last tick.
    #[serde(with = "rfc3339")]
    pub end: UnixMillis,
}

/// An account ever opened under the portfolio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportAccount {
    /// Its name in the results: `<venue>-<market>`, with `-2`, `-3` for further ones.
    pub id: String,
    /// The customer's name for it.
    pub label: String,
    /// The exchange.
    pub venue: String,
    /// The market.
    pub market: String,
    /// Who it is at the exchange.
    pub identity: Identity,
    /// Whether a key of it was admitted though the exchange did not tell in known words what the
    /// key may do. Written only if it is true.
    #[serde(default, skip_serializing_if = "is_no")]
    pub permissions_unreadable: bool,
    /// When it was first opened.
    #[serde(with = "rfc3339")]
    pub opened_at: UnixMillis,
    /// When it was last closed; null while it is polled.
    #[serde(with = "rfc3339_option")]
    pub closed_at: Option<UnixMillis>,
    /// Why it was closed.
    #[serde(deserialize_with = "Option::deserialize")]
    pub end_reason: Option<End>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
const fn is_no(value: &bool) -> bool {
    !*value
}

/// Where the rate of a pair comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSource {
    /// `BASE/QUOTE`.
    pub pair: String,
    /// The exchange it is read at.
    pub source: String,
}

/// How a metric is computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// Name and version, such as `twr/dietz-tick/1`.
    pub id: String,
    /// What the number counts, such as `ratio` or `base_currency`.
    pub unit: String,
}

/// The index day by day, of the same ticks as the results.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// UTC days without a gap, oldest first; empty before the first poll is due.
    pub days: Vec<SeriesDay>,
}

/// One UTC day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesDay {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// At the last complete tick of the day; null if it has none.
    #[serde(deserialize_with = "Option::deserialize")]
    pub index: Option<String>,
    /// The deepest of the day, below the highest index so far; positive, null with `index`.
    #[serde(deserialize_with = "Option::deserialize")]
    pub drawdown: Option<String>,
    /// Polls due.
    pub expected_ticks: u64,
    /// Of these, complete.
    pub complete_ticks: u64,
}

/// Why a payload was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// Not canonical JSON of this schema.
    #[error("the report's payload is not canonical")]
    Canonical(#[source] CanonicalError),
    /// A value contradicts another or is out of its bounds.
    #[error("field `{0}` of the report's payload is unsound")]
    Unsound(&'static str),
}

impl Statement for ReportPayload {
    const PAYLOAD_TYPE: &'static str = "application/vnd.performance-aggregator.report+json";

    fn check(&self) -> Result<(), PayloadError> {
        sound("portfolio_id", self.portfolio_key.portfolio_id() == self.portfolio_id)?;
        sound("release", is_text(&self.release, TEXT_LEN_MAX))?;
        sound("base_currency", is_asset(&self.base_currency))?;
        sound("session", self.session.started_at < self.session.expires_at)?;
        sound("period", self.period.start <= self.period.end)?;
        sound("accounts", self.accounts.len() <= REPORT_ACCOUNTS_MAX)?;
        for (index, account) in self.accounts.iter().enumerate() {
            let earlier = self.accounts.get(..index).unwrap_or_default();
            let texts = [
                (&account.id, TEXT_LEN_MAX),
                (&account.label, LABEL_LEN_MAX),
                (&account.venue, SLUG_LEN_MAX),
                (&account.market, SLUG_LEN_MAX),
                (&account.identity.value, TEXT_LEN_MAX),
            ];
            sound("accounts", texts.into_iter().all(|(text, len_max)| is_text(text, len_max)))?;
            sound("accounts", earlier.iter().all(|other| other.id != account.id))?;
            sound("accounts", account.closed_at.is_some() == account.end_reason.is_some())?;
        }
        sound("rate_sources", self.rate_sources.len() <= LIST_LEN_MAX)?;
        for rate in &self.rate_sources {
            sound("rate_sources", is_text(&rate.pair, TEXT_LEN_MAX))?;
            sound("rate_sources", is_text(&rate.source, TEXT_LEN_MAX))?;
        }
        sound("results", matches!(self.results, Json::Object(_)))?;
        self.series.check()?;
        sound("methods", self.methods.len() <= LIST_LEN_MAX)?;
        for (metric, method) in &self.methods {
            sound("methods", is_text(metric, TEXT_LEN_MAX))?;
            sound("methods", is_text(&method.id, TEXT_LEN_MAX))?;
            sound("methods", is_text(&method.unit, TEXT_LEN_MAX))?;
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

impl Series {
    fn check(&self) -> Result<(), PayloadError> {
        sound("series", self.days.len() <= SERIES_DAYS_MAX)?;
        let mut due: Option<Date> = None;
        for row in &self.days {
            let day = row.day.parse::<Date>().ok().filter(|day| day.to_string() == row.day);
            sound("series", day.is_some() && (due.is_none() || day == due))?;
            due = day.and_then(|day| day.tomorrow().ok());
            sound("series", row.index.is_some() == row.drawdown.is_some())?;
            sound("series", row.index.is_some() == (row.complete_ticks > 0))?;
            let mut values = row.index.iter().chain(&row.drawdown);
            sound("series", values.all(|value| is_decimal(value)))?;
        }
        Ok(())
    }
}

fn sound(field: &'static str, holds: bool) -> Result<(), PayloadError> {
    if holds { Ok(()) } else { Err(PayloadError::Unsound(field)) }
}

/// Digits, a point, digits. Index and drawdown have no sign.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= DECIMAL_LEN_MAX
        && text.split_once('.').is_some_and(|(whole, rest)| digits(whole) && digits(rest))
}
