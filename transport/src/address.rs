//! An address as text, strictly: one spelling for each, nothing guessed.
//!
//! # Guarantees
//!
//! * `text.parse::<Address>()?.to_string() == text`: a number has no sign, no
//!   leading zero; a host name is lower case; there is no user, query or
//!   fragment.
//! * A path is absolute, printable ASCII, and fits into `sockaddr_un`.
//!
//! # Limits
//!
//! At most [`ADDRESS_LEN_MAX`](limits::ADDRESS_LEN_MAX) bytes.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::limits;

/// `VMADDR_CID_ANY` and `VMADDR_PORT_ANY`.
pub(crate) const VMADDR_ANY: u32 = u32::MAX;

/// Where to dial or listen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `vsock://CID:PORT`. [`Address::CID_ANY`] is written `any`.
    Vsock { cid: u32, port: u32 },
    /// `hvsock:///path.sock:PORT`.
    Hybrid { path: PathBuf, port: u32 },
    /// `unix:///path`.
    Unix(PathBuf),
    /// `tcp://host:port`; an IPv6 host is held without its brackets. Port 0
    /// lets a listener take any free port.
    Tcp { host: String, port: u16 },
}

/// What is wrong with an address. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    #[error("an address has at most {} bytes", limits::ADDRESS_LEN_MAX)]
    TooLong,
    #[error("an address starts with vsock://, hvsock://, unix:// or tcp://")]
    Scheme,
    #[error("the address lacks its `:PORT`")]
    PortMissing,
    #[error("the port is not a decimal number in range, without sign or leading zero")]
    Port,
    #[error("the CID is neither `any` nor a decimal number without sign or leading zero")]
    Cid,
    #[error("the path is not absolute")]
    PathRelative,
    #[error("the path is too long for a Unix socket")]
    PathTooLong,
    #[error("the path ends in `/` or holds an empty, `.` or `..` component")]
    PathForm,
    #[error("the path holds a byte that is not printable ASCII")]
    PathByte,
    #[error("the host is neither a lower-case name nor an IP address in its usual spelling")]
    Host,
}

impl Address {
    /// Listens on every CID of this machine; cannot be dialled.
    pub const CID_ANY: u32 = VMADDR_ANY;
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > limits::ADDRESS_LEN_MAX {
            return Err(AddressError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        match scheme {
            "vsock" => {
                let (cid, port) = rest.rsplit_once(':').ok_or(AddressError::PortMissing)?;
                Ok(Self::Vsock { cid: parse_cid(cid)?, port: parse_vsock_port(port)? })
            }
            "hvsock" => {
                let (path, port) = rest.rsplit_once(':').ok_or(AddressError::PortMissing)?;
                let port = parse_vsock_port(port)?;
                Ok(Self::Hybrid { path: parse_path(path, limits::HYBRID_PATH_LEN_MAX)?, port })
            }
            "unix" => Ok(Self::Unix(parse_path(rest, limits::UNIX_PATH_LEN_MAX)?)),
            "tcp" => {
                let (host, port) = rest.rsplit_once(':').ok_or(AddressError::PortMissing)?;
                let port = parse_decimal(port)
                    .and_then(|port| u16::try_from(port).ok())
                    .ok_or(AddressError::Port)?;
                Ok(Self::Tcp { host: parse_host(host)?, port })
            }
            _ => Err(AddressError::Scheme),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vsock { cid: Self::CID_ANY, port } => write!(f, "vsock://any:{port}"),
            Self::Vsock { cid, port } => write!(f, "vsock://{cid}:{port}"),
            Self::Hybrid { path, port } => write!(f, "hvsock://{}:{port}", path.display()),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// The socket that a guest's connections to `port` arrive on, on the host.
pub(crate) fn hybrid_guest_path(path: &Path, port: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!("_{port}"));
    PathBuf::from(name)
}

/// Decimal digits alone, no leading zero, up to `u32::MAX`.
pub(crate) fn parse_decimal(text: &str) -> Option<u32> {
    let canonical = !text.is_empty()
        && text.len() <= 10
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// A vsock port that can be named; `VMADDR_PORT_ANY` cannot.
pub(crate) fn parse_vsock_port(text: &str) -> Result<u32, AddressError> {
    parse_decimal(text).filter(|port| *port != 0 && *port != VMADDR_ANY).ok_or(AddressError::Port)
}

fn parse_cid(text: &str) -> Result<u32, AddressError> {
    if text == "any" {
        return Ok(Address::CID_ANY);
    }
    parse_decimal(text).filter(|cid| *cid != VMADDR_ANY).ok_or(AddressError::Cid)
}

fn parse_path(text: &str, len_max: usize) -> Result<PathBuf, AddressError> {
    let inner = text.strip_prefix('/').ok_or(AddressError::PathRelative)?;
    if text.len() > len_max {
        return Err(AddressError::PathTooLong);
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(AddressError::PathByte);
    }
    if inner.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(AddressError::PathForm);
    }
    Ok(PathBuf::from(text))
}

fn parse_host(text: &str) -> Result<String, AddressError> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr = inner.parse().map_err(|_| AddressError::Host)?;
        return (ip.to_string() == inner).then(|| inner.to_owned()).ok_or(AddressError::Host);
    }
    let name_fits = text.len() <= limits::HOST_LEN_MAX && text.split('.').all(is_label);
    // A name whose last label is a number would be read as an IPv4 address.
    let numeric =
        text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    let fits = if numeric { text.parse::<Ipv4Addr>().is_ok() } else { name_fits };
    fits.then(|| text.to_owned()).ok_or(AddressError::Host)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= limits::HOST_LABEL_LEN_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_parses_and_prints_the_same() {
        for text in [
            "vsock://3:5000",
            "vsock://any:4294967294",
            "vsock://0:1",
            "hvsock:///run/vm/v.sock:52",
            "hvsock:///run/a:b.sock:1",
            "unix:///run/egress.sock",
            "tcp://127.0.0.1:0",
            "tcp://[::1]:443",
            "tcp://enclave-1.internal:65535",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn hostile_text_is_refused_with_its_reason() {
        let long = format!("unix:///{}", "a".repeat(400));
        let deep = format!("unix:///{}", "a".repeat(107));
        let hybrid = format!("hvsock:///{}:5", "a".repeat(96));
        let label = format!("tcp://{}.test:1", "a".repeat(64));
        for (text, want) in [
            ("", AddressError::Scheme),
            ("vsock", AddressError::Scheme),
            ("VSOCK://3:5", AddressError::Scheme),
            (" vsock://3:5", AddressError::Scheme),
            ("http://a:1", AddressError::Scheme),
            ("vsock://3", AddressError::PortMissing),
            ("vsock://3:", AddressError::Port),
            ("vsock://3:+5", AddressError::Port),
            ("vsock://3:05", AddressError::Port),
            ("vsock://3:0", AddressError::Port),
            ("vsock://3:5 ", AddressError::Port),
            ("vsock://3:4294967295", AddressError::Port),
            ("vsock://3:4294967296", AddressError::Port),
            ("vsock://3:99999999999999999999", AddressError::Port),
            ("vsock://3:٥", AddressError::Port),
            ("vsock://:5", AddressError::Cid),
            ("vsock://-1:5", AddressError::Cid),
            ("vsock://4294967295:5", AddressError::Cid),
            ("vsock://ANY:5", AddressError::Cid),
            ("vsock://3:4:5", AddressError::Cid),
            ("hvsock://run/v.sock:5", AddressError::PathRelative),
            ("hvsock:///run/v.sock", AddressError::PortMissing),
            ("hvsock:///run/v.sock:x", AddressError::Port),
            (&hybrid, AddressError::PathTooLong),
            ("unix://", AddressError::PathRelative),
            ("unix://run/x", AddressError::PathRelative),
            ("unix:///", AddressError::PathForm),
            ("unix:///run/", AddressError::PathForm),
            ("unix:///run//x", AddressError::PathForm),
            ("unix:///run/../etc/x", AddressError::PathForm),
            ("unix:///run/./x", AddressError::PathForm),
            ("unix:///run/x\0y", AddressError::PathByte),
            ("unix:///run/x\ny", AddressError::PathByte),
            ("unix:///run/é", AddressError::PathByte),
            (&deep, AddressError::PathTooLong),
            (&long, AddressError::TooLong),
            ("tcp://", AddressError::PortMissing),
            ("tcp://:80", AddressError::Host),
            ("tcp://host:65536", AddressError::Port),
            ("tcp://Host:80", AddressError::Host),
            ("tcp://host.:80", AddressError::Host),
            ("tcp://.host:80", AddressError::Host),
            ("tcp://-host:80", AddressError::Host),
            ("tcp://user@host:80", AddressError::Host),
            ("tcp://ho st:80", AddressError::Host),
            ("tcp://host/path:80", AddressError::Host),
            ("tcp://127.0.0.01:80", AddressError::Host),
            ("tcp://127.1:80", AddressError::Host),
            ("tcp://2130706433:80", AddressError::Host),
            ("tcp://::1:80", AddressError::Host),
            ("tcp://[::1:80", AddressError::Host),
            ("tcp://[0:0:0:0:0:0:0:1]:80", AddressError::Host),
            ("tcp://[fe80::1%1]:80", AddressError::Host),
            (&label, AddressError::Host),
        ] {
            assert_eq!(text.parse::<Address>(), Err(want), "{text:?}");
        }
    }

    #[test]
    fn guest_sockets_are_named_after_their_port() {
        let path = hybrid_guest_path(Path::new("/run/v.sock"), 52);
        assert_eq!(path, Path::new("/run/v.sock_52"));
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_as_it_was_read(
            scheme in "(vsock|hvsock|unix|tcp)://", rest in "[a-z0-9/:.\\[\\]-]{0,40}",
        ) {
            let text = format!("{scheme}{rest}");
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,80}") {
            let read = text.parse::<Address>();
            prop_assert!(read.is_err() || text.contains("://"));
        }
    }
}
