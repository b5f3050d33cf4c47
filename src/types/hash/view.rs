//! Reading a hash, wherever it lies.

use super::super::listpack::ListpackRef;
use super::super::raw::table::{EntryRef, Table};
use super::big::text_of;
use super::shape::Shape;
use super::small::{deadline, deadline_of};
use super::{Form, LongValue, Text};
use crate::types::Packed;
use crate::types::draw::below;
use std::borrow::Cow;

/// A hash, to be read. Fields whose deadlines are not after the given time are not seen; 0 sees all.
#[derive(Clone, Copy)]
pub struct HashView<'a>(Held<'a>);

#[derive(Clone, Copy)]
enum Held<'a> {
    Small(Form, ListpackRef<'a>),
    /// Pairs, the names apart.
    Shaped(&'static Shape, ListpackRef<'a>),
    Big(&'a Table<LongValue>),
}

#[inline]
fn is_live(deadline: Option<u64>, now_ms: u64) -> bool {
    deadline.is_none_or(|at| at > now_ms)
}

impl<'a> HashView<'a> {
    #[inline]
    pub(super) fn small(form: Form, body: &'a [u8]) -> HashView<'a> {
        HashView(Held::Small(form, ListpackRef::new(body)))
    }

    /// Of bytes that lie in an entry.
    #[inline]
    pub(super) fn packed(packed: Packed, bytes: &'a [u8]) -> HashView<'a> {
        if packed == Packed::HashShaped {
            let (shape, values) = Shape::split(bytes);
            return HashView(Held::Shaped(shape, values));
        }
        HashView::small(Form::of(packed), bytes)
    }

    #[inline]
    pub(super) fn big(table: &'a Table<LongValue>) -> HashView<'a> {
        HashView(Held::Big(table))
    }

    /// What OBJECT ENCODING answers.
    pub fn encoding(&self) -> &'static str {
        match self.0 {
            Held::Small(form, _) => form.packed().encoding(),
            Held::Shaped(..) => Form::Pairs.packed().encoding(),
            Held::Big(_) => "hashtable",
        }
    }

    /// True when clients are told that it is a table, and the scan of its fields has cursors.
    pub fn is_big(&self) -> bool {
        matches!(self.0, Held::Big(_))
    }

    /// The form of its listpack, if it is one.
    pub fn form(&self) -> Option<Form> {
        match self.0 {
            Held::Small(form, _) => Some(form),
            Held::Shaped(..) => Some(Form::Pairs),
            Held::Big(_) => None,
        }
    }

    /// The listpack's body; nothing of a table.
    pub fn body(&self) -> Cow<'a, [u8]> {
        match self.0 {
            Held::Small(_, pack) => Cow::Borrowed(pack.body()),
            Held::Shaped(shape, values) => Cow::Owned(shape.lengthen(values).into_body()),
            Held::Big(_) => Cow::Borrowed(&[]),
        }
    }

    /// How many fields there are, those included that have expired unnoticed.
    #[inline]
    pub fn len(&self) -> usize {
        match self.0 {
            Held::Small(form, pack) => pack.len() / form.step(),
            Held::Shaped(shape, _) => shape.len(),
            Held::Big(table) => table.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self.0 {
            Held::Small(_, pack) => pack.is_empty(),
            Held::Shaped(shape, _) => shape.len() == 0,
            Held::Big(table) => table.is_empty(),
        }
    }

    /// How many fields there are to be seen.
    #[inline]
    pub fn live_len(&self, now_ms: u64) -> usize {
        if !self.may_have_due(now_ms) {
            return self.len();
        }
        let mut live = 0;
        self.for_each(now_ms, |_, _, _| live += 1);
        live
    }

    /// May fields have expired? A cheap look at what has no deadlines.
    #[inline]
    pub fn may_have_due(&self, now_ms: u64) -> bool {
        match self.0 {
            Held::Small(form, _) => form == Form::Triples,
            Held::Shaped(..) => false,
            Held::Big(table) => table.next_deadline().is_some_and(|at| at <= now_ms),
        }
    }

    /// A time before which no field expires; `None` without deadlines. It may be early.
    pub fn next_deadline(&self) -> Option<u64> {
        match self.0 {
            Held::Small(Form::Triples, pack) => {
                pack.iter().skip(2).step_by(3).filter_map(|(_, element)| deadline_of(element)).min()
            }
            Held::Small(..) | Held::Shaped(..) => None,
            Held::Big(table) => table.next_deadline(),
        }
    }

    /// Has any field a deadline?
    pub fn has_deadlines(&self) -> bool {
        match self.0 {
            Held::Small(..) | Held::Shaped(..) => self.next_deadline().is_some(),
            Held::Big(table) => table.expires_count() > 0,
        }
    }

    /// The value of a field.
    #[inline]
    pub fn get(&self, field: &[u8], now_ms: u64) -> Option<Text<'a>> {
        self.get_near(&mut 0, field, now_ms)
    }

    /// The same for several fields in turn: `near` remembers where the last one was, and begins with 0.
    #[inline]
    pub fn get_near(&self, near: &mut usize, field: &[u8], now_ms: u64) -> Option<Text<'a>> {
        match self.0 {
            Held::Small(form, pack) => {
                let found = *near != 0 && pack.is_text_at(*near, field);
                let at = if found { *near } else { pack.find(field, form.step())? };
                let value_at = pack.after(at);
                let value = pack.at(value_at)?;
                *near = pack.after(value_at);
                if form == Form::Triples {
                    if !is_live(deadline(pack, *near), now_ms) {
                        return None;
                    }
                    *near = pack.after(*near);
                }
                Some(value.into())
            }
            Held::Shaped(shape, values) => {
                // `near` is the index of a field, and where its value begins.
                let (near_index, near_at) = (*near >> 16, *near & 0xffff);
                let index = shape.index_of(near_index, field)?;
                let at = if index == near_index { near_at } else { values.offset_of(index)? };
                *near = (index + 1) << 16 | values.after(at);
                values.at(at).map(Text::from)
            }
            Held::Big(table) => {
                let entry = find(table, field)?;
                is_live(entry.expire_at_ms(), now_ms).then(|| text_of(entry))
            }
        }
    }

    /// A field's deadline: `None` when there is no such field.
    pub fn deadline(&self, field: &[u8], now_ms: u64) -> Option<Option<u64>> {
        let found = match self.0 {
            Held::Small(form, pack) => {
                let at = pack.find(field, form.step())?;
                match form {
                    Form::Triples => deadline(pack, pack.after(pack.after(at))),
                    Form::Pairs | Form::Wide => None,
                }
            }
            Held::Shaped(shape, _) => {
                shape.index_of(0, field)?;
                None
            }
            Held::Big(table) => find(table, field)?.expire_at_ms(),
        };
        is_live(found, now_ms).then_some(found)
    }

    /// Shows fields, values and deadlines.
    #[inline]
    pub fn for_each(&self, now_ms: u64, mut show: impl FnMut(Text<'a>, Text<'a>, Option<u64>)) {
        match self.0 {
            Held::Small(form, pack) => {
                let mut entries = pack.iter();
                while let (Some((_, field)), Some((_, value))) = (entries.next(), entries.next()) {
                    let mut deadline = None;
                    if form == Form::Triples {
                        deadline = entries.next().and_then(|(_, element)| deadline_of(element));
                        if !is_live(deadline, now_ms) {
                            continue;
                        }
                    }
                    show(field.into(), value.into(), deadline);
                }
            }
            Held::Shaped(shape, values) => {
                for ((_, field), (_, value)) in shape.names().iter().zip(values.iter()) {
                    show(field.into(), value.into(), None);
                }
            }
            Held::Big(table) => {
                for entry in table.iter() {
                    let deadline = entry.expire_at_ms();
                    if is_live(deadline, now_ms) {
                        show(Text::Bytes(entry.key()), text_of(entry), deadline);
                    }
                }
            }
        }
    }

    /// Shows a slice of the fields and returns the cursor to go on from; 0 begins and ends. A listpack is shown whole.
    pub fn scan(
        &self,
        cursor: u64,
        count: usize,
        now_ms: u64,
        mut show: impl FnMut(Text<'_>, Text<'_>),
    ) -> u64 {
        match self.0 {
            Held::Small(..) | Held::Shaped(..) => {
                self.for_each(now_ms, |field, value, _| show(field, value));
                0
            }
            Held::Big(table) => table.scan(cursor, count, &mut |entry| {
                if is_live(entry.expire_at_ms(), now_ms) {
                    show(Text::Bytes(entry.key()), text_of(entry));
                }
            }),
        }
    }

    /// A random field, each as likely as any other. `random` gives 64 random bits per call.
    pub fn random(&self, now_ms: u64, random: &mut dyn FnMut() -> u64) -> Option<(Text<'a>, Text<'a>)> {
        match self.0 {
            Held::Big(table) if !self.may_have_due(now_ms) => {
                table.random_entry(random).map(|entry| (Text::Bytes(entry.key()), text_of(entry)))
            }
            _ => {
                let live = self.live_len(now_ms);
                let mut wanted = below(random(), live);
                let mut found = None;
                self.for_each(now_ms, |field, value, _| {
                    if wanted == 0 && found.is_none() {
                        found = Some((field, value));
                    }
                    wanted = wanted.saturating_sub(1);
                });
                found
            }
        }
    }
}

fn find<'a>(table: &'a Table<LongValue>, field: &[u8]) -> Option<EntryRef<'a, LongValue>> {
    table.find(table.hasher().hash(field), field)
}
