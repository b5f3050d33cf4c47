//! The sorted set: unique members, each with a score, in the order of scores and, among equal scores, of bytes.
//!
//! Small ones are a listpack ([`packed`]), which is also what lies inside a key's entry; big ones are [`Sorted`].
//! [`ZView`] reads either.
//!
//! INVARIANT: a score is a number, never NaN.

mod arena;
mod index;
mod packed;
mod range;
mod sorted;
#[cfg(test)]
mod tests;
mod tree;
mod view;

use std::ops::Range;
use std::sync::Arc;

use super::encodings::fits_packed;
use super::listpack::{Element, Listpack, ListpackRef};
use super::raw::own::own;
use super::{Collection, Encodings, Kind, Packed, Value};

pub use packed::Pair;
pub use range::{LexBound, LexRange, ScoreBound, ScoreRange};
pub use sorted::{Full, Sorted, compare};
pub use view::{ZIter, ZView};

/// A sorted set of its own.
#[derive(Clone)]
pub struct ZSet {
    form: Form,
}

#[derive(Clone)]
enum Form {
    Packed(Listpack),
    Sorted(Box<Sorted>),
}

impl ZSet {
    /// An empty one that is going to have about so many members.
    pub fn with_len(members: usize, limits: &Encodings) -> ZSet {
        let is_big = members > limits.zset_entries;
        ZSet { form: if is_big { Form::Sorted(Box::default()) } else { Form::Packed(Listpack::new()) } }
    }

    /// A listpack from elsewhere; `None` when it is no sorted set. One that is too long for the settings is turned into
    /// the big form.
    pub fn from_listpack(pack: Listpack, limits: &Encodings) -> Option<ZSet> {
        if !packed::is_sound(pack.as_ref()) {
            return None;
        }
        let too_long = pack.len() / 2 > limits.zset_entries;
        let mut made = ZSet { form: Form::Packed(pack) };
        if too_long {
            made.grow();
        }
        Some(made)
    }

    /// An empty one in the big form.
    pub fn new_sorted() -> ZSet {
        ZSet { form: Form::Sorted(Box::default()) }
    }

    /// Copies about `count` members' worth into one in the big form, if it is one itself; see [`Value::copy_some`].
    pub fn copy_some(&self, copy: &mut ZSet, at: u64, count: usize) -> Option<u64> {
        /// Of a short member, what lies around it included.
        const MEMBER_BYTES: usize = 64;
        let (Form::Sorted(from), Form::Sorted(to)) = (&self.form, &mut copy.form) else { return None };
        from.copy_some(to, at, count.max(1).saturating_mul(MEMBER_BYTES))
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        match &self.form {
            Form::Packed(pack) => pack.len() / 2,
            Form::Sorted(sorted) => sorted.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True in the small form.
    pub fn is_packed(&self) -> bool {
        matches!(self.form, Form::Packed(_))
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        if self.is_packed() { "listpack" } else { "skiplist" }
    }

    /// Bytes on the heap, its own fields included. O(1).
    pub fn heap_bytes(&self) -> usize {
        size_of::<ZSet>()
            + match &self.form {
                Form::Packed(pack) => pack.heap_bytes(),
                Form::Sorted(sorted) => size_of::<Sorted>() + sorted.heap_bytes(),
            }
    }

    /// Gives a member a score; the one it had.
    pub fn add(&mut self, member: &[u8], score: f64, limits: &Encodings) -> Result<Option<f64>, Full> {
        if let Form::Packed(pack) = &mut self.form {
            if let Some((at, old)) = packed::find(pack.as_ref(), member) {
                if old != score {
                    pack.remove_at(at, 2);
                    packed::insert(pack, member, score);
                }
                return Ok(Some(old));
            }
            let fits = pack.len() / 2 < limits.zset_entries
                && member.len() <= limits.zset_value_bytes
                && fits_packed(pack.body().len(), member.len());
            if fits {
                packed::insert(pack, member, score);
                return Ok(None);
            }
            self.grow();
        }
        match &mut self.form {
            Form::Sorted(sorted) => sorted.add(member, score),
            Form::Packed(_) => unreachable!("it has just grown"),
        }
    }

    /// Takes a member out; its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.form {
            Form::Packed(pack) => {
                let (at, score) = packed::find(pack.as_ref(), member)?;
                pack.remove_at(at, 2);
                Some(score)
            }
            Form::Sorted(sorted) => sorted.remove(member),
        }
    }

    /// Takes out the members with these ranks, showing each before; with `reverse` the last of them first.
    pub fn remove_ranks(
        &mut self,
        ranks: Range<usize>,
        reverse: bool,
        show: &mut dyn FnMut(Element<'_>, f64),
    ) {
        let ranks = ranks.start.min(self.len())..ranks.end.min(self.len());
        if ranks.is_empty() {
            return;
        }
        match &mut self.form {
            Form::Packed(pack) => {
                ZView::Packed(pack.as_ref())
                    .iter(ranks.clone(), reverse)
                    .for_each(|(member, score)| show(member, score));
                if let Some(from) = pack.seek(ranks.start * 2) {
                    pack.remove_at(from, ranks.len() * 2);
                }
            }
            Form::Sorted(sorted) => {
                for step in 0..ranks.len() {
                    let rank = if reverse { ranks.end - 1 - step } else { ranks.start };
                    sorted.remove_at(rank, &mut |member, score| show(Element::Bytes(member), score));
                }
            }
        }
    }

    /// Into the small form, if its members allow it. Redis: what commands compute as a whole (ZUNIONSTORE) and what is
    /// loaded chooses its form at the end.
    pub fn settle(&mut self, limits: &Encodings) {
        let Form::Sorted(sorted) = &self.form else { return };
        if sorted.len() > limits.zset_entries {
            return;
        }
        let view = ZView::Sorted(sorted);
        if view.all().any(|(member, _)| member.text_len() > limits.zset_value_bytes)
            || !fits_packed(0, view.all().map(|(member, _)| member.text_len()).sum())
        {
            return;
        }
        let mut pack = Listpack::new();
        for (member, score) in view.all() {
            if let Element::Bytes(member) = member {
                packed::insert(&mut pack, member, score);
            }
        }
        self.form = Form::Packed(pack);
    }

    /// Into the big form.
    fn grow(&mut self) {
        let Form::Packed(pack) = &self.form else { return };
        let mut sorted = Box::<Sorted>::default();
        for (_, (member, score)) in packed::Pairs::new(pack.as_ref()) {
            let added = sorted.add(member.as_bytes(&mut itoa::Buffer::new()), score);
            added.expect("a listpack's members fit the big form");
        }
        self.form = Form::Sorted(sorted);
    }

    /// Drops some members; true when none is left. Nothing else may be asked of it then.
    pub fn drop_some(&mut self, max_elements: usize) -> bool {
        match &mut self.form {
            Form::Packed(_) => true,
            Form::Sorted(sorted) => sorted.drop_some(max_elements),
        }
    }
}

impl Default for ZSet {
    fn default() -> ZSet {
        ZSet { form: Form::Packed(Listpack::new()) }
    }
}

impl PartialEq for ZSet {
    /// The same members with the same scores, whatever the form.
    fn eq(&self, other: &ZSet) -> bool {
        let text = |(member, score): Pair<'_>| (member.to_vec(), score);
        self.len() == other.len() && self.view().all().map(text).eq(other.view().all().map(text))
    }
}

impl Eq for ZSet {}

impl std::fmt::Debug for ZSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.view().all()).finish()
    }
}

impl Collection for ZSet {
    const KIND: Kind = Kind::ZSet;

    type View<'a> = ZView<'a>;

    fn view_packed(form: Packed, bytes: &[u8]) -> ZView<'_> {
        debug_assert_eq!(form, Packed::ZSet);
        ZView::Packed(ListpackRef::new(bytes))
    }

    fn view(&self) -> ZView<'_> {
        match &self.form {
            Form::Packed(pack) => ZView::Packed(pack.as_ref()),
            Form::Sorted(sorted) => ZView::Sorted(sorted),
        }
    }

    fn unpack(form: Packed, bytes: &[u8]) -> ZSet {
        debug_assert_eq!(form, Packed::ZSet);
        ZSet { form: Form::Packed(Listpack::from_body(bytes)) }
    }

    fn packed(&self) -> Option<(Packed, &[u8])> {
        match &self.form {
            Form::Packed(pack) => Some((Packed::ZSet, pack.body())),
            Form::Sorted(_) => None,
        }
    }

    fn of(value: &Value) -> Option<&ZSet> {
        if let Value::ZSet(zset) = value { Some(zset) } else { None }
    }

    #[inline]
    fn of_mut(value: &mut Value) -> Option<&mut ZSet> {
        if let Value::ZSet(zset) = value { Some(own(zset)) } else { None }
    }

    fn into_value(self) -> Value {
        Value::ZSet(Arc::new(self))
    }

    fn is_empty(&self) -> bool {
        ZSet::is_empty(self)
    }
}
