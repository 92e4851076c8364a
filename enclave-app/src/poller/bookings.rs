//! How far the bookings of one account have been read.
//!
//! A booking can be listed a little after others of a later time, so the mark stays [`OVERLAP`]
//! behind; what comes a second time is recognised by its key.
//!
//! **Invariant:** the mark moves only in [`Bookings::advance`], after a whole answer.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::time::UnixMillis;

/// How long a booking may take to be listed: three polls.
const OVERLAP: Duration = Duration::from_mins(15);

#[derive(Debug, Default)]
pub(super) struct Bookings {
    covered: Option<UnixMillis>,
    /// When each booking that can come again happened.
    recent: BTreeMap<String, UnixMillis>,
}

impl Bookings {
    /// The first moment to ask for; `since` is the last one that is of no interest.
    pub(super) fn start(&self, since: UnixMillis) -> UnixMillis {
        let first = UnixMillis(since.0.saturating_add(1));
        self.covered.map_or(first, |covered| before(covered).max(first))
    }

    /// Whether a booking was not read before. Exchanges round the beginning of a question down:
    /// what lies before it was read, and its key may be forgotten.
    pub(super) fn is_new(&self, key: &str, at: UnixMillis) -> bool {
        self.covered.is_none_or(|covered| at >= before(covered)) && !self.recent.contains_key(key)
    }

    /// Everything asked at `now` was answered, and held these.
    pub(super) fn advance(
        &mut self,
        read: impl IntoIterator<Item = (String, UnixMillis)>,
        now: UnixMillis,
    ) {
        self.recent.extend(read);
        self.covered = Some(now);
        let oldest = before(now);
        self.recent.retain(|_, at| *at >= oldest);
    }
}

fn before(at: UnixMillis) -> UnixMillis {
    UnixMillis(at.0.saturating_sub(u64::try_from(OVERLAP.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: UnixMillis = UnixMillis(1_000_000_000_000);

    fn after(minutes: u64) -> UnixMillis {
        SINCE.saturating_add(Duration::from_mins(minutes))
    }

    #[test]
    fn the_first_question_begins_after_what_is_of_no_interest() {
        assert_eq!(Bookings::default().start(SINCE).0, SINCE.0 + 1);
    }

    #[test]
    fn later_questions_overlap_and_know_what_they_read() {
        let mut bookings = Bookings::default();
        bookings.advance([("old".to_owned(), after(5)), ("new".to_owned(), after(28))], after(30));
        assert_eq!(bookings.start(SINCE), after(15));
        assert!(!bookings.is_new("new", after(28)));
        assert!(bookings.is_new("late", after(20)));
        // What no question reaches is not remembered by its key, and not new.
        assert!(!bookings.recent.contains_key("old"));
        assert!(!bookings.is_new("old", after(5)) && bookings.is_new("edge", after(15)));
    }

    #[test]
    fn an_overlap_never_reaches_back_before_the_start() {
        let mut bookings = Bookings::default();
        bookings.advance([], after(5));
        assert_eq!(bookings.start(SINCE).0, SINCE.0 + 1);
    }
}
