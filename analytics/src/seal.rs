//! The whole state as bytes, and back.
//!
//! ```text
//! "pa-state/1" config names counts ids window | orders | carry pages settled members
//! ```
//!
//! The bytes are the same for the same state. They hold no fill: of the window
//! they have what each execution did to its account, without ids, order ids
//! and symbols but as keyed digests; of what is folded, sums. The key is not in
//! them. Whoever stores them encrypts and authenticates them; reading refuses
//! what no state can be, and what it takes can be wrong but not harmful.

use std::collections::BTreeMap;

use crate::carry::Folded;
use crate::config::Config;
use crate::digest::DigestKey;
use crate::engine::Engine;
use crate::ledger::Ledger;
use crate::limits::{ACCOUNTS_MAX, NAMES_MAX, RECORDS_MAX, SEALED_LEN_MAX};
use crate::names::Names;
use crate::pack::{Digest, Pack, Reader, Unpacked, Unsealable};
use crate::time::Timestamp;

const VERSION: &[u8; 10] = b"pa-state/1";

/// Bytes of the parts of a sealed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedSizes {
    /// Sums over everything that is folded, hours left out.
    pub aggregates: usize,
    /// Full hours of activity, at most 40 bytes each.
    pub hours: usize,
    /// What can still change: records, polls, prices, digests of ids.
    pub window: usize,
}

impl Engine {
    /// The state as bytes, the key left out.
    pub fn seal(&self) -> Vec<u8> {
        let mut to = VERSION.to_vec();
        self.config.pack(&mut to);
        pack_ledger(&self.ledger, &mut to);
        self.folded.pack(&mut to);
        to
    }

    /// The engine that gave these bytes, under the same key.
    pub fn restore(bytes: &[u8], key: DigestKey) -> Result<Self, Unsealable> {
        let rest = bytes.strip_prefix(VERSION).ok_or(Unsealable)?;
        if bytes.len() > SEALED_LEN_MAX {
            return Err(Unsealable);
        }
        let mut from = Reader::new(rest);
        let config = Config::unpack(&mut from)?;
        let mut engine = Self::new(config, key).map_err(|_| Unsealable)?;
        unpack_ledger(&mut engine.ledger, &mut from)?;
        engine.folded = Folded::unpack(&mut from)?;
        engine.ledger.folded = engine.folded.carry.last.as_ref().map(|last| last.tick.at);
        if from.is_empty() { Ok(engine) } else { Err(Unsealable) }
    }

    /// How large a sealed state is, part by part.
    pub fn sealed_sizes(&self) -> SealedSizes {
        let len = |part: &dyn Fn(&mut Vec<u8>)| {
            let mut to = Vec::new();
            part(&mut to);
            to.len()
        };
        let all = self.seal().len();
        let hours = len(&|to| self.folded.pages.calendar.hours().pack(to));
        let changing = len(&|to| {
            self.ledger.window.pack(to);
            pack_ids(&self.ledger, to);
            self.folded.orders.pack(to);
        });
        SealedSizes { aggregates: all - hours - changing, hours, window: changing }
    }
}

fn pack_ledger(ledger: &Ledger, to: &mut Vec<u8>) {
    pack_names(&ledger.assets, to);
    pack_names(&ledger.accounts, to);
    ledger.counts.pack(to);
    ledger.newest_seen.pack(to);
    ledger.newest_accepted.pack(to);
    ledger.arrivals.pack(to);
    pack_ids(ledger, to);
    ledger.window.pack(to);
}

fn unpack_ledger(ledger: &mut Ledger, from: &mut Reader<'_>) -> Unpacked<()> {
    unpack_names(&mut ledger.assets, NAMES_MAX, from)?;
    unpack_names(&mut ledger.accounts, ACCOUNTS_MAX, from)?;
    ledger.counts = Pack::unpack(from)?;
    ledger.newest_seen = Pack::unpack(from)?;
    ledger.newest_accepted = Pack::unpack(from)?;
    ledger.arrivals = Pack::unpack(from)?;
    let ids: Ids = Pack::unpack(from)?;
    if ids.len() > RECORDS_MAX {
        return Err(Unsealable);
    }
    ledger.ids = ids.into_iter().map(|(id, (content, at))| (id.0, (content.0, at))).collect();
    ledger.window = Pack::unpack(from)?;
    Ok(())
}

/// Digest of each id, of its content, and its time.
type Ids = BTreeMap<Digest, (Digest, Timestamp)>;

fn pack_ids(ledger: &Ledger, to: &mut Vec<u8>) {
    let sorted: Ids = ledger
        .ids
        .iter()
        .map(|(id, (content, at))| (Digest(*id), (Digest(*content), *at)))
        .collect();
    sorted.pack(to);
}

fn pack_names<K>(names: &Names<K>, to: &mut Vec<u8>) {
    let list: Vec<String> = names.list().map(str::to_owned).collect();
    list.pack(to);
}

fn unpack_names<K>(names: &mut Names<K>, max: usize, from: &mut Reader<'_>) -> Unpacked<()> {
    let list: Vec<String> = Pack::unpack(from)?;
    let known = list.iter().try_for_each(|name| names.intern(name, max).map(|_| ()));
    // In their own order and once each, with those of the configuration.
    if known.is_some() && names.list().eq(list.iter().map(String::as_str)) {
        Ok(())
    } else {
        Err(Unsealable)
    }
}
