//! A body of one's own, to be changed.
//!
//! ```text
//!   bytes:  │ gap (head bytes) │ body …                │ spare capacity │
//! ```
//!
//! The gap makes taking from the front and putting there cost what is taken or put, as the spare capacity does at
//! the back. Memory grows by doubling, a gap that is half of the bytes or more is closed before memory grows.

use super::entry::{Element, Encoded, span};
use super::view::{Iter, IterRev, ListpackRef};

/// Capacity up to which memory doubles; beyond, it grows by a quarter.
const DOUBLING_MAX: usize = 64 * 1024;

/// A listpack with its memory and its number of entries.
#[derive(Clone, Default)]
pub struct Listpack {
    bytes: Vec<u8>,
    /// Where the body begins. INVARIANT: at most `bytes.len()`.
    head: u32,
    count: u32,
}

impl Listpack {
    pub const fn new() -> Listpack {
        Listpack { bytes: Vec::new(), head: 0, count: 0 }
    }

    /// An empty listpack with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Listpack {
        Listpack { bytes: Vec::with_capacity(bytes), head: 0, count: 0 }
    }

    /// A copy of a body of ours, with room for one more short entry. Counts its entries.
    pub fn from_body(body: &[u8]) -> Listpack {
        let mut bytes = Vec::with_capacity(grown(body.len() + 32));
        bytes.extend_from_slice(body);
        Listpack::from_parts(bytes, ListpackRef::new(body).len())
    }

    /// A body of ours whose number of entries is known.
    pub fn from_parts(body: Vec<u8>, count: usize) -> Listpack {
        debug_assert_eq!(ListpackRef::new(&body).len(), count);
        Listpack { bytes: body, head: 0, count: count as u32 }
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entries' bytes.
    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head as usize..]
    }

    /// The entries' bytes as a vector.
    pub fn into_body(mut self) -> Vec<u8> {
        self.close_gap();
        self.bytes
    }

    /// To be read.
    #[inline]
    pub fn as_ref(&self) -> ListpackRef<'_> {
        ListpackRef::new(self.body())
    }

    /// The entries from the beginning.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        self.as_ref().iter()
    }

    /// The entries from the end.
    #[inline]
    pub fn iter_rev(&self) -> IterRev<'_> {
        self.as_ref().iter_rev()
    }

    /// Bytes behind the listpack, allocator rounding not included.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// The position of the entry `index` from the beginning, walked to from the nearer end.
    pub fn seek(&self, index: usize) -> Option<usize> {
        let len = self.len();
        if index >= len {
            None
        } else if index <= len / 2 {
            self.as_ref().offset_of(index)
        } else {
            self.as_ref().offset_of_back(len - 1 - index)
        }
    }

    /// The entry `index` from the beginning, walked to from the nearer end.
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        self.seek(index).and_then(|at| self.as_ref().at(at))
    }

    /// Adds an entry at the end.
    #[inline]
    pub fn push_back<'e>(&mut self, entry: impl Into<Encoded<'e>>) {
        let entry = entry.into();
        self.make_room(entry.span());
        entry.append(&mut self.bytes);
        self.count += 1;
    }

    /// Adds an entry at the beginning, where room is kept for the next ones.
    #[inline]
    pub fn push_front<'e>(&mut self, entry: impl Into<Encoded<'e>>) {
        let entry = entry.into();
        let span = entry.span();
        if (self.head as usize) < span {
            self.open_gap(span);
        }
        let head = self.head as usize;
        entry.write(&mut self.bytes[head - span..head]);
        self.head -= span as u32;
        self.count += 1;
    }

    /// Inserts before the entry at a position, or at the end. Returns the position after the new entry.
    pub fn insert_at<'e>(&mut self, offset: usize, entry: impl Into<Encoded<'e>>) -> usize {
        let entry = entry.into();
        let span = entry.span();
        let len = self.body().len();
        assert!(offset <= len);
        if offset == 0 && len > 0 {
            self.push_front(entry);
        } else {
            entry.write(self.resize_hole(offset, 0, span));
            self.count += 1;
        }
        offset + span
    }

    /// Puts another entry where there is one at a position. Returns the position after it.
    pub fn replace_at<'e>(&mut self, offset: usize, entry: impl Into<Encoded<'e>>) -> usize {
        let entry = entry.into();
        let old = span(&self.body()[offset..]);
        let new = entry.span();
        if new == old {
            let at = self.head as usize + offset;
            entry.write(&mut self.bytes[at..at + new]);
        } else {
            entry.write(self.resize_hole(offset, old, new));
        }
        offset + new
    }

    /// Removes up to `n` entries from a position on. What follows them is at that position then.
    pub fn remove_at(&mut self, offset: usize, n: usize) {
        let view = self.as_ref();
        let len = view.body().len();
        let (mut end, mut removed) = (offset, 0);
        while removed < n && end < len {
            end = view.after(end);
            removed += 1;
        }
        self.remove_span(offset, end, removed);
    }

    /// Removes the entries from one position to another, which are `n`.
    pub fn remove_span(&mut self, from: usize, to: usize, n: usize) {
        let head = self.head as usize;
        if from == 0 {
            self.head += to as u32;
        } else {
            self.bytes.drain(head + from..head + to);
        }
        self.count -= n as u32;
        if self.count == 0 {
            self.clear();
        }
    }

    /// Removes the entries at these positions, which ascend. One pass over the body.
    pub fn remove_each(&mut self, offsets: &[usize]) {
        let head = self.head as usize;
        let Some(first) = offsets.first() else { return };
        let mut to = head + first;
        for (n, offset) in offsets.iter().enumerate() {
            let from = head + offset + span(&self.bytes[head + offset..]);
            let end = offsets.get(n + 1).map_or(self.bytes.len(), |next| head + next);
            self.bytes.copy_within(from..end, to);
            to += end - from;
        }
        self.bytes.truncate(to);
        self.count -= offsets.len() as u32;
    }

    /// Removes the first entry.
    #[inline]
    pub fn drop_front(&mut self) {
        if self.count <= 1 {
            self.clear();
        } else {
            self.head += span(self.body()) as u32;
            self.count -= 1;
        }
    }

    /// Removes the last entry.
    #[inline]
    pub fn drop_back(&mut self) {
        if self.count <= 1 {
            self.clear();
        } else if let Some(at) = self.as_ref().before(self.body().len()) {
            self.bytes.truncate(self.head as usize + at);
            self.count -= 1;
        }
    }

    /// Removes all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.head = 0;
        self.count = 0;
    }

    /// Appends the entries of another listpack.
    pub fn append(&mut self, other: &Listpack) {
        self.make_room(other.body().len());
        self.bytes.extend_from_slice(other.body());
        self.count += other.count;
    }

    /// Cuts at a position, before which there are `n` entries: keeps those, and returns the rest.
    pub fn split_off(&mut self, offset: usize, n: usize) -> Listpack {
        let rest = Listpack { bytes: self.body()[offset..].to_vec(), head: 0, count: self.count - n as u32 };
        self.bytes.truncate(self.head as usize + offset);
        self.count = n as u32;
        rest
    }

    /// Gives back memory that is not used.
    pub fn shrink(&mut self) {
        self.close_gap();
        self.bytes.shrink_to_fit();
    }

    /// Turns `old` bytes of the body into `new` ones, to be written by the caller.
    fn resize_hole(&mut self, offset: usize, old: usize, new: usize) -> &mut [u8] {
        if new > old {
            self.make_room(new - old);
        }
        let at = self.head as usize + offset;
        let (len, tail) = (self.bytes.len(), at + old);
        if new > old {
            self.bytes.resize(len + new - old, 0);
        }
        self.bytes.copy_within(tail..len, at + new);
        self.bytes.truncate(len + new - old);
        &mut self.bytes[at..at + new]
    }

    /// Sees to it that `more` bytes can be appended.
    #[inline]
    fn make_room(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            self.grow_back(more);
        }
    }

    #[cold]
    fn grow_back(&mut self, more: usize) {
        if self.head > 0 && self.head as usize >= self.bytes.len() / 2 {
            self.close_gap();
        }
        let need = self.bytes.len() + more;
        if need > self.bytes.capacity() {
            self.bytes.reserve_exact(grown(need) - self.bytes.len());
        }
    }

    /// Moves the body so that `least` bytes or more are free before it.
    #[cold]
    fn open_gap(&mut self, least: usize) {
        let body = self.body();
        let total = grown(body.len() + least).max(self.bytes.capacity());
        // Half of what is free goes to the front, all of it when something was put in front before.
        let free = total - body.len();
        let gap = if self.bytes.len() == self.bytes.capacity() { free } else { free.div_ceil(2).max(least) };
        let mut bytes = Vec::with_capacity(total);
        bytes.resize(gap, 0);
        bytes.extend_from_slice(body);
        self.bytes = bytes;
        self.head = gap as u32;
    }

    fn close_gap(&mut self) {
        if self.head > 0 {
            self.bytes.drain(..self.head as usize);
            self.head = 0;
        }
    }
}

/// The capacity to take when this many bytes are needed.
fn grown(need: usize) -> usize {
    if need <= DOUBLING_MAX { need.next_power_of_two().max(16) } else { need + need / 4 }
}

impl PartialEq for Listpack {
    fn eq(&self, other: &Listpack) -> bool {
        self.body() == other.body()
    }
}

impl Eq for Listpack {}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|(_, element)| element)).finish()
    }
}
