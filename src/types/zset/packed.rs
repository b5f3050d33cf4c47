//! The small form: a listpack of members, each followed by its score, in order. As bytes inside an entry, borrowed.

use std::cmp::Ordering;

use crate::types::listpack::{Element, Iter, IterRev, Listpack, ListpackRef};
use crate::types::number::{format_f64, parse_f64};

/// A member with its score.
pub type Pair<'a> = (Element<'a>, f64);

/// Puts a score behind a member; the position after it. Redis: scores are text, integers as such, and a zero has no
/// sign.
fn insert_score(pack: &mut Listpack, offset: usize, score: f64) -> usize {
    let text = format_f64(score + 0.0);
    pack.insert_at(offset, &text[..])
}

/// What a score's entry says.
#[inline]
pub fn score_of(element: Element<'_>) -> f64 {
    match element {
        Element::Int(value) => value as f64,
        Element::Bytes(text) => parse_f64(text).expect("a score of ours is the text of a float"),
    }
}

/// Pairs with the positions of their members, forwards.
#[derive(Clone)]
pub struct Pairs<'a>(Iter<'a>);

impl<'a> Pairs<'a> {
    pub fn new(pack: ListpackRef<'a>) -> Pairs<'a> {
        Pairs(pack.iter())
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (usize, Pair<'a>);

    #[inline]
    fn next(&mut self) -> Option<(usize, Pair<'a>)> {
        let (at, member) = self.0.next()?;
        let (_, score) = self.0.next()?;
        Some((at, (member, score_of(score))))
    }
}

/// Pairs from the last to the first.
#[derive(Clone)]
pub struct PairsRev<'a>(IterRev<'a>);

impl<'a> PairsRev<'a> {
    pub fn new(pack: ListpackRef<'a>) -> PairsRev<'a> {
        PairsRev(pack.iter_rev())
    }
}

impl<'a> Iterator for PairsRev<'a> {
    type Item = (usize, Pair<'a>);

    #[inline]
    fn next(&mut self) -> Option<(usize, Pair<'a>)> {
        let (_, score) = self.0.next()?;
        let (at, member) = self.0.next()?;
        Some((at, (member, score_of(score))))
    }
}

/// The position and score of a member.
pub fn find(pack: ListpackRef<'_>, member: &[u8]) -> Option<(usize, f64)> {
    let at = pack.find(member, 2)?;
    let score = pack.at(pack.after(at))?;
    Some((at, score_of(score)))
}

/// Compares a member with bytes.
#[inline]
pub fn compare_member(element: Element<'_>, bytes: &[u8]) -> Ordering {
    element.as_bytes(&mut itoa::Buffer::new()).cmp(bytes)
}

/// Puts a member that is not there in its place.
pub fn insert(pack: &mut Listpack, member: &[u8], score: f64) {
    let after = |(other, other_score): Pair<'_>| match other_score.partial_cmp(&score) {
        Some(Ordering::Equal) | None => compare_member(other, member) == Ordering::Greater,
        Some(order) => order == Ordering::Greater,
    };
    let end = pack.body().len();
    // New members are often the last, and then nothing is to be walked.
    let is_last = PairsRev::new(pack.as_ref()).next().is_none_or(|(_, pair)| !after(pair));
    let at = if is_last {
        end
    } else {
        Pairs::new(pack.as_ref()).find(|(_, pair)| after(*pair)).map_or(end, |(at, _)| at)
    };
    let at = pack.insert_at(at, member);
    insert_score(pack, at, score);
}

/// Is this a listpack of pairs in order, every score a number and no member twice? For bytes from elsewhere.
pub fn is_sound(pack: ListpackRef<'_>) -> bool {
    let mut entries = pack.iter();
    let mut last: Option<(Vec<u8>, f64)> = None;
    let mut members = std::collections::HashSet::new();
    while let Some((_, member)) = entries.next() {
        let score = match entries.next() {
            Some((_, Element::Int(value))) => value as f64,
            Some((_, Element::Bytes(text))) => match parse_f64(text) {
                Some(score) => score,
                None => return false,
            },
            None => return false,
        };
        let member = member.to_vec();
        if let Some((before, before_score)) = &last
            && super::sorted::compare((*before_score, before), (score, &member)) != Ordering::Less
        {
            return false;
        }
        if !members.insert(member.clone()) {
            return false;
        }
        last = Some((member, score));
    }
    true
}
