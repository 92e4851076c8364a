//! Names as small numbers, so that records are small and maps are fast.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use crate::digest::{DigestKey, Fields};

/// A digest of one name. The type parameter keeps assets, accounts and
/// symbols apart.
///
/// It depends on the name alone, so that sums in the order of ids round the
/// same whatever order the names came in.
pub(crate) struct Id<K> {
    digest: u64,
    kind: PhantomData<fn() -> K>,
}

macro_rules! kinds {
    ($($kind:ident: $id:ident),*) => {
        $(
            #[derive(Debug)]
            pub(crate) enum $kind {}
            pub(crate) type $id = Id<$kind>;
        )*
    };
}

kinds!(AssetKind: AssetId, AccountKind: AccountId, SymbolKind: SymbolId);

impl<K> Id<K> {
    pub(crate) const fn from_digest(digest: u64) -> Self {
        Self { digest, kind: PhantomData }
    }

    pub(crate) const fn digest(self) -> u64 {
        self.digest
    }

    /// Of a name that is no secret.
    pub(crate) fn of(name: &str) -> Self {
        Self::from_digest(Fields::new(DigestKey::PUBLIC).text(name).digest())
    }
}

/// Each name once.
#[derive(Debug)]
pub(crate) struct Names<K>(BTreeMap<Id<K>, Box<str>>);

impl<K> Names<K> {
    /// The id of `name`; `None` where the table holds `max` others already, or
    /// another name with that digest.
    pub(crate) fn intern(&mut self, name: &str, max: usize) -> Option<Id<K>> {
        let id = Id::of(name);
        match self.0.get(&id) {
            Some(known) => (**known == *name).then_some(id),
            None if self.0.len() < max => {
                self.0.insert(id, name.into());
                Some(id)
            }
            None => None,
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Id<K>> {
        let id = Id::of(name);
        self.0.get(&id).filter(|known| ***known == *name).map(|_| id)
    }

    pub(crate) fn name(&self, id: Id<K>) -> &str {
        self.0.get(&id).map_or("", |name| name)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = Id<K>> {
        self.0.keys().copied()
    }

    pub(crate) fn list(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.values().map(|name| &**name)
    }
}

impl<K> Clone for Names<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Id<K> {}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digest.cmp(&other.digest)
    }
}

impl<K> Debug for Id<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id_and_the_table_is_bounded() {
        let mut names = Names::<AssetKind>::default();
        let a = names.intern("A", 2).unwrap();
        let b = names.intern("B", 2).unwrap();
        assert_eq!(names.intern("A", 2), Some(a));
        assert_eq!(names.intern("C", 2), None);
        assert_eq!((names.name(a), names.name(b)), ("A", "B"));
        assert_eq!((names.find("B"), names.find("C")), (Some(b), None));
        assert_eq!(names.ids().count(), 2);
    }
}
