//! A program under measurement: started, asked for its CPU time and memory,
//! ended.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: child.spawn()? })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of CPU of this process and of the children it has waited for.
    pub(crate) fn cpu_s(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // Past the parenthesised name: state is field 3, utime to cstime are 14 to 17.
        let after = stat.rsplit(')').next().unwrap_or_default();
        let ticks = after.split_whitespace().skip(11).take(4).filter_map(|t| t.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / f64::from(100_u8))
    }

    /// Resident KiB that are not shared file pages, of this process and of its children.
    pub(crate) fn resident_kib(&self) -> io::Result<f64> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id()))?;
        let own = self.child.id().to_string();
        let mut sum = 0.0;
        for pid in children.split_whitespace().chain([own.as_str()]) {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
            let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
            sum += line
                .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Ok(sum)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first: socat's children go with it only then.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let gone = pid.is_none_or(|pid| kill_process(pid, Signal::TERM).is_err());
        if gone {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
