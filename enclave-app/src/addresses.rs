//! Limits for each client address.
//!
//! The address comes from the parent's PROXY header. The parent is not
//! trusted, so it serves fairness between clients and nothing else: no
//! authorisation, no audit identity, no log.
//!
//! # Limits
//!
//! An IPv6 /64 counts as one address, since one customer holds all of it.
//! [`ADDRESSES_MAX`] addresses are remembered; past it, addresses that have
//! been quiet are forgotten, and if that is not enough new ones are refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::image_config::{Firewall, SecurityModule};
use crate::limits::ADDRESSES_MAX;

/// What limits are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    Address(IpAddr),
    /// Clients that the parent knows no address of: all of them together.
    Unknown,
    /// The parent's own probes, which no customer can reach or crowd out.
    Parent,
}

impl Origin {
    /// Of a client's address, where there is one.
    pub fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::Address(address.into()),
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) & (u128::MAX << 64);
                Self::Address(Ipv6Addr::from(network).into())
            }
        }
    }
}

/// The limits of all addresses.
#[derive(Debug)]
pub struct Addresses {
    open: Mutex<HashMap<Origin, usize>>,
    open_max: usize,
    connections: DefaultKeyedRateLimiter<Origin>,
    requests: DefaultKeyedRateLimiter<Origin>,
    documents: DefaultKeyedRateLimiter<Origin>,
    remembered_max: usize,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Counted {
    of: Arc<Addresses>,
    origin: Origin,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.of.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.origin) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.origin);
            }
        }
    }
}

impl Addresses {
    pub fn new(limits: &Firewall, module: &SecurityModule) -> Self {
        let quota =
            |per_minute: NonZeroU32| Quota::per_minute(per_minute).allow_burst(limits.burst);
        let documents = Quota::per_minute(module.documents_per_address_per_min);
        Self {
            open: Mutex::default(),
            open_max: limits.connections_per_address_max,
            connections: RateLimiter::keyed(quota(limits.connections_per_address_per_min)),
            requests: RateLimiter::keyed(quota(limits.requests_per_address_per_min)),
            documents: RateLimiter::keyed(documents.allow_burst(module.burst_per_address)),
            remembered_max: ADDRESSES_MAX,
        }
    }

    /// Counts a new connection; `None` past a limit.
    pub fn connect(self: &Arc<Self>, origin: Origin) -> Option<Counted> {
        if !self.allows(&self.connections, origin) {
            return None;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(origin).or_insert(0);
        if *count >= self.open_max {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Counted { of: Arc::clone(self), origin })
    }

    /// Whether `origin` may make another request now.
    pub fn may_request(&self, origin: Origin) -> bool {
        self.allows(&self.requests, origin)
    }

    /// Whether `origin` may ask for another attestation document now: the
    /// module serves everybody, and is slower than everything else.
    pub fn may_attest(&self, origin: Origin) -> bool {
        self.allows(&self.documents, origin)
    }

    /// Forgets addresses that have been quiet.
    pub fn sweep(&self) {
        for limiter in [&self.connections, &self.requests, &self.documents] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn allows(&self, limiter: &DefaultKeyedRateLimiter<Origin>, origin: Origin) -> bool {
        if limiter.len() >= self.remembered_max {
            limiter.retain_recent();
            if limiter.len() >= self.remembered_max {
                return false;
            }
        }
        limiter.check_key(&origin).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let few = NonZeroU32::new(3).unwrap();
        let module = SecurityModule {
            documents_per_sec: few,
            burst: few,
            documents_per_address_per_min: NonZeroU32::MIN,
            burst_per_address: NonZeroU32::MIN,
        };
        let firewall = Firewall {
            connections_max: 10,
            connections_per_address_max: 2,
            requests_max: 10,
            connections_per_address_per_min: NonZeroU32::MIN,
            requests_per_address_per_min: NonZeroU32::MIN,
            burst: few,
        };
        Addresses::new(&firewall, &module)
    }

    fn origin(text: &str) -> Origin {
        Origin::of(Some(text.parse().unwrap()))
    }

    #[test]
    fn one_address_does_not_use_up_anothers_share() {
        let addresses = addresses();
        let (one, other) = (origin("192.0.2.1"), origin("192.0.2.2"));
        assert!((0..3).all(|_| addresses.may_request(one)));
        assert!(!addresses.may_request(one));
        assert!(addresses.may_request(other));
        assert!(addresses.may_request(Origin::Unknown));
    }

    #[test]
    fn documents_are_counted_apart() {
        let addresses = addresses();
        let one = origin("192.0.2.1");
        assert!(addresses.may_attest(one));
        assert!(!addresses.may_attest(one));
        assert!(addresses.may_request(one));
        assert!(addresses.may_attest(origin("192.0.2.2")));
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let addresses = Arc::new(addresses());
        let one = origin("192.0.2.1");
        let first = addresses.connect(one).unwrap();
        let second = addresses.connect(one).unwrap();
        assert!(addresses.connect(one).is_none());
        drop((first, second));
        assert!(addresses.open.lock().unwrap().is_empty());
        // Three were counted against the rate already.
        assert!(addresses.connect(one).is_none());
        assert!(addresses.connect(origin("192.0.2.9")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_and_a_mapped_address_count_as_one() {
        assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    }

    #[test]
    fn a_full_memory_refuses_strangers() {
        let mut addresses = addresses();
        addresses.remembered_max = 2;
        assert!(addresses.may_request(origin("192.0.2.1")));
        assert!(addresses.may_request(origin("192.0.2.2")));
        assert!(!addresses.may_request(origin("192.0.2.3")));
    }
}
