//! The one reader of amounts: text to decimal, never through a float.

use std::str::FromStr;

use rust_decimal::Decimal;

use crate::error::ExchangeError;
use crate::limits;

/// Reads `[-]digits[.digits][e[±]digits]`, as JSON numbers and exchange
/// strings have it, and drops trailing zeros.
///
/// A decimal holds 28 digits, some numbers 29. Longer fractions are rounded there, which is
/// below every tolerance of the metrics; an integer part that does not fit is
/// `None`, like any other text.
pub fn parse(text: &str) -> Option<Decimal> {
    if text.len() > limits::NUMBER_LEN_MAX {
        return None;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let only_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let dangling = digits.ends_with('.') || whole.is_empty();
    if dangling || !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    let read = if exponent == 0 {
        Decimal::from_str(mantissa).ok()?
    } else {
        Decimal::from_str(&shifted(sign, whole, fraction, exponent)?).ok()?
    };
    Some(read.normalize())
}

/// Powers of ten that are still a number: beyond, every amount is a mistake.
const EXPONENT_MAX: i32 = 60;

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = text.parse().ok()?;
    (-EXPONENT_MAX..=EXPONENT_MAX).contains(&exponent).then_some(exponent)
}

/// Moves the point of `whole.fraction` by `exponent` places.
fn shifted(sign: &str, whole: &str, fraction: &str, exponent: i32) -> Option<String> {
    let digits = [whole, fraction].concat();
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let zeros = |count: usize| "0".repeat(count);
    Some(match usize::try_from(point) {
        Ok(point) if point < digits.len() => {
            let (whole, fraction) = digits.split_at_checked(point)?;
            let whole = if whole.is_empty() { "0" } else { whole };
            [sign, whole, ".", fraction].concat()
        }
        Ok(point) => [sign, &digits, &zeros(point.checked_sub(digits.len())?)].concat(),
        Err(_) => {
            let lead = usize::try_from(point.checked_neg()?).ok()?;
            [sign, "0.", &zeros(lead), &digits].concat()
        }
    })
}

/// `left * right`; malformed in `field` if it cannot be represented.
pub(crate) fn product(
    left: Decimal,
    right: Decimal,
    field: &'static str,
) -> Result<Decimal, ExchangeError> {
    let product = left.checked_mul(right).ok_or(ExchangeError::Malformed { field })?;
    Ok(product.normalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: &str) -> Option<String> {
        parse(number).map(|decimal| decimal.to_string())
    }

    #[test]
    fn numbers_become_plain_and_exact() {
        for (from, to) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.00000000", "0"),
            ("-0.000", "0"),
            ("1.50", "1.5"),
            ("100", "100"),
            ("007", "7"),
            ("4711.00000815", "4711.00000815"),
            ("-12.34500000", "-12.345"),
            ("1.2345e-05", "0.000012345"),
            ("1.2345E-5", "0.000012345"),
            ("12e3", "12000"),
            ("1.25e+1", "12.5"),
            ("1.25e2", "125"),
            ("0.00012e4", "1.2"),
            ("-5e-3", "-0.005"),
            ("0e0", "0"),
            ("0e60", "0"),
            ("0.1", "0.1"),
            ("67123.12345678901", "67123.12345678901"),
            ("9007199254740993", "9007199254740993"),
            ("79228162514264337593543950335", "79228162514264337593543950335"),
            ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
            ("1.0000000000000000000000000000000000000000", "1"),
        ] {
            assert_eq!(text(from).as_deref(), Some(to), "{from}");
        }
    }

    #[test]
    fn more_digits_than_fit_are_rounded_not_refused() {
        assert_eq!(
            text("512345678901.123456789012345678").as_deref(),
            Some("512345678901.12345678901234568")
        );
        assert_eq!(text("1e-60").as_deref(), Some("0"));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        let long = "1".repeat(limits::NUMBER_LEN_MAX + 1);
        for from in [
            "",
            " ",
            "-",
            ".",
            "+1",
            "1.",
            ".5",
            "1e",
            "e5",
            "1e+",
            "1e5.0",
            "1e-+5",
            "1e61",
            "1e-61",
            "1e99999999999",
            "0x10",
            "1_000",
            "1,5",
            "NaN",
            "nan",
            "Infinity",
            "-inf",
            "1 ",
            " 1",
            "--1",
            "1-",
            "1.2.3",
            "１",
            "79228162514264337593543950336",
            "1e29",
            &long,
        ] {
            assert_eq!(text(from), None, "{from}");
        }
    }

    proptest! {
        #[test]
        fn every_decimal_is_read_back_exactly(mantissa in -(1_i128 << 95)..(1_i128 << 95), scale in 0_u32..=28) {
            let decimal = Decimal::from_i128_with_scale(mantissa, scale);
            prop_assert_eq!(parse(&decimal.to_string()), Some(decimal));
        }

        #[test]
        fn an_exponent_is_a_shift(mantissa in -(1_i64 << 40)..(1_i64 << 40), exponent in -15_i32..=15) {
            let shifted = parse(&format!("{mantissa}e{exponent}")).unwrap();
            let power = Decimal::from(10_u64.pow(exponent.unsigned_abs()));
            let mantissa = Decimal::from(mantissa);
            let expected =
                if exponent < 0 { mantissa.checked_div(power) } else { mantissa.checked_mul(power) };
            prop_assert_eq!(Some(shifted), expected);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _read = parse(&text);
        }

        #[test]
        fn no_number_like_text_panics(text in "[-+0-9.eE]{0,100}") {
            let _read = parse(&text);
        }
    }
}
