//! Executions and the account log.

use jiff::Timestamp;
use rust_decimal::Decimal;

use super::contracts;
use super::routes::{FILLS_PAGE, LOG_PAGE};
use crate::error::ExchangeError;
use crate::fact::{AccountLogEntry, BookingClass, Fact, Fill, Liquidity, Money, Page};
use crate::json::{Object, malformed};
use crate::query::{Cursor, Query, Window};
use crate::{Context, UnixMillis};

/// Newest first, and from `lastFillTime` on to older ones.
///
/// Whether that instant counts is not documented, so the next page begins one
/// millisecond after the oldest row: rows of that millisecond come again, and
/// none is skipped. A page that holds one single millisecond could not move;
/// it is an error and no end.
pub(super) fn fills(
    body: &Object<'_>,
    context: &Context,
    window: Window,
    cursor: Option<&Cursor>,
    limit: u16,
) -> Result<Page, ExchangeError> {
    let mut facts = Vec::new();
    let mut oldest: Option<UnixMillis> = None;
    for row in body.list("fills")? {
        let read = fill(&row.object("fills")?, context)?;
        oldest = Some(oldest.map_or(read.at, |oldest| oldest.min(read.at)));
        facts.push(Fact::Fill(read));
    }
    let next = match oldest {
        Some(oldest) if facts.len() >= FILLS_PAGE && oldest >= window.start => {
            let next = instant(oldest)?;
            if Some(&next) == cursor {
                return Err(malformed("fillTime"));
            }
            Some(Query::AccountFills { window, cursor: Some(next), limit })
        }
        _ => None,
    };
    Ok(Page::new(facts, next))
}

/// One millisecond after `at`, as `lastFillTime` takes it.
fn instant(at: UnixMillis) -> Result<Cursor, ExchangeError> {
    let after = i64::try_from(at.0).ok().and_then(|millis| millis.checked_add(1));
    let after = after.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    let after = after.ok_or_else(|| malformed("fillTime"))?;
    format!("{after:.3}").parse()
}

fn fill(row: &Object<'_>, context: &Context) -> Result<Fill, ExchangeError> {
    let instrument = contracts::contract(&row.text("symbol")?, context)?;
    let (price, amount) = (row.decimal("price")?, row.decimal("size")?);
    let size = amount.checked_mul(instrument.contract_size);
    let notional =
        if instrument.inverse { size } else { size.and_then(|it| it.checked_mul(price)) };
    let fill_type = row.maybe_text("fillType")?;
    // Only newer replies have both.
    let fee = match (row.maybe_decimal("fee_paid")?, row.maybe_text("fee_currency")?) {
        (Some(amount), Some(code)) => Some(Money { asset: contracts::asset(&code), amount }),
        _ => None,
    };
    Ok(Fill {
        id: row.id("fill_id")?,
        trade_id: None,
        order_id: row.id("order_id")?,
        side: row.side("side", ["buy", "sell"])?,
        price,
        amount,
        amount_unit: contracts::amount_unit(&instrument),
        notional_quote: notional.ok_or_else(|| malformed("size"))?.normalize(),
        fee,
        realized_pnl: None,
        liquidity: match fill_type.as_deref() {
            Some("maker") => Some(Liquidity::Maker),
            Some("taker" | "takerAfterEdit" | "liquidation") => Some(Liquidity::Taker),
            _ => None,
        },
        fill_type,
        at: row.time("fillTime")?,
        instrument,
    })
}

/// Oldest first, and on by id. Ids ascend; a page begins with the last one
/// of the page before, or after it: either is right.
pub(super) fn log(
    body: &Object<'_>,
    context: &Context,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Page, ExchangeError> {
    let rows = body.list("logs")?;
    let full = rows.len() >= LOG_PAGE;
    let mut facts = Vec::new();
    let mut last: Option<u64> = None;
    for row in rows {
        let row = row.object("logs")?;
        let id = row.id("id")?;
        if full {
            last = last.max(Some(id.parse().map_err(|_| malformed("id"))?));
        }
        let asset = row.text("asset")?;
        // Rows of contracts count positions and no money.
        if !contracts::is_contract(&asset, context) {
            facts.push(Fact::AccountLogEntry(entry(id, &asset, &row, context)?));
        }
    }
    let next = match last {
        Some(last) => {
            let asked: u64 = cursor.and_then(|cursor| cursor.as_str().parse().ok()).unwrap_or(0);
            if last <= asked {
                return Err(malformed("id"));
            }
            Some(Query::Ledger { window, cursor: Some(last.to_string().parse()?) })
        }
        None => None,
    };
    Ok(Page::new(facts, next))
}

fn entry(
    id: String,
    asset: &str,
    row: &Object<'_>,
    context: &Context,
) -> Result<AccountLogEntry, ExchangeError> {
    let raw_type = row.text("info")?;
    let change: Option<Decimal> =
        row.decimal("new_balance")?.checked_sub(row.decimal("old_balance")?);
    let symbol = row.maybe_text("contract")?.map(|raw| match contracts::contract(&raw, context) {
        Ok(instrument) => instrument.symbol.clone(),
        Err(_) => raw,
    });
    Ok(AccountLogEntry {
        id,
        booking_uid: row.maybe_id("booking_uid")?,
        execution: row.maybe_id("execution")?,
        class: class(&raw_type),
        raw_type,
        asset: contracts::asset(asset),
        balance_change: change.ok_or_else(|| malformed("new_balance"))?.normalize(),
        fee: row.maybe_decimal("fee")?,
        funding: row.maybe_decimal("realized_funding")?,
        realized_pnl: row.maybe_decimal("realized_pnl")?,
        symbol,
        at: row.time("date")?,
    })
}

fn class(info: &str) -> BookingClass {
    match info {
        "futures trade" | "futures liquidation" | "futures assignor" => BookingClass::Trade,
        "funding rate change" => BookingClass::Funding,
        "conversion" => BookingClass::Conversion,
        "cross-exchange transfer" | "admin transfer" | "sub-account transfer" | "transfer" => {
            BookingClass::Transfer
        }
        "interest payment" => BookingClass::Interest,
        "futures trade settlement" | "cash settlement" | "settled on expiration" => {
            BookingClass::Settlement
        }
        _ => BookingClass::Other,
    }
}
