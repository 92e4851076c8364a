//! `GET /v1/session/report`: signed, then sealed.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use zeroize::Zeroizing;

use super::Front;
use super::authenticate::{Authentic, authenticate};
use super::error::{Refusal, RequestId};
use super::firewall::refuse;
use super::sessions::{seal, seal_refusal};

pub(super) async fn report(
    State(front): State<Front>,
    Extension(request_id): Extension<RequestId>,
    request: Request,
) -> Response {
    let Authentic { live, nonce } = match authenticate(&front, &request) {
        Ok(authentic) => authentic,
        Err(refusal) => return refuse(&front, &refusal, &request_id).answer(&request_id),
    };
    drop(request);
    match front.custody.engine().report(&live.session).await {
        Ok(report) => {
            let report = Zeroizing::new(report);
            seal(&front, &live.channel, &nonce, StatusCode::OK, &report)
                .unwrap_or_else(|refusal| refuse(&front, &refusal, &request_id).answer(&request_id))
        }
        Err(why) => seal_refusal(&front, &live.channel, &nonce, &Refusal::Report(why), &request_id),
    }
}
