//! From an allowed name to a connection: where DNS may lead and where not.
//!
//! # Guarantees
//!
//! * Without `private_ok` or a route of the operator's, only globally reachable
//!   unicast addresses are dialled. Whoever controls a DNS answer cannot turn
//!   the proxy on the instance's metadata, its own ports or its network.
//! * A multicast, broadcast or unspecified address is never dialled.
//! * Addresses that were checked are the ones dialled; nothing is looked up twice.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use transport::{Stream, dial_tcp};

use super::target::Target;
use crate::allow_list::Allowed;
use crate::config::Timeouts;
use crate::limits::{LOOKUPS_MAX, RESOLVED_MAX};
use crate::metrics::EgressOutcome;

/// Who is asked for addresses. Blocking; called on a thread of its own.
pub type Ask = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// The resolver, and how many look-ups it may have under way.
pub struct Resolver {
    ask: Arc<Ask>,
    permits: Arc<Semaphore>,
}

impl Resolver {
    /// The system's: `getaddrinfo`.
    pub fn system() -> Self {
        Self::new(|host, port| (host, port).to_socket_addrs().map(Iterator::collect))
    }

    pub fn new(
        ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self { ask: Arc::new(ask), permits: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }

    /// A look-up that was given up keeps its permit until its thread is free.
    async fn look_up(&self, target: &Target<'_>) -> io::Result<Vec<SocketAddr>> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(io::Error::other)?;
        let (host, port) = (target.host.to_owned(), target.port);
        let ask = Arc::clone(&self.ask);
        spawn_blocking(move || {
            let found = ask(&host, port);
            drop(permit);
            found
        })
        .await?
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("permits", &self.permits).finish_non_exhaustive()
    }
}

/// Connects to an allowed host.
///
/// # Errors
///
/// The refusal that the enclave is told.
pub async fn connect(
    target: &Target<'_>,
    allowed: &Allowed,
    timeouts: &Timeouts,
    resolver: &Resolver,
) -> Result<Stream, EgressOutcome> {
    let addresses = if let Some(at) = allowed.connect_to {
        vec![at]
    } else {
        let found = timeout(timeouts.lookup, resolver.look_up(target))
            .await
            .map_err(|_| EgressOutcome::LookupTimeout)?
            .map_err(|_| EgressOutcome::LookupFailed)?;
        permitted(found, allowed.private_ok)?
    };
    dial_first(&addresses, timeouts.connect).await
}

/// The addresses that may be dialled; the refusal if there is none.
fn permitted(found: Vec<SocketAddr>, private_ok: bool) -> Result<Vec<SocketAddr>, EgressOutcome> {
    if found.is_empty() {
        return Err(EgressOutcome::LookupFailed);
    }
    let fits = |at: &SocketAddr| is_public(at.ip()) || (private_ok && is_unicast(at.ip()));
    let kept: Vec<_> = found.into_iter().filter(fits).take(RESOLVED_MAX).collect();
    if kept.is_empty() { Err(EgressOutcome::PrivateAddress) } else { Ok(kept) }
}

/// Tries one after another; each gets an even share of the time that is left.
async fn dial_first(addresses: &[SocketAddr], within: Duration) -> Result<Stream, EgressOutcome> {
    let deadline = Instant::now() + within;
    let mut last = EgressOutcome::ConnectFailed;
    for (tried, at) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let remaining = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match timeout_at(Instant::now() + left / remaining, dial_tcp(*at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(_)) => last = EgressOutcome::ConnectFailed,
            Err(_) => last = EgressOutcome::ConnectTimeout,
        }
    }
    Err(last)
}

/// Whether an address is one host's: neither a group nor nobody.
const fn is_unicast(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_multicast() || ip.is_broadcast() || ip.octets()[0] == 0),
        IpAddr::V6(ip) => !(ip.is_multicast() || ip.is_unspecified()),
    }
}

/// Whether an address is globally reachable (IANA's special-purpose registries).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

const fn is_public_v4(ip: Ipv4Addr) -> bool {
    !matches!(
        ip.octets(),
        [0 | 10 | 127 | 224..=255, ..]      // this network, private, loopback, multicast, reserved
            | [100, 64..=127, ..]           // carrier-grade NAT, RFC 6598
            | [169, 254, ..]                // link-local, and the instance's metadata
            | [172, 16..=31, ..]            // private, RFC 1918
            | [192, 0, 0 | 2, _]            // protocol assignments, documentation
            | [192, 88, 99, _]              // 6to4 relays, deprecated
            | [192, 168, ..]                // private, RFC 1918
            | [198, 18..=19, ..]            // benchmarks, RFC 2544
            | [198, 51, 100, _]             // documentation
            | [203, 0, 113, _] // documentation
    )
}

/// Global unicast is 2000::/3. Mapped, translated, unique local, link-local and
/// multicast addresses lie outside; what is special within is taken out.
const fn is_public_v6(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0x2000..=0x3fff, ..])
        && !matches!(
            ip.segments(),
            // Protocol assignments (Teredo, ORCHID, benchmarks) and documentation.
            [0x2001, 0..=0x01ff | 0x0db8, ..]
                // 6to4, which holds an IPv4 address of anybody's choice; 6bone; documentation.
                | [0x2002 | 0x3ffe | 0x3fff, ..]
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_globally_reachable_addresses_are_public() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.0.0.1",
            "128.0.0.1",
            "169.253.0.1",
            "169.255.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.0.1",
            "192.169.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2600:1f18::1",
            "2a00:1450::1",
            "2001:200::1",
            "2003::1",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "169.254.169.253",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn private_answers_are_refused_unless_the_entry_says_so() {
        let at = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 443);
        let (private, public) = (at("10.0.0.1"), at("1.1.1.1"));
        assert_eq!(permitted(vec![private], false), Err(EgressOutcome::PrivateAddress));
        assert_eq!(permitted(vec![private], true), Ok(vec![private]));
        assert_eq!(permitted(vec![private, public], false), Ok(vec![public]));
        assert_eq!(permitted(vec![], true), Err(EgressOutcome::LookupFailed));
        for never in ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1", "::ffff:0.0.0.0"]
        {
            let got = permitted(vec![at(never)], true);
            assert_eq!(got, Err(EgressOutcome::PrivateAddress), "{never}");
        }
    }

    #[test]
    fn no_more_addresses_are_tried_than_the_bound() {
        let many = (0..100).map(|last| SocketAddr::from(([1, 1, 1, last], 443))).collect();
        assert_eq!(permitted(many, false).unwrap().len(), RESOLVED_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_gets_no_thread_is_too_slow() {
        let target = Target { host: "a.bc", port: 443 };
        let allowed = Allowed { private_ok: false, connect_to: None };
        let resolver = Resolver::new(|_, _| Ok(Vec::new()));
        let _all = Arc::clone(&resolver.permits)
            .acquire_many_owned(u32::try_from(LOOKUPS_MAX).unwrap())
            .await
            .unwrap();
        let got = connect(&target, &allowed, &Timeouts::default(), &resolver).await;
        assert_eq!(got.unwrap_err(), EgressOutcome::LookupTimeout);
    }
}
