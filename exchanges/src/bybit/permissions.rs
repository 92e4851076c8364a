//! `query-api`: what a key may do.
//!
//! `readOnly` decides: 1 is a key that reads, whatever its lists of scopes say;
//! 0 is a key that writes where its scopes let it. Anything else proves
//! nothing.

use crate::error::ExchangeError;
use crate::json::{Object, Value};
use crate::permissions::{Permissions, printable};
use crate::{UnixMillis, limits};

const READ_ONLY: &str = "readOnly";

/// Scopes whose entries trade.
const TRADE: [&str; 4] = ["Spot", "Derivatives", "Options", "ContractTrade"];

const WALLET: &str = "Wallet";

/// Entries of `Wallet` that send away.
const WITHDRAW: [&str; 1] = ["Withdraw"];

/// Entries of `Wallet` that move between accounts.
const TRANSFER: [&str; 2] = ["AccountTransfer", "SubMemberTransfer"];

pub(super) fn read(result: &Object<'_>) -> Result<Permissions, ExchangeError> {
    let read_only = result.get(READ_ONLY).and_then(|value| value.integer(READ_ONLY).ok());
    let nothing = Some(false);
    match read_only {
        Some(1) => Ok(Permissions {
            can_read: Some(true),
            can_trade: nothing,
            can_withdraw: nothing,
            can_transfer_internal: nothing,
            valid_until: expiry(result),
            ..Permissions::default()
        }),
        Some(0) => writing(result),
        Some(_) | None => Ok(Permissions { missing: vec![READ_ONLY], ..Permissions::default() }),
    }
}

/// When the key ends. Keys that are bound to an address do not, and have the
/// beginning of time there.
fn expiry(result: &Object<'_>) -> Option<UnixMillis> {
    let end = result.get("expiredAt")?.time("expiredAt").ok()?;
    (end > UnixMillis(0)).then_some(end)
}

/// A key that writes is refused; what it may write is said as well as can be.
fn writing(result: &Object<'_>) -> Result<Permissions, ExchangeError> {
    let mut found = Permissions { can_read: Some(true), ..Permissions::default() };
    found.to_remove.push("read and write access (choose read-only)".to_owned());
    let Some(scopes) = result.get("permissions") else {
        found.missing.push("permissions");
        return Ok(found);
    };
    let scopes = scopes.object("permissions")?;
    let mut trades = false;
    for name in TRADE {
        trades |= !entries(&scopes, name)?.is_empty();
    }
    let wallet = entries(&scopes, WALLET)?;
    let mut holds = |names: &[&str]| {
        let held: Vec<&String> =
            wallet.iter().filter(|entry| names.contains(&entry.as_str())).collect();
        for entry in &held {
            found.to_remove.push((*entry).clone());
        }
        !held.is_empty()
    };
    let (withdraws, transfers) = (holds(&WITHDRAW), holds(&TRANSFER));
    found.can_trade = Some(trades);
    found.can_withdraw = Some(withdraws);
    found.can_transfer_internal = Some(transfers);
    Ok(found)
}

/// The entries of one scope, as the customer may see them.
fn entries(scopes: &Object<'_>, name: &str) -> Result<Vec<String>, ExchangeError> {
    let Some(list) = scopes.get(name) else { return Ok(Vec::new()) };
    let list: Vec<Value<'_>> = list.list("permissions")?;
    let entries = list.into_iter().take(limits::UNKNOWN_GRANTS_MAX);
    entries.map(|entry| entry.string("permissions").map(|text| printable(&text))).collect()
}
