//! What a process that will hold secrets gives up before it holds any.

use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_no_new_privs;

/// A step of [`harden_process`] that the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel refused to {step}")]
pub struct HardenError {
    step: &'static str,
    #[source]
    cause: Errno,
}

/// Makes the process fit to hold secrets. To be called first in `main`,
/// before any other thread exists.
///
/// 1. `RLIMIT_CORE` is 0, soft and hard: a crash leaves no image behind.
/// 2. The process is not dumpable: no core through a pipe handler either, and
///    no tracing or `/proc/PID/mem` for anybody but root.
/// 3. No new privileges for it or for what it might execute.
/// 4. The soft limits for locked memory and for descriptors are raised to the
///    hard ones, since each session locks pages of its own.
///
/// Root of the same kernel can still read the process. Inside an enclave there
/// is no other root; on a developer's machine there is.
pub fn harden_process() -> Result<(), HardenError> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none)
        .map_err(|cause| HardenError { step: "forbid core dumps", cause })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|cause| HardenError { step: "make the process undumpable", cause })?;
    set_no_new_privs(true).map_err(|cause| HardenError { step: "give up privileges", cause })?;
    for (resource, step) in [
        (Resource::Memlock, "raise the limit of locked memory"),
        (Resource::Nofile, "raise the limit of descriptors"),
    ] {
        let Rlimit { maximum, .. } = getrlimit(resource);
        setrlimit(resource, Rlimit { current: maximum, maximum })
            .map_err(|cause| HardenError { step, cause })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::dumpable_behavior;

    #[test]
    fn a_hardened_process_cannot_be_dumped() {
        harden_process().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
        let locked = getrlimit(Resource::Memlock);
        assert_eq!(locked.current, locked.maximum);
    }
}
