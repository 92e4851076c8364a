//! A false enclave: real TLS, real attestation documents of a simulated security module, and
//! whatever lie a test wants told. It keeps every byte a customer says to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use enclave_app::clock::ScenarioClock;
use enclave_app::nsm::simulated::{Measured, Simulated};
use enclave_app::nsm::{AttestRequest, Nsm, TrustAnchor};
use protocol::encoding::from_hex;
use protocol::key_bundle::{AttestationReply, KeyBundle, deployment_sha256, pcr16_extension};
use protocol::keys::EnclavePublicKey;
use protocol::measurements::Measurements;
use protocol::time::UnixMillis;
use protocol::user_data::{Purpose, UserData};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::tls::spki_sha256;

/// A TLS key of its own.
#[derive(Debug)]
pub struct Identity {
    pub spki_sha256: [u8; 32],
    config: Arc<ServerConfig>,
}

impl Identity {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["enclave.invalid".to_owned()]).unwrap();
        let certificate: CertificateDer<'static> = params.self_signed(&key).unwrap().into();
        let spki_sha256 = spki_sha256(&certificate);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        Self { spki_sha256, config: Arc::new(config) }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

/// Listens, and answers each request with what `answer` makes of its path.
#[derive(Debug)]
pub struct Fake {
    pub addr: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Fake {
    pub fn start(
        identity: &Identity,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (config, keep, answer) =
            (Arc::clone(&identity.config), Arc::clone(&heard), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (config, keep, answer) =
                    (Arc::clone(&config), Arc::clone(&keep), Arc::clone(&answer));
                thread::spawn(move || serve(stream, config, &keep, answer.as_ref()));
            }
        });
        Self { addr, heard }
    }

    /// Everything customers said, in plain.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn serve(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    keep: &Mutex<Vec<u8>>,
    answer: &dyn Fn(&str) -> Vec<u8>,
) {
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let mut head = Vec::new();
    let mut buffer = [0; 4096];
    // Until the customer goes; how it goes is the tap's to say.
    while let Ok(read) = tls.read(&mut buffer) {
        if read == 0 {
            return;
        }
        keep.lock().unwrap().extend(&buffer[..read]);
        head.extend(&buffer[..read]);
        while let Some(end) = memchr::memmem::find(&head, b"\r\n\r\n") {
            let request = String::from_utf8_lossy(&head[..end]).into_owned();
            head.drain(..end + 4);
            let body = answer(request.split(' ').nth(1).unwrap_or_default());
            let length = body.len();
            let front = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
                 content-length: {length}\r\n\r\n"
            );
            if tls.write_all(&[front.as_bytes(), &body].concat()).is_err() {
                return;
            }
        }
    }
}

/// What a false enclave says of itself. [`Story::honest`] is one that verifies.
#[derive(Debug)]
pub struct Story {
    pub module: Simulated,
    pub measurements: Measurements,
    pub deployment: Vec<u8>,
    pub purpose: Purpose,
    pub tls_spki_sha256: [u8; 32],
    /// The configuration whose hash is in the document.
    pub hashed_deployment: Vec<u8>,
    /// The key beside the document, when it is not the one in it.
    pub other_x25519: Option<[u8; 32]>,
    /// What becomes of the customer's nonce on its way into the document.
    pub nonce: fn(Vec<u8>) -> Option<Vec<u8>>,
    /// What becomes of the document on its way out.
    pub document: fn(Vec<u8>) -> Vec<u8>,
}

impl Story {
    /// A module that measured `executable`, whose time is `age` behind the machine's.
    pub fn told(identity: &Identity, measured: Measured, deployment: &str, age: Duration) -> Self {
        let clock = Arc::new(ScenarioClock::unset());
        clock.set(UnixMillis(now().0 - u64::try_from(age.as_millis()).unwrap()));
        let registers = [measured.pcr0, measured.pcr1, measured.pcr2];
        let module = Simulated::new(measured, clock).unwrap();
        let deployment = deployment.as_bytes().to_vec();
        module.extend(16, &pcr16_extension(&deployment)).unwrap();
        module.lock(32).unwrap();
        Self {
            module,
            measurements: Measurements::new("0.1.0".to_owned(), true, registers),
            hashed_deployment: deployment.clone(),
            deployment,
            purpose: Purpose::Session,
            tls_spki_sha256: identity.spki_sha256,
            other_x25519: None,
            nonce: Some,
            document: |document| document,
        }
    }

    /// Everything is as it should be.
    pub fn honest(identity: &Identity) -> Self {
        Self::told(identity, measured(), DEPLOYMENT, Duration::ZERO)
    }

    /// The module's root certificate.
    pub fn root(&self) -> Vec<u8> {
        match self.module.trust_anchor() {
            TrustAnchor::Simulated(root) => root,
            TrustAnchor::Aws => panic!("the module is simulated"),
        }
    }

    /// The answer to `GET /attestation?nonce=…`.
    pub fn answer(&self, path: &str) -> Vec<u8> {
        let nonce = path.split_once("nonce=").map(|(_, nonce)| from_hex(nonce).unwrap());
        let key = EnclavePublicKey(X25519);
        let user_data = UserData {
            purpose: self.purpose,
            ed25519: ED25519,
            tls_spki_sha256: self.tls_spki_sha256,
            deployment_sha256: deployment_sha256(&self.hashed_deployment),
            post_quantum_sha256: None,
            log: None,
        };
        let request = AttestRequest {
            nonce: (self.nonce)(nonce.unwrap_or_default()),
            user_data: Some(user_data.encode()),
            public_key: Some(key.0.to_vec()),
        };
        let document = (self.document)(self.module.attest(&request).unwrap());
        let beside = EnclavePublicKey(self.other_x25519.unwrap_or(key.0));
        let key_bundle = KeyBundle::new(beside, ED25519, self.deployment.clone());
        AttestationReply { document, key_bundle }.to_json()
    }
}

/// What the customer of these tests expects to be running.
pub fn measured() -> Measured {
    Measured::of(&b"the expected program"[..], b"the expected configuration").unwrap()
}

/// The configuration that everybody accepts.
pub const DEPLOYMENT: &str = include_str!("../../../enclave-app/deployment.json");

/// X25519's base point: a key like any other.
const X25519: [u8; 32] = {
    let mut point = [0; 32];
    point[0] = 9;
    point
};

const ED25519: [u8; 32] = [0x58; 32];

#[expect(clippy::disallowed_methods, reason = "perfagg without a scenario reads the same clock")]
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixMillis(u64::try_from(since.as_millis()).unwrap())
}
