//! `Authent = base64(HMAC-SHA512(secret, SHA256(parameters ‖ nonce ‖ path)))`.
//!
//! The path is signed without `/derivatives` in front, all others whole. The
//! nonce may be left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::{Digest, Sha256, Sha512};

use crate::keys::{self, Key, KeyForm, KeyRing};

use super::KEY_HEADER;

pub(super) fn verify(
    ring: &KeyRing,
    headers: &HeaderMap,
    path: &str,
    query: &str,
) -> Result<(String, Key), &'static str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(api_key), Some(authent)) = (text(KEY_HEADER), text("Authent")) else {
        return Err("requiredArgumentMissing");
    };
    let key = ring.find(api_key).filter(|key| key.form == KeyForm::KrakenFutures);
    let key = key.ok_or("authenticationError")?;
    let nonce = text("Nonce");
    if !signed_by(&key.secret, query, nonce.unwrap_or_default(), path, authent) {
        return Err("authenticationError");
    }
    if let Some(nonce) = nonce {
        let nonce = nonce.parse().map_err(|_| "invalidArgument: nonce")?;
        if nonce == key.last_nonce() {
            return Err("nonceDuplicate");
        }
        if !key.advance(nonce) {
            return Err("nonceBelowThreshold");
        }
    }
    Ok((api_key.to_owned(), key))
}

fn signed_by(secret: &str, query: &str, nonce: &str, path: &str, authent: &str) -> bool {
    let Some(secret) = keys::kraken_secret(secret) else { return false };
    let Ok(authent) = STANDARD.decode(authent) else { return false };
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(&secret) else { return false };
    let path = path.strip_prefix("/derivatives").unwrap_or(path);
    let digest = Sha256::new().chain_update(query).chain_update(nonce).chain_update(path);
    mac.update(&digest.finalize());
    mac.verify_slice(&authent).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_nonce_and_path_are_signed() {
        // Computed with another implementation; the venue documents no numbers.
        let secret = "tp36M4r1mxRpbma8fBdiDubLPr86CaTo+5kjUf/Zv5oUH42jlaM+UTt24vB2oAmKXyTaKalWg7YFkG\
            cMjU18vA==";
        let plain = "tC9jFwWhZRXqSuEyvmuK+xshWakHc9ar9Z9pDZmVi8ECjZwS9/LExp/pOTEOdLw24kPvhYBVDLVZluWV\
            lHR7Pg==";
        let path = "/derivatives/api/v3/accounts";
        assert!(signed_by(secret, "", "", path, plain));
        assert!(!signed_by(secret, "", "1", path, plain));
        let query = "lastFillTime=2026-01-02T00%3A00%3A00.000Z";
        let whole = "h1+5rNgIiE6zhkPy6FomdT2ZsgxupTD4Ly8pFa/S9Ei9y657Pzt42/4JRMYjmWhWSw3b7vzeByeIg0g2\
            qa05dA==";
        let path = "/derivatives/api/v3/fills";
        assert!(signed_by(secret, query, "1717286400123", path, whole));
        assert!(!signed_by(secret, &query.replace("%3A", ":"), "1717286400123", path, whole));
    }
}
