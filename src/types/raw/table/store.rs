#![allow(unsafe_code)]
//! A new value in an entry that exists: in place where it fits, else written anew elsewhere.

use super::entry::{self, Payload};
use super::segment::{Segment, Spot};
use super::table::{Location, Table};
use super::usage::Usage;
use super::value::{Access, Ttl};

impl<T> Table<T> {
    /// Stores a payload in an existing entry; returns the former heap value.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is; it is updated when the entry moves.
    pub(super) unsafe fn store(
        &mut self,
        hash: u64,
        at: &mut Location,
        payload: Payload,
        ttl: Ttl,
        access: Access,
    ) -> Option<T> {
        // SAFETY: the entry is live; its former heap value is moved out before being overwritten.
        unsafe {
            if let Access::Set(access) = access {
                entry::set_access(at.p, access);
            }
            let had_ttl = entry::expire(at.p).is_some();
            let untouched = ttl == Ttl::Keep || ttl == Ttl::Clear && !had_ttl;
            if untouched && entry::overwrite_same_length(at.p, payload) {
                return None;
            }
            let old = entry::heap_word(at.p).map(|word| *Box::from_raw(word.cast::<T>()));
            let stays = match ttl {
                Ttl::Keep => true,
                Ttl::Clear => !had_ttl,
                Ttl::Set(_) => had_ttl,
            };
            let room = entry::value_section_bytes(at.p);
            let need = payload.section_bytes();
            if stays && need <= room {
                entry::overwrite_value(at.p, payload);
                if need < room {
                    (*at.segment).trim(at.spot, room - need);
                    self.usage.live_bytes -= room - need;
                }
                if let Ttl::Set(ms) = ttl {
                    self.set_deadline(*at, ms);
                }
                return old;
            }
            let stored = match ttl {
                Ttl::Keep => entry::expire(at.p),
                Ttl::Clear => {
                    self.uncount_deadline(at.p);
                    None
                }
                Ttl::Set(ms) => {
                    self.uncount_deadline(at.p);
                    let stored = self.store_deadline(entry::key(at.p), ms);
                    self.count_deadline(stored);
                    Some(stored)
                }
            };
            self.rewrite(hash, at, Some(payload), stored);
            if let Some(ms) = stored {
                self.note_deadline(*at, ms);
            }
            old
        }
    }

    /// Writes an entry anew elsewhere, with its key and access metadata, and frees the old bytes.
    /// Without a payload the value stays. Deadline counters are the caller's.
    ///
    /// # Safety
    /// `at` is where the entry with this hash is; `payload` is outside the arena.
    pub(super) unsafe fn rewrite(
        &mut self,
        hash: u64,
        at: &mut Location,
        payload: Option<Payload>,
        stored: Option<u64>,
    ) {
        // SAFETY: the entry is live. On the fast path its bytes are read after the arena made
        // room, which may move them; on the slow path they are copied before it is taken out.
        unsafe {
            let sources = |p| (entry::key_source(p), payload.unwrap_or_else(|| entry::verbatim(p)));
            let (key, value) = sources(at.p);
            let size = entry::size_of_parts(key, value, stored.is_some());
            let segment = &mut *at.segment;
            let moved = segment.move_to_new(at.spot, size, &mut self.usage, |old, new| {
                let (key, value) = sources(old);
                entry::write(new, key, value, stored, entry::access(old));
            });
            if let Some(p) = moved {
                at.p = p;
                return;
            }
            // The arena is full: take the entry out and insert it like a new one. Its deadline
            // bound stays behind, early at worst.
            let access = entry::access(at.p);
            let old: Vec<u8> = copy_raw(at.p, entry::size(at.p));
            let (key, value) = sources(old.as_ptr());
            self.usage.live_bytes -= segment.take_out(hash, at.spot);
            *at = self.insert_raw(hash, key, value, stored, access);
        }
    }
}

unsafe fn copy_raw(from: *const u8, len: usize) -> Vec<u8> {
    let mut copy = Vec::with_capacity(len);
    // SAFETY: the source has `len` bytes; an untyped copy keeps a pointer among them whole.
    unsafe {
        std::ptr::copy_nonoverlapping(from, copy.as_mut_ptr(), len);
        copy.set_len(len);
    }
    copy
}

impl Segment {
    /// Counts the last `bytes` of what was an entry as garbage after it became shorter.
    pub(super) fn trim(&mut self, spot: Spot, bytes: usize) {
        let off = self.bucket(spot.bucket).offs[spot.slot];
        // SAFETY: the slot is occupied.
        let size = unsafe { entry::size(self.arena.at(off)) };
        self.arena.free(off + size as u16, bytes);
    }

    /// Writes an entry to fresh bytes of the arena, frees the old ones and returns its address;
    /// nothing happens when there is no room.
    pub(super) fn move_to_new(
        &mut self,
        spot: Spot,
        size: usize,
        usage: &mut Usage,
        write: impl FnOnce(*mut u8, *mut u8),
    ) -> Option<*mut u8> {
        let old = self.bucket(spot.bucket).offs[spot.slot];
        let off = self.arena.alloc(size, true, &mut usage.arena_bytes).ok()?;
        // SAFETY: both offsets are live: the old entry's and the fresh room's.
        unsafe {
            let p = self.arena.at(off);
            write(self.arena.at(old), p);
            let old_size = entry::size(self.arena.at(old));
            self.arena.free(old, old_size);
            usage.live_bytes = usage.live_bytes + size - old_size;
            self.bucket_mut(spot.bucket).offs[spot.slot] = off;
            Some(p)
        }
    }
}
