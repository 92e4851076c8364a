//! `POST /v1/sessions`, `GET /v1/session`, `DELETE /v1/session`.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use protocol::limits::ENVELOPE_JSON_LEN_MAX;
use protocol::session::{AccountStatus, End, Ended, SessionStatus};
use zeroize::Zeroizing;

use super::authenticate::{Authentic, authenticate};
use super::error::{Refusal, RequestId};
use super::firewall::refuse;
use super::{Front, body};
use crate::sessions::channel::Channel;
use crate::sessions::custody::{Opened, Refused};

pub(super) async fn open(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response {
    let envelope = match body::read(request.into_body(), ENVELOPE_JSON_LEN_MAX).await {
        Ok(envelope) => envelope,
        Err(refusal) => return refuse(&front, &refusal, &request_id).answer(&request_id),
    };
    match front.custody.open(&envelope).await {
        Ok(Opened { live, request_nonce, message }) => {
            let plaintext = Zeroizing::new(message.to_json());
            seal(&front, &live.channel, &request_nonce, StatusCode::CREATED, &plaintext)
                .unwrap_or_else(|refusal| {
                    // Nobody can name a session whose id was never told.
                    front.custody.revoke(&live);
                    refuse(&front, &refusal, &request_id).answer(&request_id)
                })
        }
        Err(Refused { why, sealed }) => {
            let refusal = Refusal::Open(why);
            match sealed {
                None => refuse(&front, &refusal, &request_id).answer(&request_id),
                Some((channel, nonce)) => {
                    seal_refusal(&front, &channel, &nonce, &refusal, &request_id)
                }
            }
        }
    }
}

pub(super) async fn status(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response {
    match authenticate(&front, &request) {
        Ok(Authentic { live, nonce }) => {
            let session = &live.session;
            let engine = front.custody.engine().status(session);
            let accounts = session
                .accounts()
                .iter()
                .enumerate()
                .map(|(index, account)| {
                    let polled = engine.accounts.get(index).copied().unwrap_or_default();
                    AccountStatus {
                        label: account.label.clone(),
                        venue: account.venue.name().to_owned(),
                        market: account.market.name().to_owned(),
                        identity: account.identity.clone(),
                        last_complete_poll: polled.last_complete_poll,
                        next_poll: polled.next_poll,
                        last_error: polled.last_error,
                        polls_complete: polled.polls_complete,
                        polls_incomplete: polled.polls_incomplete,
                    }
                })
                .collect();
            let status = SessionStatus::active(
                front.custody.now(),
                session.expires_at(),
                session.portfolio_id(),
                accounts,
                engine.coverage,
                front.simulated(),
            );
            let plaintext = Zeroizing::new(status.to_json());
            seal(&front, &live.channel, &nonce, StatusCode::OK, &plaintext)
                .unwrap_or_else(|refusal| refuse(&front, &refusal, &request_id).answer(&request_id))
        }
        Err(refusal) => refuse(&front, &refusal, &request_id).answer(&request_id),
    }
}

pub(super) async fn end(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response {
    let ended = authenticate(&front, &request).and_then(|Authentic { live, nonce }| {
        // Of two that ask at once, one ends it and the other is too late.
        if !front.custody.revoke(&live) {
            return Err(Refusal::Unauthorized);
        }
        let ended = Ended::new(End::Revoked, front.custody.now()).to_json();
        seal(&front, &live.channel, &nonce, StatusCode::OK, &ended)
    });
    ended.unwrap_or_else(|refusal| refuse(&front, &refusal, &request_id).answer(&request_id))
}

/// Seals a good answer.
pub(super) fn seal(
    front: &Front,
    channel: &Channel,
    nonce: &[u8; 16],
    status: StatusCode,
    plaintext: &[u8],
) -> Result<Response, Refusal> {
    channel
        .seal(&front.entropy, nonce, plaintext)
        .map(|body| super::sealed(status, body))
        .map_err(|_| Refusal::Internal)
}

/// Seals a refusal; counts it once.
pub(super) fn seal_refusal(
    front: &Front,
    channel: &Channel,
    nonce: &[u8; 16],
    refusal: &Refusal,
    request_id: &RequestId,
) -> Response {
    refuse(front, refusal, request_id);
    match channel.seal(&front.entropy, nonce, &refusal.sealed_body(request_id)) {
        Ok(body) => {
            let mut response = super::sealed(refusal.status(), body);
            refusal.add_headers(&mut response);
            response
        }
        Err(_) => Refusal::Internal.answer(request_id),
    }
}
