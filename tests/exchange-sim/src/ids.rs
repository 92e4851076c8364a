//! Ids that a venue makes up: the same in every run.

use sha2::{Digest, Sha256};

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// A version 4 UUID of these bytes.
pub(crate) fn uuid_of(mut bytes: [u8; 16]) -> String {
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = *version & 0x0f | 0x40;
    *variant = *variant & 0x3f | 0x80;
    let text = hex::encode(bytes);
    let cut = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    [cut(0, 8), cut(8, 12), cut(12, 16), cut(16, 20), cut(20, 32)].join("-")
}

pub(crate) fn uuid(parts: &[&str]) -> String {
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest(parts)) {
        *byte = from;
    }
    uuid_of(bytes)
}

/// As Kraken writes them: a letter for the kind, then groups of 5, 5 and 6.
pub(crate) fn kraken(kind: char, parts: &[&str]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letter = |byte: &u8| ALPHABET.get(usize::from(byte % 32)).map(|byte| char::from(*byte));
    let mut letters = digest(parts).into_iter().filter_map(|byte| letter(&byte));
    let mut text = String::from(kind);
    for (index, group) in [5, 5, 6].into_iter().enumerate() {
        if index > 0 {
            text.push('-');
        }
        text.extend(letters.by_ref().take(group));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form_and_follow_from_their_parts() {
        let id = uuid(&["a", "b"]);
        let groups: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert_eq!(uuid(&["a", "b"]), id);
        assert_ne!(uuid(&["ab", ""]), id);
        let id = kraken('T', &["a"]);
        let groups: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!((groups, id.starts_with('T')), (vec![6, 5, 6], true));
    }
}
