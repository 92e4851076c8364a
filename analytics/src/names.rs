//! Names as small numbers, so that records are small and maps are fast.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use crate::digest::Fields;

/// The place of one name in one table. The type parameter keeps assets,
/// accounts and symbols apart.
///
/// Ids are ordered by a digest of the name, so that sums over them round the
/// same whatever order the names came in.
pub(crate) struct Id<K> {
    digest: u64,
    place: u32,
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

/// Each name once, in order of first use.
#[derive(Debug)]
pub(crate) struct Names<K> {
    ids: BTreeMap<Box<str>, Id<K>>,
    list: Vec<Box<str>>,
}

impl<K> Names<K> {
    /// The id of `name`; `None` where the table holds `max` others already.
    pub(crate) fn intern(&mut self, name: &str, max: usize) -> Option<Id<K>> {
        if let Some(&id) = self.ids.get(name) {
            return Some(id);
        }
        let place = u32::try_from(self.list.len()).ok().filter(|_| self.list.len() < max)?;
        let digest = Fields::default().text(name).digest();
        let id = Id { digest, place, kind: PhantomData };
        self.ids.insert(name.into(), id);
        self.list.push(name.into());
        Some(id)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Id<K>> {
        self.ids.get(name).copied()
    }

    pub(crate) fn name(&self, id: Id<K>) -> &str {
        usize::try_from(id.place).ok().and_then(|at| self.list.get(at)).map_or("", |name| name)
    }

    /// In order of the names.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id<K>> {
        self.ids.values().copied()
    }
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), list: Vec::new() }
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
        self.place == other.place && self.digest == other.digest
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
        (self.digest, self.place).cmp(&(other.digest, other.place))
    }
}

impl<K> Debug for Id<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.place.fmt(f)
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
        assert_eq!(names.ids().collect::<Vec<_>>(), [a, b]);
    }
}
