//! The hosts that the enclave may reach: the parent's own copy of the list.
//!
//! The enclave has checked its measured list before it asks; this one is the
//! operator's. Both are generated from the connectors' hosts, and a test holds
//! the file that is checked in equal to them.
//!
//! # Guarantees
//!
//! * A name matches byte for byte: lower case, no trailing dot, no IP address,
//!   no wildcard.
//! * An unknown key, a repeated host or any other mistake refuses the whole file.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::limits::ALLOWED_HOSTS_MAX;
use crate::toml_reader::{Mistake, Section};

/// A host that may be reached, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// It may resolve to a private address (a VPC endpoint).
    pub private_ok: bool,
    /// Where the operator sends it instead of asking DNS.
    pub connect_to: Option<SocketAddr>,
}

/// Name and port, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList {
    hosts: HashMap<(String, u16), Allowed>,
}

impl AllowList {
    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut file = Section::parse(text, &mut mistakes);
        let mut hosts = HashMap::new();
        for mut entry in file.sections("host", ALLOWED_HOSTS_MAX, &mut mistakes) {
            let name = entry.required("name", &mut mistakes).and_then(|name| {
                if is_host_name(&name) {
                    return Some(name);
                }
                let what = "is not a lower-case DNS name with at least two labels";
                entry.wrong("name", what, &mut mistakes)
            });
            let port = entry.required_integer("port", &(1..=u16::MAX), &mut mistakes);
            let private_ok = entry.boolean("private_ok", &mut mistakes).unwrap_or(false);
            let connect_to = entry.string("connect_to", &mut mistakes).and_then(|text| {
                let parsed = text.parse::<SocketAddr>().ok().filter(|at| at.port() != 0);
                parsed.or_else(|| {
                    entry.wrong("connect_to", "is not an IP address with a port", &mut mistakes)
                })
            });
            if let (Some(name), Some(port)) = (name, port) {
                let allowed = Allowed { private_ok, connect_to };
                if hosts.insert((name, port), allowed).is_some() {
                    entry.wrong::<()>("name", "is listed twice with this port", &mut mistakes);
                }
            }
            entry.finish(&mut mistakes);
        }
        file.finish(&mut mistakes);
        if mistakes.is_empty() { Ok(Self { hosts }) } else { Err(mistakes) }
    }

    /// How `name` may be reached on `port`, if at all.
    pub fn find(&self, name: &str, port: u16) -> Option<&Allowed> {
        self.hosts.get(&(name.to_owned(), port))
    }

    /// Every name and port, in order.
    pub fn names(&self) -> Vec<(&str, u16)> {
        let mut names: Vec<_> =
            self.hosts.keys().map(|(name, port)| (name.as_str(), *port)).collect();
        names.sort_unstable();
        names
    }
}

/// Whether `text` is a fully qualified host name in the one spelling we take:
/// lower-case letters, digits and inner hyphens, two labels or more, no
/// trailing dot, and a last label that no resolver reads as part of an address.
pub fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253
        && text.contains('.')
        && text.split('.').all(label)
        // 127.1, 0x7f.1 and the like end in a label that starts with a digit.
        && last.starts_with(|first: char| first.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        AllowList::parse(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_match_byte_for_byte() {
        let list = AllowList::parse(
            "[[host]]\nname = \"api.example.com\"\nport = 443\n\
             [[host]]\nname = \"kms.example.com\"\nport = 443\nprivate_ok = true\n\
             [[host]]\nname = \"sim.example.com\"\nport = 443\nconnect_to = \"127.0.0.1:9\"\n",
        )
        .unwrap();
        assert!(!list.find("api.example.com", 443).unwrap().private_ok);
        assert!(list.find("kms.example.com", 443).unwrap().private_ok);
        let routed = list.find("sim.example.com", 443).unwrap();
        assert_eq!(routed.connect_to, Some("127.0.0.1:9".parse().unwrap()));
        for (name, port) in [
            ("api.example.com", 80),
            ("API.example.com", 443),
            ("api.example.com.", 443),
            ("x.api.example.com", 443),
            ("example.com", 443),
            ("", 443),
        ] {
            assert!(list.find(name, port).is_none(), "{name}");
        }
        assert_eq!(list.names().len(), 3);
    }

    #[test]
    fn every_mistake_refuses_the_file() {
        assert_eq!(
            told("[[host]]\nname = \"Api.example.com\"\nport = 0\nwild = 1\n"),
            [
                "host[0].name: is not a lower-case DNS name with at least two labels",
                "host[0].port: must be an integer from 1 to 65535",
                "host[0].wild: is unknown",
            ]
        );
        assert_eq!(told("[[host]]\nname = \"a.b\"\n"), ["host[0].port: is missing"]);
        let twice = "[[host]]\nname = \"a.bc\"\nport = 1\n";
        assert_eq!(
            told(&format!("{twice}{twice}")),
            ["host[1].name: is listed twice with this port"]
        );
        assert_eq!(
            told("[[host]]\nname = \"a.bc\"\nport = 1\nconnect_to = \"localhost:1\"\n"),
            ["host[0].connect_to: is not an IP address with a port"]
        );
        assert_eq!(told("hosts = []\n"), ["hosts: is unknown"]);
    }

    #[test]
    fn only_one_spelling_is_a_host_name() {
        for good in ["a.b", "api.binance.com", "xn--bcher-kva.example", "1inch.io", "a-b.c0"] {
            assert!(is_host_name(good), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        let longest = format!("{}com", "abcdefg.".repeat(32));
        for bad in [
            "",
            ".",
            "localhost",
            "a.b.",
            ".a.b",
            "a..b",
            "A.b",
            "a.B",
            "a_b.c",
            "-a.b",
            "a-.b",
            "a.b:443",
            "a.b/",
            "a b.c",
            "*.b.c",
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "1.2.3.0x4",
            "[::1]",
            "::1",
            "fe80::1%lo",
            "é.com",
            "a.b\0",
            "a.b\n",
            "user@a.b",
            &long,
            &longest,
        ] {
            assert!(!is_host_name(bad), "{bad:?}");
        }
    }
}
