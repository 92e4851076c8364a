//! Bookings of futures accounts.

use crate::error::ExchangeError;
use crate::fact::{Fact, Income, IncomeType, Page};
use crate::json::{Object, Value, malformed};
use crate::query::Query;
use crate::{Context, UnixMillis};

/// Where in the list a page is.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) start: Option<UnixMillis>,
    pub(super) end: Option<UnixMillis>,
    pub(super) page: u32,
    pub(super) limit: u16,
}

/// One page. A full one goes on at its last time, which repeats rows that
/// were read (their keys are equal); if it holds one single time, that would
/// not move, and the page number counts on instead.
pub(super) fn page(document: Value<'_>, context: &Context, at: At) -> Result<Page, ExchangeError> {
    let rows = document.list("body")?;
    let full = rows.len() >= usize::from(at.limit);
    let mut facts = Vec::with_capacity(rows.len());
    let mut span: Option<(UnixMillis, UnixMillis)> = None;
    for row in rows {
        let income = booking(&row.object("body")?, context)?;
        let (first, last) = span.unwrap_or((income.at, income.at));
        span = Some((first.min(income.at), last.max(income.at)));
        facts.push(Fact::Income(income));
    }
    let next = match span {
        Some((first, last)) if full => Some(following(at, first, last)?),
        _ => None,
    };
    Ok(Page::new(facts, next))
}

fn following(at: At, first: UnixMillis, last: UnixMillis) -> Result<Query, ExchangeError> {
    let At { start, end, page, limit } = at;
    if first == last {
        let page = page.checked_add(1).ok_or_else(|| malformed("time"))?;
        return Ok(Query::Income { start, end, page, limit });
    }
    if start.is_some_and(|start| last < start) {
        return Err(malformed("time"));
    }
    Ok(Query::Income { start: Some(last), end, page: 1, limit })
}

fn booking(row: &Object<'_>, context: &Context) -> Result<Income, ExchangeError> {
    let raw_type = row.text("incomeType")?;
    let asset = row.text("asset")?;
    let transaction = row.id("tranId")?;
    let trade = row.maybe_id("tradeId")?.unwrap_or_default();
    let symbol = row.maybe_text("symbol")?;
    Ok(Income {
        // A transaction id is unique only within its type.
        key: format!("{raw_type}:{transaction}:{asset}:{trade}"),
        kind: income_type(&raw_type),
        raw_type,
        asset,
        amount: row.decimal("income")?,
        symbol: symbol.map(|raw| match context.instrument(&raw) {
            Some(instrument) => instrument.symbol.clone(),
            None => raw,
        }),
        at: row.time("time")?,
    })
}

fn income_type(raw: &str) -> IncomeType {
    match raw {
        "FUNDING_FEE" => IncomeType::Funding,
        // The exchange's own spelling.
        "REALIZED_PNL" | "DELIVERED_SETTELMENT" => IncomeType::RealizedPnl,
        "COMMISSION" => IncomeType::Commission,
        "TRANSFER"
        | "INTERNAL_TRANSFER"
        | "CROSS_COLLATERAL_TRANSFER"
        | "STRATEGY_UMFUTURES_TRANSFER" => IncomeType::Transfer,
        "INSURANCE_CLEAR" => IncomeType::LiquidationFee,
        "REFERRAL_KICKBACK" | "COMMISSION_REBATE" | "API_REBATE" => IncomeType::Rebate,
        "WELCOME_BONUS" => IncomeType::Bonus,
        "COIN_SWAP_DEPOSIT" | "COIN_SWAP_WITHDRAW" | "AUTO_EXCHANGE" => IncomeType::Conversion,
        _ => IncomeType::Other,
    }
}
