//! `API-Sign = base64(HMAC-SHA512(secret, path ‖ SHA256(nonce ‖ body)))`, and a nonce that rises.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use sha2::{Digest, Sha256, Sha512};

use crate::form::Form;
use crate::keys::{self, Key, KeyForm, KeyRing};

use super::{INVALID, KEY_HEADER};

/// A request that is its key's own.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) api_key: String,
    pub(super) key: Key,
    pub(super) params: Form,
}

pub(super) fn verify(
    ring: &KeyRing,
    headers: &HeaderMap,
    path: &str,
    body: &[u8],
) -> Result<Signed, &'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let api_key = text(KEY_HEADER).ok_or("EAPI:Invalid key")?;
    let key = ring.find(api_key).filter(|key| key.form == KeyForm::Kraken);
    let key = key.ok_or("EAPI:Invalid key")?;
    let json = text(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/json"));
    let params = if json {
        Form::of_json(body)
    } else {
        std::str::from_utf8(body).ok().and_then(Form::parse)
    };
    let params = params.ok_or(INVALID)?;
    let nonce = params.get("nonce").ok_or("EAPI:Invalid nonce")?;
    let signature = text("API-Sign").unwrap_or_default();
    if !signed_by(&key.secret, path, nonce, body, signature) {
        return Err("EAPI:Invalid signature");
    }
    let nonce: u64 = nonce.parse().map_err(|_| "EAPI:Invalid nonce")?;
    if !key.advance(nonce) {
        return Err("EAPI:Invalid nonce");
    }
    Ok(Signed { api_key: api_key.to_owned(), key, params })
}

fn signed_by(secret: &str, path: &str, nonce: &str, body: &[u8], signature: &str) -> bool {
    let Some(secret) = keys::kraken_secret(secret) else { return false };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(&secret) else { return false };
    mac.update(path.as_bytes());
    mac.update(&Sha256::new().chain_update(nonce).chain_update(body).finalize());
    mac.verify_slice(&signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Kraken's documentation of its authentication.
    #[test]
    fn the_documented_signature_verifies() {
        let secret = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZu\
            j6F1huXg==";
        let body =
            b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25";
        let signature = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbR\
            n6H8ndwLUQ==";
        let signed = |path, nonce, signature| signed_by(secret, path, nonce, body, signature);
        assert!(signed("/0/private/AddOrder", "1616492376594", signature));
        assert!(!signed("/0/private/Balance", "1616492376594", signature));
        assert!(!signed("/0/private/AddOrder", "1616492376595", signature));
        assert!(!signed("/0/private/AddOrder", "1616492376594", "AAAA"));
    }
}
