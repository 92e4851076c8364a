//! Byte strings that must not leave the process by accident.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Secret bytes, wiped when dropped.
///
/// Boxed, so a move copies a pointer and not the bytes. Deliberately absent: `Clone`, `Display`,
/// `Serialize`, `PartialEq`, `Deref`. Every read is spelled [`expose`](Self::expose), so that
/// `git grep 'expose('` lists them all.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SecretBytes(Box<[u8]>);

impl SecretBytes {
    /// Takes the bytes over and wipes the vector they came in.
    ///
    /// The copy is deliberate: `into_boxed_slice` may reallocate and would leave the old buffer
    /// behind unwiped.
    pub fn take(mut from: Vec<u8>) -> Self {
        let kept = Self::copy(&from);
        from.zeroize();
        kept
    }

    /// Copies the bytes; the caller wipes the original.
    pub fn copy(from: &[u8]) -> Self {
        Self(Box::from(from))
    }

    /// Borrows the bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Borrows the bytes as text, if they are UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The number of bytes, which is not secret.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in time that depends on the length alone.
    pub fn matches(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// Declares a 32-byte key of one purpose: boxed, wiped on drop, constant-time equality, and none
/// of the traits that would let it be copied or printed.
macro_rules! key_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
        pub struct $name(Box<[u8; 32]>);

        impl $name {
            /// Copies the bytes; the caller wipes the original.
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self(Box::new(*bytes))
            }

            /// Borrows the bytes, for keeping them where keys are kept.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
pub(crate) use key_type;

#[cfg(test)]
mod tests {
    use super::SecretBytes;

    static_assertions::assert_not_impl_any!(
        SecretBytes: Clone, std::fmt::Display, PartialEq, serde::Serialize, std::ops::Deref
    );

    #[test]
    fn debug_shows_nothing() {
        let secret = SecretBytes::take(b"hunter2".to_vec());
        assert_eq!(format!("{secret:?}"), "SecretBytes(..)");
        assert!(secret.matches(b"hunter2"));
        assert!(!secret.matches(b"hunter3"));
        assert!(!secret.matches(b"hunter"));
    }
}
