//! Shapes: the names that many small hashes have in common, kept once for all of them.
//!
//! Hashes that stand for things of one kind have the same fields in the same order. Inside an entry such a hash is
//!
//! ```text
//!   │ number of its shape, u16 │ values, a listpack body │        the names are the shape's
//! ```
//!
//! Only bytes inside entries know shapes. A hash that is about to be changed is a listpack of pairs again, so no
//! command and no writer of files has to know them; numbers of shapes mean something in this process only. The exception
//! is what clients do most, setting fields that are there, or all of a new hash: [`rewrite`] and [`write`] make the new
//! bytes of the old ones and the request, which takes half the instructions.
//!
//! INVARIANTS: a shape, once there, stays as it is for as long as the process runs, so a number is good wherever its
//! bytes go. There are at most [`SHAPES`] of them, each of at most [`NAMES_BYTES`] bytes. Names become a shape only
//! when one thread has seen them [`SIGHTINGS`] times, so hashes whose names are all different leave no trace.

use std::cell::Cell;
use std::sync::OnceLock;

use super::super::collection::{Room, Shortened};
use super::super::listpack::{Listpack, ListpackRef, write_text};
use super::super::raw::table::VALUE_INLINE_MAX;

/// How many shapes a process has room for.
const SHAPES: usize = 4096;
const SHAPES_BITS: u32 = SHAPES.trailing_zeros();
/// A shape is within so many places of where its names' hash points.
const PROBES: usize = 8;
/// Names that take less are not worth a shape,
const NAMES_MIN_BYTES: usize = 6;
/// and hashes with longer ones, or with more, have room for their own.
const NAMES_BYTES: usize = 512;
const FIELDS: usize = 64;
/// So often a thread has to see names before they become a shape.
const SIGHTINGS: u32 = 16;
const SEEN_PLACES: usize = 256;
/// Bytes of a shape's number.
const NUMBER_BYTES: usize = 2;

/// No shape has this number.
pub(super) const NO_SHAPE: u16 = u16::MAX;
const _: () = assert!(SHAPES < NO_SHAPE as usize);

// Every core looks here, and after the first hashes of a kind none writes.
static TABLE: [OnceLock<Shape>; SHAPES] = [const { OnceLock::new() }; SHAPES];

thread_local! {
    /// Names seen lately by this thread: the upper bits of their hash, and how often in the lowest eight.
    static SEEN: [Cell<u32>; SEEN_PLACES] = const { [const { Cell::new(0) }; SEEN_PLACES] };
}

/// Names of fields, in order.
#[derive(Debug)]
pub(super) struct Shape {
    names: Box<[u8]>,
    /// Where each name begins; one more tells where the last one ends.
    starts: Box<[u16]>,
}

impl Shape {
    /// The names of bytes that [`shorten`] has written, and the values.
    #[inline]
    pub fn split(bytes: &[u8]) -> (&'static Shape, ListpackRef<'_>) {
        let shape = TABLE[usize::from(number_of(bytes))].get();
        let shape = shape.expect("numbers of shapes are written when the shape is there");
        (shape, ListpackRef::new(&bytes[NUMBER_BYTES..]))
    }

    /// How many fields.
    #[inline]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    #[inline]
    pub fn names(&self) -> ListpackRef<'_> {
        ListpackRef::new(&self.names)
    }

    /// Which of the fields has this name: perhaps the one at `near`.
    #[inline]
    pub fn index_of(&self, near: usize, field: &[u8]) -> Option<usize> {
        if near != 0 && near < self.len() && self.is_name(near, field) {
            return Some(near);
        }
        let at = self.names().find(field, 1)?;
        self.starts.binary_search(&(at as u16)).ok()
    }

    #[inline]
    fn is_name(&self, index: usize, field: &[u8]) -> bool {
        self.names().is_text_at(usize::from(self.starts[index]), field)
    }

    fn name(&self, index: usize) -> &[u8] {
        &self.names[usize::from(self.starts[index])..usize::from(self.starts[index + 1])]
    }

    /// The names of a listpack of pairs.
    fn of(pairs: &[u8], names_bytes: usize) -> Shape {
        let mut names = Vec::with_capacity(names_bytes);
        let mut starts = vec![0];
        for (name, _) in slices(pairs) {
            names.extend_from_slice(name);
            starts.push(names.len() as u16);
        }
        Shape { names: names.into(), starts: starts.into() }
    }

    /// Writes a listpack of pairs as one of this shape, if it is.
    #[inline]
    fn shorten(&self, number: u16, pairs: &[u8], into: &mut Shortened) -> bool {
        if pairs.len() + NUMBER_BYTES > VALUE_INLINE_MAX + self.names.len() {
            return false;
        }
        into.clear();
        into.extend_from_slice(&number.to_le_bytes());
        let mut at = 0;
        for (name, value) in slices(pairs) {
            if !self.names[at..].starts_with(name) {
                return false;
            }
            at += name.len();
            into.extend_from_slice(value);
        }
        at == self.names.len()
    }

    /// The listpack of pairs of these values, with room for one more short pair.
    pub fn lengthen(&self, values: ListpackRef<'_>) -> Listpack {
        const ROOM: usize = 64;
        let mut pairs = Vec::with_capacity(self.names.len() + values.body().len() + ROOM);
        let mut at = 0;
        for index in 0..self.len() {
            let end = values.after(at);
            pairs.extend_from_slice(self.name(index));
            pairs.extend_from_slice(&values.body()[at..end]);
            at = end;
        }
        Listpack::from_parts(pairs, 2 * self.len())
    }
}

/// How many fields bytes have that [`shorten`] has written.
#[inline]
pub(super) fn len_of(bytes: &[u8]) -> usize {
    Shape::split(bytes).0.len()
}

/// The number of the shape of bytes that [`shorten`] has written.
#[inline]
pub(super) fn number_of(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

/// Writes bytes of a shape anew with other values of some fields, which come in the shape's order; how many bytes that
/// are. `None` when they come otherwise, some are new, or there is no room.
#[inline]
pub(super) fn rewrite<'p>(
    bytes: &[u8],
    mut pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>,
    into: &mut Room,
) -> Option<usize> {
    let (shape, values) = Shape::split(bytes);
    into[..NUMBER_BYTES].copy_from_slice(&bytes[..NUMBER_BYTES]);
    // Written so far; and of the values: where the next one is, and up to where they were copied or replaced.
    let (mut end, mut value_at, mut done) = (NUMBER_BYTES, 0, 0);
    let mut next = pairs.next();
    for index in 0..shape.len() {
        let Some((field, value)) = next else { break };
        let after = values.after(value_at);
        if shape.is_name(index, field) {
            end = copy(&values.body()[done..value_at], into, end)?;
            end = write_text(value, into, end)?;
            done = after;
            next = pairs.next();
        }
        value_at = after;
    }
    if next.is_some() {
        return None;
    }
    copy(&values.body()[done..], into, end)
}

/// Writes a hash of these fields as one of their shape; how many bytes that are. `None` when there is no such shape, or
/// no room.
#[inline]
pub(super) fn write<'p>(
    pairs: impl ExactSizeIterator<Item = (&'p [u8], &'p [u8])> + Clone,
    into: &mut Room,
) -> Option<usize> {
    if pairs.len() > FIELDS {
        return None;
    }
    let hash = pairs.clone().fold(0, |hash, (name, _)| mix(hash, name));
    places(hash).find_map(|number| {
        let shape = TABLE[number].get()?;
        if shape.len() != pairs.len() {
            return None;
        }
        into[..NUMBER_BYTES].copy_from_slice(&(number as u16).to_le_bytes());
        pairs.clone().enumerate().try_fold(NUMBER_BYTES, |end, (index, (name, value))| {
            if shape.is_name(index, name) { write_text(value, into, end) } else { None }
        })
    })
}

/// Writes bytes at a place and returns the place after them.
#[inline]
fn copy(bytes: &[u8], into: &mut Room, at: usize) -> Option<usize> {
    let end = at + bytes.len();
    if !bytes.is_empty() {
        into.get_mut(at..end)?.copy_from_slice(bytes);
    }
    Some(end)
}

/// The numbers that a shape may have whose names have this hash.
#[inline]
fn places(hash: u64) -> impl Iterator<Item = usize> {
    (0..PROBES).map(move |probe| ((hash >> (64 - SHAPES_BITS)) as usize + probe) % SHAPES)
}

/// Writes a listpack of pairs with the number of its shape, perhaps `near`, in place of its names. False when it has
/// none, or would still be too long for an entry.
#[inline]
pub(super) fn shorten(pairs: &[u8], near: u16, into: &mut Shortened) -> bool {
    let near_shape = TABLE.get(usize::from(near)).and_then(OnceLock::get);
    near_shape.is_some_and(|shape| shape.shorten(near, pairs, into)) || shorten_far(pairs, into)
}

fn shorten_far(pairs: &[u8], into: &mut Shortened) -> bool {
    let (mut fields, mut names_bytes, mut hash) = (0, 0, 0);
    let mut digits = itoa::Buffer::new();
    for (name, _) in slices(pairs) {
        fields += 1;
        names_bytes += name.len();
        let name = ListpackRef::new(name).at(0).expect("a name is an entry");
        hash = mix(hash, name.as_bytes(&mut digits));
    }
    let fits = pairs.len() + NUMBER_BYTES <= VALUE_INLINE_MAX + names_bytes;
    if !fits || fields > FIELDS || !(NAMES_MIN_BYTES..=NAMES_BYTES).contains(&names_bytes) {
        return false;
    }
    for number in places(hash) {
        let place = &TABLE[number];
        if place.get().is_none() && !is_familiar(hash) {
            return false;
        }
        // Another core may have put another shape here in the meantime.
        let shape = place.get_or_init(|| Shape::of(pairs, names_bytes));
        if shape.shorten(number as u16, pairs, into) {
            return true;
        }
    }
    false
}

/// Counts that this thread has seen names of this hash. True when it was often enough.
///
/// Names that come once wear the counts of others down, and do not take their places.
fn is_familiar(hash: u64) -> bool {
    SEEN.with(|seen| {
        let place = &seen[(hash >> 32) as usize % SEEN_PLACES];
        let (tag, count) = (hash as u32 & !0xff, place.get() & 0xff);
        if count > 0 && place.get() & !0xff != tag {
            place.set(place.get() - 1);
            return false;
        }
        let count = (count + 1).min(SIGHTINGS);
        place.set(tag | count);
        count == SIGHTINGS
    })
}

/// Names of fields differ at their ends, if not at their beginnings.
#[inline]
fn mix(hash: u64, name: &[u8]) -> u64 {
    let word = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(23),
        _ => name.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    };
    ((hash ^ word).wrapping_add(name.len() as u64)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

/// The bytes of each name and of its value.
#[inline]
fn slices(pairs: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (pack, mut at) = (ListpackRef::new(pairs), 0);
    std::iter::from_fn(move || {
        if at == pairs.len() {
            return None;
        }
        let value_at = pack.after(at);
        let end = pack.after(value_at);
        let pair = (&pairs[at..value_at], &pairs[value_at..end]);
        at = end;
        Some(pair)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[&str], value: &str) -> Listpack {
        let mut pack = Listpack::new();
        for name in names {
            pack.push_back(name.as_bytes());
            pack.push_back(value.as_bytes());
        }
        pack
    }

    fn shortened(pairs: &Listpack) -> Option<Shortened> {
        let mut into = Shortened::new();
        shorten(pairs.body(), NO_SHAPE, &mut into).then_some(into)
    }

    #[test]
    fn names_become_a_shape_when_they_were_seen_often() {
        let pack = pairs(&["shape:street", "shape:town", "shape:12"], "some value");
        assert!(shortened(&pack).is_none());
        // What this thread saw before, in other tests, may have to be worn down.
        let short = (0..3 * SIGHTINGS).find_map(|_| shortened(&pack)).expect("often enough");
        assert_eq!(short.len(), NUMBER_BYTES + 3 * 12);
        let (shape, values) = Shape::split(&short);
        assert_eq!(shape.lengthen(values).body(), pack.body());
        assert_eq!((shape.len(), shape.index_of(0, b"shape:town")), (3, Some(1)));
        assert_eq!((shape.index_of(2, b"shape:12"), shape.index_of(2, b"shape")), (Some(2), None));
        // At once for the next of the kind, whatever its number was thought to be; a part of the names is not of the kind.
        let other = pairs(&["shape:street", "shape:town", "shape:12"], "other");
        for near in [NO_SHAPE, 0, number_of(&short)] {
            assert!(shorten(other.body(), near, &mut Shortened::new()));
        }
        assert!(shortened(&pairs(&["shape:street", "shape:town"], "x")).is_none());
        assert!(shortened(&pairs(&["shape:town", "shape:street", "shape:12"], "x")).is_none());
    }

    #[test]
    fn names_that_never_come_again_become_no_shapes() {
        for number in 0..10_000 {
            let name = format!("shape of its own {number}");
            assert!(shortened(&pairs(&[&name, "second"], "v")).is_none());
        }
    }

    #[test]
    fn what_is_too_long_for_an_entry_stays_as_it_is() {
        let long = pairs(&["shape:first", "shape:second"], &"x".repeat(VALUE_INLINE_MAX / 2));
        let many: Vec<String> = (0..FIELDS + 1).map(|number| format!("shape:{number}")).collect();
        let many = pairs(&many.iter().map(String::as_str).collect::<Vec<_>>(), "1");
        for _ in 0..2 * SIGHTINGS {
            assert!(shortened(&long).is_none() && shortened(&many).is_none());
            assert!(shortened(&pairs(&["a"], "value")).is_none() && shortened(&Listpack::new()).is_none());
        }
    }

    #[test]
    fn threads_agree_on_the_numbers_of_shapes() {
        let number = || {
            let pack = pairs(&["shape:of", "shape:many threads"], "v");
            std::iter::repeat_with(|| shortened(&pack)).find_map(|short| short.map(|short| number_of(&short)))
        };
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(number)).collect();
        let numbers: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert!(numbers.windows(2).all(|two| two[0] == two[1]));
    }
}
