//! The only `unsafe` code of the workspace, behind three safe interfaces.
//!
//! * [`SecretMapping`]: memory for a session's credentials. It is apart from
//!   the heap, locked, kept out of dumps and of children, unreadable except
//!   inside one closure, and wiped when it ends.
//! * [`harden_process`]: no core dumps, no tracing by other users, no new
//!   privileges.
//! * [`WipingAllocator`]: a global allocator that wipes what is freed.
//!
//! What this crate refuses to do: it opens no file and no socket, reads no
//! environment, starts no thread and keeps no state of its own.
//!
//! **Invariant:** every `unsafe` block performs one operation and carries the
//! argument why that operation is sound.

#![expect(unsafe_code, reason = "the one crate whose table allows it; see the crate's document")]

mod harden;
mod mapping;
mod wipe_alloc;

pub use harden::{HardenError, harden_process};
pub use mapping::{Backing, LEN_MAX, MappingError, SecretMapping};
pub use wipe_alloc::WipingAllocator;
