//! Reading a body, bounded in bytes, in silence and in all.

use axum::body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::error::Refusal;
use crate::limits::{BODY_SILENCE_TIMEOUT, BODY_TIMEOUT};

/// The whole body, frame by frame, in one buffer that never grows past
/// `len_max` and is wiped when dropped. Trailers are refused.
pub(super) async fn read(mut body: Body, len_max: usize) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let collect = async {
        let mut out = Zeroizing::new(Vec::with_capacity(len_max));
        loop {
            let frame = timeout(BODY_SILENCE_TIMEOUT, body.frame())
                .await
                .map_err(|_| Refusal::BodyTooSlow)?;
            let Some(frame) = frame else { return Ok(out) };
            let frame = frame.map_err(|_| Refusal::Form("body"))?;
            let data = frame.into_data().map_err(|_| Refusal::Form("trailers"))?;
            if data.len() > len_max - out.len() {
                return Err(Refusal::BodyTooLarge);
            }
            out.extend_from_slice(&data);
        }
    };
    timeout(BODY_TIMEOUT, collect).await.map_err(|_| Refusal::BodyTooSlow)?
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::HeaderMap;
    use bytes::Bytes;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    fn frames(frames: Vec<Frame<Bytes>>) -> Body {
        let frames = frames.into_iter().map(Ok::<_, Infallible>);
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    }

    fn data(len: usize) -> Frame<Bytes> {
        Frame::data(Bytes::from(vec![b'x'; len]))
    }

    #[tokio::test]
    async fn frames_are_joined_up_to_the_bound() {
        assert_eq!(read(frames(vec![data(3), data(4)]), 7).await.unwrap().len(), 7);
        let long = read(frames(vec![data(3), data(5)]), 7).await;
        assert_eq!(long.err(), Some(Refusal::BodyTooLarge));
    }

    #[tokio::test]
    async fn trailers_are_refused() {
        let trailers = Frame::trailers(HeaderMap::new());
        let read = read(frames(vec![data(3), trailers]), 7).await;
        assert_eq!(read.err(), Some(Refusal::Form("trailers")));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_it() {
        let silent = futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>();
        let read = read(Body::new(StreamBody::new(silent)), 7).await;
        assert_eq!(read.err(), Some(Refusal::BodyTooSlow));
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_ends_too() {
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(BODY_SILENCE_TIMEOUT / 2).await;
            Some((Ok::<_, Infallible>(data(1)), ()))
        });
        let read = read(Body::new(StreamBody::new(drip)), 1000).await;
        assert_eq!(read.err(), Some(Refusal::BodyTooSlow));
    }
}
