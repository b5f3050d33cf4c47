//! Intersection, union and difference of borrowed sets, a member at a time and without copies.
//!
//! Members are taken in handfuls: first all are hashed and the buckets they fall into asked for, then their entries,
//! then they are compared, so that the memory of one is on its way while others are worked on.

use smallvec::SmallVec;

use super::{Element, Needle, Set, SetView};
use crate::types::Encodings;

/// Members that are looked for together.
const HANDFUL: usize = 16;

/// From this many sets on, the members seen are kept in a set instead of being looked for in all the sets before.
const KEEP_SEEN: usize = 4;

/// Shows each member that all the sets have, until `show` returns false. Looks for the members of the smallest.
pub fn intersection<'a>(sets: &[SetView<'a>], show: &mut dyn FnMut(Element<'a>) -> bool) {
    let mut sets: SmallVec<[(usize, SetView<'a>); 8]> = sets.iter().map(|set| (set.len(), *set)).collect();
    sets.sort_by_key(|(len, _)| *len);
    let Some(((_, smallest), others)) = sets.split_first() else { return };
    let others: SmallVec<[SetView<'a>; 8]> = others.iter().map(|(_, set)| *set).collect();
    probe(*smallest, &others, show, |others, needle| others.iter().all(|other| other.contains(needle)));
}

/// Shows each member that the first set has and no other, until `show` returns false.
pub fn difference<'a>(
    first: SetView<'a>,
    others: &[SetView<'a>],
    limits: &Encodings,
    show: &mut dyn FnMut(Element<'a>) -> bool,
) {
    let none =
        |others: &[SetView<'_>], needle: &mut Needle<'_>| !others.iter().any(|other| other.contains(needle));
    let others_len: usize = others.iter().map(|other| other.len()).sum();
    // Each member may be looked for in every other set, or the others be put together first.
    if others.len() < KEEP_SEEN
        || first.len().saturating_mul(others.len() - 1) <= others_len.saturating_mul(2)
    {
        return probe(first, others, show, none);
    }
    let together = gathered(others, limits);
    let mut digits = itoa::Buffer::new();
    for member in first.iter() {
        let found = together.view().contains(&mut Needle::of(member, &mut digits));
        if !found && !show(member) {
            return;
        }
    }
}

/// Shows each member that any of the sets has, once, until `show` returns false.
///
/// Redis: a union of sets of integers comes in ascending order.
pub fn union<'a>(sets: &[SetView<'a>], limits: &Encodings, show: &mut dyn FnMut(Element<'a>) -> bool) {
    if sets.len() > 1 && sets.iter().all(|set| matches!(set, SetView::Ints(_))) {
        let mut all: Vec<i64> = Vec::with_capacity(sets.iter().map(|set| set.len()).sum());
        for set in sets {
            if let SetView::Ints(ints) = set {
                all.extend(ints.iter());
            }
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter().all(|value| show(Element::Int(value)));
        return;
    }
    if sets.len() <= KEEP_SEEN {
        let mut more = true;
        for (index, set) in sets.iter().enumerate() {
            let mut shown = |member| {
                more = show(member);
                more
            };
            probe(*set, &sets[..index], &mut shown, |before, needle| {
                !before.iter().any(|other| other.contains(needle))
            });
            if !more {
                return;
            }
        }
        return;
    }
    let mut seen = Set::default();
    let mut digits = itoa::Buffer::new();
    for member in sets.iter().flat_map(|set| set.iter()) {
        if seen.insert(member.as_bytes(&mut digits), limits) && !show(member) {
            return;
        }
    }
}

/// One of the three operations, to be run step by step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    Inter,
    Union,
    Diff,
}

impl How {
    /// About how many members are looked at.
    pub fn members(self, sets: &[SetView<'_>]) -> usize {
        let lens = sets.iter().map(|set| set.len());
        match self {
            How::Inter => lens.min().unwrap_or(0),
            How::Union => lens.sum(),
            How::Diff => lens.take(1).sum(),
        }
    }
}

/// How far an operation has come, over sets that stay as they are.
#[derive(Clone, Copy, Default, Debug)]
pub struct Walk {
    /// The set whose members are looked at, of a union.
    from: usize,
    cursor: u64,
}

impl Walk {
    /// Shows members of the result, having looked at about `count` members, until `show` returns false. False at the end.
    pub fn step<'a>(
        &mut self,
        how: How,
        sets: &[SetView<'a>],
        count: usize,
        show: &mut dyn FnMut(Element<'a>) -> bool,
    ) -> bool {
        let from = match how {
            How::Inter => (0..sets.len()).min_by_key(|&index| sets[index].len()).unwrap_or(0),
            How::Union => self.from,
            How::Diff => 0,
        };
        let Some(set) = sets.get(from) else { return false };
        let others: SmallVec<[SetView<'a>; 8]> = match how {
            How::Union => sets[..from].into(),
            _ => (0..sets.len()).filter(|&index| index != from).map(|index| sets[index]).collect(),
        };
        let mut members = Vec::new();
        self.cursor = set.scan(self.cursor, count, &mut |member| members.push(member));
        let has = |others: &[SetView<'a>], needle: &mut Needle<'_>| match how {
            How::Inter => others.iter().all(|other| other.contains(needle)),
            _ => !others.iter().any(|other| other.contains(needle)),
        };
        if !probe_members(members.into_iter(), &others, show, has) {
            return false;
        }
        if self.cursor == 0 {
            self.from += 1;
        }
        self.cursor != 0 || (how == How::Union && self.from < sets.len())
    }
}

fn gathered(sets: &[SetView<'_>], limits: &Encodings) -> Set {
    let mut all = Set::default();
    let mut digits = itoa::Buffer::new();
    for member in sets.iter().flat_map(|set| set.iter()) {
        all.insert(member.as_bytes(&mut digits), limits);
    }
    all
}

/// Shows those members of `from` that `wanted` accepts, having looked for them in `others`.
#[inline]
fn probe<'a>(
    from: SetView<'a>,
    others: &[SetView<'a>],
    show: &mut dyn FnMut(Element<'a>) -> bool,
    wanted: impl Fn(&[SetView<'a>], &mut Needle<'_>) -> bool,
) {
    probe_members(from.iter(), others, show, wanted);
}

/// The same of some members. False when `show` has ended it.
#[inline]
fn probe_members<'a>(
    mut members: impl Iterator<Item = Element<'a>>,
    others: &[SetView<'a>],
    show: &mut dyn FnMut(Element<'a>) -> bool,
    wanted: impl Fn(&[SetView<'a>], &mut Needle<'_>) -> bool,
) -> bool {
    let Some(next) = others.first() else { return members.all(show) };
    loop {
        let handful: SmallVec<[Element<'a>; HANDFUL]> = members.by_ref().take(HANDFUL).collect();
        if handful.is_empty() {
            return true;
        }
        let mut digits = [const { None::<itoa::Buffer> }; HANDFUL];
        let mut needles: SmallVec<[Needle<'_>; HANDFUL]> = SmallVec::new();
        for (member, digits) in handful.iter().zip(&mut digits) {
            let mut needle = match *member {
                Element::Bytes(bytes) => Needle::new(bytes),
                int => Needle::of(int, digits.insert(itoa::Buffer::new())),
            };
            next.prefetch(&mut needle);
            needles.push(needle);
        }
        needles.iter_mut().for_each(|needle| next.prefetch_entry(needle));
        for (member, needle) in handful.iter().zip(&mut needles) {
            if wanted(others, needle) && !show(*member) {
                return false;
            }
        }
    }
}
