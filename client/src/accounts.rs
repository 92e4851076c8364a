//! The customer's list of accounts, with their keys.
//!
//! ```json
//! {"accounts":[{"label":"main","venue":"binance","market":"spot",
//!   "credentials":{"api_key":"…","api_secret":"…"},"symbols":["BTCUSDT"]}]}
//! ```
//!
//! `passphrase` and `symbols` may be absent. Secrets are read out of a buffer
//! that is wiped, into memory that is wiped.

use protocol::secret::SecretBytes;
use protocol::session::{AccountRequest, Credentials};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use zeroize::Zeroize;

use crate::error::ClientError;

/// Largest accounts file, in bytes: sixteen accounts with PEM keys.
pub const FILE_LEN_MAX: usize = protocol::limits::ENVELOPE_PLAINTEXT_LEN_MAX;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    accounts: Vec<Account>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    label: String,
    venue: String,
    market: String,
    credentials: Keys,
    #[serde(default)]
    symbols: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    api_key: Secret,
    api_secret: Secret,
    #[serde(default)]
    passphrase: Option<Secret>,
}

struct Secret(SecretBytes);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Secret;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Secret, E> {
                Ok(Secret(SecretBytes::copy(text.as_bytes())))
            }

            fn visit_string<E: serde::de::Error>(self, mut text: String) -> Result<Secret, E> {
                let kept = SecretBytes::copy(text.as_bytes());
                text.zeroize();
                Ok(Secret(kept))
            }

            // A number here would be quoted in serde's message.
            fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Secret, E> {
                Err(E::custom("not a string"))
            }
        }
        from.deserialize_str(Text).map_err(|_| D::Error::custom("a key is not a string"))
    }
}

/// Reads the list. Errors name a line and never quote it.
pub fn parse(json: &[u8]) -> Result<Vec<AccountRequest>, ClientError> {
    let file: File = serde_json::from_slice(json).map_err(|error| {
        ClientError::usage(
            format!("the accounts are malformed at line {}, column {}", error.line(), error.column()),
            "expected {\"accounts\":[{\"label\",\"venue\",\"market\",\"credentials\":{\"api_key\",\"api_secret\"}}]}",
        )
    })?;
    let accounts = file
        .accounts
        .into_iter()
        .map(|account| AccountRequest {
            label: account.label,
            venue: account.venue,
            market: account.market,
            credentials: Credentials {
                api_key: account.credentials.api_key.0,
                api_secret: account.credentials.api_secret.0,
                passphrase: account.credentials.passphrase.map(|secret| secret.0),
            },
            symbols: account.symbols,
        })
        .collect();
    Ok(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_read_and_defaults_hold() {
        let accounts = parse(
            br#"{"accounts":[{"label":"a","venue":"binance","market":"spot","credentials":{"api_key":"k","api_secret":"s\n"}}]}"#,
        )
        .unwrap();
        let [account] = accounts.as_slice() else { panic!("one account") };
        assert_eq!(account.credentials.api_secret.expose(), b"s\n");
        assert!(account.credentials.passphrase.is_none() && account.symbols.is_empty());
    }

    #[test]
    fn errors_never_quote_the_file() {
        for bad in [
            br#"{"accounts":[{"label":"a","venue":"b","market":"c","credentials":{"api_key":7777777,"api_secret":"x"}}]}"#.as_slice(),
            br#"{"accounts":[{"hunter2":1}]}"#,
            br#"{"accounts":"hunter2"}"#,
            b"hunter2",
        ] {
            let error = parse(bad).unwrap_err();
            let text = format!("{error} {} {error:?}", error.help());
            assert!(!text.contains("hunter2") && !text.contains("7777777"), "{text}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
