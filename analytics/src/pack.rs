//! The bytes of a sealed state: each value in one way, every length checked.
//!
//! Integers are little-endian and fixed, but for lengths and counts, which
//! take seven bits a byte; a decimal is its sign and scale in one byte and up to
//! 12 bytes of digits, so that it comes back bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::limits::{TIME_MAX, TIME_MIN};
use crate::names::Id;
use crate::text::{Asset, Name};
use crate::time::{Day, Timestamp};

/// Bytes that no sealed state begins with, or has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed state of this version")]
pub struct Unsealable;

pub(crate) type Unpacked<T> = Result<T, Unsealable>;

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Unpacked<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Unsealable)?;
        self.0 = rest;
        Ok(*head)
    }

    fn bytes(&mut self, len: usize) -> Unpacked<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Unsealable)?;
        self.0 = rest;
        Ok(head)
    }

    /// The length of a list, each entry of which takes a byte at least.
    fn len(&mut self) -> Unpacked<usize> {
        let len = usize::try_from(Count::unpack(self)?.0).map_err(|_| Unsealable)?;
        if len <= self.0.len() { Ok(len) } else { Err(Unsealable) }
    }
}

/// A value as bytes.
pub(crate) trait Pack: Sized {
    fn pack(&self, to: &mut Vec<u8>);
    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self>;
}

/// All fields of a struct, in the order they are named.
macro_rules! packed {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl $crate::pack::Pack for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                $($crate::pack::Pack::pack(&self.$field, to);)*
            }

            fn unpack(from: &mut $crate::pack::Reader<'_>) -> $crate::pack::Unpacked<Self> {
                Ok(Self { $($field: $crate::pack::Pack::unpack(from)?),* })
            }
        }
    };
}

/// A closed list of values without fields, as one byte each.
macro_rules! packed_enum {
    ($name:ty { $($variant:ident = $number:literal),* $(,)? }) => {
        impl $crate::pack::Pack for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                to.push(match self { $(Self::$variant => $number),* });
            }

            fn unpack(from: &mut $crate::pack::Reader<'_>) -> $crate::pack::Unpacked<Self> {
                match u8::unpack(from)? {
                    $($number => Ok(Self::$variant),)*
                    _ => Err($crate::pack::Unsealable),
                }
            }
        }
    };
}

pub(crate) use {packed, packed_enum};

macro_rules! integers {
    ($($name:ty),*) => {
        $(impl Pack for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                to.extend(self.to_le_bytes());
            }

            fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
                from.array().map(Self::from_le_bytes)
            }
        })*
    };
}

integers!(u8, u32, i64);

const COUNT_MAX: u64 = 1 << 60;

/// Counts are small: seven bits a byte.
struct Count(u64);

impl Pack for Count {
    fn pack(&self, to: &mut Vec<u8>) {
        let mut rest = self.0;
        while rest > 0x7f {
            let [low, ..] = (rest & 0x7f | 0x80).to_le_bytes();
            to.push(low);
            rest >>= 7;
        }
        let [last, ..] = rest.to_le_bytes();
        to.push(last);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = u8::unpack(from)?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            if shifted >> shift != bits {
                return Err(Unsealable);
            }
            value |= shifted;
            if byte < 0x80 {
                // One way to write each number.
                return if byte == 0 && shift > 0 { Err(Unsealable) } else { Ok(Self(value)) };
            }
        }
        Err(Unsealable)
    }
}

impl Pack for u64 {
    fn pack(&self, to: &mut Vec<u8>) {
        Count(*self).pack(to);
    }

    /// No count comes near the end of its range, so that adding to it cannot
    /// overflow.
    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let count = Count::unpack(from)?.0;
        if count <= COUNT_MAX { Ok(count) } else { Err(Unsealable) }
    }
}

fn pack_len(len: usize, to: &mut Vec<u8>) {
    Count(u64::try_from(len).unwrap_or(u64::MAX)).pack(to);
}

fn pack_all<'a, T: Pack + 'a>(items: impl ExactSizeIterator<Item = &'a T>, to: &mut Vec<u8>) {
    pack_len(items.len(), to);
    items.for_each(|item| item.pack(to));
}

/// A digest: eight bytes that no shorter form would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest(pub(crate) u64);

impl Pack for Digest {
    fn pack(&self, to: &mut Vec<u8>) {
        to.extend(self.0.to_le_bytes());
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        from.array().map(|bytes| Self(u64::from_le_bytes(bytes)))
    }
}

impl<K> Pack for Id<K> {
    fn pack(&self, to: &mut Vec<u8>) {
        Digest(self.digest()).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        Digest::unpack(from).map(|digest| Self::from_digest(digest.0))
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Vec<u8>) {
        to.push(u8::from(*self));
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        match u8::unpack(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Unsealable),
        }
    }
}

impl Pack for Decimal {
    /// Sign, words and scale in one byte, then as many words of four bytes as
    /// the digits need.
    fn pack(&self, to: &mut Vec<u8>) {
        let [_, _, scale, sign, digits @ ..] = self.serialize();
        let (words, _) = digits.as_chunks::<4>();
        let needed = words.iter().rposition(|word| *word != [0; 4]).map_or(0, |last| last + 1);
        let [count, ..] = needed.to_le_bytes();
        to.push(sign | count << 5 | scale);
        to.extend(words.iter().take(needed).flatten());
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let first = u8::unpack(from)?;
        let (sign, count, scale) = (first & 0x80, first >> 5 & 0x3, first & 0x1f);
        if u32::from(scale) > Self::MAX_SCALE {
            return Err(Unsealable);
        }
        let mut bytes = [0; 16];
        let (head, tail) = bytes.split_at_mut(4);
        head.copy_from_slice(&[0, 0, scale, sign]);
        let (words, _) = tail.as_chunks_mut::<4>();
        let mut last = [1; 4];
        for word in words.iter_mut().take(count.into()) {
            *word = from.array()?;
            last = *word;
        }
        // No more words than the digits need.
        if last == [0; 4] { Err(Unsealable) } else { Ok(Self::deserialize(bytes)) }
    }
}

impl Pack for Timestamp {
    fn pack(&self, to: &mut Vec<u8>) {
        self.as_micros().pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let at = Self::from_micros(i64::unpack(from)?);
        if (TIME_MIN..=TIME_MAX).contains(&at) { Ok(at) } else { Err(Unsealable) }
    }
}

impl Pack for Day {
    fn pack(&self, to: &mut Vec<u8>) {
        let days = self.start().as_micros() / Self::MICROS;
        u32::try_from(days).unwrap_or(u32::MAX).pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let start = i64::from(u32::unpack(from)?).saturating_mul(Self::MICROS);
        let start = Timestamp::from_micros(start);
        if start <= TIME_MAX { Ok(start.day()) } else { Err(Unsealable) }
    }
}

impl Pack for String {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_str(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let len = from.len()?;
        let bytes = from.bytes(len)?;
        str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unsealable)
    }
}

fn pack_str(text: &str, to: &mut Vec<u8>) {
    pack_len(text.len(), to);
    to.extend(text.as_bytes());
}

macro_rules! texts {
    ($($name:ty),*) => {
        $(impl Pack for $name {
            fn pack(&self, to: &mut Vec<u8>) {
                pack_str(self.as_str(), to);
            }

            fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
                String::unpack(from)?.parse().map_err(|_| Unsealable)
            }
        })*
    };
}

texts!(Asset, Name);

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        if bool::unpack(from)? { T::unpack(from).map(Some) } else { Ok(None) }
    }
}

impl<T: Pack> Pack for Arc<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        T::pack(self, to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        T::unpack(from).map(Self::new)
    }
}

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.iter(), to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let len = from.len()?;
        (0..len).map(|_| T::unpack(from)).collect()
    }
}

impl<K: Pack + Ord, V: Pack> Pack for BTreeMap<K, V> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_len(self.len(), to);
        for (key, value) in self {
            key.pack(to);
            value.pack(to);
        }
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let len = from.len()?;
        let mut map = Self::new();
        for _ in 0..len {
            let key = K::unpack(from)?;
            // In order and once each: one way to write each map.
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(Unsealable);
            }
            map.insert(key, V::unpack(from)?);
        }
        Ok(map)
    }
}

impl<T: Pack + Ord> Pack for BTreeSet<T> {
    fn pack(&self, to: &mut Vec<u8>) {
        pack_all(self.iter(), to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let len = from.len()?;
        let mut set = Self::new();
        for _ in 0..len {
            let item = T::unpack(from)?;
            if set.last().is_some_and(|last| *last >= item) {
                return Err(Unsealable);
            }
            set.insert(item);
        }
        Ok(set)
    }
}

macro_rules! tuples {
    ($(($($part:ident $at:tt),*)),*) => {
        $(impl<$($part: Pack),*> Pack for ($($part,)*) {
            fn pack(&self, to: &mut Vec<u8>) {
                $(self.$at.pack(to);)*
            }

            fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
                Ok(($($part::unpack(from)?,)*))
            }
        })*
    };
}

tuples!((A 0, B 1), (A 0, B 1, C 2));

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    fn bytes(value: &impl Pack) -> Vec<u8> {
        let mut to = Vec::new();
        value.pack(&mut to);
        to
    }

    fn read<T: Pack>(bytes: &[u8]) -> Unpacked<T> {
        let mut from = Reader::new(bytes);
        let value = T::unpack(&mut from)?;
        if from.is_empty() { Ok(value) } else { Err(Unsealable) }
    }

    fn comes_back<T: Pack + Debug + PartialEq>(value: &T) {
        assert_eq!(read::<T>(&bytes(value)).as_ref(), Ok(value));
    }

    #[test]
    fn values_come_back() {
        for count in [0, 1, 127, 128, 300, COUNT_MAX] {
            comes_back(&count);
        }
        comes_back(&vec![(true, Some(-5_i64)), (false, None)]);
        comes_back(&BTreeMap::from([(1_u32, String::from("é")), (2, String::new())]));
        comes_back(&BTreeSet::from([Day::MIN, Day::MIN.plus(3)]));
        comes_back(&Timestamp::from_micros(1_767_225_600_000_001));
    }

    #[test]
    fn decimals_come_back_bit_for_bit() {
        for text in ["0", "-0.00", "1", "1.00", "-79228162514264337593543950335", "1e-28"] {
            let number = Decimal::from_scientific(text).or_else(|_| text.parse()).unwrap();
            for number in [number, -number] {
                let again: Decimal = read(&bytes(&number)).unwrap();
                assert_eq!(again.serialize(), number.serialize());
                assert!(bytes(&number).len() <= 13);
            }
        }
    }

    #[test]
    fn what_nobody_wrote_is_refused() {
        assert_eq!(read::<u64>(&[0x80, 0x00]), Err(Unsealable));
        assert_eq!(read::<u64>(&[0xff; 11]), Err(Unsealable));
        assert_eq!(read::<u64>(&bytes(&(COUNT_MAX + 1))), Err(Unsealable));
        assert_eq!(read::<bool>(&[2]), Err(Unsealable));
        assert_eq!(read::<Vec<u8>>(&[200, 1, 0]), Err(Unsealable));
        assert_eq!(read::<String>(&[1, 0xff]), Err(Unsealable));
        assert_eq!(read::<Timestamp>(&[0xff; 8]), Err(Unsealable));
        assert_eq!(read::<Day>(&[0xff; 4]), Err(Unsealable));
        assert_eq!(read::<BTreeSet<u8>>(&[2, 5, 5]), Err(Unsealable));
        assert_eq!(read::<BTreeMap<u8, u8>>(&[2, 5, 0, 4, 0]), Err(Unsealable));
        let mut one = bytes(&Decimal::ONE);
        assert_eq!(one, [0x20, 1, 0, 0, 0]);
        one[0] = 0x20 + 29;
        assert_eq!(read::<Decimal>(&one), Err(Unsealable));
        assert_eq!(read::<Decimal>(&[0x20, 0, 0, 0, 0]), Err(Unsealable));
    }
}
