//! The PROXY protocol, version 2, binary form: a client's address in front of
//! its bytes.
//!
//! ```text
//! 12 bytes  0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
//!  1 byte   version 2 in the high half; command in the low one: 0 LOCAL, 1 PROXY
//!  1 byte   0x11 TCP over IPv4, 0x21 TCP over IPv6, 0x00 unspecified
//!  2 bytes  length of what follows, big endian
//! 12 or 36  source and destination address, source and destination port
//!  0..      extensions (type, length, value), skipped
//! ```
//!
//! # Guarantees
//!
//! * [`encode`] and [`parse`] are inverse on everything [`encode`] makes.
//! * [`read`] consumes the header and not one byte more.
//!
//! # What it does not give
//!
//! * No trust: the parent writes the header. It serves rate limits, never
//!   authorisation or audit.
//! * UDP and Unix families are refused, extensions are skipped unread.
//!
//! # Limits
//!
//! At most [`PROXY_V2_BODY_LEN_MAX`] bytes after the fixed part, checked before
//! they are read. A time-out is the caller's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::limits::PROXY_V2_BODY_LEN_MAX;

/// Bytes before the addresses.
pub const FIXED_LEN: usize = 16;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const VERSION: u8 = 0x20;
const COMMAND_LOCAL: u8 = 0;
const COMMAND_PROXY: u8 = 1;
const FAMILY_UNSPECIFIED: u8 = 0x00;
const FAMILY_TCP4: u8 = 0x11;
const FAMILY_TCP6: u8 = 0x21;
const TCP4_LEN: usize = 12;
const TCP6_LEN: usize = 36;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Header {
    /// The proxy speaks for itself, a health check for example; or it does not
    /// know the client.
    Local,
    /// The connection of a client.
    Proxied { source: SocketAddr, destination: SocketAddr },
}

impl Header {
    /// The client's address, if there is a client.
    pub const fn client(&self) -> Option<SocketAddr> {
        match self {
            Self::Local => None,
            Self::Proxied { source, .. } => Some(*source),
        }
    }
}

/// Why bytes are not a header we take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    #[error("not a PROXY protocol v2 signature")]
    Signature,
    #[error("PROXY protocol version or command unknown")]
    Version,
    #[error("address family is not TCP over IPv4 or IPv6")]
    Family,
    #[error("header longer than {} bytes", PROXY_V2_BODY_LEN_MAX + FIXED_LEN)]
    TooLong,
    #[error("header too short for its addresses")]
    TooShort,
    #[error("connection failed inside the header")]
    Io(#[source] io::Error),
}

/// The bytes of a header. IPv4-mapped addresses become IPv4; a mixed pair is
/// written as IPv6.
pub fn encode(header: &Header) -> Vec<u8> {
    let mut out = Vec::with_capacity(FIXED_LEN + TCP6_LEN);
    out.extend_from_slice(&SIGNATURE);
    match header {
        Header::Local => {
            out.extend_from_slice(&[VERSION | COMMAND_LOCAL, FAMILY_UNSPECIFIED, 0, 0]);
        }
        Header::Proxied { source, destination } => {
            out.push(VERSION | COMMAND_PROXY);
            match (source.ip().to_canonical(), destination.ip().to_canonical()) {
                (IpAddr::V4(from), IpAddr::V4(to)) => {
                    out.extend_from_slice(&[FAMILY_TCP4, 0, 12]);
                    out.extend_from_slice(&from.octets());
                    out.extend_from_slice(&to.octets());
                }
                (from, to) => {
                    out.extend_from_slice(&[FAMILY_TCP6, 0, 36]);
                    out.extend_from_slice(&as_v6(from).octets());
                    out.extend_from_slice(&as_v6(to).octets());
                }
            }
            out.extend_from_slice(&source.port().to_be_bytes());
            out.extend_from_slice(&destination.port().to_be_bytes());
        }
    }
    out
}

/// Reads a header from the front of `bytes`: it and its length, or `None` while
/// there are too few.
///
/// # Errors
///
/// As soon as the bytes cannot become a header, however few they are.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
    let seen = bytes.len().min(SIGNATURE.len());
    if bytes.get(..seen) != SIGNATURE.get(..seen) {
        return Err(HeaderError::Signature);
    }
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LEN>() else {
        return Ok(None);
    };
    let kind = Kind::of(fixed)?;
    match rest.get(..kind.body_len) {
        None => Ok(None),
        Some(body) => Ok(Some((kind.header(body)?, FIXED_LEN + kind.body_len))),
    }
}

/// Reads exactly one header. Not cancel safe: bytes read are lost.
///
/// # Errors
///
/// As [`parse`]; [`HeaderError::Io`] if the connection ends before the header does.
pub async fn read<R: AsyncRead + Unpin>(from: &mut R) -> Result<Header, HeaderError> {
    let mut fixed = [0; FIXED_LEN];
    from.read_exact(&mut fixed).await.map_err(HeaderError::Io)?;
    if !fixed.starts_with(&SIGNATURE) {
        return Err(HeaderError::Signature);
    }
    let kind = Kind::of(&fixed)?;
    let mut body = [0; PROXY_V2_BODY_LEN_MAX];
    let body = body.get_mut(..kind.body_len).ok_or(HeaderError::TooLong)?;
    from.read_exact(body).await.map_err(HeaderError::Io)?;
    kind.header(body)
}

/// The fixed part, checked.
struct Kind {
    family: Option<u8>,
    body_len: usize,
}

impl Kind {
    fn of(fixed: &[u8; FIXED_LEN]) -> Result<Self, HeaderError> {
        let [.., command, family, len_high, len_low] = *fixed;
        let family = match (command, family) {
            (c, _) if c == VERSION | COMMAND_LOCAL => None,
            (c, FAMILY_UNSPECIFIED) if c == VERSION | COMMAND_PROXY => None,
            (c, FAMILY_TCP4 | FAMILY_TCP6) if c == VERSION | COMMAND_PROXY => Some(family),
            (c, _) if c == VERSION | COMMAND_PROXY => return Err(HeaderError::Family),
            _ => return Err(HeaderError::Version),
        };
        let body_len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let needed = match family {
            Some(FAMILY_TCP4) => TCP4_LEN,
            Some(_) => TCP6_LEN,
            None => 0,
        };
        if body_len > PROXY_V2_BODY_LEN_MAX {
            return Err(HeaderError::TooLong);
        }
        if body_len < needed {
            return Err(HeaderError::TooShort);
        }
        Ok(Self { family, body_len })
    }

    fn header(&self, body: &[u8]) -> Result<Header, HeaderError> {
        let (source, destination) = match self.family {
            None => return Ok(Header::Local),
            Some(FAMILY_TCP4) => addresses::<4, TCP4_LEN>(body, |o| Ipv4Addr::from(o).into()),
            Some(_) => addresses::<16, TCP6_LEN>(body, |o| Ipv6Addr::from(o).to_canonical()),
        }
        .ok_or(HeaderError::TooShort)?;
        Ok(Header::Proxied { source, destination })
    }
}

/// Two addresses of `N` bytes, then two ports, `LEN` bytes in all.
fn addresses<const N: usize, const LEN: usize>(
    body: &[u8],
    ip: impl Fn([u8; N]) -> IpAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let body = body.first_chunk::<LEN>()?;
    let (from, rest) = body.split_first_chunk::<N>()?;
    let (to, ports) = rest.split_first_chunk::<N>()?;
    let &[a, b, c, d] = ports.first_chunk::<4>()?;
    let source = SocketAddr::new(ip(*from), u16::from_be_bytes([a, b]));
    Some((source, SocketAddr::new(ip(*to), u16::from_be_bytes([c, d]))))
}

const fn as_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxied(source: &str, destination: &str) -> Header {
        Header::Proxied {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    /// The specification's own layout, written out by hand.
    const V4: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x07\xd4\x31\x01\xbb";

    #[test]
    fn an_ipv4_client_has_the_bytes_of_the_specification() {
        let header = proxied("192.0.2.1:54321", "198.51.100.7:443");
        assert_eq!(encode(&header), V4);
        assert_eq!(parse(V4).unwrap(), Some((header, V4.len())));
    }

    #[test]
    fn every_header_we_make_is_read_back() {
        for header in [
            Header::Local,
            proxied("192.0.2.1:1", "198.51.100.7:443"),
            proxied("[2001:db8::1]:65535", "[2001:db8::2]:443"),
            proxied("[2001:db8::1]:65535", "198.51.100.7:443"),
        ] {
            let mut bytes = encode(&header);
            let len = bytes.len();
            bytes.extend_from_slice(b"GET /");
            assert_eq!(parse(&bytes).unwrap(), Some((header, len)));
        }
    }

    #[test]
    fn a_mapped_client_is_sent_as_ipv4() {
        let mapped = proxied("[::ffff:192.0.2.1]:54321", "198.51.100.7:443");
        assert_eq!(encode(&mapped), V4);
    }

    #[test]
    fn every_prefix_asks_for_more() {
        for len in 0..V4.len() {
            assert!(parse(&V4[..len]).unwrap().is_none(), "{len}");
        }
    }

    #[test]
    fn hostile_headers_are_refused_with_their_reason() {
        let with = |at: usize, byte: u8| {
            let mut bytes = V4.to_vec();
            bytes[at] = byte;
            parse(&bytes)
        };
        for at in 0..12 {
            assert!(matches!(with(at, 0xff), Err(HeaderError::Signature)), "{at}");
        }
        assert!(matches!(parse(b"PROXY TCP4 "), Err(HeaderError::Signature)));
        assert!(matches!(parse(b"\x16\x03\x01"), Err(HeaderError::Signature)));
        for command in [0x00, 0x11, 0x22, 0x2f, 0x31] {
            assert!(matches!(with(12, command), Err(HeaderError::Version)), "{command:#x}");
        }
        for family in [0x10, 0x12, 0x13, 0x22, 0x31, 0x32, 0xff] {
            assert!(matches!(with(13, family), Err(HeaderError::Family)), "{family:#x}");
        }
        assert!(matches!(with(14, 0xff), Err(HeaderError::TooLong)));
        assert!(matches!(with(15, 11), Err(HeaderError::TooShort)));
        assert!(matches!(with(13, 0x21), Err(HeaderError::TooShort)));
    }

    #[test]
    fn extensions_are_skipped_up_to_the_bound() {
        let body = |len: usize| {
            let mut bytes = V4.to_vec();
            bytes[14..16].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            bytes.resize(FIXED_LEN + len, 0);
            bytes
        };
        let at_bound = body(PROXY_V2_BODY_LEN_MAX);
        let (header, len) = parse(&at_bound).unwrap().unwrap();
        assert_eq!(len, at_bound.len());
        assert_eq!(header.client(), Some("192.0.2.1:54321".parse().unwrap()));
        assert!(matches!(parse(&body(PROXY_V2_BODY_LEN_MAX + 1)), Err(HeaderError::TooLong)));
    }

    #[tokio::test]
    async fn reading_takes_the_header_and_no_more() {
        let mut bytes = V4.to_vec();
        bytes.extend_from_slice(b"after");
        let mut rest = bytes.as_slice();
        let header = read(&mut rest).await.unwrap();
        assert_eq!(header, proxied("192.0.2.1:54321", "198.51.100.7:443"));
        assert_eq!(rest, b"after");
        let mut short = &V4[..20];
        assert!(matches!(read(&mut short).await, Err(HeaderError::Io(_))));
    }

    proptest! {
        #[test]
        fn reading_and_parsing_agree_on_any_bytes(
            prefix in 0_usize..17, tail in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = V4[..prefix].to_vec();
            bytes.extend_from_slice(&tail);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut rest = bytes.as_slice();
            let read = runtime.block_on(read(&mut rest));
            match parse(&bytes) {
                Ok(Some((header, len))) => {
                    prop_assert_eq!(read.unwrap(), header);
                    prop_assert_eq!(bytes.len() - rest.len(), len);
                }
                Ok(None) => prop_assert!(matches!(read, Err(HeaderError::Io(_)))),
                Err(_) => prop_assert!(read.is_err()),
            }
        }
    }
}
