//! Where client and server run.
//!
//! A customer and an enclave never share a processor, so round trips are
//! measured with each on one of its own, and the proxy where the scheduler puts
//! it. Together on one, as a loopback benchmark does by default, a direct round
//! trip is two switches of context and one through any proxy is four.

use std::io;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The processors that this process may use, one placement of its threads each.
#[derive(Clone, Copy)]
pub(crate) enum Placement {
    /// Client and server on different processors.
    Apart,
    /// Everything on one.
    Together,
}

pub(crate) struct Places {
    all: CpuSet,
    first: usize,
    last: usize,
}

impl Places {
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let first = allowed.next().unwrap_or(0);
        let last = allowed.next_back().unwrap_or(first);
        Ok(Self { all, first, last })
    }

    /// Puts the calling thread, the server and the proxies where they belong.
    pub(crate) fn place(&self, how: Placement, server: u32, proxies: &[u32]) -> io::Result<()> {
        let only = |cpu| {
            let mut set = CpuSet::new();
            set.set(cpu);
            set
        };
        let (client, far, between) = match how {
            Placement::Apart => (only(self.first), only(self.last), self.all),
            Placement::Together => (only(self.last), only(self.last), only(self.last)),
        };
        sched_setaffinity(None, &client)?;
        set_process(server, &far)?;
        proxies.iter().try_for_each(|proxy| set_process(*proxy, &between))
    }

    /// Everything may run anywhere again.
    pub(crate) fn release(&self, server: u32, proxies: &[u32]) -> io::Result<()> {
        sched_setaffinity(None, &self.all)?;
        set_process(server, &self.all)?;
        proxies.iter().try_for_each(|proxy| set_process(*proxy, &self.all))
    }
}

fn set_process(process: u32, set: &CpuSet) -> io::Result<()> {
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.file_name();
        let id = task.to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw);
        // A thread that ended meanwhile needs no place.
        drop(io::Result::Ok(sched_setaffinity(id, set)));
    }
    Ok(())
}
