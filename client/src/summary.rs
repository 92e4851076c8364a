//! Readable summaries of what was opened, polled and verified.

use client::figures;
use protocol::canonical::Json;
use protocol::claim::ClaimPayload;
use protocol::report::{Verified, VerifiedReport};
use protocol::report_payload::ReportPayload;
use protocol::session::{OpenedSession, SessionStatus};
use protocol::time::UnixMillis;
use serde::Serialize;

use crate::output::{pairs, table};

/// What every summary of a simulated service begins with.
pub(crate) fn simulated_banner(simulated: bool) -> &'static str {
    if simulated {
        "SIMULATED: no security module vouches for this; it proves nothing\n"
    } else {
        ""
    }
}

#[derive(Serialize)]
pub(crate) struct Opened {
    simulated: bool,
    expires_at: String,
    portfolio_id: String,
    accounts: Vec<protocol::session::OpenedAccount>,
}

impl Opened {
    pub(crate) fn new(opened: &OpenedSession, simulated: bool) -> Self {
        Self {
            simulated,
            expires_at: time(opened.expires_at),
            portfolio_id: opened.portfolio_id.to_string(),
            accounts: opened.accounts.clone(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let rows = self.accounts.iter().map(|account| {
            vec![
                account.label.clone(),
                format!("{} {}", account.venue, account.market),
                account.identity.value.clone(),
                "read only".to_owned(),
            ]
        });
        format!(
            "{}session open until {}\nportfolio {}\n{}",
            simulated_banner(self.simulated),
            self.expires_at,
            self.portfolio_id,
            table(Some(vec!["account", "exchange", "identity", "key"]), rows)
        )
    }
}

pub(crate) fn status(status: &SessionStatus) -> String {
    let maybe = |at: Option<UnixMillis>| at.map_or_else(|| "-".to_owned(), time);
    let rows = status.accounts.iter().map(|account| {
        vec![
            account.label.clone(),
            format!("{} {}", account.venue, account.market),
            maybe(account.last_complete_poll),
            maybe(account.next_poll),
            format!(
                "{} of {}",
                account.polls_complete,
                account.polls_complete.saturating_add(account.polls_incomplete)
            ),
            account.last_error.map_or("-", protocol::category::Category::code).to_owned(),
        ]
    });
    format!(
        "{}session open until {}, coverage {}\n{}",
        simulated_banner(status.simulated),
        time(status.expires_at),
        status.coverage.as_deref().unwrap_or("-"),
        table(
            Some(vec![
                "account",
                "exchange",
                "last complete poll",
                "next poll",
                "complete",
                "error"
            ]),
            rows
        )
    )
}

#[derive(Serialize)]
pub(crate) struct Report<'a> {
    verified: bool,
    simulated: bool,
    pcr0: String,
    pcr1: String,
    pcr2: String,
    log: &'static str,
    payload: &'a ReportPayload,
}

impl<'a> Report<'a> {
    pub(crate) fn new(verified: &'a VerifiedReport) -> Self {
        let pcr = |index| {
            verified
                .attestation()
                .pcr(index)
                .map(|pcr| protocol::encoding::to_hex(pcr))
                .unwrap_or_default()
        };
        Self {
            verified: true,
            simulated: verified.payload().simulated,
            pcr0: pcr(0),
            pcr1: pcr(1),
            pcr2: pcr(2),
            log: "none: this release keeps no audit log, so nothing shows that no other report exists",
            payload: verified.payload(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let payload = self.payload;
        let accounts = payload
            .accounts
            .iter()
            .map(|account| {
                let unread = if account.permissions_unreadable {
                    ", key permissions unreadable"
                } else {
                    ""
                };
                format!("{} ({} {}{unread})", account.id, account.label, account.identity.value)
            })
            .collect::<Vec<_>>()
            .join(", ");
        let head = pairs([
            ("coverage", metric(payload, "quality.coverage")),
            ("largest gap (s)", metric(payload, "quality.max_gap_s")),
            ("flags", flags(payload)),
            ("period", format!("{} to {}", time(payload.period.start), time(payload.period.end))),
            ("accounts", accounts),
            ("portfolio", payload.portfolio_id.to_string()),
            ("issued", time(payload.issued_at)),
            ("release", payload.release.clone()),
        ]);
        let base = &payload.base_currency;
        let metrics = table(
            Some(vec!["metric", "value", "unit", "method"]),
            METRICS.iter().map(|(name, path)| {
                let method = figures::method(payload, path);
                let unit = method.map_or("", |method| method.unit.as_str());
                let unit = if unit == "money" { base.as_str() } else { unit };
                vec![
                    (*name).to_owned(),
                    metric(payload, path),
                    unit.to_owned(),
                    method.map_or("-", |method| method.id.as_str()).to_owned(),
                ]
            }),
        );
        let months = months(payload);
        let trust = pairs([
            ("PCR0 (image)", &self.pcr0),
            ("PCR1 (kernel)", &self.pcr1),
            ("PCR2 (application)", &self.pcr2),
            ("audit log", &self.log.to_owned()),
        ]);
        let banner = simulated_banner(self.simulated);
        format!(
            "{banner}{head}\n{months}\n{metrics}\nverified measurements\n{trust}\nreport verified"
        )
    }
}

/// A verified claim.
#[derive(Serialize)]
pub(crate) struct Claim<'a> {
    verified: bool,
    pcr0: String,
    payload: &'a ClaimPayload,
}

impl<'a> Claim<'a> {
    pub(crate) fn new(verified: &'a Verified<ClaimPayload>) -> Self {
        let pcr0 = verified.attestation().pcr(0).map(|pcr| protocol::encoding::to_hex(pcr));
        Self { verified: true, pcr0: pcr0.unwrap_or_default(), payload: verified.payload() }
    }

    pub(crate) fn text(&self) -> String {
        let payload = self.payload;
        let predicates = payload.predicates.iter().map(|judged| {
            let holds = if judged.holds { "holds" } else { "does not hold" };
            vec![judged.predicate().to_string(), holds.to_owned()]
        });
        let head = pairs([
            ("coverage", format!("{} (at least {})", payload.coverage, payload.coverage_min)),
            ("period", format!("{} to {}", time(payload.period.start), time(payload.period.end))),
            ("asked before", format!("{} predicates", payload.predicates_before)),
            ("portfolio", payload.portfolio_id.to_string()),
            ("base currency", payload.base_currency.clone()),
            ("issued", time(payload.issued_at)),
            ("release", payload.release.clone()),
            ("PCR0 (image)", self.pcr0.clone()),
        ]);
        let banner = simulated_banner(payload.simulated);
        format!("{banner}{}\n{head}\nclaim verified", table(None, predicates))
    }
}

/// What a person reads first; the file has all of it.
const METRICS: [(&str, &str); 16] = [
    ("start value", "portfolio.start_value"),
    ("end value", "portfolio.end_value"),
    ("gain", "returns.gain"),
    ("time-weighted return", "returns.twr"),
    ("annualized return", "returns.twr_annualized"),
    ("money-weighted return", "returns.mwr_period"),
    ("net external flows", "flows.net"),
    ("trades", "activity.trades"),
    ("volume", "activity.volume"),
    ("turnover", "activity.turnover"),
    ("fees", "fees.net"),
    ("income", "income.total"),
    ("maximum drawdown", "risk.max_drawdown"),
    ("volatility", "risk.volatility"),
    ("Sharpe ratio", "risk.sharpe"),
    ("Sortino ratio", "risk.sortino"),
];

/// Longest sparkline, in characters: what a narrow terminal holds.
const SPARKLINE_LEN_MAX: usize = 60;

/// The index in one line and the returns by month.
fn months(payload: &ReportPayload) -> String {
    let calendar = figures::calendar(payload);
    let rows = calendar.months.iter().map(|month| {
        let change = month.change.map_or_else(|| "-".to_owned(), figures::change);
        vec![format!("{}-{:02}", month.year, month.month), change]
    });
    format!(
        "index  {}\n{}",
        figures::sparkline(payload, SPARKLINE_LEN_MAX),
        table(Some(vec!["month", "return"]), rows)
    )
}

/// A value as signed, or why there is none.
fn metric(payload: &ReportPayload, path: &str) -> String {
    match figures::at(&payload.results, path) {
        None | Some(Json::Null) => figures::reason(&payload.results, path)
            .map_or_else(|| "-".to_owned(), |reason| format!("none: {}", figures::why(reason))),
        Some(value) => plain(value),
    }
}

fn flags(payload: &ReportPayload) -> String {
    match payload.results.get("flags") {
        Some(Json::Array(flags)) if !flags.is_empty() => {
            flags.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        _ => "none".to_owned(),
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Null => "-".to_owned(),
        Json::Bool(_) | Json::Integer(_) | Json::Array(_) | Json::Object(_) => {
            protocol::canonical::encode(value)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .unwrap_or_default()
        }
    }
}

fn time(at: UnixMillis) -> String {
    at.to_rfc3339().unwrap_or_else(|| at.0.to_string())
}
