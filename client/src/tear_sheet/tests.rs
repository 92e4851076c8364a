//! The page, made of figures that the analytics computed, with names that mean harm.

mod browser;

use std::fs;
use std::path::Path;

use analytics::{Case, methods};
use protocol::canonical::Json;
use protocol::limits::SERIES_DAYS_MAX;
use protocol::portfolio::PortfolioSecret;
use protocol::report::Statement as _;
use protocol::report_payload::{
    Method, Period, RateSource, ReportAccount, ReportPayload, Schema, Series, SeriesDay,
    SessionSpan,
};
use protocol::session::{Identity, IdentityKind};
use protocol::time::UnixMillis;

use super::{Proof, Sheet, page};
use crate::figures;

/// Ends a script, a table and an attribute, if anything lets it.
const HOSTILE: &str = "</script><script>alert(1)//\"'>";

fn at(text: &str) -> UnixMillis {
    UnixMillis::from_rfc3339(text).unwrap()
}

/// Sixty days of two accounts, as the engine sees them.
pub(crate) fn payload() -> ReportPayload {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../analytics/tests/cases/S08-sixty-days.json");
    let mut case: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    case.as_object_mut().unwrap().remove("expected");
    let case: Case = serde_json::from_value(case).unwrap();
    let (as_of, engine) = (case.config.as_of.unwrap(), case.engine().unwrap());
    let mut days: Vec<SeriesDay> = engine
        .report(as_of)
        .unwrap()
        .1
        .days
        .into_iter()
        .map(|day| SeriesDay {
            day: day.day.to_string(),
            index: day.index.map(|index| index.to_string()),
            drawdown: day.drawdown.map(|drawdown| drawdown.to_string()),
            expected_ticks: day.expected_ticks,
            complete_ticks: day.complete_ticks,
        })
        .collect();
    // Two days without a poll: the charts and the calendar must show them as what they are.
    for day in &mut days[40..42] {
        (day.index, day.drawdown, day.complete_ticks) = (None, None, 0);
    }
    let key = PortfolioSecret::from_bytes(&[7; 32]).public();
    let account = |id: &str, label: &str, identity: &str| {
        let (venue, market) = id.split_once('-').unwrap();
        ReportAccount {
            id: id.to_owned(),
            label: label.to_owned(),
            venue: venue.to_owned(),
            market: market.to_owned(),
            identity: Identity { kind: IdentityKind::Uid, value: identity.to_owned() },
            permissions_unreadable: false,
            opened_at: at("2025-11-01T00:00:00Z"),
            closed_at: None,
            end_reason: None,
        }
    };
    let methods = methods().iter().map(|(key, method)| {
        let (id, unit) = (method.id.to_owned(), method.unit.to_owned());
        ((*key).to_owned(), Method { id, unit })
    });
    ReportPayload {
        schema: Schema,
        simulated: true,
        issued_at: at("2025-12-31T00:01:00Z"),
        release: "0.1.0".to_owned(),
        portfolio_id: key.portfolio_id(),
        portfolio_key: key,
        base_currency: "USD".to_owned(),
        session: SessionSpan {
            started_at: at("2025-12-30T00:00:00Z"),
            expires_at: at("2026-01-06T00:00:00Z"),
        },
        period: Period { start: at("2025-11-01T00:00:00Z"), end: at("2025-12-31T00:00:00Z") },
        accounts: vec![
            account("binance-spot", "Main book", "354937868"),
            account("kraken-spot", HOSTILE, "AA11 N84G ABCD EFGH"),
        ],
        rate_sources: vec![RateSource { pair: "USDT/USD".to_owned(), source: "kraken".to_owned() }],
        results: Json::of(&engine.result(as_of).unwrap()).unwrap(),
        series: Series { days },
        methods: methods.collect(),
    }
}

/// The page of a payload, with a stand-in for the report around it.
pub(crate) fn html(payload: &ReportPayload) -> String {
    let encoded = protocol::encoding::to_base64(&payload.encode().unwrap());
    let bytes = format!("{{\"dsse\":{{\"payload\":\"{encoded}\"}}}}").into_bytes();
    let pcrs = vec![("PCR0, the image".to_owned(), "0123456789abcdef".repeat(6))];
    page::html(&Sheet { payload, proof: &Proof { pcrs, bytes } })
}

#[test]
fn a_name_that_means_harm_stays_text() {
    let mut payload = payload();
    payload.rate_sources[0].source = HOSTILE.to_owned();
    payload.accounts[0].identity.value = HOSTILE.to_owned();
    payload.release = HOSTILE.to_owned();
    let page = html(&payload);
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(1)"));
    assert_eq!(page.matches("<script").count(), 1, "the data block alone");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("style=\""), "the policy allows no inline style");
}

#[test]
fn an_embedded_report_cannot_end_its_element() {
    let payload = payload();
    let proof = Proof { pcrs: Vec::new(), bytes: format!("{{\"a\":\"{HOSTILE}\"}}").into_bytes() };
    let page = page::html(&Sheet { payload: &payload, proof: &proof });
    assert_eq!(page.matches("</script").count(), 1);
}

#[test]
fn a_page_is_known_again() {
    assert!(super::is_page(html(&payload()).as_bytes()));
    assert!(!super::is_page(b"<!DOCTYPE html><html lang=\"en\"><p>a letter"));
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let page = html(&payload());
    let named = page.matches("http://").count() + page.matches("https://").count();
    let namespaces = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(named, namespaces, "an address that is not the name of SVG");
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("unsafe"));
}

#[test]
fn months_multiply_to_the_whole_return() {
    let payload = payload();
    let calendar = figures::calendar(&payload);
    let one = rust_decimal::Decimal::ONE;
    let months = calendar.months.iter().filter_map(|month| month.change);
    let whole = months.fold(one, |index, change| index * (one + change)) - one;
    let twr = figures::decimal(&payload.results, "returns.twr").unwrap();
    assert_eq!(whole.round_dp(12), twr);
    assert_eq!(calendar.years.len(), 1);
    assert_eq!(calendar.years[0].1.unwrap().round_dp(12), twr);
}

#[test]
fn every_null_says_why_and_every_metric_how() {
    let page = html(&payload());
    assert!(page.contains("not annualized under one year"));
    assert!(page.contains("twr/dietz-tick/1"));
    assert!(page.contains("mwr/period-scan-annualized/1"));
}

#[test]
fn a_portfolio_without_a_day_still_has_a_page() {
    let mut payload = payload();
    payload.series = Series::default();
    assert!(html(&payload).contains("no complete valuation"));
}

#[test]
fn a_series_holds_ten_years_and_no_day_more() {
    let mut payload = payload();
    let first: jiff::civil::Date = "2015-01-01".parse().unwrap();
    let row = payload.series.days[0].clone();
    let days = first.series(jiff::ToSpan::day(1)).take(SERIES_DAYS_MAX + 1);
    payload.series.days =
        days.map(|day| SeriesDay { day: day.to_string(), ..row.clone() }).collect();
    assert!(payload.encode().is_err());
    payload.series.days.pop();
    assert!(payload.encode().is_ok());
    assert!(html(&payload).contains("data-day=\"2025-01-07\""));
}
