//! Reading a body.

use super::entry::{Element, Encoded, Needle, decode, is_text, read_backlen, span};

/// A body, borrowed: the bytes of a [`Listpack`](super::Listpack), or those that lie in the keyspace table.
///
/// Positions are byte offsets of entries; a body's length is the position after its last entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListpackRef<'a> {
    body: &'a [u8],
}

impl<'a> ListpackRef<'a> {
    /// Takes bytes that a listpack of ours has written.
    #[inline]
    pub fn new(body: &'a [u8]) -> ListpackRef<'a> {
        ListpackRef { body }
    }

    #[inline]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// How many entries there are. Walks them.
    pub fn len(&self) -> usize {
        let (mut at, mut count) = (0, 0);
        while at < self.body.len() {
            at += span(&self.body[at..]);
            count += 1;
        }
        count
    }

    /// The entry at a position, `None` at the end.
    #[inline]
    pub fn at(&self, offset: usize) -> Option<Element<'a>> {
        let bytes = &self.body[offset..];
        if bytes.is_empty() { None } else { Some(decode(bytes).0) }
    }

    /// The position after the entry at a position.
    #[inline]
    pub fn after(&self, offset: usize) -> usize {
        offset + span(&self.body[offset..])
    }

    /// The position of the entry before a position; `None` at the beginning.
    #[inline]
    pub fn before(&self, offset: usize) -> Option<usize> {
        if offset == 0 {
            return None;
        }
        let (size, back) = read_backlen(&self.body[..offset]).expect("an entry of ours ends in its backlen");
        Some(offset - size - back)
    }

    /// The position of the entry `index` from the beginning; `None` when there are not so many. Walks.
    pub fn offset_of(&self, index: usize) -> Option<usize> {
        let mut at = 0;
        for _ in 0..index {
            if at >= self.body.len() {
                return None;
            }
            at = self.after(at);
        }
        (at < self.body.len()).then_some(at)
    }

    /// The position of the entry `index` from the end, 0 the last. Walks.
    pub fn offset_of_back(&self, index: usize) -> Option<usize> {
        let mut at = self.before(self.body.len())?;
        for _ in 0..index {
            at = self.before(at)?;
        }
        Some(at)
    }

    /// The entry `index` from the beginning. Walks.
    pub fn get(&self, index: usize) -> Option<Element<'a>> {
        self.offset_of(index).and_then(|at| self.at(at))
    }

    /// The entry `index` from the end, 0 the last. Walks.
    pub fn get_back(&self, index: usize) -> Option<Element<'a>> {
        self.offset_of_back(index).and_then(|at| self.at(at))
    }

    /// The position of the first entry equal to `needle` among the first, the `step`-th after it, and so on: 1 looks
    /// at all, 2 at the fields of a hash.
    #[inline]
    pub fn find<'n>(&self, needle: impl Into<Encoded<'n>>, step: usize) -> Option<usize> {
        self.find_from(0, needle, step)
    }

    /// The same, beginning at a position.
    pub fn find_from<'n>(&self, from: usize, needle: impl Into<Encoded<'n>>, step: usize) -> Option<usize> {
        let needle = Needle::new(needle.into());
        let (body, mut at) = (self.body, from);
        while at < body.len() {
            if needle.is_at(&body[at..]) {
                return Some(at);
            }
            at += span(&body[at..]);
            for _ in 1..step {
                if at < body.len() {
                    at += span(&body[at..]);
                }
            }
        }
        None
    }

    /// True when the entry at a position is `needle`.
    pub fn is_at<'n>(&self, offset: usize, needle: impl Into<Encoded<'n>>) -> bool {
        offset < self.body.len() && needle.into().is_at(&self.body[offset..])
    }

    /// The same of a string.
    #[inline]
    pub fn is_text_at(&self, offset: usize, text: &[u8]) -> bool {
        offset < self.body.len() && is_text(&self.body[offset..], text)
    }

    /// Entries with their positions, from the beginning.
    #[inline]
    pub fn iter(&self) -> Iter<'a> {
        self.iter_from(0)
    }

    /// Entries with their positions, from this one on.
    #[inline]
    pub fn iter_from(&self, offset: usize) -> Iter<'a> {
        Iter { view: *self, at: offset }
    }

    /// Entries with their positions, from the end.
    #[inline]
    pub fn iter_rev(&self) -> IterRev<'a> {
        self.iter_rev_from(self.body.len())
    }

    /// Entries with their positions, backwards from the one before this position.
    #[inline]
    pub fn iter_rev_from(&self, offset: usize) -> IterRev<'a> {
        IterRev { view: *self, at: offset }
    }
}

/// Entries with their positions, forwards.
#[derive(Clone)]
pub struct Iter<'a> {
    view: ListpackRef<'a>,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (usize, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<(usize, Element<'a>)> {
        let at = self.at;
        if at >= self.view.body.len() {
            return None;
        }
        let (element, span) = decode(&self.view.body[at..]);
        self.at += span;
        Some((at, element))
    }
}

/// Entries with their positions, backwards.
#[derive(Clone)]
pub struct IterRev<'a> {
    view: ListpackRef<'a>,
    at: usize,
}

impl<'a> Iterator for IterRev<'a> {
    type Item = (usize, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<(usize, Element<'a>)> {
        self.at = self.view.before(self.at)?;
        Some((self.at, decode(&self.view.body[self.at..]).0))
    }
}
