//! Two clocks: the processor time that a measurement takes, and a wall clock that stands still.
//!
//! `attestation-doc-validation` reads the system's clock and refuses a document whose chain has
//! expired, hours after it was made. To measure it on a genuine document, this program answers
//! in place of libc's `clock_gettime`, and tells the time at which the document was made.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime as kernel_clock};

/// What C calls `struct timespec` on 64-bit Linux.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

const CLOCK_REALTIME: i32 = 0;

// The linker takes a program's own symbol before libc's.
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: i32, out: Option<&mut Timespec>) -> i32 {
    let Some(out) = out else { return -1 };
    *out = if clock == CLOCK_REALTIME {
        Timespec { seconds: super::MADE_AT, nanoseconds: 0 }
    } else {
        let now = kernel_clock(ClockId::Monotonic);
        Timespec { seconds: now.tv_sec, nanoseconds: now.tv_nsec }
    };
    0
}

/// The processor time that this thread has used. Unlike elapsed time it does not grow while
/// another program has the processor.
pub(crate) fn processor_time() -> Duration {
    let used = kernel_clock(ClockId::ThreadCPUTime);
    Duration::new(
        used.tv_sec.try_into().expect("time is not negative"),
        used.tv_nsec.try_into().expect("less than a second"),
    )
}
