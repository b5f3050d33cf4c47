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

use super::arena::NONE;

pub const LEAF: usize = 84;
const INNER: usize = 51;
/// Nodes that together have less are joined.
const JOIN_LEAF: usize = LEAF * 3 / 4;
const JOIN_INNER: usize = INNER * 3 / 4;

#[derive(Clone)]
struct Leaf {
    len: u32,
    next: u32,
    previous: u32,
    scores: [f64; LEAF],
    ids: [u32; LEAF],
}

#[derive(Clone)]
struct Inner {
    len: u32,
    scores: [f64; INNER],
    ids: [u32; INNER],
    counts: [u32; INNER],
    children: [u32; INNER],
}

/// Nodes by number.
#[derive(Clone)]
struct Slab<T> {
    nodes: Vec<Option<Box<T>>>,
    holes: Vec<u32>,
    /// Nodes that are there.
    live: usize,
}

impl<T> Slab<T> {
    fn new() -> Slab<T> {
        Slab { nodes: Vec::new(), holes: Vec::new(), live: 0 }
    }

    fn add(&mut self, node: Box<T>) -> u32 {
        self.live += 1;
        match self.holes.pop() {
            Some(hole) => {
                self.nodes[hole as usize] = Some(node);
                hole
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() as u32 - 1
            }
        }
    }

    #[inline]
    fn get(&self, number: u32) -> &T {
        self.nodes[number as usize].as_deref().expect("a node that is linked exists")
    }

    #[inline]
    fn get_mut(&mut self, number: u32) -> &mut T {
        self.nodes[number as usize].as_deref_mut().expect("a node that is linked exists")
    }

    fn remove(&mut self, number: u32) {
        self.nodes[number as usize] = None;
        self.live -= 1;
        self.holes.push(number);
    }

    fn heap_bytes(&self) -> usize {
        self.live * size_of::<T>() + self.nodes.capacity() * size_of::<usize>() + self.holes.capacity() * 4
    }

    fn drop_some(&mut self, n: usize) -> bool {
        for _ in 0..n {
            let Some(node) = self.nodes.pop() else { return true };
            self.live -= usize::from(node.is_some());
        }
        self.nodes.is_empty()
    }
}

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
            let count = inner_count(self.inners.get(node), child) + 1;
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
        let count = inner_count(self.inners.get(node), child) - 1;
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
            let count = inner_count(self.inners.get(node), child);
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

    /// Drops about `n` nodes; true when nothing is left. Only for a set that is no longer used.
    pub fn drop_some(&mut self, n: usize) -> bool {
        self.leaves.drop_some(n) && self.inners.drop_some(n)
    }

    /// Walks everything; scores and ids in order.
    #[cfg(test)]
    pub fn verify(&self) -> Vec<(f64, u32)> {
        let mut all = Vec::new();
        let mut leaves = Vec::new();
        let mut nodes = (0, 0);
        self.verify_below(self.root, self.height, &mut all, &mut leaves, &mut nodes);
        assert_eq!(all.len(), self.len);
        for (at, leaf) in leaves.iter().enumerate() {
            let beside = |at: usize| leaves.get(at).copied().unwrap_or(NONE);
            assert_eq!(self.leaves.get(*leaf).next, beside(at + 1));
            assert_eq!(self.leaves.get(*leaf).previous, beside(at.wrapping_sub(1)));
        }
        assert_eq!(nodes.0, self.leaves.nodes.len() - self.leaves.holes.len());
        assert_eq!(nodes.1, self.inners.nodes.len() - self.inners.holes.len());
        assert_eq!(nodes, (self.leaves.live, self.inners.live));
        all
    }

    #[cfg(test)]
    fn verify_below(
        &self,
        node: u32,
        level: usize,
        all: &mut Vec<(f64, u32)>,
        leaves: &mut Vec<u32>,
        nodes: &mut (usize, usize),
    ) {
        if level == 0 {
            let leaf = self.leaves.get(node);
            assert!(leaf.len > 0 || self.height == 0, "only the root may be empty");
            let len = leaf.len as usize;
            all.extend(leaf.scores[..len].iter().copied().zip(leaf.ids[..len].iter().copied()));
            leaves.push(node);
            nodes.0 += 1;
            return;
        }
        nodes.1 += 1;
        let inner = self.inners.get(node);
        assert!(inner.len > 0);
        for child in 0..inner.len as usize {
            let from = all.len();
            self.verify_below(inner.children[child], level - 1, all, leaves, nodes);
            assert_eq!(inner.counts[child] as usize, all.len() - from);
            assert_eq!(
                (inner.scores[child].to_bits(), inner.ids[child]),
                (all[from].0.to_bits(), all[from].1)
            );
        }
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

struct Summary {
    score: f64,
    id: u32,
    count: u32,
}

fn inner_count(inner: &Inner, child: usize) -> u32 {
    inner.counts[child]
}

/// How many of the first `len` are before the border.
#[inline]
fn border(len: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = (low + high) / 2;
        if is_before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Makes room at `at` among the first `len` and fills it.
#[inline]
fn put_at<T: Copy>(all: &mut [T], len: usize, at: usize, value: T) {
    all.copy_within(at..len, at + 1);
    all[at] = value;
}

impl Leaf {
    fn blank(previous: u32, next: u32) -> Leaf {
        Leaf { len: 0, next, previous, scores: [0.0; LEAF], ids: [NONE; LEAF] }
    }

    #[inline]
    fn border(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        border(self.len as usize, |at| before(self.scores[at], self.ids[at]))
    }

    fn insert(&mut self, at: usize, score: f64, id: u32) {
        put_at(&mut self.scores, self.len as usize, at, score);
        put_at(&mut self.ids, self.len as usize, at, id);
        self.len += 1;
    }

    fn remove(&mut self, at: usize) -> (f64, u32) {
        let (removed, len) = ((self.scores[at], self.ids[at]), self.len as usize);
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.len -= 1;
        removed
    }

    /// Moves what begins at `from` into a leaf that follows `own`, this one's number.
    fn split(&mut self, from: usize, own: u32) -> Leaf {
        let mut right = Leaf::blank(own, self.next);
        let len = self.len as usize;
        right.scores[..len - from].copy_from_slice(&self.scores[from..len]);
        right.ids[..len - from].copy_from_slice(&self.ids[from..len]);
        right.len = (len - from) as u32;
        self.len = from as u32;
        right
    }

    fn append(&mut self, other: &Leaf) {
        let (len, more) = (self.len as usize, other.len as usize);
        self.scores[len..len + more].copy_from_slice(&other.scores[..more]);
        self.ids[len..len + more].copy_from_slice(&other.ids[..more]);
        self.len += other.len;
    }
}

impl Inner {
    const BLANK: Inner = Inner {
        len: 0,
        scores: [0.0; INNER],
        ids: [NONE; INNER],
        counts: [0; INNER],
        children: [NONE; INNER],
    };

    /// The child in which the border is, or at whose end.
    #[inline]
    fn child(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        border(self.len as usize, |at| before(self.scores[at], self.ids[at])).saturating_sub(1)
    }

    fn put(&mut self, at: usize, summary: Summary) {
        (self.scores[at], self.ids[at], self.counts[at]) = (summary.score, summary.id, summary.count);
    }

    fn insert(&mut self, at: usize, summary: Summary, child: u32) {
        let len = self.len as usize;
        put_at(&mut self.scores, len, at, summary.score);
        put_at(&mut self.ids, len, at, summary.id);
        put_at(&mut self.counts, len, at, summary.count);
        put_at(&mut self.children, len, at, child);
        self.len += 1;
    }

    fn remove(&mut self, at: usize) -> u32 {
        let (removed, len) = (self.children[at], self.len as usize);
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.children.copy_within(at + 1..len, at);
        self.len -= 1;
        removed
    }

    fn split(&mut self, from: usize) -> Inner {
        let mut right = Inner::BLANK;
        right.append_part(self, from);
        self.len = from as u32;
        right
    }

    fn append(&mut self, other: &Inner) {
        self.append_part(other, 0);
    }

    fn append_part(&mut self, other: &Inner, from: usize) {
        let (len, part) = (self.len as usize, from..other.len as usize);
        let to = len..len + part.len();
        self.scores[to.clone()].copy_from_slice(&other.scores[part.clone()]);
        self.ids[to.clone()].copy_from_slice(&other.ids[part.clone()]);
        self.counts[to.clone()].copy_from_slice(&other.counts[part.clone()]);
        self.children[to.clone()].copy_from_slice(&other.children[part]);
        self.len = to.end as u32;
    }
}
