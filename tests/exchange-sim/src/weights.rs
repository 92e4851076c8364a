//! Request weights, counted as Binance counts them.
//!
//! Windows of one minute of real time: the scenario clock stands still
//! between ticks and would never give weight back. Request weight and SAPI
//! weight are counted by client address, SAPI's expensive calls by user id.
//! Past the budget every request is answered 429 until the window ends; a
//! client that goes on asking is banned with 418.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits;

/// How much a client may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// `/api` weight a minute and address.
    pub request_weight: u32,
    /// `/sapi` weight a minute and address.
    pub sapi_ip_weight: u32,
    /// `/sapi` weight a minute and user id.
    pub sapi_uid_weight: u32,
    /// Weight a minute and address of each of the futures hosts.
    pub futures_weight: u32,
    /// Requests refused with 429 in one window before the address is banned.
    pub refusals_before_ban: u32,
    /// Seconds of the ban.
    pub ban_secs: u32,
}

impl Default for Budgets {
    /// The published limits; Binance's shortest ban.
    fn default() -> Self {
        Self {
            request_weight: 6_000,
            sapi_ip_weight: 12_000,
            sapi_uid_weight: 180_000,
            futures_weight: 2_400,
            refusals_before_ban: 20,
            ban_secs: 120,
        }
    }
}

/// Which counter a request is charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pool {
    Request(IpAddr),
    SapiIp(IpAddr),
    SapiUid(u64),
    Usdm(IpAddr),
    Coinm(IpAddr),
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    Passed { used: u32 },
    Throttled { used: u32, limit: u32, retry_after_secs: u64 },
}

#[derive(Debug)]
pub(crate) struct Meter {
    budgets: Budgets,
    started: Instant,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    windows: HashMap<Pool, Window>,
    refusals: HashMap<IpAddr, Window>,
    bans: HashMap<IpAddr, Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    index: u64,
    used: u32,
}

const WINDOW_SECS: u64 = 60;

impl Meter {
    pub(crate) fn new(budgets: Budgets) -> Self {
        Self { budgets, started: Instant::now(), table: Mutex::default() }
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Seconds an address is still banned for.
    pub(crate) fn banned(&self, address: IpAddr) -> Option<u64> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let left = table.bans.get(&address)?.checked_duration_since(Instant::now())?;
        (!left.is_zero()).then(|| left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// Spends `weight`. A refused request is charged too, and counts towards the ban of `address`.
    pub(crate) fn charge(&self, pool: Pool, address: IpAddr, weight: u32) -> Charge {
        let limit = match pool {
            Pool::Request(_) => self.budgets.request_weight,
            Pool::SapiIp(_) => self.budgets.sapi_ip_weight,
            Pool::SapiUid(_) => self.budgets.sapi_uid_weight,
            Pool::Usdm(_) | Pool::Coinm(_) => self.budgets.futures_weight,
        };
        let now = Instant::now();
        let elapsed = now.duration_since(self.started).as_secs();
        let index = elapsed / WINDOW_SECS;
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.forget(index, now);
        let used = table.windows.entry(pool).or_default().add(index, weight);
        if used <= limit {
            return Charge::Passed { used };
        }
        let refused = table.refusals.entry(address).or_default().add(index, 1);
        if refused > self.budgets.refusals_before_ban {
            let until = now + Duration::from_secs(u64::from(self.budgets.ban_secs));
            table.bans.insert(address, until);
        }
        let retry_after_secs = WINDOW_SECS - elapsed % WINDOW_SECS;
        Charge::Throttled { used, limit, retry_after_secs }
    }
}

impl Window {
    fn add(&mut self, index: u64, weight: u32) -> u32 {
        if self.index != index {
            *self = Self { index, used: 0 };
        }
        self.used = self.used.saturating_add(weight);
        self.used
    }
}

impl Table {
    /// Drops ended windows and bans once the table is full.
    fn forget(&mut self, index: u64, now: Instant) {
        if self.windows.len() >= limits::METERS_MAX {
            self.windows.retain(|_, window| window.index == index);
        }
        if self.refusals.len() >= limits::METERS_MAX {
            self.refusals.retain(|_, window| window.index == index);
        }
        if self.bans.len() >= limits::METERS_MAX {
            self.bans.retain(|_, until| *until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::time::advance;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn meter() -> Meter {
        Meter::new(Budgets {
            request_weight: 100,
            refusals_before_ban: 2,
            ban_secs: 120,
            ..Budgets::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn weight_comes_back_with_the_next_window() {
        let meter = meter();
        let pool = Pool::Request(ADDRESS);
        assert_eq!(meter.charge(pool, ADDRESS, 100), Charge::Passed { used: 100 });
        advance(Duration::from_secs(45)).await;
        let over = Charge::Throttled { used: 101, limit: 100, retry_after_secs: 15 };
        assert_eq!(meter.charge(pool, ADDRESS, 1), over);
        advance(Duration::from_secs(15)).await;
        assert_eq!(meter.charge(pool, ADDRESS, 1), Charge::Passed { used: 1 });
        assert_eq!(meter.banned(ADDRESS), None);
    }

    #[tokio::test(start_paused = true)]
    async fn going_on_past_the_limit_is_banned() {
        let meter = meter();
        let pool = Pool::Request(ADDRESS);
        meter.charge(pool, ADDRESS, 101);
        meter.charge(pool, ADDRESS, 1);
        assert_eq!(meter.banned(ADDRESS), None);
        meter.charge(pool, ADDRESS, 1);
        assert_eq!(meter.banned(ADDRESS), Some(120));
        advance(Duration::from_mins(2)).await;
        assert_eq!(meter.banned(ADDRESS), None);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_and_pools_have_budgets_of_their_own() {
        let meter = meter();
        let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
        meter.charge(Pool::Request(ADDRESS), ADDRESS, 100);
        let fresh = Charge::Passed { used: 100 };
        assert_eq!(meter.charge(Pool::Request(other), other, 100), fresh);
        assert_eq!(meter.charge(Pool::SapiIp(ADDRESS), ADDRESS, 100), fresh);
        assert_eq!(meter.charge(Pool::SapiUid(1), ADDRESS, 100), fresh);
    }
}
