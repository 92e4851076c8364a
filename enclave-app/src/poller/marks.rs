//! How far the fills of one pair have been read.
//!
//! Ids of a pair ascend, so a list can go on at an id. But a fill can show up a little later than
//! one with a larger id, so the mark stays behind: it passes a fill only once that is [`OVERLAP`]
//! old. Until a pair has such a fill it is asked by time, for as long a window as one question
//! may cover. What an overlap brings a second time is recognised by its id.
//!
//! **Invariant:** marks move only in [`Marks::advance`], which is called after a whole answer.

use std::collections::BTreeMap;
use std::time::Duration;

use exchanges::{Query, Window};
use protocol::time::UnixMillis;

/// How long a fill may take to show up in the exchange's list: three polls.
pub(super) const OVERLAP: Duration = Duration::from_mins(15);

/// What was read of one pair.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Every fill below this id was read, long ago.
    settled: Option<u64>,
    /// When each fill that can come again happened.
    recent: BTreeMap<String, UnixMillis>,
    /// Everything up to here was read at least once.
    covered: Option<UnixMillis>,
    /// Ids that are no numbers are forgotten from before here.
    forgotten: UnixMillis,
}

impl Marks {
    /// What to ask now. `since` is the last moment that is of no interest; no question may cover
    /// more than `window_max`.
    pub(super) fn questions(
        &self,
        pair: &str,
        since: UnixMillis,
        now: UnixMillis,
        window_max: Duration,
    ) -> Vec<Query> {
        if let Some(id) = self.settled {
            return vec![Query::fills_from(pair, id)];
        }
        let reach = before(now, window_max.saturating_sub(Duration::from_millis(1)));
        let start = self.start(since).min(reach).max(first(since));
        Window::new(start, now)
            .split(window_max)
            .map(|window| Query::fills_in(pair, window))
            .collect()
    }

    /// The same for a list of all pairs, which is asked by time alone.
    pub(super) fn windows(
        &self,
        since: UnixMillis,
        now: UnixMillis,
        window_max: Duration,
    ) -> impl Iterator<Item = Window> {
        Window::new(self.start(since), now).split(window_max)
    }

    fn start(&self, since: UnixMillis) -> UnixMillis {
        let first = first(since);
        self.covered.map_or(first, |covered| before(covered, OVERLAP).max(first))
    }

    /// Whether a fill was not read before. Rows from before a question's beginning can come along:
    /// they were read, and their ids may be forgotten.
    pub(super) fn is_new(&self, id: &str, at: UnixMillis) -> bool {
        let known_by_time = id.parse::<u64>().is_err() && at < self.forgotten;
        !known_by_time && !self.recent.contains_key(id)
    }

    /// Whether the pair has ever had a fill.
    pub(super) fn is_used(&self) -> bool {
        self.settled.is_some() || !self.recent.is_empty()
    }

    /// When the pair was last read.
    pub(super) const fn covered(&self) -> Option<UnixMillis> {
        self.covered
    }

    /// Everything asked at `now` was answered, and held these fills.
    pub(super) fn advance(
        &mut self,
        read: impl IntoIterator<Item = (String, UnixMillis)>,
        now: UnixMillis,
        window_max: Duration,
    ) {
        self.covered = Some(now);
        self.recent.extend(read);
        let old = before(now, OVERLAP);
        let settled = self
            .recent
            .iter()
            .filter(|(_, at)| **at <= old)
            .filter_map(|(id, _)| id.parse::<u64>().ok()?.checked_add(1))
            .max();
        self.settled = self.settled.max(settled);
        // Ids that are no numbers can come again as long as their window does.
        self.forgotten = before(now, window_max.saturating_add(OVERLAP));
        self.recent.retain(|id, at| match (id.parse::<u64>(), self.settled) {
            (Ok(id), Some(settled)) => id >= settled,
            _ => *at >= self.forgotten,
        });
    }
}

/// The first moment that is of interest.
const fn first(since: UnixMillis) -> UnixMillis {
    UnixMillis(since.0.saturating_add(1))
}

fn before(at: UnixMillis, by: Duration) -> UnixMillis {
    UnixMillis(at.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use exchanges::FillsFrom;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);
    const SINCE: UnixMillis = UnixMillis(1_000_000_000_000);

    fn after(minutes: u64) -> UnixMillis {
        SINCE.saturating_add(Duration::from_mins(minutes))
    }

    fn asked(marks: &Marks, now: UnixMillis) -> Vec<FillsFrom> {
        let from = |query| {
            let Query::Fills { from, .. } = query else { panic!("{query:?}") };
            from
        };
        marks.questions("BTCUSDT", SINCE, now, DAY).into_iter().map(from).collect()
    }

    fn window(start: u64, end: u64) -> FillsFrom {
        FillsFrom::Window(Window::new(UnixMillis(start), UnixMillis(end)))
    }

    #[test]
    fn without_fills_one_window_reaches_back_to_the_start_or_a_day() {
        let mut marks = Marks::default();
        assert_eq!(asked(&marks, SINCE), []);
        assert_eq!(asked(&marks, after(5)), [window(SINCE.0 + 1, after(5).0)]);
        for day in 1..4 {
            let now = after(day * 24 * 60);
            marks.advance([], UnixMillis(now.0 - 300_000), DAY);
            assert_eq!(asked(&marks, now), [window(after((day - 1) * 24 * 60).0 + 1, now.0)]);
        }
    }

    #[test]
    fn after_an_outage_windows_go_back_to_where_reading_ended() {
        let mut marks = Marks::default();
        marks.advance([], after(60), DAY);
        let now = after(60 + 3 * 24 * 60);
        let windows = asked(&marks, now);
        assert_eq!(windows.len(), 4);
        assert_eq!(windows[0], window(after(45).0, after(45).0 + 86_400_000 - 1));
        assert_eq!(windows[3], window(after(45).0 + 3 * 86_400_000, now.0));
    }

    #[test]
    fn the_mark_follows_at_a_distance_and_what_comes_again_is_known() {
        let mut marks = Marks::default();
        let fill = |id: &str, minutes| (id.to_owned(), after(minutes));
        marks.advance([fill("7", 3), fill("9", 12)], after(15), DAY);
        assert!(!marks.is_new("7", after(3)) && !marks.is_new("9", after(12)));
        assert!(marks.is_new("8", after(12)));
        assert_eq!(asked(&marks, after(16)), [window(SINCE.0 + 1, after(16).0)]);
        marks.advance([fill("10", 19)], after(20), DAY);
        assert_eq!(asked(&marks, after(20)), [FillsFrom::Id(8)]);
        assert!(!marks.is_new("9", after(12)) && !marks.is_new("10", after(19)));
        // A fill that shows up after one with a larger id.
        assert!(marks.is_new("8", after(12)));
        marks.advance([fill("8", 12)], after(25), DAY);
        marks.advance([], after(60), DAY);
        assert_eq!(asked(&marks, after(60)), [FillsFrom::Id(11)]);
        assert!(marks.recent.is_empty());
    }

    #[test]
    fn ids_that_are_no_numbers_are_read_by_time() {
        let mut marks = Marks::default();
        marks.advance([("T-1".to_owned(), after(3))], after(5), DAY);
        assert!(marks.is_used() && !marks.is_new("T-1", after(3)));
        marks.advance([], after(24 * 60), DAY);
        assert!(!marks.is_new("T-1", after(3)));
        assert_eq!(asked(&marks, after(24 * 60 + 5)).len(), 1);
        marks.advance([], after(26 * 60), DAY);
        assert!(!marks.recent.contains_key("T-1"), "no window reaches back to it");
        assert!(!marks.is_new("T-1", after(3)), "it was read if it comes along");
        assert!(marks.is_new("T-2", after(26 * 60)));
    }
}
