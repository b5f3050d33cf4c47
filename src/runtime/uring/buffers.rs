//! The provided-buffer ring: memory that the kernel picks receive buffers from.
//!
//! The kernel takes buffers from the head of the ring, the core puts them back at the tail. With *incremental
//! consumption* (kernel 6.12) a receive takes only as many bytes of the head buffer as it got, so fifty small
//! requests lie side by side in a few cache lines instead of in fifty buffers.
//!
//! INVARIANT: a buffer belongs to the kernel from [`Buffers::publish`] until the completion that names it (in
//! incremental mode: the completion that names it without "more"). `base..base + size` of every buffer stays
//! mapped until the ring is gone.
#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::cqueue;
use io_uring::types::BufRingEntry;

use super::ring::Ring;

/// The only group of buffers.
pub const GROUP: u16 = 0;
const INCREMENTAL: u16 = 2;

/// How the memory is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    pub count: u16,
    pub size: u32,
    pub incremental: bool,
}

impl Cut {
    /// With incremental consumption: few large buffers.
    pub const INCREMENTAL: Cut = Cut { count: 8, size: 64 * 1024, incremental: true };
    /// Without: every receive takes a whole buffer, so there are more and smaller ones.
    pub const WHOLE: Cut = Cut { count: 512, size: 4 * 1024, incremental: false };
}

/// The buffers of one core's ring.
pub struct Buffers {
    cut: Cut,
    memory: Rc<Memory>,
    tail: u16,
    /// Per buffer, incremental mode: how many bytes receives have taken of it.
    taken: Vec<u32>,
}

/// The mapping: `count` entries, then the buffers, each on its own pages.
pub struct Memory {
    entries: NonNull<BufRingEntry>,
    data: NonNull<u8>,
    mapped: usize,
}

/// Bytes that a completion brought. They are the core's until [`Buffers::release`].
pub struct Taken {
    memory: Rc<Memory>,
    at: usize,
    len: usize,
}

impl Taken {
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the range lies inside one buffer (checked by `Buffers::take`), which stays mapped as long as its
        // memory, and the kernel, which named it in a completion, writes no more into that part of it until it is put
        // back. That is after the last use of what is returned here.
        unsafe { std::slice::from_raw_parts(self.memory.data.as_ptr().add(self.at), self.len) }
    }
}

impl Buffers {
    /// Maps and registers the buffers. They must be dropped after the ring.
    pub fn register(ring: &Ring, cut: Cut) -> io::Result<Buffers> {
        assert!(cut.count.is_power_of_two());
        let head = (usize::from(cut.count) * size_of::<BufRingEntry>()).next_multiple_of(4096);
        let mapped = head + usize::from(cut.count) * cut.size as usize;
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a fresh anonymous mapping.
        let base = unsafe { libc::mmap(ptr::null_mut(), mapped, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).expect("mmap does not map page zero");
        // SAFETY: `head` lies inside the mapping.
        let data = unsafe { base.add(head) };
        let memory = Rc::new(Memory { entries: base.cast(), data, mapped });
        let mut this = Buffers { cut, memory, tail: 0, taken: vec![0; cut.count.into()] };
        let flags = if cut.incremental { INCREMENTAL } else { 0 };
        // SAFETY: the entries are mapped, page-aligned and `count` long, and outlive the ring (see the driver's
        // order of fields).
        unsafe {
            ring.inner().submitter().register_buf_ring_with_flags(
                base.as_ptr() as u64,
                cut.count,
                GROUP,
                flags,
            )?;
        }
        for id in 0..cut.count {
            this.put(id);
        }
        this.publish();
        Ok(this)
    }

    /// Takes the bytes that a receive completion brought. Completions must be taken in their order, and each released
    /// afterwards.
    pub fn take(&mut self, completion: &cqueue::Entry) -> Option<Taken> {
        let id = usize::from(cqueue::buffer_select(completion.flags())?);
        let len = u32::try_from(completion.result()).ok()?;
        let start = *self.taken.get(id)?;
        assert!(start + len <= self.cut.size, "the kernel filled a buffer beyond its end");
        if self.cut.incremental {
            self.taken[id] += len;
        }
        let at = id * self.cut.size as usize + start as usize;
        Some(Taken { memory: self.memory.clone(), at, len: len as usize })
    }

    /// The core is done with the bytes of a completion. A buffer that is used up goes back to the kernel.
    pub fn release(&mut self, completion: &cqueue::Entry) {
        let Some(id) = cqueue::buffer_select(completion.flags()) else { return };
        if self.cut.incremental {
            if completion.result() <= 0 || cqueue::buffer_more(completion.flags()) {
                return;
            }
            debug_assert_eq!(self.taken[usize::from(id)], self.cut.size, "a buffer came back before its end");
        }
        self.put(id);
    }

    /// Makes the buffers put back since the last call visible to the kernel.
    pub fn publish(&mut self) {
        // SAFETY: the tail overlays a reserved field of the first entry, which is mapped; the kernel only reads it.
        unsafe {
            let tail = BufRingEntry::tail(self.memory.entries.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }

    fn put(&mut self, id: u16) {
        self.taken[usize::from(id)] = 0;
        let slot = usize::from(self.tail & (self.cut.count - 1));
        // SAFETY: `slot` is below the number of entries; the kernel does not look at it before the tail moves
        // past it, and there are never more buffers than entries. Fields are set one by one, because the first
        // entry's reserved field is the tail.
        unsafe {
            let address = self.memory.data.add(usize::from(id) * self.cut.size as usize);
            let entry = self.memory.entries.add(slot).as_mut();
            entry.set_addr(address.as_ptr() as u64);
            entry.set_len(self.cut.size);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `register`, and the ring that used it is gone.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), self.mapped) };
    }
}
