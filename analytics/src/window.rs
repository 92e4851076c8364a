//! What is newer than the folded point: records in order of time, polls,
//! prices, openings and closings.
//!
//! Records are sorted by `(t, seen, arrival)`, whatever order they came in.
//! Folding drops them from the front; `limits` bounds what is left.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::Book;
use crate::limits;
use crate::names::AccountId;
use crate::pack::{Pack, Reader, Unpacked, Unsealable};
use crate::record::{Change, Fill, Flow, Income, Record, Snapshot, Snapshots};
use crate::time::Timestamp;
use crate::valuation::Tick;

#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    pub(crate) book: Book,
    pub(crate) fills: Vec<Fill>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) incomes: Vec<Income>,
    pub(crate) polls: BTreeMap<Timestamp, Poll>,
    pub(crate) changes: BTreeMap<AccountId, Vec<Change>>,
    /// Polls up to here know whether they are valuations.
    pub(crate) valued: Option<Timestamp>,
    points: usize,
    snapshots: usize,
    balances: usize,
    change_count: usize,
}

/// All snapshots of one time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Poll {
    pub(crate) snapshots: Snapshots,
    /// What it was worth, if it is a valuation and is known to be one.
    pub(crate) tick: Option<Arc<Tick>>,
}

/// A bound of `limits` is reached; what there are too many of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full(pub(crate) &'static str);

impl Window {
    pub(crate) fn room_for_record(&self) -> Result<(), Full> {
        let records = self.fills.len() + self.flows.len() + self.incomes.len();
        if records < limits::RECORDS_MAX { Ok(()) } else { Err(Full("records")) }
    }

    pub(crate) fn room_for_price(&self) -> Result<(), Full> {
        if self.points < limits::PRICES_MAX { Ok(()) } else { Err(Full("prices")) }
    }

    pub(crate) fn room_for_change(&self) -> Result<(), Full> {
        if self.change_count < limits::CHANGES_MAX { Ok(()) } else { Err(Full("account changes")) }
    }

    pub(crate) fn room_for_snapshot(&self, entries: usize) -> Result<(), Full> {
        let balances = self.balances.saturating_add(entries);
        if self.snapshots < limits::SNAPSHOTS_MAX && balances <= limits::BALANCES_MAX {
            Ok(())
        } else {
            Err(Full("snapshots"))
        }
    }

    /// Something happened at `at` that valuations from then on depend on.
    pub(crate) fn touch(&mut self, at: Timestamp) {
        let before = Timestamp::from_micros(at.as_micros().saturating_sub(1));
        self.valued = self.valued.map(|valued| valued.min(before));
    }

    pub(crate) fn fill(&mut self, fill: Fill) {
        insert(&mut self.fills, fill);
    }

    pub(crate) fn flow(&mut self, flow: Flow) {
        insert(&mut self.flows, flow);
    }

    pub(crate) fn income(&mut self, income: Income) {
        insert(&mut self.incomes, income);
    }

    pub(crate) fn market_price(&mut self, pair: crate::book::Pair, quoted: crate::book::Quoted) {
        self.touch(quoted.stamp.at);
        self.points += usize::from(self.book.market(pair, quoted));
    }

    pub(crate) fn own_price(&mut self, pair: crate::book::Pair, quoted: crate::book::Quoted) {
        self.touch(quoted.stamp.at);
        self.book.own(pair, quoted);
    }

    pub(crate) fn change(&mut self, account: AccountId, change: Change) {
        self.touch(change.stamp.at);
        let changes = self.changes.entry(account).or_default();
        let at = changes.partition_point(|other| other.stamp < change.stamp);
        changes.insert(at, change);
        self.change_count += 1;
    }

    /// Takes an account's last closing back; `false` if there is none.
    pub(crate) fn reopen(&mut self, account: AccountId) -> bool {
        let changes = self.changes.get_mut(&account);
        let Some(closed) = changes.and_then(|all| all.pop_if(|last| !last.open)) else {
            return false;
        };
        self.touch(closed.stamp.at);
        self.change_count -= 1;
        true
    }

    /// Of two snapshots of one account at one time the one delivered last
    /// holds.
    pub(crate) fn snapshot(&mut self, account: AccountId, taken: Snapshot) {
        self.touch(taken.stamp.at);
        let size = |snapshot: &Snapshot| snapshot.wallet.len() + snapshot.positions.len();
        let poll = self.polls.entry(taken.stamp.at).or_default();
        if poll.snapshots.get(&account).is_some_and(|other| other.stamp > taken.stamp) {
            return;
        }
        self.balances += size(&taken);
        match poll.snapshots.insert(account, Arc::new(taken)) {
            Some(replaced) => self.balances -= size(&replaced),
            None => self.snapshots += 1,
        }
    }

    /// Drops everything up to `at`, but for the prices that later rates need.
    pub(crate) fn forget(&mut self, at: Timestamp, max_age_s: i64) {
        forget(&mut self.fills, at);
        forget(&mut self.flows, at);
        forget(&mut self.incomes, at);
        let after = Timestamp::from_micros(at.as_micros().saturating_add(1));
        self.polls = self.polls.split_off(&after);
        self.changes.retain(|_, changes| {
            changes.retain(|change| change.stamp.at > at);
            !changes.is_empty()
        });
        self.book.forget(at, max_age_s);
        self.recount();
    }

    fn recount(&mut self) {
        let snapshots = self.polls.values().flat_map(|poll| poll.snapshots.values());
        let entries = |snapshot: &Arc<Snapshot>| snapshot.wallet.len() + snapshot.positions.len();
        self.balances = snapshots.map(entries).sum();
        self.snapshots = self.polls.values().map(|poll| poll.snapshots.len()).sum();
        self.points = self.book.points();
        self.change_count = self.changes.values().map(Vec::len).sum();
    }
}

impl Pack for Window {
    fn pack(&self, to: &mut Vec<u8>) {
        self.book.pack(to);
        self.fills.pack(to);
        self.flows.pack(to);
        self.incomes.pack(to);
        self.polls.pack(to);
        self.changes.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        let mut window = Self {
            book: Pack::unpack(from)?,
            fills: Pack::unpack(from)?,
            flows: Pack::unpack(from)?,
            incomes: Pack::unpack(from)?,
            polls: Pack::unpack(from)?,
            changes: Pack::unpack(from)?,
            ..Self::default()
        };
        window.recount();
        if window.is_sound() { Ok(window) } else { Err(Unsealable) }
    }
}

impl Window {
    /// Whether everything is in the order and within the bounds it must be in.
    fn is_sound(&self) -> bool {
        let records = self.fills.len() + self.flows.len() + self.incomes.len();
        let in_order = self.changes.values().all(|all| all.is_sorted_by_key(|change| change.stamp));
        records <= limits::RECORDS_MAX
            && self.points <= limits::PRICES_MAX
            && self.snapshots <= limits::SNAPSHOTS_MAX
            && self.balances <= limits::BALANCES_MAX
            && self.change_count <= limits::CHANGES_MAX
            && in_order
            && sorted(&self.fills)
            && sorted(&self.flows)
            && sorted(&self.incomes)
    }
}

impl Pack for Poll {
    /// What it was worth follows from the snapshots.
    fn pack(&self, to: &mut Vec<u8>) {
        self.snapshots.pack(to);
    }

    fn unpack(from: &mut Reader<'_>) -> Unpacked<Self> {
        Ok(Self { snapshots: Pack::unpack(from)?, tick: None })
    }
}

fn sorted<R: Record>(records: &[R]) -> bool {
    records.is_sorted_by_key(Record::stamp)
}

fn insert<R: Record>(records: &mut Vec<R>, record: R) {
    // Most come in order.
    if records.last().is_none_or(|last| last.stamp() < record.stamp()) {
        records.push(record);
        return;
    }
    let at = records.partition_point(|other| other.stamp() < record.stamp());
    records.insert(at, record);
}

fn forget<R: Record>(records: &mut Vec<R>, at: Timestamp) {
    records.drain(..records.partition_point(|record| record.stamp().at <= at));
}
