//! Whether bytes are DER, as far as their shape alone tells (X.690 §10 and §11): `x509-parser`
//! reads some of BER as well, and two encodings of one certificate are one too many.

/// Deepest nesting: a certificate has about eight levels.
const DEPTH_MAX: u8 = 16;

/// Whether `bytes` are exactly one object in DER.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(object(bytes, DEPTH_MAX), Some([]))
}

/// Reads one object and returns what is behind it.
fn object(bytes: &[u8], depth: u8) -> Option<&[u8]> {
    let depth = depth.checked_sub(1)?;
    let (len, rest) = match bytes {
        [_, len @ 0..=0x7f, rest @ ..] | [_, 0x81, len @ 0x80..=0xff, rest @ ..] => {
            (usize::from(*len), rest)
        }
        [_, 0x82, high @ 1..=0xff, low, rest @ ..] => {
            (usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    let (mut content, rest) = rest.split_at_checked(len)?;
    let sound = match (bytes.first()?, content) {
        (0x01, content) => matches!(content, [0x00 | 0xff]),
        (0x02, content) => match content {
            [] => false,
            [0x00, next, ..] => *next >= 0x80,
            [0xff, next, ..] => *next < 0x80,
            _ => true,
        },
        (0x03, content) => match content {
            [0, ..] => true,
            [unused @ 1..=7, .., last] => last.trailing_zeros() >= u32::from(*unused),
            _ => false,
        },
        (0x05, content) => content.is_empty(),
        (0x17, content) => is_time(content, 12),
        (0x18, content) => is_time(content, 14),
        // Strings in pieces, sequences and sets that are none, the end of an indefinite length.
        (0x00 | 0x10 | 0x11 | 0x20..=0x2f | 0x32..=0x3f, _) => false,
        // Tag numbers above 30 occur in no certificate.
        (kind, _) => kind & 0x1f != 0x1f,
    };
    if bytes.first()? & 0x20 != 0 {
        while !content.is_empty() {
            content = object(content, depth)?;
        }
    }
    sound.then_some(rest)
}

/// Date and time in so many digits, to the second, in UTC (RFC 5280 §4.1.2.5).
fn is_time(content: &[u8], digits: usize) -> bool {
    content.len() == digits.saturating_add(1)
        && content.strip_suffix(b"Z").is_some_and(|time| time.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::is_der;

    #[test]
    fn one_encoding_of_each_object() {
        let long = [&[0x04, 0x81, 0x80][..], &[0; 128]].concat();
        let longer = [&[0x04, 0x82, 0x01, 0x00][..], &[0; 256]].concat();
        for good in [
            &[0x30, 0x00][..],
            &[0x01, 0x01, 0xff],
            &[0x02, 0x01, 0x00],
            &[0x02, 0x02, 0x00, 0x80],
            &[0x03, 0x02, 0x05, 0xa0],
            &[0x03, 0x01, 0x00],
            &[0x05, 0x00],
            &[0xa3, 0x02, 0x30, 0x00],
            b"\x17\x0d260202000000Z",
            b"\x18\x0f20500202000000Z",
            &long,
            &longer,
        ] {
            assert!(is_der(good), "{good:02x?}");
            let behind = [good, &[0]].concat();
            assert!(!is_der(&behind), "{behind:02x?}");
            assert!(!is_der(&good[..good.len() - 1]), "{good:02x?} cut");
        }
        for bad in [
            &[][..],
            &[0x30, 0x80, 0x00, 0x00],
            &[0x30, 0x81, 0x00],
            &[0x04, 0x82, 0x00, 0x01, 0x00],
            &[0x04, 0x83, 0x00, 0x00, 0x01, 0x00],
            &[0x01, 0x01, 0x01],
            &[0x02, 0x00],
            &[0x02, 0x02, 0x00, 0x7f],
            &[0x02, 0x02, 0xff, 0x80],
            &[0x03, 0x00],
            &[0x03, 0x01, 0x01],
            &[0x03, 0x02, 0x08, 0x00],
            &[0x03, 0x02, 0x05, 0x90],
            &[0x05, 0x01, 0x00],
            &[0x24, 0x03, 0x04, 0x01, 0x00],
            &[0x1f, 0x01, 0x00],
            &[0x00, 0x00],
            &[0x10, 0x00],
            b"\x17\x0b2602020000Z",
            b"\x17\x0d260202000000+",
            b"\x18\x1120500202000000.5Z",
        ] {
            assert!(!is_der(bad), "{bad:02x?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| {
            (1..depth).fold(vec![0x30, 0x00], |inner, _| {
                let len = u8::try_from(inner.len()).unwrap();
                [&[0x30, len][..], &inner].concat()
            })
        };
        assert!(is_der(&nested(16)));
        assert!(!is_der(&nested(17)));
    }
}
