//! The plaintext of an envelope: a signature and the body that asks for a session.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Ttl;
use crate::category::Category;
use crate::encoding::b64_array;
use crate::json::{self, JsonError, Version1};
use crate::keys::KeyId;
use crate::limits::{
    ACCOUNTS_MAX, ACCOUNTS_MIN, API_KEY_LEN_MAX, API_SECRET_LEN_MAX, ASSET_LEN_MAX, ASSET_LEN_MIN,
    ENVELOPE_PLAINTEXT_LEN_MAX, LABEL_LEN_MAX, PASSPHRASE_LEN_MAX, SLUG_LEN_MAX, SYMBOL_LEN_MAX,
    SYMBOLS_MAX,
};
use crate::portfolio::{Action, PortfolioKey, PortfolioSecret, Signed};
use crate::secret::SecretBytes;
use crate::time::UnixMillis;

const SIGNATURE_LEN: usize = 64;

/// What a customer asks for when opening a session.
#[derive(Debug)]
pub struct OpenSession {
    /// Fresh for each request; the answer is bound to it.
    pub request_nonce: [u8; 16],
    /// When the attestation was made that the client verified.
    pub attested_at: UnixMillis,
    /// How long the session is to live.
    pub ttl: Ttl,
    /// What everything is valued in: an asset code.
    pub base_currency: String,
    /// Whose portfolio it is.
    pub portfolio_key: PortfolioKey,
    /// One to sixteen accounts, each with a label of its own.
    pub accounts: Vec<AccountRequest>,
}

/// An account at an exchange, and the credentials to read it with.
#[derive(Debug)]
pub struct AccountRequest {
    /// The customer's name for it, unique in the session.
    pub label: String,
    /// The exchange.
    pub venue: String,
    /// Which of the exchange's markets.
    pub market: String,
    /// The API key to read it with.
    pub credentials: Credentials,
    /// The symbols to ask for where an exchange cannot list trades without naming one.
    pub symbols: Vec<String>,
}

/// An exchange API key. All of it is treated as secret.
#[derive(Debug)]
pub struct Credentials {
    /// What the exchange knows the key by: printable ASCII.
    pub api_key: SecretBytes,
    /// What requests are signed with: printable ASCII, and line feeds (PEM).
    pub api_secret: SecretBytes,
    /// A third part that some exchanges want: printable ASCII.
    pub passphrase: Option<SecretBytes>,
}

/// An [`OpenSession`] whose signature verified for the envelope that carried it.
///
/// No public constructor but [`VerifiedOpen::read`].
#[derive(Debug)]
pub struct VerifiedOpen(OpenSession);

/// Why an opening message was refused. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// More bytes than an envelope can carry.
    #[error("message is larger than allowed")]
    TooLong,
    /// Not a signature and a JSON body of the closed schema.
    #[error("message is malformed")]
    Malformed,
    /// The portfolio's key did not sign this body for this envelope.
    #[error("portfolio signature does not verify")]
    Signature,
    /// A field's value is out of its bounds.
    #[error("field `{0}` is out of bounds")]
    OutOfBounds(&'static str),
}

impl OpenError {
    /// Who must act.
    pub const fn category(self) -> Category {
        match self {
            Self::TooLong | Self::Malformed | Self::OutOfBounds(_) => Category::Invalid,
            Self::Signature => Category::Unauthorized,
        }
    }
}

impl VerifiedOpen {
    /// Reads the plaintext of an envelope sealed to `key_id` with `ephemeral_pub`, and verifies
    /// the portfolio's signature before it looks at any value but the two the signature needs.
    ///
    /// # Errors
    /// As [`OpenError`] says.
    pub fn read(
        plaintext: &[u8],
        key_id: &KeyId,
        ephemeral_pub: &[u8; 32],
    ) -> Result<Self, OpenError> {
        if plaintext.len() > ENVELOPE_PLAINTEXT_LEN_MAX {
            return Err(OpenError::TooLong);
        }
        let (signature, body) =
            plaintext.split_first_chunk::<SIGNATURE_LEN>().ok_or(OpenError::Malformed)?;
        let wire: BodyIn<'_> = json::read(body, ENVELOPE_PLAINTEXT_LEN_MAX)?;
        let signed = Signed {
            action: wire.action,
            key_id,
            ephemeral_pub,
            attested_at: wire.attested_at,
            body,
        };
        wire.portfolio_key.verify_strict(&signed, signature).map_err(|_| OpenError::Signature)?;
        if wire.action != Action::Open {
            return Err(OpenError::OutOfBounds("action"));
        }
        let open = wire.into_open()?;
        open.check()?;
        Ok(Self(open))
    }

    /// The verified message.
    pub fn into_inner(self) -> OpenSession {
        self.0
    }

    /// Borrows the verified message.
    pub const fn get(&self) -> &OpenSession {
        &self.0
    }
}

impl OpenSession {
    /// Writes signature and body: the plaintext to seal.
    ///
    /// # Errors
    /// If a field is out of bounds, the message is too long, or `secret` is not the key named.
    pub fn sign(
        &self,
        secret: &PortfolioSecret,
        key_id: &KeyId,
        ephemeral_pub: &[u8; 32],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.check()?;
        if secret.public() != self.portfolio_key {
            return Err(OpenError::Signature);
        }
        let mut out = Fixed::new(ENVELOPE_PLAINTEXT_LEN_MAX);
        out.write_all(&[0; SIGNATURE_LEN]).map_err(|_| OpenError::TooLong)?;
        serde_json::to_writer(&mut out, &BodyOut::from(self)).map_err(|_| OpenError::TooLong)?;
        let mut plaintext = out.0;
        let (signature, body) =
            plaintext.split_first_chunk_mut::<SIGNATURE_LEN>().ok_or(OpenError::Malformed)?;
        *signature = secret.sign(&Signed {
            action: Action::Open,
            key_id,
            ephemeral_pub,
            attested_at: self.attested_at,
            body,
        });
        Ok(plaintext)
    }

    /// Checks every bound that is not a type's.
    ///
    /// # Errors
    /// [`OutOfBounds`](OpenError::OutOfBounds) with the field's name.
    pub fn check(&self) -> Result<(), OpenError> {
        let all = |field: &'static str, holds: bool| {
            if holds { Ok(()) } else { Err(OpenError::OutOfBounds(field)) }
        };
        all("base_currency", is_asset(&self.base_currency))?;
        all("accounts", (ACCOUNTS_MIN..=ACCOUNTS_MAX).contains(&self.accounts.len()))?;
        for (index, account) in self.accounts.iter().enumerate() {
            let earlier = self.accounts.get(..index).unwrap_or_default();
            all("label", is_label(&account.label))?;
            all("label", earlier.iter().all(|other| other.label != account.label))?;
            all("venue", is_slug(&account.venue))?;
            all("market", is_slug(&account.market))?;
            all("symbols", account.symbols.len() <= SYMBOLS_MAX)?;
            for (index, symbol) in account.symbols.iter().enumerate() {
                let earlier = account.symbols.get(..index).unwrap_or_default();
                all("symbols", is_symbol(symbol) && !earlier.contains(symbol))?;
            }
            let Credentials { api_key, api_secret, passphrase } = &account.credentials;
            all("api_key", is_printable(api_key, API_KEY_LEN_MAX, b""))?;
            all("api_secret", is_printable(api_secret, API_SECRET_LEN_MAX, b" \n"))?;
            if let Some(passphrase) = passphrase {
                all("passphrase", is_printable(passphrase, PASSPHRASE_LEN_MAX, b" "))?;
            }
        }
        Ok(())
    }
}

/// A label starts and ends with a letter or digit; within, also space, dot, dash, underscore.
fn is_label(text: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= LABEL_LEN_MAX
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .-_".contains(&byte))
}

fn is_slug(text: &str) -> bool {
    (1..=SLUG_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_symbol(text: &str) -> bool {
    (1..=SYMBOL_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte))
}

/// Whether `text` can name the currency that everything is valued in.
pub(crate) fn is_asset(text: &str) -> bool {
    (ASSET_LEN_MIN..=ASSET_LEN_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'0'..=b'9'))
}

fn is_printable(secret: &SecretBytes, len_max: usize, also: &[u8]) -> bool {
    (1..=len_max).contains(&secret.len())
        && secret.expose().iter().all(|byte| byte.is_ascii_graphic() || also.contains(byte))
}

impl From<JsonError> for OpenError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::TooLong => Self::TooLong,
            JsonError::TooDeep | JsonError::Malformed => Self::Malformed,
        }
    }
}

/// The body as it is read. Secrets stay where they are, as raw JSON strings: serde_json would
/// copy a string with escapes into a buffer of its own, which nobody wipes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyIn<'a> {
    #[serde(rename = "v")]
    _v: Version1,
    #[serde(with = "b64_array")]
    request_nonce: [u8; 16],
    attested_at: UnixMillis,
    ttl_secs: u64,
    base_currency: String,
    portfolio_key: PortfolioKey,
    action: Action,
    #[serde(borrow)]
    accounts: Vec<AccountIn<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AccountIn<'a> {
    label: String,
    venue: String,
    market: String,
    #[serde(borrow)]
    credentials: CredentialsIn<'a>,
    symbols: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsIn<'a> {
    #[serde(borrow)]
    api_key: &'a RawValue,
    #[serde(borrow)]
    api_secret: &'a RawValue,
    #[serde(borrow)]
    passphrase: &'a RawValue,
}

impl BodyIn<'_> {
    fn into_open(self) -> Result<OpenSession, OpenError> {
        Ok(OpenSession {
            request_nonce: self.request_nonce,
            attested_at: self.attested_at,
            ttl: Ttl::from_secs(self.ttl_secs).ok_or(OpenError::OutOfBounds("ttl_secs"))?,
            base_currency: self.base_currency,
            portfolio_key: self.portfolio_key,
            accounts: self
                .accounts
                .into_iter()
                .map(AccountIn::into_request)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl AccountIn<'_> {
    fn into_request(self) -> Result<AccountRequest, OpenError> {
        let passphrase = self.credentials.passphrase;
        Ok(AccountRequest {
            label: self.label,
            venue: self.venue,
            market: self.market,
            credentials: Credentials {
                api_key: secret_text(self.credentials.api_key)?,
                api_secret: secret_text(self.credentials.api_secret)?,
                passphrase: match passphrase.get() {
                    "null" => None,
                    _ => Some(secret_text(passphrase)?),
                },
            },
            symbols: self.symbols,
        })
    }
}

/// Decodes a JSON string of ASCII into a buffer that is wiped.
fn secret_text(raw: &RawValue) -> Result<SecretBytes, OpenError> {
    let inner = raw
        .get()
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .ok_or(OpenError::Malformed)?;
    let mut out = Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut bytes = inner.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => unescape(&mut bytes).ok_or(OpenError::Malformed)?,
            byte => byte,
        });
    }
    Ok(SecretBytes::copy(&out))
}

/// What follows a backslash (RFC 8259 §7), if it stands for one ASCII character.
fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    match bytes.next()? {
        byte @ (b'"' | b'\\' | b'/') => Some(byte),
        b'b' => Some(0x08),
        b'f' => Some(0x0c),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'u' => {
            let mut code = 0_u32;
            for _ in 0..4 {
                code = code * 16 + char::from(bytes.next()?).to_digit(16)?;
            }
            u8::try_from(code).ok().filter(u8::is_ascii)
        }
        _ => None,
    }
}

/// The body as it is written, borrowing everything.
#[derive(Serialize)]
struct BodyOut<'a> {
    v: Version1,
    #[serde(with = "b64_array")]
    request_nonce: &'a [u8; 16],
    attested_at: UnixMillis,
    ttl_secs: Ttl,
    base_currency: &'a str,
    portfolio_key: PortfolioKey,
    action: Action,
    accounts: Vec<AccountOut<'a>>,
}

#[derive(Serialize)]
struct AccountOut<'a> {
    label: &'a str,
    venue: &'a str,
    market: &'a str,
    credentials: CredentialsOut<'a>,
    symbols: &'a [String],
}

#[derive(Serialize)]
struct CredentialsOut<'a> {
    api_key: SecretText<'a>,
    api_secret: SecretText<'a>,
    passphrase: Option<SecretText<'a>>,
}

impl<'a> From<&'a OpenSession> for BodyOut<'a> {
    fn from(open: &'a OpenSession) -> Self {
        Self {
            v: Version1,
            request_nonce: &open.request_nonce,
            attested_at: open.attested_at,
            ttl_secs: open.ttl,
            base_currency: &open.base_currency,
            portfolio_key: open.portfolio_key,
            action: Action::Open,
            accounts: open
                .accounts
                .iter()
                .map(|account| AccountOut {
                    label: &account.label,
                    venue: &account.venue,
                    market: &account.market,
                    credentials: CredentialsOut {
                        api_key: SecretText(&account.credentials.api_key),
                        api_secret: SecretText(&account.credentials.api_secret),
                        passphrase: account.credentials.passphrase.as_ref().map(SecretText),
                    },
                    symbols: &account.symbols,
                })
                .collect(),
        }
    }
}

/// A secret on its way into the buffer that is sealed; the one place that writes one.
struct SecretText<'a>(&'a SecretBytes);

impl Serialize for SecretText<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.0.expose_str().ok_or_else(|| serde::ser::Error::custom("not text"))?;
        to.serialize_str(text)
    }
}

/// A buffer that never grows, so that no outgrown copy stays behind unwiped.
struct Fixed(Zeroizing<Vec<u8>>);

impl Fixed {
    fn new(len_max: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(len_max)))
    }
}

impl Write for Fixed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > self.0.capacity() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixed(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{AccountRequest, Credentials, OpenError, OpenSession, VerifiedOpen};
    use crate::category::Category;
    use crate::keys::KeyId;
    use crate::limits::ENVELOPE_PLAINTEXT_LEN_MAX;
    use crate::portfolio::PortfolioSecret;
    use crate::secret::SecretBytes;
    use crate::session::Ttl;
    use crate::time::UnixMillis;

    static_assertions::assert_not_impl_any!(
        OpenSession: Clone, std::fmt::Display, PartialEq, serde::Serialize
    );
    static_assertions::assert_not_impl_any!(
        Credentials: Clone, std::fmt::Display, PartialEq, serde::Serialize
    );

    const KEY_ID: KeyId = KeyId([1; 32]);
    const EPHEMERAL: [u8; 32] = [2; 32];

    fn portfolio() -> PortfolioSecret {
        PortfolioSecret::from_bytes(&[3; 32])
    }

    fn session(accounts: Vec<AccountRequest>) -> OpenSession {
        OpenSession {
            request_nonce: [4; 16],
            attested_at: UnixMillis(1_768_464_000_000),
            ttl: Ttl::MIN,
            base_currency: "USD".to_owned(),
            portfolio_key: portfolio().public(),
            accounts,
        }
    }

    fn account(label: &str, api_secret: &str) -> AccountRequest {
        AccountRequest {
            label: label.to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            credentials: Credentials {
                api_key: SecretBytes::copy(b"key"),
                api_secret: SecretBytes::copy(api_secret.as_bytes()),
                passphrase: Some(SecretBytes::copy(b"pass phrase")),
            },
            symbols: vec!["BTCUSDT".to_owned()],
        }
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_back(secret in "[ -~\n]{1,200}", others in 0_usize..15) {
            let mut accounts = vec![account("main", &secret)];
            accounts.extend((0..others).map(|n| account(&format!("a{n}"), "s")));
            let signed = session(accounts).sign(&portfolio(), &KEY_ID, &EPHEMERAL).unwrap();
            let read = VerifiedOpen::read(&signed, &KEY_ID, &EPHEMERAL).unwrap();
            let read = read.into_inner();
            prop_assert_eq!(read.accounts.len(), others + 1);
            prop_assert_eq!(read.request_nonce, [4; 16]);
            prop_assert_eq!(read.ttl, Ttl::MIN);
            let credentials = &read.accounts[0].credentials;
            prop_assert!(credentials.api_key.matches(b"key"));
            prop_assert!(credentials.api_secret.matches(secret.as_bytes()));
            prop_assert!(credentials.passphrase.as_ref().unwrap().matches(b"pass phrase"));
        }

        #[test]
        fn no_byte_of_an_opening_can_be_changed(at: prop::sample::Index, to: u8) {
            let open = session(vec![account("main", "secret")]);
            let mut signed = open.sign(&portfolio(), &KEY_ID, &EPHEMERAL).unwrap();
            let at = at.index(signed.len());
            prop_assume!(signed[at] != to);
            signed[at] = to;
            prop_assert!(VerifiedOpen::read(&signed, &KEY_ID, &EPHEMERAL).is_err());
        }
    }

    #[test]
    fn a_plaintext_shorter_than_a_signature_is_refused() {
        for len in [0, 1, 63, 64] {
            let error = VerifiedOpen::read(&vec![0; len], &KEY_ID, &EPHEMERAL).unwrap_err();
            assert_eq!(error, OpenError::Malformed);
        }
        let long = vec![0; ENVELOPE_PLAINTEXT_LEN_MAX + 1];
        let error = VerifiedOpen::read(&long, &KEY_ID, &EPHEMERAL).unwrap_err();
        assert_eq!(error, OpenError::TooLong);
        assert_eq!(error.category(), Category::Invalid);
        assert_eq!(OpenError::Signature.category(), Category::Unauthorized);
    }

    #[test]
    fn what_no_enclave_would_read_is_not_signed() {
        let sign = |open: &OpenSession| open.sign(&portfolio(), &KEY_ID, &EPHEMERAL).map(|_| ());
        assert_eq!(sign(&session(vec![account("main", "secret")])), Ok(()));
        assert_eq!(sign(&session(vec![])), Err(OpenError::OutOfBounds("accounts")));
        let umlaut = session(vec![account("main", "ä")]);
        assert_eq!(sign(&umlaut), Err(OpenError::OutOfBounds("api_secret")));
        let mut other = session(vec![account("main", "secret")]);
        other.portfolio_key = PortfolioSecret::from_bytes(&[9; 32]).public();
        assert_eq!(sign(&other), Err(OpenError::Signature));
        let many = (0..16).map(|n| account(&format!("a{n}"), &"s".repeat(4096))).collect();
        assert_eq!(sign(&session(many)), Err(OpenError::TooLong));
    }

    #[test]
    fn debug_shows_no_credential() {
        let text = format!("{:?}", session(vec![account("main", "hunter2")]));
        assert!(!text.contains("hunter2") && !text.contains("pass phrase"), "{text}");
    }
}
