//! Decimal numbers as the scenario wrote them.
//!
//! A price or a balance travels from the scenario to the wire as text, so
//! nothing is rounded on the way. Only what a venue derives (a quote amount,
//! a candle's volume) goes through [`Decimal`].

use std::fmt;

use rust_decimal::Decimal;
use serde::Deserialize;

/// A decimal number in plain notation: an optional minus, digits, an optional fraction.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Number(String);

impl Number {
    pub fn zero() -> Self {
        Self("0".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
    }

    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-') && !self.is_zero()
    }

    /// The number with at least `places` fraction digits, as venues print money.
    pub fn padded(&self, places: usize) -> String {
        pad(&self.0, places)
    }

    /// For arithmetic; digits past the 28th are rounded.
    ///
    /// # Errors
    /// When the whole part alone does not fit.
    pub fn decimal(&self) -> Result<Decimal, NotANumber> {
        self.0.parse().map_err(|_| NotANumber)
    }
}

impl TryFrom<String> for Number {
    type Error = NotANumber;

    fn try_from(text: String) -> Result<Self, NotANumber> {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(&text);
        let plain = match unsigned.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(unsigned),
        };
        if plain { Ok(Self(text)) } else { Err(NotANumber) }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A computed amount with at least `places` fraction digits and no superfluous ones.
pub(crate) fn padded(value: Decimal, places: usize) -> String {
    pad(&value.normalize().to_string(), places)
}

fn pad(text: &str, places: usize) -> String {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if places == 0 && fraction.is_empty() {
        return whole.to_owned();
    }
    format!("{whole}.{fraction:0<places$}")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number in plain notation")]
pub struct NotANumber;

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn digits_are_kept_and_padded() {
        assert_eq!(number("0.5").padded(8), "0.50000000");
        assert_eq!(number("-0.019").padded(8), "-0.01900000");
        assert_eq!(number("12500").padded(8), "12500.00000000");
        let long = "0.1234567890123456789012345678901234567890";
        assert_eq!(number(long).padded(8), long);
    }

    #[test]
    fn other_notations_are_refused() {
        for text in ["", "-", ".5", "5.", "1e5", "+1", " 1", "1,5", "0x1", "1.2.3", "--1"] {
            assert_eq!(Number::try_from(text.to_owned()), Err(NotANumber), "{text:?}");
        }
    }

    #[test]
    fn zero_has_no_sign() {
        assert!(number("-0.000").is_zero());
        assert!(!number("-0.000").is_negative());
        assert!(number("-0.001").is_negative());
    }
}
