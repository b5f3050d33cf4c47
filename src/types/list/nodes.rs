//! The nodes and their order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::types::Listpack;

/// A part of a list.
#[derive(Clone, Debug)]
pub enum Node {
    Pack(Listpack),
    /// One element too big for a listpack. Shared so that a reply may send it without copying.
    Large(Arc<Vec<u8>>),
}

impl Node {
    /// How many elements it holds.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Node::Pack(pack) => pack.len(),
            Node::Large(_) => 1,
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes behind the node, its place among the nodes not included.
    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Node::Pack(pack) => pack.heap_bytes(),
            // The reference counts and the vector's own three words.
            Node::Large(bytes) => 16 + 24 + bytes.capacity(),
        }
    }

    pub(super) fn as_pack(&self) -> Option<&Listpack> {
        match self {
            Node::Pack(pack) => Some(pack),
            Node::Large(_) => None,
        }
    }
}

/// A sequence of nodes that is never without one: a short list takes no memory for the sequence.
#[derive(Clone, Debug)]
pub(super) enum Nodes {
    One(Node),
    Many(VecDeque<Node>),
}

impl Nodes {
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Nodes::One(_) => 1,
            Nodes::Many(nodes) => nodes.len(),
        }
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<&Node> {
        match self {
            Nodes::One(node) => (index == 0).then_some(node),
            Nodes::Many(nodes) => nodes.get(index),
        }
    }

    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Node> {
        match self {
            Nodes::One(node) => (index == 0).then_some(node),
            Nodes::Many(nodes) => nodes.get_mut(index),
        }
    }

    /// The sequence as a deque, which a single node moves into.
    pub fn as_many(&mut self) -> &mut VecDeque<Node> {
        if let Nodes::One(node) = self {
            let node = std::mem::replace(node, Node::Pack(Listpack::new()));
            let mut many = VecDeque::with_capacity(4);
            many.push_back(node);
            *self = Nodes::Many(many);
        }
        match self {
            Nodes::Many(nodes) => nodes,
            Nodes::One(_) => unreachable!("it was made many"),
        }
    }

    /// Bytes of the sequence itself.
    #[inline]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Nodes::One(_) => 0,
            Nodes::Many(nodes) => nodes.capacity() * size_of::<Node>(),
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Node> {
        (0..self.len()).map(|index| self.get(index).expect("below the length"))
    }
}
