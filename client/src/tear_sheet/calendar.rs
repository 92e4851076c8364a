//! Months and days: returns by month, coverage by day.

use maud::{Markup, html};
use protocol::report_payload::{ReportPayload, SeriesDay};

use crate::figures::{self, Calendar};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(super) fn months(payload: &ReportPayload) -> Markup {
    let calendar = figures::calendar(payload);
    html! {
        section id="months" {
            h2 { "Return by month" }
            div class="scroll" {
                table class="months" {
                    thead {
                        tr {
                            th scope="col" { "%" }
                            @for month in MONTHS { th scope="col" { (month) } }
                            th scope="col" { "Year" }
                        }
                    }
                    tbody {
                        @for (year, change) in &calendar.years {
                            tr {
                                th scope="row" { (year) }
                                @for (month, name) in (1..).zip(MONTHS) { (cell(name, in_month(&calendar, year, month))) }
                                (cell("Year", change.map(|change| figures::grouped(hundred(change), 2))))
                            }
                        }
                    }
                }
            }
            p class="soft" { "Percent, from the signed index. The first and the last month count as far as the period reaches." }
        }
    }
}

fn in_month(calendar: &Calendar, year: &str, month: u8) -> Option<String> {
    let known = calendar.months.iter().find(|known| known.year == year && known.month == month)?;
    Some(
        known.change.map_or_else(
            || figures::NONE.to_owned(),
            |change| figures::grouped(hundred(change), 2),
        ),
    )
}

fn hundred(ratio: rust_decimal::Decimal) -> rust_decimal::Decimal {
    ratio.checked_mul(rust_decimal::Decimal::ONE_HUNDRED).unwrap_or(ratio)
}

fn cell(name: &str, text: Option<String>) -> Markup {
    let text = text.unwrap_or_default();
    html! { td class=(if text.starts_with('\u{2212}') { "n minus" } else { "n" }) data-name=(name) { (text) } }
}

pub(super) fn coverage(payload: &ReportPayload) -> Markup {
    let days = &payload.series.days;
    html! {
        section id="coverage" {
            h2 { "Coverage day by day" }
            table class="calendar" {
                tbody {
                    @for month in days.chunk_by(|a, b| a.day.get(..7) == b.day.get(..7)) {
                        tr {
                            th scope="row" { (month.first().and_then(|day| day.day.get(..7)).unwrap_or_default()) }
                            @for number in 1..=31 { (square(month, number)) }
                        }
                    }
                }
            }
            p class="soft" {
                span class="key level-4" {} "every poll"
                span class="key level-3" {} "nine in ten"
                span class="key level-2" {} "some"
                span class="key level-1" {} "none"
            }
        }
    }
}

fn square(month: &[SeriesDay], number: u8) -> Markup {
    let suffix = format!("-{number:02}");
    let Some(day) = month.iter().find(|day| day.day.ends_with(&suffix)) else {
        return html! { td {} };
    };
    let title = format!("{}: {} of {} polls", day.day, day.complete_ticks, day.expected_ticks);
    html! { td class=(level(day)) title=(title) {} }
}

fn level(day: &SeriesDay) -> &'static str {
    let (complete, expected) = (day.complete_ticks, day.expected_ticks);
    if expected == 0 && complete == 0 {
        ""
    } else if complete >= expected {
        "level-4"
    } else if complete == 0 {
        "level-1"
    } else if complete.saturating_mul(10) >= expected.saturating_mul(9) {
        "level-3"
    } else {
        "level-2"
    }
}
