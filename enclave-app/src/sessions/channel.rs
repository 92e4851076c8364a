//! The keys of one envelope, once it has opened.
//!
//! A channel seals every answer to the customer who made the envelope, and
//! checks that later requests come from them. It belongs to a session, or to a
//! refusal of one: whatever follows an opened envelope is sealed.

use protocol::claim::{ClaimError, ClaimRequest};
use protocol::envelope::SessionKeys;
use protocol::keys::KeyId;
use protocol::portfolio::PortfolioKey;
use protocol::reply::{self, ReplyContext};
use protocol::request_auth::{Request, RequestAuth};

use crate::entropy::Entropy;

/// Seals answers and authenticates requests. Keys are wiped on drop.
#[derive(Debug)]
pub struct Channel {
    keys: SessionKeys,
    key_id: KeyId,
    ephemeral_pub: [u8; 32],
}

/// No answer could be sealed: no entropy, or an answer larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was not sealed")]
pub struct NotSealed;

impl Channel {
    pub const fn new(keys: SessionKeys, key_id: KeyId, ephemeral_pub: [u8; 32]) -> Self {
        Self { keys, key_id, ephemeral_pub }
    }

    /// Seals `plaintext` as the answer to the request of `request_nonce`.
    pub fn seal(
        &self,
        entropy: &Entropy,
        request_nonce: &[u8; 16],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, NotSealed> {
        let context = ReplyContext {
            key_id: &self.key_id,
            ephemeral_pub: &self.ephemeral_pub,
            request_nonce,
        };
        let nonce = entropy.array().map_err(|_| NotSealed)?;
        reply::seal(&self.keys.reply, &context, nonce, plaintext)
            .map(|sealed| sealed.to_json())
            .map_err(|_| NotSealed)
    }

    /// Reads a claim that `key` signed for this session.
    pub fn read_claim(&self, body: &[u8], key: &PortfolioKey) -> Result<ClaimRequest, ClaimError> {
        ClaimRequest::verify(body, key, &self.key_id, &self.ephemeral_pub)
    }

    /// Whether `auth` was made for `request` with this channel's key.
    pub fn authenticates(&self, auth: &RequestAuth, request: &Request<'_>) -> bool {
        auth.verify(&self.keys.request, request).is_ok()
    }
}
