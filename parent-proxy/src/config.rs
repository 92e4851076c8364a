//! The one reader of files and environment: a valid [`Config`] or every mistake.
//!
//! ```toml
//! [[ingress]]                          # any number
//! listen  = "tcp://0.0.0.0:3000"
//! enclave = "vsock://16:5000"
//!
//! [egress]                             # optional
//! listen      = "vsock://any:5001"
//! allow_list  = "allow-list.toml"      # beside this file unless absolute
//! enclave_cid = 16                     # optional: no other CID may use it
//!
//! [deployment]                         # optional: what GET /deployment on egress serves
//! path = "deployment.json"
//!
//! [admin]
//! listen         = "tcp://127.0.0.1:8080"
//! enclave_health = "vsock://16:5002"
//!
//! [limits]                             # all optional; the defaults are shown
//! ingress_connections             = 8192
//! ingress_connections_per_address = 256    # an IPv4 address or an IPv6 /64
//! egress_connections              = 1024
//!
//! [timeouts]                           # all optional
//! connect_secs = 8                     # ingress: the enclave; egress: an exchange
//! lookup_secs  = 4                     # DNS
//! header_secs  = 10                    # a whole CONNECT request; a customer's first byte
//! idle_secs    = 300                   # both directions silent
//! drain_secs   = 30                    # after SIGTERM
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use transport::Address;

use crate::allow_list::AllowList;
use crate::limits::{CONFIG_LEN_MAX, INGRESS_MAX};
use crate::toml_reader::{Mistake, Section};

/// Everything the proxy was told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub ingress: Vec<Ingress>,
    pub egress: Option<Egress>,
    pub deployment: Option<PathBuf>,
    pub admin: Admin,
    pub limits: Limits,
    pub timeouts: Timeouts,
}

/// Customers' connections: where they arrive and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    pub listen: Address,
    pub enclave: Address,
}

/// The enclave's connections to the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    pub listen: Address,
    pub allow_list: AllowList,
    pub enclave_cid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: Address,
    pub enclave_health: Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub ingress_connections: usize,
    pub ingress_connections_per_address: usize,
    pub egress_connections: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub lookup: Duration,
    pub header: Duration,
    pub idle: Duration,
    pub drain: Duration,
}

/// Every mistake of a configuration and of the files it names.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&told.join("; "))
    }
}

impl std::error::Error for Mistakes {}

impl Config {
    /// Reads the file and its allow-list.
    ///
    /// # Errors
    ///
    /// Every mistake in either.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let text = match read_bounded(path) {
            Ok(text) => text,
            Err(error) => {
                let what = format!("cannot be read: {}", error.kind());
                return Err(Mistakes(vec![Mistake { at: String::new(), what }]));
            }
        };
        let beside = path.parent().unwrap_or_else(|| Path::new(""));
        let config = Self::parse(&text, beside, &mut mistakes);
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(Mistakes(mistakes)),
        }
    }

    fn parse(text: &str, beside: &Path, mistakes: &mut Vec<Mistake>) -> Option<Self> {
        let mut file = Section::parse(text, mistakes);
        let mut ingress = Vec::new();
        for mut section in file.sections("ingress", INGRESS_MAX, mistakes) {
            let listen = address(&mut section, "listen", mistakes);
            let enclave = target(&mut section, "enclave", mistakes);
            ingress
                .extend(listen.zip(enclave).map(|(listen, enclave)| Ingress { listen, enclave }));
            section.finish(mistakes);
        }
        let egress_section = file.section("egress", mistakes);
        let no_road = ingress.is_empty() && egress_section.is_none();
        let egress = egress_section.and_then(|section| egress(section, beside, mistakes));
        let deployment = file.section("deployment", mistakes).and_then(|mut section| {
            let path = section.required("path", mistakes);
            section.finish(mistakes);
            path.map(|path| beside.join(path))
        });
        let admin = match file.section("admin", mistakes) {
            Some(section) => admin(section, mistakes),
            None => file.wrong("admin", "is missing", mistakes),
        };
        let limits = limits(file.section("limits", mistakes), mistakes);
        let timeouts = timeouts(file.section("timeouts", mistakes), mistakes);
        file.finish(mistakes);
        if no_road && mistakes.is_empty() {
            let what = "names neither [[ingress]] nor [egress]".to_owned();
            mistakes.push(Mistake { at: String::new(), what });
        }
        let config = Self { ingress, egress, deployment, admin: admin?, limits, timeouts };
        config.check_listeners(mistakes);
        Some(config)
    }

    /// Two listeners cannot share an address, unless the system picks the port.
    fn check_listeners(&self, mistakes: &mut Vec<Mistake>) {
        let mut seen = Vec::new();
        for (at, listen) in self.listeners() {
            let picked = matches!(listen, Address::Tcp { port: 0, .. });
            if !picked && seen.contains(&listen) {
                mistakes.push(Mistake { at, what: "is another listener's address".to_owned() });
            }
            seen.push(listen);
        }
    }

    fn listeners(&self) -> impl Iterator<Item = (String, &Address)> {
        let ingress = self.ingress.iter().enumerate();
        let ingress = ingress.map(|(i, road)| (format!("ingress[{i}].listen"), &road.listen));
        let egress = self.egress.iter().map(|egress| ("egress.listen".to_owned(), &egress.listen));
        ingress.chain(egress).chain([("admin.listen".to_owned(), &self.admin.listen)])
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingress_connections: 8192,
            ingress_connections_per_address: 256,
            egress_connections: 1024,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(8),
            lookup: Duration::from_secs(4),
            header: Duration::from_secs(10),
            idle: Duration::from_mins(5),
            drain: Duration::from_secs(30),
        }
    }
}

fn egress(mut section: Section, beside: &Path, mistakes: &mut Vec<Mistake>) -> Option<Egress> {
    let listen = address(&mut section, "listen", mistakes);
    let enclave_cid = section.integer("enclave_cid", &(0..=u32::MAX - 1), mistakes);
    let file = section.required("allow_list", mistakes);
    let allow_list = file.and_then(|file| match read_bounded(&beside.join(&file)) {
        Ok(text) => match AllowList::parse(&text) {
            Ok(list) => Some(list),
            Err(wrong) => {
                mistakes.extend(wrong.into_iter().map(|mistake| Mistake {
                    at: format!("egress.allow_list: {}", mistake.at),
                    what: mistake.what,
                }));
                None
            }
        },
        Err(error) => {
            section.wrong("allow_list", format!("cannot be read: {}", error.kind()), mistakes)
        }
    });
    section.finish(mistakes);
    Some(Egress { listen: listen?, allow_list: allow_list?, enclave_cid })
}

fn admin(mut section: Section, mistakes: &mut Vec<Mistake>) -> Option<Admin> {
    let listen = address(&mut section, "listen", mistakes);
    let enclave_health = target(&mut section, "enclave_health", mistakes);
    section.finish(mistakes);
    Some(Admin { listen: listen?, enclave_health: enclave_health? })
}

fn limits(section: Option<Section>, mistakes: &mut Vec<Mistake>) -> Limits {
    let mut limits = Limits::default();
    if let Some(mut section) = section {
        for (key, slot) in [
            ("ingress_connections", &mut limits.ingress_connections),
            ("ingress_connections_per_address", &mut limits.ingress_connections_per_address),
            ("egress_connections", &mut limits.egress_connections),
        ] {
            *slot = section.integer(key, &(1..=1_000_000), mistakes).unwrap_or(*slot);
        }
        section.finish(mistakes);
    }
    limits
}

fn timeouts(section: Option<Section>, mistakes: &mut Vec<Mistake>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    if let Some(mut section) = section {
        for (key, secs_max, slot) in [
            ("connect_secs", 300, &mut timeouts.connect),
            ("lookup_secs", 300, &mut timeouts.lookup),
            ("header_secs", 300, &mut timeouts.header),
            ("idle_secs", 86_400, &mut timeouts.idle),
            ("drain_secs", 3_600, &mut timeouts.drain),
        ] {
            let secs = section.integer(key, &(1..=secs_max), mistakes);
            *slot = secs.map_or(*slot, Duration::from_secs);
        }
        section.finish(mistakes);
    }
    timeouts
}

fn address(section: &mut Section, key: &str, mistakes: &mut Vec<Mistake>) -> Option<Address> {
    let text = section.required(key, mistakes)?;
    text.parse().map_or_else(|error| section.wrong(key, error, mistakes), Some)
}

/// An address that can be dialled.
fn target(section: &mut Section, key: &str, mistakes: &mut Vec<Mistake>) -> Option<Address> {
    let at = address(section, key, mistakes)?;
    if matches!(at, Address::Vsock { cid: Address::CID_ANY, .. } | Address::Tcp { port: 0, .. }) {
        return section.wrong(key, "can be listened on but not dialled", mistakes);
    }
    Some(at)
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(CONFIG_LEN_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read <= CONFIG_LEN_MAX) {
        Ok(text)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

/// The level of the log, from `LOG_LEVEL`; `info` if it is unset.
///
/// # Errors
///
/// The variable holds something else than a level's name.
pub fn log_level() -> Result<tracing::Level, Mistakes> {
    #[expect(clippy::disallowed_methods, reason = "this module reads the environment")]
    let text = std::env::var("LOG_LEVEL").unwrap_or_else(|_| "info".to_owned());
    text.parse().map_err(|_| {
        let what = "must be error, warn, info, debug or trace".to_owned();
        Mistakes(vec![Mistake { at: "LOG_LEVEL".to_owned(), what }])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
        [[ingress]]
        listen = 'tcp://127.0.0.1:0'
        enclave = 'unix:///run/enclave.sock'
        [egress]
        listen = 'vsock://any:5001'
        allow_list = 'hosts.toml'
        enclave_cid = 16
        [deployment]
        path = 'deployment.json'
        [admin]
        listen = 'tcp://127.0.0.1:0'
        enclave_health = 'unix:///run/health.sock'
        [limits]
        ingress_connections = 10
        [timeouts]
        idle_secs = 7
    ";

    fn load(text: &str) -> Result<Config, Mistakes> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proxy.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(dir.path().join("hosts.toml"), "[[host]]\nname = 'a.bc'\nport = 443\n")
            .unwrap();
        Config::load(&path)
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = load(WHOLE).unwrap();
        assert_eq!(config.ingress.len(), 1);
        let egress = config.egress.unwrap();
        assert_eq!(egress.enclave_cid, Some(16));
        assert_eq!(egress.allow_list.names(), [("a.bc", 443)]);
        assert!(config.deployment.unwrap().ends_with("deployment.json"));
        assert_eq!(config.limits.ingress_connections, 10);
        assert_eq!(config.limits.egress_connections, Limits::default().egress_connections);
        assert_eq!(config.timeouts.idle, Duration::from_secs(7));
        assert_eq!(config.timeouts.drain, Timeouts::default().drain);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let text = "
            shards = 2
            [[ingress]]
            listen = 'tcp://127.0.0.1:3000'
            enclave = 'vsock://any:1'
            [[ingress]]
            listen = 'http://x'
            [egress]
            listen = 'unix:///run/e.sock'
            allow_list = 'missing.toml'
            [limits]
            ingress_connections = 0
            [timeouts]
            idle_secs = '5'
        ";
        let told = load(text).unwrap_err().0;
        let told: Vec<_> = told.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "ingress[0].enclave: can be listened on but not dialled",
                "ingress[1].listen: an address starts with vsock://, hvsock://, unix:// or tcp://",
                "ingress[1].enclave: is missing",
                "egress.allow_list: cannot be read: entity not found",
                "admin: is missing",
                "limits.ingress_connections: must be an integer from 1 to 1000000",
                "timeouts.idle_secs: must be an integer from 1 to 86400",
                "shards: is unknown",
            ]
        );
    }

    #[test]
    fn two_listeners_cannot_share_an_address() {
        let text = WHOLE.replace("vsock://any:5001", "unix:///run/a.sock");
        let text = text.replace("tcp://127.0.0.1:0", "unix:///run/a.sock");
        let told = load(&text).unwrap_err();
        assert_eq!(
            told.to_string(),
            "egress.listen: is another listener's address; \
             admin.listen: is another listener's address"
        );
    }

    #[test]
    fn a_proxy_without_roads_is_a_mistake() {
        let text = "[admin]\nlisten = 'tcp://127.0.0.1:0'\nenclave_health = 'unix:///h'\n";
        assert_eq!(load(text).unwrap_err().to_string(), "names neither [[ingress]] nor [egress]");
    }

    #[test]
    fn a_file_past_the_bound_is_not_read() {
        let long = "#".repeat(usize::try_from(CONFIG_LEN_MAX).unwrap() + 1);
        assert_eq!(load(&long).unwrap_err().to_string(), "cannot be read: file too large");
    }
}
