//! One whole set of programs on loopback, with a folder, sockets and logs of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use protocol::time::UnixMillis;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::wire::Tap;
use crate::{root, simulator};

/// How the parent reaches the enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    Tcp,
    Unix,
    /// Hybrid vsock: what Firecracker and QEMU's vhost device speak.
    Hybrid,
    /// The kernel's vsock, looped back.
    Vsock,
}

/// What a world is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub scenario: &'static str,
    pub road: Road,
    /// Permissions of every key at the exchange, in the simulator's words.
    pub permissions: &'static str,
    /// Whether every socket between the programs is tapped; over TCP alone.
    pub tapped: bool,
    /// Whether the enclave's limits are as shipped, or so high that one client is never told to
    /// wait: to measure what a request costs.
    pub limited: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenario: "deposit",
            road: Road::Unix,
            permissions: "read",
            tapped: false,
            limited: true,
        }
    }
}

/// The programs, running.
#[derive(Debug)]
pub struct World {
    pub dir: TempDir,
    /// Where customers connect.
    pub service: SocketAddr,
    /// Where the proxy's health and metrics are.
    pub admin: SocketAddr,
    /// What the simulator said of itself.
    pub exchange: Value,
    pub enclave: Process,
    pub proxy: Process,
    pub simulator: Process,
    /// Between proxy and enclave both ways, and between proxy and exchanges.
    pub taps: Vec<(&'static str, Tap)>,
    places: Places,
}

impl World {
    /// Starts everything and waits until the enclave serves.
    pub fn start(options: Options) -> Self {
        let dir = tempfile::Builder::new().prefix("pa-e2e-").tempdir().unwrap();
        let path = dir.path();
        let mut exchange_sim = start_simulator(path, options);
        let announced = path.join("exchange-sim.json");
        let exchange: Value = exchange_sim
            .wait_for("its address", || serde_json::from_slice(&fs::read(&announced).ok()?).ok());
        let mut places = Places::of(options.road, path);
        let mut to_exchange: SocketAddr = exchange["listen"].as_str().unwrap().parse().unwrap();
        let mut taps = Vec::new();
        if options.tapped {
            assert_eq!(options.road, Road::Tcp, "only TCP is tapped");
            let exchanges = Tap::start(to_exchange);
            to_exchange = exchanges.addr;
            let (ingress, egress) = (address(&places.ingress[1]), address(&places.egress[0]));
            let (ingress, egress) = (Tap::start(ingress), Tap::start(egress));
            places.ingress[0] = format!("tcp://{}", ingress.addr);
            places.egress[1] = format!("tcp://{}", egress.addr);
            taps = vec![("ingress", ingress), ("egress", egress), ("exchanges", exchanges)];
        }
        let config = write_proxy_config(path, &places, to_exchange, &exchange);
        let mut command = Command::new(simulator("parent-proxy"));
        command.arg("--config").arg(config).env("LOG_LEVEL", "debug");
        let mut proxy = Process::start("parent-proxy", command, path);
        let text = proxy.wait_for("its listeners", || {
            let text = fs::read_to_string(path.join("parent-proxy.log")).ok()?;
            text.contains(r#""road":"admin""#).then_some(text)
        });
        let (service, admin) = (listening(&text, "ingress"), listening(&text, "admin"));
        fs::write(path.join("image.toml"), image_config(options.limited)).unwrap();
        let mut enclave = Process::start("enclave-app", enclave_command(path, &places), path);
        enclave.wait_for("health", || (get(admin, "/health").0 == 200).then_some(()));
        let measured = Command::new(simulator("enclave-app"))
            .args(["measurements", "--image-config"])
            .arg(path.join("image.toml"))
            .output()
            .unwrap();
        fs::write(path.join("measurements.json"), measured.stdout).unwrap();
        let simulator = exchange_sim;
        let world = Self { dir, service, admin, exchange, enclave, proxy, simulator, taps, places };
        world.write_accounts("accounts.json", 0);
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The API key and secret of one account at the exchange.
    pub fn key(&self, account: usize) -> (String, String) {
        let key = &self.exchange["keys"][account];
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        (text("api_key"), text("api_secret"))
    }

    /// An accounts file with the keys of one account of the exchange.
    pub fn write_accounts(&self, name: &str, account: usize) {
        let (api_key, api_secret) = self.key(account);
        let accounts = serde_json::json!({"accounts": [{
            "label": "main", "venue": "binance", "market": "spot",
            "credentials": {"api_key": api_key, "api_secret": api_secret},
            "symbols": ["ETHUSDT"],
        }]});
        self.write_secret(name, accounts.to_string().as_bytes());
    }

    /// A file that only its owner may read.
    pub fn write_secret(&self, name: &str, bytes: &[u8]) {
        secret_file(&self.path(name), bytes);
    }

    /// Ends the enclave and starts another, as the parent would.
    pub fn restart_enclave(&mut self) {
        assert_eq!(self.enclave.terminate(), Some(0), "{}", self.enclave.text());
        let command = enclave_command(self.dir.path(), &self.places);
        self.enclave = Process::start("enclave-app", command, self.dir.path());
        // The log goes on where the one before stopped, and the proxy may still remember it.
        let (admin, log) = (self.admin, self.enclave.log.clone());
        self.enclave.wait_for("health", || {
            let text = fs::read_to_string(&log).ok()?;
            let ready = text.matches(r#""ready""#).count() == 2;
            (ready && get(admin, "/health").0 == 200).then_some(())
        });
    }

    /// SHA-256 of the deployment configuration, as a customer pins it.
    pub fn deployment_sha256(&self) -> String {
        let bytes = fs::read(self.path("deployment.json")).unwrap();
        protocol::encoding::to_hex(&protocol::key_bundle::deployment_sha256(&bytes))
    }

    /// Changes what every key of the first account may do.
    pub fn permit(&self, permissions: &str) {
        let account = &self.exchange["keys"][0]["account"];
        let body = serde_json::json!({"account": account, "permissions": permissions});
        let (status, told) = self.control("POST", "/permissions", &body);
        assert_eq!(status, 200, "{told}");
    }

    /// Makes the exchange misbehave.
    pub fn inject(&self, rules: &Value) {
        let (status, told) = self.control("POST", "/faults", rules);
        assert_eq!(status, 200, "{told}");
    }

    /// Makes the exchange behave again.
    pub fn end_faults(&self) {
        let (status, told) = self.control("DELETE", "/faults", &Value::Null);
        assert_eq!(status, 200, "{told}");
    }

    /// The scenario's clock, as the customer reads it.
    pub fn clock(&self) -> String {
        format!("http://{}/clock", self.exchange["control"].as_str().unwrap())
    }

    /// Tells the simulator something.
    pub fn control(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let address = self.exchange["control"].as_str().unwrap().parse().unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        request(address, method, path, &body)
    }

    /// Runs `perfagg` with a command and its options.
    pub fn perfagg(&self, args: &[&str]) -> Ran {
        Ran(Command::new(simulator("perfagg"))
            .current_dir(self.dir.path())
            .args(args)
            .output()
            .unwrap())
    }

    /// Runs a command that names a service, with what this world's customer demands of it.
    pub fn at_service(&self, args: &[&str]) -> Ran {
        self.at(self.service, args)
    }

    /// The same at another address.
    pub fn at(&self, service: SocketAddr, args: &[&str]) -> Ran {
        let (url, clock) = (format!("https://{service}"), self.clock());
        let (verb, rest) = args.split_first().unwrap();
        let demands = [
            "--url",
            &url,
            "--clock",
            &clock,
            "--root",
            "root.der",
            "--measurements",
            "measurements.json",
        ];
        self.perfagg(&[&[*verb], demands.as_slice(), rest].concat())
    }

    /// Makes a portfolio key and opens a session with it.
    pub fn connect(&self) -> Ran {
        self.connect_at(self.service)
    }

    /// The same at another address.
    pub fn connect_at(&self, service: SocketAddr) -> Ran {
        if !self.path("portfolio.key").exists() {
            self.perfagg(&["keygen", "--out", "portfolio.key"]).succeeded();
        }
        let connect = [
            "connect",
            "--accounts",
            "accounts.json",
            "--portfolio-key",
            "portfolio.key",
            "--session-file",
            "session.json",
            "--ttl",
            "7d",
        ];
        self.at(service, &connect)
    }

    /// Waits for the scenario's end and fetches the report.
    pub fn report(&self, after: &str) -> Ran {
        self.perfagg(&[
            "report",
            "--session-file",
            "session.json",
            "--after",
            after,
            "--wait",
            "50s",
        ])
    }

    /// Everything the programs have written, and what the proxy's metrics say.
    pub fn said(&self) -> String {
        [
            self.enclave.text(),
            self.proxy.text(),
            self.simulator.text(),
            get(self.admin, "/metrics").1,
            get(self.admin, "/health").1,
        ]
        .concat()
    }
}

/// A finished command.
#[derive(Debug)]
pub struct Ran(pub Output);

impl Ran {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "an assertion")]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code(), 0, "{}{}", self.out(), self.err());
        self
    }

    #[track_caller]
    #[expect(clippy::must_use_candidate, clippy::return_self_not_must_use, reason = "an assertion")]
    pub fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{}{}", self.out(), self.err());
        self
    }
}

/// The simulator's scenario file of a name.
pub fn scenario(name: &str) -> PathBuf {
    root().join("tests/exchange-sim/scenarios").join(format!("{name}.json"))
}

/// Two accounts that stand still for a week, which is longer than any test: for what is tried
/// with the service and not with its numbers.
pub const TWO_ACCOUNTS: &str = "two-accounts";

fn two_accounts() -> Value {
    let start = UnixMillis(1_772_323_200_000);
    let tick = |n: u64| start.saturating_add(Duration::from_mins(5 * n)).to_rfc3339().unwrap();
    let last = 7 * 24 * 12;
    let snapshot = |t: &str, account: &str, asset: &str, free: &str| {
        json!({"type": "snapshot", "t": t, "account": account,
               "balances": [{"asset": asset, "free": free}]})
    };
    let price = |t: &str, asset: &str, quote: &str, price: &str| json!({"type": "price", "t": t, "asset": asset, "quote": quote, "price": price});
    let events: Vec<Value> = (0..=last)
        .map(tick)
        .flat_map(|t| {
            [
                price(&t, "BTC", "USDT", "64000"),
                price(&t, "USDT", "USD", "1.0002"),
                snapshot(&t, "first", "BTC", "0.5"),
                snapshot(&t, "second", "USDT", "20000"),
            ]
        })
        .collect();
    json!({
        "schema": "pa-case/1", "id": TWO_ACCOUNTS, "title": "Two accounts that stand still",
        "features": ["value"], "events": events,
        "config": {"base_currency": "USD", "session_start": tick(0), "as_of": tick(last)},
    })
}

/// Writes a file that only its owner may read.
pub fn secret_file(path: &Path, bytes: &[u8]) {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap().write_all(bytes).unwrap();
}

/// The shipped configuration of the image, with its limits or with the highest there may be.
fn image_config(limited: bool) -> String {
    let shipped = fs::read_to_string(root().join("enclave-app/image.toml")).unwrap();
    if limited {
        return shipped;
    }
    let highest = [
        ("connections_per_address_per_min", 10_000_000),
        ("requests_per_address_per_min", 10_000_000),
        ("documents_per_address_per_min", 10_000_000),
        ("documents_per_sec", 10_000),
        ("burst_per_address", 10_000),
        ("burst", 10_000),
    ];
    let raised = |line: &str| {
        let name = line.split(" = ").next().unwrap_or_default();
        let found = highest.iter().find(|(key, _)| *key == name);
        found.map_or_else(|| line.to_owned(), |(key, value)| format!("{key} = {value}"))
    };
    shipped.lines().map(raised).collect::<Vec<_>>().join("\n")
}

#[derive(Debug)]
struct Places {
    ingress: [String; 2],
    health: [String; 2],
    egress: [String; 2],
}

impl Places {
    /// What the proxy is told, and what the enclave is told.
    fn of(road: Road, dir: &Path) -> Self {
        let both = |address: String| [address.clone(), address];
        let dir = dir.display();
        match road {
            Road::Unix => Self {
                ingress: both(format!("unix://{dir}/in")),
                health: both(format!("unix://{dir}/health")),
                egress: both(format!("unix://{dir}/out")),
            },
            Road::Tcp => Self {
                ingress: both(format!("tcp://{}", free_port())),
                health: both(format!("tcp://{}", free_port())),
                egress: both(format!("tcp://{}", free_port())),
            },
            Road::Vsock => {
                let pair = |port: u32, parent_listens: bool| {
                    let (any, near) = (format!("vsock://any:{port}"), format!("vsock://1:{port}"));
                    if parent_listens { [any, near] } else { [near, any] }
                };
                Self {
                    ingress: pair(5900, false),
                    health: pair(5902, false),
                    egress: pair(5901, true),
                }
            }
            // Each of the enclave's listeners stands in for a device of its own.
            Road::Hybrid => Self {
                ingress: both(format!("hvsock://{dir}/in.sock:5000")),
                health: both(format!("hvsock://{dir}/health.sock:5002")),
                egress: both(format!("hvsock://{dir}/out.sock:5001")),
            },
        }
    }
}

fn start_simulator(dir: &Path, options: Options) -> Process {
    let file = if options.scenario == TWO_ACCOUNTS {
        let file = dir.join("scenario.json");
        fs::write(&file, two_accounts().to_string()).unwrap();
        file
    } else {
        scenario(options.scenario)
    };
    let mut command = Command::new(simulator("exchange-sim"));
    command.arg("--scenario").arg(&file).arg("--out").arg(dir).args([
        "--request-weight",
        "4000000000",
        "--sapi-ip-weight",
        "4000000000",
        "--sapi-uid-weight",
        "4000000000",
    ]);
    let scenario: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let accounts: std::collections::BTreeSet<_> = scenario["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["account"].as_str())
        .collect();
    for account in accounts {
        command.arg("--permissions").arg(format!("{account}={}", options.permissions));
    }
    Process::start("exchange-sim", command, dir)
}

fn enclave_command(dir: &Path, places: &Places) -> Command {
    let mut command = Command::new(simulator("enclave-app"));
    command
        .args(["--listen", &places.ingress[1], "--health-listen", &places.health[1]])
        .args(["--egress", &places.egress[1], "--scenario-clock", "--image-config"])
        .arg(dir.join("image.toml"))
        .arg("--exchange-root")
        .arg(dir.join("exchange-root.pem"))
        .arg("--nsm-root-out")
        .arg(dir.join("root.der"))
        .env("LOG_LEVEL", "debug");
    command
}

fn write_proxy_config(dir: &Path, places: &Places, to: SocketAddr, exchange: &Value) -> PathBuf {
    let hosts: Vec<String> = exchange["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| {
            format!(
                "[[host]]\nname = {host}\nport = 443\nprivate_ok = true\nconnect_to = \"{to}\"\n"
            )
        })
        .collect();
    fs::write(dir.join("allow-list.toml"), hosts.concat()).unwrap();
    fs::copy(root().join("enclave-app/deployment.json"), dir.join("deployment.json")).unwrap();
    let config = format!(
        "[[ingress]]\nlisten = \"tcp://127.0.0.1:0\"\nenclave = \"{}\"\n\
         [egress]\nlisten = \"{}\"\nallow_list = \"allow-list.toml\"\n\
         [deployment]\npath = \"deployment.json\"\n\
         [admin]\nlisten = \"tcp://127.0.0.1:0\"\nenclave_health = \"{}\"\n",
        places.ingress[0], places.egress[0], places.health[0],
    );
    let path = dir.join("parent-proxy.toml");
    fs::write(&path, config).unwrap();
    path
}

fn address(text: &str) -> SocketAddr {
    text.trim_start_matches("tcp://").parse().unwrap()
}

/// Where the proxy says that it listens.
fn listening(log: &str, road: &str) -> SocketAddr {
    let road = format!(r#""road":"{road}""#);
    let line = log.lines().find(|line| line.contains(&road)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    address(line["address"].as_str().unwrap())
}

/// An address nobody listens on, outside the range that connections take their ports from.
/// Another test may take it before we do; then the program that was to have it says so.
pub fn free_port() -> SocketAddr {
    loop {
        let port = 10_000 + u16::from_be_bytes(crate::customer::random()) % 20_000;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}

/// A plain GET: status and body; status 0 if nobody answers.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    request(address, "GET", path, "")
}

fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        if !body.is_empty() {
            let length = body.len();
            head += &format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
        }
        write!(stream, "{head}\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().unwrap_or_default();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}
