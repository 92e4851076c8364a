//! Executions of an account: which lists are asked, and what of them is new.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use exchanges::{Context, Fact, Instrument, Query, Window};
use protocol::time::UnixMillis;

use super::{Account, Ambiguous, Hand, Incomplete, within};
use crate::poller::market::watched;
use crate::poller::marks::{Marks, OVERLAP};
use crate::poller::plan::Fills;

/// How long fills of a pair are looked for after one of its balances moved: three polls.
const MOVED_FOR: Duration = Duration::from_mins(15);

/// The list of all pairs, among the lists of single ones.
const ALL_PAIRS: &str = "";

impl Account {
    /// Fills of every watched pair, each from its mark.
    pub(super) async fn fills(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        if let Fills::Account { page } | Fills::Charged { page } = self.plan.fills {
            return self.fills_of_all(hand, context, page, ambiguous).await;
        }
        let mut asked = BTreeSet::new();
        loop {
            // A fill can bring an asset that makes further pairs worth asking.
            let held = match self.plan.fills {
                Fills::Pairs => self.assets.keys().cloned().collect(),
                Fills::Booked | Fills::Account { .. } | Fills::Charged { .. } => BTreeSet::new(),
            };
            let next = watched(context, &self.pairs, &held)
                .into_iter()
                .find(|(pair, it)| !asked.contains(pair) && self.is_due(pair, it, hand));
            let Some((pair, _)) = next else { return Ok(()) };
            self.fills_of(hand, context, &pair, ambiguous).await?;
            asked.insert(pair);
        }
    }

    /// Pairs that nothing suggests a fill in are asked seldom: each question is dear.
    fn is_due(&self, pair: &str, instrument: &Instrument, hand: Hand<'_>) -> bool {
        let covered = self.marks.get(pair).and_then(Marks::covered);
        let moved = |asset: &String| {
            let at = self.assets.get(asset).copied().flatten();
            at.is_some_and(|at| hand.tick.since(at) <= MOVED_FOR)
        };
        self.pairs.contains(pair)
            || moved(&instrument.base)
            || moved(&instrument.quote)
            || covered.is_none_or(|at| hand.tick.since(at) >= hand.cadence.quiet)
    }

    async fn fills_of_all(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        page: u16,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let probe = Query::account_fills(Window::new(now, now), page);
        let window_max = self.connector.window_max(&probe).unwrap_or(Duration::MAX);
        let known = self.marks.entry(ALL_PAIRS.to_owned()).or_default();
        let windows: Vec<_> = known.windows(self.since, now, window_max).collect();
        let mut facts = Vec::new();
        for window in windows {
            let query = Query::account_fills(window, page);
            facts.extend(self.ask(hand, query, context).await?);
        }
        self.take_fills(hand, ALL_PAIRS, facts, now, OVERLAP, ambiguous)
    }

    async fn fills_of(
        &mut self,
        hand: Hand<'_>,
        context: &Context,
        pair: &str,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let now = hand.desk.clock.now();
        let known = self.marks.entry(pair.to_owned()).or_default();
        let probe = Query::fills_in(pair, Window::new(now, now));
        let window_max = self.connector.window_max(&probe).unwrap_or(Duration::MAX);
        let questions = known.questions(pair, self.since, now, window_max);
        let mut facts = Vec::new();
        for question in questions {
            facts.extend(self.ask(hand, question, context).await?);
        }
        self.take_fills(hand, pair, facts, now, window_max, ambiguous)?;
        if self.marks.get(pair).is_some_and(Marks::is_used) {
            self.pairs.insert(pair.to_owned());
        }
        Ok(())
    }

    /// What is new in a whole answer. A row can come again for as long as `remembered`.
    fn take_fills(
        &mut self,
        hand: Hand<'_>,
        pair: &str,
        facts: Vec<Fact>,
        now: UnixMillis,
        remembered: Duration,
        ambiguous: Ambiguous,
    ) -> Result<(), Incomplete> {
        let delivery = self.delivery(hand.desk.clock.now());
        let charged = matches!(self.plan.fills, Fills::Charged { .. });
        let marks = self.marks.entry(pair.to_owned()).or_default();
        let mut events = Vec::new();
        let mut waiting = Vec::new();
        let mut read = BTreeMap::new();
        let mut assets = BTreeSet::new();
        for fact in facts {
            let Fact::Fill(fill) = fact else { continue };
            if !marks.is_new(&fill.id, fill.at) || read.contains_key(&fill.id) {
                continue;
            }
            if fill.at > self.since && !within(fill.at, ambiguous) {
                if charged {
                    // What cannot be carried must fail the answer, and not a later round.
                    delivery.fill(&fill)?;
                    waiting.push(fill.clone());
                } else {
                    events.push((fill.at, delivery.fill(&fill)?));
                }
            }
            let instrument = &fill.instrument;
            // A contract moves no coin but the one it is settled in.
            let moved = instrument.settle.as_ref().unwrap_or(&instrument.base);
            assets.extend([moved.clone(), instrument.quote.clone()]);
            assets.extend(fill.fee.map(|fee| fee.asset));
            read.insert(fill.id, fill.at);
        }
        // The whole answer was read: now the marks may move.
        marks.advance(read, now, remembered);
        for fill in waiting {
            self.charges.fill(fill);
        }
        self.charges.fills_read(now);
        // Some lists are newest first.
        events.sort_by_key(|(at, _)| *at);
        self.events.extend(events.into_iter().map(|(_, event)| event));
        for asset in assets {
            self.assets.entry(asset).or_default();
        }
        Ok(())
    }

    /// Tells the fills whose costs are known by now, and the costs that no fill has.
    pub(super) fn settle_charges(&mut self, hand: Hand<'_>) -> Result<(), Incomplete> {
        let delivery = self.delivery(hand.desk.clock.now());
        let settled = self.charges.settle();
        let fills = settled.fills.iter().map(|fill| delivery.fill(fill));
        let alone = settled.alone.iter().map(|cost| delivery.cost(cost));
        let events = fills.chain(alone).collect::<Result<Vec<_>, _>>()?;
        self.events.extend(events);
        Ok(())
    }
}
