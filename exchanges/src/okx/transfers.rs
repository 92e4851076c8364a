//! Deposits and withdrawals: two lists, newest first.

use crate::UnixMillis;
use crate::error::ExchangeError;
use crate::fact::{Fact, Money, Transfer, TransferKind, TransferStatus};
use crate::json::{Object, Value, malformed};

/// The rows of one page, and the time of the oldest.
pub(super) fn page(
    rows: Vec<Value<'_>>,
    kind: TransferKind,
) -> Result<(Vec<Fact>, Option<UnixMillis>), ExchangeError> {
    let mut facts = Vec::with_capacity(rows.len());
    let mut oldest: Option<UnixMillis> = None;
    for row in rows {
        let row = row.object("data")?;
        let transfer = match kind {
            TransferKind::Deposit => deposit(&row),
            TransferKind::Withdrawal => withdrawal(&row),
        }?;
        oldest = Some(oldest.map_or(transfer.at, |oldest| oldest.min(transfer.at)));
        facts.push(Fact::Transfer(transfer));
    }
    Ok((facts, oldest))
}

fn deposit(row: &Object<'_>) -> Result<Transfer, ExchangeError> {
    let txid = row.maybe_text("txId")?;
    let id = row.maybe_id("depId")?.or_else(|| txid.clone());
    Ok(Transfer {
        id: id.ok_or_else(|| malformed("depId"))?,
        kind: TransferKind::Deposit,
        asset: row.text("ccy")?,
        amount: row.decimal("amt")?.abs(),
        fee: None,
        status: match row.integer("state")? {
            // Credited, and to be confirmed further before it may leave again.
            1 | 2 => TransferStatus::Ok,
            // Waiting for the chain, or held up by a suspension or a check.
            0 | 8 | 12 | 13 | 14 | 17 => TransferStatus::Pending,
            11 => TransferStatus::Failed,
            _ => TransferStatus::Unknown,
        },
        txid,
        network: row.maybe_text("chain")?,
        internal: Some(row.maybe_id("fromWdId")?.is_some()),
        at: row.time("ts")?,
        completed_at: None,
    })
}

fn withdrawal(row: &Object<'_>) -> Result<Transfer, ExchangeError> {
    let asset = row.text("ccy")?;
    let txid = row.maybe_text("txId")?;
    let id = row.maybe_id("wdId")?.or_else(|| txid.clone());
    // 2 is a user of the exchange; 1 may be one by mail address or a wallet,
    // and only a wallet has a transaction.
    let internal = match row.maybe_id("toAddrType")?.as_deref() {
        Some("2") => Some(true),
        _ if txid.is_some() => Some(false),
        _ => None,
    };
    let fee = match row.maybe_decimal("fee")? {
        None => None,
        Some(amount) => {
            let asset = row.maybe_text("feeCcy")?.unwrap_or_else(|| asset.clone());
            Some(Money { asset, amount: amount.abs() })
        }
    };
    Ok(Transfer {
        id: id.ok_or_else(|| malformed("wdId"))?,
        kind: TransferKind::Withdrawal,
        asset,
        amount: row.decimal("amt")?.abs(),
        fee,
        status: match row.integer("state")? {
            2 => TransferStatus::Ok,
            -3 | 0 | 1 | 4..=10 | 12 | 15..=17 | 19 => TransferStatus::Pending,
            -2 => TransferStatus::Canceled,
            -1 => TransferStatus::Failed,
            _ => TransferStatus::Unknown,
        },
        txid,
        network: row.maybe_text("chain")?,
        internal,
        at: row.time("ts")?,
        completed_at: None,
    })
}
