//! Changes between the ends: inserting, replacing, removing.

use smallvec::SmallVec;

use super::limit::NodeLimit;
use super::nodes::{Node, Nodes};
use super::quicklist::{End, List, new_node};
use crate::types::{Element, Listpack};

/// Where an element is, until the list changes.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    at: usize,
    within: usize,
}

/// On which side of an element another goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Before,
    After,
}

impl List {
    /// Puts a value in place of the element at an index; false when there is none.
    pub fn set(&mut self, index: usize, value: &[u8], limit: NodeLimit) -> bool {
        let Some((at, within)) = self.locate(index) else { return false };
        if !limit.is_large(value.len()) {
            let fits = self.with_pack(at, |pack| {
                let offset = pack.seek(within).expect("an index of this node");
                let old = pack.as_ref().after(offset) - offset;
                // Redis: a replacement may fill a node beyond its limit; here only as far as the text's estimate.
                let fits = limit.fits(pack.body().len() - old + value.len()) || pack.len() == 1;
                if fits {
                    pack.replace_at(offset, value);
                }
                fits
            });
            if fits == Some(true) {
                return true;
            }
        }
        if self.nodes.get(at).is_some_and(|node| node.len() == 1) {
            self.take_node(at);
            self.insert_node(at, new_node(value, limit));
            return true;
        }
        self.insert_in(at, within, Side::Before, value, limit);
        self.remove_index(index + 1);
        true
    }

    /// Inserts a value beside the first element equal to `pivot`; false when there is none.
    pub fn insert(&mut self, side: Side, pivot: &[u8], value: &[u8], limit: NodeLimit) -> bool {
        match self.find_some(pivot, &mut 0, usize::MAX) {
            None => false,
            Some(spot) => {
                self.insert_at(spot, side, value, limit);
                true
            }
        }
    }

    /// Looks for the first element equal to `pivot` in nodes of about `count` elements, from the node `at` on, which moves
    /// behind those that do not have it.
    pub fn find_some(&self, pivot: &[u8], at: &mut usize, count: usize) -> Option<Spot> {
        let (pivot, mut seen) = (Element::of(pivot), 0);
        while seen < count
            && let Some(node) = self.nodes.get(*at)
        {
            let within = match node {
                Node::Pack(pack) => pack.iter().position(|(_, element)| element == pivot),
                Node::Large(bytes) => (Element::Bytes(bytes) == pivot).then_some(0),
            };
            if let Some(within) = within {
                return Some(Spot { at: *at, within });
            }
            seen += node.len();
            *at += 1;
        }
        None
    }

    /// Inserts a value beside an element that was found; nothing was changed since.
    pub fn insert_at(&mut self, spot: Spot, side: Side, value: &[u8], limit: NodeLimit) {
        self.insert_in(spot.at, spot.within, side, value, limit);
    }

    /// How many nodes there are: what [`List::find_some`] and [`List::remove_some`] count their places in.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Inserts beside an element of a node, as Redis does: into the node, into the neighbour on that side, into a new
    /// node between them, or into one half of the node, which is then split.
    fn insert_in(&mut self, at: usize, within: usize, side: Side, value: &[u8], limit: NodeLimit) {
        let admits = |node: Option<&Node>| {
            node.and_then(Node::as_pack).is_some_and(|pack| limit.admits(pack, value.len()))
        };
        // How many elements of the node come before the new one.
        let (cut, len) = match (side, self.nodes.get(at).map_or(0, Node::len)) {
            (Side::Before, len) => (within, len),
            (Side::After, len) => (within + 1, len),
        };
        if admits(self.nodes.get(at)) {
            return self.insert_into(at, cut, value);
        }
        match side {
            Side::After if cut == len => {
                if admits(self.nodes.get(at + 1)) {
                    self.insert_into(at + 1, 0, value);
                } else {
                    self.insert_node(at + 1, new_node(value, limit));
                }
            }
            Side::Before if cut == 0 => match at.checked_sub(1) {
                Some(before) if admits(self.nodes.get(before)) => {
                    let end = self.nodes.get(before).map_or(0, Node::len);
                    self.insert_into(before, end, value);
                }
                _ => self.insert_node(at, new_node(value, limit)),
            },
            _ => {
                self.split(at, cut);
                if limit.is_large(value.len()) {
                    self.insert_node(at + 1, new_node(value, limit));
                    return;
                }
                // The half on the far side takes it; Redis's node is the half that keeps the pivot.
                let pivot_at = match side {
                    Side::After => {
                        self.insert_into(at + 1, 0, value);
                        at
                    }
                    Side::Before => {
                        self.insert_into(at, cut, value);
                        at + 1
                    }
                };
                self.merge_around(pivot_at, limit);
            }
        }
    }

    /// Inserts into a listpack node, before its element `within` or at its end.
    fn insert_into(&mut self, at: usize, within: usize, value: &[u8]) {
        self.with_pack(at, |pack| {
            let offset = pack.seek(within).unwrap_or(pack.body().len());
            pack.insert_at(offset, value);
        });
        self.len += 1;
    }

    /// Makes two nodes of a listpack node, the first with `n` elements. Both get some.
    fn split(&mut self, at: usize, n: usize) {
        let rest = self.with_pack(at, |pack| {
            let offset = pack.seek(n).expect("a cut within the node");
            let rest = pack.split_off(offset, n);
            pack.shrink();
            rest
        });
        if let Some(rest) = rest {
            self.len -= rest.len();
            self.insert_node(at + 1, Node::Pack(rest));
        }
    }

    /// Merges what fits of a node and its two neighbours on each side, in Redis's order.
    fn merge_around(&mut self, center: usize, limit: NodeLimit) {
        let mut center = center;
        if center >= 2 && self.merge(center - 2, limit) {
            center -= 1;
        }
        if center + 2 < self.nodes.len() {
            self.merge(center + 1, limit);
        }
        if center >= 1 && self.merge(center - 1, limit) {
            center -= 1;
        }
        self.merge(center, limit);
    }

    /// Merges a node with the next, if both are listpacks and fit one.
    fn merge(&mut self, at: usize, limit: NodeLimit) -> bool {
        let pack = |at| self.nodes.get(at).and_then(Node::as_pack);
        let (Some(a), Some(b)) = (pack(at), pack(at + 1)) else { return false };
        if !limit.admits_both(a, b) {
            return false;
        }
        if let Node::Pack(next) = self.take_node(at + 1) {
            self.with_pack(at, |pack| pack.append(&next));
            self.len += next.len();
        }
        true
    }

    /// Removes the element at an index.
    pub fn remove_index(&mut self, index: usize) {
        let Some((at, within)) = self.locate(index) else { return };
        if self.nodes.get(at).is_some_and(|node| node.len() == 1) {
            self.drop_node(at);
            return;
        }
        self.with_pack(at, |pack| {
            let offset = pack.seek(within).expect("an index of this node");
            pack.remove_at(offset, 1);
        });
        self.len -= 1;
    }

    /// Removes up to `most` elements equal to `value`, the first ones seen from an end; how many they were.
    pub fn remove(&mut self, value: &[u8], end: End, most: usize) -> usize {
        let removed = self.remove_some(value, end, most, &mut 0, usize::MAX);
        self.forget_empty_nodes();
        removed
    }

    /// The same in nodes of about `count` elements, beginning with the node `step` from that end, which moves on. Leaves
    /// nodes without elements: afterwards the list is good for nothing but more of the same and
    /// [`List::forget_empty_nodes`].
    pub fn remove_some(
        &mut self,
        value: &[u8],
        end: End,
        most: usize,
        step: &mut usize,
        count: usize,
    ) -> usize {
        let (value, nodes) = (Element::of(value), self.nodes.len());
        let (mut removed, mut seen) = (0, 0);
        while *step < nodes && removed < most && seen < count {
            let at = match end {
                End::Front => *step,
                End::Back => nodes - 1 - *step,
            };
            seen += self.nodes.get(at).map_or(0, Node::len);
            removed += self.remove_in(at, value, end, most - removed);
            *step += 1;
        }
        removed
    }

    /// The same within a node, which may become empty.
    fn remove_in(&mut self, at: usize, value: Element<'_>, end: End, most: usize) -> usize {
        let removed = match self.nodes.get(at) {
            Some(Node::Large(bytes)) if Element::Bytes(bytes) == value => {
                self.nodes_bytes -= self.nodes.get(at).map_or(0, Node::heap_bytes);
                *self.nodes.get_mut(at).expect("it was just seen") = Node::Pack(Listpack::new());
                1
            }
            _ => self.with_pack(at, |pack| remove_in_pack(pack, value, end, most)).unwrap_or(0),
        };
        self.len -= removed;
        removed
    }

    /// Takes empty nodes out. They have no memory left.
    pub fn forget_empty_nodes(&mut self) {
        if self.nodes.iter().all(|node| !node.is_empty()) {
            return;
        }
        if self.is_empty() {
            self.nodes = Nodes::One(Node::Pack(Listpack::new()));
        } else if let Nodes::Many(nodes) = &mut self.nodes {
            nodes.retain(|node| !node.is_empty());
        }
    }

    /// Keeps `count` elements from `start` on and drops all others.
    pub fn trim(&mut self, start: usize, count: usize) {
        let after = self.len.saturating_sub(start.saturating_add(count));
        self.drop_end(End::Front, start);
        self.drop_end(End::Back, after);
    }
}

fn remove_in_pack(pack: &mut Listpack, value: Element<'_>, end: End, most: usize) -> usize {
    let is_equal = |entry: &(usize, Element<'_>)| entry.1 == value;
    let mut offsets: SmallVec<[usize; 16]> = match end {
        End::Front => pack.iter().filter(is_equal).take(most).map(|(offset, _)| offset).collect(),
        End::Back => pack.iter_rev().filter(is_equal).take(most).map(|(offset, _)| offset).collect(),
    };
    if offsets.is_empty() {
        return 0;
    }
    if end == End::Back {
        offsets.reverse();
    }
    pack.remove_each(&offsets);
    if pack.is_empty() || pack.heap_bytes() / 4 > pack.body().len() {
        pack.shrink();
    }
    offsets.len()
}
