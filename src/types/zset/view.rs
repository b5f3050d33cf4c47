//! A sorted set as readers see it, whatever form it has.

use std::ops::Range;

use super::packed::{self, Pair, Pairs, PairsRev};
use super::range::{LexRange, ScoreRange, with_text};
use super::sorted::Sorted;
use super::tree::Place;
use crate::types::listpack::{Element, ListpackRef};

/// A sorted set to be read. Ranks count from 0, the lowest score first.
#[derive(Clone, Copy)]
pub enum ZView<'a> {
    Packed(ListpackRef<'a>),
    Sorted(&'a Sorted),
}

impl<'a> ZView<'a> {
    /// Number of members. Walks a listpack.
    pub fn len(&self) -> usize {
        match self {
            ZView::Packed(pack) => pack.len() / 2,
            ZView::Sorted(sorted) => sorted.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            ZView::Packed(pack) => pack.is_empty(),
            ZView::Sorted(sorted) => sorted.is_empty(),
        }
    }

    /// The score of a member. O(1) in the big form.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            ZView::Packed(pack) => packed::find(*pack, member).map(|(_, score)| score),
            ZView::Sorted(sorted) => sorted.score(member),
        }
    }

    /// Rank and score of a member.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZView::Packed(pack) => Pairs::new(*pack)
                .enumerate()
                .find(|(_, (_, (other, _)))| *other == *member)
                .map(|(rank, (_, (_, score)))| (rank, score)),
            ZView::Sorted(sorted) => sorted.rank(member),
        }
    }

    /// The ranks of the members whose scores are in a range. O(log n) in the big form, as everything by rank.
    pub fn ranks_by_score(&self, range: &ScoreRange) -> Range<usize> {
        let count = |before: &dyn Fn(f64) -> bool| match self {
            ZView::Packed(pack) => Pairs::new(*pack).take_while(|(_, (_, score))| before(*score)).count(),
            ZView::Sorted(sorted) => sorted.scores_before(before),
        };
        let start = count(&|score| range.is_above(score));
        start..count(&|score| range.reaches(score)).max(start)
    }

    /// The ranks of the members in a range. They are in order only where all scores are the same.
    ///
    /// Redis: where they are not, what the small form answers is what walking finds, from the end with `reverse`.
    pub fn ranks_by_lex(&self, range: &LexRange<'_>, reverse: bool) -> Range<usize> {
        match self {
            ZView::Packed(pack) => packed_by_lex(*pack, range, reverse),
            ZView::Sorted(sorted) => {
                let start = sorted.members_before(|member| range.is_above(member));
                start..sorted.members_before(|member| range.reaches(member)).max(start)
            }
        }
    }

    /// The member with this rank.
    pub fn get(&self, rank: usize) -> Option<Pair<'a>> {
        self.iter(rank..rank + 1, false).next()
    }

    /// The members with these ranks, as far as there are such; with `reverse` the last of them first.
    pub fn iter(&self, ranks: Range<usize>, reverse: bool) -> ZIter<'a> {
        let steps = match self {
            ZView::Packed(pack) if reverse => {
                let len = pack.len() / 2;
                let (start, end) = (ranks.start.min(len), ranks.end.min(len));
                let mut pairs = PairsRev::new(*pack);
                skip(&mut pairs, len - end);
                return ZIter { steps: Steps::PackedRev(pairs), left: end.saturating_sub(start) };
            }
            ZView::Packed(pack) => {
                let mut pairs = Pairs::new(*pack);
                skip(&mut pairs, ranks.start);
                Steps::Packed(pairs)
            }
            ZView::Sorted(sorted) => {
                let len = sorted.len();
                let (start, end) = (ranks.start.min(len), ranks.end.min(len));
                let first = if reverse { end.checked_sub(1) } else { Some(start) };
                let place = first.filter(|_| start < end).and_then(|rank| sorted.at(rank));
                let steps = Steps::Sorted { sorted, place, reverse };
                return ZIter { steps, left: end.saturating_sub(start) };
            }
        };
        ZIter { steps, left: ranks.len() }
    }

    /// All members in order.
    pub fn all(&self) -> ZIter<'a> {
        self.iter(0..usize::MAX, false)
    }

    /// Visits about `count` members from a cursor on; the cursor to go on from, 0 at the beginning and the end. What is
    /// there during a whole scan is visited. The small form is visited as a whole.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(Element<'_>, f64)) -> u64 {
        match self {
            ZView::Packed(pack) => {
                Pairs::new(*pack).for_each(|(_, (member, score))| visit(member, score));
                0
            }
            ZView::Sorted(sorted) => {
                sorted.scan(cursor, count, &mut |member, score| visit(Element::Bytes(member), score))
            }
        }
    }
}

fn packed_by_lex(pack: ListpackRef<'_>, range: &LexRange<'_>, reverse: bool) -> Range<usize> {
    let below = |(_, (member, _)): &(usize, Pair<'_>)| with_text(*member, |member| range.is_above(member));
    let reached = |(_, (member, _)): &(usize, Pair<'_>)| with_text(*member, |member| range.reaches(member));
    let ends = Pairs::new(pack).next().zip(PairsRev::new(pack).next());
    if ends.is_none_or(|(first, last)| below(&last) || !reached(&first)) {
        return 0..0;
    }
    if reverse {
        let end = pack.len() / 2 - PairsRev::new(pack).take_while(|pair| !reached(pair)).count();
        let found =
            PairsRev::new(pack).skip_while(|pair| !reached(pair)).take_while(|pair| !below(pair)).count();
        end - found..end
    } else {
        let start = Pairs::new(pack).take_while(below).count();
        let found = Pairs::new(pack).skip_while(below).take_while(reached).count();
        start..start + found
    }
}

fn skip(pairs: &mut impl Iterator, count: usize) {
    if count > 0 {
        pairs.nth(count - 1);
    }
}

#[derive(Clone)]
enum Steps<'a> {
    Packed(Pairs<'a>),
    PackedRev(PairsRev<'a>),
    Sorted { sorted: &'a Sorted, place: Option<Place>, reverse: bool },
}

/// Members in order. O(1) per step.
#[derive(Clone)]
pub struct ZIter<'a> {
    steps: Steps<'a>,
    left: usize,
}

impl<'a> Iterator for ZIter<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        self.left = self.left.checked_sub(1)?;
        match &mut self.steps {
            Steps::Packed(pairs) => pairs.next().map(|(_, pair)| pair),
            Steps::PackedRev(pairs) => pairs.next().map(|(_, pair)| pair),
            Steps::Sorted { sorted, place, reverse } => {
                let at = (*place)?;
                *place = if *reverse { sorted.previous(at) } else { sorted.next(at) };
                let (member, score) = sorted.get(at);
                Some((Element::Bytes(member), score))
            }
        }
    }
}
