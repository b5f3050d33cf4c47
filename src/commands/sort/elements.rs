//! The elements of a collection, copied out, one after the other.

use super::options::Options;
use crate::commands::collection::view_of;
use crate::commands::keys::kind;
use crate::commands::{CommandError, Ctx};
use crate::types::listpack::Element;
use crate::types::{Kind, List, Set, ZSet};

/// Elements of a piece, as a power of two.
const PIECE_SHIFT: usize = 10;
const PIECE: usize = 1 << PIECE_SHIFT;

/// Byte strings in some order. They lie in pieces, because one array of millions would stall whoever makes it grow, and
/// whoever drops it.
#[derive(Default)]
pub struct Elements {
    pieces: Vec<Piece>,
    count: usize,
    /// The order is final, and LIMIT was heeded.
    pub is_final: bool,
    /// They are a set's, in an order of no meaning.
    pub are_unordered: bool,
}

#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Elements {
    /// None yet, and those that will be pushed need no sorting.
    pub fn in_final_order() -> Elements {
        Elements { is_final: true, ..Elements::default() }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn get(&self, index: usize) -> &[u8] {
        let (piece, at) = (&self.pieces[index >> PIECE_SHIFT], index & (PIECE - 1));
        let from = at.checked_sub(1).map_or(0, |before| piece.ends[before]);
        &piece.bytes[from..piece.ends[at]]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.get(index))
    }

    pub fn push(&mut self, element: &[u8]) {
        if self.count & (PIECE - 1) == 0 {
            self.pieces.push(Piece::default());
        }
        let piece = self.pieces.last_mut().expect("the first element makes the first piece");
        piece.bytes.extend_from_slice(element);
        piece.ends.push(piece.bytes.len());
        self.count += 1;
    }

    /// Drops a piece of what nobody will read again; false when none is left.
    pub fn drop_some(&mut self) -> bool {
        self.pieces.pop().is_some()
    }

    pub fn push_element(&mut self, element: Element<'_>) {
        self.push(element.as_bytes(&mut itoa::Buffer::new()));
    }

    /// The elements under a key; none when it is missing.
    ///
    /// Redis: with BY a constant, those of lists and sorted sets keep their order, or the opposite one with DESC, and
    /// LIMIT counts in it.
    pub fn read(ctx: &mut Ctx<'_>, key: &[u8], options: &Options<'_>) -> Result<Elements, CommandError> {
        let mut keys = ctx.keys();
        let mut elements = Elements::default();
        let Some(entry) = keys.read(key) else { return Ok(elements) };
        let value = entry.value();
        match kind(value) {
            Kind::List => {
                let list = view_of::<List>(value)?;
                let mut push = |item: crate::types::list::Item<'_>| {
                    elements.push_element(item.element());
                    true
                };
                if !options.keeps_order {
                    list.visit(0, usize::MAX, push);
                } else {
                    let len = list.len();
                    let range = options.range(len);
                    if range.is_empty() {
                    } else if options.descending {
                        list.visit_back(len - 1 - range.start, range.len(), push);
                    } else {
                        list.visit(range.start, range.len(), &mut push);
                    }
                    elements.is_final = true;
                }
            }
            Kind::ZSet => {
                let zset = view_of::<ZSet>(value)?;
                let (len, backwards) = (zset.len(), options.keeps_order && options.descending);
                let range = if options.keeps_order { options.range(len) } else { 0..len };
                let ranks = if backwards { len - range.end..len - range.start } else { range };
                zset.iter(ranks, backwards).for_each(|(member, _)| elements.push_element(member));
                elements.is_final = options.keeps_order;
            }
            Kind::Set => {
                view_of::<Set>(value)?.iter().for_each(|member| elements.push_element(member));
                elements.are_unordered = true;
            }
            _ => return Err(CommandError::WrongType),
        }
        Ok(elements)
    }
}
