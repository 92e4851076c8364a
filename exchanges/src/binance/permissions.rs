//! `apiRestrictions`: what a key may do.
//!
//! Accepted is a key that may read and nothing else. Whatever is on and not
//! known to be harmless refuses; a mandatory flag that is missing refuses; a
//! flag whose value is neither true nor false refuses.

use crate::error::ExchangeError;
use crate::json::Value;
use crate::limits;
use crate::permissions::{Permissions, printable};

const READING: &str = "enableReading";
const WITHDRAWALS: &str = "enableWithdrawals";
const TRADING: &str = "enableSpotAndMarginTrading";

/// Without these the reply proves nothing.
const MANDATORY: [&str; 3] = [READING, WITHDRAWALS, TRADING];

const TRADE: [&str; 6] = [
    TRADING,
    "enableMargin",
    "enableFutures",
    "enableVanillaOptions",
    "enablePortfolioMarginTrading",
    "enableFixApiTrade",
];

const TRANSFER: [&str; 2] = ["enableInternalTransfer", "permitsUniversalTransfer"];

/// May be on beside reading: reads over another protocol, and a restriction.
const HARMLESS: [&str; 2] = ["enableFixReadOnly", "ipRestrict"];

/// What a flag says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    On,
    Off,
    /// Not there.
    Absent,
    /// There, and neither true nor false.
    Odd,
}

pub(super) fn read(document: Value<'_>) -> Result<Permissions, ExchangeError> {
    let object = document.object("body")?;
    let flag = |name: &'static str| match object.get_even_null(name) {
        None => Flag::Absent,
        Some(value) => {
            value.flag(name).map_or(Flag::Odd, |on| if on { Flag::On } else { Flag::Off })
        }
    };

    // Flags of products that the account does not have may be left out.
    let optional = |name| match flag(name) {
        Flag::Absent => Flag::Off,
        stated @ (Flag::On | Flag::Off | Flag::Odd) => stated,
    };

    let mut found = Permissions {
        can_read: stated(&[flag(READING)]),
        can_withdraw: stated(&[flag(WITHDRAWALS)]),
        can_trade: stated(
            &TRADE.map(|name| if name == TRADING { flag(name) } else { optional(name) }),
        ),
        can_transfer_internal: stated(&TRANSFER.map(optional)),
        ..Permissions::default()
    };
    for name in [WITHDRAWALS].into_iter().chain(TRADE).chain(TRANSFER) {
        match flag(name) {
            Flag::On => found.to_remove.push(name.to_owned()),
            Flag::Odd => found.missing.push(name),
            Flag::Off | Flag::Absent => {}
        }
    }
    for name in MANDATORY {
        let absent = flag(name) == Flag::Absent;
        let odd = name == READING && flag(name) == Flag::Odd;
        if absent || odd {
            found.missing.push(name);
        }
    }
    for (name, value) in object.fields() {
        let known = MANDATORY.contains(&name)
            || TRADE.contains(&name)
            || TRANSFER.contains(&name)
            || HARMLESS.contains(&name);
        // A grant by its name, unless it is off; anything else that may be one that is on.
        let grant = value.flag("").unwrap_or_else(|_| is_granting(name) || may_grant(value));
        if !known && grant && found.unknown_grants.len() < limits::UNKNOWN_GRANTS_MAX {
            found.unknown_grants.push(printable(name));
        }
    }
    found.to_remove.extend(found.unknown_grants.iter().cloned());
    Ok(found)
}

/// Whether a field that is not known is called what grants are called.
fn is_granting(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["enable", "permit", "can", "allow"].iter().any(|word| name.starts_with(word))
}

/// Whether a value that is no flag may still say that something is granted.
/// Times, counts and names do not.
fn may_grant(value: Value<'_>) -> bool {
    if value.is_null() {
        return false;
    }
    let says_yes =
        |text: &str| ["true", "yes", "on", "1"].iter().any(|word| text.eq_ignore_ascii_case(word));
    match (value.list(""), value.string("")) {
        (Ok(list), _) => !list.is_empty(),
        (_, Ok(text)) => says_yes(&text),
        _ => value.is_object() || value.integer("") == Ok(1),
    }
}

/// On if any is on; off only if all are off.
fn stated(flags: &[Flag]) -> Option<bool> {
    if flags.contains(&Flag::On) {
        Some(true)
    } else {
        flags.iter().all(|flag| *flag == Flag::Off).then_some(false)
    }
}
