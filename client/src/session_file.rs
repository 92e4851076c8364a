//! What a customer keeps between commands: the session's keys, and the demands
//! the session was opened with.
//!
//! Whoever holds the file can read and end the session; it cannot open another.

use std::path::Path;

use protocol::attestation::Root;
use protocol::encoding::{b64_array, hex_array};
use protocol::envelope::SessionKeys;
use protocol::key_bundle::DeploymentRule;
use protocol::measurements::Measurements;
use protocol::portfolio::PortfolioId;
use protocol::reply::ReplyKey;
use protocol::request_auth::RequestKey;
use protocol::session::SessionId;
use protocol::time::UnixMillis;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::{Zeroize, Zeroizing};

use crate::clock::Clock;
use crate::error::ClientError;
use crate::files;
use crate::service::{Demands, Service};

const FILE_LEN_MAX: usize = 64 * 1024;

/// A session a customer may speak for.
#[derive(Debug)]
pub struct SavedSession {
    pub id: SessionId,
    pub key_id: [u8; 32],
    pub ephemeral_pub: [u8; 32],
    pub keys: SessionKeys,
    pub expires_at: UnixMillis,
    pub portfolio_id: PortfolioId,
    pub service: Service,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u8,
    url: Url,
    session_id: SessionId,
    #[serde(with = "hex_array")]
    key_id: [u8; 32],
    #[serde(with = "b64_array")]
    ephemeral_pub: [u8; 32],
    #[serde(with = "b64_array")]
    reply_key: [u8; 32],
    #[serde(with = "b64_array")]
    request_key: [u8; 32],
    expires_at: UnixMillis,
    portfolio_id: PortfolioId,
    measurements: Measurements,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deployment_sha256: Option<String>,
    #[cfg(feature = "simulator")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[cfg(feature = "simulator")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock: Option<Url>,
}

impl Drop for File {
    fn drop(&mut self) {
        self.reply_key.zeroize();
        self.request_key.zeroize();
    }
}

impl SavedSession {
    /// Fills the file that was reserved for it.
    pub fn save(&self, file: files::Reserved) -> Result<(), ClientError> {
        file.fill(&self.to_json()?)
    }

    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let service = &self.service;
        let file = File {
            v: 1,
            url: service.url.clone(),
            session_id: self.id.clone(),
            key_id: self.key_id,
            ephemeral_pub: self.ephemeral_pub,
            reply_key: *self.keys.reply.expose(),
            request_key: *self.keys.request.expose(),
            expires_at: self.expires_at,
            portfolio_id: self.portfolio_id,
            measurements: service.demands.measurements.clone(),
            deployment_sha256: match service.demands.deployment {
                DeploymentRule::Default => None,
                DeploymentRule::Pinned(hash) => Some(protocol::encoding::to_hex(&hash)),
            },
            #[cfg(feature = "simulator")]
            root: service
                .demands
                .simulated()
                .then(|| protocol::encoding::to_base64(service.demands.root.der())),
            #[cfg(feature = "simulator")]
            clock: match &service.clock {
                Clock::System => None,
                Clock::Scenario(url) => Some(url.clone()),
            },
        };
        serde_json::to_vec(&file)
            .map(Zeroizing::new)
            .map_err(|_| ClientError::Internal("the session cannot be written".into()))
    }

    /// Reads the file that [`save`](Self::save) wrote.
    pub fn read(path: &Path) -> Result<Self, ClientError> {
        let bytes = files::read_secret(path, FILE_LEN_MAX)?;
        let malformed = || {
            ClientError::usage(
                format!("{} is no session file", path.display()),
                "open a session with `perfagg connect`",
            )
        };
        let file: File = serde_json::from_slice(&bytes).map_err(|_| malformed())?;
        if file.v != 1 {
            return Err(malformed());
        }
        Ok(Self {
            id: file.session_id.clone(),
            key_id: file.key_id,
            ephemeral_pub: file.ephemeral_pub,
            keys: SessionKeys {
                reply: ReplyKey::from_bytes(&file.reply_key),
                request: RequestKey::from_bytes(&file.request_key),
            },
            expires_at: file.expires_at,
            portfolio_id: file.portfolio_id,
            service: Service {
                url: file.url.clone(),
                demands: Demands {
                    measurements: file.measurements.clone(),
                    deployment: crate::service::deployment_rule(file.deployment_sha256.as_deref())?,
                    #[cfg(feature = "simulator")]
                    root: match &file.root {
                        Some(text) => {
                            let der = protocol::encoding::from_base64(text);
                            Root::simulated(der.map_err(|_| malformed())?)
                        }
                        None => Root::AWS,
                    },
                    #[cfg(not(feature = "simulator"))]
                    root: Root::AWS,
                },
                #[cfg(feature = "simulator")]
                clock: file.clock.clone().map_or(Clock::System, Clock::Scenario),
                #[cfg(not(feature = "simulator"))]
                clock: Clock::System,
            },
        })
    }
}
