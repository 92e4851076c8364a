//! The page around the sections, and the policy it is shown under.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use protocol::canonical;
use protocol::encoding::to_base64;
use sha2::{Digest, Sha256};

use super::{Sheet, calendar, sections};
use crate::figures;

const STYLE: &str = include_str!("style.css");

pub(super) fn html(sheet: &Sheet<'_>) -> String {
    let hash = to_base64(&Sha256::digest(STYLE));
    // Nothing but this style sheet; `data:` is the empty icon that keeps browsers from asking.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    );
    let payload = sheet.payload;
    let title = format!("Performance in {}, {}", payload.base_currency, sections::span(payload));
    html! {
        (DOCTYPE)
        html lang="en" data-format="performance-aggregator/tear-sheet/1" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (sections::head(sheet))
                    (sections::quality(payload))
                    (sections::key_figures(payload))
                    (sections::charts(payload))
                    (calendar::months(payload))
                    (calendar::coverage(payload))
                    (sections::activity(payload))
                    (sections::holdings(payload))
                    (sections::accounts(payload))
                    (sections::every_metric(payload))
                    (sections::daily(payload))
                    (verification(sheet))
                    footer {
                        p {
                            "Returns are net of trading fees, funding and interest, and gross of management fees. "
                            "The methods are inspired by GIPS; no compliance with GIPS is claimed. "
                            "Past performance says nothing about the future."
                        }
                    }
                }
                (embedded(sheet))
            }
        }
    }
    .into_string()
}

fn verification(sheet: &Sheet<'_>) -> Markup {
    let payload = sheet.payload;
    let link = format!("data:application/json;base64,{}", to_base64(&sheet.proof.bytes));
    let statement = canonical::encode(payload)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_default();
    html! {
        section id="verification" {
            h2 { "Check it yourself" }
            p {
                "This page is a picture of a signed report. The report is inside it, byte for byte. "
                "Do not trust the page: check the report."
            }
            ol {
                li class="no-print" { "Save the report: " a href=(link) download="report.json" { "report.json" } }
                li { "Get " code { "measurements.json" } " of release " (payload.release) " from whoever you trust for it, never from the sender of this page." }
                li { "With the network off: " code { "perfagg verify report.json --measurements measurements.json" } }
                li { "Compare the figures. " code { "docs/report.md" } " of the project says how to do all of this without its programs." }
            }
            table {
                tbody {
                    @for (name, value) in &sheet.proof.pcrs {
                        tr { th scope="row" { (name) } td { code { (value) } } }
                    }
                    tr { th scope="row" { "Portfolio" } td { code { (payload.portfolio_id) } } }
                    tr { th scope="row" { "Signed at" } td { (sections::instant(payload.issued_at)) } }
                    tr { th scope="row" { "Release" } td { (payload.release) } }
                    tr { th scope="row" { "Audit log" } td { "none: nothing shows that no other report of this portfolio exists" } }
                }
            }
            details {
                summary { "The signed statement" }
                pre { (statement) }
            }
        }
    }
}

/// The report for programs. It is canonical JSON of base64 texts, and `<` would be written as an
/// escape if it ever had one: no label can end the element.
fn embedded(sheet: &Sheet<'_>) -> Markup {
    let json = String::from_utf8_lossy(&sheet.proof.bytes).replace('<', "\\u003c");
    html! { script type="application/json" id="report" { (PreEscaped(json)) } }
}

/// A figure, or why there is none.
pub(super) fn figure(
    payload: &protocol::report_payload::ReportPayload,
    path: &str,
    show: impl FnOnce(rust_decimal::Decimal) -> String,
) -> Result<String, String> {
    figures::decimal(&payload.results, path).map(show).ok_or_else(|| {
        figures::reason(&payload.results, path).map_or(figures::NONE, figures::why).to_owned()
    })
}
