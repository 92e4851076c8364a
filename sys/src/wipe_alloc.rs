//! An allocator that wipes what it frees.
//!
//! Libraries copy: an HTTP client keeps a header in its write buffer, a URL is
//! joined in a growing string. Their buffers cannot be reached, but all of
//! them are freed. With this allocator freed memory holds nothing, so a secret
//! is gone when its last owner is.
//!
//! # What it does not give
//!
//! * Memory that C code takes from `malloc` itself; aws-lc wipes its own.
//! * Stacks and registers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::arch::asm;

/// The system's allocator, which wipes blocks before they are freed or moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: every block comes from and goes back to `System` with its own
// layout. The default `realloc` is kept on purpose: it allocates, copies and
// calls `dealloc`, so a moved block is wiped as well.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the one of `System::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's contract is the one of `System::alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller owns `layout.size()` bytes at `block` and gives
        // them up with this call.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the caller's contract is the one of `System::dealloc`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Writes zeros that the compiler cannot drop as dead stores.
///
/// # Safety
///
/// `block` must be valid for writes of `len` bytes.
unsafe fn wipe(block: *mut u8, len: usize) {
    // SAFETY: the caller's contract.
    unsafe { block.write_bytes(0, len) };
    // SAFETY: an empty instruction that, as far as the compiler knows, reads
    // memory through `block`.
    unsafe { asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wiping_leaves_zeros_and_touches_nothing_else() {
        let mut bytes = [0xa5_u8; 96];
        // SAFETY: 64 bytes from the 16th lie inside the array.
        unsafe { wipe(bytes[16..80].as_mut_ptr(), 64) };
        assert!(bytes[16..80].iter().all(|byte| *byte == 0));
        assert!(bytes[..16].iter().chain(&bytes[80..]).all(|byte| *byte == 0xa5));
    }

    #[test]
    fn moved_blocks_keep_their_content() {
        let layout = Layout::from_size_align(4096, 16).unwrap();
        // SAFETY: the layout is not empty.
        let block = unsafe { WipingAllocator.alloc_zeroed(layout) };
        assert!(!block.is_null());
        // SAFETY: `block` holds 4096 bytes.
        unsafe { block.write_bytes(0xa5, 4096) };
        // SAFETY: `block` came from this allocator with this layout.
        let moved = unsafe { WipingAllocator.realloc(block, layout, 8192) };
        assert!(!moved.is_null());
        // SAFETY: the first 4096 of 8192 bytes were copied.
        let kept = unsafe { std::slice::from_raw_parts(moved, 4096) };
        assert!(kept.iter().all(|byte| *byte == 0xa5));
        let layout = Layout::from_size_align(8192, 16).unwrap();
        // SAFETY: `moved` came from this allocator with this layout.
        unsafe { WipingAllocator.dealloc(moved, layout) };
    }
}
