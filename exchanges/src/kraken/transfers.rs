//! Deposits and withdrawals.
//!
//! Both go by the time they were asked for, so what was pending must be asked
//! again. The ledger has the same moves once they are done.

use super::assets;
use crate::Context;
use crate::error::ExchangeError;
use crate::fact::{Fact, Money, Page, Transfer, TransferKind, TransferStatus};
use crate::json::{Object, Value, malformed};
use crate::query::{Cursor, Query};

/// A list, or an object with a list and the place where it goes on.
pub(super) fn page(
    result: Value<'_>,
    kind: TransferKind,
    context: &Context,
    cursor: Option<&Cursor>,
    go_on: impl Fn(Cursor) -> Query,
) -> Result<Page, ExchangeError> {
    let (rows, next) = if result.is_object() {
        let result = result.object("result")?;
        let next = result.maybe_text("next_cursor")?;
        let next: Option<Cursor> = next.map(|text| text.parse()).transpose()?;
        if next.is_some() && next.as_ref() == cursor {
            return Err(malformed("next_cursor"));
        }
        // The list's own name is not documented: it is the only list.
        let mut lists = result.fields().filter(|(_, value)| value.is_list());
        match (lists.next(), lists.next()) {
            (Some((_, rows)), None) => (rows.list("result")?, next),
            _ => return Err(malformed("result")),
        }
    } else {
        (result.list("result")?, None)
    };
    let mut facts = Vec::with_capacity(rows.len());
    for row in rows {
        facts.push(Fact::Transfer(transfer(&row.object("result")?, kind, context)?));
    }
    Ok(Page::new(facts, next.map(go_on)))
}

fn transfer(
    row: &Object<'_>,
    kind: TransferKind,
    context: &Context,
) -> Result<Transfer, ExchangeError> {
    let asset = assets::code_of(&row.text("asset")?, context);
    let txid = row.maybe_id("txid")?;
    let fee = row.maybe_decimal("fee")?;
    let network = match row.maybe_text("network")? {
        Some(network) => Some(network),
        None => row.maybe_text("method")?,
    };
    Ok(Transfer {
        id: row.maybe_id("refid")?.or_else(|| txid.clone()).ok_or_else(|| malformed("refid"))?,
        kind,
        amount: row.decimal("amount")?.abs(),
        fee: fee.map(|amount| Money { asset: asset.clone(), amount }),
        asset,
        status: status(&row.text("status")?, row.maybe_text("status-prop")?.as_deref()),
        txid,
        network,
        internal: Some(false),
        at: row.time("time")?,
        completed_at: None,
    })
}

fn status(status: &str, prop: Option<&str>) -> TransferStatus {
    match (prop, status) {
        (Some("return" | "canceled"), _) => TransferStatus::Canceled,
        (Some("onhold" | "on-hold" | "cancel-pending"), _)
        | (_, "Initial" | "Pending" | "Settled" | "Partial") => TransferStatus::Pending,
        (_, "Success") => TransferStatus::Ok,
        (_, "Failure") => TransferStatus::Failed,
        _ => TransferStatus::Unknown,
    }
}
