//! A real parent-proxy, what stands for the enclave behind it, and clients.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use transport::proxy_v2;
use transport::{Address, Listener, Side, Stream};

/// Long enough for any state to be reached; no test expects it to pass.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// A running proxy, and everything it wrote to its log.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) ingress: Vec<String>,
    pub(crate) egress: Option<String>,
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    lines: Mutex<Receiver<()>>,
}

/// A configuration whose listeners are free ports, with `more` at its end.
/// `{dir}` in it is the proxy's own folder.
pub(crate) fn config(ingress: &[&str], more: &str) -> String {
    let road = |enclave: &&str| {
        format!("[[ingress]]\nlisten = \"tcp://127.0.0.1:0\"\nenclave = \"{enclave}\"\n")
    };
    let mut text: String = ingress.iter().map(road).collect();
    let admin =
        "[admin]\nlisten = \"tcp://127.0.0.1:0\"\nenclave_health = \"unix://{dir}/h.sock\"\n";
    if !more.contains("[admin]") {
        text.push_str(admin);
    }
    text + more
}

impl Proxy {
    /// Starts the program in `dir` and waits until it listens.
    pub(crate) fn start(dir: TempDir, config: &str) -> Self {
        let path = dir.path().join("proxy.toml");
        fs::write(&path, in_dir(config, dir.path())).unwrap();
        let listeners = config.matches("listen = ").count();
        let mut child =
            command(&path).env("LOG_LEVEL", "debug").stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (told, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let into = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                into.lock().unwrap().push(line);
                if told.send(()).is_err() {
                    break;
                }
            }
        });
        let mut proxy = Self {
            child,
            dir,
            ingress: Vec::new(),
            egress: None,
            admin: SocketAddr::from(([0, 0, 0, 0], 0)),
            log,
            lines: Mutex::new(lines),
        };
        let mut found = 0;
        proxy.wait_for_lines(|lines| {
            found = lines.iter().filter(|line| line.contains("\"listening\"")).count();
            found == listeners
        });
        for line in proxy.log() {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let (Some(road), Some(address)) = (line["road"].as_str(), line["address"].as_str())
            else {
                continue;
            };
            match road {
                "ingress" => proxy.ingress.push(address.to_owned()),
                "egress" => proxy.egress = Some(address.to_owned()),
                _ => proxy.admin = address.strip_prefix("tcp://").unwrap().parse().unwrap(),
            }
        }
        proxy
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log satisfies `ready`.
    pub(crate) fn wait_for_lines(&self, mut ready: impl FnMut(&[String]) -> bool) {
        let lines = self.lines.lock().unwrap();
        while !ready(&self.log()) {
            if lines.recv_timeout(SOON).is_err() {
                // The program ended: its last lines may have come meanwhile.
                assert!(ready(&self.log()), "the log never said so:\n{}", self.log().join("\n"));
                return;
            }
        }
    }

    pub(crate) fn wait_for_message(&self, message: &str) {
        let wanted = format!("\"message\":\"{message}\"");
        self.wait_for_lines(|lines| lines.iter().any(|line| line.contains(&wanted)));
    }

    /// Where customers connect.
    pub(crate) fn customer(&self) -> SocketAddr {
        self.ingress[0].strip_prefix("tcp://").unwrap().parse().unwrap()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// CPU time used so far, in clock ticks.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    pub(crate) fn limit_descriptors(&self, to: u64) {
        let limit = Rlimit { current: Some(to), maximum: Some(20_000) };
        prlimit(Some(self.pid()), Resource::Nofile, limit).unwrap();
    }

    /// One request to the administration port: the status line and the body.
    pub(crate) fn admin(&self, path: &str) -> (String, String) {
        let mut stream = connect(self.admin);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    /// A metric's value now.
    pub(crate) fn metric(&self, sample: &str) -> u64 {
        let (_, text) = self.admin("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(sample));
        line.expect(sample).trim().parse().unwrap()
    }

    /// Waits until a metric has a value.
    pub(crate) fn wait_for_metric(&self, sample: &str, wanted: u64) {
        until(|| self.metric(sample) == wanted, || format!("{sample} is {}", self.metric(sample)));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program with a configuration.
pub(crate) fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parent-proxy"));
    command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

pub(crate) fn in_dir(text: &str, dir: &Path) -> String {
    text.replace("{dir}", dir.to_str().unwrap())
}

/// Polls a state of another process until it holds.
pub(crate) fn until(mut holds: impl FnMut() -> bool, told: impl Fn() -> String) {
    for _ in 0..SOON.as_millis() / 10 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(holds(), "{}", told());
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

pub(crate) fn connect_unix(to: &Path) -> UnixStream {
    let stream = UnixStream::connect(to).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream
}

/// What an enclave does with each connection, after the PROXY header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Sends back what comes.
    Echo,
    /// Reads to the end, then answers with so many bytes.
    ReadThenSend(usize),
    /// Sends so many bytes, ends its half, reads to the end.
    SendThenRead(usize),
    /// Answers health probes with a status.
    Health(u16),
}

/// The client that a connection's header named, and how much was read.
pub(crate) type Seen = (Option<SocketAddr>, usize);

/// An enclave in this process, and what it saw.
pub(crate) struct Enclave {
    runtime: tokio::runtime::Runtime,
    pub(crate) address: String,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
}

impl Enclave {
    pub(crate) fn start(listen: &str, behaviour: Behaviour) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen: Address = listen.parse().unwrap();
        let listener = runtime.block_on(Listener::bind(&listen, Side::Enclave)).unwrap();
        let address = listener.local_address().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let enclave = Self { runtime, address, seen: Arc::clone(&seen) };
        let accepting = async move {
            let mut connections = JoinSet::new();
            while let Ok(stream) = listener.accept().await {
                let seen = Arc::clone(&seen);
                connections.spawn(async move {
                    let mut stream = stream;
                    let client = if matches!(behaviour, Behaviour::Health(_)) {
                        None
                    } else {
                        proxy_v2::read(&mut stream).await.ok().and_then(|h| h.client())
                    };
                    let read = serve(stream, behaviour).await.unwrap_or(usize::MAX);
                    seen.lock().unwrap().push((client, read));
                });
            }
        };
        drop(enclave.runtime.spawn(accepting));
        enclave
    }

    /// Waits until so many connections are over.
    pub(crate) fn wait_for(&self, connections: usize) -> Vec<Seen> {
        until(
            || self.seen.lock().unwrap().len() >= connections,
            || format!("{:?}", self.seen.lock().unwrap()),
        );
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: Stream, behaviour: Behaviour) -> std::io::Result<usize> {
    match behaviour {
        Behaviour::Echo => {
            let (mut from, mut to) = tokio::io::split(stream);
            let copied = tokio::io::copy(&mut from, &mut to).await?;
            to.shutdown().await?;
            Ok(usize::try_from(copied).unwrap())
        }
        Behaviour::ReadThenSend(bytes) => {
            let read = read_all(&mut stream).await?;
            stream.write_all(&vec![9; bytes]).await?;
            stream.shutdown().await?;
            Ok(read)
        }
        Behaviour::SendThenRead(bytes) => {
            stream.write_all(&vec![9; bytes]).await?;
            stream.shutdown().await?;
            read_all(&mut stream).await
        }
        Behaviour::Health(status) => {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await?;
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(answer.as_bytes()).await?;
            Ok(read)
        }
    }
}

async fn read_all(stream: &mut Stream) -> std::io::Result<usize> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await
}
