//! The nodes of the tree: sorted arrays of scores and ids, of equal length, filled from the front.
//!
//! They know nothing of each other's places; whoever changes one keeps counts, separators and the chain true.

use super::super::arena::NONE;

/// Members of a leaf at the most.
pub(super) const LEAF: usize = 84;
/// Children of an inner node at the most.
pub(super) const INNER: usize = 51;

/// Members in order, as scores and ids.
#[derive(Clone)]
pub(super) struct Leaf {
    pub len: u32,
    /// The leaf that follows; `NONE` at the end.
    pub next: u32,
    /// The leaf before; `NONE` at the beginning.
    pub previous: u32,
    pub scores: [f64; LEAF],
    pub ids: [u32; LEAF],
}

/// Children in order, each with the very first member below it and how many there are.
#[derive(Clone)]
pub(super) struct Inner {
    pub len: u32,
    pub scores: [f64; INNER],
    pub ids: [u32; INNER],
    pub counts: [u32; INNER],
    /// Leaves, or inner nodes: the tree knows by the height.
    pub children: [u32; INNER],
}

/// What an inner node keeps of a child: its first member, and how many are below it.
pub(super) struct Summary {
    pub score: f64,
    pub id: u32,
    pub count: u32,
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
    /// An empty one between two others.
    pub fn blank(previous: u32, next: u32) -> Leaf {
        Leaf { len: 0, next, previous, scores: [0.0; LEAF], ids: [NONE; LEAF] }
    }

    /// How many of its members are before the border.
    #[inline]
    pub fn border(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        border(self.len as usize, |at| before(self.scores[at], self.ids[at]))
    }

    pub fn insert(&mut self, at: usize, score: f64, id: u32) {
        put_at(&mut self.scores, self.len as usize, at, score);
        put_at(&mut self.ids, self.len as usize, at, id);
        self.len += 1;
    }

    pub fn remove(&mut self, at: usize) -> (f64, u32) {
        let (removed, len) = ((self.scores[at], self.ids[at]), self.len as usize);
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.len -= 1;
        removed
    }

    /// Moves what begins at `from` into a leaf that follows `own`, this one's number.
    pub fn split(&mut self, from: usize, own: u32) -> Leaf {
        let mut right = Leaf::blank(own, self.next);
        let len = self.len as usize;
        right.scores[..len - from].copy_from_slice(&self.scores[from..len]);
        right.ids[..len - from].copy_from_slice(&self.ids[from..len]);
        right.len = (len - from) as u32;
        self.len = from as u32;
        right
    }

    /// Takes over the members of the leaf that follows.
    pub fn append(&mut self, other: &Leaf) {
        let (len, more) = (self.len as usize, other.len as usize);
        self.scores[len..len + more].copy_from_slice(&other.scores[..more]);
        self.ids[len..len + more].copy_from_slice(&other.ids[..more]);
        self.len += other.len;
    }
}

impl Inner {
    pub const BLANK: Inner = Inner {
        len: 0,
        scores: [0.0; INNER],
        ids: [NONE; INNER],
        counts: [0; INNER],
        children: [NONE; INNER],
    };

    /// The child in which the border is, or at whose end.
    #[inline]
    pub fn child(&self, before: &impl Fn(f64, u32) -> bool) -> usize {
        border(self.len as usize, |at| before(self.scores[at], self.ids[at])).saturating_sub(1)
    }

    /// Sets what is known of a child.
    pub fn put(&mut self, at: usize, summary: Summary) {
        (self.scores[at], self.ids[at], self.counts[at]) = (summary.score, summary.id, summary.count);
    }

    pub fn insert(&mut self, at: usize, summary: Summary, child: u32) {
        let len = self.len as usize;
        put_at(&mut self.scores, len, at, summary.score);
        put_at(&mut self.ids, len, at, summary.id);
        put_at(&mut self.counts, len, at, summary.count);
        put_at(&mut self.children, len, at, child);
        self.len += 1;
    }

    /// Takes out a child; its number.
    pub fn remove(&mut self, at: usize) -> u32 {
        let (removed, len) = (self.children[at], self.len as usize);
        self.scores.copy_within(at + 1..len, at);
        self.ids.copy_within(at + 1..len, at);
        self.counts.copy_within(at + 1..len, at);
        self.children.copy_within(at + 1..len, at);
        self.len -= 1;
        removed
    }

    /// Moves the children from `from` on into a new node.
    pub fn split(&mut self, from: usize) -> Inner {
        let mut right = Inner::BLANK;
        right.append_part(self, from);
        self.len = from as u32;
        right
    }

    /// Takes over the children of the node that follows.
    pub fn append(&mut self, other: &Inner) {
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
