//! How many connections there may be: in all, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts the connections of one road.
#[derive(Debug, Default)]
pub struct Admission {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_source: HashMap<Source, usize>,
}

/// Who a connection is counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// An IPv4 address, or an IPv6 network of 64 bits: a customer has at least
    /// that many addresses to choose from.
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            ip @ IpAddr::V4(_) => ip,
        })
    }
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Total,
    PerAddress,
}

/// A place among the open connections; dropping it frees the place.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    source: Option<Source>,
}

impl Admission {
    /// Takes a place, if there is one. A `source` of `None` counts only in all.
    pub fn admit(
        self: &Arc<Self>,
        source: Option<Source>,
        total_max: usize,
        per_address_max: usize,
    ) -> Result<Place, Refused> {
        let mut open = self.lock();
        if open.total >= total_max {
            return Err(Refused::Total);
        }
        if let Some(source) = source {
            let count = open.by_source.entry(source).or_default();
            if *count >= per_address_max {
                return Err(Refused::PerAddress);
            }
            *count += 1;
        }
        open.total += 1;
        Ok(Place { admission: Arc::clone(self), source })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.lock();
        open.total -= 1;
        if let Some(source) = self.source
            && let Some(count) = open.by_source.get_mut(&source)
        {
            *count -= 1;
            if *count == 0 {
                open.by_source.remove(&source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    #[test]
    fn places_are_bounded_in_all_and_per_address() {
        let admission = Arc::new(Admission::default());
        let first = admission.admit(Some(source("192.0.2.1")), 3, 1).unwrap();
        assert_eq!(
            admission.admit(Some(source("192.0.2.1")), 3, 1).unwrap_err(),
            Refused::PerAddress
        );
        let _second = admission.admit(Some(source("192.0.2.2")), 3, 1).unwrap();
        let _third = admission.admit(None, 3, 1).unwrap();
        assert_eq!(admission.admit(Some(source("192.0.2.3")), 3, 1).unwrap_err(), Refused::Total);
        drop(first);
        let _again = admission.admit(Some(source("192.0.2.1")), 3, 1).unwrap();
    }

    #[test]
    fn nothing_is_remembered_of_who_left() {
        let admission = Arc::new(Admission::default());
        drop(admission.admit(Some(source("192.0.2.1")), 3, 1).unwrap());
        assert!(admission.lock().by_source.is_empty());
        assert_eq!(admission.lock().total, 0);
    }

    #[test]
    fn a_network_of_64_bits_is_one_address() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    }
}
