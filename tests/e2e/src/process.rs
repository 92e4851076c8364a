//! A child process with a log file, ended when dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// How often a state is looked at while waiting for it.
const LOOK: Duration = Duration::from_millis(20);
/// How many looks before a wait is given up: a minute.
const LOOKS: usize = 3000;

/// A running program.
#[derive(Debug)]
pub struct Process {
    pub name: &'static str,
    pub log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` with both output streams in `<dir>/<name>.log`.
    pub fn start(name: &'static str, mut command: Command, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name, log, child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for `state` while the process lives.
    pub fn wait_for<T>(&mut self, what: &str, mut state: impl FnMut() -> Option<T>) -> T {
        for _ in 0..LOOKS {
            if let Some(found) = state() {
                return found;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended ({status}) before {what}\n{}", self.name, self.text());
            }
            sleep(LOOK);
        }
        panic!("{}: no {what}\n{}", self.name, self.text());
    }

    /// Asks the process to end and waits until it has.
    pub fn terminate(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        // It may have ended by itself.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap_or(());
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            sleep(LOOK);
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        None
    }

    /// Everything it has written.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
    }
}

/// Waits for a state that no single process owns.
pub fn wait_until(what: &str, mut state: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if state() {
            return;
        }
        sleep(LOOK);
    }
    panic!("no {what}");
}
