//! A circuit breaker for each host: whoever is down is left alone for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::time::UnixMillis;

/// Failures in a row that open the circuit.
const FAILURES_MAX: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(15);
/// The longest pause: two polls are missed at most.
const PAUSE_MAX: Duration = Duration::from_mins(8);

#[derive(Debug, Default)]
pub(super) struct Breakers(Mutex<HashMap<&'static str, Circuit>>);

#[derive(Clone, Copy, Debug, Default)]
struct Circuit {
    failures: u32,
    pauses: u32,
    open_until: Option<UnixMillis>,
    probing: bool,
}

/// The host is being left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open;

impl Breakers {
    /// Whether a request may go out now. After a pause one probe may, until it is answered.
    pub(super) fn admit(&self, host: &'static str, now: UnixMillis) -> Result<(), Open> {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(host).or_default();
        match circuit.open_until {
            None => Ok(()),
            Some(until) if now >= until && !circuit.probing => {
                circuit.probing = true;
                Ok(())
            }
            Some(_) => Err(Open),
        }
    }

    /// The host answered, whatever it said to this customer.
    pub(super) fn succeeded(&self, host: &'static str) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        circuits.insert(host, Circuit::default());
    }

    /// The host failed for everybody; `pause` is what it asked for, if it did.
    pub(super) fn failed(&self, host: &'static str, now: UnixMillis, pause: Option<Duration>) {
        let mut circuits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let circuit = circuits.entry(host).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        if circuit.probing || circuit.failures >= FAILURES_MAX || pause.is_some() {
            let own = PAUSE_MIN.saturating_mul(1 << circuit.pauses.min(10)).min(PAUSE_MAX);
            let pause = pause.map_or(own, |asked| asked.max(own).min(PAUSE_MAX));
            *circuit = Circuit {
                failures: 0,
                pauses: circuit.pauses.saturating_add(1),
                open_until: Some(now.saturating_add(pause)),
                probing: false,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "api.example.com";
    const START: UnixMillis = UnixMillis(1_000_000);

    fn later(secs: u64) -> UnixMillis {
        START.saturating_add(Duration::from_secs(secs))
    }

    fn opened() -> Breakers {
        let breakers = Breakers::default();
        for _ in 0..FAILURES_MAX {
            assert_eq!(breakers.admit(HOST, START), Ok(()));
            breakers.failed(HOST, START, None);
        }
        breakers
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
        let breakers = opened();
        assert_eq!(breakers.admit(HOST, later(14)), Err(Open));
        assert_eq!(breakers.admit(HOST, later(15)), Ok(()));
        assert_eq!(breakers.admit(HOST, later(15)), Err(Open), "one probe at a time");
        breakers.succeeded(HOST);
        assert_eq!(breakers.admit(HOST, later(15)), Ok(()));
        assert_eq!(breakers.admit(HOST, later(15)), Ok(()));
    }

    #[test]
    fn a_failed_probe_doubles_the_pause() {
        let breakers = opened();
        assert_eq!(breakers.admit(HOST, later(15)), Ok(()));
        breakers.failed(HOST, later(15), None);
        assert_eq!(breakers.admit(HOST, later(44)), Err(Open));
        assert_eq!(breakers.admit(HOST, later(45)), Ok(()));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let breakers = Breakers::default();
        for _ in 0..3 * FAILURES_MAX {
            breakers.failed(HOST, START, None);
            breakers.succeeded(HOST);
        }
        assert_eq!(breakers.admit(HOST, START), Ok(()));
    }

    #[test]
    fn a_pause_the_host_asked_for_is_kept_and_bounded() {
        let breakers = Breakers::default();
        breakers.failed(HOST, START, Some(Duration::from_mins(2)));
        assert_eq!(breakers.admit(HOST, later(119)), Err(Open));
        assert_eq!(breakers.admit(HOST, later(120)), Ok(()));
        breakers.failed(HOST, later(120), Some(Duration::from_hours(72)));
        assert_eq!(breakers.admit(HOST, later(120 + 8 * 60)), Ok(()));
    }

    #[test]
    fn hosts_do_not_share_a_circuit() {
        let breakers = opened();
        assert_eq!(breakers.admit("other.example.com", START), Ok(()));
    }
}
