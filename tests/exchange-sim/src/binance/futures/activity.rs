//! Trades and income of a futures wallet.

use rust_decimal::Decimal;
use serde::Serialize;

use crate::number::{Number, padded};
use crate::scenario::{IncomeKind, Side};
use crate::world::{IncomeRow, Instrument, Kind, Trade, Wallet};

use super::super::account::Selection;
use super::super::contracts::{self, pair_name};
use super::super::market::PLACES;
use super::super::refusal::Refusal;
use super::super::{Answer, Call, json};
use super::{amount, opened};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    symbol: String,
    id: u64,
    order_id: u64,
    pair: String,
    side: &'static str,
    price: String,
    qty: String,
    realized_pnl: String,
    margin_asset: String,
    quote_qty: String,
    base_qty: String,
    commission: String,
    commission_asset: String,
    time: u64,
    position_side: &'static str,
    buyer: bool,
    maker: bool,
}

fn row(it: &Instrument, trade: &Trade) -> Result<Row, Refusal> {
    let decimal = |it: &Number| it.decimal().map_err(|_| Refusal::internal());
    let base = if it.inverse {
        trade.quote_qty.checked_div(decimal(&trade.price)?).ok_or_else(Refusal::internal)?
    } else {
        decimal(&trade.qty)?
    };
    let fee = trade.fee.as_ref();
    let realized = trade.contract.as_ref().map_or(Decimal::ZERO, |contract| contract.realized);
    Ok(Row {
        symbol: it.symbol.clone(),
        id: trade.id,
        order_id: trade.order_id,
        pair: pair_name(it),
        side: if trade.side == Side::Buy { "BUY" } else { "SELL" },
        price: trade.price.as_str().to_owned(),
        qty: trade.qty.as_str().to_owned(),
        realized_pnl: amount(realized),
        margin_asset: it.settle.clone(),
        quote_qty: padded(trade.quote_qty, 0),
        base_qty: padded(base.round_dp(8), 0),
        commission: fee.map_or_else(Number::zero, |fee| fee.amount.clone()).padded(PLACES),
        commission_asset: fee.map_or_else(|| it.settle.clone(), |fee| fee.asset.clone()),
        time: trade.at.millis(),
        position_side: "BOTH",
        buyer: trade.side == Side::Buy,
        maker: trade.maker,
    })
}

/// Windows of a week, and by default the last one.
const WEEK_HOURS: u64 = 7 * 24;

pub(in super::super) fn usdm_trades(call: &Call<'_>) -> Answer {
    let it =
        contracts::find(call.world(), Wallet::LinearFutures, call.params.mandatory("symbol")?)?;
    let selection =
        Selection { hours: WEEK_HOURS, limit_default: 500, without_times: Some(WEEK_HOURS) };
    let trades = opened(call, Wallet::LinearFutures)?.futures_trades(&it.symbol, call.now());
    let rows: Result<Vec<_>, _> =
        selection.of(call, trades)?.into_iter().map(|trade| row(it, trade)).collect();
    json(&rows?)
}

/// By symbol or by pair, but not by both; a pair has no `fromId`.
pub(in super::super) fn coinm_trades(call: &Call<'_>) -> Answer {
    let params = call.params;
    let wanted: Vec<&Instrument> = match (params.get("symbol"), params.get("pair")) {
        (Some(symbol), None) => {
            vec![contracts::find(call.world(), Wallet::InverseFutures, symbol)?]
        }
        (None, Some(pair)) => contracts::listed(call.world(), Wallet::InverseFutures)
            .filter(|it| pair_name(it) == pair)
            .collect(),
        (Some(_), Some(_)) => return Err(Refusal::combination()),
        (None, None) => return Err(Refusal::mandatory("symbol")),
    };
    if params.has("pair") && params.has("fromId") {
        return Err(Refusal::combination());
    }
    let selection =
        Selection { hours: WEEK_HOURS, limit_default: 50, without_times: Some(WEEK_HOURS) };
    let account = opened(call, Wallet::InverseFutures)?;
    let mut rows = Vec::new();
    for it in wanted {
        for trade in selection.of(call, account.futures_trades(&it.symbol, call.now()))? {
            rows.push(row(it, trade)?);
        }
    }
    rows.sort_by_key(|row| (row.time, row.id));
    json(&rows)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IncomeLine<'a> {
    symbol: &'a str,
    income_type: &'static str,
    income: String,
    asset: &'a str,
    info: String,
    time: u64,
    tran_id: Id,
    trade_id: &'a str,
}

/// A number on one host and a text on the other.
#[derive(Serialize)]
#[serde(untagged)]
enum Id {
    Number(u64),
    Text(String),
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Commission => "COMMISSION",
        Kind::RealizedPnl => "REALIZED_PNL",
        Kind::Transfer => "TRANSFER",
        Kind::Income(IncomeKind::Funding) => "FUNDING_FEE",
        Kind::Income(IncomeKind::Rebate) => "COMMISSION_REBATE",
        Kind::Income(IncomeKind::Reward) => "WELCOME_BONUS",
        Kind::Income(IncomeKind::Interest | IncomeKind::Other) => "API_REBATE",
    }
}

const DAY_MS: u64 = 24 * 3600 * 1000;

pub(in super::super) fn usdm_income(call: &Call<'_>) -> Answer {
    // Older lines are gone, whatever is asked.
    income(call, Wallet::LinearFutures, 90 * DAY_MS)
}

pub(in super::super) fn coinm_income(call: &Call<'_>) -> Answer {
    let (start, end) = (call.params.number("startTime")?, call.params.number("endTime")?);
    if let (Some(start), Some(end)) = (start, end)
        && end.saturating_sub(start) > 365 * DAY_MS
    {
        return Err(Refusal::window(365 * 24));
    }
    income(call, Wallet::InverseFutures, 365 * DAY_MS)
}

/// Oldest first; both times are inclusive, and without them the last seven days count.
fn income(call: &Call<'_>, wallet: Wallet, reach_ms: u64) -> Answer {
    let params = call.params;
    let now = call.now().millis();
    let (start, end) = (params.number("startTime")?, params.number("endTime")?);
    if let (Some(start), Some(end)) = (start, end)
        && end < start
    {
        return Err(Refusal::invalid("endTime"));
    }
    let end = end.unwrap_or(now);
    let start = start.unwrap_or_else(|| end.saturating_sub(7 * DAY_MS));
    let start = start.max(now.saturating_sub(reach_ms));
    let limit = params.limit("limit", 100, 1000)?;
    let page = params.limit("page", 1, 1_000_000)?;
    let wanted = params.get("incomeType");
    if let Some(symbol) = params.get("symbol") {
        contracts::find(call.world(), wallet, symbol)?;
    }
    let rows = opened(call, wallet)?.income(call.now());
    let rows = rows.into_iter().filter(|row| {
        (start..=end).contains(&row.at.millis())
            && wanted.is_none_or(|wanted| wanted == name(row.kind))
            && params.get("symbol").is_none_or(|symbol| symbol == row.symbol)
    });
    let rows = rows.skip((page - 1) * limit).take(limit);
    let rows: Vec<_> = rows.map(|row| line(row, wallet)).collect();
    json(&rows)
}

fn line(row: &IncomeRow, wallet: Wallet) -> IncomeLine<'_> {
    IncomeLine {
        symbol: &row.symbol,
        income_type: name(row.kind),
        income: amount(row.amount),
        asset: &row.asset,
        info: match row.kind {
            Kind::Transfer if row.amount.is_sign_negative() => "WITHDRAW".to_owned(),
            Kind::Transfer => "DEPOSIT".to_owned(),
            Kind::Commission | Kind::RealizedPnl => row.trade.clone(),
            Kind::Income(_) => name(row.kind).to_owned(),
        },
        time: row.at.millis(),
        tran_id: match wallet {
            Wallet::InverseFutures => Id::Text(row.id.to_string()),
            Wallet::Spot | Wallet::CrossMargin | Wallet::IsolatedMargin | Wallet::LinearFutures => {
                Id::Number(row.id)
            }
        },
        trade_id: &row.trade,
    }
}
