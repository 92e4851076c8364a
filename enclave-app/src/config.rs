//! Flags and environment: the only reader of either.
//!
//! Everything is checked before anything is bound; all mistakes are told at
//! once, by name, and no value is echoed.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `ENCLAVE_HOST`, `ENCLAVE_PORT` | where to listen, as `tcp://HOST:PORT`, unless `--listen` says |
//! | `LOG_LEVEL` | `error`, `warn`, `info`, `debug` |
//! | [`TEST_SWITCHES`] | accepted by simulator builds, which have nothing else to offer; a release that finds one set refuses to start |

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use transport::Address;

use crate::logs::Verbosity;

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "enclave-app", version, about = "The program inside the enclave.")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print measurements.json of this executable and an image.toml.
    #[cfg(feature = "simulator")]
    Measurements {
        /// The measured configuration.
        #[arg(long, value_name = "FILE")]
        image_config: PathBuf,
    },
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Where customers' connections arrive: a PROXY v2 header, then TLS 1.3.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where GET /health is served, in plain HTTP.
    #[arg(long, value_name = "ADDRESS")]
    health_listen: Option<String>,
    /// The parent's egress: CONNECT, and GET /deployment.
    #[arg(long, value_name = "ADDRESS")]
    egress: Option<String>,
    /// The measured configuration.
    #[arg(long, value_name = "FILE")]
    image_config: Option<PathBuf>,
    /// The certificate authority of the simulated exchanges, PEM.
    #[cfg(feature = "simulator")]
    #[arg(long, value_name = "FILE")]
    exchange_root: Option<PathBuf>,
    /// Take the time from the exchange simulator, through egress.
    #[cfg(feature = "simulator")]
    #[arg(long)]
    scenario_clock: bool,
    /// Write the simulated module's root certificate here, DER.
    #[cfg(feature = "simulator")]
    #[arg(long, value_name = "FILE")]
    nsm_root_out: Option<PathBuf>,
}

/// What to do.
#[derive(Debug)]
pub enum Task {
    Serve(Box<Config>),
    #[cfg(feature = "simulator")]
    Measurements {
        image_config: PathBuf,
    },
}

/// A checked configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Config {
    pub listen: Address,
    pub health_listen: Address,
    pub egress: Address,
    pub image_config: PathBuf,
    pub verbosity: Verbosity,
    #[cfg(feature = "simulator")]
    pub simulator: SimulatorConfig,
}

/// What only simulator builds can be told.
#[cfg(feature = "simulator")]
#[derive(Debug, Default, PartialEq, Eq)]
pub struct SimulatorConfig {
    pub exchange_root: Option<PathBuf>,
    pub scenario_clock: bool,
    pub nsm_root_out: Option<PathBuf>,
    /// Which of [`TEST_SWITCHES`] are set; each names a part that is simulated
    /// here anyway.
    pub switches: Vec<&'static str>,
}

/// Everything wrong with flags and environment.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    mistakes: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mistakes.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// The environment, so that tests bring their own.
pub type Environment = BTreeMap<OsString, OsString>;

/// The variables of this process.
pub fn environment() -> Environment {
    std::env::vars_os().collect()
}

impl Task {
    /// Checks the command line and the environment.
    pub fn new(cli: Cli, environment: &Environment) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        let switches = switches(environment);
        if !cfg!(feature = "simulator") {
            mistakes.extend(switches.iter().map(|name| {
                format!("{name} is set: it selects simulated parts, and this build has none")
            }));
        }
        match cli.command {
            #[cfg(feature = "simulator")]
            Some(Command::Measurements { image_config }) => {
                return Ok(Self::Measurements { image_config });
            }
            #[cfg(not(feature = "simulator"))]
            Some(never) => match never {},
            None => {}
        }
        let serve = cli.serve;
        let listen = match serve.listen {
            Some(text) => address("--listen", &text, &mut mistakes),
            None => from_host_and_port(environment, &mut mistakes),
        };
        let mut required = |name: &str, text: Option<String>| {
            if text.is_none() {
                mistakes.push(format!("{name} is missing"));
            }
            address(name, &text?, &mut mistakes)
        };
        let health_listen = required("--health-listen", serve.health_listen);
        let egress = required("--egress", serve.egress);
        if serve.image_config.is_none() {
            mistakes.push("--image-config is missing".into());
        }
        let verbosity = match text_of(environment, "LOG_LEVEL", &mut mistakes) {
            None => Some(Verbosity::default()),
            Some(text) => {
                let verbosity = Verbosity::parse(&text);
                if verbosity.is_none() {
                    mistakes.push("LOG_LEVEL is none of error, warn, info, debug".into());
                }
                verbosity
            }
        };
        match (listen, health_listen, egress, serve.image_config, verbosity) {
            (
                Some(listen),
                Some(health_listen),
                Some(egress),
                Some(image_config),
                Some(verbosity),
            ) if mistakes.is_empty() => Ok(Self::Serve(Box::new(Config {
                listen,
                health_listen,
                egress,
                image_config,
                verbosity,
                #[cfg(feature = "simulator")]
                simulator: SimulatorConfig {
                    exchange_root: serve.exchange_root,
                    scenario_clock: serve.scenario_clock,
                    nsm_root_out: serve.nsm_root_out,
                    switches,
                },
            }))),
            _ => Err(ConfigError { mistakes }),
        }
    }
}

/// The variables that select simulated parts.
pub const TEST_SWITCHES: [&str; 6] = [
    "MOCK_ENCLAVE",
    "MOCK_EXCHANGES",
    "SKIP_ATTESTATION",
    "TEST_PRIVATE_KEYS",
    "ENABLE_CRYPTO_TESTING",
    "MOCK_EXCHANGE_RESPONSES",
];

/// Set is set, whatever the value: `0` and `false` too.
fn switches(environment: &Environment) -> Vec<&'static str> {
    TEST_SWITCHES
        .into_iter()
        .filter(|name| environment.contains_key(std::ffi::OsStr::new(name)))
        .collect()
}

fn text_of(environment: &Environment, name: &str, mistakes: &mut Vec<String>) -> Option<String> {
    let value = environment.get(std::ffi::OsStr::new(name))?;
    let text = value.to_str().map(str::to_owned);
    if text.is_none() {
        mistakes.push(format!("{name} is not text"));
    }
    text
}

fn from_host_and_port(environment: &Environment, mistakes: &mut Vec<String>) -> Option<Address> {
    let host = text_of(environment, "ENCLAVE_HOST", mistakes);
    let port = text_of(environment, "ENCLAVE_PORT", mistakes);
    if host.is_none() && port.is_none() {
        mistakes.push("--listen is missing, and so are ENCLAVE_HOST and ENCLAVE_PORT".into());
        return None;
    }
    let host = host.unwrap_or_else(|| "127.0.0.1".into());
    let port = port.unwrap_or_else(|| "3000".into());
    address("ENCLAVE_HOST and ENCLAVE_PORT", &format!("tcp://{host}:{port}"), mistakes)
}

fn address(name: &str, text: &str, mistakes: &mut Vec<String>) -> Option<Address> {
    text.parse().map_err(|error| mistakes.push(format!("{name}: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [&str; 9] = [
        "enclave-app",
        "--listen",
        "unix:///run/front.sock",
        "--health-listen",
        "tcp://127.0.0.1:8081",
        "--egress",
        "vsock://3:8444",
        "--image-config",
        "/image.toml",
    ];

    fn task(flags: &[&str], variables: &[(&str, &str)]) -> Result<Task, ConfigError> {
        let environment =
            variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Task::new(Cli::try_parse_from(flags).unwrap(), &environment)
    }

    fn served(flags: &[&str], variables: &[(&str, &str)]) -> Config {
        match task(flags, variables).unwrap() {
            Task::Serve(config) => *config,
            #[cfg(feature = "simulator")]
            Task::Measurements { .. } => panic!("not serving"),
        }
    }

    #[test]
    fn flags_become_addresses() {
        let config = served(&FLAGS, &[]);
        assert_eq!(config.listen.to_string(), "unix:///run/front.sock");
        assert_eq!(config.egress.to_string(), "vsock://3:8444");
        assert_eq!(config.verbosity, Verbosity::Info);
    }

    #[test]
    fn host_and_port_stand_in_for_the_listen_flag() {
        let flags = [&FLAGS[..1], &FLAGS[3..]].concat();
        let port = served(&flags, &[("ENCLAVE_PORT", "3100")]);
        assert_eq!(port.listen.to_string(), "tcp://127.0.0.1:3100");
        let both = served(&flags, &[("ENCLAVE_PORT", "3100"), ("ENCLAVE_HOST", "192.0.2.1")]);
        assert_eq!(both.listen.to_string(), "tcp://192.0.2.1:3100");
        let flag = served(&FLAGS, &[("ENCLAVE_PORT", "3100")]);
        assert_eq!(flag.listen.to_string(), "unix:///run/front.sock");
    }

    #[test]
    fn the_log_level_works_and_a_wrong_one_is_told() {
        assert_eq!(served(&FLAGS, &[("LOG_LEVEL", "debug")]).verbosity, Verbosity::Debug);
        let told = task(&FLAGS, &[("LOG_LEVEL", "secret-value")]).unwrap_err().to_string();
        assert!(told.contains("LOG_LEVEL") && !told.contains("secret-value"), "{told}");
    }

    #[test]
    fn every_mistake_is_told_at_once_without_values() {
        let flags = ["enclave-app", "--listen", "gopher://secret-value"];
        let told = task(&flags, &[]).unwrap_err().to_string();
        for name in ["--listen", "--health-listen", "--egress", "--image-config"] {
            assert!(told.contains(name), "{told}");
        }
        assert!(!told.contains("secret-value"), "{told}");
    }

    #[cfg(not(feature = "simulator"))]
    #[test]
    fn a_release_refuses_every_test_switch_whatever_its_value() {
        for name in TEST_SWITCHES {
            for value in ["1", "0", "false", ""] {
                let told = task(&FLAGS, &[(name, value)]).unwrap_err().to_string();
                assert!(told.contains(name), "{told}");
            }
        }
    }

    #[cfg(not(feature = "simulator"))]
    #[test]
    fn a_release_has_no_flag_of_the_simulator() {
        for flag in ["--exchange-root=/x", "--scenario-clock", "--nsm-root-out=/x", "measurements"]
        {
            assert!(Cli::try_parse_from([&FLAGS[..], &[flag]].concat()).is_err(), "{flag}");
        }
    }

    #[cfg(feature = "simulator")]
    #[test]
    fn a_simulator_build_accepts_the_test_switches() {
        let config = served(&FLAGS, &[("MOCK_ENCLAVE", "true"), ("SKIP_ATTESTATION", "1")]);
        assert_eq!(config.simulator.switches, ["MOCK_ENCLAVE", "SKIP_ATTESTATION"]);
    }
}
