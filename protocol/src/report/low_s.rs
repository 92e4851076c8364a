//! Of the two ECDSA signatures `(r, s)` and `(r, n - s)`, which both verify, the one with the
//! smaller `s` (SEC 1 §4.1.4; P-384, so the last 48 bytes of an ES384 document).
//!
//! AWS does not choose, so about every other document changes one number on its way into a
//! report. Without this rule anybody could turn a report into a second, different, valid file.
//! Nothing here is secret: plain comparisons do.

const LEN: usize = 48;

/// The order of P-384 (FIPS 186-5, SP 800-186 §3.2.1.4).
const ORDER: [u8; LEN] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// Whether the document ends with the smaller `s`.
pub(super) fn is_low(document: &[u8]) -> bool {
    document.last_chunk::<LEN>().is_some_and(|s| *s <= negated(s))
}

/// Makes the document end with the smaller `s`. What has no valid signature stays as it is.
pub(super) fn normalize(document: &mut [u8]) {
    if let Some(s) = document.last_chunk_mut::<LEN>() {
        let other = negated(s);
        if other < *s {
            *s = other;
        }
    }
}

/// `ORDER - s`, or `s` itself if it is not below the order.
fn negated(s: &[u8; LEN]) -> [u8; LEN] {
    let mut out = [0; LEN];
    let mut borrow = 0;
    for ((out, order), s) in out.iter_mut().zip(ORDER).zip(s).rev() {
        let (first, under) = order.overflowing_sub(*s);
        let (second, under_again) = first.overflowing_sub(borrow);
        *out = second;
        borrow = u8::from(under || under_again);
    }
    if borrow == 0 { out } else { *s }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LEN, ORDER, is_low, negated, normalize};

    fn ending(last: u8) -> [u8; LEN] {
        let mut s = [0; LEN];
        s[LEN - 1] = last;
        s
    }

    #[test]
    fn one_and_its_negative_are_a_pair() {
        let mut order_minus_one = ORDER;
        order_minus_one[LEN - 1] -= 1;
        assert_eq!(negated(&ending(1)), order_minus_one);
        assert_eq!(negated(&order_minus_one), ending(1));
        assert!(is_low(&ending(1)));
        assert!(!is_low(&order_minus_one));
    }

    #[test]
    fn what_is_no_signature_stays() {
        let mut past_order = [0xff; LEN];
        normalize(&mut past_order);
        assert_eq!(past_order, [0xff; LEN]);
        assert!(!is_low(&[0; LEN - 1]));
    }

    proptest! {
        #[test]
        fn exactly_one_of_the_two_is_low(start in any::<[u8; 24]>(), end in any::<[u8; 24]>()) {
            let s: [u8; LEN] = [start, end].concat().try_into().unwrap();
            prop_assume!(s < ORDER && s != [0; LEN]);
            prop_assert_eq!(negated(&negated(&s)), s);
            prop_assert_ne!(is_low(&s), is_low(&negated(&s)));
            let (mut a, mut b) = (s, negated(&s));
            normalize(&mut a);
            normalize(&mut b);
            prop_assert_eq!(a, b);
            prop_assert!(is_low(&a));
        }
    }
}
