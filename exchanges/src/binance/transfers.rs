//! Deposits, withdrawals and bank payments.

use crate::error::{Answer, ExchangeError, Kind};
use crate::fact::{Fact, Money, Page, Transfer, TransferKind, TransferStatus};
use crate::json::{Object, Value, malformed};
use crate::query::{Cursor, Query, Window};

use super::routes::{FIAT_PAGE, PAGE, TRANSFERS_PAGE};

/// Ways between the spot wallet and the others that are asked, by Binance's
/// names. What goes out of the spot wallet begins with it.
pub const WAYS: [&str; 8] = [
    "MAIN_UMFUTURE",
    "UMFUTURE_MAIN",
    "MAIN_CMFUTURE",
    "CMFUTURE_MAIN",
    "MAIN_MARGIN",
    "MARGIN_MAIN",
    "MAIN_FUNDING",
    "FUNDING_MAIN",
];

pub(super) fn deposits(
    document: Value<'_>,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Page, ExchangeError> {
    let rows = document.list("body")?;
    let next = after(&rows, cursor)?.map(|at| Query::Deposits { window, cursor: Some(at) });
    let status = |status| match status {
        0 | 8 => TransferStatus::Pending,
        1 | 6 => TransferStatus::Ok,
        2 | 7 => TransferStatus::Failed,
        _ => TransferStatus::Unknown,
    };
    let read = |row: &Object<'_>| {
        Ok(Transfer {
            at: row.time("insertTime")?,
            ..on_chain(row, TransferKind::Deposit, status(row.integer("status")?))?
        })
    };
    page(rows, next, read)
}

pub(super) fn withdrawals(
    document: Value<'_>,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Page, ExchangeError> {
    let rows = document.list("body")?;
    let next = after(&rows, cursor)?.map(|at| Query::Withdrawals { window, cursor: Some(at) });
    let status = |status| match status {
        0 | 2 | 4 => TransferStatus::Pending,
        1 => TransferStatus::Canceled,
        3 | 5 => TransferStatus::Failed,
        6 => TransferStatus::Ok,
        _ => TransferStatus::Unknown,
    };
    let read = |row: &Object<'_>| {
        let fee = row.maybe_decimal("transactionFee")?;
        let asset = row.text("coin")?;
        Ok(Transfer {
            fee: fee.map(|amount| Money { asset, amount }),
            at: row.time("applyTime")?,
            ..on_chain(row, TransferKind::Withdrawal, status(row.integer("status")?))?
        })
    };
    page(rows, next, read)
}

/// What deposits and withdrawals have in common. `at` is set by the caller.
fn on_chain(
    row: &Object<'_>,
    kind: TransferKind,
    status: TransferStatus,
) -> Result<Transfer, ExchangeError> {
    let txid = row.maybe_text("txId")?;
    Ok(Transfer {
        id: row.maybe_id("id")?.or_else(|| txid.clone()).ok_or_else(|| malformed("id"))?,
        kind,
        asset: row.text("coin")?,
        amount: row.decimal("amount")?.abs(),
        fee: None,
        status,
        txid,
        network: row.maybe_text("network")?,
        internal: Some(match row.get("transferType") {
            Some(value) => value.integer("transferType")? == 1,
            None => false,
        }),
        at: crate::UnixMillis(0),
        completed_at: row.maybe_time("completeTime")?,
    })
}

/// Where a full page goes on.
fn after(rows: &[Value<'_>], cursor: Option<&Cursor>) -> Result<Option<Cursor>, ExchangeError> {
    if rows.len() < usize::from(PAGE) {
        return Ok(None);
    }
    let offset = cursor.map_or(Ok(0), Cursor::to_offset)?;
    let read = u32::try_from(rows.len()).map_err(|_| malformed("body"))?;
    offset.checked_add(read).map(|rows| Some(Cursor::offset(rows))).ok_or_else(|| malformed("body"))
}

pub(super) fn fiat_orders(
    document: Value<'_>,
    kind: TransferKind,
    window: Window,
    number: u32,
) -> Result<Page, ExchangeError> {
    let body = document.object("body")?;
    // A refusal comes with the status 200 and a positive code.
    let code = body.id("code")?;
    if code != "000000"
        || body.get("success").is_some_and(|value| value.flag("success") != Ok(true))
    {
        let (kind, status, code) = (Kind::Unknown, 200, code.parse().ok());
        return Err(ExchangeError::Answered(Answer { kind, status, code, retry_after: None }));
    }
    let rows = match body.get("data") {
        Some(rows) => rows.list("data")?,
        // Left out where there is nothing; but never where there is a count.
        None => match body.get("total") {
            Some(total) if total.integer("total")? != 0 => return Err(malformed("data")),
            _ => Vec::new(),
        },
    };
    let full = rows.len() >= usize::from(FIAT_PAGE);
    let next = if full {
        let page = number.checked_add(1).ok_or_else(|| malformed("data"))?;
        Some(Query::FiatOrders { kind, window, page })
    } else {
        None
    };
    page(rows, next, |row| fiat_order(row, kind))
}

fn fiat_order(row: &Object<'_>, kind: TransferKind) -> Result<Transfer, ExchangeError> {
    let asset = row.text("fiatCurrency")?;
    let fee = row.maybe_decimal("totalFee")?;
    let status = match row.text("status")?.as_str() {
        "Successful" | "Finished" | "Completed" => TransferStatus::Ok,
        "Processing" | "Refunding" => TransferStatus::Pending,
        "Refunded" => TransferStatus::Canceled,
        "Failed" | "Expired" | "Refund Failed" => TransferStatus::Failed,
        _ => TransferStatus::Unknown,
    };
    Ok(Transfer {
        id: row.id("orderNo")?,
        kind,
        amount: row.decimal("amount")?.abs(),
        fee: fee.map(|amount| Money { asset: asset.clone(), amount }),
        asset,
        status,
        txid: None,
        network: row.maybe_text("method")?,
        internal: Some(false),
        at: row.time("createTime")?,
        completed_at: row.maybe_time("updateTime")?,
    })
}

/// Transfers one way between the spot wallet and another one, as they move the
/// spot wallet.
pub(super) fn between_wallets(
    document: Value<'_>,
    way: Option<&str>,
    window: Window,
    cursor: Option<&Cursor>,
) -> Result<Page, ExchangeError> {
    let body = document.object("body")?;
    // Left out where there is nothing; but never where there is a count.
    let rows = match body.get("rows") {
        Some(rows) => rows.list("rows")?,
        None if body.integer("total")? == 0 => Vec::new(),
        None => return Err(malformed("rows")),
    };
    let next = if rows.len() >= usize::from(TRANSFERS_PAGE) {
        let number = cursor.map_or(Ok(1), Cursor::to_offset)?;
        let number = number.checked_add(1).ok_or_else(|| malformed("rows"))?;
        let (account, cursor) = (way.map(str::to_owned), Some(Cursor::offset(number)));
        Some(Query::Transfers { account, window, cursor })
    } else {
        None
    };
    page(rows, next, |row| {
        let way = row.text("type")?;
        let kind = match (way.starts_with("MAIN_"), way.ends_with("_MAIN")) {
            (true, false) => TransferKind::Withdrawal,
            (false, true) => TransferKind::Deposit,
            _ => return Err(malformed("type")),
        };
        Ok(Transfer {
            id: row.id("tranId")?,
            kind,
            asset: row.text("asset")?,
            amount: row.decimal("amount")?.abs(),
            fee: None,
            status: match row.text("status")?.as_str() {
                "CONFIRMED" => TransferStatus::Ok,
                "PENDING" => TransferStatus::Pending,
                "FAILED" => TransferStatus::Failed,
                _ => TransferStatus::Unknown,
            },
            txid: None,
            network: None,
            internal: Some(true),
            at: row.time("timestamp")?,
            completed_at: None,
        })
    })
}

fn page(
    rows: Vec<Value<'_>>,
    next: Option<Query>,
    read: impl Fn(&Object<'_>) -> Result<Transfer, ExchangeError>,
) -> Result<Page, ExchangeError> {
    let facts = rows
        .into_iter()
        .map(|row| read(&row.object("body")?).map(Fact::Transfer))
        .collect::<Result<_, _>>()?;
    Ok(Page::new(facts, next))
}
