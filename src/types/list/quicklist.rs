//! The list itself, and what happens at its ends.

use std::sync::Arc;

use super::limit::NodeLimit;
use super::nodes::{Node, Nodes};
use super::view::{Item, ListView};
use crate::types::{Collection, Element, Kind, Listpack, ListpackRef, Packed, Value};

/// What a node that follows others starts with, so that it does not double from nothing.
const NEXT_NODE_BYTES: usize = 512;

/// Where elements come and go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// LEFT.
    Front,
    /// RIGHT.
    Back,
}

impl End {
    /// The opposite end.
    pub fn other(self) -> End {
        match self {
            End::Front => End::Back,
            End::Back => End::Front,
        }
    }
}

/// A list of strings.
#[derive(Clone)]
pub struct List {
    pub(super) nodes: Nodes,
    pub(super) len: usize,
    /// Memory behind the nodes.
    pub(super) nodes_bytes: usize,
}

impl Default for List {
    fn default() -> List {
        List { nodes: Nodes::One(Node::Pack(Listpack::new())), len: 0, nodes_bytes: 0 }
    }
}

impl List {
    /// A list of one node.
    pub fn from_listpack(pack: Listpack) -> List {
        List { len: pack.len(), nodes_bytes: pack.heap_bytes(), nodes: Nodes::One(Node::Pack(pack)) }
    }

    /// Appends a node as it is (RESTORE). An empty one is left out.
    pub fn push_node(&mut self, node: Node) {
        if node.is_empty() {
            return;
        }
        self.len += node.len();
        self.nodes_bytes += node.heap_bytes();
        let last = self.nodes.len() - 1;
        match self.nodes.get_mut(last) {
            Some(only) if only.is_empty() => *only = node,
            _ => self.nodes.as_many().push_back(node),
        }
    }

    /// Appends a listpack as a node (RESTORE); its only element may be one that wants a node of its own kind.
    pub fn push_pack(&mut self, pack: Listpack, limit: NodeLimit) {
        match pack.get(0) {
            Some(Element::Bytes(bytes)) if pack.len() == 1 && limit.is_large(bytes.len()) => {
                self.push_node(Node::Large(Arc::new(bytes.to_vec())));
            }
            _ => self.push_node(Node::Pack(pack)),
        }
    }

    /// The nodes in order (DUMP). An empty list shows one empty node.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.nodes_from(0)
    }

    /// The nodes from this one on.
    pub fn nodes_from(&self, at: usize) -> impl ExactSizeIterator<Item = &Node> {
        (at..self.nodes.len()).map(|index| self.nodes.get(index).expect("below the length"))
    }

    /// Copies nodes of about `count` elements, from the node `at` on; see [`Value::copy_some`].
    pub fn copy_some(&self, copy: &mut List, at: u64, count: usize) -> Option<u64> {
        let (mut at, mut copied) = (at as usize, 0);
        while copied < count {
            let node = self.nodes.get(at)?.clone();
            copied += node.len();
            copy.push_node(node);
            at += 1;
        }
        (at < self.nodes.len()).then_some(at as u64)
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the heap, its own fields included. Constant time.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        size_of::<List>() + self.nodes.heap_bytes() + self.nodes_bytes
    }

    /// Drops whole nodes until about `max_elements` elements are gone; true when none is left.
    pub fn drop_some(&mut self, max_elements: usize) -> bool {
        let mut dropped = 0;
        while dropped < max_elements.max(1) && !self.is_empty() {
            dropped += self.drop_node(self.nodes.len() - 1);
        }
        self.is_empty()
    }

    /// Adds an element at an end. O(1), but for the bytes of one node.
    #[inline]
    pub fn push(&mut self, end: End, value: &[u8], limit: NodeLimit) {
        let at = self.end_node(end);
        if let Some(Node::Pack(pack)) = self.nodes.get_mut(at)
            && (pack.is_empty() && !limit.is_large(value.len()) || limit.admits(pack, value.len()))
        {
            let before = pack.heap_bytes();
            match end {
                End::Front => pack.push_front(value),
                End::Back => pack.push_back(value),
            }
            self.nodes_bytes = self.nodes_bytes + pack.heap_bytes() - before;
            self.len += 1;
            return;
        }
        self.push_in_new_node(end, value, limit);
    }

    #[cold]
    fn push_in_new_node(&mut self, end: End, value: &[u8], limit: NodeLimit) {
        let at = self.end_node(end);
        // The node that is no longer at the end keeps no more room than it needs.
        self.with_pack(at, |pack| {
            if pack.heap_bytes() - pack.body().len() > pack.heap_bytes() / 8 {
                pack.shrink();
            }
        });
        let node = new_node(value, limit);
        let at = match end {
            End::Front => 0,
            End::Back => self.nodes.len(),
        };
        self.insert_node(at, node);
    }

    /// The first or last element.
    #[inline]
    pub fn peek(&self, end: End) -> Option<Item<'_>> {
        match (self.nodes.get(self.end_node(end))?, end) {
            (Node::Pack(pack), End::Front) => pack.as_ref().get(0).map(Item::Element),
            (Node::Pack(pack), End::Back) => pack.as_ref().get_back(0).map(Item::Element),
            (Node::Large(bytes), _) => Some(Item::Large(bytes)),
        }
    }

    /// Shows and removes up to `count` elements from one end on, in the order in which they leave.
    pub fn pop(&mut self, end: End, count: usize, mut show: impl FnMut(Item<'_>)) {
        let mut left = count.min(self.len);
        while left > 0 {
            let at = self.end_node(end);
            let node = self.nodes.get(at).expect("a list with elements has nodes");
            let here = node.len().min(left);
            match node {
                Node::Large(bytes) => show(Item::Large(bytes)),
                Node::Pack(pack) => match end {
                    End::Front => {
                        pack.iter().take(here).for_each(|(_, element)| show(Item::Element(element)))
                    }
                    End::Back => {
                        pack.iter_rev().take(here).for_each(|(_, element)| show(Item::Element(element)))
                    }
                },
            }
            self.drop_at(at, end, here);
            left -= here;
        }
    }

    /// Removes up to `count` elements at one end.
    pub fn drop_end(&mut self, end: End, count: usize) {
        let mut left = count.min(self.len);
        while left > 0 {
            let at = self.end_node(end);
            let here = self.nodes.get(at).map_or(0, Node::len).min(left);
            self.drop_at(at, end, here);
            left -= here;
        }
    }

    /// Removes `count` elements at an end of the node at that end of the list.
    fn drop_at(&mut self, at: usize, end: End, count: usize) {
        if count == self.nodes.get(at).map_or(0, Node::len) {
            self.drop_node(at);
            return;
        }
        self.len -= count;
        self.with_pack(at, |pack| match end {
            End::Front if count == 1 => pack.drop_front(),
            End::Back if count == 1 => pack.drop_back(),
            End::Front => pack.remove_at(0, count),
            End::Back => {
                let len = pack.body().len();
                let from = pack.as_ref().offset_of_back(count - 1).expect("the node has more");
                pack.remove_span(from, len, count);
            }
        });
    }

    /// The index of the node at an end.
    #[inline]
    fn end_node(&self, end: End) -> usize {
        match end {
            End::Front => 0,
            End::Back => self.nodes.len() - 1,
        }
    }

    /// Changes a listpack node and keeps account of its memory, not of its number of elements.
    #[inline]
    pub(super) fn with_pack<R>(&mut self, at: usize, change: impl FnOnce(&mut Listpack) -> R) -> Option<R> {
        let Some(Node::Pack(pack)) = self.nodes.get_mut(at) else { return None };
        let before = pack.heap_bytes();
        let result = change(pack);
        self.nodes_bytes = self.nodes_bytes + pack.heap_bytes() - before;
        Some(result)
    }

    /// Puts a node with elements in its place.
    pub(super) fn insert_node(&mut self, at: usize, node: Node) {
        self.len += node.len();
        self.nodes_bytes += node.heap_bytes();
        match self.nodes.get_mut(0) {
            Some(only) if self.len == node.len() => *only = node,
            _ => self.nodes.as_many().insert(at, node),
        }
    }

    /// Drops a node; how many elements it had.
    pub(super) fn drop_node(&mut self, at: usize) -> usize {
        self.take_node(at).len()
    }

    /// Takes a node out. The last one leaves an empty node.
    pub(super) fn take_node(&mut self, at: usize) -> Node {
        let empty = Node::Pack(Listpack::new());
        let node = match &mut self.nodes {
            Nodes::Many(nodes) if nodes.len() > 1 => {
                let node = nodes.remove(at).expect("a node's index");
                if nodes.capacity() > 64 && nodes.len() < nodes.capacity() / 4 {
                    nodes.shrink_to(nodes.capacity() / 2);
                }
                node
            }
            nodes => std::mem::replace(nodes.get_mut(at).expect("a node's index"), empty),
        };
        self.len -= node.len();
        self.nodes_bytes -= node.heap_bytes();
        node
    }

    /// Walks everything and checks it; for tests.
    #[cfg(test)]
    pub(super) fn verify(&self) {
        assert_eq!(self.len, self.nodes().map(Node::len).sum::<usize>());
        assert_eq!(self.nodes_bytes, self.nodes().map(Node::heap_bytes).sum::<usize>());
        assert!(self.nodes().len() == 1 || self.nodes().all(|node| !node.is_empty()), "a node is empty");
        for pack in self.nodes().filter_map(Node::as_pack) {
            assert_eq!(pack.len(), pack.as_ref().len());
        }
    }
}

/// A node of one element.
pub(super) fn new_node(value: &[u8], limit: NodeLimit) -> Node {
    if limit.is_large(value.len()) {
        return Node::Large(Arc::new(value.to_vec()));
    }
    let mut pack = Listpack::with_capacity(NEXT_NODE_BYTES);
    pack.push_back(value);
    Node::Pack(pack)
}

impl Collection for List {
    const KIND: Kind = Kind::List;

    type View<'a> = ListView<'a>;

    #[inline]
    fn view_packed(_: Packed, bytes: &[u8]) -> ListView<'_> {
        ListView::Packed(ListpackRef::new(bytes))
    }

    #[inline]
    fn view(&self) -> ListView<'_> {
        ListView::Heap(self)
    }

    fn unpack(_: Packed, bytes: &[u8]) -> List {
        List::from_listpack(Listpack::from_body(bytes))
    }

    fn packed(&self) -> Option<(Packed, &[u8])> {
        match self.nodes.get(0) {
            Some(Node::Pack(pack)) if self.nodes.len() == 1 => Some((Packed::List, pack.body())),
            _ => None,
        }
    }

    fn of(value: &Value) -> Option<&List> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    fn of_mut(value: &mut Value) -> Option<&mut List> {
        match value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::List(Box::new(self))
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Equal lists hold the same elements, whatever their nodes are.
impl PartialEq for List {
    fn eq(&self, other: &List) -> bool {
        self.len == other.len && self.view().to_vecs() == other.view().to_vecs()
    }
}

impl Eq for List {}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = f.debug_list();
        self.view().for_each(|item| {
            list.entry(&item.element());
        });
        list.finish()
    }
}
