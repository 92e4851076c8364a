//! 64-bit digests of ids and contents: SipHash-2-4 (Aumasson, Bernstein 2012).
//!
//! An id is remembered as its digest: eight bytes recognise a second delivery,
//! however long the id is. Among a million ids two collide with a chance of
//! 3 x 10^-8. The key is the portfolio's own and is not in its sealed state:
//! who reads that without the key cannot try ids.

use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use rust_decimal::Decimal;

/// The key of a portfolio's digests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DigestKey([u8; 16]);

impl DigestKey {
    /// A key that everybody knows, for made-up scenarios and for what is no
    /// secret.
    pub const PUBLIC: Self = Self(*b"perfagg/digest/1");

    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    fn words(self) -> [u64; 2] {
        let mut words = [0; 2];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        words
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey")
    }
}

/// Fields of one record. A text has its length before it and zeros behind it
/// up to a whole word, so that no two records give the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    sip: Sip,
    words: u64,
}

impl Fields {
    pub(crate) fn new(key: DigestKey) -> Self {
        Self { sip: Sip::new(key), words: 0 }
    }

    #[must_use]
    pub(crate) fn text(self, text: &str) -> Self {
        let len = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let fields = words.iter().fold(self.word(len), |all, word| all.bytes(*word));
        if rest.is_empty() { fields } else { fields.word(padded(rest)) }
    }

    #[must_use]
    pub(crate) fn integer(self, number: i64) -> Self {
        self.bytes(number.to_le_bytes())
    }

    /// By value: `1.0` and `1.00` are the same field.
    #[must_use]
    pub(crate) fn decimal(self, number: Decimal) -> Self {
        let bytes = number.normalize().serialize();
        bytes.as_chunks::<8>().0.iter().fold(self, |all, word| all.bytes(*word))
    }

    fn bytes(self, word: [u8; 8]) -> Self {
        self.word(u64::from_le_bytes(word))
    }

    fn word(mut self, word: u64) -> Self {
        self.sip.word(word);
        self.words = self.words.wrapping_add(1);
        self
    }

    pub(crate) fn digest(self) -> u64 {
        self.sip.finish(&[], self.words.wrapping_mul(8))
    }
}

/// At most eight bytes as a word, zeros behind them.
fn padded(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(word)
}

#[derive(Clone, Debug)]
struct Sip([u64; 4]);

impl Sip {
    fn new(key: DigestKey) -> Self {
        let [k0, k1] = key.words();
        Self([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ])
    }

    fn word(&mut self, word: u64) {
        self.0[3] ^= word;
        round(&mut self.0);
        round(&mut self.0);
        self.0[0] ^= word;
    }

    /// Takes in the last bytes, fewer than eight, of `len` in all.
    fn finish(mut self, rest: &[u8], len: u64) -> u64 {
        self.word(padded(rest) | len << 56);
        self.0[2] ^= 0xff;
        for _ in 0..4 {
            round(&mut self.0);
        }
        self.0.iter().fold(0, |all, part| all ^ part)
    }
}

/// Digests are spread already.
pub(crate) type Spread = BuildHasherDefault<AsIs>;

/// Hands a digest through.
#[derive(Clone, Debug, Default)]
pub(crate) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, digest: u64) {
        self.0 = digest;
    }
}

fn round(state: &mut [u64; 4]) {
    let [v0, v1, v2, v3] = state;
    *v0 = v0.wrapping_add(*v1);
    *v1 = v1.rotate_left(13) ^ *v0;
    *v0 = v0.rotate_left(32);
    *v2 = v2.wrapping_add(*v3);
    *v3 = v3.rotate_left(16) ^ *v2;
    *v0 = v0.wrapping_add(*v3);
    *v3 = v3.rotate_left(21) ^ *v0;
    *v2 = v2.wrapping_add(*v1);
    *v1 = v1.rotate_left(17) ^ *v2;
    *v2 = v2.rotate_left(32);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector in the appendix of the paper, and the empty and the
    /// eight-byte input of the authors' `vectors.h`.
    #[test]
    fn agrees_with_the_authors_vectors() {
        let key = DigestKey::from_bytes(std::array::from_fn(|at| u8::try_from(at).unwrap()));
        let input: Vec<u8> = (0..15).collect();
        for (len, digest) in
            [(15, 0xa129_ca61_49be_45e5), (0, 0x726f_db47_dd0e_0e31), (8, 0x93f5_f579_9a93_2462)]
        {
            let mut sip = Sip::new(key);
            let (words, rest) = input[..len].as_chunks::<8>();
            for word in words {
                sip.word(u64::from_le_bytes(*word));
            }
            assert_eq!(sip.finish(rest, u64::try_from(len).unwrap()), digest, "{len}");
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let of = |a, b| Fields::new(DigestKey::PUBLIC).text(a).text(b).digest();
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", ""), of("a\0", ""));
        assert_eq!(of("ab", "c"), of("ab", "c"));
    }

    #[test]
    fn keys_and_values_decide_and_spelling_does_not() {
        let of = |key, number: &str| Fields::new(key).decimal(number.parse().unwrap()).digest();
        let other = DigestKey::from_bytes([7; 16]);
        assert_eq!(of(DigestKey::PUBLIC, "1.0"), of(DigestKey::PUBLIC, "1.00"));
        assert_ne!(of(DigestKey::PUBLIC, "1.0"), of(DigestKey::PUBLIC, "1.01"));
        assert_ne!(of(DigestKey::PUBLIC, "1.0"), of(other, "1.0"));
        assert_eq!(format!("{other:?}"), "DigestKey");
    }
}
