//! `GET /attestation?nonce=<hex>`: a fresh document of purpose `session`.

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use protocol::encoding::from_hex;
use protocol::key_bundle::AttestationReply;
use protocol::limits::{ATTESTATION_NONCE_LEN_MAX, ATTESTATION_NONCE_LEN_MIN};

use super::Front;
use super::error::{Refusal, RequestId};
use super::firewall::refuse;
use crate::addresses::Origin;
use crate::engine_api::Signer as _;

pub(super) async fn attestation(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    origin: Option<Extension<Origin>>,
    uri: Uri,
) -> Response {
    let origin = origin.map_or(Origin::Unknown, |Extension(origin)| origin);
    match attest(&front, origin, uri.query()).await {
        Ok(body) => super::json(StatusCode::OK, body),
        Err(refusal) => refuse(&front, &refusal, &request_id).answer(&request_id),
    }
}

async fn attest(front: &Front, origin: Origin, query: Option<&str>) -> Result<Vec<u8>, Refusal> {
    let nonce = nonce_of(query).ok_or(Refusal::Form("nonce"))?;
    if !front.addresses.may_attest(origin) {
        return Err(Refusal::AddressLimit);
    }
    let document = front.notary.session_document(&nonce).await.map_err(Refusal::Document)?;
    Ok(AttestationReply { document, key_bundle: front.notary.key_bundle() }.to_json())
}

/// Exactly `nonce=` and 16 to 64 bytes in lower-case hexadecimal.
fn nonce_of(query: Option<&str>) -> Option<Vec<u8>> {
    let hex = query?.strip_prefix("nonce=")?;
    if hex.len() > 2 * ATTESTATION_NONCE_LEN_MAX {
        return None;
    }
    let nonce = from_hex(hex).ok()?;
    (ATTESTATION_NONCE_LEN_MIN..=ATTESTATION_NONCE_LEN_MAX).contains(&nonce.len()).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_one_spelling_and_bounds() {
        let of = |bytes: usize| nonce_of(Some(&format!("nonce={}", "ab".repeat(bytes))));
        assert_eq!(of(15), None);
        assert_eq!(of(16), Some(vec![0xab; 16]));
        assert_eq!(of(64), Some(vec![0xab; 64]));
        assert_eq!(of(65), None);
        let good = "ab".repeat(16);
        for query in [
            String::new(),
            format!("nonce={}", good.to_uppercase()),
            format!("nonce={good}0"),
            format!("nonce={good}&nonce={good}"),
            format!("Nonce={good}"),
            format!("a=b&nonce={good}"),
            format!("nonce={good}&a=b"),
            format!("nonce=%61{}", "b".repeat(31)),
        ] {
            assert_eq!(nonce_of(Some(&query)), None, "{query}");
        }
        assert_eq!(nonce_of(None), None);
    }
}
