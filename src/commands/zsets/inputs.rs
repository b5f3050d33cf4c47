//! What the commands over several sorted sets read: sorted sets and sets, where every member's score is 1, of this
//! shard or sent by others.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::commands::collection::view_of;
use crate::commands::keys::kind;
use crate::commands::{CommandError, Ctx};
use crate::shard::{Keyspace, ValueView};
use crate::types::listpack::Element;
use crate::types::set::{Needle, SetView};
use crate::types::zset::ZView;
use crate::types::{Collection, Kind, Packed, Set, Value, ZSet};

/// One input, to be read.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    Missing,
    ZSet(ZView<'a>),
    Set(SetView<'a>),
}

/// One input, for another shard to read.
pub enum Sent {
    Missing,
    ZSet(Arc<ZSet>),
    Set(Arc<Set>),
}

pub type Inputs<'a> = SmallVec<[Input<'a>; 8]>;

impl<'a> Input<'a> {
    pub fn of(value: ValueView<'a>) -> Result<Input<'a>, CommandError> {
        match kind(value) {
            Kind::Set => view_of::<Set>(value).map(Input::Set),
            _ => view_of::<ZSet>(value).map(Input::ZSet),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Input::Missing => 0,
            Input::ZSet(zset) => zset.len(),
            Input::Set(set) => set.len(),
        }
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Missing => None,
            Input::ZSet(zset) => zset.score(member),
            Input::Set(set) => set.contains(&mut Needle::new(member)).then_some(1.0),
        }
    }

    /// Visits about so many members from a place on, 0 the first; the place to go on from, 0 at the end.
    pub fn each_from(&self, place: u64, count: usize, visit: &mut dyn FnMut(Element<'a>, f64)) -> u64 {
        match self {
            Input::Missing => 0,
            Input::ZSet(zset) => {
                let end = (place as usize).saturating_add(count);
                zset.iter(place as usize..end, false).for_each(|(member, score)| visit(member, score));
                if end < zset.len() { end as u64 } else { 0 }
            }
            Input::Set(set) => set.scan(place, count, &mut |member| visit(member, 1.0)),
        }
    }

    /// Visits all members until `visit` returns false.
    pub fn each(&self, visit: &mut dyn FnMut(Element<'a>, f64) -> bool) {
        match self {
            Input::Missing => {}
            Input::ZSet(zset) => {
                zset.all().all(|(member, score)| visit(member, score));
            }
            Input::Set(set) => {
                set.iter().all(|member| visit(member, 1.0));
            }
        }
    }
}

impl Sent {
    /// A copy of what is small enough to live in its key's entry; `None` for the rest.
    pub fn small(value: ValueView<'_>) -> Option<Sent> {
        match value {
            ValueView::Packed(form @ Packed::ZSet, bytes) => {
                Some(Sent::ZSet(ZSet::unpack(form, bytes).into()))
            }
            ValueView::Packed(form, bytes) => Some(Sent::Set(Set::unpack(form, bytes).into())),
            _ => None,
        }
    }

    /// What is under a key: a copy of what is small, and a reference to what is big. Its owner's intents see to it that it
    /// stays as it is.
    pub fn of(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<Sent, CommandError> {
        let mut keys = ctx.keys();
        let Some(entry) = keys.read(key) else { return Ok(Sent::Missing) };
        Input::of(entry.value())?;
        Ok(match entry.value() {
            ValueView::Packed(form @ Packed::ZSet, bytes) => Sent::ZSet(ZSet::unpack(form, bytes).into()),
            ValueView::Packed(form, bytes) => Sent::Set(Set::unpack(form, bytes).into()),
            ValueView::Heap(Value::ZSet(zset)) => Sent::ZSet(zset.clone()),
            ValueView::Heap(Value::Set(set)) => Sent::Set(set.clone()),
            _ => unreachable!("it was looked at above"),
        })
    }

    /// The value, when nobody else has it any more.
    pub fn into_last(self) -> Option<Value> {
        match self {
            Sent::Missing => None,
            Sent::ZSet(zset) => Arc::into_inner(zset).map(Collection::into_value),
            Sent::Set(set) => Arc::into_inner(set).map(Collection::into_value),
        }
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Sent::Missing => Input::Missing,
            Sent::ZSet(zset) => Input::ZSet(zset.view()),
            Sent::Set(set) => Input::Set(set.view()),
        }
    }
}

/// Looks all keys up, counting accesses, and refuses what is of another type.
pub fn check<'k>(keys: &mut Keyspace<'_>, names: impl Iterator<Item = &'k [u8]>) -> Result<(), CommandError> {
    for name in names {
        if let Some(entry) = keys.read(name) {
            Input::of(entry.value())?;
        }
    }
    Ok(())
}

/// The inputs under keys that were checked, side by side.
pub fn of_keys<'a, 'k>(
    keys: &'a Keyspace<'_>,
    names: impl Iterator<Item = &'k [u8]>,
) -> Result<Inputs<'a>, CommandError> {
    names
        .map(|name| match keys.again(name) {
            Some(entry) => Input::of(entry.value()),
            None => Ok(Input::Missing),
        })
        .collect()
}
