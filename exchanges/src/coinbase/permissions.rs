//! `key_permissions`: what a key may do.
//!
//! Accepted is a key that may view and nothing else. Any other `can_…` that is
//! not false refuses; a mandatory flag that is missing, or neither true nor
//! false, refuses.

use crate::error::ExchangeError;
use crate::json::Value;
use crate::limits;
use crate::permissions::{Permissions, printable};

const VIEW: &str = "can_view";
const TRADE: &str = "can_trade";
const TRANSFER: &str = "can_transfer";

pub(super) fn read(document: Value<'_>) -> Result<Permissions, ExchangeError> {
    let object = document.object("body")?;
    let flag = |name| object.get(name).and_then(|value| value.flag(name).ok());
    let (can_read, can_trade, can_transfer) = (flag(VIEW), flag(TRADE), flag(TRANSFER));
    let mut found = Permissions {
        can_read,
        can_trade,
        // One flag for both: sends coins away and moves them between portfolios.
        can_withdraw: can_transfer,
        can_transfer_internal: can_transfer,
        ..Permissions::default()
    };
    for (name, stated) in [(VIEW, can_read), (TRADE, can_trade), (TRANSFER, can_transfer)] {
        match stated {
            None => found.missing.push(name),
            Some(true) if name != VIEW => found.to_remove.push(name.to_owned()),
            Some(_) => {}
        }
    }
    for (name, value) in object.fields() {
        let known = [VIEW, TRADE, TRANSFER].contains(&name);
        let granted = name.starts_with("can_") && value.flag("") != Ok(false);
        if !known && granted && found.unknown_grants.len() < limits::UNKNOWN_GRANTS_MAX {
            found.unknown_grants.push(printable(name));
        }
    }
    found.to_remove.extend(found.unknown_grants.iter().cloned());
    Ok(found)
}
