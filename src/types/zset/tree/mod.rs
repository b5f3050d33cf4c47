//! The order of a big sorted set: a B+ tree of ids with scores, in which every inner node counts what is below each
//! child, so that rank and position cost a descent.
//!
//! ```text
//! inner   count │ first scores │ first ids │ members below │ children        51 children, 1 KiB
//! leaf    count │ next │ previous │ scores │ ids                             84 members, 1 KiB
//! ```
//!
//! The score stands beside the id, so a search by score stays within the nodes; members are compared only among equal
//! scores. The separator of a child is its very first member, exactly. Leaves are chained for walks.
//!
//! A node that is full splits; at either end of the whole set it begins a new node instead, so that ascending and
//! descending input fills nodes completely. A node that together with a neighbour fills less than three quarters of
//! one joins it.
//!
//! Bayer, McCreight: Organization and maintenance of large ordered indexes (1972), with counts.

mod node;
mod slab;
#[cfg(test)]
mod verify;

use super::arena::NONE;
use node::{INNER, Inner, LEAF, Leaf, Summary};
use slab::Slab;

/// Nodes that together have less are joined.
const JOIN_LEAF: usize = LEAF * 3 / 4;
const JOIN_INNER: usize = INNER * 3 / 4;

/// A place in the order. Valid until the next change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    leaf: u32,
    at: u32,
}

/// See the head of this file.
#[derive(Clone)]
pub struct Tree {
    leaves: Slab<Leaf>,
    inners: Slab<Inner>,
    /// A leaf when `height` is 0.
    root: u32,
    height: usize,
    len: usize,
}

impl Tree {
    pub fn new() -> Tree {
        let mut leaves = Slab::new();
        let root = leaves.add(Box::new(Leaf::blank(NONE, NONE)));
        Tree { leaves, inners: Slab::new(), root, height: 0, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes behind it. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.leaves.heap_bytes() + self.inners.heap_bytes()
    }

    /// How many are before a border: `before` is true for those and false for all that follow. O(log n).
    pub fn rank_of(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        let (mut node, mut rank) = (self.root, 0);
        for _ in 0..self.height {
            let inner = self.inners.get(node);
            let child = inner.child(before);
            rank += inner.counts[..child].iter().sum::<u32>() as usize;
            node = inner.children[child];
        }
        rank + self.leaves.get(node).border(before)
    }

    /// The place with this rank; `None` past the end.
    pub fn at(&self, rank: usize) -> Option<Place> {
        if rank >= self.len {
            return None;
        }
        let (mut node, mut rank) = (self.root, rank as u32);
        for _ in 0..self.height {
            let inner = self.inners.get(node);
            let mut child = 0;
            while rank >= inner.counts[child] {
                rank -= inner.counts[child];
                child += 1;
            }
            node = inner.children[child];
        }
        Some(Place { leaf: node, at: rank })
    }

    /// Score and id at a place.
    #[inline]
    pub fn get(&self, place: Place) -> (f64, u32) {
        let leaf = self.leaves.get(place.leaf);
        (leaf.scores[place.at as usize], leaf.ids[place.at as usize])
    }

    #[inline]
    pub fn next(&self, place: Place) -> Option<Place> {
        let leaf = self.leaves.get(place.leaf);
        if place.at + 1 < leaf.len {
            return Some(Place { at: place.at + 1, ..place });
        }
        (leaf.next != NONE).then_some(Place { leaf: leaf.next, at: 0 })
    }

    #[inline]
    pub fn previous(&self, place: Place) -> Option<Place> {
        if place.at > 0 {
            return Some(Place { at: place.at - 1, ..place });
        }
        let leaf = self.leaves.get(place.leaf).previous;
        (leaf != NONE).then(|| Place { leaf, at: self.leaves.get(leaf).len - 1 })
    }

    /// Puts an id in its place: behind all for which `before` is true.
    pub fn insert(&mut self, score: f64, id: u32, before: &impl Fn(f64, u32) -> bool) {
        self.len += 1;
        let Some(new) =
            self.insert_below(self.root, self.height, Ends { first: true, last: true }, (score, id), before)
        else {
            return;
        };
        let mut root = Box::new(Inner::BLANK);
        for (at, child) in [self.root, new].into_iter().enumerate() {
            root.insert(at, self.summary(child, self.height), child);
        }
        self.root = self.inners.add(root);
        self.height += 1;
    }

    /// Inserts below a node; the node that split off to its right.
    fn insert_below(
        &mut self,
        node: u32,
        level: usize,
        ends: Ends,
        (score, id): (f64, u32),
        before: &impl Fn(f64, u32) -> bool,
    ) -> Option<u32> {
        if level == 0 {
            return self.insert_in_leaf(node, ends, (score, id), before);
        }
        let inner = self.inners.get(node);
        let child = inner.child(before);
        let below = inner.children[child];
        let ends_below =
            Ends { first: ends.first && child == 0, last: ends.last && child + 1 == inner.len as usize };
        let new = self.insert_below(below, level - 1, ends_below, (score, id), before);
        let Some(new) = new else {
            let count = self.inners.get(node).counts[child] + 1;
            self.refresh_with(node, level, child, count);
            return None;
        };
        self.refresh(node, level, child);
        self.add_child(node, level, ends, child + 1, new)
    }

    fn insert_in_leaf(
        &mut self,
        node: u32,
        ends: Ends,
        (score, id): (f64, u32),
        before: &impl Fn(f64, u32) -> bool,
    ) -> Option<u32> {
        let leaf = self.leaves.get_mut(node);
        let at = leaf.border(before);
        if (leaf.len as usize) < LEAF {
            leaf.insert(at, score, id);
            return None;
        }
        let from = ends.split(at, 0, LEAF);
        let next = leaf.next;
        let right = Box::new(leaf.split(from, node));
        let new = self.leaves.add(right);
        self.leaves.get_mut(node).next = new;
        if next != NONE {
            self.leaves.get_mut(next).previous = new;
        }
        let stays = at < from || (at == from && from < LEAF);
        let (half, at) = if stays { (node, at) } else { (new, at - from) };
        self.leaves.get_mut(half).insert(at, score, id);
        Some(new)
    }

    /// Links a child into an inner node; the node that split off to its right.
    fn add_child(&mut self, node: u32, level: usize, ends: Ends, at: usize, child: u32) -> Option<u32> {
        let summary = self.summary(child, level - 1);
        let inner = self.inners.get_mut(node);
        if (inner.len as usize) < INNER {
            inner.insert(at, summary, child);
            return None;
        }
        let from = ends.split(at, 1, INNER);
        let mut right = Box::new(inner.split(from));
        if at < from || (at == from && from == INNER / 2) {
            inner.insert(at, summary, child);
        } else {
            right.insert(at - from, summary, child);
        }
        Some(self.inners.add(right))
    }

    /// Takes out the last one for which `upto` is true; its score and id.
    pub fn remove(&mut self, upto: &impl Fn(f64, u32) -> bool) -> Option<(f64, u32)> {
        let removed = self.remove_below(self.root, self.height, upto)?;
        self.len -= 1;
        while self.height > 0 {
            let root = self.inners.get(self.root);
            if root.len > 1 {
                break;
            }
            let only = if root.len == 1 { root.children[0] } else { NONE };
            self.inners.remove(self.root);
            self.height -= 1;
            self.root = only;
            if only == NONE {
                self.root = self.leaves.add(Box::new(Leaf::blank(NONE, NONE)));
                self.height = 0;
            }
        }
        Some(removed)
    }

    fn remove_below(
        &mut self,
        node: u32,
        level: usize,
        upto: &impl Fn(f64, u32) -> bool,
    ) -> Option<(f64, u32)> {
        if level == 0 {
            let leaf = self.leaves.get_mut(node);
            let at = leaf.border(upto).checked_sub(1)?;
            return Some(leaf.remove(at));
        }
        let inner = self.inners.get(node);
        let child = inner.child(upto);
        let removed = self.remove_below(inner.children[child], level - 1, upto)?;
        let count = self.inners.get(node).counts[child] - 1;
        if count == 0 {
            self.unlink(node, level, child);
        } else {
            self.refresh_with(node, level, child, count);
            self.join(node, level, child);
        }
        Some(removed)
    }

    /// Takes an empty child out of an inner node.
    fn unlink(&mut self, node: u32, level: usize, child: usize) {
        let empty = self.inners.get_mut(node).remove(child);
        if level > 1 {
            self.inners.remove(empty);
            return;
        }
        let Leaf { next, previous, .. } = *self.leaves.get(empty);
        if next != NONE {
            self.leaves.get_mut(next).previous = previous;
        }
        if previous != NONE {
            self.leaves.get_mut(previous).next = next;
        }
        self.leaves.remove(empty);
    }

    /// Joins a child with a neighbour when both are rather empty.
    fn join(&mut self, node: u32, level: usize, child: usize) {
        let inner = self.inners.get(node);
        let most = if level == 1 { JOIN_LEAF } else { JOIN_INNER };
        let own = self.size(inner.children[child], level - 1);
        // Most are more than half full, and their neighbours need not be looked at.
        if own > most / 2 {
            return;
        }
        for left in [child.wrapping_sub(1), child] {
            if left == usize::MAX || left + 1 >= inner.len as usize {
                continue;
            }
            let (to, from) = (inner.children[left], inner.children[left + 1]);
            if self.size(to, level - 1) + self.size(from, level - 1) > most {
                continue;
            }
            if level == 1 {
                let right = self.leaves.get(from).clone();
                self.leaves.get_mut(to).append(&right);
                self.leaves.get_mut(from).len = 0;
            } else {
                let right = self.inners.get(from).clone();
                self.inners.get_mut(to).append(&right);
                self.inners.get_mut(from).len = 0;
            }
            self.refresh(node, level, left);
            self.unlink(node, level, left + 1);
            return;
        }
    }

    fn size(&self, node: u32, level: usize) -> usize {
        (if level == 0 { self.leaves.get(node).len } else { self.inners.get(node).len }) as usize
    }

    /// Changes the last one for which `upto` is true in place. `change` gets it with those before and after it as far
    /// as they lie in the same leaf (`None` at a leaf's ends unless the whole set ends there) and returns what to put,
    /// which must stay in order.
    pub fn change(
        &mut self,
        upto: &impl Fn(f64, u32) -> bool,
        change: &mut dyn FnMut(Neighbours) -> Option<(f64, u32)>,
    ) -> bool {
        self.change_below(self.root, self.height, upto, change)
    }

    fn change_below(
        &mut self,
        node: u32,
        level: usize,
        upto: &impl Fn(f64, u32) -> bool,
        change: &mut dyn FnMut(Neighbours) -> Option<(f64, u32)>,
    ) -> bool {
        if level == 0 {
            let leaf = self.leaves.get_mut(node);
            let Some(at) = leaf.border(upto).checked_sub(1) else { return false };
            let pair = |at: usize| (leaf.scores[at], leaf.ids[at]);
            let neighbours = Neighbours {
                this: pair(at),
                before: match at.checked_sub(1) {
                    Some(at) => Beside::Pair(pair(at)),
                    None if leaf.previous == NONE => Beside::Nothing,
                    None => Beside::Unknown,
                },
                after: match at + 1 {
                    at if at < leaf.len as usize => Beside::Pair(pair(at)),
                    _ if leaf.next == NONE => Beside::Nothing,
                    _ => Beside::Unknown,
                },
            };
            let Some((score, id)) = change(neighbours) else { return false };
            (leaf.scores[at], leaf.ids[at]) = (score, id);
            return true;
        }
        let inner = self.inners.get(node);
        let child = inner.child(upto);
        let changed = self.change_below(inner.children[child], level - 1, upto, change);
        if changed {
            let count = self.inners.get(node).counts[child];
            self.refresh_with(node, level, child, count);
        }
        changed
    }

    /// First member and count of a node.
    fn summary(&self, node: u32, level: usize) -> Summary {
        if level == 0 {
            let leaf = self.leaves.get(node);
            return Summary { score: leaf.scores[0], id: leaf.ids[0], count: leaf.len };
        }
        let inner = self.inners.get(node);
        let count = inner.counts[..inner.len as usize].iter().sum();
        Summary { score: inner.scores[0], id: inner.ids[0], count }
    }

    fn refresh(&mut self, node: u32, level: usize, child: usize) {
        let summary = self.summary(self.inners.get(node).children[child], level - 1);
        self.inners.get_mut(node).put(child, summary);
    }

    /// The same when the count is known.
    fn refresh_with(&mut self, node: u32, level: usize, child: usize, count: u32) {
        let below = self.inners.get(node).children[child];
        let (score, id) = if level == 1 {
            let leaf = self.leaves.get(below);
            (leaf.scores[0], leaf.ids[0])
        } else {
            let inner = self.inners.get(below);
            (inner.scores[0], inner.ids[0])
        };
        self.inners.get_mut(node).put(child, Summary { score, id, count });
    }

    /// In how many pieces it can be copied.
    pub fn pieces(&self) -> usize {
        self.leaves.pieces() + self.inners.pieces()
    }

    /// Copies one piece into a new tree, to which all before it were copied; how many bytes that were. The copy is none
    /// before [`Tree::copy_rest`].
    pub fn copy_piece(&self, copy: &mut Tree, at: usize) -> usize {
        match at.checked_sub(self.leaves.pieces()) {
            None => self.leaves.copy_piece(&mut copy.leaves, at),
            Some(at) => self.inners.copy_piece(&mut copy.inners, at),
        }
    }

    /// Makes a copy of all pieces whole.
    pub fn copy_rest(&self, copy: &mut Tree) {
        self.leaves.copy_rest(&mut copy.leaves);
        self.inners.copy_rest(&mut copy.inners);
        (copy.root, copy.height, copy.len) = (self.root, self.height, self.len);
    }

    /// Drops about `n` nodes; true when nothing is left. Only for a set that is no longer used.
    pub fn drop_some(&mut self, n: usize) -> bool {
        self.leaves.drop_some(n) && self.inners.drop_some(n)
    }
}

/// What lies beside a place, as far as its leaf tells.
#[derive(Clone, Copy, Debug)]
pub enum Beside {
    Pair((f64, u32)),
    /// The set ends here.
    Nothing,
    /// Another leaf has it.
    Unknown,
}

/// A place with what lies beside it.
pub struct Neighbours {
    pub this: (f64, u32),
    pub before: Beside,
    pub after: Beside,
}

/// Is a node at the beginning or the end of its level?
#[derive(Clone, Copy)]
struct Ends {
    first: bool,
    last: bool,
}

impl Ends {
    /// Where a full node splits when something comes in at `at`; `least` stays on the left.
    fn split(self, at: usize, least: usize, full: usize) -> usize {
        if self.last && at == full {
            full
        } else if self.first && at == least {
            least
        } else {
            full / 2
        }
    }
}
