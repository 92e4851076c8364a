//! How often what happened: a closed set of counters without labels.
//!
//! **Invariant:** no counter can carry a session, a key, a symbol, an amount,
//! an address or an error's text, because none has a label.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::category::Category;

/// Something that is counted besides the categories of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    ConnectionAccepted,
    ConnectionOverCapacity,
    ConnectionOverAddressLimit,
    PreambleRefused,
    HandshakeFailed,
    HeadRefused,
    ConnectionCut,
    RequestServed,
    DocumentMade,
    DocumentRefused,
    EnvelopeReplayed,
    SessionOpened,
    SessionRevoked,
    SessionExpired,
    ClockHeld,
}

impl Event {
    /// Every event, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::ConnectionAccepted,
        Self::ConnectionOverCapacity,
        Self::ConnectionOverAddressLimit,
        Self::PreambleRefused,
        Self::HandshakeFailed,
        Self::HeadRefused,
        Self::ConnectionCut,
        Self::RequestServed,
        Self::DocumentMade,
        Self::DocumentRefused,
        Self::EnvelopeReplayed,
        Self::SessionOpened,
        Self::SessionRevoked,
        Self::SessionExpired,
        Self::ClockHeld,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionAccepted => "connection_accepted",
            Self::ConnectionOverCapacity => "connection_over_capacity",
            Self::ConnectionOverAddressLimit => "connection_over_address_limit",
            Self::PreambleRefused => "preamble_refused",
            Self::HandshakeFailed => "handshake_failed",
            Self::HeadRefused => "head_refused",
            Self::ConnectionCut => "connection_cut",
            Self::RequestServed => "request_served",
            Self::DocumentMade => "document_made",
            Self::DocumentRefused => "document_refused",
            Self::EnvelopeReplayed => "envelope_replayed",
            Self::SessionOpened => "session_opened",
            Self::SessionRevoked => "session_revoked",
            Self::SessionExpired => "session_expired",
            Self::ClockHeld => "clock_held",
        }
    }
}

/// The counters of one process.
#[derive(Debug, Default)]
pub struct Counters {
    events: [AtomicU64; Event::ALL.len()],
    refusals: [AtomicU64; Category::ALL.len()],
}

impl Counters {
    /// Counts `event` once.
    pub fn count(&self, event: Event) {
        if let Some(counter) = Self::slot(&self.events, &Event::ALL, &event) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an answer that refuses, by its category.
    pub fn refuse(&self, category: Category) {
        if let Some(counter) = Self::slot(&self.refusals, &Category::ALL, &category) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often `event` happened.
    pub fn of(&self, event: Event) -> u64 {
        Self::slot(&self.events, &Event::ALL, &event).map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// How many answers refused with `category`.
    pub fn refused(&self, category: Category) -> u64 {
        Self::slot(&self.refusals, &Category::ALL, &category)
            .map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// Every counter that is not zero, by name.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        let events = Event::ALL.iter().map(|event| (event.name(), self.of(*event)));
        let refusals = Category::ALL.iter().map(|c| (c.code(), self.refused(*c)));
        events.chain(refusals).filter(|(_, count)| *count > 0).collect()
    }

    fn slot<'a, T: PartialEq>(
        counters: &'a [AtomicU64],
        all: &[T],
        one: &T,
    ) -> Option<&'a AtomicU64> {
        counters.get(all.iter().position(|other| other == one)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_event_and_category_counts_for_itself() {
        let counters = Counters::default();
        for event in Event::ALL {
            counters.count(event);
        }
        for category in Category::ALL {
            counters.refuse(category);
        }
        let snapshot = counters.snapshot();
        assert_eq!(snapshot.len(), Event::ALL.len() + Category::ALL.len());
        assert!(snapshot.iter().all(|(_, count)| *count == 1), "{snapshot:?}");
        let names: BTreeSet<_> = snapshot.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), snapshot.len(), "names are distinct");
    }
}
