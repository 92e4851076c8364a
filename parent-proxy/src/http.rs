//! The little HTTP/1 that egress and administration speak: one request a
//! connection, no body, one answer.
//!
//! `httparse` finds the tokens; everything it leaves to its caller is decided
//! here, strictly.
//!
//! # Guarantees
//!
//! * Lines end in CRLF; a bare CR or LF is malformed.
//! * An HTTP/1.1 request has exactly one `Host`.
//! * A request with `Content-Length` or `Transfer-Encoding` is malformed: no
//!   request we take has a body, and two readings of where one ends are how
//!   requests are smuggled.
//! * What was read behind the head is handed out, never dropped.
//!
//! # Limits
//!
//! [`REQUEST_HEAD_LEN_MAX`] bytes, [`REQUEST_HEADERS_MAX`] headers; the time is
//! the caller's.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::limits::{LINGER_LEN_MAX, LINGER_TIMEOUT, REQUEST_HEAD_LEN_MAX, REQUEST_HEADERS_MAX};

/// A request line, its checked headers, and the bytes behind them.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    pub target: String,
    /// Absent only in HTTP/1.0.
    pub host: Option<String>,
    pub rest: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Connect,
    Get,
    Other,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("connection closed before a request was complete")]
    Abandoned(#[source] Option<io::Error>),
    #[error("request is malformed")]
    Malformed,
    #[error("request head is longer than {REQUEST_HEAD_LEN_MAX} bytes or has too many headers")]
    TooLarge,
}

/// Reads one request head. Not cancel safe: bytes read are lost.
///
/// # Errors
///
/// As soon as the bytes cannot become a request we take.
pub async fn read_request<R: AsyncRead + Unpin>(from: &mut R) -> Result<Request, RequestError> {
    let mut bytes = Vec::new();
    loop {
        let room = REQUEST_HEAD_LEN_MAX.saturating_sub(bytes.len());
        if room == 0 {
            return Err(RequestError::TooLarge);
        }
        let mut limited = (&mut *from).take(u64::try_from(room).unwrap_or(u64::MAX));
        bytes.reserve(room.min(1024));
        match limited.read_buf(&mut bytes).await {
            Ok(0) => return Err(RequestError::Abandoned(None)),
            Ok(_) => {}
            Err(error) => return Err(RequestError::Abandoned(Some(error))),
        }
        if let Some(request) = parse_request(&bytes)? {
            return Ok(request);
        }
    }
}

/// The request at the front of `bytes`, or `None` while it is incomplete.
fn parse_request(bytes: &[u8]) -> Result<Option<Request>, RequestError> {
    let mut headers = [httparse::EMPTY_HEADER; REQUEST_HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(RequestError::TooLarge),
        Err(_) => return Err(RequestError::Malformed),
    };
    let (head, rest) = bytes.split_at_checked(len).ok_or(RequestError::Malformed)?;
    if !lines_end_in_crlf(head) {
        return Err(RequestError::Malformed);
    }
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(RequestError::Malformed);
    };
    let mut host = None;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("host") {
            let value = std::str::from_utf8(header.value).map_err(|_| RequestError::Malformed)?;
            if host.replace(value.to_owned()).is_some() {
                return Err(RequestError::Malformed);
            }
        }
        if header.name.eq_ignore_ascii_case("content-length")
            || header.name.eq_ignore_ascii_case("transfer-encoding")
        {
            return Err(RequestError::Malformed);
        }
    }
    // RFC 9112 §3.2: without Host, an HTTP/1.1 request is answered with 400.
    if host.is_none() && version != 0 {
        return Err(RequestError::Malformed);
    }
    let method = match method {
        "CONNECT" => Method::Connect,
        "GET" => Method::Get,
        _ => Method::Other,
    };
    Ok(Some(Request { method, target: target.to_owned(), host, rest: rest.to_vec() }))
}

fn lines_end_in_crlf(head: &[u8]) -> bool {
    let mut before = 0;
    let paired = head.iter().all(|byte| {
        let fits = (*byte == b'\n') == (before == b'\r');
        before = *byte;
        fits
    });
    paired && before != b'\r'
}

/// The statuses we answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    Forbidden,
    NotFound,
    RequestTimeout,
    HeaderFieldsTooLarge,
    BadGateway,
    ServiceUnavailable,
    GatewayTimeout,
}

impl Status {
    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::RequestTimeout => "408 Request Timeout",
            Self::HeaderFieldsTooLarge => "431 Request Header Fields Too Large",
            Self::BadGateway => "502 Bad Gateway",
            Self::ServiceUnavailable => "503 Service Unavailable",
            Self::GatewayTimeout => "504 Gateway Timeout",
        }
    }
}

/// The answer that opens a tunnel; RFC 9110 §9.3.6 forbids it a length.
pub const TUNNEL_OPEN: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Answers, closes the writing half, and reads what the client still sends for
/// a moment, so that the answer arrives.
///
/// # Errors
///
/// The client is gone.
pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    status: Status,
    content_type: &str,
    body: &[u8],
) -> io::Result<()> {
    let mut bytes = format!(
        "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        status.line(),
        body.len(),
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await?;
    stream.shutdown().await?;
    let linger = async {
        let mut dropped = 0;
        let mut scratch = [0; 1024];
        while dropped < LINGER_LEN_MAX {
            match stream.read(&mut scratch).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => dropped += bytes,
            }
        }
    };
    // Whoever sends on past this loses its answer.
    drop(timeout(LINGER_TIMEOUT, linger).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read(bytes: &[u8]) -> Result<Request, RequestError> {
        let mut bytes = bytes;
        read_request(&mut bytes).await
    }

    #[tokio::test]
    async fn a_connect_request_is_read_with_what_follows_it() {
        let request = read(
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a.bc:443\r\nProxy-Connection: x\r\n\r\n\x16\x03",
        )
        .await
        .unwrap();
        assert_eq!(request.method, Method::Connect);
        assert_eq!(request.target, "a.bc:443");
        assert_eq!(request.host.as_deref(), Some("a.bc:443"));
        assert_eq!(request.rest, b"\x16\x03");
    }

    #[tokio::test]
    async fn an_old_client_may_leave_host_out() {
        let request = read(b"CONNECT a.bc:443 HTTP/1.0\r\n\r\n").await.unwrap();
        assert_eq!(request.host, None);
    }

    #[tokio::test]
    async fn hostile_requests_are_refused_by_kind() {
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(64));
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000));
        for malformed in [
            &b"CONNECT a.bc:443 HTTP/1.1\r\n\r\n"[..],
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\nHost: a\n\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost : a\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\n Host: a\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHost: \xff\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/2.0\r\nHost: a\r\n\r\n",
            b"CONNECT  a.bc:443 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"CONNECT a.bc:443\r\n\r\n",
            b"CONNECT a.bc:443 HTTP/1.1\r\nHo\0st: a\r\n\r\n",
            b"\r\n\r\nCONNECT a.bc:443 HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            b"\x00",
        ] {
            let got = read(malformed).await;
            assert!(matches!(got, Err(RequestError::Malformed)), "{malformed:?}: {got:?}");
        }
        for large in [&many, &long] {
            let got = read(large.as_bytes()).await;
            assert!(matches!(got, Err(RequestError::TooLarge)), "{got:?}");
        }
        for short in [&b""[..], b"CONN", b"CONNECT a.bc:443 HTTP/1.1\r\nHost: a\r\n"] {
            let got = read(short).await;
            assert!(matches!(got, Err(RequestError::Abandoned(None))), "{short:?}: {got:?}");
        }
    }

    #[tokio::test]
    async fn the_head_may_fill_the_bound_and_not_more() {
        let head = |len: usize| {
            let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(len - frame))
        };
        assert!(read(head(REQUEST_HEAD_LEN_MAX).as_bytes()).await.is_ok());
        let past = read(head(REQUEST_HEAD_LEN_MAX + 1).as_bytes()).await;
        assert!(matches!(past, Err(RequestError::TooLarge)));
    }

    #[tokio::test]
    async fn an_answer_is_complete_and_then_closed() {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        let answering = answer(&mut ours, Status::Forbidden, "text/plain", b"no\n");
        let reading = async {
            let mut text = String::new();
            theirs.read_to_string(&mut text).await.unwrap();
            drop(theirs);
            text
        };
        let (answered, text) = tokio::join!(answering, reading);
        answered.unwrap();
        assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{text}");
        assert!(
            text.ends_with(
                "Content-Length: 3\r\nCache-Control: no-store\r\nConnection: close\r\n\r\nno\n"
            ),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn a_request_is_the_same_in_any_pieces(cut in 0_usize..75) {
            let whole: &[u8] =
                b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\nrest";
            let cut = cut.min(whole.len());
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let request = runtime.block_on(async {
                let mut pieces = whole[..cut].chain(&whole[cut..]);
                let mut request = read_request(&mut pieces).await.unwrap();
                pieces.read_to_end(&mut request.rest).await.unwrap();
                request
            });
            prop_assert_eq!(request.target.as_str(), "api.example.com:443");
            prop_assert_eq!(request.rest, b"rest");
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(request)) = parse_request(&bytes) {
                prop_assert!(!request.target.is_empty());
            }
        }
    }
}
