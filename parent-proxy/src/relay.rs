//! Copies bytes both ways between two streams until both are done.
//!
//! # Guarantees
//!
//! * The end of one direction closes only the other side's writing half; the
//!   opposite direction goes on until its own end.
//! * What was read is written before anything is closed.
//! * A side that can no longer be written to is still read to its end, and what
//!   it sends for the dead side is read and dropped: closing with bytes unread
//!   would reset the connection and destroy what is on its way to it.
//! * An idle connection holds no buffer. One scratch buffer per thread serves
//!   every read; only bytes that the other side does not take at once are kept,
//!   at most [`SCRATCH_LEN`] a direction, and reading stops until they are gone.
//!
//! # What it does not give
//!
//! A reset is passed on as an end, since the bytes before it must arrive. TLS
//! above tells the two apart.
//!
//! # Limits
//!
//! Silence in both directions for the idle time-out ends a relay; so do
//! [`LINGER_TIMEOUT`] once neither direction can deliver anything.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::limits::{LINGER_TIMEOUT, SCRATCH_LEN, TURN_LEN_MAX};
use crate::silence::Watch;

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both directions came to their end.
    Closed,
    /// The near side failed first.
    NearLost,
    /// The far side failed first.
    FarLost,
    /// The near side did not say anything in time.
    Silent,
    /// Nothing moved in either direction for the idle time-out.
    Idle,
}

/// How long a relay may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until the near side says its first byte.
    pub first: Duration,
    /// From then on.
    pub idle: Duration,
}

/// Is told of bytes as they are written.
pub trait Meter {
    fn towards_far(&self, bytes: usize);
    fn towards_near(&self, bytes: usize);
}

/// Copies until both directions are done. `lead` goes to `far` first, in one
/// write with what `near` has sent by then.
pub async fn relay<N, F>(
    mut near: N,
    mut far: F,
    lead: Vec<u8>,
    watch: &Arc<Watch>,
    patience: Patience,
    meter: &impl Meter,
) -> End
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    let mut silence = watch.watch(patience.first);
    let (mut spoke, mut unspoken) = (false, lead.len());
    let mut out = Direction { held: lead, leading: true, ..Direction::default() };
    let mut back = Direction::default();
    let mut lost = None;
    let mut farewell: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(move |cx| {
        let (sent, received) = SCRATCH.with_borrow_mut(|scratch| {
            if scratch.is_empty() {
                scratch.resize(SCRATCH_LEN, 0);
            }
            let sent = out.poll(&mut near, &mut far, cx, scratch, back.phase);
            if let Some(fault) = out.fault {
                lost.get_or_insert_with(|| fault.side(End::NearLost, End::FarLost));
                if fault == Fault::Read {
                    back.discard();
                }
            }
            let received = back.poll(&mut far, &mut near, cx, scratch, out.phase);
            if let Some(fault) = back.fault {
                lost.get_or_insert_with(|| fault.side(End::FarLost, End::NearLost));
                if fault == Fault::Read && out.phase == Phase::Copying {
                    out.discard();
                    cx.waker().wake_by_ref();
                }
            }
            (sent, received)
        });
        if sent > 0 {
            meter.towards_far(sent);
            if !spoke {
                spoke = sent > unspoken;
                unspoken = unspoken.saturating_sub(sent);
                if spoke {
                    silence.allow(patience.idle);
                }
            }
        }
        if received > 0 {
            meter.towards_near(received);
        }
        if out.phase == Phase::Ended && back.phase == Phase::Ended {
            return Poll::Ready(lost.unwrap_or(End::Closed));
        }
        if out.phase != Phase::Copying && back.phase != Phase::Copying {
            // Neither direction delivers any more: stay a moment for the farewells.
            let farewell = farewell.get_or_insert_with(|| Box::pin(sleep(LINGER_TIMEOUT)));
            return farewell.as_mut().poll(cx).map(|()| lost.unwrap_or(End::Closed));
        }
        if silence.is_over(sent + received > 0, cx.waker()) {
            return Poll::Ready(lost.unwrap_or(if spoke { End::Idle } else { End::Silent }));
        }
        Poll::Pending
    })
    .await
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// One direction: from a source to a destination.
#[derive(Debug, Default)]
struct Direction {
    phase: Phase,
    /// Read, and not yet taken by the destination from `held_at` on.
    held: Vec<u8>,
    held_at: usize,
    /// `held` waits for the first read, to go out in one write with it.
    leading: bool,
    /// The source has no more.
    source_ended: bool,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Copying,
    /// The destination is gone; the source is read and dropped.
    Discarding,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Read,
    Write,
}

impl Fault {
    const fn side(self, source: End, destination: End) -> End {
        match self {
            Self::Read => source,
            Self::Write => destination,
        }
    }
}

impl Direction {
    /// Moves what can be moved now; how much was written.
    fn poll<S: AsyncRead + Unpin, D: AsyncWrite + Unpin>(
        &mut self,
        source: &mut S,
        destination: &mut D,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        opposite: Phase,
    ) -> usize {
        let mut written = 0;
        let mut turn = 0;
        while turn < TURN_LEN_MAX {
            let step = match self.phase {
                Phase::Copying => {
                    self.copy(source, destination, cx, scratch, &mut written, opposite)
                }
                Phase::Discarding => self.drop_some(source, cx, scratch),
                Phase::Ended => return written,
            };
            match step {
                Poll::Ready(bytes) => turn += bytes.max(1),
                Poll::Pending => return written,
            }
        }
        // More may be there: let others run, then come back.
        cx.waker().wake_by_ref();
        written
    }

    /// One step of copying; how much it moved.
    fn copy<S: AsyncRead + Unpin, D: AsyncWrite + Unpin>(
        &mut self,
        source: &mut S,
        destination: &mut D,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        written: &mut usize,
        opposite: Phase,
    ) -> Poll<usize> {
        if self.leading {
            self.leading = false;
            let lead = std::mem::take(&mut self.held);
            return self.read_and_write(&lead, source, destination, cx, scratch, written);
        }
        let held = self.held.get(self.held_at..).unwrap_or_default();
        if !held.is_empty() {
            return match Pin::new(destination).poll_write(cx, held) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {
                    *written += bytes;
                    self.held_at += bytes;
                    if self.held_at >= self.held.len() {
                        (self.held, self.held_at) = (Vec::new(), 0);
                    }
                    Poll::Ready(bytes)
                }
                Poll::Ready(_) => Poll::Ready(self.write_failed()),
                Poll::Pending => Poll::Pending,
            };
        }
        if self.source_ended {
            if opposite == Phase::Ended {
                // Both are done: the close that follows says the same.
                self.phase = Phase::Ended;
                return Poll::Ready(0);
            }
            // A destination that is already gone needs no farewell.
            return Pin::new(destination).poll_shutdown(cx).map(|_| {
                self.phase = Phase::Ended;
                0
            });
        }
        self.read_and_write(&[], source, destination, cx, scratch, written)
    }

    fn read_and_write<S: AsyncRead + Unpin, D: AsyncWrite + Unpin>(
        &mut self,
        lead: &[u8],
        source: &mut S,
        destination: &mut D,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        written: &mut usize,
    ) -> Poll<usize> {
        let mut buf = ReadBuf::new(scratch);
        buf.put_slice(lead);
        match Pin::new(source).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) => self.source_ended = buf.filled().len() == lead.len(),
            Poll::Ready(Err(_)) => {
                self.source_ended = true;
                self.fault = self.fault.or(Some(Fault::Read));
            }
            Poll::Pending if lead.is_empty() => return Poll::Pending,
            Poll::Pending => {}
        }
        let all = buf.filled();
        let mut rest = all;
        while !rest.is_empty() {
            match Pin::new(&mut *destination).poll_write(cx, rest) {
                Poll::Ready(Ok(bytes)) if bytes > 0 => {
                    *written += bytes;
                    rest = rest.get(bytes..).unwrap_or_default();
                }
                Poll::Ready(_) => return Poll::Ready(self.write_failed()),
                Poll::Pending => {
                    self.held = rest.to_vec();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(all.len())
    }

    fn drop_some<S: AsyncRead + Unpin>(
        &mut self,
        source: &mut S,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<usize> {
        if self.source_ended {
            self.phase = Phase::Ended;
            return Poll::Ready(0);
        }
        let mut buf = ReadBuf::new(scratch);
        let read = Pin::new(source).poll_read(cx, &mut buf);
        read.map(|read| {
            self.source_ended = read.is_err() || buf.filled().is_empty();
            buf.filled().len()
        })
    }

    fn write_failed(&mut self) -> usize {
        self.fault = self.fault.or(Some(Fault::Write));
        self.discard();
        0
    }

    /// The destination is gone.
    fn discard(&mut self) {
        if self.phase == Phase::Copying {
            self.phase = Phase::Discarding;
            (self.held, self.held_at) = (Vec::new(), 0);
        }
    }
}
