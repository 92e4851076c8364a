//! Whether the enclave answers: a fresh round trip, seldom enough not to hurt.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use transport::{Address, Side, dial};

use crate::limits::{HEALTH_CACHED, HEALTH_HEAD_LEN_MAX, HEALTH_TIMEOUT};

/// What a round trip found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    Ok,
    /// Nobody listens, or the road is broken.
    Unreachable,
    /// No answer within the bound.
    Timeout,
    /// An answer that is not HTTP.
    BadAnswer,
    /// The enclave says that it is not well.
    Unhealthy,
}

impl Health {
    pub const ALL: &[Self] =
        &[Self::Ok, Self::Unreachable, Self::Timeout, Self::BadAnswer, Self::Unhealthy];

    /// The word in the answer, in metrics and in logs.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::BadAnswer => "bad_answer",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The last finding, and the lock that makes probes share one round trip.
#[derive(Debug, Default)]
pub struct Prober {
    last: Mutex<Option<(Instant, Health)>>,
}

impl Prober {
    /// A finding at most [`HEALTH_CACHED`] old. `told` hears of each new one.
    pub async fn check(&self, enclave: &Address, told: impl FnOnce(Health)) -> Health {
        let mut last = self.last.lock().await;
        if let Some((at, health)) = *last
            && at.elapsed() < HEALTH_CACHED
        {
            return health;
        }
        let health = probe(enclave, HEALTH_TIMEOUT).await;
        told(health);
        *last = Some((Instant::now(), health));
        health
    }
}

async fn probe(enclave: &Address, within: Duration) -> Health {
    timeout(within, round_trip(enclave)).await.unwrap_or(Health::Timeout)
}

async fn round_trip(enclave: &Address) -> Health {
    let Ok(mut stream) = dial(enclave, Side::Parent).await else {
        return Health::Unreachable;
    };
    let request = b"GET /health HTTP/1.1\r\nHost: enclave\r\nConnection: close\r\n\r\n";
    if stream.write_all(request).await.is_err() {
        return Health::Unreachable;
    }
    let mut head = Vec::new();
    let mut limited = stream.take(u64::try_from(HEALTH_HEAD_LEN_MAX).unwrap_or(u64::MAX));
    loop {
        match limited.read_buf(&mut head).await {
            Ok(0) | Err(_) => return Health::BadAnswer,
            Ok(_) => {}
        }
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        match response.parse(&head) {
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(_)) if response.code == Some(200) => return Health::Ok,
            Ok(httparse::Status::Complete(_)) => return Health::Unhealthy,
            Err(_) => return Health::BadAnswer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::advance;
    use transport::Listener;

    use super::*;

    /// An enclave that answers each probe with `bytes`; `None` stays silent.
    async fn finds(bytes: Option<&'static [u8]>) -> Health {
        let dir = tempfile::tempdir().unwrap();
        let at = Address::Unix(dir.path().join("h.sock"));
        let listener = Listener::bind(&at, Side::Enclave).await.unwrap();
        let answering = async {
            let mut stream = listener.accept().await.unwrap();
            let mut request = vec![0; 1024];
            let len = stream.read(&mut request).await.unwrap();
            assert!(request[..len].starts_with(b"GET /health HTTP/1.1\r\n"));
            if let Some(bytes) = bytes {
                stream.write_all(bytes).await.unwrap();
                drop(stream);
                None
            } else {
                Some(stream)
            }
        };
        tokio::join!(answering, probe(&at, HEALTH_TIMEOUT)).1
    }

    #[tokio::test(start_paused = true)]
    async fn each_finding_has_its_word() {
        assert_eq!(finds(Some(b"HTTP/1.1 200 OK\r\n\r\n{}")).await, Health::Ok);
        assert_eq!(finds(Some(b"HTTP/1.1 503 No\r\n\r\n")).await, Health::Unhealthy);
        assert_eq!(finds(Some(b"HTTP/1.1 200 OK\r\n")).await, Health::BadAnswer);
        assert_eq!(finds(Some(b"SSH-2.0\r\n")).await, Health::BadAnswer);
        assert_eq!(finds(Some(b"")).await, Health::BadAnswer);
        assert_eq!(finds(Some(&[b'H'; 5000])).await, Health::BadAnswer);
        assert_eq!(finds(None).await, Health::Timeout);
        let nobody = Address::Unix("/nonexistent/h.sock".into());
        assert_eq!(probe(&nobody, HEALTH_TIMEOUT).await, Health::Unreachable);
    }

    #[tokio::test(start_paused = true)]
    async fn probes_within_a_second_share_one_round_trip() {
        let prober = Prober::default();
        let nobody = Address::Unix("/nonexistent/h.sock".into());
        let trips = AtomicUsize::new(0);
        let count = |_| {
            trips.fetch_add(1, Ordering::Relaxed);
        };
        let check = || prober.check(&nobody, count);
        tokio::join!(check(), check(), check());
        advance(HEALTH_CACHED.checked_sub(Duration::from_millis(1)).unwrap()).await;
        check().await;
        assert_eq!(trips.load(Ordering::Relaxed), 1);
        advance(Duration::from_millis(1)).await;
        check().await;
        assert_eq!(trips.load(Ordering::Relaxed), 2);
    }
}
