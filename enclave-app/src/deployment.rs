//! `deployment.json`: fetched from the parent at boot, bound by PCR16.
//!
//! The parent is not trusted, so its configuration may only choose or narrow:
//! the schema is closed ([`Deployment`]), the image's own limits stay upper
//! bounds ([`check`]), and the customer sees the exact bytes, hashed into
//! `user_data` and PCR16, before sending anything.
//!
//! One plain HTTP/1.1 exchange on the egress address: `GET /deployment`,
//! status 200, a `content-length`, and exactly that many bytes.

use exchanges::Venue;
use protocol::category::Category;
use protocol::key_bundle::Deployment;
use protocol::limits::DEPLOYMENT_LEN_MAX;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use transport::{Address, Side};

use crate::image_config::ImageConfig;
use crate::limits::{DEPLOYMENT_HEAD_LEN_MAX, DEPLOYMENT_TIMEOUT};

/// The configuration and the exact bytes it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub deployment: Deployment,
    pub bytes: Vec<u8>,
}

/// Why there is no configuration to run under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeploymentError {
    #[error("the parent cannot be reached for the deployment configuration")]
    Unreachable,
    #[error("the parent did not hand the deployment configuration over in time")]
    TooSlow,
    #[error("the parent's answer is not a deployment configuration of the expected size")]
    Answer,
    #[error("the deployment configuration is malformed")]
    Malformed,
    #[error("the deployment configuration names an exchange that this image does not have")]
    Venue,
    #[error("the deployment configuration allows more sessions than the image")]
    Sessions,
    #[error("the deployment configuration asks for `{0}`, which this image cannot do")]
    NotOffered(&'static str),
}

impl DeploymentError {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::Unreachable | Self::TooSlow => Category::Unavailable,
            Self::Answer | Self::Malformed => Category::Invalid,
            Self::Venue | Self::Sessions | Self::NotOffered(_) => Category::Refused,
        }
    }
}

/// Fetches the configuration and holds it against the image's.
pub async fn fetch(egress: &Address, image: &ImageConfig) -> Result<Fetched, DeploymentError> {
    let exchange = async {
        let stream = transport::dial(egress, Side::Enclave)
            .await
            .map_err(|_| DeploymentError::Unreachable)?;
        exchange(stream).await
    };
    let bytes =
        timeout(DEPLOYMENT_TIMEOUT, exchange).await.map_err(|_| DeploymentError::TooSlow)??;
    let deployment = check(&bytes, image)?;
    Ok(Fetched { deployment, bytes })
}

/// Reads a configuration that does not widen what the image allows.
pub fn check(bytes: &[u8], image: &ImageConfig) -> Result<Deployment, DeploymentError> {
    let deployment = Deployment::from_json(bytes).map_err(|_| DeploymentError::Malformed)?;
    if deployment.venues.iter().any(|venue| venue.parse::<Venue>().is_err()) {
        return Err(DeploymentError::Venue);
    }
    if usize::try_from(deployment.max_sessions).is_ok_and(|max| max > image.sessions.max) {
        return Err(DeploymentError::Sessions);
    }
    // What this image has no code for must not be promised or threatened.
    let trust = &deployment.trust;
    let asked = [
        ("kms_key_arn", trust.kms_key_arn.is_some()),
        ("escrow", trust.escrow),
        ("allow_trading_keys", trust.allow_trading_keys),
        (
            "allow_unreadable_permissions",
            trust.allow_unreadable_permissions && !image.keys.admit_unreadable,
        ),
        ("operator_can_read", trust.operator_can_read),
        ("role_root_key", trust.role_root_key.is_some()),
    ];
    match asked.into_iter().find(|(_, asked)| *asked) {
        Some((name, _)) => Err(DeploymentError::NotOffered(name)),
        None => Ok(deployment),
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
) -> Result<Vec<u8>, DeploymentError> {
    let request = b"GET /deployment HTTP/1.1\r\nhost: parent\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.map_err(|_| DeploymentError::Unreachable)?;
    let mut answer = Vec::with_capacity(DEPLOYMENT_HEAD_LEN_MAX + DEPLOYMENT_LEN_MAX);
    let (head_len, body_len) = loop {
        if let Some(found) = head(&answer)? {
            break found;
        }
        if answer.len() > DEPLOYMENT_HEAD_LEN_MAX || read_some(&mut stream, &mut answer).await? == 0
        {
            return Err(DeploymentError::Answer);
        }
    };
    while answer.len() < head_len + body_len {
        if read_some(&mut stream, &mut answer).await? == 0 {
            return Err(DeploymentError::Answer);
        }
    }
    if answer.len() > head_len + body_len {
        return Err(DeploymentError::Answer);
    }
    Ok(answer.split_off(head_len))
}

async fn read_some<S: AsyncRead + Unpin>(
    stream: &mut S,
    into: &mut Vec<u8>,
) -> Result<usize, DeploymentError> {
    let mut chunk = [0; 4096];
    let read = stream.read(&mut chunk).await.map_err(|_| DeploymentError::Answer)?;
    into.extend_from_slice(chunk.get(..read).unwrap_or_default());
    Ok(read)
}

/// The lengths of a complete head and of the body it announces.
fn head(answer: &[u8]) -> Result<Option<(usize, usize)>, DeploymentError> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = answer.get(..end).and_then(|head| std::str::from_utf8(head).ok());
    let mut lines = text.ok_or(DeploymentError::Answer)?.split("\r\n");
    if !lines.next().is_some_and(|status| status.starts_with("HTTP/1.1 200 ")) {
        return Err(DeploymentError::Answer);
    }
    let mut lengths = lines.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())
    });
    let (Some(Some(len)), None) = (lengths.next(), lengths.next()) else {
        return Err(DeploymentError::Answer);
    };
    if len > DEPLOYMENT_LEN_MAX {
        return Err(DeploymentError::Answer);
    }
    Ok(Some((end + 4, len)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../deployment.json");

    fn image() -> ImageConfig {
        ImageConfig::parse(include_bytes!("../image.toml")).unwrap()
    }

    async fn answered(answer: &[u8]) -> Result<Vec<u8>, DeploymentError> {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let serve = async move {
            let mut request = [0; 28];
            theirs.read_exact(&mut request).await.unwrap();
            assert!(request.starts_with(b"GET /deployment HTTP/1.1\r\n"));
            // Too long an answer is not read to its end.
            drop(theirs.write_all(answer).await);
        };
        tokio::join!(exchange(ours), serve).0
    }

    fn with_body(body: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    #[tokio::test]
    async fn the_bytes_are_taken_exactly_as_they_are() {
        assert_eq!(answered(&with_body(SHIPPED)).await.unwrap(), SHIPPED.as_bytes());
    }

    #[tokio::test]
    async fn answers_that_lie_about_their_length_are_refused() {
        let long = "x".repeat(DEPLOYMENT_LEN_MAX + 1);
        let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(20_000));
        for answer in [
            b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}".to_vec(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}".to_vec(),
            b"HTTP/1.1 200 OK\r\n\r\n{}".to_vec(),
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}".to_vec(),
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}".to_vec(),
            b"".to_vec(),
            with_body(&long),
            endless_head.into_bytes(),
        ] {
            assert_eq!(answered(&answer).await, Err(DeploymentError::Answer));
        }
    }

    #[test]
    fn the_shipped_example_is_accepted() {
        let deployment = check(SHIPPED.as_bytes(), &image()).unwrap();
        assert_eq!(deployment.venues, ["binance", "bybit", "coinbase", "kraken", "krakenfutures"]);
    }

    #[test]
    fn a_configuration_may_only_narrow() {
        let with = |from: &str, to: &str| check(SHIPPED.replace(from, to).as_bytes(), &image());
        assert_eq!(with("200", "100000"), Err(DeploymentError::Sessions));
        assert_eq!(with("200", "1001"), Err(DeploymentError::Sessions));
        assert!(with("200", "1000").is_ok());
        assert_eq!(with("\"binance\"", "\"mtgox\""), Err(DeploymentError::Venue));
        assert_eq!(with("\"v\": 1", "\"v\": 2"), Err(DeploymentError::Malformed));
        assert_eq!(with("\"v\": 1", "\"v\": 1, \"more\": 1"), Err(DeploymentError::Malformed));
        assert_eq!(check(b"", &image()), Err(DeploymentError::Malformed));
    }

    #[test]
    fn what_the_image_cannot_do_is_refused_by_name() {
        let with = |from: &str, to: &str| check(SHIPPED.replace(from, to).as_bytes(), &image());
        for name in ["allow_trading_keys", "allow_unreadable_permissions", "operator_can_read"] {
            let widened = with(&format!("\"{name}\": false"), &format!("\"{name}\": true"));
            assert_eq!(widened, Err(DeploymentError::NotOffered(name)));
        }
    }

    #[test]
    fn keys_that_cannot_be_read_need_the_image_and_the_deployment() {
        let text = SHIPPED.replace(
            "\"allow_unreadable_permissions\": false",
            "\"allow_unreadable_permissions\": true",
        );
        let mut image = image();
        image.keys.admit_unreadable = true;
        let admitted =
            |text: &str| check(text.as_bytes(), &image).unwrap().trust.allow_unreadable_permissions;
        assert!(admitted(&text));
        assert!(!admitted(SHIPPED), "the image alone admits none");
    }
}
