//! `POST /v1/session/claim`: judged, signed, then sealed; every judgement in one length.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use protocol::limits::CLAIM_BODY_LEN_MAX;
use zeroize::Zeroizing;

use super::Front;
use super::authenticate::{Authentic, authenticate_parts};
use super::body;
use super::error::{Refusal, RequestId};
use super::firewall::refuse;
use super::sessions::{seal, seal_refusal};

pub(super) async fn claim(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let authentic = match body::read(body, CLAIM_BODY_LEN_MAX).await {
        Ok(body) => authenticate_parts(&front, &head.method, &head.uri, &head.headers, &body)
            .map(|authentic| (authentic, body)),
        Err(refusal) => Err(refusal),
    };
    let (Authentic { live, nonce }, body) = match authentic {
        Ok(authentic) => authentic,
        Err(refusal) => return refuse(&front, &refusal, &request_id).answer(&request_id),
    };
    let answer = match front.custody.read_claim(&live, &body) {
        Ok(claim) => match front.custody.engine().claim(&live.session, &claim).await {
            Ok(reply) => reply.encode().map(Zeroizing::new).map_err(|_| Refusal::Internal),
            Err(why) => Err(Refusal::Report(why)),
        },
        Err(why) => Err(Refusal::Claim(why)),
    };
    match answer {
        Ok(reply) => seal(&front, &live.channel, &nonce, StatusCode::OK, &reply)
            .unwrap_or_else(|refusal| refuse(&front, &refusal, &request_id).answer(&request_id)),
        Err(refusal) => seal_refusal(&front, &live.channel, &nonce, &refusal, &request_id),
    }
}
