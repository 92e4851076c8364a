//! How long to wait after an accept error, and which errors need no wait.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

/// What an accept error means for the loop around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptErrorKind {
    /// The peer was gone before it was accepted; the next one may be fine.
    Gone,
    /// Descriptors, memory or buffers are used up. Trying at once would spin:
    /// the connection stays in the queue and the listener stays readable.
    Exhausted,
    /// Anything else; treated as if it were to stay for a while.
    Other,
}

impl AcceptErrorKind {
    /// Sorts an error of `accept`.
    pub fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(
                Errno::CONNABORTED | Errno::CONNRESET | Errno::INTR | Errno::PROTO | Errno::PIPE
                // accept(2): network errors of the new connection are reported on accept.
                | Errno::NETDOWN | Errno::NOPROTOOPT | Errno::HOSTDOWN | Errno::NONET
                | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT,
            ) => Self::Gone,
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => Self::Exhausted,
            _ => Self::Other,
        }
    }
}

/// A doubling wait, from [`BACKOFF_MIN`] to [`BACKOFF_MAX`].
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Backoff {
    pub const fn new() -> Self {
        Self { next: BACKOFF_MIN }
    }

    /// The wait after one more failure.
    pub fn step(&mut self) -> Duration {
        let now = self.next;
        self.next = BACKOFF_MAX.min(now.saturating_mul(2));
        now
    }

    /// A success: the next failure waits for the shortest time again.
    pub const fn reset(&mut self) {
        self.next = BACKOFF_MIN;
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_start_again() {
        let mut backoff = Backoff::new();
        let first: Vec<_> = (0..12).map(|_| backoff.step()).collect();
        assert_eq!(first[0], BACKOFF_MIN);
        assert_eq!(first[1], BACKOFF_MIN * 2);
        assert_eq!(first[11], BACKOFF_MAX);
        backoff.reset();
        assert_eq!(backoff.step(), BACKOFF_MIN);
    }

    #[test]
    fn only_a_vanished_peer_is_worth_no_wait() {
        let kind = |errno: Errno| AcceptErrorKind::of(&errno.into());
        assert_eq!(kind(Errno::CONNABORTED), AcceptErrorKind::Gone);
        assert_eq!(kind(Errno::MFILE), AcceptErrorKind::Exhausted);
        assert_eq!(kind(Errno::NFILE), AcceptErrorKind::Exhausted);
        assert_eq!(kind(Errno::BADF), AcceptErrorKind::Other);
        assert_eq!(AcceptErrorKind::of(&io::Error::other("x")), AcceptErrorKind::Other);
    }
}
