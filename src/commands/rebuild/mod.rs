//! From a value to the commands that make it, in words that Redis 7.0 knows: for a log whose base is no RDB file, and for
//! what a log says of a command that cannot be repeated.
//!
//! Large values come in pieces, so that no command is longer than the elements of one piece. Deadlines of fields and what
//! streams have had since 8.6 come in the words of the servers that have them, and only for values that use them.

mod stream;

use super::keys::kind;
use crate::shard::{EntryView, ValueView};
use crate::types::hash::HashView;
use crate::types::number::format_f64_17g;
use crate::types::{Collection, Hash, Kind, List, Set, Value, ZSet};

pub use stream::show_claims;

/// Elements in one command.
pub const ELEMENTS_PER_COMMAND: usize = 64;

/// What is under the key before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    Nothing,
    Anything,
}

/// Who is shown commands.
pub type Show<'s> = &'s mut dyn FnMut(&[&[u8]]);

/// Shows the commands that turn what is under `key` into this entry.
pub fn rebuild(key: &[u8], entry: Option<EntryView<'_>>, over: Over, show: Show<'_>) {
    let Some(entry) = entry else {
        if over == Over::Anything {
            show(&[b"DEL", key]);
        }
        return;
    };
    let mut digits = itoa::Buffer::new();
    let deadline = entry.expire_at_ms().map(|at| digits.format(at).as_bytes());
    if kind(entry.value()) == Kind::String {
        return rebuild_string(key, entry.value(), deadline, show);
    }
    if over == Over::Anything {
        show(&[b"DEL", key]);
    }
    match entry.value() {
        ValueView::Heap(Value::Stream(stream)) => stream::rebuild(key, stream, show),
        ValueView::Heap(Value::Hash(hash)) => rebuild_hash(key, hash.view(), show),
        ValueView::Packed(form, bytes) if form.kind() == Kind::Hash => {
            rebuild_hash(key, Hash::view_packed(form, bytes), show);
        }
        value => rebuild_elements(key, value, show),
    }
    if let Some(at) = deadline {
        show(&[b"PEXPIREAT", key, at]);
    }
}

fn rebuild_string(key: &[u8], value: ValueView<'_>, deadline: Option<&[u8]>, show: Show<'_>) {
    let mut digits = itoa::Buffer::new();
    let bytes = match value {
        ValueView::Int(value) => digits.format(value).as_bytes(),
        ValueView::Bytes(bytes) => bytes,
        ValueView::Heap(Value::String(bytes)) => bytes,
        ValueView::Packed(..) | ValueView::Heap(_) => unreachable!("the kind is string"),
    };
    match deadline {
        Some(at) => show(&[b"SET", key, bytes, b"PXAT", at]),
        None => show(&[b"SET", key, bytes]),
    }
}

/// Lists, sets and sorted sets.
fn rebuild_elements(key: &[u8], value: ValueView<'_>, show: Show<'_>) {
    match (kind(value), value) {
        (Kind::List, ValueView::Packed(form, bytes)) => {
            rebuild_list(key, List::view_packed(form, bytes), show);
        }
        (_, ValueView::Heap(Value::List(list))) => rebuild_list(key, list.view(), show),
        (Kind::Set, ValueView::Packed(form, bytes)) => rebuild_set(key, Set::view_packed(form, bytes), show),
        (_, ValueView::Heap(Value::Set(set))) => rebuild_set(key, set.view(), show),
        (Kind::ZSet, ValueView::Packed(form, bytes)) => {
            rebuild_zset(key, ZSet::view_packed(form, bytes), show);
        }
        (_, ValueView::Heap(Value::ZSet(zset))) => rebuild_zset(key, zset.view(), show),
        _ => unreachable!("other kinds are made by their own functions"),
    }
}

fn rebuild_list(key: &[u8], list: crate::types::list::ListView<'_>, show: Show<'_>) {
    let mut pieces = Pieces::new(b"RPUSH", key, 1, show);
    list.for_each(|item| pieces.element(&[item.element().as_bytes(&mut itoa::Buffer::new())]));
    pieces.end();
}

fn rebuild_set(key: &[u8], set: crate::types::set::SetView<'_>, show: Show<'_>) {
    let mut pieces = Pieces::new(b"SADD", key, 1, show);
    for member in set.iter() {
        pieces.element(&[member.as_bytes(&mut itoa::Buffer::new())]);
    }
    pieces.end();
}

fn rebuild_zset(key: &[u8], zset: crate::types::zset::ZView<'_>, show: Show<'_>) {
    let mut pieces = Pieces::new(b"ZADD", key, 2, show);
    for (member, score) in zset.all() {
        pieces.element(&[&format_f64_17g(score), member.as_bytes(&mut itoa::Buffer::new())]);
    }
    pieces.end();
}

fn rebuild_hash(key: &[u8], hash: HashView<'_>, show: Show<'_>) {
    let mut digits = [itoa::Buffer::new(), itoa::Buffer::new()];
    let [field_digits, value_digits] = &mut digits;
    let mut pieces = Pieces::new(b"HSET", key, 2, show);
    hash.for_each(0, |field, value, _| {
        pieces.element(&[field.as_bytes(field_digits), value.as_bytes(value_digits)]);
    });
    pieces.end();
    if hash.has_deadlines() {
        let mut deadlines = Vec::new();
        hash.for_each(0, |field, _, deadline| {
            deadlines.extend(deadline.map(|at| (at, field.as_bytes(field_digits).to_vec())));
        });
        show_deadlines(key, deadlines, show);
    }
}

/// Shows how fields get these deadlines.
pub fn show_deadlines(key: &[u8], mut deadlines: Vec<(u64, Vec<u8>)>, show: Show<'_>) {
    deadlines.sort_unstable();
    for same in deadlines.chunk_by(|(at, _), (other, _)| at == other) {
        show_fields(&[b"HPEXPIREAT", key, itoa::Buffer::new().format(same[0].0).as_bytes()], same, show);
    }
}

/// Shows `head FIELDS n field ...`.
pub fn show_fields<F: AsField>(head: &[&[u8]], fields: &[F], show: Show<'_>) {
    for fields in fields.chunks(ELEMENTS_PER_COMMAND) {
        let mut digits = itoa::Buffer::new();
        let count = digits.format(fields.len()).as_bytes();
        let mut args = head.to_vec();
        args.extend([&b"FIELDS"[..], count]);
        args.extend(fields.iter().map(AsField::field));
        show(&args);
    }
}

/// What names a field.
pub trait AsField {
    /// The field's name.
    fn field(&self) -> &[u8];
}

impl AsField for (u64, Vec<u8>) {
    fn field(&self) -> &[u8] {
        &self.1
    }
}

impl AsField for &[u8] {
    fn field(&self) -> &[u8] {
        self
    }
}

/// Elements on their way into commands of one name for one key.
pub struct Pieces<'s, 'h> {
    command: &'static [u8],
    key: &'h [u8],
    /// Arguments of an element.
    width: usize,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    show: Show<'s>,
}

impl<'s, 'h> Pieces<'s, 'h> {
    /// For commands of this name and key; `width` arguments make an element.
    pub fn new(command: &'static [u8], key: &'h [u8], width: usize, show: Show<'s>) -> Pieces<'s, 'h> {
        Pieces { command, key, width, bytes: Vec::new(), ends: Vec::new(), show }
    }

    /// Adds an element. A command is shown when it is full.
    pub fn element(&mut self, args: &[&[u8]]) {
        debug_assert_eq!(args.len(), self.width);
        for arg in args {
            self.bytes.extend_from_slice(arg);
            self.ends.push(self.bytes.len());
        }
        if self.ends.len() == self.width * ELEMENTS_PER_COMMAND {
            self.flush();
        }
    }

    /// Shows what is left.
    pub fn end(mut self) {
        if !self.ends.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let mut args: Vec<&[u8]> = vec![self.command, self.key];
        let mut begin = 0;
        for &end in &self.ends {
            args.push(&self.bytes[begin..end]);
            begin = end;
        }
        (self.show)(&args);
        self.bytes.clear();
        self.ends.clear();
    }
}
