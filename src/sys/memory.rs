#![allow(unsafe_code)]
//! Whole pages from the kernel, and what to tell the kernel about them.
//!
//! For big buffers with a life of their own (receive rings, table segments by the gigabyte, stacks
//! of signal handlers): zeroed, page-aligned, placed on the NUMA node of the thread that touches
//! them first, and given back to the kernel when dropped. Ordinary values come from the allocator.

use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size of the huge pages that x86-64 and most aarch64 kernels make of anonymous memory.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

/// What to expect of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Use huge pages where the host's setting is `madvise` or `always`.
    HugePages,
    /// Never use huge pages.
    SmallPages,
    /// The contents are not needed any more; the next touch reads zeroes.
    DontNeed,
    /// Give it pages now, from this thread (kernel 5.14); else they come at first touch.
    PopulateWrite,
    /// Leave it out of core dumps.
    DontDump,
}

/// An anonymous private mapping.
///
/// INVARIANT: `start` points at `len` mapped bytes that nothing else unmaps.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a Region owns its bytes as a boxed slice does; nothing about it is tied to a thread.
unsafe impl Send for Region {}
// SAFETY: shared access only reads.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `len` zero bytes, rounded up to whole pages. Costs address space until touched.
    pub fn map(len: usize) -> io::Result<Region> {
        Region::map_with(len, libc::PROT_READ | libc::PROT_WRITE)
    }

    fn map_with(len: usize, protection: libc::c_int) -> io::Result<Region> {
        let page = page_bytes();
        let len = len.max(1).checked_next_multiple_of(page).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the kernel's choice overlaps nothing.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).expect("the kernel never chooses address zero");
        Ok(Region { start, len })
    }

    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: by the invariant; mapped bytes are initialised (zero until written).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: by the invariant, and `&mut self` excludes every other slice of it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Advises on the whole region. An error is worth a line in the log, never more.
    pub fn advise(&mut self, advice: Advice) -> io::Result<()> {
        // SAFETY: the range is ours; `&mut self` covers the one advice that changes contents.
        unsafe { advise(self.start.as_ptr(), self.len, advice) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: by the invariant the range is mapped and ours, and nobody borrows it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Advises the kernel about whole pages inside `[start, start + len)`; the rest is left alone.
///
/// # Safety
/// The range must be mapped and belong to the caller, and with `DontNeed` its contents must not be
/// relied on afterwards.
pub unsafe fn advise(start: *mut u8, len: usize, advice: Advice) -> io::Result<()> {
    let page = page_bytes();
    let skip = (start as usize).next_multiple_of(page) - start as usize;
    let Some(whole) = len.checked_sub(skip).map(|len| len / page * page).filter(|&len| len > 0) else {
        return Ok(());
    };
    let code = match advice {
        Advice::HugePages => libc::MADV_HUGEPAGE,
        Advice::SmallPages => libc::MADV_NOHUGEPAGE,
        Advice::DontNeed => libc::MADV_DONTNEED,
        Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        Advice::DontDump => libc::MADV_DONTDUMP,
    };
    // SAFETY: the caller owns the range; it was narrowed to whole pages inside of it.
    let status = unsafe { libc::madvise(start.add(skip).cast(), whole, code) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The size of an ordinary page.
pub fn page_bytes() -> usize {
    // SAFETY: sysconf only reads its argument.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Gives the pages that the calling thread's heap does not need back to the system.
pub fn purge() {
    // SAFETY: it may be called by any thread at any time.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// The allocator's `purge_delay` and `arena_purge_mult`, which its Rust face has no names for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const ARENA_PURGE_MULT: libmimalloc_sys::mi_option_t = 24;
/// How many [`DirectPurge`]s there are, times [`ONE_DIRECT`], and how many [`PromptPurge`]s.
static PURGES: AtomicU64 = AtomicU64::new(0);
const ONE_DIRECT: u64 = 1 << 32;

/// While it lives, pages that become free go back to the system one by one, as they become free.
///
/// The allocator keeps them for a while ([`purge_soon`]), in case they are wanted again, and then gives all of them back
/// in one call, whoever makes it: after hundreds of megabytes were dropped that call takes tens of milliseconds. Who drops
/// much, in slices, pays for it in these slices.
pub struct DirectPurge(());

/// While it lives, pages that become free go back to the system after a millisecond, for who frees much amid other work.
///
/// PERF: UNLINK of 10 million keys by the hundred stalled others for up to 36 ms with the usual delay, 0.4 ms so; the
/// work took the same time, where with [`DirectPurge`] it took 1.6 times as long (`bench`, `stall`).
pub struct PromptPurge(());

impl DirectPurge {
    /// From now on, until it is dropped.
    pub fn begin() -> DirectPurge {
        PURGES.fetch_add(ONE_DIRECT, Ordering::AcqRel);
        apply_purges();
        DirectPurge(())
    }
}

impl Drop for DirectPurge {
    fn drop(&mut self) {
        PURGES.fetch_sub(ONE_DIRECT, Ordering::AcqRel);
        apply_purges();
    }
}

impl PromptPurge {
    /// From now on, until it is dropped.
    pub fn begin() -> PromptPurge {
        PURGES.fetch_add(1, Ordering::AcqRel);
        apply_purges();
        PromptPurge(())
    }
}

impl Drop for PromptPurge {
    fn drop(&mut self) {
        PURGES.fetch_sub(1, Ordering::AcqRel);
        apply_purges();
    }
}

/// Tells the allocator what all of them together ask for.
fn apply_purges() {
    let (usual_delay, usual_mult) = usual_purges();
    // A delay below zero forbids purging, and zero is what is asked for.
    if usual_delay <= 0 {
        return;
    }
    loop {
        let seen = PURGES.load(Ordering::Acquire);
        let (delay, mult) = match seen {
            0 => (usual_delay, usual_mult),
            1..ONE_DIRECT => (1, 1),
            _ => (0, 1),
        };
        // SAFETY: options may be set at any time.
        unsafe {
            libmimalloc_sys::mi_option_set(PURGE_DELAY, delay);
            libmimalloc_sys::mi_option_set(ARENA_PURGE_MULT, mult);
        }
        // Of two threads the one that looked earlier may have been heard last.
        if PURGES.load(Ordering::Acquire) == seen {
            return;
        }
    }
}

/// Delay in milliseconds and multiplier while nobody asks for less. The allocator's own delay is a second, unless its
/// environment variable says otherwise: too long, see [`DirectPurge`].
fn usual_purges() -> (libc::c_long, libc::c_long) {
    const DELAY_MS: libc::c_long = 10;
    static USUAL: OnceLock<(libc::c_long, libc::c_long)> = OnceLock::new();
    // SAFETY: options may be read at any time.
    let get = |option| unsafe { libmimalloc_sys::mi_option_get(option) };
    *USUAL.get_or_init(|| {
        let is_given = std::env::var_os("MIMALLOC_PURGE_DELAY").is_some();
        let own = get(PURGE_DELAY);
        (if is_given { own } else { own.min(DELAY_MS) }, get(ARENA_PURGE_MULT))
    })
}

/// Has the allocator give memory back soon after it became free. To be called when the process starts.
pub fn purge_soon() {
    apply_purges();
}

/// The allocator's own account of itself, for people.
pub fn allocator_stats() -> String {
    unsafe extern "C" fn collect(line: *const libc::c_char, text: *mut libc::c_void) {
        // SAFETY: the allocator hands over a string that ends with a zero byte, and back the pointer it was given,
        // which is to the `String` below.
        let (line, text) = unsafe { (std::ffi::CStr::from_ptr(line), &mut *text.cast::<String>()) };
        text.push_str(&line.to_string_lossy());
    }
    let mut text = String::new();
    // SAFETY: `collect` is called only during the call, while `text` lives and nobody else touches it.
    unsafe { libmimalloc_sys::mi_stats_print_out(Some(collect), (&raw mut text).cast()) };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_zeroed_writable_and_forgets_when_told() {
        let mut region = Region::map(100_000).unwrap();
        assert_eq!(region.len() % page_bytes(), 0);
        assert!(region.as_slice().iter().all(|&byte| byte == 0));
        region.as_mut_slice().fill(7);
        region.advise(Advice::DontNeed).unwrap();
        assert!(region.as_slice().iter().all(|&byte| byte == 0));
        // Old kernels and kernels without huge pages may refuse these; nothing may break.
        for advice in [Advice::HugePages, Advice::SmallPages, Advice::PopulateWrite, Advice::DontDump] {
            let _ = region.advise(advice);
        }
        region.as_mut_slice()[0] = 1;
        assert!(!region.is_empty());
    }

    #[test]
    fn advice_keeps_to_whole_pages_inside() {
        let mut region = Region::map(3 * page_bytes()).unwrap();
        region.as_mut_slice().fill(1);
        let page = page_bytes();
        // SAFETY: the range lies inside the region, whose contents are only compared below.
        unsafe { advise(region.as_ptr().add(1), 2 * page, Advice::DontNeed).unwrap() };
        let bytes = region.as_slice();
        assert_eq!((bytes[0], bytes[page], bytes[2 * page - 1], bytes[2 * page]), (1, 0, 0, 1));
        // SAFETY: as above; nothing whole lies in ten bytes.
        unsafe { advise(region.as_ptr(), 10, Advice::DontNeed).unwrap() };
        assert_eq!(region.as_slice()[0], 1);
    }

    #[test]
    fn the_allocator_purges_late_again_after_it_was_asked_to_purge_early() {
        let now = || {
            // SAFETY: options may be read at any time.
            let get = |option| unsafe { libmimalloc_sys::mi_option_get(option) };
            (get(PURGE_DELAY), get(ARENA_PURGE_MULT))
        };
        let usual = usual_purges();
        assert!(usual.0 >= 10 && usual.1 >= 1, "the options are other ones: {usual:?}");
        let (direct, prompt) = (DirectPurge::begin(), PromptPurge::begin());
        assert_eq!(now(), (0, 1));
        drop(direct);
        // Other tests of this process drop in slices too, for a moment.
        while now() != (1, 1) {
            std::thread::yield_now();
        }
        drop(prompt);
        while now() != usual {
            std::thread::yield_now();
        }
    }

    #[test]
    fn absurd_lengths_are_errors() {
        assert!(Region::map(usize::MAX).is_err());
        assert!(Region::map(usize::MAX / 2).is_err());
        assert_eq!(Region::map(0).unwrap().len(), page_bytes());
    }
}
