#![allow(unsafe_code)]
//! A walk that checks every invariant, for tests and debugging; slow.

use super::bucket::{WINDOW, bits, fingerprint};
use super::entry::{self, EXPIRE_FAR, KeySource};
use super::segment::{NEVER, NOT_IN_HEAP, Segment, Spot};
use super::table::Table;

/// What the segments add up to.
#[derive(Default)]
struct Sums {
    len: usize,
    segments: usize,
    expires: usize,
    expire_sum_ms: u128,
    key_bytes: usize,
    arena_bytes: usize,
    live_bytes: usize,
    far: usize,
    in_heap: usize,
    depths: Vec<u32>,
}

impl<T> Table<T> {
    /// How many members the segment of a hash has.
    #[cfg(test)]
    pub(super) fn members_at(&self, hash: u64) -> usize {
        let (mut member, mut members) = (self.root(hash), 0);
        while !member.is_null() {
            members += 1;
            // SAFETY: the directory's segments and their members are valid while the table is borrowed.
            member = unsafe { (*member).next };
        }
        members
    }

    /// Panics unless the whole table is consistent.
    pub fn verify(&self) {
        assert_eq!(self.directory.len(), 1 << self.bits, "the directory has 2^bits places");
        let mut sums = Sums { depths: vec![0; self.depths.len()], ..Sums::default() };
        let mut place = 0;
        for root in self.roots() {
            // SAFETY: the directory's segments are valid.
            let (depth, prefix) = unsafe { ((*root).depth, (*root).prefix) };
            assert_eq!(((prefix >> 1) >> (63 - self.bits)) as usize, place, "prefix says place");
            let places = 1 << (self.bits - depth);
            assert!(self.directory[place..place + places].iter().all(|&at| at == root));
            place += places;
            sums.depths[depth as usize] += 1;
            let mut member = root;
            while !member.is_null() {
                // SAFETY: members are valid.
                let segment = unsafe { &*member };
                assert_eq!((segment.depth, segment.prefix), (depth, prefix));
                self.verify_segment(segment, &mut sums);
                self.verify_heap_place(member, &mut sums);
                member = segment.next;
            }
        }
        assert_eq!(self.len, sums.len);
        assert_eq!(self.segments, sums.segments);
        assert_eq!(self.depths[..], sums.depths[..]);
        assert_eq!(self.expires, sums.expires);
        assert_eq!(self.expire_sum_ms, sums.expire_sum_ms);
        assert_eq!(self.far.len(), sums.far);
        assert_eq!(self.usage.key_bytes, sums.key_bytes);
        assert_eq!(self.usage.arena_bytes, sums.arena_bytes);
        assert_eq!(self.usage.live_bytes, sums.live_bytes);
        assert_eq!(self.heap.places().len(), sums.in_heap);
    }

    /// The first member of every segment, in hash order.
    fn roots(&self) -> impl Iterator<Item = *mut Segment> + '_ {
        let mut place = 0;
        std::iter::from_fn(move || {
            let root = *self.directory.get(place)?;
            // SAFETY: the directory's segments are valid.
            place += 1 << (self.bits - unsafe { (*root).depth });
            Some(root)
        })
    }

    fn verify_heap_place(&self, member: *mut Segment, sums: &mut Sums) {
        // SAFETY: members are valid.
        let segment = unsafe { &*member };
        if segment.min_ms == NEVER {
            assert_eq!(segment.heap_at, NOT_IN_HEAP);
            return;
        }
        let at = segment.heap_at as usize;
        assert_eq!(self.heap.places()[at], (segment.min_ms, member));
        assert!(at == 0 || self.heap.places()[(at - 1) / 4].0 <= segment.min_ms, "heap order");
        sums.in_heap += 1;
    }

    fn verify_segment(&self, segment: &Segment, sums: &mut Sums) {
        let buckets = segment.bucket_count();
        let mut spilled = vec![0u32; buckets];
        let mut extents = Vec::new();
        let (mut len, mut live_bytes) = (0, 0);
        for bucket in 0..buckets {
            for slot in bits(segment.bucket(bucket).occupied()) {
                let p = segment.entry(Spot { bucket, slot });
                // SAFETY: an occupied slot leads to a live entry.
                let (key, size, expire, source) =
                    unsafe { (entry::key(p), entry::size(p), entry::expire(p), entry::key_source(p)) };
                let hash = self.hasher.hash(key);
                if segment.depth > 0 {
                    let shift = 64 - segment.depth;
                    assert_eq!(hash >> shift, segment.prefix >> shift, "in its segment");
                }
                assert_eq!(segment.bucket(bucket).fps[slot], fingerprint(hash));
                let home = segment.home(hash);
                let distance = (bucket + buckets - home) % buckets;
                if distance > 0 {
                    assert!(distance <= WINDOW, "in its window");
                    assert!(segment.bucket(home).spill_at >> (distance - 1) & 1 == 1, "marked");
                    spilled[home] += 1;
                }
                let (found, at) = segment.find(hash, key).expect("every key is found");
                assert!((found.bucket, found.slot) == (bucket, slot) && at == p, "once");
                if let KeySource::Boxed(_, len) = source {
                    sums.key_bytes += len;
                }
                if let Some(ms) = expire {
                    let exact = if ms == EXPIRE_FAR { self.far_deadline(key) } else { ms };
                    assert!(segment.bound_ms(bucket) <= exact, "a bucket bound is not late");
                    assert!(segment.min_ms <= exact, "a segment bound is not late");
                    sums.expires += 1;
                    sums.expire_sum_ms += ms as u128;
                    sums.far += usize::from(ms == EXPIRE_FAR);
                }
                extents.push((segment.bucket(bucket).offs[slot] as usize, size));
                len += 1;
                live_bytes += size;
            }
        }
        for (home, &count) in spilled.iter().enumerate() {
            assert_eq!(segment.bucket(home).spilled as u32, count);
            assert!(count > 0 || segment.bucket(home).spill_at == 0);
        }
        extents.sort_unstable();
        assert!(extents.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0), "no overlap");
        assert_eq!(segment.len as usize, len);
        assert_eq!(segment.arena.live_bytes(), live_bytes);
        segment.arena.verify_holes();
        sums.len += len;
        sums.segments += 1;
        sums.arena_bytes += segment.arena.allocated_bytes();
        sums.live_bytes += live_bytes;
    }
}
