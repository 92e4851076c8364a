//! A circuit breaker for each host: whoever is down is left alone for a while.
//!
//! Five failures in a row, or a pause the host asks for, open the circuit. After the pause one
//! request may go out as a probe: its answer closes the circuit, its failure doubles the pause.
//! What was under way when the circuit opened says nothing of the time after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::time::UnixMillis;

/// Failures in a row that open the circuit.
const FAILURES_MAX: u32 = 5;
/// The first pause; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(15);
/// The longest pause of our own choice: every poll tries once.
const PAUSE_MAX: Duration = Duration::from_mins(4);
/// The longest pause a host is granted: Binance's longest ban.
const ASKED_MAX: Duration = Duration::from_hours(72);

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

/// Leave to send one request. Dropped without a verdict it changes nothing.
#[derive(Debug)]
#[must_use]
pub(super) struct Pass<'a> {
    breakers: &'a Breakers,
    host: &'static str,
    probe: bool,
}

impl Breakers {
    /// Whether a request may go out now. After a pause one probe may, until it is answered.
    pub(super) fn admit(&self, host: &'static str, now: UnixMillis) -> Result<Pass<'_>, Open> {
        let mut circuits = self.circuits();
        let circuit = circuits.entry(host).or_default();
        let probe = match circuit.open_until {
            None => false,
            Some(until) if now >= until && !circuit.probing => true,
            Some(_) => return Err(Open),
        };
        circuit.probing = probe;
        Ok(Pass { breakers: self, host, probe })
    }

    fn circuits(&self) -> MutexGuard<'_, HashMap<&'static str, Circuit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The host answered, whatever it said to this customer.
    pub(super) fn succeeded(mut self) {
        let mut circuits = self.breakers.circuits();
        let circuit = circuits.entry(self.host).or_default();
        if self.probe || circuit.open_until.is_none() {
            *circuit = Circuit::default();
        }
        self.probe = false;
    }

    /// The host failed for everybody; `asked` is the pause it asked for, if it did.
    pub(super) fn failed(mut self, now: UnixMillis, asked: Option<Duration>) {
        let mut circuits = self.breakers.circuits();
        let circuit = circuits.entry(self.host).or_default();
        circuit.failures = circuit.failures.saturating_add(1);
        let opens = match circuit.open_until {
            None => circuit.failures >= FAILURES_MAX || asked.is_some(),
            Some(_) => self.probe || asked.is_some(),
        };
        if opens {
            let own = PAUSE_MIN.saturating_mul(1 << circuit.pauses.min(10)).min(PAUSE_MAX);
            let pause = asked.map_or(own, |asked| asked.max(own).min(ASKED_MAX));
            let until = now.saturating_add(pause);
            *circuit = Circuit {
                failures: 0,
                pauses: circuit.pauses.saturating_add(1),
                open_until: circuit.open_until.max(Some(until)),
                probing: false,
            };
        }
        self.probe = false;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        // A probe that was given up must not keep all others out.
        if self.probe {
            self.breakers.circuits().entry(self.host).or_default().probing = false;
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

    fn is_open(breakers: &Breakers, host: &'static str, at: UnixMillis) -> bool {
        breakers.admit(host, at).is_err()
    }

    fn opened() -> Breakers {
        let breakers = Breakers::default();
        for _ in 0..FAILURES_MAX {
            breakers.admit(HOST, START).unwrap().failed(START, None);
        }
        breakers
    }

    #[test]
    fn failures_in_a_row_open_the_circuit_and_one_probe_closes_it() {
        let breakers = opened();
        assert!(is_open(&breakers, HOST, later(14)));
        let probe = breakers.admit(HOST, later(15)).unwrap();
        assert!(is_open(&breakers, HOST, later(15)), "one probe at a time");
        probe.succeeded();
        let _one = breakers.admit(HOST, later(15)).unwrap();
        let _other = breakers.admit(HOST, later(15)).unwrap();
    }

    #[test]
    fn a_failed_probe_doubles_the_pause() {
        let breakers = opened();
        breakers.admit(HOST, later(15)).unwrap().failed(later(15), None);
        assert!(is_open(&breakers, HOST, later(44)));
        assert!(!is_open(&breakers, HOST, later(45)));
    }

    #[test]
    fn a_probe_that_was_given_up_leaves_room_for_another() {
        let breakers = opened();
        drop(breakers.admit(HOST, later(15)).unwrap());
        assert!(!is_open(&breakers, HOST, later(15)));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let breakers = Breakers::default();
        for _ in 0..3 * FAILURES_MAX {
            breakers.admit(HOST, START).unwrap().failed(START, None);
            breakers.admit(HOST, START).unwrap().succeeded();
        }
        assert!(!is_open(&breakers, HOST, START));
    }

    #[test]
    fn what_was_under_way_when_the_circuit_opened_neither_closes_nor_prolongs_it() {
        let breakers = Breakers::default();
        let early = [(); 8].map(|()| breakers.admit(HOST, START).unwrap());
        breakers.admit(HOST, START).unwrap().failed(START, Some(Duration::from_mins(1)));
        for (index, pass) in early.into_iter().enumerate() {
            if index == 0 { pass.succeeded() } else { pass.failed(START, None) }
        }
        assert!(is_open(&breakers, HOST, later(59)));
        assert!(!is_open(&breakers, HOST, later(60)));
    }

    #[test]
    fn a_pause_the_host_asked_for_is_kept_and_bounded() {
        let breakers = Breakers::default();
        let hour = Duration::from_hours(1);
        breakers.admit(HOST, START).unwrap().failed(START, Some(hour));
        assert!(is_open(&breakers, HOST, later(3599)));
        let probe = breakers.admit(HOST, later(3600)).unwrap();
        probe.failed(later(3600), Some(1000 * hour));
        assert!(!is_open(&breakers, HOST, later(3600).saturating_add(ASKED_MAX)));
    }

    #[test]
    fn hosts_do_not_share_a_circuit() {
        assert!(!is_open(&opened(), "other.example.com", START));
    }
}
