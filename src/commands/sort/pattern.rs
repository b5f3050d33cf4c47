//! The patterns of BY and GET, and what the keys hold that they name.

use super::elements::Elements;
use crate::commands::Ctx;
use crate::commands::collection::view_of;
use crate::commands::keys::kind;
use crate::commands::strings::bytes_of;
use crate::shard::Keyspace;
use crate::types::{Hash, Kind};

/// What BY or GET asks of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pattern<'a> {
    /// `#`: the element itself.
    Itself,
    /// Without a `*` no key is named, and nothing found.
    Nothing,
    /// The key whose name is the pattern with the element for the `*`, or a field of the hash there.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

impl<'a> Pattern<'a> {
    /// `before*after`, or `before*after->field` unless the field's name is empty.
    pub fn new(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Itself;
        }
        let Some(star) = memchr::memchr(b'*', text) else { return Pattern::Nothing };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        match memchr::memmem::find(rest, b"->") {
            Some(arrow) if arrow + 2 < rest.len() => {
                Pattern::Key { before, after: &rest[..arrow], field: Some(&rest[arrow + 2..]) }
            }
            _ => Pattern::Key { before, after: rest, field: None },
        }
    }

    pub fn names_keys(self) -> bool {
        matches!(self, Pattern::Key { .. })
    }
}

/// What was found for elements and patterns: cell `element * patterns + pattern`, where it ends.
#[derive(Default)]
pub struct Values {
    bytes: Vec<u8>,
    found: Vec<(usize, usize)>,
}

impl Values {
    /// Cells by their number, of all the values together; those of which nothing was found are `None`.
    pub fn by_cell<'v>(values: &[&'v Values], cells: usize) -> Vec<Option<&'v [u8]>> {
        let mut by_cell = vec![None; cells];
        for values in values {
            values.walk().until(cells, |cell, value| by_cell[cell] = Some(value));
        }
        by_cell
    }

    /// What was found, in the order of cells.
    pub fn walk(&self) -> Walk<'_> {
        Walk { values: self, next: 0, from: 0 }
    }
}

/// A way through what was found.
pub struct Walk<'v> {
    values: &'v Values,
    next: usize,
    from: usize,
}

impl<'v> Walk<'v> {
    /// Shows what follows, up to a cell.
    pub fn until(&mut self, end_cell: usize, mut show: impl FnMut(usize, &'v [u8])) {
        while let Some((cell, end)) = self.values.found.get(self.next).filter(|(cell, _)| *cell < end_cell) {
            show(*cell, &self.values.bytes[self.from..*end]);
            self.from = *end;
            self.next += 1;
        }
    }
}

/// Looks up the keys that the patterns name for each element, as far as their names are `wanted`.
pub fn look_up(
    ctx: &mut Ctx<'_>,
    elements: &Elements,
    patterns: &[Pattern<'_>],
    wanted: impl Fn(&[u8]) -> bool,
) -> Values {
    let mut values = Values::default();
    if !patterns.iter().any(|pattern| pattern.names_keys()) {
        return values;
    }
    let mut keys = ctx.keys();
    let mut name = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        for (order, pattern) in patterns.iter().enumerate() {
            let Pattern::Key { before, after, field } = *pattern else { continue };
            name.clear();
            name.extend_from_slice(before);
            name.extend_from_slice(element);
            name.extend_from_slice(after);
            if wanted(&name) && value_of(&mut keys, &name, field, &mut values.bytes) {
                values.found.push((index * patterns.len() + order, values.bytes.len()));
            }
        }
    }
    values
}

/// Appends the string under a key, or a field of the hash there. False when there is no such thing.
fn value_of(keys: &mut Keyspace<'_>, name: &[u8], field: Option<&[u8]>, into: &mut Vec<u8>) -> bool {
    let due_ms = keys.due_ms();
    let Some(entry) = keys.read(name) else { return false };
    let mut digits = itoa::Buffer::new();
    let found = match (kind(entry.value()), field) {
        (Kind::String, None) => bytes_of(entry.value(), &mut digits).ok(),
        (Kind::Hash, Some(field)) => {
            let value = view_of::<Hash>(entry.value()).ok().and_then(|hash| hash.get(field, due_ms));
            match value {
                Some(value) => {
                    into.extend_from_slice(value.as_bytes(&mut digits));
                    return true;
                }
                None => None,
            }
        }
        _ => None,
    };
    found.map(|bytes| into.extend_from_slice(bytes)).is_some()
}
