//! Reading a list, wherever it lives.

use std::sync::Arc;

use super::nodes::Node;
use super::quicklist::List;
use crate::types::{Element, ListpackRef};

/// An element as a reader meets it.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    Element(Element<'a>),
    /// A big one, that may be referred to.
    Large(&'a Arc<Vec<u8>>),
}

impl<'a> Item<'a> {
    /// As an entry of a listpack would hold it. Big ones are never integers.
    #[inline]
    pub fn element(self) -> Element<'a> {
        match self {
            Item::Element(element) => element,
            Item::Large(bytes) => Element::Bytes(bytes),
        }
    }

    /// Its bytes, copied.
    pub fn to_vec(self) -> Vec<u8> {
        self.element().to_vec()
    }
}

/// A list to be read: bytes inside an entry, or a list on the heap.
#[derive(Clone, Copy, Debug)]
pub enum ListView<'a> {
    Packed(ListpackRef<'a>),
    Heap(&'a List),
}

impl<'a> ListView<'a> {
    /// Number of elements. Walks a listpack.
    pub fn len(&self) -> usize {
        match self {
            ListView::Packed(pack) => pack.len(),
            ListView::Heap(list) => list.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            ListView::Packed(pack) => pack.is_empty(),
            ListView::Heap(list) => list.is_empty(),
        }
    }

    /// The element at an index; a negative one counts from the end, -1 the last.
    pub fn get(&self, index: i64) -> Option<Item<'a>> {
        let from_end = || usize::try_from(-1 - index).ok();
        match self {
            ListView::Packed(pack) if index < 0 => pack.get_back(from_end()?).map(Item::Element),
            ListView::Packed(pack) => pack.get(usize::try_from(index).ok()?).map(Item::Element),
            ListView::Heap(list) if index < 0 => list.get(list.len().checked_sub(from_end()? + 1)?),
            ListView::Heap(list) => list.get(usize::try_from(index).ok()?),
        }
    }

    /// Shows up to `count` elements from `start` on; the visitor may end it by `false`.
    pub fn visit(&self, start: usize, count: usize, mut visit: impl FnMut(Item<'a>) -> bool) {
        match self {
            ListView::Packed(pack) => {
                let Some(at) = pack.offset_of(start) else { return };
                pack.iter_from(at).take(count).all(|(_, element)| visit(Item::Element(element)));
            }
            ListView::Heap(list) => list.visit(start, count, visit),
        }
    }

    /// Shows up to `count` elements backwards from the one at `start`, which is there.
    pub fn visit_back(&self, start: usize, count: usize, mut visit: impl FnMut(Item<'a>) -> bool) {
        match self {
            ListView::Packed(pack) => {
                let Some(at) = pack.offset_of(start) else { return };
                pack.iter_rev_from(pack.after(at))
                    .take(count)
                    .all(|(_, element)| visit(Item::Element(element)));
            }
            ListView::Heap(list) => list.visit_back(start, count, visit),
        }
    }

    /// Shows all elements.
    pub fn for_each(&self, mut visit: impl FnMut(Item<'a>)) {
        self.visit(0, usize::MAX, |item| {
            visit(item);
            true
        });
    }

    /// Copies of all elements.
    pub fn to_vecs(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        self.for_each(|item| all.push(item.to_vec()));
        all
    }
}

impl Node {
    /// The element at an index of this node.
    pub(super) fn get(&self, index: usize) -> Option<Item<'_>> {
        match self {
            Node::Pack(pack) => pack.get(index).map(Item::Element),
            Node::Large(bytes) => (index == 0).then_some(Item::Large(bytes)),
        }
    }
}

/// A place in a list that is not changed meanwhile, to go on from.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    node: usize,
    within: usize,
}

impl List {
    /// The place of an index; the end for one beyond.
    pub fn place(&self, index: usize) -> Place {
        let (node, within) = self.locate(index).unwrap_or((self.nodes.len(), 0));
        Place { node, within }
    }

    /// Shows up to `count` elements from a place on, which moves behind them; the visitor may end it by `false`, after
    /// the element it was shown.
    pub fn visit_from<'a>(
        &'a self,
        place: &mut Place,
        count: usize,
        mut visit: impl FnMut(Item<'a>) -> bool,
    ) {
        let (mut left, mut goes_on) = (count, true);
        while left > 0
            && goes_on
            && let Some(node) = self.nodes.get(place.node)
        {
            let before = place.within;
            match node {
                Node::Pack(pack) => {
                    if let Some(at) = pack.seek(before) {
                        for (_, element) in pack.as_ref().iter_from(at).take(left) {
                            place.within += 1;
                            goes_on = visit(Item::Element(element));
                            if !goes_on {
                                break;
                            }
                        }
                    }
                }
                Node::Large(bytes) if before == 0 => {
                    place.within = 1;
                    goes_on = visit(Item::Large(bytes));
                }
                Node::Large(_) => {}
            }
            left -= place.within - before;
            if place.within >= node.len() {
                *place = Place { node: place.node + 1, within: 0 };
            }
        }
    }

    /// The place of the last element, to go backwards from.
    pub fn place_back(&self) -> Place {
        self.place(self.len().saturating_sub(1))
    }

    /// As [`List::visit_from`], backwards: the place is that of the next element to show, and moves before those shown.
    /// The caller asks for no more than there are.
    pub fn visit_back_from<'a>(
        &'a self,
        place: &mut Place,
        count: usize,
        mut visit: impl FnMut(Item<'a>) -> bool,
    ) {
        let (mut left, mut goes_on) = (count, true);
        while left > 0
            && goes_on
            && let Some(node) = self.nodes.get(place.node)
        {
            let mut shown = 0;
            match node {
                Node::Pack(pack) => {
                    if let Some(at) = pack.seek(place.within) {
                        let end = pack.as_ref().after(at);
                        for (_, element) in pack.as_ref().iter_rev_from(end).take(left) {
                            shown += 1;
                            goes_on = visit(Item::Element(element));
                            if !goes_on {
                                break;
                            }
                        }
                    }
                }
                Node::Large(bytes) => {
                    shown = 1;
                    goes_on = visit(Item::Large(bytes));
                }
            }
            left -= shown;
            if shown <= place.within {
                place.within -= shown;
            } else if let Some(before) = place.node.checked_sub(1) {
                let len = self.nodes.get(before).map_or(0, Node::len);
                *place = Place { node: before, within: len.saturating_sub(1) };
            } else {
                return;
            }
        }
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<Item<'_>> {
        let (node, within) = self.locate(index)?;
        self.nodes.get(node)?.get(within)
    }

    /// See [`ListView::visit`].
    pub fn visit<'a>(&'a self, start: usize, count: usize, mut visit: impl FnMut(Item<'a>) -> bool) {
        let Some((first, mut within)) = self.locate(start) else { return };
        let mut left = count;
        for index in first..self.nodes.len() {
            match self.nodes.get(index).expect("below the length") {
                Node::Pack(pack) => {
                    let at = pack.seek(within).expect("an index of this node");
                    for (_, element) in pack.as_ref().iter_from(at) {
                        if left == 0 || !visit(Item::Element(element)) {
                            return;
                        }
                        left -= 1;
                    }
                }
                Node::Large(bytes) => {
                    if left == 0 || !visit(Item::Large(bytes)) {
                        return;
                    }
                    left -= 1;
                }
            }
            within = 0;
        }
    }

    /// See [`ListView::visit_back`].
    pub fn visit_back<'a>(&'a self, start: usize, count: usize, mut visit: impl FnMut(Item<'a>) -> bool) {
        let Some((first, within)) = self.locate(start) else { return };
        let (mut left, mut within) = (count, Some(within));
        for index in (0..=first).rev() {
            match self.nodes.get(index).expect("below the length") {
                Node::Pack(pack) => {
                    let end = match within {
                        Some(within) => {
                            pack.as_ref().after(pack.seek(within).expect("an index of this node"))
                        }
                        None => pack.body().len(),
                    };
                    for (_, element) in pack.as_ref().iter_rev_from(end) {
                        if left == 0 || !visit(Item::Element(element)) {
                            return;
                        }
                        left -= 1;
                    }
                }
                Node::Large(bytes) => {
                    if left == 0 || !visit(Item::Large(bytes)) {
                        return;
                    }
                    left -= 1;
                }
            }
            within = None;
        }
    }

    /// The node of an index, and the index within it, looked for from the nearer end.
    pub(super) fn locate(&self, index: usize) -> Option<(usize, usize)> {
        let len = self.len();
        if index >= len {
            return None;
        }
        if index < len / 2 {
            let mut left = index;
            for (at, node) in self.nodes.iter().enumerate() {
                if left < node.len() {
                    return Some((at, left));
                }
                left -= node.len();
            }
        } else {
            let mut left = len - 1 - index;
            for (at, node) in (0..self.nodes.len()).rev().zip(self.nodes.iter().rev()) {
                if left < node.len() {
                    return Some((at, node.len() - 1 - left));
                }
                left -= node.len();
            }
        }
        unreachable!("the nodes' lengths sum up to the list's")
    }
}
