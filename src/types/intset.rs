//! A sorted array of integers, all of one width: the small form of a set of integers.
//!
//! ```text
//!  body     | width | v0 | v1 | .. |       width: one byte, 2, 4 or 8
//!  in RDB   | width u32 | count u32 | v0 | v1 | .. |
//! ```
//!
//! Everything is little endian. The width is that of the widest value there ever was: it grows, and never shrinks.
//!
//! INVARIANT: the values are strictly ascending. [`IntSet::from_redis`] refuses bytes for which that does not hold.

/// Widths of values, as bytes.
const NARROW: u8 = 2;
const MIDDLE: u8 = 4;
const WIDE: u8 = 8;

/// Bytes of the header in RDB.
const RDB_HEADER: usize = 8;

fn width_of(value: i64) -> u8 {
    if i16::try_from(value).is_ok() {
        NARROW
    } else if i32::try_from(value).is_ok() {
        MIDDLE
    } else {
        WIDE
    }
}

/// An intset that lies in somebody else's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntSetRef<'a> {
    width: u8,
    values: &'a [u8],
}

impl<'a> IntSetRef<'a> {
    /// No values.
    pub const EMPTY: IntSetRef<'static> = IntSetRef { width: NARROW, values: &[] };

    /// Over a body that an [`IntSet`] gave.
    #[inline]
    pub fn new(body: &'a [u8]) -> IntSetRef<'a> {
        match body {
            [width @ (NARROW | MIDDLE | WIDE), values @ ..] => IntSetRef { width: *width, values },
            _ => panic!("an intset's body begins with its width"),
        }
    }

    /// Number of values. O(1).
    #[inline]
    pub fn len(self) -> usize {
        self.values.len() >> self.width.trailing_zeros()
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.values.is_empty()
    }

    /// Bytes of one value.
    pub fn width(self) -> u8 {
        self.width
    }

    /// The value at a place in order. Panics past the end.
    #[inline]
    pub fn get(self, index: usize) -> i64 {
        match self.width {
            NARROW => i64::from(i16::from_le_bytes(self.bytes_at(index))),
            MIDDLE => i64::from(i32::from_le_bytes(self.bytes_at(index))),
            _ => i64::from_le_bytes(self.bytes_at(index)),
        }
    }

    #[inline]
    fn bytes_at<const N: usize>(self, index: usize) -> [u8; N] {
        self.values[index * N..(index + 1) * N].try_into().expect("the slice has this length")
    }

    /// Is it among them? O(log n).
    #[inline]
    pub fn contains(self, value: i64) -> bool {
        self.find(value).is_ok()
    }

    /// Where a value is, or where it would go.
    pub fn find(self, value: i64) -> Result<usize, usize> {
        let (mut from, mut to) = (0, self.len());
        // Often a value is beyond either end: identifiers grow.
        if to == 0 || value > self.get(to - 1) {
            return Err(to);
        }
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle).cmp(&value) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Greater => to = middle,
                std::cmp::Ordering::Equal => return Ok(middle),
            }
        }
        Err(from)
    }

    /// The values, ascending.
    pub fn iter(self) -> impl ExactSizeIterator<Item = i64> + DoubleEndedIterator + 'a {
        (0..self.len()).map(move |index| self.get(index))
    }
}

/// An intset of one's own.
#[derive(Clone, PartialEq, Eq)]
pub struct IntSet {
    body: Vec<u8>,
}

impl Default for IntSet {
    fn default() -> IntSet {
        IntSet { body: vec![NARROW] }
    }
}

impl std::fmt::Debug for IntSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.as_ref().iter()).finish()
    }
}

impl IntSet {
    pub fn new() -> IntSet {
        IntSet::default()
    }

    /// A copy of a body that an intset gave, to be changed.
    pub fn from_body(body: &[u8]) -> IntSet {
        debug_assert!(IntSetRef::new(body).iter().is_sorted_by(|a, b| a < b));
        // Room for the value that is about to be added.
        let mut copy = Vec::with_capacity(body.len() + usize::from(WIDE));
        copy.extend_from_slice(body);
        IntSet { body: copy }
    }

    /// Reads what Redis writes into RDB. `None` for anything that is not a sorted, non-empty intset.
    pub fn from_redis(bytes: &[u8]) -> Option<IntSet> {
        let (header, values) = bytes.split_at_checked(RDB_HEADER)?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let width = match word(0) {
            2 => NARROW,
            4 => MIDDLE,
            8 => WIDE,
            _ => return None,
        };
        let count = word(4) as usize;
        if count == 0 || count.checked_mul(usize::from(width)) != Some(values.len()) {
            return None;
        }
        let view = IntSetRef { width, values };
        if !view.iter().is_sorted_by(|a, b| a < b) {
            return None;
        }
        let mut body = Vec::with_capacity(1 + values.len());
        body.push(width);
        body.extend_from_slice(values);
        Some(IntSet { body })
    }

    /// The bytes that Redis writes into RDB.
    pub fn to_redis(view: IntSetRef<'_>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RDB_HEADER + view.values.len());
        bytes.extend(u32::from(view.width).to_le_bytes());
        bytes.extend((view.len() as u32).to_le_bytes());
        bytes.extend_from_slice(view.values);
        bytes
    }

    /// To be read.
    #[inline]
    pub fn as_ref(&self) -> IntSetRef<'_> {
        IntSetRef::new(&self.body)
    }

    /// The bytes to keep.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Number of values. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    pub fn is_empty(&self) -> bool {
        self.body.len() == 1
    }

    /// Bytes obtained from the allocator.
    pub fn heap_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// Adds a value. False when it was there.
    pub fn insert(&mut self, value: i64) -> bool {
        let width = width_of(value);
        if width > self.body[0] {
            // Wider than all others, so it goes to one of the ends.
            self.widen(width, value);
            return true;
        }
        let Err(index) = self.as_ref().find(value) else { return false };
        let width = usize::from(self.body[0]);
        let at = 1 + index * width;
        let end = self.body.len();
        self.body.extend_from_slice(&value.to_le_bytes()[..width]);
        if at < end {
            self.body.copy_within(at..end, at + width);
            self.body[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        }
        true
    }

    fn widen(&mut self, width: u8, value: i64) {
        let old = self.as_ref();
        let bytes = usize::from(width);
        let mut body = Vec::with_capacity(1 + (old.len() + 1) * bytes);
        body.push(width);
        let mut push = |value: i64| body.extend_from_slice(&value.to_le_bytes()[..bytes]);
        if value < 0 {
            push(value);
        }
        old.iter().for_each(&mut push);
        if value >= 0 {
            push(value);
        }
        self.body = body;
    }

    /// Takes a value out. False when it was not there.
    pub fn remove(&mut self, value: i64) -> bool {
        let found = self.as_ref().find(value);
        if let Ok(index) = found {
            self.remove_at(index);
        }
        found.is_ok()
    }

    /// Takes the value at a place in order out. Panics past the end.
    pub fn remove_at(&mut self, index: usize) {
        let width = usize::from(self.body[0]);
        let at = 1 + index * width;
        self.body.drain(at..at + width);
        if self.body.capacity() > 64 && self.body.len() < self.body.capacity() / 4 {
            self.body.shrink_to(self.body.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    fn of(values: &[i64]) -> IntSet {
        let mut set = IntSet::new();
        values.iter().for_each(|value| {
            set.insert(*value);
        });
        set
    }

    #[test]
    fn the_width_grows_with_the_values_and_stays() {
        let mut set = of(&[1, -5]);
        assert_eq!(set.as_ref().width(), 2);
        assert!(set.insert(-40_000));
        assert_eq!(set.as_ref().width(), 4);
        assert!(set.insert(1 << 40));
        assert_eq!(set.as_ref().width(), 8);
        assert_eq!(set.as_ref().iter().collect::<Vec<_>>(), [-40_000, -5, 1, 1 << 40]);
        assert!(set.remove(1 << 40) && !set.remove(77));
        assert_eq!((set.as_ref().width(), set.len()), (8, 3));
    }

    #[test]
    fn rdb_bytes_are_those_of_redis() {
        let set = of(&[3, 1, 2]);
        let bytes = IntSet::to_redis(set.as_ref());
        assert_eq!(bytes, b"\x02\0\0\0\x03\0\0\0\x01\0\x02\0\x03\0");
        assert_eq!(IntSet::from_redis(&bytes), Some(set));
    }

    #[test]
    fn bytes_that_are_no_intset_are_refused() {
        for bytes in [
            &b""[..],
            b"\x02\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x01\0\0\0\x01\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\x02\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x02\0",
            b"\x08\0\0\0\xff\xff\xff\xff\x02\0\x02\0",
        ] {
            assert_eq!(IntSet::from_redis(bytes), None, "{bytes:?}");
        }
    }

    /// Values around the borders of widths.
    fn value() -> impl Strategy<Value = i64> {
        prop_oneof![
            -40i64..40,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
            prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(32_767), Just(32_768), Just(-32_769)],
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_btree(steps in proptest::collection::vec((any::<bool>(), value()), 0..200)) {
            let (mut set, mut twin) = (IntSet::new(), BTreeSet::new());
            for (insert, value) in steps {
                if insert {
                    prop_assert_eq!(set.insert(value), twin.insert(value));
                } else {
                    prop_assert_eq!(set.remove(value), twin.remove(&value));
                }
                prop_assert_eq!(set.as_ref().contains(value), twin.contains(&value));
            }
            prop_assert!(set.as_ref().iter().eq(twin.iter().copied()));
            prop_assert_eq!(set.len(), twin.len());
            let copy = IntSet::from_body(set.body());
            prop_assert_eq!(&copy, &set);
            if !set.is_empty() {
                let bytes = IntSet::to_redis(set.as_ref());
                prop_assert_eq!(IntSet::from_redis(&bytes), Some(set));
            }
        }

        #[test]
        fn any_bytes_are_refused_or_sorted(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(set) = IntSet::from_redis(&bytes) {
                prop_assert!(set.as_ref().iter().is_sorted_by(|a, b| a < b));
            }
        }
    }
}
