//! `account/config`: what a key may do.
//!
//! `perm` is a list of words with commas. Accepted is `read_only` alone.

use crate::error::ExchangeError;
use crate::json::Object;
use crate::limits;
use crate::permissions::{Permissions, printable};

const PERM: &str = "perm";

pub(super) fn read(account: &Object<'_>) -> Result<Permissions, ExchangeError> {
    let Some(words) = account.maybe_text(PERM)? else {
        return Ok(Permissions { missing: vec![PERM], ..Permissions::default() });
    };
    let words: Vec<&str> = words.split(',').map(str::trim).collect();
    let on = |word: &str| words.contains(&word);
    let trades = on("trade");
    let mut found = Permissions {
        can_read: Some(on("read_only")),
        can_trade: Some(trades),
        can_withdraw: Some(on("withdraw")),
        // Who may trade may also move between wallets.
        can_transfer_internal: Some(trades),
        ..Permissions::default()
    };
    for word in words {
        match word {
            "read_only" => {}
            "trade" | "withdraw" => found.to_remove.push(word.to_owned()),
            _ if found.unknown_grants.len() < limits::UNKNOWN_GRANTS_MAX => {
                found.unknown_grants.push(printable(word));
            }
            _ => {}
        }
    }
    found.to_remove.extend(found.unknown_grants.iter().cloned());
    Ok(found)
}
