//! Reading a set wherever it lives.

use super::Element;
use crate::types::draw::below;
use crate::types::intset::IntSetRef;
use crate::types::listpack::{self, ListpackRef};
use crate::types::number::parse_i64;
use crate::types::raw::table::{self, Table};

/// A set, borrowed.
#[derive(Clone, Copy)]
pub enum SetView<'a> {
    Ints(IntSetRef<'a>),
    Members(ListpackRef<'a>),
    Table(&'a Table<()>),
}

/// A member that is looked for, in one set or in many: read as an integer and hashed once, if at all.
#[derive(Clone, Copy)]
pub struct Needle<'n> {
    bytes: &'n [u8],
    /// Whether it is an integer, once known.
    int: Option<Option<i64>>,
    hash: Option<u64>,
}

impl<'n> Needle<'n> {
    /// Of any bytes; what a form needs of it is found when it is needed.
    #[inline]
    pub fn new(bytes: &'n [u8]) -> Needle<'n> {
        Needle { bytes, int: None, hash: None }
    }

    /// Of a member of some set; an integer is written into `digits`.
    #[inline]
    pub fn of(member: Element<'n>, digits: &'n mut itoa::Buffer) -> Needle<'n> {
        match member {
            Element::Int(value) => {
                Needle { bytes: digits.format(value).as_bytes(), int: Some(Some(value)), hash: None }
            }
            Element::Bytes(bytes) => Needle::new(bytes),
        }
    }

    /// The member that is looked for.
    #[inline]
    pub fn bytes(&self) -> &'n [u8] {
        self.bytes
    }

    #[inline]
    fn int(&mut self) -> Option<i64> {
        *self.int.get_or_insert_with(|| parse_i64(self.bytes))
    }

    #[inline]
    fn hash(&mut self, table: &Table<()>) -> u64 {
        *self.hash.get_or_insert_with(|| table.hasher().hash(self.bytes))
    }
}

impl<'a> SetView<'a> {
    /// Number of members. Walks a listpack.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetView::Ints(ints) => ints.len(),
            SetView::Members(members) => members.len(),
            SetView::Table(table) => table.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Is it a member? O(1) in a table, O(log n) among integers, O(n) in a listpack.
    #[inline]
    pub fn contains(self, needle: &mut Needle<'_>) -> bool {
        match self {
            SetView::Ints(ints) => needle.int().is_some_and(|value| ints.contains(value)),
            SetView::Members(members) => match needle.int() {
                Some(value) => members.find(value, 1).is_some(),
                None => members.find(needle.bytes, 1).is_some(),
            },
            SetView::Table(table) => table.find(needle.hash(table), needle.bytes).is_some(),
        }
    }

    /// Begins to load what [`SetView::contains`] looks at first.
    #[inline]
    pub(super) fn prefetch(self, needle: &mut Needle<'_>) {
        if let SetView::Table(table) = self {
            table.prefetch(needle.hash(table));
        }
    }

    /// Begins to load what it looks at second; some time after [`SetView::prefetch`].
    #[inline]
    pub(super) fn prefetch_entry(self, needle: &mut Needle<'_>) {
        if let SetView::Table(table) = self {
            table.prefetch_entry(needle.hash(table));
        }
    }

    /// The members: integers ascending, others in no order of meaning.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        match self {
            SetView::Ints(ints) => Iter::Ints(ints, 0),
            SetView::Members(members) => Iter::Members(members.iter()),
            SetView::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// Visits a slice of the members and returns the cursor to go on from; 0 starts and ends. A small set is one slice.
    pub fn scan(self, cursor: u64, count: usize, visit: &mut dyn FnMut(Element<'a>)) -> u64 {
        match self {
            SetView::Table(table) => {
                table.scan(cursor, count, &mut |entry| visit(Element::Bytes(entry.key())))
            }
            small => {
                small.iter().for_each(visit);
                0
            }
        }
    }

    /// A random member, each as likely as any other.
    pub fn random(self, random: &mut dyn FnMut() -> u64) -> Option<Element<'a>> {
        match self {
            SetView::Ints(ints) => {
                (!ints.is_empty()).then(|| Element::Int(ints.get(below(random(), ints.len()))))
            }
            SetView::Members(members) => members.get(below(random(), members.len())),
            SetView::Table(table) => table.random_entry(random).map(|entry| Element::Bytes(entry.key())),
        }
    }
}

/// Iterator over the members of a borrowed set.
pub enum Iter<'a> {
    Ints(IntSetRef<'a>, usize),
    Members(listpack::Iter<'a>),
    Table(table::Iter<'a, ()>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Iter::Ints(ints, at) => {
                let value = (*at < ints.len()).then(|| ints.get(*at))?;
                *at += 1;
                Some(Element::Int(value))
            }
            Iter::Members(members) => members.next().map(|(_, member)| member),
            Iter::Table(entries) => entries.next().map(|entry| Element::Bytes(entry.key())),
        }
    }
}
