//! Who asks, and whether the request is theirs and fresh.
//!
//! In the exchange's order: the key's form (−2014), the presence of timestamp
//! and signature (−1102), the receive window (−1131), the key (−2015), the
//! timestamp (−1021), the signature (−1022), the right to read (−2015).

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use sha2::Sha256;

use crate::keys::{self, Key, KeyRing};
use crate::scenario::Stamp;

use super::KEY_HEADER;
use super::params::{Params, whole};
use super::refusal::Refusal;

/// A timestamp may be this far ahead of the server, exclusively.
const AHEAD_MICROS: i64 = 1_000_000;
/// The receive window without the parameter.
const WINDOW_MICROS: i64 = 5_000_000;
/// The largest receive window.
const WINDOW_MICROS_MAX: i64 = 60_000_000;
/// From here on a timestamp is in microseconds.
const MICROS_FROM: u64 = 100_000_000_000_000;

pub(super) fn verify(
    ring: &KeyRing,
    headers: &HeaderMap,
    params: &Params,
    server_time: Stamp,
) -> Result<Key, Refusal> {
    let name = headers.get(KEY_HEADER).and_then(|name| name.to_str().ok());
    let name = name.filter(|name| keys::is_well_formed(name)).ok_or_else(Refusal::key_format)?;
    let timestamp = whole("timestamp", params.mandatory("timestamp")?)?;
    let (payload, signature) = params.signature()?;
    let window = window_micros(params)?;
    let key = ring.find(name).ok_or_else(Refusal::unknown_key)?;
    fresh(timestamp, window, server_time)?;
    if !signed_by(key.secret.as_bytes(), &payload, signature) {
        return Err(Refusal::signature());
    }
    if key.permissions.holds("read") { Ok(key) } else { Err(Refusal::unknown_key()) }
}

/// `timestamp < serverTime + 1000 ms && serverTime - timestamp <= recvWindow`.
fn fresh(timestamp: u64, window_micros: i64, server_time: Stamp) -> Result<(), Refusal> {
    let micros = if timestamp >= MICROS_FROM { timestamp } else { timestamp * 1000 };
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    let server = server_time.micros();
    if micros >= server + AHEAD_MICROS {
        return Err(Refusal::timestamp_ahead());
    }
    if server - micros > window_micros {
        return Err(Refusal::timestamp_behind());
    }
    Ok(())
}

/// Milliseconds with at most three decimals.
fn window_micros(params: &Params) -> Result<i64, Refusal> {
    let Some(text) = params.get("recvWindow") else { return Ok(WINDOW_MICROS) };
    let (millis, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, max: usize| {
        (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(millis, 10) || !digits(fraction, 3) {
        return Err(Refusal::illegal("recvWindow", r"^[0-9]{1,10}(\.[0-9]{1,3})?$"));
    }
    let window: Decimal = text.parse().map_err(|_| Refusal::recv_window())?;
    let micros = (window * Decimal::ONE_THOUSAND).to_i64().ok_or_else(Refusal::recv_window)?;
    if micros > WINDOW_MICROS_MAX { Err(Refusal::recv_window()) } else { Ok(micros) }
}

/// HMAC-SHA256 in hexadecimal of either case.
fn signed_by(secret: &[u8], payload: &str, signature: &str) -> bool {
    let Ok(signature) = hex::decode(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(payload.as_bytes());
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Binance's documentation, "SIGNED Endpoint Examples".
    const SECRET: &str = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

    #[test]
    fn the_documented_signatures_verify() {
        let order = "&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000\
            &timestamp=1499827319559";
        for (symbol, signature) in [
            ("LTCBTC", "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"),
            (
                "%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96",
                "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
            ),
        ] {
            let payload = format!("symbol={symbol}{order}");
            assert!(signed_by(SECRET.as_bytes(), &payload, signature));
            assert!(signed_by(SECRET.as_bytes(), &payload, &signature.to_uppercase()));
            assert!(!signed_by(SECRET.as_bytes(), &payload.replace("LIMIT", "MARKET"), signature));
            assert!(!signed_by(b"another", &payload, signature));
            assert!(!signed_by(SECRET.as_bytes(), &payload, "not hexadecimal"));
            assert!(!signed_by(SECRET.as_bytes(), &payload, ""));
        }
    }

    #[test]
    fn a_timestamp_is_fresh_within_its_window() {
        let server = Stamp::from_micros(1_700_000_000_000_000);
        let at = |offset_ms: i64| u64::try_from(1_700_000_000_000 + offset_ms).unwrap();
        for (offset, fine) in [(999, true), (1000, false), (0, true), (-5000, true), (-5001, false)]
        {
            assert_eq!(fresh(at(offset), WINDOW_MICROS, server).is_ok(), fine, "{offset} ms");
            let micros = at(offset) * 1000;
            assert_eq!(fresh(micros, WINDOW_MICROS, server).is_ok(), fine, "{offset} ms in µs");
        }
        assert!(fresh(0, WINDOW_MICROS_MAX, server).is_err());
        assert!(fresh(u64::MAX, WINDOW_MICROS_MAX, server).is_err());
    }

    #[test]
    fn the_receive_window_has_bounds() {
        let window =
            |text: &str| window_micros(&Params::parse(&format!("recvWindow={text}"), b"").unwrap());
        assert_eq!(window("5000"), Ok(5_000_000));
        assert_eq!(window("0.125"), Ok(125));
        assert_eq!(window("60000"), Ok(60_000_000));
        for (text, code) in
            [("60000.001", -1131), ("60001", -1131), ("1.2345", -1100), ("-1", -1100)]
        {
            assert_eq!(window(text).unwrap_err().code, code, "{text}");
        }
    }
}
