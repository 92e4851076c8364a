//! `api-keys/v3/check`: whether a key exists, and what it may do.
//!
//! What stands in `permissions` is not documented, so nothing in it proves
//! anything: a key is *unreadable*, which refuses it unless the operator's
//! measured policy admits such keys. What sounds like more than reading
//! refuses in any case.

use crate::error::ExchangeError;
use crate::json::Object;
use crate::limits;
use crate::permissions::{Permissions, printable};

/// Words that no level of reading has.
const EXCESS: [&str; 4] = ["full", "write", "trade", "withdraw"];

pub(super) fn read(body: &Object<'_>) -> Result<Permissions, ExchangeError> {
    // Without these it is no answer about a key.
    body.text("apiKey")?;
    body.text("accountUid")?;
    let mut found =
        Permissions { missing: vec!["permissions"], unreadable: true, ..Permissions::default() };
    let Some(levels) = body.get("permissions") else { return Ok(found) };
    if levels.is_list() {
        for level in levels.list("permissions")? {
            excess(&level.string("permissions").unwrap_or_default(), &mut found);
        }
    } else if levels.is_object() {
        for (name, level) in levels.object("permissions")?.fields() {
            // A switch is named by its field, a level by its value.
            match (level.flag("permissions"), level.string("permissions")) {
                (Ok(true), _) => excess(name, &mut found),
                (_, Ok(level)) => excess(&level, &mut found),
                _ => {}
            }
        }
    }
    Ok(found)
}

fn excess(word: &str, found: &mut Permissions) {
    let lower = word.to_ascii_lowercase();
    let known = EXCESS.iter().any(|excess| lower.contains(excess));
    if known && found.to_remove.len() < limits::UNKNOWN_GRANTS_MAX {
        found.to_remove.push(printable(word));
    }
}
