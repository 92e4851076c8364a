//! From the answer to `GET /attestation` to an opened envelope: the only road there is.
#![expect(clippy::unwrap_used, reason = "a broken fixture has to stop its test")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use protocol::attestation::{self, AttestationError, ExpectedPcrs, LiveAttestation, Policy, Root};
use protocol::envelope::{self, Envelope, Ephemeral};
use protocol::key_bundle::{AttestationReply, Attested, DeploymentRule, KeyBundleError};
use protocol::keys::EnclaveSecret;
use protocol::measurements::Measurements;
use protocol::portfolio::PortfolioSecret;
use protocol::secret::SecretBytes;
use protocol::session::{AccountRequest, Credentials, OpenSession, Ttl, VerifiedOpen};
use protocol::time::UnixMillis;
use zeroize::Zeroizing;

const MADE_AT: UnixMillis = UnixMillis(1_768_464_000_000);
/// RFC 7748 section 6.1, Bob's.
const ENCLAVE: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";

fn fixture(name: &str) -> Vec<u8> {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/testkit");
    fs::read(testkit.join(name)).unwrap()
}

fn answer(name: &str) -> AttestationReply {
    AttestationReply::from_json(&fixture(name)).unwrap()
}

fn verify(
    reply: &AttestationReply,
    nonce: &[u8],
    now: UnixMillis,
) -> Result<LiveAttestation, AttestationError> {
    let root = Root::simulated(fixture("live/root.der"));
    let measurements = Measurements::from_json(&fixture("report/measurements.json")).unwrap();
    let pcrs = ExpectedPcrs { image: measurements.pcrs(), signer: None };
    let deployment = &reply.key_bundle.deployment;
    let policy = Policy::new(&root, pcrs, deployment, nonce, Duration::from_mins(2));
    attestation::verify(&reply.document, &policy, now)
}

fn nonce() -> Vec<u8> {
    (0x20..0x30).collect()
}

#[test]
fn credentials_reach_the_attested_enclave_and_no_other() {
    let reply = answer("live/reply.json");
    let attestation = verify(&reply, &nonce(), MADE_AT).unwrap();
    let attested = Attested::from(&attestation);
    let deployment = reply.key_bundle.verify(&attested, &DeploymentRule::Default).unwrap();
    assert!(deployment.serves("binance"));

    let portfolio = PortfolioSecret::from_bytes(&[3; 32]);
    let ephemeral = Ephemeral::new(Zeroizing::new([4; 32]));
    let (key_id, ephemeral_pub) = (attestation.encryption_key().key_id(), *ephemeral.public());
    let wanted = OpenSession {
        request_nonce: [5; 16],
        attested_at: attestation.timestamp(),
        ttl: Ttl::MIN,
        base_currency: "EUR".to_owned(),
        portfolio_key: portfolio.public(),
        accounts: vec![AccountRequest {
            label: "main".to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            credentials: Credentials {
                api_key: SecretBytes::copy(b"key"),
                api_secret: SecretBytes::copy(b"secret"),
                passphrase: None,
            },
            symbols: Vec::new(),
        }],
    };
    let plaintext = wanted.sign(&portfolio, &key_id, &ephemeral_pub).unwrap();
    let (sealed, sent) = envelope::seal_to(&attestation, ephemeral, [6; 12], &plaintext).unwrap();

    let bytes: [u8; 32] = hex::decode(ENCLAVE).unwrap().try_into().unwrap();
    let enclave = EnclaveSecret::from_bytes(&bytes);
    let arrived = Envelope::from_json(&sealed.to_json()).unwrap();
    let (opened, received) = envelope::open(&enclave, &arrived).unwrap();
    assert_eq!(sent.request.expose(), received.request.expose());
    let read = VerifiedOpen::read(&opened, enclave.key_id(), arrived.ephemeral_pub()).unwrap();
    assert_eq!(read.get().attested_at, MADE_AT);
    assert!(read.get().accounts[0].credentials.api_secret.matches(b"secret"));

    // the same plaintext in another envelope is not what the portfolio signed
    let moved = VerifiedOpen::read(&opened, enclave.key_id(), &[7; 32]);
    assert!(moved.is_err());
    assert!(envelope::open(&EnclaveSecret::from_bytes(&[8; 32]), &arrived).is_err());
}

#[test]
fn a_stale_or_replayed_document_is_not_sealed_to() {
    let reply = answer("live/reply.json");
    let step =
        |nonce: &[u8], now| verify(&reply, nonce, now).map(|_| ()).map_err(AttestationError::step);
    let two_minutes = UnixMillis(MADE_AT.0 + 120_000);
    assert_eq!(step(&nonce(), two_minutes), Ok(()));
    assert_eq!(step(&nonce(), UnixMillis(two_minutes.0 + 1)), Err(34));
    assert_eq!(step(&[0; 16], MADE_AT), Err(32));
}

#[test]
fn a_configuration_that_lets_the_operator_read_is_refused_unless_pinned() {
    let reply = answer("live/reply_operator_can_read.json");
    let attestation = verify(&reply, &nonce(), MADE_AT).unwrap();
    let attested = Attested::from(&attestation);
    let refused = reply.key_bundle.verify(&attested, &DeploymentRule::Default);
    assert_eq!(refused, Err(KeyBundleError::Forbidden("operator_can_read")));
    let pinned = DeploymentRule::Pinned(attestation.user_data().deployment_sha256);
    assert!(reply.key_bundle.verify(&attested, &pinned).unwrap().trust.operator_can_read);

    // another document's bundle is not this document's
    let other = answer("live/reply.json").key_bundle;
    let refused = other.verify(&attested, &DeploymentRule::Default);
    assert_eq!(refused, Err(KeyBundleError::DeploymentHash));
}
