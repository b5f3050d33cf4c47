//! From a member's hash to its id: extendible hashing over small tables, so that growth moves one of them at a time.
//!
//! ```text
//! hash   │ directory (depth bits) │ home group (0..=6 bits) │ … │ tag (8 bits) │
//! group  │ 8 tags of a byte │ 8 ids │                                40 bytes, often one cache line
//! ```
//!
//! A segment has 1 to 64 groups. A member lies in its home group or, when that is full, in one that follows (round the
//! end). A look-up stops at a group with a slot that was never used.
//!
//! A scan's cursor is a position in hash space, the top 48 bits of a hash. Homes lie in hash order, so "everything whose
//! hash is below the cursor has been shown" means the same before and after any split, growth or merge.
//!
//! Fagin, Nievergelt, Pippenger, Strong: Extendible hashing (1979).

const SLOTS: usize = 8;
const GROUPS_MAX: usize = 64;
/// A directory with more places than this per segment is not doubled: then the hash does not tell members apart, and a
/// segment grows on instead of splitting.
const PLACES_PER_SEGMENT: usize = 64;
const EMPTY: u8 = 0;
/// A slot that was used: a look-up goes on behind it.
const GONE: u8 = 1;
const CURSOR_SHIFT: u32 = 16;

#[derive(Clone, Copy)]
struct Group {
    tags: [u8; SLOTS],
    ids: [u32; SLOTS],
}

const BLANK: Group = Group { tags: [EMPTY; SLOTS], ids: [0; SLOTS] };

impl Group {
    /// A bit at the top of each byte that equals `tag`; exact up to the first and possibly spurious above it.
    #[inline]
    fn matches(&self, tag: u8) -> u64 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let differs = u64::from_le_bytes(self.tags) ^ (ONES * u64::from(tag));
        differs.wrapping_sub(ONES) & !differs & (ONES << 7)
    }

    #[inline]
    fn has_empty(&self) -> bool {
        self.matches(EMPTY) != 0
    }
}

#[derive(Clone)]
struct Segment {
    groups: Box<[Group]>,
    /// Bits of the hash that all members here share.
    depth: u8,
    len: u32,
    /// Slots that are not empty: members and those that are gone.
    used: u32,
}

impl Segment {
    fn new(depth: u8, groups: usize) -> Segment {
        Segment { groups: vec![BLANK; groups].into(), depth, len: 0, used: 0 }
    }

    #[inline]
    fn home(&self, hash: u64) -> usize {
        // Up to 63 bits are taken off first, so that the remaining shift is below 64.
        let rest = hash.checked_shl(u32::from(self.depth)).unwrap_or(0);
        ((rest >> 1) >> (63 - self.groups.len().ilog2())) as usize
    }

    fn is_full(&self) -> bool {
        self.used as usize >= self.groups.len() * SLOTS * 7 / 8
    }

    /// Adds an id; there is room.
    fn put(&mut self, hash: u64, id: u32) {
        let mut at = self.home(hash);
        let mask = self.groups.len() - 1;
        loop {
            let group = &mut self.groups[at];
            if let Some(slot) = group.tags.iter().position(|tag| *tag <= GONE) {
                self.used += u32::from(group.tags[slot] == EMPTY);
                self.len += 1;
                group.tags[slot] = tag_of(hash);
                group.ids[slot] = id;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.groups
            .iter()
            .flat_map(|group| (0..SLOTS).filter(|slot| group.tags[*slot] > GONE).map(|slot| group.ids[slot]))
    }
}

/// See the head of this file.
#[derive(Clone)]
pub struct Index {
    /// Which segment has the hashes that begin with these bits.
    directory: Vec<u32>,
    depth: u32,
    segments: Vec<Segment>,
    group_count: usize,
}

impl Index {
    pub fn new() -> Index {
        Index { directory: vec![0], depth: 0, segments: vec![Segment::new(0, 1)], group_count: 1 }
    }

    /// Bytes behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.group_count * size_of::<Group>()
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * 4
    }

    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        self.directory[((hash >> 1) >> (63 - self.depth)) as usize] as usize
    }

    /// The id with this hash that `is` accepts.
    #[inline]
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.slot(hash, &mut is).map(|(segment, group, slot)| self.segments[segment].groups[group].ids[slot])
    }

    #[inline]
    fn slot(&self, hash: u64, is: &mut impl FnMut(u32) -> bool) -> Option<(usize, usize, usize)> {
        let number = self.segment_of(hash);
        let segment = &self.segments[number];
        let (tag, mask) = (tag_of(hash), segment.groups.len() - 1);
        let mut at = segment.home(hash);
        for _ in 0..=mask {
            let group = &segment.groups[at];
            let mut found = group.matches(tag);
            while found != 0 {
                let slot = found.trailing_zeros() as usize / 8;
                if group.tags[slot] == tag && is(group.ids[slot]) {
                    return Some((number, at, slot));
                }
                found &= found - 1;
            }
            if group.has_empty() {
                break;
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds an id that is not there. `rehash` gives the hash of an id.
    pub fn insert(&mut self, hash: u64, id: u32, rehash: &impl Fn(u32) -> u64) {
        loop {
            let number = self.segment_of(hash);
            let segment = &self.segments[number];
            if !segment.is_full() {
                return self.segments[number].put(hash, id);
            }
            let (groups, depth) = (segment.groups.len(), u32::from(segment.depth));
            if segment.len as usize * 4 <= segment.used as usize * 3 {
                self.rebuild(number, groups, rehash);
            } else if groups < GROUPS_MAX || 1 << depth > self.segments.len() * PLACES_PER_SEGMENT {
                self.rebuild(number, groups * 2, rehash);
            } else {
                self.split(number, rehash);
            }
        }
    }

    /// Takes an id out. True when it was there.
    pub fn remove(&mut self, hash: u64, id: u32, rehash: &impl Fn(u32) -> u64) -> bool {
        let Some((number, at, slot)) = self.slot(hash, &mut |other| other == id) else { return false };
        let segment = &mut self.segments[number];
        let group = &mut segment.groups[at];
        // A look-up that reaches a group with an empty slot ends there anyhow.
        let empty = group.has_empty();
        group.tags[slot] = if empty { EMPTY } else { GONE };
        segment.used -= u32::from(empty);
        segment.len -= 1;
        let (len, groups) = (segment.len as usize, segment.groups.len());
        if groups > 1 && len * 8 < groups * SLOTS {
            self.rebuild(number, (groups / 4).max(1), rehash);
        } else if groups == 1 && len <= 1 {
            self.merge(hash, rehash);
        }
        true
    }

    /// Puts another id in the place of one.
    pub fn replace(&mut self, hash: u64, id: u32, with: u32) {
        if let Some((number, at, slot)) = self.slot(hash, &mut |other| other == id) {
            self.segments[number].groups[at].ids[slot] = with;
        }
    }

    fn rebuild(&mut self, number: usize, groups: usize, rehash: &impl Fn(u32) -> u64) {
        let depth = self.segments[number].depth;
        let old = std::mem::replace(&mut self.segments[number], Segment::new(depth, groups));
        self.group_count = self.group_count + groups - old.groups.len();
        for id in old.ids() {
            self.segments[number].put(rehash(id), id);
        }
    }

    fn split(&mut self, number: usize, rehash: &impl Fn(u32) -> u64) {
        let old = &self.segments[number];
        let (depth, groups) = (old.depth + 1, old.groups.len());
        if u32::from(depth) > self.depth {
            self.directory = self.directory.iter().flat_map(|segment| [*segment, *segment]).collect();
            self.depth += 1;
        }
        let upper = self.segments.len();
        self.segments.push(Segment::new(depth, groups));
        let old = std::mem::replace(&mut self.segments[number], Segment::new(depth, groups));
        self.group_count += groups;
        let bit = 64 - u32::from(depth);
        let mut any = None;
        for id in old.ids() {
            let hash = rehash(id);
            any = Some(hash);
            let to = if hash >> bit & 1 == 0 { number } else { upper };
            self.segments[to].put(hash, id);
        }
        let hash = any.expect("a full segment has members");
        // The directory's places whose bits begin as these members' hashes do, the upper half of them.
        let width = 1usize << (self.depth - u32::from(depth));
        let first = ((hash >> bit | 1) as usize) * width;
        self.directory[first..first + width].fill(upper as u32);
    }

    /// Joins the nearly empty segment of `hash` with its twin when that is small as well.
    fn merge(&mut self, hash: u64, rehash: &impl Fn(u32) -> u64) {
        let number = self.segment_of(hash);
        let depth = self.segments[number].depth;
        if depth == 0 {
            return;
        }
        let twin = self.segment_of(hash ^ 1 << (64 - u32::from(depth)));
        let with = &self.segments[twin];
        if with.depth != depth || with.groups.len() > 1 || with.len as usize > SLOTS / 2 {
            return;
        }
        self.segments[twin].depth -= 1;
        self.rebuild(twin, 1, rehash);
        for id in self.segments[number].clone().ids() {
            self.segments[twin].put(rehash(id), id);
        }
        let width = 1usize << (self.depth - u32::from(depth) + 1);
        let first = (hash >> (64 - self.depth)) as usize / width * width;
        self.directory[first..first + width].fill(twin as u32);
        // The last segment takes the number that became free.
        let last = self.segments.len() - 1;
        self.group_count -= self.segments.swap_remove(number).groups.len();
        if number != last {
            let moved = &self.segments[number];
            let width = 1usize << (self.depth - u32::from(moved.depth));
            match moved.ids().next() {
                Some(id) => {
                    let first = ((rehash(id) >> 1) >> (63 - self.depth)) as usize / width * width;
                    self.directory[first..first + width].fill(number as u32);
                }
                // Nothing tells where an empty one is; that is rare, since empty ones are joined.
                None => {
                    for place in &mut self.directory {
                        if *place == last as u32 {
                            *place = number as u32;
                        }
                    }
                }
            }
        }
    }

    /// Visits about `count` ids from a cursor on, and returns the cursor to go on from; 0 begins and ends.
    ///
    /// What is there during a whole scan is visited. A cursor that no call returned is answered like any other.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        rehash: &impl Fn(u32) -> u64,
        visit: &mut dyn FnMut(u32),
    ) -> u64 {
        const END: u64 = 1 << (64 - CURSOR_SHIFT);
        let (mut at, mut visited) = (cursor, 0);
        while at < END && visited < count.max(1) {
            let hash = at << CURSOR_SHIFT;
            let segment = &self.segments[self.segment_of(hash)];
            let bits = u32::from(segment.depth) + segment.groups.len().ilog2();
            let home = segment.home(hash);
            let width = 1u64 << (64 - CURSOR_SHIFT).saturating_sub(bits);
            let end = (at / width + 1) * width;
            let mask = segment.groups.len() - 1;
            let mut place = home;
            for _ in 0..=mask {
                let group = &segment.groups[place];
                for slot in (0..SLOTS).filter(|slot| group.tags[*slot] > GONE) {
                    let position = rehash(group.ids[slot]) >> CURSOR_SHIFT;
                    if (at..end).contains(&position) {
                        visit(group.ids[slot]);
                        visited += 1;
                    }
                }
                if group.has_empty() {
                    break;
                }
                place = (place + 1) & mask;
            }
            at = end;
        }
        if at >= END { 0 } else { at }
    }

    /// In how many pieces it can be copied.
    pub fn pieces(&self) -> usize {
        self.segments.len()
    }

    /// Copies one piece into a new index, to which all before it were copied; how many bytes that were. The copy is none
    /// before [`Index::copy_rest`].
    pub fn copy_piece(&self, copy: &mut Index, at: usize) -> usize {
        if at == 0 {
            copy.segments = Vec::with_capacity(self.segments.len());
            copy.group_count = 0;
        }
        let segment = &self.segments[at];
        copy.segments.push(segment.clone());
        copy.group_count += segment.groups.len();
        segment.groups.len() * size_of::<Group>()
    }

    /// Makes a copy of all pieces whole.
    pub fn copy_rest(&self, copy: &mut Index) {
        copy.directory = self.directory.clone();
        copy.depth = self.depth;
    }

    /// Drops about `n` segments; true when nothing is left. Only for a set that is no longer used.
    pub fn drop_some(&mut self, n: usize) -> bool {
        for _ in 0..n {
            let Some(segment) = self.segments.pop() else { return true };
            self.group_count -= segment.groups.len();
        }
        self.segments.is_empty()
    }

    /// Walks everything; the ids that are there.
    #[cfg(test)]
    pub fn verify(&self, rehash: &impl Fn(u32) -> u64) -> Vec<u32> {
        assert_eq!(self.directory.len(), 1 << self.depth);
        let mut ids = Vec::new();
        let mut places = vec![0usize; self.segments.len()];
        for (at, number) in self.directory.iter().enumerate() {
            places[*number as usize] += 1;
            let segment = &self.segments[*number as usize];
            let width = 1usize << (self.depth - u32::from(segment.depth));
            assert_eq!(self.directory[at / width * width], *number, "a segment's places are together");
        }
        for (number, segment) in self.segments.iter().enumerate() {
            assert_eq!(places[number], 1 << (self.depth - u32::from(segment.depth)));
            let mut len = 0;
            for id in segment.ids() {
                let hash = rehash(id);
                assert_eq!(self.segment_of(hash), number);
                assert_eq!(self.find(hash, |other| other == id), Some(id));
                ids.push(id);
                len += 1;
            }
            assert_eq!(len, segment.len);
            let used = segment.groups.iter().flat_map(|group| group.tags).filter(|tag| *tag != EMPTY).count();
            assert_eq!(used, segment.used as usize);
        }
        assert_eq!(self.group_count, self.segments.iter().map(|segment| segment.groups.len()).sum::<usize>());
        ids
    }
}

#[inline]
fn tag_of(hash: u64) -> u8 {
    let tag = hash as u8;
    if tag <= GONE { tag + 2 } else { tag }
}
