//! Decimals: reading, checked arithmetic, and the four ways to print one.
//!
//! A [`Decimal`] has 28 significant digits, or 29 where 96 bits hold them.
//! Reading rounds to them and never
//! refuses a digit; arithmetic never panics and never wraps; rounding to the
//! printed places is half-even and happens at output alone.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::NUMBER_LEN_MAX;
use crate::pack::{Pack, Reader, Unpacked};

/// A result left the range of 28-digit decimals, or a divisor was zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number left the range of 28-digit decimals")]
pub struct Overflow;

pub(crate) type Checked<T> = Result<T, Overflow>;

pub(crate) fn add(a: Decimal, b: Decimal) -> Checked<Decimal> {
    a.checked_add(b).ok_or(Overflow)
}

pub(crate) fn sub(a: Decimal, b: Decimal) -> Checked<Decimal> {
    a.checked_sub(b).ok_or(Overflow)
}

pub(crate) fn mul(a: Decimal, b: Decimal) -> Checked<Decimal> {
    a.checked_mul(b).ok_or(Overflow)
}

pub(crate) fn div(a: Decimal, b: Decimal) -> Checked<Decimal> {
    a.checked_div(b).ok_or(Overflow)
}

/// `value` times `part` of `whole`. Multiplies before it divides, where the
/// product fits.
pub(crate) fn share(value: Decimal, part: Decimal, whole: Decimal) -> Checked<Decimal> {
    match mul(value, part) {
        Ok(product) => div(product, whole),
        Err(Overflow) => mul(value, div(part, whole)?),
    }
}

pub(crate) fn add_to(sum: &mut Decimal, term: Decimal) -> Checked<()> {
    *sum = add(*sum, term)?;
    Ok(())
}

pub(crate) fn sum(terms: impl IntoIterator<Item = Decimal>) -> Checked<Decimal> {
    terms.into_iter().try_fold(Decimal::ZERO, add)
}

/// `value` unless it is larger than one value may be.
pub(crate) fn bounded(value: Decimal) -> Checked<Decimal> {
    if value.abs() <= crate::limits::VALUE_MAX { Ok(value) } else { Err(Overflow) }
}

/// Square root by Newton's method from above, to the last digit but one.
pub(crate) fn sqrt(square: Decimal) -> Checked<Decimal> {
    if square.is_zero() {
        return Ok(square);
    }
    if square.is_sign_negative() {
        return Err(Overflow);
    }
    let mut root = square.max(Decimal::ONE);
    loop {
        let next = div(add(root, div(square, root)?)?, Decimal::TWO)?;
        if next >= root {
            return Ok(root);
        }
        root = next;
    }
}

/// A decimal number as events and configuration write it: `-?\d+(\.\d+)?`,
/// in a string, no exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(Decimal);

/// A text that is not a plain decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number without exponent")]
pub struct NumberError;

impl Number {
    pub const ZERO: Self = Self(Decimal::ZERO);

    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl Pack for Number {
    fn pack(&self, to: &mut Vec<u8>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        Pack::unpack(from).map(Self)
    }
}

impl From<Decimal> for Number {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl FromStr for Number {
    type Err = NumberError;

    /// Rounds to 28 digits. A number too large for that becomes the largest
    /// there is, which is past every bound an event is checked against.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
        if text.len() > NUMBER_LEN_MAX || !digits(whole) || !digits(fraction) {
            return Err(NumberError);
        }
        let largest = if unsigned.len() == text.len() { Decimal::MAX } else { Decimal::MIN };
        Ok(Self(plus_zero(Decimal::from_str(text).unwrap_or(largest))))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(crate::text::FromText::new("a decimal number in a string"))
    }
}

/// Zero has one sign.
fn plus_zero(value: Decimal) -> Decimal {
    if value.is_zero() { Decimal::ZERO } else { value }
}

fn rounded(value: Decimal, places: u32) -> Decimal {
    plus_zero(value.round_dp(places))
}

/// Prints a rounded value with all its places. The decimal crate's own
/// precision formatting runs out of its buffer at 29 digits, and panics.
fn padded(value: Decimal, places: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let point = if value.scale() == 0 { "." } else { "" };
    let missing = places.saturating_sub(value.scale());
    write!(f, "{value}{point}")?;
    (0..missing).try_for_each(|_| f.write_str("0"))
}

macro_rules! printed {
    ($(#[$doc:meta])* $name:ident, $places:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Decimal);

        impl $name {
            /// Rounds half-even; this is the last step of a calculation.
            pub(crate) fn new(value: Decimal) -> Self {
                Self(rounded(value, $places))
            }

            pub const fn get(self) -> Decimal {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                padded(self.0, $places, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

printed!(
    /// An amount in base currency; 8 places.
    Money, 8
);
printed!(
    /// A dimensionless number; 12 places.
    Ratio, 12
);
printed!(
    /// Base currency for one unit of an asset; 12 places.
    Price, 12
);

/// An amount of an asset in its own unit: all digits, no trailing zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Native(Decimal);

impl Native {
    pub(crate) fn new(value: Decimal) -> Self {
        Self(plus_zero(value.normalize()))
    }

    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Native {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse::<Number>().unwrap().get()
    }

    #[test]
    fn numbers_round_to_what_96_bits_hold_and_are_never_refused_for_their_length() {
        assert_eq!(
            number("512345678901.123456789012345678").to_string(),
            "512345678901.12345678901234568"
        );
        assert_eq!(number("0.00000000000000000000000000001"), Decimal::ZERO);
        assert_eq!(number(&"9".repeat(60)), Decimal::MAX);
        assert_eq!(number(&format!("-{}", "9".repeat(60))), Decimal::MIN);
        assert_eq!(number("-0.0").to_string(), "0");
    }

    proptest::proptest! {
        /// However long the text, leading zeros and digits past the 28th
        /// change nothing that is kept.
        #[test]
        fn long_numbers_are_read_like_short_ones(
            zeros in 0_usize..40,
            whole in "[1-9][0-9]{0,24}",
            fraction in "[0-9]{1,60}",
        ) {
            let long = number(&format!("{}{whole}.{fraction}", "0".repeat(zeros)));
            let kept: String = fraction.chars().take(28 - whole.len()).collect();
            let short = number(&format!("{whole}.{kept}0"));
            let off = (long - short).abs();
            let last = Decimal::new(1, u32::try_from(kept.len()).unwrap());
            proptest::prop_assert!(off <= last, "{long} {short}");
        }
    }

    #[test]
    fn other_texts_are_not_numbers() {
        let long = "1".repeat(NUMBER_LEN_MAX + 1);
        for bad in
            ["", "-", ".5", "5.", "1e5", "+1", "1_000", " 1", "0x1", "1.2.3", "--1", "NaN", &long]
        {
            assert_eq!(bad.parse::<Number>(), Err(NumberError), "{bad}");
        }
    }

    #[test]
    fn output_rounds_half_even_and_has_one_zero() {
        let money = |text: &str| Money::new(number(text)).to_string();
        assert_eq!(money("0.000000005"), "0.00000000");
        assert_eq!(money("0.000000015"), "0.00000002");
        assert_eq!(money("0.000000025"), "0.00000002");
        assert_eq!(money("-0.000000001"), "0.00000000");
        assert_eq!(
            money("79228162514264337593543950335"),
            "79228162514264337593543950335.00000000"
        );
        assert_eq!(Ratio::new(number("-0.5")).to_string(), "-0.500000000000");
        assert_eq!(Native::new(number("23000.000")).to_string(), "23000");
    }

    #[test]
    fn arithmetic_reports_overflow() {
        assert_eq!(mul(Decimal::MAX, Decimal::TWO), Err(Overflow));
        assert_eq!(add(Decimal::MAX, Decimal::ONE), Err(Overflow));
        assert_eq!(sub(Decimal::MIN, Decimal::ONE), Err(Overflow));
        assert_eq!(div(Decimal::ONE, Decimal::ZERO), Err(Overflow));
        assert_eq!(sqrt(Decimal::NEGATIVE_ONE), Err(Overflow));
    }

    #[test]
    fn square_roots_are_right_to_24_digits() {
        for text in ["2", "365", "0.0001", "0.0000000000000000000123", "99999999999999999999"] {
            let root = sqrt(number(text)).unwrap();
            let back = mul(root, root).unwrap();
            let off = sub(back, number(text)).unwrap().abs();
            assert!(off <= mul(root, number("0.000000000000000000000001")).unwrap(), "{text}");
        }
    }
}
