//! `image.toml`: what the image allows, measured with it.
//!
//! The file's bytes are part of the measurement, so everything in it can be
//! trusted as far as the release can. What the parent hands over at boot
//! ([`crate::deployment`]) is held against it and may only narrow it.
//!
//! # Limits
//!
//! [`IMAGE_CONFIG_LEN_MAX`] bytes; a closed schema; every number has bounds
//! and every mistake is told at once, by field.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use crate::limits::IMAGE_CONFIG_LEN_MAX;

/// The measured configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// Every host the enclave may reach, on port 443.
    pub hosts: Vec<String>,
    pub keys: KeyPolicy,
    pub sessions: SessionLimits,
    pub polling: Polling,
    pub firewall: Firewall,
    pub security_module: SecurityModule,
}

/// Which keys a deployment may admit besides those that provably only read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPolicy {
    /// Keys whose permissions cannot be read.
    pub admit_unreadable: bool,
}

/// How many sessions there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    pub max: usize,
    pub per_portfolio_max: usize,
    /// Live sessions that read one account of an exchange, whosever portfolios they are.
    pub per_account_max: usize,
}

/// How often exchanges are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// From one poll of an account to the next.
    pub interval: Duration,
    /// From one unauthenticated ping of an exchange to the next.
    pub ping: Duration,
}

/// What the front door admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firewall {
    pub connections_max: usize,
    pub connections_per_address_max: usize,
    pub requests_max: usize,
    pub connections_per_address_per_min: NonZeroU32,
    pub requests_per_address_per_min: NonZeroU32,
    pub burst: NonZeroU32,
}

/// How hard the security module may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityModule {
    pub documents_per_sec: NonZeroU32,
    pub burst: NonZeroU32,
    pub documents_per_address_per_min: NonZeroU32,
    pub burst_per_address: NonZeroU32,
}

/// Everything that is wrong with the file. Names fields, quotes no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfigError {
    mistakes: Vec<String>,
}

impl fmt::Display for ImageConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "image configuration: {}", self.mistakes.join("; "))
    }
}

impl std::error::Error for ImageConfigError {}

impl ImageConfig {
    /// Reads the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ImageConfigError> {
        let one = |mistake: &str| ImageConfigError { mistakes: vec![mistake.to_owned()] };
        if bytes.len() > IMAGE_CONFIG_LEN_MAX {
            return Err(one("more bytes than allowed"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| one("not UTF-8"))?;
        let file: File = toml::from_str(text).map_err(|_| one("not of the expected form"))?;
        file.check()
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    hosts: Vec<String>,
    keys: KeyPolicy,
    sessions: SessionsTable,
    polling: PollingTable,
    firewall: FirewallTable,
    security_module: SecurityModuleTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionsTable {
    max: u32,
    per_portfolio_max: u32,
    per_account_max: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PollingTable {
    interval_secs: u32,
    ping_secs: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirewallTable {
    connections_max: u32,
    connections_per_address_max: u32,
    requests_max: u32,
    connections_per_address_per_min: u32,
    requests_per_address_per_min: u32,
    burst: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecurityModuleTable {
    documents_per_sec: u32,
    burst: u32,
    documents_per_address_per_min: u32,
    burst_per_address: u32,
}

/// Collects mistakes while values are taken.
#[derive(Default)]
struct Mistakes(Vec<String>);

impl Mistakes {
    fn number(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) -> NonZeroU32 {
        if !range.contains(&value) {
            self.0.push(format!("`{field}` is not within {} and {}", range.start(), range.end()));
        }
        NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN)
    }

    fn size(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) -> usize {
        usize::try_from(self.number(field, value, range).get()).unwrap_or(usize::MAX)
    }

    fn seconds(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) -> Duration {
        Duration::from_secs(self.number(field, value, range).get().into())
    }
}

impl File {
    fn check(self) -> Result<ImageConfig, ImageConfigError> {
        let mut mistakes = Mistakes::default();
        if self.v != 1 {
            mistakes.0.push("`v` is not 1".into());
        }
        if self.hosts.is_empty() || self.hosts.len() > HOSTS_MAX {
            mistakes.0.push(format!("`hosts` has none or more than {HOSTS_MAX}"));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let earlier = self.hosts.get(..index).unwrap_or_default();
            if !is_host_name(host) || earlier.contains(host) {
                mistakes.0.push(format!("`hosts[{index}]` is no plain host name, or is repeated"));
            }
        }
        let config = ImageConfig {
            hosts: self.hosts,
            keys: self.keys,
            sessions: SessionLimits {
                max: mistakes.size("sessions.max", self.sessions.max, 1..=100_000),
                per_portfolio_max: mistakes.size(
                    "sessions.per_portfolio_max",
                    self.sessions.per_portfolio_max,
                    1..=64,
                ),
                per_account_max: mistakes.size(
                    "sessions.per_account_max",
                    self.sessions.per_account_max,
                    1..=64,
                ),
            },
            polling: Polling {
                interval: mistakes.seconds(
                    "polling.interval_secs",
                    self.polling.interval_secs,
                    60..=3600,
                ),
                ping: mistakes.seconds("polling.ping_secs", self.polling.ping_secs, 5..=300),
            },
            firewall: self.firewall.check(&mut mistakes),
            security_module: self.security_module.check(&mut mistakes),
        };
        if mistakes.0.is_empty() {
            Ok(config)
        } else {
            Err(ImageConfigError { mistakes: mistakes.0 })
        }
    }
}

impl FirewallTable {
    fn check(&self, mistakes: &mut Mistakes) -> Firewall {
        Firewall {
            connections_max: mistakes.size(
                "firewall.connections_max",
                self.connections_max,
                1..=65_536,
            ),
            connections_per_address_max: mistakes.size(
                "firewall.connections_per_address_max",
                self.connections_per_address_max,
                1..=65_536,
            ),
            requests_max: mistakes.size("firewall.requests_max", self.requests_max, 1..=65_536),
            connections_per_address_per_min: mistakes.number(
                "firewall.connections_per_address_per_min",
                self.connections_per_address_per_min,
                1..=10_000_000,
            ),
            requests_per_address_per_min: mistakes.number(
                "firewall.requests_per_address_per_min",
                self.requests_per_address_per_min,
                1..=10_000_000,
            ),
            burst: mistakes.number("firewall.burst", self.burst, 1..=1_000_000),
        }
    }
}

impl SecurityModuleTable {
    fn check(&self, mistakes: &mut Mistakes) -> SecurityModule {
        SecurityModule {
            documents_per_sec: mistakes.number(
                "security_module.documents_per_sec",
                self.documents_per_sec,
                1..=10_000,
            ),
            burst: mistakes.number("security_module.burst", self.burst, 1..=10_000),
            documents_per_address_per_min: mistakes.number(
                "security_module.documents_per_address_per_min",
                self.documents_per_address_per_min,
                1..=10_000_000,
            ),
            burst_per_address: mistakes.number(
                "security_module.burst_per_address",
                self.burst_per_address,
                1..=10_000,
            ),
        }
    }
}

/// A DNS name in lower case with at least two labels: no address, no trailing
/// dot, nothing that two parsers could read differently.
fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    text.len() <= 253
        && text.split('.').count() >= 2
        && text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|top| top.bytes().all(|b| b.is_ascii_lowercase()))
}

const HOSTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../image.toml");

    fn mistakes(text: &str) -> String {
        ImageConfig::parse(text.as_bytes()).expect_err(text).to_string()
    }

    #[test]
    fn the_shipped_file_is_read() {
        let config = ImageConfig::parse(SHIPPED.as_bytes()).unwrap();
        let hosts = [
            "api.binance.com",
            "fapi.binance.com",
            "dapi.binance.com",
            "api.bybit.com",
            "api.coinbase.com",
            "api.kraken.com",
            "futures.kraken.com",
        ];
        assert_eq!(config.hosts, hosts);
        assert!(!config.keys.admit_unreadable);
        assert_eq!(config.polling.interval, Duration::from_mins(5));
        assert_eq!(config.sessions.max, 1000);
    }

    #[test]
    fn every_mistake_is_told_at_once_and_no_value_is_quoted() {
        let text = SHIPPED
            .replace("max = 1000", "max = 0")
            .replace("interval_secs = 300", "interval_secs = 7")
            .replace("api.kraken.com", "10.0.0.1");
        let told = mistakes(&text);
        for field in ["`sessions.max`", "`polling.interval_secs`", "`hosts[5]`"] {
            assert!(told.contains(field), "{told}");
        }
        assert!(!told.contains("10.0.0.1"), "{told}");
    }

    #[test]
    fn unknown_missing_and_repeated_fields_are_refused() {
        for text in [
            format!("{SHIPPED}\nextra = 1\n"),
            SHIPPED.replace("v = 1\n", ""),
            SHIPPED.replace("v = 1\n", "v = 1\nv = 1\n"),
            SHIPPED.replace("[polling]", "[pollings]"),
            "v = 1".into(),
            String::new(),
        ] {
            assert_eq!(mistakes(&text), "image configuration: not of the expected form");
        }
        assert!(mistakes(&SHIPPED.replace("v = 1\n", "v = 2\n")).contains("`v` is not 1"));
    }

    #[test]
    fn only_plain_host_names_are_hosts() {
        for host in [
            "",
            "localhost",
            "api.Binance.com",
            "api.binance.com.",
            "1.2.3.4",
            "a..b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "xn--",
            "[::1]",
            "api.binance.com:443",
            " a.com",
        ] {
            assert!(!is_host_name(host), "{host:?}");
        }
        for host in ["api.binance.com", "a.b", "xn--d1acufc.com", "fapi1.binance.com"] {
            assert!(is_host_name(host), "{host:?}");
        }
    }

    #[test]
    fn too_long_a_file_is_not_parsed() {
        let text = format!("{SHIPPED}{}", "#".repeat(IMAGE_CONFIG_LEN_MAX));
        assert!(mistakes(&text).contains("more bytes"));
    }
}
