//! DER (X.690 §10 and §11): whether bytes are it, as far as their shape alone tells, and the
//! objects in them one after another.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Deepest nesting: a certificate has about eight levels.
const DEPTH_MAX: u8 = 16;

/// Objects that follow one another, in bytes that [`is_der`] accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Objects<'b>(&'b [u8]);

impl<'b> Objects<'b> {
    pub(super) const fn of(content: &'b [u8]) -> Self {
        Self(content)
    }

    /// The content of an object that fills `bytes`.
    pub(super) fn only(bytes: &'b [u8], kind: u8) -> Option<Self> {
        let mut objects = Self(bytes);
        let content = objects.content(kind)?;
        objects.end()?;
        Some(Self(content))
    }

    /// The content of the next object, if it is of this kind.
    pub(super) fn content(&mut self, kind: u8) -> Option<&'b [u8]> {
        let (found, content, rest) = split(self.0)?;
        (found == kind).then(|| self.0 = rest)?;
        Some(content)
    }

    /// The content of the next object, of whatever kind.
    pub(super) fn any(&mut self) -> Option<&'b [u8]> {
        let (_, content, rest) = split(self.0)?;
        self.0 = rest;
        Some(content)
    }

    /// The next object, if it is of this kind.
    pub(super) fn whole(&mut self, kind: u8) -> Option<&'b [u8]> {
        let before = self.0;
        self.content(kind)?;
        before.get(..before.len().checked_sub(self.0.len())?)
    }

    /// That nothing is left.
    pub(super) const fn end(&self) -> Option<()> {
        if self.0.is_empty() { Some(()) } else { None }
    }
}

/// Whether `bytes` are exactly one object in DER.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    matches!(object(bytes, DEPTH_MAX), Some([]))
}

/// The first object's tag and content, and what is behind it.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, len, rest) = match bytes {
        [kind, len @ 0..=0x7f, rest @ ..] | [kind, 0x81, len @ 0x80..=0xff, rest @ ..] => {
            (*kind, usize::from(*len), rest)
        }
        [kind, 0x82, high @ 1..=0xff, low, rest @ ..] => {
            (*kind, usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((kind, content, rest))
}

/// Checks one object and returns what is behind it.
fn object(bytes: &[u8], depth: u8) -> Option<&[u8]> {
    let depth = depth.checked_sub(1)?;
    let (kind, mut content, rest) = split(bytes)?;
    let sound = match (kind, content) {
        (BOOLEAN, content) => matches!(content, [0x00 | 0xff]),
        (INTEGER, content) => match content {
            [] => false,
            [0x00, next, ..] => *next >= 0x80,
            [0xff, next, ..] => *next < 0x80,
            _ => true,
        },
        (BIT_STRING, content) => match content {
            [0, ..] => true,
            [unused @ 1..=7, .., last] => last.trailing_zeros() >= u32::from(*unused),
            _ => false,
        },
        (NULL, content) => content.is_empty(),
        (UTC_TIME, content) => is_time(content, 12),
        (GENERALIZED_TIME, content) => is_time(content, 14),
        // Strings in pieces, sequences and sets that are none, the end of an indefinite length.
        (0x00 | 0x10 | 0x11 | 0x20..=0x2f | 0x32..=0x3f, _) => false,
        // Tag numbers above 30 occur in no certificate.
        (kind, _) => kind & 0x1f != 0x1f,
    };
    if kind & 0x20 != 0 {
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
