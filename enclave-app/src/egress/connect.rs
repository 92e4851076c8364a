//! HTTP CONNECT (RFC 9110 §9.3.6) to the parent, with a bounded reading of its answer.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use transport::{Address, Side, Stream};

use super::PORT;

/// The parent resolves and connects within its own ten seconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer head, in bytes: a status line and a few fields.
const HEAD_LEN_MAX: usize = 1024;

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TunnelError {
    /// The parent does not answer at all.
    #[error("the parent cannot be reached")]
    Unreachable,
    /// 403: its list does not have the host.
    #[error("the parent does not allow this host")]
    NotAllowed,
    /// 502: it cannot connect.
    #[error("the parent cannot connect to this host")]
    CannotConnect,
    /// 504, or no answer in time.
    #[error("the host is too slow to connect")]
    TooSlow,
    /// Anything else.
    #[error("the parent's answer is no tunnel")]
    Answer,
}

/// Opens a tunnel to `host`.
pub(super) async fn open(to: &Address, host: &str) -> Result<Stream, TunnelError> {
    timeout(CONNECT_TIMEOUT, async {
        let mut stream =
            transport::dial(to, Side::Enclave).await.map_err(|_| TunnelError::Unreachable)?;
        request(&mut stream, host).await?;
        Ok(stream)
    })
    .await
    .unwrap_or(Err(TunnelError::TooSlow))
}

async fn request(stream: &mut Stream, host: &str) -> Result<(), TunnelError> {
    let head = format!("CONNECT {host}:{PORT} HTTP/1.1\r\nHost: {host}:{PORT}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.map_err(|_| TunnelError::Unreachable)?;
    let mut answer = Vec::with_capacity(HEAD_LEN_MAX);
    // Byte by byte: what follows the head belongs to TLS.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= HEAD_LEN_MAX {
            return Err(TunnelError::Answer);
        }
        answer.push(stream.read_u8().await.map_err(|_| TunnelError::Unreachable)?);
    }
    let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
        Some(b"200") => Ok(()),
        Some(b"403") => Err(TunnelError::NotAllowed),
        Some(b"502") => Err(TunnelError::CannotConnect),
        Some(b"504") => Err(TunnelError::TooSlow),
        _ => Err(TunnelError::Answer),
    }
}

#[cfg(test)]
mod tests {
    use transport::Listener;

    use super::*;

    async fn answered(answer: &'static [u8]) -> Result<(), TunnelError> {
        let listener =
            Listener::bind(&"tcp://127.0.0.1:0".parse().unwrap(), Side::Parent).await.unwrap();
        let to = listener.local_address().unwrap();
        let parent = async {
            let mut stream = listener.accept().await.unwrap();
            let asked =
                b"CONNECT api.binance.com:443 HTTP/1.1\r\nHost: api.binance.com:443\r\n\r\n";
            let mut head = vec![0; asked.len()];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(head, asked);
            stream.write_all(answer).await.unwrap();
            stream
        };
        let (opened, stream) = tokio::join!(open(&to, "api.binance.com"), parent);
        drop(stream);
        opened.map(drop)
    }

    #[tokio::test]
    async fn each_answer_of_the_parent_has_its_own_error() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\n").await, Ok(()));
        for (answer, error) in [
            (b"HTTP/1.1 403 Forbidden\r\n\r\n".as_slice(), TunnelError::NotAllowed),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", TunnelError::CannotConnect),
            (b"HTTP/1.1 504 Gateway Timeout\r\n\r\n", TunnelError::TooSlow),
            (b"HTTP/1.1 201 Created\r\n\r\n", TunnelError::Answer),
            (b"HTTP/1.0 200 OK\r\n\r\n", TunnelError::Answer),
            (b"garbage\r\n\r\n", TunnelError::Answer),
            (&[b'x'; 2 * HEAD_LEN_MAX], TunnelError::Answer),
        ] {
            assert_eq!(answered(answer).await, Err(error));
        }
    }

    #[tokio::test]
    async fn an_absent_parent_is_told_at_once() {
        let to = "unix:///nowhere/egress.sock".parse().unwrap();
        assert_eq!(open(&to, "api.binance.com").await.map(drop), Err(TunnelError::Unreachable));
    }
}
