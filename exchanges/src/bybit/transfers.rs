//! Deposits on a chain, deposits of other customers, withdrawals: three lists.

use crate::error::ExchangeError;
use crate::fact::{Fact, Money, Transfer, TransferKind, TransferStatus};
use crate::json::{Object, malformed};

/// One page of deposits that came over a chain.
pub(super) fn deposits(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("rows")? {
        let row = row.object("rows")?;
        let status = match row.integer("status")? {
            1 | 2 | 10011 => TransferStatus::Pending,
            3 | 10012 => TransferStatus::Ok,
            4 => TransferStatus::Failed,
            _ => TransferStatus::Unknown,
        };
        let at = match row.maybe_time("successAt")? {
            Some(at) => at,
            None if status == TransferStatus::Ok => return Err(malformed("successAt")),
            // Not arrived yet, and nothing says when it was seen.
            None => continue,
        };
        let txid = row.maybe_text("txID")?;
        facts.push(Fact::Transfer(Transfer {
            id: row.maybe_id("id")?.or_else(|| txid.clone()).ok_or_else(|| malformed("id"))?,
            kind: TransferKind::Deposit,
            asset: row.text("coin")?,
            amount: row.decimal("amount")?.abs(),
            fee: None,
            status,
            txid,
            network: row.maybe_text("chain")?,
            internal: Some(false),
            at,
            completed_at: None,
        }));
    }
    Ok(facts)
}

/// One page of deposits that stayed inside the exchange.
pub(super) fn internal_deposits(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("rows")? {
        let row = row.object("rows")?;
        let txid = row.maybe_text("txID")?;
        facts.push(Fact::Transfer(Transfer {
            // Numbered apart from the deposits of the other list.
            id: format!("internal:{}", row.id("id")?),
            kind: TransferKind::Deposit,
            asset: row.text("coin")?,
            amount: row.decimal("amount")?.abs(),
            fee: None,
            status: match row.integer("status")? {
                1 => TransferStatus::Pending,
                2 => TransferStatus::Ok,
                3 => TransferStatus::Failed,
                _ => TransferStatus::Unknown,
            },
            txid,
            network: None,
            internal: Some(true),
            at: row.time("createdTime")?,
            completed_at: None,
        }));
    }
    Ok(facts)
}

/// One page of withdrawals of both sorts.
pub(super) fn withdrawals(result: &Object<'_>) -> Result<Vec<Fact>, ExchangeError> {
    let mut facts = Vec::new();
    for row in result.list("rows")? {
        let row = row.object("rows")?;
        let asset = row.text("coin")?;
        let fee = row.maybe_decimal("withdrawFee")?;
        let txid = row.maybe_text("txID")?;
        let id = row.maybe_id("withdrawId")?.or_else(|| txid.clone());
        facts.push(Fact::Transfer(Transfer {
            id: id.ok_or_else(|| malformed("withdrawId"))?,
            kind: TransferKind::Withdrawal,
            amount: row.decimal("amount")?.abs(),
            fee: fee.map(|amount| Money { asset: asset.clone(), amount }),
            asset,
            status: match row.text("status")?.as_str() {
                "success" | "BlockchainConfirmed" => TransferStatus::Ok,
                "SecurityCheck" | "Pending" | "MoreInformationRequired" => TransferStatus::Pending,
                "CancelByUser" => TransferStatus::Canceled,
                "Reject" | "Fail" => TransferStatus::Failed,
                _ => TransferStatus::Unknown,
            },
            txid,
            network: row.maybe_text("chain")?,
            internal: match row.get("withdrawType") {
                Some(value) => Some(value.integer("withdrawType")? == 1),
                None => None,
            },
            at: row.time("createTime")?,
            completed_at: None,
        }));
    }
    Ok(facts)
}
