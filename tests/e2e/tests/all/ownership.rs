//! Nobody acts for a portfolio or a session without its keys.

use std::fs;

use e2e::world::{Options, World};
use serde_json::Value;

#[test]
fn a_session_file_without_its_keys_is_worth_nothing() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    let text = fs::read_to_string(world.path("session.json")).unwrap();
    let stolen: Value = serde_json::from_str(&text).unwrap();

    // The session id alone, with another request key.
    let mut id_alone = stolen.clone();
    id_alone["request_key"] = protocol::encoding::to_base64(&[7; 32]).into();
    world.write_secret("stolen.json", id_alone.to_string().as_bytes());
    let ran = world.perfagg(&["status", "--session-file", "stolen.json"]).failed_with(4);
    assert!(ran.err().contains("unauthorized"), "{}", ran.err());

    // Another id with the right keys.
    let mut other_id = stolen;
    other_id["session_id"] = protocol::encoding::to_base64(&[9; 32]).into();
    world.write_secret("other.json", other_id.to_string().as_bytes());
    let ran = world.perfagg(&["status", "--session-file", "other.json"]).failed_with(4);
    assert!(ran.err().contains("unauthorized"), "{}", ran.err());

    world.perfagg(&["status", "--session-file", "session.json"]).succeeded();
    world.perfagg(&["revoke", "--session-file", "session.json"]).succeeded();
}

#[test]
fn a_revoked_session_is_gone() {
    let world = World::start(Options::default());
    world.connect().succeeded();
    fs::copy(world.path("session.json"), world.path("copy.json")).unwrap();
    world.perfagg(&["revoke", "--session-file", "session.json"]).succeeded();
    assert!(!world.path("session.json").exists());
    for command in ["status", "revoke"] {
        let ran = world.perfagg(&[command, "--session-file", "copy.json"]).failed_with(4);
        assert!(ran.err().contains("unauthorized"), "{}", ran.err());
    }
}
