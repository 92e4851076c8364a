//! The same roads over real `AF_VSOCK`, where the kernel has a loopback.

use std::io::{Read, Write};
use std::net::Shutdown;

use transport::probe;

use crate::common::{Behaviour, Enclave, Proxy, config, connect};

const BULK_LEN: usize = 1 << 20;

#[test]
fn ingress_over_vsock_half_closes_and_counts_every_byte() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(reason) = runtime.block_on(probe::vsock_loopback(53_001)) {
        probe::skip("vsock loopback in parent-proxy", &reason).unwrap();
        return;
    }
    let enclave = Enclave::start("vsock://any:53002", Behaviour::ReadThenSend(BULK_LEN));
    let road = format!("vsock://{}:53002", probe::CID_LOCAL);
    let proxy = Proxy::start(tempfile::tempdir().unwrap(), &config(&[&road], ""));
    let mut client = connect(proxy.customer());
    client.write_all(&vec![7; BULK_LEN]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), BULK_LEN);
    assert_eq!(enclave.wait_for(1), [(Some(client.local_addr().unwrap()), BULK_LEN)]);
}
