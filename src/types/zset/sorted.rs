//! The big form of a sorted set: members in an [`Arena`], their order in a [`Tree`], and an [`Index`] from member to
//! id. Reported as `skiplist`, which is what Redis has in its place.
//!
//! A member costs about 10 bytes in the arena besides its own, 12 to 17 in the tree and 6 to 11 in the index. Nothing
//! here copies or rehashes everything at once.
//!
//! INVARIANT: scores are numbers, never NaN. Whoever calls has seen to it.

use std::cmp::Ordering;

use super::arena::Arena;
use super::index::Index;
use super::tree::{Beside, Neighbours, Place, Tree};
use crate::types::raw::table::Hasher;

/// Members moved per removal while much of the arena is free.
const MOVES: usize = 4;

/// Ids are used up: 16 GiB of members in one set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// See the head of this file.
#[derive(Clone)]
pub struct Sorted {
    arena: Arena,
    tree: Tree,
    index: Index,
    hasher: Hasher,
}

/// The order of members: by score, then by bytes.
#[inline]
pub fn compare(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

impl Default for Sorted {
    fn default() -> Sorted {
        Sorted::new()
    }
}

impl Sorted {
    pub fn new() -> Sorted {
        Sorted { arena: Arena::new(), tree: Tree::new(), index: Index::new(), hasher: Hasher::shared() }
    }

    /// Number of members. O(1).
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.arena.heap_bytes() + self.tree.heap_bytes() + self.index.heap_bytes()
    }

    #[inline]
    fn find(&self, hash: u64, member: &[u8]) -> Option<u32> {
        self.index.find(hash, |id| self.arena.member(id) == member)
    }

    /// The score of a member. O(1).
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(self.hasher.hash(member), member).map(|id| self.arena.score(id))
    }

    /// Gives a member a score; the one it had. O(log n), and less when it stays between its neighbours.
    pub fn add(&mut self, member: &[u8], score: f64) -> Result<Option<f64>, Full> {
        let hash = self.hasher.hash(member);
        if let Some(id) = self.find(hash, member) {
            let old = self.arena.score(id);
            if old != score {
                self.update(id, member, old, score);
            }
            return Ok(Some(old));
        }
        let id = self.arena.store(member, score).ok_or(Full)?;
        let Sorted { arena, tree, index, hasher } = self;
        index.insert(hash, id, &|id| hasher.hash(arena.member(id)));
        tree.insert(score, id, &is_before(arena, score, member));
        Ok(None)
    }

    fn update(&mut self, id: u32, member: &[u8], old: f64, score: f64) {
        let Sorted { arena, tree, .. } = self;
        let is_between = |neighbours: &Neighbours| {
            let than = |beside: &Beside, wanted: Ordering| match beside {
                Beside::Pair((other, id)) => {
                    // Only equal scores need the member.
                    let order = other.partial_cmp(&score).unwrap_or(Ordering::Equal);
                    order.then_with(|| arena.member(*id).cmp(member)) == wanted
                }
                Beside::Nothing => true,
                Beside::Unknown => false,
            };
            than(&neighbours.before, Ordering::Less) && than(&neighbours.after, Ordering::Greater)
        };
        let stays = tree.change(&is_upto(arena, old, member), &mut |neighbours| {
            is_between(&neighbours).then_some((score, neighbours.this.1))
        });
        if !stays {
            let removed = tree.remove(&is_upto(arena, old, member));
            debug_assert_eq!(removed.map(|(_, id)| id), Some(id));
            tree.insert(score, id, &is_before(arena, score, member));
        }
        arena.set_score(id, score);
    }

    /// Takes a member out; its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = self.hasher.hash(member);
        let id = self.find(hash, member)?;
        let score = self.arena.score(id);
        self.tree.remove(&is_upto(&self.arena, score, member));
        self.forget(hash, id);
        Some(score)
    }

    /// Takes the member with this rank out, showing it before.
    pub fn remove_at(&mut self, rank: usize, show: &mut dyn FnMut(&[u8], f64)) {
        let Some(place) = self.tree.at(rank) else { return };
        let (score, id) = self.tree.get(place);
        let member = self.arena.member(id);
        show(member, score);
        let hash = self.hasher.hash(member);
        self.tree.remove(&is_upto(&self.arena, score, member));
        self.forget(hash, id);
    }

    fn forget(&mut self, hash: u64, id: u32) {
        let Sorted { arena, index, hasher, .. } = self;
        index.remove(hash, id, &|id| hasher.hash(arena.member(id)));
        arena.release(id);
        self.compact();
    }

    fn compact(&mut self) {
        for _ in 0..MOVES {
            let Some(id) = self.arena.next_to_move() else { return };
            let Some(to) = self.arena.move_away(id) else { return };
            let Sorted { arena, tree, index, hasher } = self;
            let (member, score) = (arena.member(to), arena.score(to));
            index.replace(hasher.hash(member), id, to);
            tree.change(&is_upto_moved(arena, score, member, id), &mut |neighbours| {
                Some((neighbours.this.0, to))
            });
        }
    }

    /// Rank and score of a member. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.rank_of(&is_before(&self.arena, score, member)), score))
    }

    /// How many members have scores for which `before` is true; it is true for a prefix of the scores. O(log n).
    pub fn scores_before(&self, before: impl Fn(f64) -> bool) -> usize {
        self.tree.rank_of(&|score, _| before(score))
    }

    /// The same by members. They are in order only when all scores are the same.
    pub fn members_before(&self, before: impl Fn(&[u8]) -> bool) -> usize {
        self.tree.rank_of(&|_, id| before(self.arena.member(id)))
    }

    /// The place with this rank; `None` past the end. O(log n).
    pub fn at(&self, rank: usize) -> Option<Place> {
        self.tree.at(rank)
    }

    /// The member at a place, and its score. O(1).
    #[inline]
    pub fn get(&self, place: Place) -> (&[u8], f64) {
        let (score, id) = self.tree.get(place);
        (self.arena.member(id), score)
    }

    /// The place after it; `None` at the end. O(1).
    #[inline]
    pub fn next(&self, place: Place) -> Option<Place> {
        self.tree.next(place)
    }

    /// The place before it; `None` at the beginning. O(1).
    #[inline]
    pub fn previous(&self, place: Place) -> Option<Place> {
        self.tree.previous(place)
    }

    /// Visits about `count` members from a cursor on; the cursor to go on from. 0 begins and ends. What is there
    /// during a whole scan is visited.
    pub fn scan(&self, cursor: u64, count: usize, visit: &mut dyn FnMut(&[u8], f64)) -> u64 {
        let rehash = |id| self.hasher.hash(self.arena.member(id));
        self.index.scan(cursor, count, &rehash, &mut |id| visit(self.arena.member(id), self.arena.score(id)))
    }

    /// Copies about so many bytes from a place on into a new one, 0 the first; the place to go on from, `None` at the end.
    /// Before that the copy is good for nothing but [`Sorted::heap_bytes`] and to be dropped.
    pub fn copy_some(&self, copy: &mut Sorted, at: u64, max_bytes: usize) -> Option<u64> {
        let (arena, tree, index) = (self.arena.pieces(), self.tree.pieces(), self.index.pieces());
        let (mut at, mut bytes) = (at as usize, 0);
        while at < arena + tree + index && bytes < max_bytes {
            bytes += if at < arena {
                self.arena.copy_piece(&mut copy.arena, at)
            } else if at < arena + tree {
                self.tree.copy_piece(&mut copy.tree, at - arena)
            } else {
                self.index.copy_piece(&mut copy.index, at - arena - tree)
            };
            at += 1;
        }
        if at < arena + tree + index {
            return Some(at as u64);
        }
        self.arena.copy_rest(&mut copy.arena);
        self.tree.copy_rest(&mut copy.tree);
        self.index.copy_rest(&mut copy.index);
        None
    }

    /// Drops about `max_members` members' worth of memory; true when nothing is left. Nothing else may be asked of it
    /// then.
    pub fn drop_some(&mut self, max_members: usize) -> bool {
        let steps = max_members / 64 + 1;
        self.arena.drop_some(steps) && self.tree.drop_some(steps) && self.index.drop_some(steps)
    }

    /// Walks everything.
    #[cfg(test)]
    pub fn verify(&self) {
        let ordered = self.tree.verify();
        for (score, id) in &ordered {
            assert_eq!(score.to_bits(), self.arena.score(*id).to_bits());
        }
        for pair in ordered.windows(2) {
            let show = |(score, id): (f64, u32)| (score, self.arena.member(id));
            assert_eq!(compare(show(pair[0]), show(pair[1])), Ordering::Less);
        }
        let mut ids: Vec<u32> = ordered.into_iter().map(|(_, id)| id).collect();
        ids.sort_unstable();
        assert_eq!(ids, self.arena.verify());
        let mut indexed = self.index.verify(&|id| self.hasher.hash(self.arena.member(id)));
        indexed.sort_unstable();
        assert_eq!(ids, indexed);
    }
}

#[inline]
fn is_before<'a>(arena: &'a Arena, score: f64, member: &'a [u8]) -> impl Fn(f64, u32) -> bool + 'a {
    move |other, id| other < score || (other == score && arena.member(id) < member)
}

#[inline]
fn is_upto<'a>(arena: &'a Arena, score: f64, member: &'a [u8]) -> impl Fn(f64, u32) -> bool + 'a {
    move |other, id| other < score || (other == score && arena.member(id) <= member)
}

/// The same when `member` was at `moved`, where nothing can be read any more.
#[inline]
fn is_upto_moved<'a>(
    arena: &'a Arena,
    score: f64,
    member: &'a [u8],
    moved: u32,
) -> impl Fn(f64, u32) -> bool + 'a {
    move |other, id| other < score || (other == score && (id == moved || arena.member(id) <= member))
}
