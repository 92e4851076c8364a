//! The customer's time, against which a document is fresh or stale.

use protocol::time::UnixMillis;

use crate::error::ClientError;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// This machine's clock.
    System,
    /// The clock of a simulated scenario, at an `http://` address.
    #[cfg(feature = "simulator")]
    Scenario(url::Url),
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    #[cfg_attr(not(feature = "simulator"), expect(clippy::unused_async, reason = "one signature"))]
    pub async fn now(&self) -> Result<UnixMillis, ClientError> {
        match self {
            Self::System => system(),
            #[cfg(feature = "simulator")]
            Self::Scenario(url) => scenario::now(url).await,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the customer's clock")]
fn system() -> Result<UnixMillis, ClientError> {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .map(UnixMillis)
        .ok_or_else(|| {
            ClientError::usage("the clock of this machine is before 1970", "set the clock")
        })
}

#[cfg(feature = "simulator")]
mod scenario {
    use std::time::Duration;

    use http::{Request, header};
    use http_body_util::{BodyExt, Empty, Limited};
    use hyper::body::Bytes;
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use protocol::time::UnixMillis;
    use serde::Deserialize;
    use tokio::net::TcpStream;
    use tokio::task::JoinSet;
    use tokio::time::timeout;
    use url::Url;

    use crate::error::ClientError;

    const TIMEOUT: Duration = Duration::from_secs(10);
    const REPLY_LEN_MAX: usize = 4096;

    #[derive(Deserialize)]
    struct Reading {
        now_ms: u64,
    }

    pub(super) async fn now(url: &Url) -> Result<UnixMillis, ClientError> {
        timeout(TIMEOUT, read(url))
            .await
            .unwrap_or_else(|_| Err(gone("no answer in time")))
            .map(UnixMillis)
    }

    #[expect(clippy::disallowed_methods, reason = "the scenario's clock is on loopback")]
    async fn read(url: &Url) -> Result<u64, ClientError> {
        let host = url.host_str().ok_or_else(|| gone("no host in its address"))?;
        let port = url.port_or_known_default().ok_or_else(|| gone("no port in its address"))?;
        let stream = TcpStream::connect((host, port)).await.map_err(|error| gone(&error.kind()))?;
        let (mut sender, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|_| gone("no HTTP there"))?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { driver.await.is_ok() });
        let request = Request::get(url.path())
            .header(header::HOST, host)
            .body(Empty::<Bytes>::new())
            .map_err(|_| gone("its address is malformed"))?;
        let reply = sender.send_request(request).await.map_err(|_| gone("connection closed"))?;
        let body = Limited::new(reply.into_body(), REPLY_LEN_MAX)
            .collect()
            .await
            .map_err(|_| gone("its answer was cut off"))?
            .to_bytes();
        serde_json::from_slice::<Reading>(&body)
            .map(|reading| reading.now_ms)
            .map_err(|_| gone("its answer is malformed"))
    }

    fn gone(reason: &(impl ToString + ?Sized)) -> ClientError {
        ClientError::unreachable("the scenario clock", reason)
    }
}
