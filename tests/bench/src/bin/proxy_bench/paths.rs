//! The paths that are compared, each with everything it needs running.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use transport::Address;

use crate::process::Process;
use crate::{server, tls};

/// What stands for vsock between proxy and enclave.
#[derive(Clone, Copy)]
pub(crate) enum Road {
    Unix,
    Tcp,
}

/// One end of a connection, whatever its kind.
pub(crate) trait Socket: Read + Write {
    /// Closes the writing half.
    fn end(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Socket for UnixStream {
    fn end(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[derive(Clone)]
pub(crate) enum Entry {
    Tcp(u16),
    Unix(PathBuf),
}

#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) name: String,
    pub(crate) entry: Entry,
    /// Ours, towards exchanges: a CONNECT comes first.
    pub(crate) connect: bool,
    pub(crate) process: Option<Rc<Process>>,
    /// Takes no bulk: it has no backpressure.
    pub(crate) bare: bool,
}

pub(crate) struct Set {
    pub(crate) server: Process,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    pub(crate) paths: Vec<Path>,
}

impl Set {
    /// The processes between client and server.
    pub(crate) fn proxies(&self) -> Vec<u32> {
        self.paths.iter().filter_map(|path| path.process.as_ref().map(|p| p.id())).collect()
    }
}

/// Any free port.
fn tcp() -> Address {
    Address::Tcp { host: "127.0.0.1".to_owned(), port: 0 }
}

const CONNECT: &[u8] =
    b"CONNECT bench.example.com:443 HTTP/1.1\r\nHost: bench.example.com:443\r\n\r\n";
const OPENED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

impl Path {
    /// A new connection through this path, ready for its first byte.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Socket + Send>> {
        let mut stream: Box<dyn Socket + Send> = match &self.entry {
            Entry::Tcp(port) => {
                let stream = connect_tcp(*port)?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Entry::Unix(path) => Box::new(connect_unix(path)?),
        };
        if self.connect {
            stream.write_all(CONNECT)?;
            let mut answer = [0; OPENED.len()];
            stream.read_exact(&mut answer)?;
            if answer != OPENED {
                return Err(io::Error::other("CONNECT refused"));
            }
        }
        Ok(stream)
    }
}

fn connect_tcp(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port))
}

fn connect_unix(path: &FilePath) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            // The listener's queue is full: as a blocking TCP connect would, wait.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(Duration::from_micros(200));
            }
            settled => return settled,
        }
    }
}

/// The three servers: on TCP, on the road, and on the road behind a PROXY
/// header. Their addresses go to `dir/servers`, a line each.
pub(crate) fn serve(road: &str, dir: &FilePath) -> io::Result<()> {
    let address = |name: &str| match road {
        "tcp" => tcp(),
        _ => Address::Unix(dir.join(name)),
    };
    let addresses =
        [(tcp(), false), (address("plain.sock"), false), (address("header.sock"), true)];
    server::run(&addresses, &tls::server(dir)?, |bound| {
        let lines: Vec<_> = bound.iter().map(ToString::to_string).collect();
        fs::write(dir.join("servers.new"), lines.join("\n"))?;
        fs::rename(dir.join("servers.new"), dir.join("servers"))
    })
}

/// Starts the servers and every proxy, and waits until each answers.
pub(crate) fn start(proxy: &FilePath, road: Road, dir: &FilePath) -> io::Result<Set> {
    let this = std::env::current_exe()?;
    let word = match road {
        Road::Unix => "unix",
        Road::Tcp => "tcp",
    };
    let server = Process::start(Command::new(&this).arg("serve").arg(word).arg(dir))?;
    let addresses = read_when_there(&dir.join("servers"))?;
    let [tcp, plain, with_header] = addresses.lines().collect::<Vec<_>>()[..] else {
        return Err(io::Error::other("three servers"));
    };
    let tcp_port: u16 = tcp
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok())
        .ok_or_else(|| io::Error::other("no port"))?;

    let (ingress, admin) = (free_port()?, free_port()?);
    let near = |name: &str| -> io::Result<(Entry, String, String)> {
        Ok(match road {
            Road::Unix => {
                let path = dir.join(name);
                let listen = format!("UNIX-LISTEN:{},fork,backlog=4096", path.display());
                (Entry::Unix(path.clone()), format!("unix://{}", path.display()), listen)
            }
            Road::Tcp => {
                let port = free_port()?;
                let listen =
                    format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096");
                (Entry::Tcp(port), format!("tcp://127.0.0.1:{port}"), listen)
            }
        })
    };
    let (egress_entry, egress_address, _) = near("egress.sock")?;
    fs::write(
        dir.join("hosts.toml"),
        format!(
            "[[host]]\nname = \"bench.example.com\"\nport = 443\n\
             connect_to = \"127.0.0.1:{tcp_port}\"\n"
        ),
    )?;
    let config = dir.join("proxy.toml");
    fs::write(
        &config,
        format!(
            "[[ingress]]\nlisten = \"tcp://127.0.0.1:{ingress}\"\nenclave = \"{with_header}\"\n\
             [egress]\nlisten = \"{egress_address}\"\nallow_list = \"hosts.toml\"\n\
             [admin]\nlisten = \"tcp://127.0.0.1:{admin}\"\nenclave_health = \"{with_header}\"\n\
             [limits]\ningress_connections_per_address = 8192\negress_connections = 8192\n"
        ),
    )?;
    let ours = Rc::new(Process::start(
        Command::new(proxy).arg("--config").arg(&config).env("LOG_LEVEL", "error"),
    )?);

    let socat_port = free_port()?;
    let socat_ingress = Rc::new(Process::start(Command::new("socat").args([
        &format!("TCP-LISTEN:{socat_port},bind=127.0.0.1,fork,reuseaddr,nodelay,backlog=4096"),
        &plain.strip_prefix("unix://").map_or_else(
            || plain.replace("tcp://", "TCP:") + ",nodelay",
            |path| format!("UNIX-CONNECT:{path}"),
        ),
    ]))?);
    let bare_port = free_port()?;
    let bare = Rc::new(Process::start(
        Command::new(&this).arg("bare").arg(bare_port.to_string()).arg(plain),
    )?);
    let (socat_entry, _, socat_listen) = near("socat.sock")?;
    let socat_egress = Rc::new(Process::start(
        Command::new("socat").args([&socat_listen, &format!("TCP:127.0.0.1:{tcp_port},nodelay")]),
    )?);

    let path = |name: &str, entry: Entry, connect: bool, process: Option<&Rc<Process>>| Path {
        name: name.to_owned(),
        entry,
        connect,
        process: process.map(Rc::clone),
        bare: name == "bare",
    };
    let paths = vec![
        path("direct", Entry::Tcp(tcp_port), false, None),
        path("bare", Entry::Tcp(bare_port), false, Some(&bare)),
        path("ingress ours", Entry::Tcp(ingress), false, Some(&ours)),
        path("ingress socat", Entry::Tcp(socat_port), false, Some(&socat_ingress)),
        path("egress ours", egress_entry, true, Some(&ours)),
        path("egress socat", socat_entry, false, Some(&socat_egress)),
    ];
    for path in &paths {
        wait_for(path)?;
    }
    Ok(Set { server, tls: tls::client(dir)?, paths })
}

fn read_when_there(file: &FilePath) -> io::Result<String> {
    for _ in 0..400 {
        if let Ok(text) = fs::read_to_string(file) {
            return Ok(text);
        }
        sleep(Duration::from_millis(25));
    }
    Err(io::Error::other("the servers did not come up"))
}

fn wait_for(path: &Path) -> io::Result<()> {
    let mut last = io::Error::other("not tried");
    for _ in 0..200 {
        let echoed = path.open().and_then(|mut stream| {
            stream.write_all(b"e")?;
            stream.read_exact(&mut [0])
        });
        match echoed {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
        sleep(Duration::from_millis(25));
    }
    Err(io::Error::other(format!("{} did not come up: {last}", path.name)))
}

fn free_port() -> io::Result<u16> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().map(|at| at.port())
}
