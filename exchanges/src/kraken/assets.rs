//! What Kraken calls assets and pairs.
//!
//! The oldest assets have a letter before their name (`X` coins, `Z` money),
//! two coins have another name than everywhere else, and a suffix says in
//! which wallet a balance lies.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::fact::{Instrument, InstrumentKind};
use crate::{Context, ExchangeError};

/// Codes with a letter before the name. A list, and no rule: `ZETA`, `ZEUS`
/// and `XION` are names of their own.
const LEGACY: [&str; 22] = [
    "XDAO", "XETC", "XETH", "XICN", "XLTC", "XMLN", "XNMC", "XREP", "XXBT", "XXDG", "XXLM", "XXMR",
    "XXRP", "XXVN", "XZEC", "ZAUD", "ZCAD", "ZEUR", "ZGBP", "ZJPY", "ZKRW", "ZUSD",
];

const WALLETS: [(&str, &str); 6] = [
    (".S", "staked"),
    (".P", "staked"),
    (".M", "opt_in_rewards"),
    (".F", "auto_earn"),
    (".B", "earn"),
    (".HOLD", "hold"),
];

/// The canonical code and the wallet of `code`.
pub(super) fn asset(code: &str, context: &Context) -> (String, &'static str) {
    // The suffix of a code, and no file's: its case tells it apart.
    if code.strip_suffix(".T").is_some() {
        return (code.to_owned(), "tokenized");
    }
    for (suffix, wallet) in WALLETS {
        if let Some(plain) = code.strip_suffix(suffix).filter(|plain| !plain.is_empty()) {
            let plain = if wallet == "staked" { without_days(plain, context) } else { plain };
            return (canonical(plain, context), wallet);
        }
    }
    (canonical(code, context), "main")
}

/// The code without its wallet.
pub(super) fn code_of(code: &str, context: &Context) -> String {
    asset(code, context).0
}

/// `DOT` of `DOT28`, which is bonded for 28 days.
fn without_days<'a>(code: &'a str, context: &Context) -> &'a str {
    let plain = code.trim_end_matches(|letter: char| letter.is_ascii_digit());
    if plain.is_empty() || code == "ETH2" || context.knows_asset(code) { code } else { plain }
}

fn canonical(code: &str, context: &Context) -> String {
    let plain = match code.strip_prefix(['X', 'Z']) {
        Some(plain) if LEGACY.contains(&code) => plain,
        Some(plain)
            if plain.len() == 3 && !context.knows_asset(code) && context.knows_asset(plain) =>
        {
            plain
        }
        _ => code,
    };
    match plain {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        "ETH2" => "ETH",
        "FEE" => "KFEE",
        other => other,
    }
    .to_owned()
}

/// The pair of a trade. One that is no longer listed is told by its name: its
/// trades are still in everyone's history.
pub(super) fn traded_pair(name: &str, context: &Context) -> Result<Arc<Instrument>, ExchangeError> {
    if let Some(known) = context.instrument(name) {
        return Ok(Arc::clone(known));
    }
    let (base, quote) = split(name).ok_or(ExchangeError::UnknownInstrument)?;
    let (base, quote) = (code_of(base, context), code_of(quote, context));
    Ok(Arc::new(spot(name.to_owned(), Vec::new(), base, quote)))
}

pub(super) fn spot(raw: String, aliases: Vec<String>, base: String, quote: String) -> Instrument {
    Instrument {
        raw,
        aliases,
        symbol: format!("{base}/{quote}"),
        base,
        quote,
        settle: None,
        kind: InstrumentKind::Spot,
        contract_size: Decimal::ONE,
        inverse: false,
    }
}

/// What Kraken prices things in. Longer names before those they end in.
const QUOTES: [&str; 12] =
    ["PYUSD", "USDT", "USDC", "USD", "EUR", "GBP", "CAD", "JPY", "AUD", "CHF", "XBT", "ETH"];

/// Base and quote. A quote has a letter before its name only beside a base
/// that has one, or USDT: `XTZUSD` is not `XT` and `ZUSD`.
fn split(name: &str) -> Option<(&str, &str)> {
    if let Some((base, quote)) = name.split_once('/') {
        return (!base.is_empty() && !quote.is_empty()).then_some((base, quote));
    }
    let old = name.split_at_checked(4).filter(|(base, quote)| {
        LEGACY.contains(quote) && (*base == "USDT" || LEGACY.contains(base))
    });
    let plain = |quote: &&'static str| Some((name.strip_suffix(*quote)?, *quote));
    old.or_else(|| QUOTES.iter().find_map(plain)).filter(|(base, _)| !base.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_assets_and_wallets() {
        let context = Context::default();
        for (code, expected) in [
            ("XXBT", ("BTC", "main")),
            ("XBT", ("BTC", "main")),
            ("XBT.F", ("BTC", "auto_earn")),
            ("XBT.M", ("BTC", "opt_in_rewards")),
            ("XXBT.B", ("BTC", "earn")),
            ("XXDG", ("DOGE", "main")),
            ("XDG", ("DOGE", "main")),
            ("XETH", ("ETH", "main")),
            ("ETH2", ("ETH", "main")),
            ("ETH2.S", ("ETH", "staked")),
            ("XXRP", ("XRP", "main")),
            ("XTZ", ("XTZ", "main")),
            ("XTZ.S", ("XTZ", "staked")),
            ("ZETA", ("ZETA", "main")),
            ("ZEUS", ("ZEUS", "main")),
            ("DOT28.S", ("DOT", "staked")),
            ("ATOM21.P", ("ATOM", "staked")),
            ("1INCH.S", ("1INCH", "staked")),
            ("ZUSD", ("USD", "main")),
            ("USD.M", ("USD", "opt_in_rewards")),
            ("ZEUR.HOLD", ("EUR", "hold")),
            ("EUR.HOLD", ("EUR", "hold")),
            ("FEE", ("KFEE", "main")),
            ("AAPL.T", ("AAPL.T", "tokenized")),
            ("CHF", ("CHF", "main")),
            (".S", (".S", "main")),
            ("NEW.X", ("NEW.X", "main")),
        ] {
            let (asset, wallet) = asset(code, &context);
            assert_eq!((asset.as_str(), wallet), expected, "{code}");
        }
        let knows = Context::default().with_assets(["C98", "ZYX", "EEE"]);
        assert_eq!(asset("C98.S", &knows).0, "C98");
        assert_eq!(asset("XEEE", &knows).0, "EEE");
    }

    #[test]
    fn a_pair_that_is_gone_is_told_by_its_name() {
        for (name, symbol) in [
            ("XXBTZUSD", "BTC/USD"),
            ("XETHXXBT", "ETH/BTC"),
            ("XREPZEUR", "REP/EUR"),
            ("LUNAUSD", "LUNA/USD"),
            ("LUNAUSDT", "LUNA/USDT"),
            ("XBTPYUSD", "BTC/PYUSD"),
            ("MATIC/EUR", "MATIC/EUR"),
            ("USDTZUSD", "USDT/USD"),
            ("WAVESXBT", "WAVES/BTC"),
            ("XTZUSD", "XTZ/USD"),
        ] {
            assert_eq!(traded_pair(name, &Context::default()).unwrap().symbol, symbol);
        }
        for name in ["", "USD", "ABCXYZ", "/USD", "ABC/"] {
            assert!(traded_pair(name, &Context::default()).is_err(), "{name}");
        }
    }
}
