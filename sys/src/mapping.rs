//! Memory that only one closure can read.
//!
//! ```text
//!   guard page   data page(s)                              guard page
//!   PROT_NONE    PROT_NONE, PROT_READ inside with_readable PROT_NONE
//! ```
//!
//! # Guarantees
//!
//! * The data pages are never swapped: `memfd_secret` pages cannot be, and the
//!   fallback is `mlock`ed, or there is no mapping at all.
//! * They are in no core dump (`MADV_DONTDUMP`) and in no child
//!   (`MADV_DONTFORK` or `MADV_WIPEONFORK`).
//! * Outside [`SecretMapping::with_readable`] any access to them by this
//!   process is a fault, and a stray read past either end always is.
//! * They are overwritten before they are given back, also when the closure
//!   that fills them or the one that reads them panics.
//!
//! # What it does not give
//!
//! * With [`Backing::Locked`], root of the same kernel can read the pages
//!   through `/proc/PID/mem`; with [`Backing::MemfdSecret`] not even root can.
//! * What the closure copies is the closure's to wipe; so are registers.

use std::ffi::c_void;
use std::fmt;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use zeroize::Zeroize;

/// The longest content of one mapping: a session's accounts at their longest
/// fit several times, and a wrong length is caught before it is mapped.
pub const LEN_MAX: usize = 1 << 20;

/// Where the data pages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret(2)`: removed from the kernel's own map of memory.
    MemfdSecret,
    /// Anonymous pages held by `mlock(2)`, where the kernel has no secret memory.
    Locked,
}

/// Why there is no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// Nothing to hold, or more than [`LEN_MAX`].
    #[error("a secret mapping of {0} bytes is not offered")]
    Length(usize),
    /// The kernel has no memory left for it.
    #[error("the kernel gave no memory")]
    Memory(#[source] Errno),
    /// The pages cannot be kept from swap; they are not used then.
    #[error("the pages cannot be locked")]
    Lock(#[source] Errno),
    /// The pages cannot be kept out of dumps or children.
    #[error("the pages cannot be kept to this process")]
    Advice(#[source] Errno),
    /// The protection of the pages cannot be changed.
    #[error("the protection of the pages cannot be changed")]
    Protect(#[source] Errno),
}

/// Secret bytes in pages of their own. Not `Clone`, not readable through
/// `Debug`, and wiped on drop.
pub struct SecretMapping {
    region: Region,
    /// Bytes in use, counted from the start of the data pages.
    len: usize,
    backing: Backing,
}

impl SecretMapping {
    /// Maps room for `len` bytes, lets `fill` write them, and closes the pages.
    pub fn new(len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, MappingError> {
        match Self::with_backing(Backing::MemfdSecret, len) {
            Ok(mapping) => mapping.fill(fill),
            // Kernel without it, or started with `secretmem.enable=0`.
            Err(MappingError::Memory(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)) => {
                Self::with_backing(Backing::Locked, len)?.fill(fill)
            }
            Err(other) => Err(other),
        }
    }

    /// Like [`Self::new`], on locked anonymous pages whatever the kernel has.
    pub fn new_locked(len: usize, fill: impl FnOnce(&mut [u8])) -> Result<Self, MappingError> {
        Self::with_backing(Backing::Locked, len)?.fill(fill)
    }

    /// Lets `read` see the bytes. The pages are readable until it returns or
    /// panics, and not writable meanwhile.
    pub fn with_readable<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Result<R, MappingError> {
        let len = self.len;
        let open = Open::new(&mut self.region, MprotectFlags::READ)?;
        Ok(read(open.bytes(len)))
    }

    /// Where the pages come from.
    pub const fn backing(&self) -> Backing {
        self.backing
    }

    /// Length of the content in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Never true: an empty mapping is refused.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn with_backing(backing: Backing, len: usize) -> Result<Self, MappingError> {
        if len == 0 || len > LEN_MAX {
            return Err(MappingError::Length(len));
        }
        let region = match backing {
            Backing::MemfdSecret => Region::memfd_secret(len)?,
            Backing::Locked => Region::locked(len)?,
        };
        Ok(Self { region, len, backing })
    }

    fn fill(mut self, fill: impl FnOnce(&mut [u8])) -> Result<Self, MappingError> {
        let len = self.len;
        let mut open = Open::new(&mut self.region, MprotectFlags::READ | MprotectFlags::WRITE)?;
        fill(open.bytes_mut(len));
        drop(open);
        Ok(self)
    }
}

impl fmt::Debug for SecretMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMapping").field("backing", &self.backing).finish_non_exhaustive()
    }
}

impl Drop for SecretMapping {
    fn drop(&mut self) {
        // Whatever fails here leaves the bytes where `munmap` ends them: the
        // kernel clears pages before anybody else gets them.
        if let Ok(mut open) =
            Open::new(&mut self.region, MprotectFlags::READ | MprotectFlags::WRITE)
        {
            let whole = open.region.data_len;
            open.bytes_mut(whole).zeroize();
        }
    }
}

// SAFETY: the mapping is reached through `&mut self` alone, holds plain bytes
// and belongs to the address space and not to a thread.
unsafe impl Send for SecretMapping {}

/// A reservation of whole pages with a guard at each end; unmapped on drop.
struct Region {
    base: NonNull<u8>,
    /// Bytes of all pages, guards included.
    whole_len: usize,
    /// Bytes of the data pages.
    data_len: usize,
    /// Bytes of one page, which is the offset of the data pages.
    page: usize,
}

impl Region {
    /// Reserves the pages, none of them accessible.
    fn reserve(len: usize) -> Result<Self, MappingError> {
        let page = rustix::param::page_size();
        let data_len = len.next_multiple_of(page);
        let whole_len = data_len + 2 * page;
        // SAFETY: with a null address the kernel chooses a place where nothing
        // is mapped, so that no existing reference is affected.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                whole_len,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )
        }
        .map_err(MappingError::Memory)?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(MappingError::Memory(Errno::NOMEM))?;
        Ok(Self { base, whole_len, data_len, page })
    }

    fn locked(len: usize) -> Result<Self, MappingError> {
        let region = Self::reserve(len)?;
        region.advise(Advice::LinuxDontDump)?;
        region.advise(Advice::LinuxWipeOnFork)?;
        // The pages must exist to be locked, and a page without access cannot
        // be brought in: open, lock, close. They hold zeros all the while.
        region.protect(MprotectFlags::READ | MprotectFlags::WRITE)?;
        // SAFETY: the range is exactly the data pages of a mapping we own;
        // locking changes residency and no content.
        unsafe { rustix::mm::mlock(region.data(), region.data_len) }.map_err(MappingError::Lock)?;
        region.protect(MprotectFlags::empty())?;
        Ok(region)
    }

    fn memfd_secret(len: usize) -> Result<Self, MappingError> {
        let region = Self::reserve(len)?;
        // SAFETY: the call takes one integer, touches no memory of ours and
        // returns a new descriptor or -1.
        let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let raw = i32::try_from(raw).ok().filter(|raw| *raw >= 0).ok_or_else(|| {
            MappingError::Memory(
                Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOSYS),
            )
        })?;
        // SAFETY: the kernel has just returned this descriptor to us and
        // nothing else knows its number.
        let file = unsafe { OwnedFd::from_raw_fd(raw) };
        let size = u64::try_from(region.data_len).map_err(|_| MappingError::Length(len))?;
        rustix::fs::ftruncate(&file, size).map_err(MappingError::Memory)?;
        // SAFETY: MAP_FIXED replaces exactly the data pages of the reservation
        // above, which nothing refers to yet. The file cannot shrink under the
        // mapping: its only descriptor is closed at the end of this function.
        unsafe {
            rustix::mm::mmap(
                region.data(),
                region.data_len,
                ProtFlags::empty(),
                MapFlags::SHARED | MapFlags::FIXED,
                &file,
                0,
            )
        }
        .map_err(|cause| match cause {
            // Secret memory counts as locked; past the limit the kernel says EAGAIN.
            Errno::AGAIN => MappingError::Lock(cause),
            other => MappingError::Memory(other),
        })?;
        region.advise(Advice::LinuxDontDump)?;
        region.advise(Advice::LinuxDontFork)?;
        Ok(region)
    }

    fn data(&self) -> *mut c_void {
        // `wrapping_add` because the pointer is only handed to the kernel.
        self.base.as_ptr().wrapping_add(self.page).cast()
    }

    fn advise(&self, advice: Advice) -> Result<(), MappingError> {
        // SAFETY: the range is exactly the data pages of a mapping we own, and
        // the advices used here (no dump, no fork, wipe in a child) change
        // nothing that this process reads.
        unsafe { rustix::mm::madvise(self.data(), self.data_len, advice) }
            .map_err(MappingError::Advice)
    }

    fn protect(&self, flags: MprotectFlags) -> Result<(), MappingError> {
        // SAFETY: the range is exactly the data pages of a mapping we own.
        // References into it exist only inside `Open`, which borrows the
        // region mutably and changes the protection only when it ends.
        unsafe { rustix::mm::mprotect(self.data(), self.data_len, flags) }
            .map_err(MappingError::Protect)
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: base and length are those `mmap` returned, nothing borrows
        // from the region any more, and it is dropped once.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.whole_len) };
        debug_assert!(unmapped.is_ok(), "munmap of a mapping of our own");
    }
}

/// Data pages that are accessible until this is dropped.
struct Open<'a> {
    region: &'a mut Region,
}

impl<'a> Open<'a> {
    fn new(region: &'a mut Region, flags: MprotectFlags) -> Result<Self, MappingError> {
        region.protect(flags)?;
        Ok(Self { region })
    }

    /// The first `len` bytes; `len` is at most the data pages' length.
    fn bytes(&self, len: usize) -> &[u8] {
        let len = len.min(self.region.data_len);
        // SAFETY: `len` bytes from `data` are mapped and readable while `self`
        // lives, initialised by the kernel to zero, and borrowed mutably by
        // nobody, since this borrows `self`, which borrows the region.
        unsafe { std::slice::from_raw_parts(self.region.data().cast::<u8>(), len) }
    }

    /// The same for writing; called only where the pages were opened for it.
    fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        let len = len.min(self.region.data_len);
        // SAFETY: as for `bytes`; `&mut self` makes this the only reference,
        // and both callers opened the pages for writing.
        unsafe { std::slice::from_raw_parts_mut(self.region.data().cast::<u8>(), len) }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.region.protect(MprotectFlags::empty()).is_err() {
            // A secret that stays readable breaks the promise of this module,
            // and the kernel refuses this only when its own state is broken.
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    static_assertions::assert_impl_all!(SecretMapping: Send);
    static_assertions::assert_not_impl_any!(SecretMapping: Clone, Sync, fmt::Display);

    const SECRET: &[u8] = b"correct horse battery staple";

    fn both() -> [SecretMapping; 2] {
        let fill = |room: &mut [u8]| room.copy_from_slice(SECRET);
        [
            SecretMapping::new(SECRET.len(), fill).unwrap(),
            SecretMapping::new_locked(SECRET.len(), fill).unwrap(),
        ]
    }

    /// The line of `/proc/self/maps` that holds `address`, and the VmFlags of
    /// its entry in `smaps`.
    fn entry(address: usize) -> (String, String) {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut found = None;
        for line in smaps.lines() {
            let range = line.split(' ').next().unwrap_or_default();
            if let Some((low, high)) = range.split_once('-')
                && let (Ok(low), Ok(high)) =
                    (usize::from_str_radix(low, 16), usize::from_str_radix(high, 16))
            {
                found = (low..high).contains(&address).then(|| line.to_owned());
            } else if let (Some(head), Some(flags)) = (&found, line.strip_prefix("VmFlags: ")) {
                return (head.clone(), flags.to_owned());
            }
        }
        (String::new(), String::new())
    }

    fn data_address(mapping: &SecretMapping) -> usize {
        mapping.region.data().addr()
    }

    #[test]
    fn what_was_filled_in_is_read_back() {
        for mut mapping in both() {
            assert_eq!(mapping.with_readable(<[u8]>::to_vec).unwrap(), SECRET);
            assert_eq!(mapping.len(), SECRET.len());
            assert!(!mapping.is_empty());
        }
    }

    #[test]
    fn pages_are_closed_outside_the_closure_and_between_guards() {
        for mut mapping in both() {
            let address = data_address(&mapping);
            let page = mapping.region.page;
            assert!(entry(address).0.contains(" ---"), "{}", entry(address).0);
            mapping
                .with_readable(|_| {
                    assert!(entry(address).0.contains(" r--"), "{}", entry(address).0);
                })
                .unwrap();
            assert!(entry(address).0.contains(" ---"), "{}", entry(address).0);
            for guard in [address - 1, address + mapping.region.data_len] {
                assert!(entry(guard).0.contains(" ---p"), "{}", entry(guard).0);
            }
            assert_eq!(address % page, 0);
        }
    }

    #[test]
    fn pages_are_locked_and_out_of_dumps_and_children() {
        for mapping in both() {
            let flags = entry(data_address(&mapping)).1;
            let has = |flag: &str| flags.split(' ').any(|one| one == flag);
            assert!(has("dd"), "do not dump: {flags}");
            assert!(has("lo"), "locked: {flags}");
            assert!(has("dc") || has("wf"), "not copied, or wiped, on fork: {flags}");
        }
    }

    #[test]
    fn a_panicking_reader_closes_the_pages() {
        for mut mapping in both() {
            let address = data_address(&mapping);
            let caught = catch_unwind(AssertUnwindSafe(|| {
                mapping.with_readable(|_| panic!("reader")).unwrap_or(());
            }));
            assert!(caught.is_err());
            assert!(entry(address).0.contains(" ---"), "{}", entry(address).0);
        }
    }

    #[test]
    fn the_process_itself_finds_no_trace_after_drop() {
        use std::os::unix::fs::FileExt;
        // A pattern that occurs nowhere else: built at run time, xored here.
        let pattern: Vec<u8> = (0u8..48).map(|i| i.wrapping_mul(37) ^ 0xa7).collect();
        let mut mapping = SecretMapping::new_locked(pattern.len(), |room| {
            for (i, byte) in (0u8..).zip(room.iter_mut()) {
                *byte = i.wrapping_mul(37) ^ 0xa7;
            }
        })
        .unwrap();
        let address = u64::try_from(data_address(&mapping)).unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut seen = vec![0; pattern.len()];
        mapping.with_readable(|_| memory.read_exact_at(&mut seen, address).unwrap()).unwrap();
        assert_eq!(seen, pattern, "the probe can see the pages while they are open");

        let open = Open::new(&mut mapping.region, MprotectFlags::READ | MprotectFlags::WRITE);
        drop(open);
        drop(mapping);
        assert!(memory.read_exact_at(&mut seen, address).is_err(), "the pages are gone");
    }

    #[test]
    fn the_wipe_reaches_every_byte_before_the_pages_go() {
        for mut mapping in both() {
            // What `drop` does, without the unmapping that hides its effect.
            let mut open =
                Open::new(&mut mapping.region, MprotectFlags::READ | MprotectFlags::WRITE).unwrap();
            let whole = open.region.data_len;
            open.bytes_mut(whole).zeroize();
            drop(open);
            assert!(mapping.with_readable(|bytes| bytes.iter().all(|b| *b == 0)).unwrap());
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        for len in [0, LEN_MAX + 1, usize::MAX] {
            assert_eq!(SecretMapping::new(len, |_| ()).map(|_| ()), Err(MappingError::Length(len)));
        }
        assert_eq!(SecretMapping::new(LEN_MAX, |_| ()).map(|m| m.len()), Ok(LEN_MAX));
    }

    #[test]
    fn debug_names_the_type_and_shows_nothing() {
        for mapping in both() {
            let text = format!("{mapping:?}");
            assert!(text.starts_with("SecretMapping { backing:"), "{text}");
            assert!(!text.contains("horse"));
        }
    }
}
