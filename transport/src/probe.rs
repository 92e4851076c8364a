//! What this kernel can do, so that a test that cannot run says so by name.

use std::io::{self, Write};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::{Address, Listener, Side, dial};

/// `VMADDR_CID_LOCAL`: this machine.
pub const CID_LOCAL: u32 = 1;

/// The variable that names the file in which skips are collected.
pub const SKIP_FILE_ENV: &str = "PA_SKIP_FILE";

const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether a byte goes round over `vsock://1:port` of this machine.
///
/// # Errors
///
/// Why not, in a few words, for [`skip`].
pub async fn vsock_loopback(port: u32) -> Result<(), String> {
    let round = async {
        let listener =
            Listener::bind(&Address::Vsock { cid: Address::CID_ANY, port }, Side::Enclave)
                .await
                .map_err(|error| format!("cannot listen: {error}"))?;
        let address = Address::Vsock { cid: CID_LOCAL, port };
        let (accepted, dialled) = tokio::join!(listener.accept(), dial(&address, Side::Parent));
        let mut accepted = accepted.map_err(|error| format!("cannot accept: {error}"))?;
        let mut dialled = dialled.map_err(|error| format!("cannot connect: {error}"))?;
        let sent = async {
            dialled.write_all(b"x").await?;
            accepted.read_u8().await
        };
        sent.await.map(|_| ()).map_err(|error: io::Error| format!("cannot send: {error}"))
    };
    timeout(PROBE_TIMEOUT, round)
        .await
        .unwrap_or_else(|_| Err("this kernel has no vsock loopback: connect timed out".to_owned()))
}

/// Reports a test that cannot run here: one line on standard error and, if
/// [`SKIP_FILE_ENV`] is set, the same line at the end of that file.
///
/// # Errors
///
/// The line could not be written; a skip that nobody sees is a failure.
pub fn skip(name: &str, reason: &str) -> io::Result<()> {
    let line = format!("SKIP {name}: {reason}\n");
    io::stderr().write_all(line.as_bytes())?;
    #[expect(clippy::disallowed_methods, reason = "tests are told here where to collect skips")]
    if let Ok(path) = std::env::var(SKIP_FILE_ENV) {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)?
            .write_all(line.as_bytes())?;
    }
    Ok(())
}
