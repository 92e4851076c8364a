//! Powers with a fractional exponent: the only floats of the crate.
//!
//! Annualising and the money-weighted return need `x^w`. Results are read to
//! twelve digits and compared to nine; doubles have fifteen. The functions are
//! those of the crate `libm`, in Rust, so that a result does not depend on the
//! C library of the machine.

#![expect(clippy::float_arithmetic, reason = "x^w has no exact decimal form; see the module text")]

use rust_decimal::Decimal;

use crate::result::Reason;

/// Why there is no money-weighted return, or the return.
pub(crate) type Root = Result<Decimal, Reason>;

/// `(1 + rate)^exponent - 1`; `None` where that is no number.
pub(crate) fn compounded(rate: Decimal, exponent: Decimal) -> Option<Decimal> {
    to_decimal(libm::pow(1.0 + to_float(rate), to_float(exponent)) - 1.0)
}

/// `x - 1` with `start x + sum(flow x^weight) = end`.
///
/// Looks for changes of sign over `u = ln x` from -20 to 20 in steps of 0.01:
/// exactly one is bisected; none, or several, is no answer.
pub(crate) fn money_weighted(start: Decimal, flows: &[(Decimal, Decimal)], end: Decimal) -> Root {
    if end <= Decimal::ZERO {
        return Err(Reason::IrrNoRoot);
    }
    let (start, end) = (to_float(start), to_float(end));
    let flows: Vec<(f64, f64)> =
        flows.iter().map(|(value, weight)| (to_float(*value), to_float(*weight))).collect();
    let excess = |u: f64| {
        let grown: f64 = flows.iter().map(|(value, weight)| value * libm::exp(u * weight)).sum();
        start * libm::exp(u) + grown - end
    };

    let mut bracket = None;
    let mut before: Option<(f64, f64)> = None;
    for step in -2_000_i16..=2_000 {
        let u = f64::from(step) / 100.0;
        let now = excess(u);
        // A grid point that is a root is no sign: its neighbours decide.
        if now == 0.0 || now.is_nan() {
            continue;
        }
        if let Some((at, then)) = before
            && (then < 0.0) != (now < 0.0)
            && bracket.replace((at, u)).is_some()
        {
            return Err(Reason::IrrAmbiguous);
        }
        before = Some((u, now));
    }
    let (mut low, mut high) = bracket.ok_or(Reason::IrrNoRoot)?;
    let rising = excess(high) > 0.0;
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        let at = excess(middle);
        if at == 0.0 {
            (low, high) = (middle, middle);
        } else if (at > 0.0) == rising {
            high = middle;
        } else {
            low = middle;
        }
    }
    to_decimal(libm::expm1(f64::midpoint(low, high))).ok_or(Reason::IrrNoRoot)
}

/// Correctly rounded, by way of the digits.
fn to_float(value: Decimal) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

fn to_decimal(value: f64) -> Option<Decimal> {
    Decimal::from_f64_retain(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn close(got: Decimal, wanted: &str) {
        let off = (got - number(wanted)).abs();
        assert!(off <= number("0.0000000001"), "{got} is not {wanted}");
    }

    /// The example of the spreadsheet function XIRR, whose answer is
    /// 0.3733625335 a year, solved over the whole period of 456 days.
    #[test]
    fn agrees_with_the_spreadsheet_example() {
        let days = [("-2750", 60), ("-4250", 303), ("-3250", 411), ("-2750", 456)];
        let flows: Vec<(Decimal, Decimal)> = days
            .iter()
            .take(3)
            .map(|(value, day)| {
                (number(value), (Decimal::from(456) - Decimal::from(*day)) / Decimal::from(456))
            })
            .collect();
        let root = money_weighted(number("10000"), &flows, number("2750")).unwrap();
        let yearly = compounded(root, Decimal::from(365) / Decimal::from(456)).unwrap();
        close(yearly, "0.3733625335");
    }

    #[test]
    fn one_answer_or_a_reason() {
        let half = number("0.5");
        close(money_weighted(number("100"), &[], number("110")).unwrap(), "0.1");
        close(money_weighted(number("100"), &[], number("100")).unwrap(), "0");
        let no_end = money_weighted(number("100"), &[], Decimal::ZERO);
        assert_eq!(no_end, Err(Reason::IrrNoRoot));
        // x - 2.5 x^0.5 + 1 = 0.. has the roots 0.25 and 4.
        let two = money_weighted(number("-1"), &[(number("2.5"), half)], Decimal::ONE);
        assert_eq!(two, Err(Reason::IrrAmbiguous));
        // -x + x^0.5 never reaches 1.
        let none = money_weighted(number("-1"), &[(Decimal::ONE, half)], Decimal::ONE);
        assert_eq!(none, Err(Reason::IrrNoRoot));
    }
}
