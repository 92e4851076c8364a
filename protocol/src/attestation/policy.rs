//! What a relying party demands beyond authenticity, steps 30 to 34.

use super::document::{Document, Pcr};
use super::error::AttestationError as Error;

/// Milliseconds since the Unix epoch, in a type that cannot overflow here.
type Millis = i128;

#[cfg_attr(
    not(feature = "conformance"),
    expect(unreachable_pub, reason = "the conformance layer re-exports it")
)]
/// Demands in full generality: what is absent asks nothing. Only the types of the parent module,
/// in which nothing that matters is optional, reach a shipped program.
#[derive(Clone, Debug, Default)]
pub struct Demands<'a> {
    /// Expected registers by index.
    pub pcrs: Vec<(u8, &'a [u8])>,
    /// The challenge that was sent.
    pub nonce: Option<&'a [u8]>,
    /// The exact `user_data`.
    pub user_data: Option<&'a [u8]>,
    /// Whether debug mode is acceptable.
    pub allow_debug: bool,
    /// Oldest acceptable document, in seconds.
    pub max_age_s: Option<u64>,
    /// How far a document may be ahead of the caller's clock, in seconds.
    pub max_clock_skew_s: u64,
}

const ZERO: Pcr = [0; 48];

impl Demands<'_> {
    /// Checks `document` at `at_ms`, milliseconds since the Unix epoch.
    pub(super) fn check(&self, document: &Document<'_>, at_ms: Millis) -> Result<(), Error> {
        let zero = |index: u8| document.pcrs.get(index).map(|pcr| *pcr == ZERO);
        if !self.allow_debug && (0..=2).all(|index| zero(index) == Some(true)) {
            return Err(Error::Debug); // 31
        }
        for (index, expected) in &self.pcrs {
            // 30: full length; a register that is not there matches nothing.
            if document.pcrs.get(*index).is_none_or(|found| found.as_slice() != *expected) {
                return Err(Error::Pcr { index: *index });
            }
        }
        // 31: zeros that were expected, and a document that measures nothing.
        let expects_zero =
            self.pcrs.iter().any(|(index, expected)| *index <= 2 && *expected == ZERO.as_slice());
        let measures = (0..=2).any(|index| zero(index) == Some(false));
        if !self.allow_debug && (expects_zero || !measures) {
            return Err(Error::Debug);
        }
        // 32, 33: an expected empty value equals only a present, empty one.
        if self.nonce.is_some() && document.nonce != self.nonce {
            return Err(Error::Nonce);
        }
        if self.user_data.is_some() && document.user_data != self.user_data {
            return Err(Error::Binding("user_data"));
        }
        self.check_age(document, at_ms) // 34
    }

    fn check_age(&self, document: &Document<'_>, at_ms: Millis) -> Result<(), Error> {
        let made = Millis::from(document.timestamp);
        let ms = |seconds: u64| Millis::from(seconds).saturating_mul(1000);
        let ahead = made > at_ms.saturating_add(ms(self.max_clock_skew_s));
        let old = self.max_age_s.is_some_and(|age| at_ms.saturating_sub(made) > ms(age));
        if ahead || old { Err(Error::Age) } else { Ok(()) }
    }
}
