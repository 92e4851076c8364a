//! `GetApiKeyInfo`: what a key may do.
//!
//! The whole list of names is not documented. Names that are known to read are
//! accepted, everything else refuses.

use crate::json::{Object, Value};
use crate::limits;
use crate::permissions::{Permissions, printable};

/// Without it the key cannot read.
const READING: &str = "query-funds";

const TRADE: [&str; 4] = ["modify-trades", "create-trades", "cancel-trades", "close-trades"];

/// Reads for which the name does not begin with `query-`.
const HARMLESS: &str = "export-data";

pub(super) fn read(result: &Object<'_>) -> Permissions {
    // "0" is no limit.
    let limit = |name| result.maybe_time(name).ok().flatten().filter(|at| at.0 > 0);
    let mut found = Permissions {
        valid_until: limit("validUntil"),
        history: (limit("queryFrom"), limit("queryTo")),
        ..Permissions::default()
    };
    let Some(names) = result.get("permissions").and_then(names) else {
        found.missing.push("permissions");
        return found;
    };
    let (mut reads, mut trades, mut withdraws) = (false, false, false);
    for name in &names {
        reads |= name == READING;
        if name.starts_with("query-") || name == HARMLESS {
            continue;
        }
        trades |= TRADE.contains(&name.as_str());
        withdraws |= name.starts_with("withdraw");
        let known = TRADE.contains(&name.as_str()) || name.starts_with("withdraw");
        if !known && found.unknown_grants.len() < limits::UNKNOWN_GRANTS_MAX {
            found.unknown_grants.push(printable(name));
        }
        if found.to_remove.len() < limits::UNKNOWN_GRANTS_MAX {
            found.to_remove.push(printable(name));
        }
    }
    found.can_read = Some(reads);
    found.can_trade = Some(trades);
    found.can_withdraw = Some(withdraws);
    // What may leave may also go to another account.
    found.can_transfer_internal = Some(withdraws);
    if !reads {
        found.missing.push(READING);
    }
    found
}

/// `None` if this is no list of names.
fn names(list: Value<'_>) -> Option<Vec<String>> {
    let names = list.list("permissions").ok()?;
    names.into_iter().map(|name| Some(name.string("permissions").ok()?.into_owned())).collect()
}
