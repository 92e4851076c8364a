//! Whether exchanges answer, between polls: a question to each every few seconds, shared by
//! everybody, since polls of five minutes cannot see an outage of half a minute.
//!
//! The question is the exchange's time, so its clock is known to within a ping.

use std::time::Duration;

use protocol::time::UnixMillis;
use tracing::{info, warn};

use super::ask::Desk;
use super::market::PublicData;

/// Silence of this length is an outage.
const OUTAGE_MIN: Duration = Duration::from_secs(30);

/// Pings one exchange for ever.
pub(super) async fn keep(desk: &Desk, data: &PublicData, interval: Duration) {
    let mut watch = Watch::new(desk.clock.now());
    let venue = data.venue();
    loop {
        tokio::time::sleep(interval).await;
        let answered = data.ping(desk).await;
        match watch.note(answered.is_ok(), desk.clock.now()) {
            Some(Change::Silent) => {
                let category = answered.err().map_or("", |error| error.category().code());
                warn!(venue, category, "an exchange does not answer");
            }
            Some(Change::Back(after)) => {
                info!(venue, secs = after.as_secs(), "an exchange answers again");
            }
            None => {}
        }
    }
}

/// When an exchange last answered.
#[derive(Debug)]
struct Watch {
    answered: UnixMillis,
    silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Silent,
    /// After this long.
    Back(Duration),
}

impl Watch {
    const fn new(now: UnixMillis) -> Self {
        Self { answered: now, silent: false }
    }

    /// What changed with the ping that ended at `now`.
    fn note(&mut self, answered: bool, now: UnixMillis) -> Option<Change> {
        let silence = now.since(self.answered);
        if answered {
            self.answered = now;
            return std::mem::take(&mut self.silent).then_some(Change::Back(silence));
        }
        let outage = silence >= OUTAGE_MIN && !self.silent;
        self.silent |= outage;
        outage.then_some(Change::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_and_so_is_its_end() {
        let start = UnixMillis(1_000_000);
        let after = |secs| start.saturating_add(Duration::from_secs(secs));
        let mut watch = Watch::new(start);
        let notes: Vec<_> = [(10, true), (20, false), (30, false), (40, false), (50, false)]
            .map(|(secs, answered)| watch.note(answered, after(secs)))
            .into();
        assert_eq!(notes, [None, None, None, Some(Change::Silent), None]);
        assert_eq!(watch.note(true, after(60)), Some(Change::Back(Duration::from_secs(50))));
        assert_eq!(watch.note(true, after(70)), None);
    }

    #[test]
    fn a_short_silence_is_none() {
        let mut watch = Watch::new(UnixMillis(0));
        assert_eq!(watch.note(false, UnixMillis(29_999)), None);
        assert_eq!(watch.note(true, UnixMillis(30_000)), None);
    }
}
