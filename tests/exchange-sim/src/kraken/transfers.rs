//! Deposits and withdrawals, newest first: a plain list, or pages if a cursor is asked for.
//! What goes to the customer's futures wallet or comes from there is in the ledger alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::ids;
use crate::number::padded;
use crate::scenario::FlowStatus;
use crate::world::{Transfer, TransferVersion};

use super::history::Span;
use super::ledger::reference;
use super::{Answer, INVALID, Private, names, told};

pub(super) fn deposits(call: &Private<'_>) -> Answer {
    list(call, true)
}

pub(super) fn withdrawals(call: &Private<'_>) -> Answer {
    list(call, false)
}

/// Rows of a page, and of the list without pages.
const PAGE: usize = 25;
const LIST: usize = 500;

fn list(call: &Private<'_>, deposit: bool) -> Answer {
    let params = call.params();
    let span = Span::of(params, |_| None)?;
    let wanted = params.get("asset");
    let limit = params.number("limit").map_err(|_| INVALID)?;
    let limit = limit.map(usize::try_from).transpose().map_err(|_| INVALID)?;
    if limit == Some(0) {
        return Err(INVALID);
    }
    let mut rows = Vec::new();
    for account in call.wallets() {
        for (transfer, state) in account.transfers(call.now()) {
            if transfer.deposit == deposit
                && state.way().is_none()
                && span.holds(transfer.created)
                && wanted.is_none_or(|name| names::means(name, &transfer.asset))
            {
                let id = reference(account, &transfer.id, deposit);
                rows.push((transfer.created, row(&id, transfer, state)));
            }
        }
    }
    rows.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    let mut rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    let from = match params.get("cursor") {
        None | Some("false") => {
            rows.truncate(limit.unwrap_or(LIST).min(LIST));
            return told(Value::Array(rows));
        }
        Some("true") => 0,
        Some(cursor) => position(cursor).ok_or(INVALID)?,
    };
    let size = limit.unwrap_or(PAGE).min(LIST);
    let left = rows.len().saturating_sub(from);
    let page: Vec<Value> = rows.into_iter().skip(from).take(size).collect();
    let next = (left > size).then(|| STANDARD.encode(format!("from {}", from + size)));
    let name = if deposit { "deposits" } else { "withdrawals" };
    told(json!({ name: page, "next_cursor": next }))
}

fn position(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(STANDARD.decode(cursor).ok()?).ok()?;
    text.strip_prefix("from ")?.parse().ok()
}

fn row(id: &str, transfer: &Transfer, state: &TransferVersion) -> Value {
    let asset = transfer.asset.as_str();
    let places = if names::is_fiat(asset) { 4 } else { 10 };
    let (method, network) = match asset {
        _ if names::is_fiat(asset) => ("Bank Transfer".to_owned(), "Bank".to_owned()),
        "BTC" => ("Bitcoin".to_owned(), "Bitcoin".to_owned()),
        "USDT" | "USDC" => (format!("{asset} (ERC20)"), "Ethereum".to_owned()),
        other => (other.to_owned(), other.to_owned()),
    };
    let (status, detail) = match state.status {
        FlowStatus::Pending => ("Pending", None),
        FlowStatus::Completed => ("Success", None),
        FlowStatus::Failed => ("Failure", None),
        FlowStatus::Canceled => ("Failure", Some("canceled")),
    };
    let mut row = json!({"method": method, "aclass": "currency", "asset": names::asset(asset),
        "refid": id, "txid": state.txid, "info": ids::kraken('K', &["address", &transfer.id]),
        "amount": padded(state.amount, places), "fee": padded(state.fee, places),
        "time": transfer.created.millis() / 1000, "status": status, "network": network});
    if let (Some(detail), Some(object)) = (detail, row.as_object_mut()) {
        object.insert("status-prop".to_owned(), json!(detail));
    }
    row
}
