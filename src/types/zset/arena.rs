//! Where the members of a big sorted set lie: their bytes and scores, addressed by 32-bit ids.
//!
//! An id is a place, in units of four bytes: the chunk in its upper 18 bits, the unit in the chunk below. A chunk has
//! 64 KiB; the first ones of a small set have less. Blocks follow each other without gaps, so a chunk can be walked:
//!
//! ```text
//! head            0..=252  │ score f64 │ member of `head` bytes           │ zeros up to a multiple of 4
//! head = 253 LONG          │ score f64 │ index u32 of a member that lies outside
//! head = 254 MEDIUM        │ score f64 │ length u16 │ member
//! head = 255 FREE          │ units u24 │ next u32 │ previous u32          │ whatever was there
//! ```
//!
//! Free blocks stand in doubly linked lists by size. Nothing is coalesced: when half of the bytes are free, the owner
//! moves the blocks of the emptiest chunk elsewhere, a few per removal ([`Arena::next_to_move`]), and the chunk goes.
//!
//! INVARIANT: an id handed out stays valid until it is released; a score is changed in place.

/// No id.
pub const NONE: u32 = u32::MAX;

const UNIT: usize = 4;
/// Units of a chunk, as a power of two.
const CHUNK_SHIFT: u32 = 14;
const CHUNK_UNITS: usize = 1 << CHUNK_SHIFT;
const CHUNK_BYTES: usize = CHUNK_UNITS * UNIT;
/// What the first chunk of a set begins with.
const FIRST_CHUNK_BYTES: usize = 512;
const CHUNKS_MAX: usize = 1 << (32 - CHUNK_SHIFT);

const LONG: u8 = 253;
const MEDIUM: u8 = 254;
const FREE: u8 = 255;
/// Members up to here have their length in the head.
const SHORT_MAX: usize = 252;
/// Members up to here lie in the chunk.
const MEDIUM_MAX: usize = 4096;
const SCORE: usize = 1;
const BODY: usize = 9;

/// Sizes up to here have a list of their own.
const EXACT_UNITS: usize = 64;
/// One more list per power of two above, up to a whole chunk.
const CLASSES: usize = EXACT_UNITS + 1 + (CHUNK_SHIFT as usize - 6);
/// A free block needs three words.
const MIN_UNITS: usize = 3;
/// Blocks of a list of several sizes that are looked at.
const TRIES: usize = 4;

#[derive(Clone)]
struct Chunk {
    bytes: Vec<u8>,
    free_units: u32,
}

/// See the head of this file.
pub struct Arena {
    chunks: Vec<Chunk>,
    /// The chunk that grows at its end.
    open: usize,
    /// Chunks without bytes, to be used again.
    holes: Vec<u32>,
    heads: [u32; CLASSES],
    /// Which lists have blocks.
    nonempty: u128,
    long: Vec<Box<[u8]>>,
    long_holes: Vec<u32>,
    chunk_bytes: usize,
    long_bytes: usize,
    free_units: usize,
    /// The chunk being emptied and how far that is.
    victim: Option<(u32, u32)>,
}

impl Clone for Arena {
    fn clone(&self) -> Arena {
        let chunks = self.chunks.clone();
        // A copied vector has no more room than it needs.
        let chunk_bytes = chunks.iter().map(|chunk| chunk.bytes.capacity()).sum();
        Arena {
            chunks,
            chunk_bytes,
            holes: self.holes.clone(),
            long: self.long.clone(),
            long_holes: self.long_holes.clone(),
            ..*self
        }
    }
}

impl Arena {
    pub fn new() -> Arena {
        Arena {
            chunks: Vec::new(),
            open: 0,
            holes: Vec::new(),
            heads: [NONE; CLASSES],
            nonempty: 0,
            long: Vec::new(),
            long_holes: Vec::new(),
            chunk_bytes: 0,
            long_bytes: 0,
            free_units: 0,
            victim: None,
        }
    }

    /// Bytes behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.chunk_bytes
            + self.long_bytes
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.long.capacity() * size_of::<Box<[u8]>>()
            + (self.holes.capacity() + self.long_holes.capacity()) * 4
    }

    /// Stores a member. `None` when ids are used up, at 16 GiB of members.
    pub fn store(&mut self, member: &[u8], score: f64) -> Option<u32> {
        let units = units_for(member.len());
        let id = self.allocate(units)?;
        let block = self.block_mut(id);
        block[SCORE..BODY].copy_from_slice(&score.to_le_bytes());
        if member.len() <= SHORT_MAX {
            block[0] = member.len() as u8;
            block[BODY..BODY + member.len()].copy_from_slice(member);
        } else if member.len() <= MEDIUM_MAX {
            block[0] = MEDIUM;
            block[BODY..BODY + 2].copy_from_slice(&(member.len() as u16).to_le_bytes());
            block[BODY + 2..BODY + 2 + member.len()].copy_from_slice(member);
        } else {
            block[0] = LONG;
            let index = self.store_long(member.into());
            self.block_mut(id)[BODY..BODY + 4].copy_from_slice(&index.to_le_bytes());
        }
        Some(id)
    }

    fn store_long(&mut self, member: Box<[u8]>) -> u32 {
        self.long_bytes += member.len();
        match self.long_holes.pop() {
            Some(hole) => {
                self.long[hole as usize] = member;
                hole
            }
            None => {
                self.long.push(member);
                self.long.len() as u32 - 1
            }
        }
    }

    #[inline]
    pub fn member(&self, id: u32) -> &[u8] {
        let block = self.block(id);
        match block[0] {
            MEDIUM => {
                let len = u16::from_le_bytes([block[BODY], block[BODY + 1]]);
                &block[BODY + 2..BODY + 2 + usize::from(len)]
            }
            LONG => &self.long[word(block, BODY) as usize],
            len => {
                debug_assert!(len != FREE, "an id that was released");
                &block[BODY..BODY + usize::from(len)]
            }
        }
    }

    #[inline]
    pub fn score(&self, id: u32) -> f64 {
        let bytes = self.block(id)[SCORE..BODY].try_into().expect("eight bytes");
        f64::from_le_bytes(bytes)
    }

    pub fn set_score(&mut self, id: u32, score: f64) {
        self.block_mut(id)[SCORE..BODY].copy_from_slice(&score.to_le_bytes());
    }

    /// Gives a member's place back.
    pub fn release(&mut self, id: u32) {
        let block = self.block(id);
        let units = units_of(block);
        if block[0] == LONG {
            let index = word(block, BODY);
            self.long_bytes -= self.long[index as usize].len();
            self.long[index as usize] = Box::default();
            self.long_holes.push(index);
        }
        self.free(id, units);
    }

    /// When too much is free: the next member that should move away. The owner moves it with [`Arena::move_away`].
    pub fn next_to_move(&mut self) -> Option<u32> {
        if self.victim.is_none() {
            self.choose_victim();
        }
        let (chunk, mut at) = self.victim?;
        let bytes = &self.chunks[chunk as usize].bytes;
        while (at as usize) * UNIT < bytes.len() {
            let block = &bytes[at as usize * UNIT..];
            if block[0] != FREE {
                self.victim = Some((chunk, at));
                return Some(chunk << CHUNK_SHIFT | at);
            }
            at += units_of(block) as u32;
        }
        self.drop_chunk(chunk as usize);
        None
    }

    /// Copies a member to another place and releases the old one. The new id.
    pub fn move_away(&mut self, id: u32) -> Option<u32> {
        let units = units_of(self.block(id));
        let to = self.allocate(units)?;
        let (from, len) = (place(id), units * UNIT);
        let mut scratch = [0; (MEDIUM_MAX + BODY + 2).next_multiple_of(UNIT)];
        scratch[..len].copy_from_slice(&self.chunks[from.0].bytes[from.1..from.1 + len]);
        self.block_mut(to)[..len].copy_from_slice(&scratch[..len]);
        self.free(id, units);
        Some(to)
    }

    /// Half free, and more than a chunk: worth emptying the emptiest one.
    fn choose_victim(&mut self) {
        if self.free_units * UNIT * 2 <= self.chunk_bytes || self.free_units <= CHUNK_UNITS {
            return;
        }
        let candidates = self.chunks.iter().enumerate().filter(|(at, _)| *at != self.open);
        let Some((chunk, _)) = candidates.max_by_key(|(_, chunk)| chunk.free_units) else { return };
        let mut at = 0;
        while at * UNIT < self.chunks[chunk].bytes.len() {
            let id = (chunk as u32) << CHUNK_SHIFT | at as u32;
            let block = self.block(id);
            let (is_free, units) = (block[0] == FREE, units_of(block));
            if is_free {
                self.unlink(id, units);
            }
            at += units;
        }
        self.victim = Some((chunk as u32, 0));
    }

    fn drop_chunk(&mut self, chunk: usize) {
        let gone = std::mem::take(&mut self.chunks[chunk].bytes);
        self.chunk_bytes -= gone.capacity();
        self.free_units -= self.chunks[chunk].free_units as usize;
        self.chunks[chunk].free_units = 0;
        self.holes.push(chunk as u32);
        self.victim = None;
    }

    fn is_victim(&self, chunk: usize) -> bool {
        self.victim.is_some_and(|(victim, _)| victim as usize == chunk)
    }

    fn allocate(&mut self, units: usize) -> Option<u32> {
        if let Some(id) = self.allocate_free(units) {
            return Some(id);
        }
        let wanted = units * UNIT;
        let fits = self.chunks.get(self.open).is_some_and(|chunk| chunk.bytes.len() + wanted <= CHUNK_BYTES);
        if !fits {
            self.open_chunk()?;
        }
        let at = self.extend(wanted);
        Some((self.open as u32) << CHUNK_SHIFT | (at / UNIT) as u32)
    }

    /// Adds zeros to the open chunk; where they begin.
    fn extend(&mut self, wanted: usize) -> usize {
        let chunk = &mut self.chunks[self.open].bytes;
        let (at, end) = (chunk.len(), chunk.len() + wanted);
        if chunk.capacity() < end {
            let grown = (chunk.capacity() * 2).max(end).min(CHUNK_BYTES);
            self.chunk_bytes -= chunk.capacity();
            chunk.reserve_exact(grown - at);
            self.chunk_bytes += chunk.capacity();
        }
        chunk.resize(end, 0);
        at
    }

    /// Begins a new chunk; what is left of the one before becomes free.
    fn open_chunk(&mut self) -> Option<()> {
        let next = match self.holes.pop() {
            Some(hole) => hole as usize,
            None if self.chunks.len() + 1 < CHUNKS_MAX => {
                self.chunks.push(Chunk { bytes: Vec::new(), free_units: 0 });
                self.chunks.len() - 1
            }
            None => return None,
        };
        let first = next == 0 && self.chunks.len() == 1;
        if !first {
            self.close_chunk();
        }
        let bytes = Vec::with_capacity(if first { FIRST_CHUNK_BYTES } else { CHUNK_BYTES });
        self.chunk_bytes += bytes.capacity();
        self.chunks[next].bytes = bytes;
        self.open = next;
        Some(())
    }

    fn close_chunk(&mut self) {
        let left = CHUNK_BYTES - self.chunks[self.open].bytes.len();
        // The open one may have been emptied meanwhile.
        if (MIN_UNITS * UNIT..CHUNK_BYTES).contains(&left) {
            let at = self.extend(left);
            self.free((self.open as u32) << CHUNK_SHIFT | (at / UNIT) as u32, left / UNIT);
        }
    }

    fn allocate_free(&mut self, units: usize) -> Option<u32> {
        if self.nonempty == 0 {
            return None;
        }
        let own = class_of(units);
        if units <= EXACT_UNITS {
            if self.heads[own] != NONE {
                return Some(self.use_free(self.heads[own], units));
            }
        } else {
            let mut id = self.heads[own];
            for _ in 0..TRIES {
                if id == NONE {
                    break;
                }
                let has = units_of(self.block(id));
                if has == units || has >= units + MIN_UNITS {
                    return Some(self.use_free(id, units));
                }
                id = word(self.block(id), 4);
            }
        }
        // What is left of a bigger block must be a block.
        let bigger = class_of(units + MIN_UNITS) + usize::from(units + MIN_UNITS > EXACT_UNITS);
        let classes = self.nonempty.checked_shr(bigger as u32).unwrap_or(0);
        if classes == 0 {
            return None;
        }
        let class = bigger + classes.trailing_zeros() as usize;
        Some(self.use_free(self.heads[class], units))
    }

    /// Takes a free block for `units`, and frees what is left of it.
    fn use_free(&mut self, id: u32, units: usize) -> u32 {
        let has = units_of(self.block(id));
        self.unlink(id, has);
        self.free_units -= has;
        self.chunks[place(id).0].free_units -= has as u32;
        if has > units {
            self.free(id + units as u32, has - units);
        }
        let bytes = &mut self.block_mut(id)[..units * UNIT];
        bytes.fill(0);
        id
    }

    fn free(&mut self, id: u32, units: usize) {
        let (chunk, _) = place(id);
        self.free_units += units;
        self.chunks[chunk].free_units += units as u32;
        let class = class_of(units);
        let linked = !self.is_victim(chunk);
        let next = if linked { self.heads[class] } else { NONE };
        let block = self.block_mut(id);
        block[..4].copy_from_slice(&(u32::from(FREE) | (units as u32) << 8).to_le_bytes());
        block[4..8].copy_from_slice(&next.to_le_bytes());
        block[8..12].copy_from_slice(&NONE.to_le_bytes());
        if linked {
            if next != NONE {
                self.block_mut(next)[8..12].copy_from_slice(&id.to_le_bytes());
            }
            self.heads[class] = id;
            self.nonempty |= 1 << class;
        }
    }

    fn unlink(&mut self, id: u32, units: usize) {
        let block = self.block(id);
        let (next, previous) = (word(block, 4), word(block, 8));
        if next != NONE {
            self.block_mut(next)[8..12].copy_from_slice(&previous.to_le_bytes());
        }
        if previous != NONE {
            self.block_mut(previous)[4..8].copy_from_slice(&next.to_le_bytes());
        } else {
            let class = class_of(units);
            self.heads[class] = next;
            if next == NONE {
                self.nonempty &= !(1 << class);
            }
        }
    }

    #[inline]
    fn block(&self, id: u32) -> &[u8] {
        let (chunk, at) = place(id);
        &self.chunks[chunk].bytes[at..]
    }

    #[inline]
    fn block_mut(&mut self, id: u32) -> &mut [u8] {
        let (chunk, at) = place(id);
        &mut self.chunks[chunk].bytes[at..]
    }

    /// In how many pieces it can be copied.
    pub fn pieces(&self) -> usize {
        self.chunks.len() + self.long.len()
    }

    /// Copies one piece into a new arena, to which all before it were copied; how many bytes that were. The copy is none
    /// before [`Arena::copy_rest`].
    pub fn copy_piece(&self, copy: &mut Arena, at: usize) -> usize {
        match self.chunks.get(at) {
            Some(chunk) => {
                copy.chunks.reserve_exact(self.chunks.len() - at);
                copy.chunks.push(chunk.clone());
                copy.chunk_bytes += copy.chunks[at].bytes.capacity();
                chunk.bytes.len()
            }
            None => {
                let long = &self.long[at - self.chunks.len()];
                copy.long.push(long.clone());
                copy.long_bytes += long.len();
                long.len()
            }
        }
    }

    /// Makes a copy of all pieces whole.
    pub fn copy_rest(&self, copy: &mut Arena) {
        let Arena { chunks, long, chunk_bytes, long_bytes, .. } = std::mem::replace(copy, Arena::new());
        let (holes, long_holes) = (self.holes.clone(), self.long_holes.clone());
        *copy = Arena { chunks, long, chunk_bytes, long_bytes, holes, long_holes, ..*self };
    }

    /// Drops about `n` chunks or long members; true when nothing is left. Only for a set that is no longer used.
    pub fn drop_some(&mut self, n: usize) -> bool {
        for _ in 0..n {
            if let Some(chunk) = self.chunks.pop() {
                self.chunk_bytes -= chunk.bytes.capacity();
            } else if let Some(long) = self.long.pop() {
                self.long_bytes -= long.len();
            } else {
                return true;
            }
        }
        self.chunks.is_empty() && self.long.is_empty()
    }

    /// Walks everything; the ids that are in use.
    #[cfg(test)]
    pub fn verify(&self) -> Vec<u32> {
        let mut live = Vec::new();
        let (mut free_units, mut listed) = (0, 0);
        for (at, chunk) in self.chunks.iter().enumerate() {
            let (mut unit, mut free) = (0, 0);
            while unit * UNIT < chunk.bytes.len() {
                let id = (at as u32) << CHUNK_SHIFT | unit as u32;
                let block = &chunk.bytes[unit * UNIT..];
                let units = units_of(block);
                if block[0] == FREE {
                    free += units;
                    listed += usize::from(!self.is_victim(at));
                } else {
                    live.push(id);
                }
                unit += units;
            }
            assert_eq!(unit * UNIT, chunk.bytes.len(), "blocks fill a chunk");
            assert_eq!(free, chunk.free_units as usize);
            free_units += free;
        }
        assert_eq!(free_units, self.free_units);
        let mut in_lists = 0;
        for (class, head) in self.heads.iter().enumerate() {
            assert_eq!(self.nonempty >> class & 1 == 1, *head != NONE);
            let (mut id, mut previous) = (*head, NONE);
            while id != NONE {
                let block = self.block(id);
                assert_eq!(block[0], FREE);
                assert_eq!(class_of(units_of(block)), class);
                assert_eq!(word(block, 8), previous);
                (previous, id) = (id, word(block, 4));
                in_lists += 1;
            }
        }
        assert_eq!(in_lists, listed);
        assert_eq!(self.chunk_bytes, self.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum::<usize>());
        assert_eq!(self.long_bytes, self.long.iter().map(|long| long.len()).sum::<usize>());
        live
    }
}

#[inline]
fn place(id: u32) -> (usize, usize) {
    ((id >> CHUNK_SHIFT) as usize, (id as usize & (CHUNK_UNITS - 1)) * UNIT)
}

#[inline]
fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"))
}

fn units_for(member_bytes: usize) -> usize {
    let bytes = if member_bytes <= SHORT_MAX {
        BODY + member_bytes
    } else if member_bytes <= MEDIUM_MAX {
        BODY + 2 + member_bytes
    } else {
        BODY + 4
    };
    bytes.div_ceil(UNIT).max(MIN_UNITS)
}

fn units_of(block: &[u8]) -> usize {
    match block[0] {
        FREE => (word(block, 0) >> 8) as usize,
        LONG => units_for(MEDIUM_MAX + 1),
        MEDIUM => units_for(usize::from(u16::from_le_bytes([block[BODY], block[BODY + 1]]))),
        len => units_for(usize::from(len)),
    }
}

/// The list for free blocks of this size: an exact one, or that of the power of two below.
fn class_of(units: usize) -> usize {
    if units <= EXACT_UNITS { units } else { EXACT_UNITS + 1 + (units.ilog2() as usize - 6) }
}
