//! What the page says, in the order a reader asks: how complete, how good, how made.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use protocol::canonical::Json;
use protocol::report_payload::ReportPayload;
use protocol::time::UnixMillis;
use rust_decimal::Decimal;

use super::Sheet;
use super::chart::{self, Subject, Width};
use super::page::figure;
use crate::figures::{self, NONE};

pub(super) fn head(sheet: &Sheet<'_>) -> Markup {
    let payload = sheet.payload;
    html! {
        header {
            p class="eyebrow" { "Performance report" }
            h1 { "Portfolio in " (payload.base_currency) ", " (span(payload)) }
            @if payload.simulated {
                p { span class="badge bad" { "SIMULATED" } span { "No security module vouches for this; it proves nothing." } }
            } @else {
                p { span class="badge good" { "\u{2713} Verified" } span { "Computed and signed inside the measured image of release " (payload.release) ". " a href="#verification" { "Check it yourself" } } }
            }
        }
    }
}

pub(super) fn quality(payload: &ReportPayload) -> Markup {
    let results = &payload.results;
    let coverage = figures::decimal(results, "quality.coverage");
    let count = |path: &str| figures::count(results, path);
    let polls = |path: &str| count(path).map_or_else(|| NONE.to_owned(), figures::whole);
    let flags = figures::texts(results, "flags");
    html! {
        section id="quality" {
            h2 { "What this rests on" }
            dl class="figures" {
                div {
                    dt { "Coverage" }
                    dd data-coverage=(figures::at(results, "quality.coverage").and_then(Json::as_str).unwrap_or_default()) {
                        (coverage.map_or_else(|| NONE.to_owned(), figures::percent))
                        small { (polls("quality.complete_ticks")) " of " (polls("quality.expected_ticks")) " polls" }
                    }
                }
                div {
                    dt { "Largest gap" }
                    dd { (count("quality.max_gap_s").map_or_else(|| NONE.to_owned(), figures::duration)) }
                }
                div {
                    dt { "Accounts" }
                    dd { (payload.accounts.len()) small { "every one ever opened under this key" } }
                }
                div {
                    dt { "Unexplained" }
                    dd {
                        (polls("quality.unreconciled"))
                        small { "times a balance changed without a record" }
                    }
                }
            }
            @if flags.is_empty() {
                p class="soft" { "No flags." }
            } @else {
                div class="notice" {
                    ul { @for flag in flags { li { (figures::flag(flag)) " " code { (flag) } } } }
                }
            }
        }
    }
}

pub(super) fn key_figures(payload: &ReportPayload) -> Markup {
    let money = |value: Decimal| figures::grouped(value, figures::places(&payload.base_currency));
    let plain = |value: Decimal| figures::grouped(value, 2);
    let cells = [
        ("Time-weighted return", figure(payload, "returns.twr", figures::change)),
        ("Maximum drawdown", figure(payload, "risk.max_drawdown", figures::percent)),
        ("Money-weighted return", figure(payload, "returns.mwr_period", figures::change)),
        ("Annualized return", figure(payload, "returns.twr_annualized", figures::change)),
        ("Gain", figure(payload, "returns.gain", money)),
        ("Value at the end", figure(payload, "portfolio.end_value", money)),
        ("Annualized volatility", figure(payload, "risk.volatility", figures::percent)),
        ("Sharpe ratio", figure(payload, "risk.sharpe", plain)),
    ];
    html! {
        section id="figures" {
            h2 { "Key figures" }
            dl class="figures" {
                @for (name, cell) in cells {
                    div {
                        dt { (name) }
                        @match cell { Ok(text) => dd { (text) }, Err(why) => dd class="why" { (why) } }
                    }
                }
            }
        }
    }
}

pub(super) fn charts(payload: &ReportPayload) -> Markup {
    let chart = |subject, name: &str, says: &str| {
        let draw = |width| chart::svg(&payload.series.days, subject, width).map(PreEscaped);
        html! {
            figure class="chart" {
                h3 { (name) }
                @if let (Some(wide), Some(narrow)) = (draw(Width::Wide), draw(Width::Narrow)) {
                    div class="wide" role="img" aria-label=(name) { (wide) }
                    div class="narrow" role="img" aria-label=(name) { (narrow) }
                } @else { p class="soft" { "no complete valuation" } }
                figcaption { (says) }
            }
        }
    };
    html! {
        section id="charts" {
            h2 { "Performance" }
            (chart(Subject::Index, "Index", "Time-weighted, 1 at the start; deposits and withdrawals do not move it. Days without a complete valuation are left out."))
            (chart(Subject::Drawdown, "Drawdown", "Deepest of each day, below the highest index so far."))
        }
    }
}

pub(super) fn activity(payload: &ReportPayload) -> Markup {
    let results = &payload.results;
    let decimals = figures::places(&payload.base_currency);
    let money =
        |path: &str| figures::decimal(results, path).map(|value| figures::grouped(value, decimals));
    let cost = |path: &str| {
        figures::decimal(results, path).map(|value| figures::grouped(-value, decimals))
    };
    let whole = |path: &str| figures::count(results, path).map(figures::whole);
    let columns = [
        (
            "Activity",
            vec![
                ("Trades", whole("activity.trades")),
                ("Orders", whole("activity.orders")),
                ("Volume", money("activity.volume")),
                ("Average trade", money("activity.average_trade")),
                (
                    "Turnover",
                    figures::decimal(results, "activity.turnover")
                        .map(|value| figures::grouped(value, 2)),
                ),
            ],
        ),
        (
            "Fees and income",
            vec![
                ("Fees paid", money("fees.paid")),
                ("Rebates", money("fees.rebates")),
                ("Fees, net", money("fees.net")),
                (
                    "Fees in basis points of volume",
                    figures::decimal(results, "fees.rate_bps")
                        .map(|value| figures::grouped(value, 2)),
                ),
                ("Funding, interest, rewards", money("income.total")),
            ],
        ),
        (
            "Flows",
            vec![
                ("Value at the start", money("portfolio.start_value")),
                ("Deposits", money("flows.inflow")),
                ("Withdrawals", cost("flows.outflow")),
                ("Gain", money("returns.gain")),
                ("Value at the end", money("portfolio.end_value")),
            ],
        ),
        (
            "Where the gain came from",
            vec![
                ("Realized, spot", money("pnl.realized_spot")),
                ("Realized, futures", money("pnl.realized_futures")),
                ("Unrealized", money("pnl.unrealized")),
                ("Unrealized, futures", money("pnl.unrealized_futures_change")),
                ("Fees", cost("pnl.fees")),
                ("Funding, interest, rewards", money("pnl.income")),
                ("Transfer fees", cost("pnl.transfer_fees")),
                ("Left without a record", cost("pnl.unexplained_out")),
                ("Not attributed", money("pnl.residual")),
            ],
        ),
    ];
    html! {
        section id="activity" {
            h2 { "Activity, fees and flows in " (payload.base_currency) }
            div class="columns" {
                @for (name, rows) in columns {
                    div {
                        h3 { (name) }
                        table { tbody {
                            @for (row, value) in rows {
                                tr { th scope="row" { (row) } (number(value)) }
                            }
                        } }
                    }
                }
            }
        }
    }
}

fn number(value: Option<String>) -> Markup {
    let text = value.unwrap_or_else(|| NONE.to_owned());
    html! { td class=(if text.starts_with('\u{2212}') { "n minus" } else { "n" }) { (text) } }
}

pub(super) fn holdings(payload: &ReportPayload) -> Markup {
    let Some(Json::Array(assets)) = figures::at(&payload.results, "portfolio.by_asset") else {
        return html! {};
    };
    let quantities: Vec<Decimal> =
        assets.iter().filter_map(|asset| figures::decimal(asset, "quantity")).collect();
    let places = quantities.iter().map(|quantity| quantity.normalize().scale()).max();
    html! {
        section id="holdings" {
            h2 { "Holdings at the end" }
            div class="scroll" {
                table {
                    thead { tr { th scope="col" { "Asset" } th scope="col" class="n" { "Quantity" } th scope="col" class="n" { "Value in " (payload.base_currency) } } }
                    tbody {
                        @for asset in assets {
                            tr {
                                td { (asset.get("asset").and_then(Json::as_str).unwrap_or(NONE)) }
                                td class="n" { (figures::decimal(asset, "quantity").map_or_else(|| NONE.to_owned(), |quantity| figures::aligned(quantity, places.unwrap_or(0)))) }
                                (number(figures::decimal(asset, "value").map(|value| figures::grouped(value, figures::places(&payload.base_currency)))))
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn accounts(payload: &ReportPayload) -> Markup {
    html! {
        section id="accounts" {
            h2 { "Accounts" }
            p class="soft" { "Every account ever opened under the portfolio's key, named by its exchange. An account that was never connected cannot be seen." }
            div class="scroll" {
                table {
                    thead { tr { @for name in ["Account", "Label", "Identity at the exchange", "Opened", "Closed"] { th scope="col" { (name) } } } }
                    tbody {
                        @for account in &payload.accounts {
                            tr {
                                td class="when" { (account.id) }
                                td class="label" { bdi { (account.label) } }
                                td {
                                    code { (account.identity.value) }
                                    @if account.permissions_unreadable {
                                        " · what its key may do cannot be read"
                                    }
                                }
                                td class="when" { (instant(account.opened_at)) }
                                td class="when" { (account.closed_at.map_or_else(|| "open".to_owned(), instant)) }
                            }
                        }
                    }
                }
            }
            @if !payload.rate_sources.is_empty() {
                p class="soft" {
                    "Rates that no account's exchange lists: "
                    @for (n, rate) in payload.rate_sources.iter().enumerate() {
                        @if n > 0 { ", " } (rate.pair) " from " (rate.source)
                    }
                }
            }
        }
    }
}

/// Every value that is one number, time or word, with its method, its unit and why it is missing.
pub(super) fn every_metric(payload: &ReportPayload) -> Markup {
    let mut rows = Vec::new();
    leaves(&payload.results, String::new(), &mut rows);
    html! {
        section id="metrics" {
            h2 { "Every metric" }
            details {
                summary { "As signed, with method, unit and reason" }
                div class="scroll" {
                    table {
                        thead { tr { th scope="col" { "Metric" } th scope="col" class="n" { "Value" } th scope="col" { "Unit" } th scope="col" { "Method" } } }
                        tbody {
                            @for (path, value) in &rows {
                                @let method = figures::method(payload, path);
                                tr {
                                    td { code { (path) } }
                                    @match value {
                                        Some(text) => td class="n" { (text) },
                                        None => td class="n soft" { (figures::reason(&payload.results, path).map_or(NONE, figures::why)) },
                                    }
                                    td { (method.map_or(NONE, |method| &method.unit)) }
                                    td { code { (method.map_or(NONE, |method| &method.id)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn leaves(value: &Json, path: String, rows: &mut Vec<(String, Option<String>)>) {
    match value {
        Json::Object(fields) => {
            for (key, inner) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                if below != "reasons" {
                    leaves(inner, below, rows);
                }
            }
        }
        // Lists are tables of their own, or in the signed statement.
        Json::Array(_) => {}
        Json::Null => rows.push((path, None)),
        Json::Bool(value) => rows.push((path, Some(value.to_string()))),
        Json::Integer(value) => rows.push((path, Some(value.to_string()))),
        Json::String(value) => rows.push((path, Some(value.clone()))),
    }
}

/// The series as signed: the charts in numbers, for programs and screen readers.
pub(super) fn daily(payload: &ReportPayload) -> Markup {
    html! {
        section id="daily" {
            h2 { "Every day" }
            details {
                summary { "Index, drawdown and polls, as signed" }
                div class="scroll" {
                    table {
                        thead { tr { th scope="col" { "Day" } th scope="col" class="n" { "Index" } th scope="col" class="n" { "Drawdown" } th scope="col" class="n" { "Polls" } } }
                        tbody {
                            @for day in &payload.series.days {
                                tr data-day=(day.day) data-index=[&day.index] data-drawdown=[&day.drawdown] data-expected=(day.expected_ticks) data-complete=(day.complete_ticks) {
                                    td { (day.day) }
                                    td class="n" { (day.index.as_deref().unwrap_or(NONE)) }
                                    td class="n" { (day.drawdown.as_deref().unwrap_or(NONE)) }
                                    td class="n" { (day.complete_ticks) " / " (day.expected_ticks) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `1 Nov 2025 – 31 Dec 2025`
pub(super) fn span(payload: &ReportPayload) -> String {
    format!(
        "{} \u{2013} {}",
        format(payload.period.start, "%-d\u{a0}%b\u{a0}%Y"),
        format(payload.period.end, "%-d\u{a0}%b\u{a0}%Y")
    )
}

/// `2025-11-01 00:00 UTC`
pub(super) fn instant(at: UnixMillis) -> String {
    format(at, "%Y-%m-%d %H:%M UTC")
}

fn format(at: UnixMillis, pattern: &str) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|millis| Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| at.to_string(), |at| at.strftime(pattern).to_string())
}
