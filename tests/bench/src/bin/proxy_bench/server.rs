//! What stands at the far end of every path: it accepts and reads as the
//! enclave does, with the same crates on one thread, and does as the first byte
//! says. `e` echoes, `o` echoes once and closes, `s` counts what comes and
//! answers the sum, `d` sends as many bytes as the next eight say. A TLS record
//! is answered with TLS 1.3 as the enclave's, and one echo inside it.

use std::io::{self, Cursor};
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio_rustls::TlsAcceptor;
use transport::{Address, Backoff, Listener, Side, Stream, proxy_v2};

const BULK_LEN: usize = 128 * 1024;

/// Serves each address until the process ends; `true` says that a PROXY v2
/// header comes first. `ready` is told the addresses once all are bound.
pub(crate) fn run(
    addresses: &[(Address, bool)],
    tls: &TlsAcceptor,
    ready: impl FnOnce(&[Address]) -> io::Result<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut loops = JoinSet::new();
        let mut bound = Vec::new();
        for (address, header) in addresses {
            let listener = Listener::bind(address, Side::Enclave).await?;
            bound.push(listener.local_address()?);
            loops.spawn_local(accept(listener, *header, tls.clone()));
        }
        ready(&bound)?;
        while loops.join_next().await.is_some() {}
        Ok(())
    })
}

async fn accept(listener: Listener, header: bool, tls: TlsAcceptor) {
    let bulk: Rc<[u8]> = vec![7; BULK_LEN].into();
    let mut backoff = Backoff::new();
    loop {
        let stream = listener.accept_next(&mut backoff, |_, _| {}).await;
        let (bulk, tls) = (Rc::clone(&bulk), tls.clone());
        // A client that breaks off is the client's business.
        spawn_local(async move { drop(serve(stream, header, &bulk, tls).await) });
    }
}

/// The first byte of a TLS handshake record.
const TLS: u8 = 0x16;

async fn serve(mut stream: Stream, header: bool, bulk: &[u8], tls: TlsAcceptor) -> io::Result<()> {
    if header {
        proxy_v2::read(&mut stream).await.map_err(io::Error::other)?;
    }
    let mut buf = [0; 4096];
    let len = stream.read(&mut buf).await?;
    match buf.first() {
        Some(b'e') if len > 0 => echo(stream, &mut buf, len).await,
        Some(b'o') => stream.write_all(buf.get(..len).unwrap_or_default()).await,
        Some(&TLS) => {
            let (from, to) = tokio::io::split(stream);
            let from = Cursor::new(buf.get(..len).unwrap_or_default().to_vec()).chain(from);
            let mut stream = tls.accept(tokio::io::join(from, to)).await?;
            let len = stream.read(&mut buf).await?;
            stream.write_all(buf.get(..len).unwrap_or_default()).await?;
            stream.shutdown().await
        }
        Some(b's') => sink(stream, len).await,
        Some(b'd') => {
            let mut left = [0; 8];
            left.copy_from_slice(buf.get(1..9).unwrap_or(&[0; 8]));
            let mut left = usize::try_from(u64::from_be_bytes(left)).unwrap_or(0);
            while left > 0 {
                let part = bulk.get(..left.min(BULK_LEN)).unwrap_or_default();
                stream.write_all(part).await?;
                left -= part.len();
            }
            stream.shutdown().await
        }
        _ => Ok(()),
    }
}

async fn echo(mut stream: Stream, buf: &mut [u8], mut len: usize) -> io::Result<()> {
    while len > 0 {
        stream.write_all(buf.get(..len).unwrap_or_default()).await?;
        len = stream.read(buf).await?;
    }
    Ok(())
}

async fn sink(mut stream: Stream, first: usize) -> io::Result<()> {
    let mut sum = first;
    let mut part = vec![0; BULK_LEN];
    loop {
        let len = stream.read(&mut part).await?;
        if len == 0 {
            break;
        }
        sum += len;
    }
    stream.write_all(&u64::try_from(sum).unwrap_or(0).to_be_bytes()).await?;
    stream.shutdown().await
}
