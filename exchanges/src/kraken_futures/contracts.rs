//! What Kraken Futures calls assets and contracts.
//!
//! `PI_XBTUSD` is a perpetual whose contracts are worth one dollar each and
//! are settled in the coin, `FI_XBTUSD_180615` the same with an end. `PF_` and
//! `FF_` count units of the base and are settled in dollars. Replies write
//! them in either case.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::fact::{AmountUnit, Instrument, InstrumentKind};
use crate::{Context, ExchangeError};

/// The canonical code of an asset.
pub(super) fn asset(code: &str) -> String {
    let code = code.to_ascii_uppercase();
    if code == "XBT" { "BTC".to_owned() } else { code }
}

/// Whether a row of balances or bookings counts contracts and no money.
pub(super) fn is_contract(name: &str, context: &Context) -> bool {
    name.contains(['_', ':']) || find(name, context).is_some()
}

/// The contract a reply names; one that has ended is told by its name.
pub(super) fn contract(name: &str, context: &Context) -> Result<Arc<Instrument>, ExchangeError> {
    match find(name, context) {
        Some(known) => Ok(Arc::clone(known)),
        None => named(name).map(Arc::new).ok_or(ExchangeError::UnknownInstrument),
    }
}

pub(super) fn find<'a>(name: &str, context: &'a Context) -> Option<&'a Arc<Instrument>> {
    context
        .instrument(name)
        .or_else(|| context.instrument(&name.to_ascii_uppercase()))
        .or_else(|| context.instrument(&name.to_ascii_lowercase()))
}

/// What the name alone says.
pub(super) fn named(name: &str) -> Option<Instrument> {
    let raw = name.to_ascii_uppercase();
    let mut parts = raw.split('_');
    let (sort, pair, date) = (parts.next()?, parts.next()?, parts.next());
    let inverse = match sort {
        "PI" | "FI" => true,
        "PF" | "FF" => false,
        _ => return None,
    };
    let dated =
        date.is_some_and(|date| date.len() == 6 && date.bytes().all(|byte| byte.is_ascii_digit()));
    if parts.next().is_some() || dated != sort.starts_with('F') || date.is_some() != dated {
        return None;
    }
    let base = asset(pair.strip_suffix("USD").filter(|base| !base.is_empty())?);
    let settle = if inverse { base.clone() } else { "USD".to_owned() };
    let (kind, suffix) = match date {
        Some(date) => (InstrumentKind::Future, format!("-{date}")),
        None => (InstrumentKind::Perpetual, String::new()),
    };
    Some(Instrument {
        symbol: format!("{base}/USD:{settle}{suffix}"),
        aliases: vec![raw.to_ascii_lowercase()],
        raw,
        base,
        quote: "USD".to_owned(),
        settle: Some(settle),
        kind,
        contract_size: Decimal::ONE,
        inverse,
    })
}

pub(super) const fn amount_unit(instrument: &Instrument) -> AmountUnit {
    if instrument.inverse { AmountUnit::Contract } else { AmountUnit::Base }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_told_by_their_names() {
        for (name, symbol) in [
            ("PI_XBTUSD", "BTC/USD:BTC"),
            ("pi_ethusd", "ETH/USD:ETH"),
            ("PF_XBTUSD", "BTC/USD:USD"),
            ("PF_DOGEUSD", "DOGE/USD:USD"),
            ("FI_XBTUSD_180615", "BTC/USD:BTC-180615"),
            ("ff_ethusd_261225", "ETH/USD:USD-261225"),
        ] {
            assert_eq!(named(name).unwrap().symbol, symbol);
        }
        for name in
            ["", "in_xbtusd", "PI_", "PI_USD", "PI_XBTEUR", "PI_XBTUSD_180615", "FI_XBTUSD", "x"]
        {
            assert!(named(name).is_none(), "{name}");
        }
    }
}
