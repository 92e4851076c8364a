//! Everything that is folded, as of the last complete tick in it.
//!
//! [`Carry`] is small and is copied for each tick, so that a number that leaves
//! the range of decimals costs that tick and nothing else. What grows with
//! time is in [`Pages`], which are only ever appended to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::activity::{Calendar, Incomes, Orders, Totals};
use crate::effect::Positions;
use crate::flow::{External, FlowList, FlowSums};
use crate::names::{AccountId, AssetId};
use crate::pack::packed;
use crate::pnl::Profit;
use crate::quality::Tally;
use crate::reconcile::Settled;
use crate::returns::{Linked, Worth};
use crate::risk::Exposure;
use crate::series::{Days, Over};
use crate::time::Timestamp;
use crate::valuation::Tick;

/// The last complete tick.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Last {
    pub(crate) tick: Arc<Tick>,
    /// Own coins on the way between accounts.
    pub(crate) in_transit: Decimal,
    /// Everything, coins in transit in it.
    pub(crate) worth: Worth,
}

packed!(Last { tick, in_transit, worth });

/// The sums, and what the next sub-period begins with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Carry {
    pub(crate) first: Option<Worth>,
    pub(crate) last: Option<Last>,
    /// Assets that had a price at a complete tick.
    pub(crate) priced: BTreeSet<AssetId>,
    pub(crate) positions: Positions,
    /// What each account that left took with it.
    pub(crate) left: BTreeMap<AccountId, Arc<External>>,
    pub(crate) flows: FlowSums,
    pub(crate) linked: Linked,
    pub(crate) totals: Totals,
    pub(crate) incomes: Incomes,
    pub(crate) profit: Profit,
    pub(crate) exposure: Exposure,
    pub(crate) tally: Tally,
    pub(crate) days: Days,
}

packed!(Carry {
    first,
    last,
    priced,
    positions,
    left,
    flows,
    linked,
    totals,
    incomes,
    profit,
    exposure,
    tally,
    days,
});

impl Carry {
    /// First and last complete tick.
    pub(crate) fn period(&self) -> Option<(Worth, Worth)> {
        Some((self.first?, self.last.as_ref()?.worth))
    }

    /// The last complete tick, or the start of the session.
    pub(crate) fn since(&self, start: Timestamp) -> Timestamp {
        self.last.as_ref().map_or(start, |last| last.tick.at)
    }
}

/// What grows with time: full buckets, days that are over, and flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pages {
    pub(crate) calendar: Calendar,
    pub(crate) days: Over,
    pub(crate) flows: FlowList,
}

packed!(Pages { calendar, days, flows });

/// What one stretch of time appends to the pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) calendar: Calendar,
    pub(crate) days: Over,
    pub(crate) flows: Vec<(Timestamp, Decimal)>,
}

impl News {
    pub(crate) fn append(&mut self, mut later: Self) {
        self.calendar.append(later.calendar);
        self.days.append(later.days);
        self.flows.append(&mut later.flows);
    }
}

impl Pages {
    pub(crate) fn append(&mut self, news: News) {
        self.calendar.append(news.calendar);
        self.days.append(news.days);
        self.flows.extend(&news.flows);
    }
}

/// All of the folded state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folded {
    pub(crate) carry: Carry,
    pub(crate) pages: Pages,
    pub(crate) orders: Orders,
    pub(crate) settled: Settled,
    /// Accounts that were known at the last complete tick, and whether they
    /// were in.
    pub(crate) members: BTreeMap<AccountId, bool>,
}

packed!(Folded { carry, pages, orders, settled, members });
