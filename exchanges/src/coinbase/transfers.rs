//! Deposits and withdrawals: the transactions of one wallet that cross the
//! border of the account, newest first.

use rust_decimal::Decimal;

use crate::UnixMillis;
use crate::error::ExchangeError;
use crate::fact::{Fact, Money, Transfer, TransferKind, TransferStatus};
use crate::json::{Object, Value, malformed};

/// Types that are deposits or withdrawals. Everything else stays inside:
/// trades, conversions, moves between portfolios, rewards.
const EXTERNAL: [&str; 5] = ["send", "receive", "onchain_send", "fiat_deposit", "fiat_withdrawal"];

/// The transfers of one page, and the id after which it goes on. There is no
/// more to ask for once a page reaches back beyond `start`.
pub(super) fn page(
    document: Value<'_>,
    start: UnixMillis,
) -> Result<(Vec<Fact>, Option<String>), ExchangeError> {
    let body = document.object("body")?;
    let mut facts = Vec::new();
    let mut oldest: Option<UnixMillis> = None;
    for row in body.list("data")? {
        let row = row.object("data")?;
        let at = row.time("created_at")?;
        oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
        if EXTERNAL.contains(&row.text("type")?.as_str()) {
            facts.push(Fact::Transfer(transfer(&row, at)?));
        }
    }
    let pagination = body.need("pagination")?.object("pagination")?;
    let descending = pagination.maybe_text("order")?.is_none_or(|order| order == "desc");
    let reached = descending && oldest.is_some_and(|oldest| oldest < start);
    let next = match pagination.maybe_text("next_uri")? {
        Some(uri) if !reached => Some(starting_after(&uri)?),
        Some(_) | None => None,
    };
    Ok((facts, next))
}

/// The id in the address of the next page. The address itself is not used: a
/// reply does not say where a key is sent.
fn starting_after(uri: &str) -> Result<String, ExchangeError> {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let id = query.split('&').find_map(|pair| pair.strip_prefix("starting_after="));
    let plain = |id: &&str| {
        !id.is_empty()
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    id.filter(plain).map(str::to_owned).ok_or_else(|| malformed("next_uri"))
}

fn transfer(row: &Object<'_>, at: UnixMillis) -> Result<Transfer, ExchangeError> {
    let amount = row.need("amount")?.object("amount")?;
    let signed = amount.decimal("amount")?;
    let network = match row.get("network") {
        Some(network) => Some(network.object("network")?),
        None => None,
    };
    let network_text = |name: &'static str| match &network {
        Some(network) => network.maybe_text(name),
        None => Ok(None),
    };
    let txid = network_text("hash")?;
    let asset = amount.text("currency")?;
    let (amount, fee) = match &network {
        Some(network) if signed.is_sign_negative() => sent(network, signed.abs(), &asset)?,
        Some(_) | None => (signed.abs(), None),
    };
    Ok(Transfer {
        id: row.maybe_id("id")?.or_else(|| txid.clone()).ok_or_else(|| malformed("id"))?,
        // The types do not say: a `send` of someone else comes in.
        kind: if signed.is_sign_negative() {
            TransferKind::Withdrawal
        } else {
            TransferKind::Deposit
        },
        asset,
        amount,
        fee,
        status: match row.text("status")?.as_str() {
            "completed" => TransferStatus::Ok,
            "pending" | "waiting_for_clearing" | "waiting_for_signature" => TransferStatus::Pending,
            "failed" | "expired" => TransferStatus::Failed,
            "canceled" => TransferStatus::Canceled,
            _ => TransferStatus::Unknown,
        },
        txid,
        network: network_text("network_name")?,
        internal: Some(network_text("status")?.as_deref() == Some("off_blockchain")),
        at,
        completed_at: None,
    })
}

/// What arrived and what the chain took, where they add up to what was
/// debited; else all of it, and no fee, or the fee would count twice.
fn sent(
    network: &Object<'_>,
    debit: Decimal,
    asset: &str,
) -> Result<(Decimal, Option<Money>), ExchangeError> {
    let part = |name: &'static str| -> Result<Option<Decimal>, ExchangeError> {
        let Some(part) = network.get(name) else { return Ok(None) };
        let part = part.object(name)?;
        let same = part.maybe_text("currency")?.is_some_and(|currency| currency == asset);
        Ok(if same { part.maybe_decimal("amount")? } else { None })
    };
    match (part("transaction_amount")?, part("transaction_fee")?) {
        (Some(arrived), Some(fee)) if arrived.checked_add(fee) == Some(debit) => {
            Ok((arrived, Some(Money { asset: asset.to_owned(), amount: fee })))
        }
        _ => Ok((debit, None)),
    }
}
