//! The scenario clock: it stands still until a poll round is complete.
//!
//! Ticks are `session_start + k * poll_interval` up to `as_of`. Whoever polls
//! ends a round by naming the tick it polled; only the current tick can be
//! ended, so two callers that finish the same round move the clock once.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::scenario::{Config, Stamp};

/// A handle on the clock; clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Stamp,
    end: Stamp,
    interval_micros: i64,
    state: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    now: Stamp,
    ended: bool,
}

/// What `GET /clock` shows. All times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockView {
    pub now_ms: u64,
    pub start_ms: u64,
    pub end_ms: u64,
    pub interval_ms: u64,
    pub ended: bool,
}

/// The body of `POST /clock/round`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Round {
    pub(crate) tick_ms: u64,
}

/// The tick named is not the current one; the clock did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the clock is at another tick")]
pub struct NotThisTick(pub ClockView);

impl Clock {
    pub(crate) fn new(config: &Config) -> Self {
        let interval_micros = i64::from(config.poll_interval_s) * 1_000_000;
        let span = config.as_of.micros() - config.session_start.micros();
        let end = config.session_start.plus_micros(span - span.rem_euclid(interval_micros));
        let state = State { now: config.session_start, ended: false };
        Self {
            start: config.session_start,
            end,
            interval_micros,
            state: Arc::new(watch::Sender::new(state)),
        }
    }

    pub fn now(&self) -> Stamp {
        self.state.borrow().now
    }

    pub fn view(&self) -> ClockView {
        self.show(*self.state.borrow())
    }

    /// Ends the round at `tick_ms` and moves to the next tick. At the last
    /// tick the clock stays and `ended` turns true.
    ///
    /// # Errors
    /// When the clock stands at another tick.
    pub fn round(&self, tick_ms: u64) -> Result<ClockView, NotThisTick> {
        let mut moved = false;
        self.state.send_if_modified(|state| {
            if state.now.millis() != tick_ms {
                return false;
            }
            moved = true;
            if state.now < self.end {
                state.now = state.now.plus_micros(self.interval_micros);
            } else {
                state.ended = true;
            }
            true
        });
        let view = self.view();
        if moved { Ok(view) } else { Err(NotThisTick(view)) }
    }

    /// Moves on until `wanted_ms` is reached or the scenario has ended; for tests that need no
    /// poller.
    pub fn advance_to(&self, wanted_ms: u64) -> ClockView {
        loop {
            let view = self.view();
            if view.now_ms >= wanted_ms || view.ended || self.round(view.now_ms).is_err() {
                return self.view();
            }
        }
    }

    /// Waits until the round at the last tick is over.
    pub async fn ended(&self) {
        let mut watcher = self.state.subscribe();
        // The sender lives in self, so waiting cannot fail.
        drop(watcher.wait_for(|state| state.ended).await);
    }

    fn show(&self, state: State) -> ClockView {
        ClockView {
            now_ms: state.now.millis(),
            start_ms: self.start.millis(),
            end_ms: self.end.millis(),
            interval_ms: u64::try_from(self.interval_micros / 1000).unwrap_or(0),
            ended: state.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn clock(as_of: &str) -> Clock {
        let text = format!(
            r#"{{"schema":"pa-case/1","id":"x","title":"x","features":[],"events":[],"config":
            {{"base_currency":"USD","session_start":"2026-01-01T00:00:00Z","as_of":"{as_of}"}}}}"#
        );
        Clock::new(&Scenario::parse(text.as_bytes()).unwrap().config)
    }

    #[test]
    fn a_round_moves_one_tick_and_the_last_one_ends() {
        let clock = clock("2026-01-01T00:10:00Z");
        let start = clock.view();
        assert_eq!(start.end_ms - start.start_ms, 600_000);
        let second = clock.round(start.now_ms).unwrap();
        assert_eq!(second.now_ms, start.now_ms + 300_000);
        let third = clock.round(second.now_ms).unwrap();
        assert_eq!((third.now_ms, third.ended), (start.end_ms, false));
        let last = clock.round(third.now_ms).unwrap();
        assert_eq!((last.now_ms, last.ended), (start.end_ms, true));
    }

    #[test]
    fn only_the_current_tick_can_be_ended() {
        let clock = clock("2026-01-01T01:00:00Z");
        let start = clock.view().now_ms;
        let after = clock.round(start).unwrap();
        for wrong in [start, start + 1, start + 600_000] {
            assert_eq!(clock.round(wrong), Err(NotThisTick(after)));
        }
    }

    #[test]
    fn a_period_that_is_no_multiple_ends_at_its_last_whole_tick() {
        let view = clock("2026-01-01T00:12:30Z").view();
        assert_eq!(view.end_ms - view.start_ms, 600_000);
    }
}
