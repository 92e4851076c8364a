//! The program as a process: how it starts, refuses to start, and stops, and
//! what is in its memory afterwards.

#[cfg(test)]
mod process {
    use std::process::{Command, Output};

    /// The program with nothing of ours in its environment.
    fn program() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_enclave-app"));
        command.env_clear();
        command
    }

    fn flags(dir: &std::path::Path) -> Vec<String> {
        let image = concat!(env!("CARGO_MANIFEST_DIR"), "/image.toml");
        let socket = |name: &str| format!("unix://{}", dir.join(name).display());
        [
            ["--listen", &socket("front.sock")],
            ["--health-listen", &socket("health.sock")],
            ["--egress", &socket("egress.sock")],
            ["--image-config", image],
        ]
        .concat()
        .into_iter()
        .map(str::to_owned)
        .collect()
    }

    fn told(output: &Output) -> String {
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    #[test]
    fn mistakes_on_the_command_line_are_told_at_once() {
        let output = program().arg("--egress=nonsense").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let told = told(&output);
        for name in ["--listen", "--health-listen", "--egress", "--image-config"] {
            assert!(told.contains(name), "{told}");
        }
    }

    #[test]
    fn a_start_that_fails_names_its_step() {
        let dir = tempfile::tempdir().unwrap();
        let output = program().args(flags(dir.path())).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = told(&output);
        let step = if cfg!(feature = "simulator") { "deployment:" } else { "security module:" };
        // On a machine with the device, a release gets as far as the parent.
        let device = std::path::Path::new("/dev/nsm").exists();
        assert!(told.contains(step) || device, "{told}");
        assert!(!dir.path().join("front.sock").exists(), "nothing was bound");
    }

    #[cfg(not(feature = "simulator"))]
    #[test]
    fn a_release_refuses_to_start_where_a_test_switch_is_set() {
        let dir = tempfile::tempdir().unwrap();
        for name in enclave_app::config::TEST_SWITCHES {
            let output = program().args(flags(dir.path())).env(name, "0").output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}");
            assert!(told(&output).contains(name), "{name}");
        }
    }

    #[cfg(not(feature = "simulator"))]
    #[test]
    fn a_release_holds_nothing_of_the_simulated_module() {
        let program = std::fs::read(env!("CARGO_BIN_EXE_enclave-app")).unwrap();
        let holds = |text: &str| program.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(holds("image configuration"), "the search finds what is there");
        assert!(!holds("performance-aggregator simulated security module"));
        assert!(!holds("scenario-clock"));
    }

    #[cfg(feature = "simulator")]
    mod simulated {
        use std::fs::{self, File};
        use std::io::{BufRead, BufReader, Read, Write};
        use std::os::unix::fs::FileExt;
        use std::os::unix::net::{UnixListener, UnixStream};
        use std::path::Path;
        use std::process::{Child, Stdio};
        use std::sync::Arc;
        use std::time::{Duration, SystemTime, UNIX_EPOCH};

        use protocol::attestation::{self, ExpectedPcrs, LiveAttestation, Policy, Root};
        use protocol::encoding::to_hex;
        use protocol::envelope::{self, Ephemeral};
        use protocol::key_bundle::AttestationReply;
        use protocol::measurements::Measurements;
        use protocol::portfolio::PortfolioSecret;
        use protocol::reply::{self, ReplyContext, SealedReply};
        use protocol::secret::SecretBytes;
        use protocol::session::{AccountRequest, Credentials, ErrorBody, OpenSession, Ttl};
        use protocol::time::UnixMillis;
        use rustls::client::danger::{
            HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
        };
        use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs};
        use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, StreamOwned};
        use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
        use sha2::{Digest, Sha256};
        use transport::proxy_v2::{self, Header};
        use zeroize::Zeroizing;

        use super::{flags, program};

        const DEPLOYMENT: &str = include_str!("../deployment.json");

        /// Answers `GET /deployment`, and every CONNECT with 502.
        fn parent(dir: &Path) {
            let listener = UnixListener::bind(dir.join("egress.sock")).unwrap();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let Ok(mut stream) = stream else { return };
                    std::thread::spawn(move || {
                        let mut head = Vec::new();
                        while !head.ends_with(b"\r\n\r\n") {
                            let mut byte = [0];
                            if stream.read_exact(&mut byte).is_err() {
                                return;
                            }
                            head.push(byte[0]);
                        }
                        let answer = if head.starts_with(b"GET /deployment ") {
                            let len = DEPLOYMENT.len();
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n{DEPLOYMENT}")
                        } else {
                            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_owned()
                        };
                        drop(stream.write_all(answer.as_bytes()));
                    });
                }
            });
        }

        struct Running {
            child: Child,
            dir: tempfile::TempDir,
            log: std::thread::JoinHandle<String>,
        }

        impl Running {
            /// Starts the program and waits until it says that it is ready.
            fn start() -> Self {
                let dir = tempfile::tempdir().unwrap();
                parent(dir.path());
                let root = format!("--nsm-root-out={}", dir.path().join("root.der").display());
                let mut child = program()
                    .args(flags(dir.path()))
                    .arg(root)
                    .env("LOG_LEVEL", "debug")
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
                let mut log = String::new();
                loop {
                    let line = lines.next().expect("ready before the end").unwrap();
                    log.push_str(&line);
                    log.push('\n');
                    if line.contains("\"ready\"") {
                        break;
                    }
                }
                let log = std::thread::spawn(move || {
                    lines.map_while(Result::ok).fold(log, |log, line| log + &line + "\n")
                });
                Self { child, dir, log }
            }

            fn path(&self, name: &str) -> std::path::PathBuf {
                self.dir.path().join(name)
            }

            /// SIGTERM; the exit code and everything that was logged.
            fn stop(mut self) -> (Option<i32>, String) {
                let pid = self.child.id().to_string();
                let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status();
                assert!(killed.unwrap().success());
                let code = self.child.wait().unwrap().code();
                (code, self.log.join().unwrap())
            }
        }

        /// Takes any certificate: its key is compared with the document's.
        #[derive(Debug)]
        struct AnyCertificate(WebPkiSupportedAlgorithms);

        impl ServerCertVerifier for AnyCertificate {
            fn verify_server_cert(
                &self,
                _: &CertificateDer<'_>,
                _: &[CertificateDer<'_>],
                _: &ServerName<'_>,
                _: &[u8],
                _: UnixTime,
            ) -> Result<ServerCertVerified, rustls::Error> {
                Ok(ServerCertVerified::assertion())
            }

            fn verify_tls12_signature(
                &self,
                _: &[u8],
                _: &CertificateDer<'_>,
                _: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, rustls::Error> {
                Err(rustls::Error::General("TLS 1.2".into()))
            }

            fn verify_tls13_signature(
                &self,
                message: &[u8],
                certificate: &CertificateDer<'_>,
                signed: &DigitallySignedStruct,
            ) -> Result<HandshakeSignatureValid, rustls::Error> {
                rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
            }

            fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
                self.0.supported_schemes()
            }
        }

        /// One request on a connection of its own: the answer's head and body,
        /// and SHA-256 of the TLS key's SPKI.
        fn ask(running: &Running, request: &[u8]) -> (String, Vec<u8>, [u8; 32]) {
            let provider = aws_lc_rs::default_provider();
            let verifier = AnyCertificate(provider.signature_verification_algorithms);
            let config = ClientConfig::builder_with_provider(Arc::new(provider))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            let name = ServerName::try_from("enclave.invalid").unwrap();
            let mut socket = UnixStream::connect(running.path("front.sock")).unwrap();
            socket.write_all(&proxy_v2::encode(&Header::Local)).unwrap();
            let connection = ClientConnection::new(Arc::new(config), name).unwrap();
            let mut stream = StreamOwned::new(connection, socket);
            stream.write_all(request).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let certificate = stream.conn.peer_certificates().unwrap().first().unwrap();
            let certificate = webpki::EndEntityCert::try_from(certificate).unwrap();
            let spki = Sha256::digest(certificate.subject_public_key_info()).into();
            let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            let body = answer.split_off(end + 4);
            (String::from_utf8(answer).unwrap(), body, spki)
        }

        #[expect(clippy::disallowed_methods, reason = "the program runs on the host's clock here")]
        fn now() -> UnixMillis {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            UnixMillis(u64::try_from(since.as_millis()).unwrap())
        }

        /// Attests as a customer would, against measurements that came by
        /// another road.
        fn attest(running: &Running) -> LiveAttestation {
            let image = concat!(env!("CARGO_MANIFEST_DIR"), "/image.toml");
            let output =
                program().args(["measurements", "--image-config", image]).output().unwrap();
            let expected = Measurements::from_json(&output.stdout).unwrap();
            assert!(expected.simulated);
            let root = Root::simulated(fs::read(running.path("root.der")).unwrap());

            let nonce = [0x33; 32];
            let request = format!(
                "GET /attestation?nonce={} HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n",
                to_hex(&nonce)
            );
            let (head, body, spki) = ask(running, request.as_bytes());
            assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
            let AttestationReply { document, key_bundle } =
                AttestationReply::from_json(&body).unwrap();
            let pcrs = ExpectedPcrs { image: expected.pcrs(), signer: None };
            let policy =
                Policy::new(&root, pcrs, &key_bundle.deployment, &nonce, Duration::from_mins(1));
            let live = attestation::verify(&document, &policy, now()).unwrap();
            assert_eq!(live.user_data().tls_spki_sha256, spki);
            assert_eq!(key_bundle.deployment, DEPLOYMENT.as_bytes());
            live
        }

        /// Whether `needle` is anywhere in the memory that can be read of a
        /// process. `None` where this user may not look.
        fn in_memory(pid: u32, needle: &[u8]) -> Option<bool> {
            let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
            let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
            for line in maps.lines() {
                let (range, rest) = line.split_once(' ').unwrap();
                let (low, high) = range.split_once('-').unwrap();
                let (low, high) =
                    (u64::from_str_radix(low, 16).unwrap(), u64::from_str_radix(high, 16).unwrap());
                if !rest.starts_with('r') || rest.contains("[v") {
                    continue;
                }
                let mut bytes = vec![0; usize::try_from(high - low).unwrap()];
                // Pages may go while we look.
                if memory.read_exact_at(&mut bytes, low).is_ok()
                    && bytes.windows(needle.len()).any(|window| window == needle)
                {
                    return Some(true);
                }
            }
            Some(false)
        }

        #[test]
        fn it_attests_itself_serves_health_and_stops_cleanly() {
            let running = Running::start();
            attest(&running);
            let mut health = UnixStream::connect(running.path("health.sock")).unwrap();
            let request = b"GET /health HTTP/1.1\r\nhost: e\r\nconnection: close\r\n\r\n";
            health.write_all(request).unwrap();
            let mut answer = String::new();
            health.read_to_string(&mut answer).unwrap();
            assert!(answer.contains("\"simulated\":true"), "{answer}");
            let (code, log) = running.stop();
            assert_eq!(code, Some(0), "{log}");
            assert!(log.contains("SIMULATED"), "{log}");
            assert!(log.lines().all(|line| line.starts_with('{')), "JSON lines: {log}");
        }

        #[test]
        fn credentials_are_in_no_memory_and_no_log_after_a_session_was_refused() {
            let running = Running::start();
            let live = attest(&running);
            // Made at run time, so that they are in no binary.
            let canary = |name: &str| format!("{name}{:x}{:x}", now().0, running.child.id());
            let (key, secret, phrase) = (canary("apikey"), canary("apisecret"), canary("phrase"));
            let portfolio = PortfolioSecret::from_bytes(&[5; 32]);
            let request = OpenSession {
                request_nonce: [4; 16],
                attested_at: live.timestamp(),
                ttl: Ttl::from_secs(3600).unwrap(),
                base_currency: "USD".into(),
                portfolio_key: portfolio.public(),
                accounts: vec![AccountRequest {
                    label: "main".into(),
                    venue: "binance".into(),
                    market: "spot".into(),
                    credentials: Credentials {
                        api_key: SecretBytes::copy(key.as_bytes()),
                        api_secret: SecretBytes::copy(secret.as_bytes()),
                        passphrase: Some(SecretBytes::copy(phrase.as_bytes())),
                    },
                    symbols: Vec::new(),
                }],
            };
            let ephemeral = Ephemeral::new(Zeroizing::new([6; 32]));
            let ephemeral_pub = *ephemeral.public();
            let key_id = live.encryption_key().key_id();
            let plaintext = request.sign(&portfolio, &key_id, &ephemeral_pub).unwrap();
            let (envelope, keys) =
                envelope::seal_to(&live, ephemeral, [7; 12], &plaintext).unwrap();
            let body = envelope.to_json();
            let head = format!(
                "POST /v1/sessions HTTP/1.1\r\nhost: e\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let (head, body, _) = ask(&running, &[head.into_bytes(), body].concat());
            assert!(head.starts_with("HTTP/1.1 503"), "{head}");
            let sealed = SealedReply::from_json(&body).unwrap();
            let context = ReplyContext {
                key_id: &key_id,
                ephemeral_pub: &ephemeral_pub,
                request_nonce: &[4; 16],
            };
            let error = reply::open(&keys.reply, &context, &sealed).unwrap();
            let error = ErrorBody::from_json(&error).unwrap();
            assert_eq!(error.detail.unwrap().account, "main");

            let pid = running.child.id();
            // The search finds what is there.
            assert_ne!(in_memory(pid, b"image configuration"), Some(false));
            for secret in [&key, &secret, &phrase] {
                assert_ne!(in_memory(pid, secret.as_bytes()), Some(true), "{secret}");
            }
            let (code, log) = running.stop();
            assert_eq!(code, Some(0), "{log}");
            for secret in [&key, &secret, &phrase] {
                assert!(!log.contains(secret.as_str()), "{log}");
            }
        }
    }
}
