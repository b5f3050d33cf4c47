//! Sets of byte strings.
//!
//! | members                                              | form            | lives                         |
//! |------------------------------------------------------|-----------------|-------------------------------|
//! | integers, up to `set-max-intset-entries`             | intset          | in its key's entry, or apart  |
//! | any, few and short (`set-max-listpack-entries/value`)| listpack        | in its key's entry, or apart  |
//! | any                                                  | [`Table`]       | apart                         |
//!
//! A table keeps a member in its own bytes and about ten more: the member is the key and the value is empty. It
//! grows and shrinks without stalls, and gives cursors and random members.
//!
//! A set never goes back to a smaller form by itself, as in Redis, but a set made anew (SUNIONSTORE, RESTORE) takes the
//! form that its members allow.
//!
//! INVARIANT: every table of a set hashes with [`Hasher::shared`], so that a member looked for in several sets is
//! hashed once ([`Needle`]).

mod algebra;
#[cfg(test)]
mod tests;
mod view;

pub use crate::types::listpack::Element;
pub use algebra::{How, Walk, difference, intersection, union};
pub use view::{Iter, Needle, SetView};

use std::sync::Arc;

use smallvec::SmallVec;

use super::draw::below;
use super::encodings::fits_packed;
use super::intset::{IntSet, IntSetRef};
use super::listpack::{Listpack, ListpackRef};
use super::number::parse_i64;
use super::raw::own::own;
use super::raw::table::{Access, Doomed, Hasher, Table, Ttl, Value as TableValue};
use super::{Collection, Encodings, Kind, Packed, Value};

/// Bytes of room that a small set gets when it is unpacked to be changed.
const UNPACK_ROOM: usize = 32;

/// A member that was taken out.
pub type MemberBuf = SmallVec<[u8; 64]>;

/// A set.
#[derive(Default)]
pub struct Set {
    form: Form,
}

enum Form {
    Ints(IntSet),
    Members(Listpack),
    Table(Box<Table<()>>),
    /// On its way out: nobody reads it any more.
    Doomed(Box<Doomed<()>>),
}

impl Default for Form {
    fn default() -> Form {
        Form::Ints(IntSet::new())
    }
}

impl Set {
    /// An empty one in the form of the largest.
    pub fn new_table() -> Set {
        Set { form: Form::Table(Box::new(Table::new(Hasher::shared()))) }
    }

    /// So many members will come, perhaps in the order of another set's. Only a table cares.
    pub fn expect(&mut self, members: usize) {
        if let Form::Table(table) = &mut self.form {
            table.expect(members);
        }
    }

    /// Copies about `count` members, if both are tables; see [`Value::copy_some`].
    pub fn copy_some(&self, copy: &mut Set, at: u64, count: usize) -> Option<u64> {
        let (Form::Table(from), Form::Table(to)) = (&self.form, &mut copy.form) else { return None };
        to.expect(from.len());
        let next = from.scan(at, count, &mut |entry| {
            insert_into(to, entry.key());
        });
        (next != 0).then_some(next)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Ints(ints) => ints.len(),
            Form::Members(members) => members.len(),
            Form::Table(table) => table.len(),
            Form::Doomed(_) => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set to be read.
    #[inline]
    pub fn view(&self) -> SetView<'_> {
        match &self.form {
            Form::Ints(ints) => SetView::Ints(ints.as_ref()),
            Form::Members(members) => SetView::Members(members.as_ref()),
            Form::Table(table) => SetView::Table(table),
            Form::Doomed(_) => unreachable!("nobody reads what is being dropped"),
        }
    }

    /// Adds a member, in the form that the set then needs. False when it was there.
    pub fn insert(&mut self, member: &[u8], limits: &Encodings) -> bool {
        match &mut self.form {
            Form::Table(table) => insert_into(table, member),
            Form::Ints(ints) => match parse_i64(member) {
                Some(value) => {
                    let added = ints.insert(value);
                    if added && ints.len() > limits.intset_entries {
                        self.leave_ints(0, limits);
                    }
                    added
                }
                None => {
                    self.leave_ints(member.len(), limits);
                    self.insert(member, limits)
                }
            },
            Form::Members(members) => {
                if members.as_ref().find(member, 1).is_some() {
                    return false;
                }
                if members.len() < limits.set_entries
                    && member.len() <= limits.set_value_bytes
                    && fits_packed(members.body().len(), member.len())
                {
                    members.push_back(member);
                    return true;
                }
                insert_into(self.grow_table(), member)
            }
            Form::Doomed(_) => unreachable!("nobody changes what is being dropped"),
        }
    }

    /// From integers to any members: `more_bytes` is the length of one that will come at once, 0 if none will.
    fn leave_ints(&mut self, more_bytes: usize, limits: &Encodings) {
        let Form::Ints(ints) = &self.form else { return };
        let will_be = ints.len() + usize::from(more_bytes > 0);
        // The longest text of all is that of one of the ends.
        let ends = [0, ints.len().saturating_sub(1)];
        let text_len = |at: usize| Element::Int(ints.as_ref().get(at)).text_len();
        let longest = if ints.is_empty() { 0 } else { ends.into_iter().map(text_len).max().unwrap_or(0) };
        if will_be > limits.set_entries
            || longest.max(more_bytes) > limits.set_value_bytes
            || !fits_packed(0, more_bytes)
        {
            self.grow_table();
            return;
        }
        let mut members = Listpack::new();
        ints.as_ref().iter().for_each(|value| members.push_back(value));
        self.form = Form::Members(members);
    }

    /// Makes it a table.
    fn grow_table(&mut self) -> &mut Table<()> {
        let mut table = Box::new(Table::new(Hasher::shared()));
        let mut digits = itoa::Buffer::new();
        self.view().iter().for_each(|member| {
            insert_into(&mut table, member.as_bytes(&mut digits));
        });
        self.form = Form::Table(table);
        match &mut self.form {
            Form::Table(table) => table,
            _ => unreachable!("it was just made one"),
        }
    }

    /// Takes a member out. False when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.form {
            Form::Ints(ints) => parse_i64(member).is_some_and(|value| ints.remove(value)),
            Form::Members(members) => match members.as_ref().find(member, 1) {
                Some(at) => {
                    members.remove_at(at, 1);
                    true
                }
                None => false,
            },
            Form::Table(table) => {
                let hash = table.hasher().hash(member);
                table.remove(hash, member).is_some()
            }
            Form::Doomed(_) => unreachable!("nobody changes what is being dropped"),
        }
    }

    /// Takes a random member out, each as likely as any other.
    pub fn pop(&mut self, random: &mut dyn FnMut() -> u64) -> Option<MemberBuf> {
        match &mut self.form {
            Form::Ints(ints) => {
                if ints.is_empty() {
                    return None;
                }
                let index = below(random(), ints.len());
                let value = ints.as_ref().get(index);
                ints.remove_at(index);
                Some(itoa::Buffer::new().format(value).as_bytes().into())
            }
            Form::Members(members) => {
                let at = members.seek(below(random(), members.len()))?;
                let member = members.as_ref().at(at)?.as_bytes(&mut itoa::Buffer::new()).into();
                members.remove_at(at, 1);
                Some(member)
            }
            Form::Table(table) => {
                let member: MemberBuf = table.random_entry(random)?.key().into();
                let hash = table.hasher().hash(&member);
                table.remove(hash, &member);
                Some(member)
            }
            Form::Doomed(_) => None,
        }
    }

    /// A set of integers as it was read.
    pub fn from_ints(ints: IntSet, limits: &Encodings) -> Set {
        let mut set = Set { form: Form::Ints(ints) };
        if set.len() > limits.intset_entries {
            set.leave_ints(0, limits);
        }
        set
    }

    /// Bytes on the heap, its own fields included.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Set>()
            + match &self.form {
                Form::Ints(ints) => ints.heap_bytes(),
                Form::Members(members) => members.heap_bytes(),
                Form::Table(table) => size_of::<Table<()>>() + table.usage().total_bytes(),
                Form::Doomed(doomed) => size_of::<Doomed<()>>() + doomed.usage().total_bytes(),
            }
    }

    /// Drops about `max_members` members of a set that nobody will read again. True when none is left.
    pub fn drop_some(&mut self, max_members: usize) -> bool {
        if let Form::Table(table) = &mut self.form {
            self.form = Form::Doomed(Box::new(table.take()));
        }
        match &mut self.form {
            Form::Doomed(doomed) => doomed.drop_some(max_members, &mut |()| {}),
            _ => true,
        }
    }

    /// What OBJECT ENCODING answers: as [`Packed::encoding`], wherever the set lives.
    pub fn encoding(&self) -> &'static str {
        match &self.form {
            Form::Ints(_) => Packed::IntSet.encoding(),
            _ => Packed::Set.encoding(),
        }
    }
}

fn insert_into(table: &mut Table<()>, member: &[u8]) -> bool {
    let hash = table.hasher().hash(member);
    !table.replace(hash, member, TableValue::Bytes(b""), Ttl::Keep, Access::KeepOr(0)).existed
}

impl Clone for Set {
    fn clone(&self) -> Set {
        let form = match &self.form {
            Form::Ints(ints) => Form::Ints(ints.clone()),
            Form::Members(members) => Form::Members(members.clone()),
            Form::Table(table) => {
                let mut copy = Box::new(Table::new(Hasher::shared()));
                copy.expect(table.len());
                table.iter().for_each(|entry| {
                    insert_into(&mut copy, entry.key());
                });
                Form::Table(copy)
            }
            Form::Doomed(_) => Form::default(),
        };
        Set { form }
    }
}

/// The same members, in whatever form.
impl PartialEq for Set {
    fn eq(&self, other: &Set) -> bool {
        let mut digits = itoa::Buffer::new();
        self.len() == other.len()
            && (self.is_empty()
                || self
                    .view()
                    .iter()
                    .all(|member| other.view().contains(&mut Needle::new(member.as_bytes(&mut digits)))))
    }
}

impl Eq for Set {}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("{}");
        }
        let texts = self.view().iter().map(|member| String::from_utf8_lossy(&member.to_vec()).into_owned());
        f.debug_set().entries(texts).finish()
    }
}

impl Collection for Set {
    const KIND: Kind = Kind::Set;
    type View<'a> = SetView<'a>;

    #[inline]
    fn view_packed(form: Packed, bytes: &[u8]) -> SetView<'_> {
        match form {
            Packed::IntSet => SetView::Ints(IntSetRef::new(bytes)),
            _ => SetView::Members(ListpackRef::new(bytes)),
        }
    }

    fn view(&self) -> SetView<'_> {
        Set::view(self)
    }

    fn unpack(form: Packed, bytes: &[u8]) -> Set {
        let form = match form {
            Packed::IntSet => Form::Ints(IntSet::from_body(bytes)),
            _ => {
                // Room for what is about to be added: one allocation instead of two.
                let mut body = Vec::with_capacity(bytes.len() + UNPACK_ROOM);
                body.extend_from_slice(bytes);
                Form::Members(Listpack::from_parts(body, ListpackRef::new(bytes).len()))
            }
        };
        Set { form }
    }

    fn packed(&self) -> Option<(Packed, &[u8])> {
        match &self.form {
            Form::Ints(ints) => Some((Packed::IntSet, ints.body())),
            Form::Members(members) => Some((Packed::Set, members.body())),
            Form::Table(_) | Form::Doomed(_) => None,
        }
    }

    fn of(value: &Value) -> Option<&Set> {
        match value {
            Value::Set(set) => Some(set),
            _ => None,
        }
    }

    #[inline]
    fn of_mut(value: &mut Value) -> Option<&mut Set> {
        match value {
            Value::Set(set) => Some(own(set)),
            _ => None,
        }
    }

    fn into_value(self) -> Value {
        Value::Set(Arc::new(self))
    }

    fn is_empty(&self) -> bool {
        Set::is_empty(self)
    }
}
