//! The venue's names of contracts.
//!
//! A contract of the scenario that has such a name keeps it. Others get one:
//! `PF_XBTUSD` for a linear perpetual, `PI_XBTUSD` for an inverse one,
//! `FI_XBTUSD_260626` for an inverse one with a date.

use rust_decimal::Decimal;

use crate::scenario::Stamp;
use crate::world::{Instrument, World};

pub(super) fn code(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

pub(super) fn symbol(contract: &Instrument) -> String {
    let known = ["PF_", "PI_", "FI_", "FF_"].iter().any(|kind| contract.symbol.starts_with(kind));
    if known {
        return contract.symbol.clone();
    }
    let base = code(&contract.pair.0);
    match (contract.inverse, date(&contract.symbol)) {
        (false, None) => format!("PF_{base}USD"),
        (false, Some(date)) => format!("FF_{base}USD_{date}"),
        (true, None) => format!("PI_{base}USD"),
        (true, Some(date)) => format!("FI_{base}USD_{date}"),
    }
}

/// Six digits at the end, `yymmdd`.
pub(super) fn date(symbol: &str) -> Option<&str> {
    let (_, tail) = symbol.rsplit_once('_')?;
    (tail.len() == 6 && tail.bytes().all(|byte| byte.is_ascii_digit())).then_some(tail)
}

/// When a dated contract is traded for the last time: 16:00 London time is close enough to UTC.
pub(super) fn last_trading(symbol: &str) -> Option<Stamp> {
    let date = date(symbol)?;
    let part = |from: usize| date.get(from..from + 2);
    let text = format!("20{}-{}-{}T16:00:00Z", part(0)?, part(2)?, part(4)?);
    Stamp::try_from(text).ok()
}

pub(super) fn find<'a>(world: &'a World, wanted: &str) -> Option<&'a Instrument> {
    world.instruments().find(|it| symbol(it).eq_ignore_ascii_case(wanted))
}

/// The asset in which a contract settles, as the account log writes it.
pub(super) fn settle(contract: &Instrument) -> String {
    code(&contract.settle).to_ascii_lowercase()
}

/// The account that a contract's money is in.
pub(super) fn margin_account(contract: &Instrument) -> String {
    if contract.inverse { cash_account(&contract.settle) } else { "flex".to_owned() }
}

/// The account of one coin.
pub(super) fn cash_account(asset: &str) -> String {
    format!("fi_{}usd", code(asset).to_ascii_lowercase())
}

/// Contracts of the scenario in the venue's unit: base units, or dollars if inverse.
pub(super) fn size(contract: &Instrument, qty: Decimal) -> Decimal {
    qty.saturating_mul(contract.contract_size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_of_other_venues_get_a_name() {
        let contract = |symbol: &str, inverse| Instrument {
            symbol: symbol.to_owned(),
            pair: ("BTC".to_owned(), "USD".to_owned()),
            settle: "BTC".to_owned(),
            contract_size: Decimal::ONE,
            inverse,
        };
        for (written, inverse, expected) in [
            ("BTCUSDT", false, "PF_XBTUSD"),
            ("BTCUSD_PERP", true, "PI_XBTUSD"),
            ("BTCUSD_260626", true, "FI_XBTUSD_260626"),
            ("PF_XBTUSD", false, "PF_XBTUSD"),
        ] {
            assert_eq!(symbol(&contract(written, inverse)), expected);
        }
        let last = last_trading("FI_XBTUSD_260626").unwrap();
        assert_eq!(last.format("%Y-%m-%d"), "2026-06-26");
        assert_eq!(last_trading("PI_XBTUSD"), None);
    }
}
