//! Kraken's names of assets and pairs.

use crate::world::Pair;

/// The names of a pair: the key of replies, the alternative name, the websocket name.
pub(super) fn names((base, quote): &Pair) -> [String; 3] {
    let (old_base, old_quote) = (legacy(base), legacy(quote));
    let (short_base, short_quote) = (short(base), short(quote));
    let alternative = format!("{short_base}{short_quote}");
    let key = match (old_base, old_quote) {
        // Listed late, under new rules for one side only.
        _ if base == "USDT" && quote == "USD" => "USDTZUSD".to_owned(),
        _ if base == "DOGE" => alternative.clone(),
        (Some(old_base), Some(old_quote)) => format!("{old_base}{old_quote}"),
        _ => alternative.clone(),
    };
    [key, alternative, format!("{short_base}/{short_quote}")]
}

pub(super) fn short(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

/// Codes of the first years, with X for coins and Z for money.
fn legacy(asset: &str) -> Option<&'static str> {
    Some(match asset {
        "BTC" => "XXBT",
        "ETH" => "XETH",
        "LTC" => "XLTC",
        "XRP" => "XXRP",
        "XLM" => "XXLM",
        "ETC" => "XETC",
        "ZEC" => "XZEC",
        "XMR" => "XXMR",
        "USD" => "ZUSD",
        "EUR" => "ZEUR",
        "GBP" => "ZGBP",
        "JPY" => "ZJPY",
        "CAD" => "ZCAD",
        _ => return None,
    })
}

/// The key of an asset in replies.
pub(super) fn asset(asset: &str) -> &str {
    match asset {
        "DOGE" => "XXDG",
        other => legacy(other).unwrap_or(other),
    }
}

/// Whether a name that a client wrote means the asset: the reply's key or the short one.
pub(super) fn means(written: &str, meant: &str) -> bool {
    written == asset(meant) || written == short(meant) || written == meant
}

/// Money, which is kept with four decimals.
pub(super) fn is_fiat(asset: &str) -> bool {
    matches!(asset, "USD" | "EUR" | "GBP" | "JPY" | "CAD" | "AUD" | "CHF")
}

pub(super) fn decimals(asset: &str) -> usize {
    if is_fiat(asset) { 4 } else { 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_the_names_the_venue_gave_them() {
        for (base, quote, expected) in [
            ("USDT", "USD", ["USDTZUSD", "USDTUSD", "USDT/USD"]),
            ("BTC", "USD", ["XXBTZUSD", "XBTUSD", "XBT/USD"]),
            ("BTC", "USDT", ["XBTUSDT", "XBTUSDT", "XBT/USDT"]),
            ("ETH", "EUR", ["XETHZEUR", "ETHEUR", "ETH/EUR"]),
            ("DOGE", "USD", ["XDGUSD", "XDGUSD", "XDG/USD"]),
            ("SOL", "USD", ["SOLUSD", "SOLUSD", "SOL/USD"]),
        ] {
            assert_eq!(names(&(base.to_owned(), quote.to_owned())), expected);
        }
    }

    #[test]
    fn an_asset_goes_by_several_names() {
        for (plain, key) in [("BTC", "XXBT"), ("DOGE", "XXDG"), ("USD", "ZUSD"), ("SOL", "SOL")] {
            assert_eq!(asset(plain), key);
            assert!(means(key, plain) && means(short(plain), plain));
        }
        assert!(!means("ETH", "BTC"));
    }
}
