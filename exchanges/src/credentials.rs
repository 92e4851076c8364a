//! Borrowed credentials, read only while a request is signed.

use std::fmt;

use crate::error::ExchangeError;
use crate::limits;

/// What a customer was given by the exchange. Borrows: the secret's only home
/// is the session's secret mapping.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The public half, sent with every request.
    pub key: &'a str,
    /// A shared secret, or a private key in PEM.
    pub secret: &'a [u8],
    /// A third part some exchanges want.
    pub passphrase: Option<&'a [u8]>,
}

impl<'a> Credentials<'a> {
    /// The key if it can stand in a header: visible ASCII, not empty, bounded.
    pub(crate) fn header_key(&self) -> Result<&'a str, ExchangeError> {
        let fits = (1..=limits::API_KEY_LEN_MAX).contains(&self.key.len());
        if fits && self.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(self.key)
        } else {
            Err(ExchangeError::InvalidCredentials)
        }
    }

    /// The passphrase if there is one and it can stand in a header: printable
    /// ASCII without spaces around it, not empty, bounded.
    pub(crate) fn header_passphrase(&self) -> Result<&'a str, ExchangeError> {
        let text = self.passphrase.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or(ExchangeError::InvalidCredentials)?;
        let fits = (1..=limits::PASSPHRASE_LEN_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if fits && plain && text.trim_ascii() == text {
            Ok(text)
        } else {
            Err(ExchangeError::InvalidCredentials)
        }
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}
