//! Which records count, and for what.
//!
//! A record counts if it is after its account's baseline and before the
//! account left; the others are counted as `pre_baseline`. Of those that
//! count, the ones up to the account's last complete tick are *valued*: what
//! they did is in the difference of two valuations. Activity and fees take
//! all that count; returns, flows and profit take the valued ones.

use crate::record::Record;
use crate::time::Timestamp;
use crate::valuation::Valuation;

/// A record that counts.
#[derive(Debug)]
pub(crate) struct Scoped<'a, R> {
    pub(crate) record: &'a R,
    /// Index of the account's stay.
    pub(crate) stay: usize,
    /// The account has a complete tick at or after it.
    pub(crate) valued: bool,
    /// As `valued`, or the account has not left: it will be valued.
    pub(crate) present: bool,
}

/// The records that count, in order, and the number of those that do not.
pub(crate) fn scope<'a, R: Record>(
    records: &'a [R],
    valuation: &Valuation<'_>,
    as_of: Timestamp,
) -> (Vec<Scoped<'a, R>>, u64) {
    let newest = valuation.ticks.len().checked_sub(1);
    let mut outside = 0;
    let mut inside = Vec::new();
    for record in records.iter().filter(|record| record.stamp().at <= as_of) {
        let at = record.stamp().at;
        let of_account =
            |stay: &crate::valuation::Stay| stay.account == record.account() && stay.covers(at);
        let stay = valuation.stays.iter().position(of_account);
        let ticks = stay.and_then(|stay| Some((stay, valuation.stays.get(stay)?.ticks?)));
        match ticks {
            Some((stay, (first, last))) if valuation.at(first).is_some_and(|first| at > first) => {
                let valued = valuation.at(last).is_some_and(|last| at <= last);
                let present = valued || Some(last) == newest;
                inside.push(Scoped { record, stay, valued, present });
            }
            _ => outside += 1,
        }
    }
    (inside, outside)
}
