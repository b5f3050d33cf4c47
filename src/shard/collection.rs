//! Collections through the keyspace's doors: read in place wherever they live, changed by one function that keeps all
//! accounts.
//!
//! INVARIANT: a collection without elements has no key, and one that fits lives inside its entry. Both are this file's
//! work; no command does either.

use smallvec::SmallVec;

use super::effects::Event;
use super::keyspace::{Edit, Keyspace, NewValue, ValueView};
use super::subkeys::Subkeys;
use crate::types::collection::{Room, Shortened};
use crate::types::raw::table::{Ttl, VALUE_INLINE_MAX};
use crate::types::{Collection, Packed};

/// A heap value in its small form goes back into its entry at this size, well below the size at which it leaves it, so
/// that one element more or less does not move it to and fro.
const RETURN_BYTES: usize = VALUE_INLINE_MAX / 2;

/// The key holds a value of another kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WrongKind;

/// What [`Keyspace::change`] found.
#[derive(Debug)]
pub enum Changed<R> {
    /// There is no such key, and none was to be made.
    Missing,
    WrongKind,
    Ran(R),
}

/// The form of a collection whose bytes were written, how many they are, and a result.
pub type Written<R> = (Packed, usize, R);

/// What a change reports: nothing, when it found nothing to do.
#[derive(Default, Debug)]
pub struct Note {
    events: SmallVec<[Event; 2]>,
    changes: u64,
    /// Does anybody want to know which fields events are about?
    wants_subkeys: bool,
    /// By the order of the event.
    subkeys: Vec<(usize, Box<Subkeys>)>,
}

impl Note {
    /// A change and its notification.
    pub fn event(&mut self, event: Event) {
        self.events_of(event, 1);
    }

    /// Several changes (of elements) under one notification.
    pub fn events_of(&mut self, event: Event, changes: u64) {
        self.events.push(event);
        self.changes += changes;
    }

    /// A further notification of a change that was noted.
    pub fn also(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Names the fields that the event noted last is about, for who wants to know.
    pub fn name<'f>(&mut self, fields: impl IntoIterator<Item = &'f [u8]>) {
        if self.wants_subkeys && !self.events.is_empty() {
            let subkeys: Subkeys = fields.into_iter().collect();
            if !subkeys.is_empty() {
                self.subkeys.push((self.events.len() - 1, Box::new(subkeys)));
            }
        }
    }

    /// Does anybody want to know which fields events are about?
    pub fn wants_subkeys(&self) -> bool {
        self.wants_subkeys
    }

    /// Was anything noted?
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The names that belong to an event, taken out.
    fn take_subkeys(&mut self, order: usize) -> Option<Box<Subkeys>> {
        let at = self.subkeys.iter().position(|(of, _)| *of == order)?;
        Some(self.subkeys.swap_remove(at).1)
    }
}

enum Opened<R> {
    WrongKind,
    Ran {
        result: R,
        emptied: bool,
        /// The next deadline of its elements, when it is new or earlier than it was.
        expire_at_ms: Option<u64>,
    },
}

impl Keyspace<'_> {
    /// A collection to be read; `None` when there is no such key. Counts a hit or a miss, and as access.
    #[inline]
    pub fn view<C: Collection>(&mut self, key: &[u8]) -> Result<Option<C::View<'_>>, WrongKind> {
        match self.read(key) {
            None => Ok(None),
            Some(entry) => view_of::<C>(entry.value()).map(Some),
        }
    }

    /// Changes a collection. `change` mutates it and notes what it did; when it notes nothing the key stays as it was,
    /// so it must have left the value alone.
    ///
    /// With `create`, a missing key is made of an empty collection. One that is empty afterwards is removed.
    #[inline]
    pub fn change<C: Collection, R>(
        &mut self,
        key: &[u8],
        create: bool,
        change: impl FnOnce(&mut C, &mut Note) -> R,
    ) -> Changed<R> {
        self.write_or_change(key, create, |_, _, _| None, change)
    }

    /// As [`Keyspace::change`], of what mostly needs nothing but bytes written anew.
    ///
    /// `write` is shown the bytes inside the entry, or that there is no key, and writes what takes their place: a
    /// collection with elements, none of which has a deadline. It says its form and how many bytes it has, and notes
    /// what it did. When that is not so simple it notes nothing, and `change` is called as ever.
    #[inline]
    pub fn write_or_change<C: Collection, R>(
        &mut self,
        key: &[u8],
        create: bool,
        write: impl FnOnce(Option<(Packed, &[u8])>, &mut Room, &mut Note) -> Option<Written<R>>,
        change: impl FnOnce(&mut C, &mut Note) -> R,
    ) -> Changed<R> {
        let mut note = Note { wants_subkeys: self.effects.wants.subkeys, ..Note::default() };
        let mut ways = Some((write, change));
        let opened = self.edit_with(key, |edit| {
            let (write, change) = ways.take().expect("an edit runs once");
            let opened = run_on(edit, &mut note, write, change);
            for order in 0..note.events.len() {
                match order {
                    0 => edit.commit_many(note.events[0], note.changes),
                    _ => edit.also(note.events[order]),
                }
                if let Some(subkeys) = note.take_subkeys(order) {
                    edit.name_subkeys(subkeys);
                }
            }
            opened
        });
        match opened {
            Some(Opened::WrongKind) => Changed::WrongKind,
            Some(Opened::Ran { result, emptied, expire_at_ms }) => {
                if emptied {
                    let hash = self.hash(key);
                    self.drop_entry(hash, key);
                    self.also(key, Event::DEL);
                } else if let Some(at) = expire_at_ms {
                    self.fields_expire_at(key, at);
                }
                Changed::Ran(result)
            }
            None if !create => Changed::Missing,
            None => {
                let (write, change) = ways.take().expect("an edit of a missing key runs nothing");
                let mut room = [0; VALUE_INLINE_MAX];
                if let Some((form, bytes, result)) = write(None, &mut room, &mut note) {
                    self.insert(key, NewValue::Packed(form, &room[..bytes]), note);
                    return Changed::Ran(result);
                }
                let mut made = C::default();
                let result = change(&mut made, &mut note);
                if !note.is_empty() && !made.is_empty() {
                    let expire_at_ms = made.next_deadline();
                    with_new(made, |value| self.insert(key, value, note));
                    if let Some(at) = expire_at_ms {
                        self.fields_expire_at(key, at);
                    }
                }
                Changed::Ran(result)
            }
        }
    }

    fn insert(&mut self, key: &[u8], value: NewValue<'_>, mut note: Note) {
        let Some(first) = note.events.first().copied() else { return };
        self.set(key, value, Ttl::Clear, first);
        self.effects.dirty += note.changes - 1;
        for order in 0..note.events.len() {
            if order > 0 {
                self.also(key, note.events[order]);
            }
            if let Some(subkeys) = note.take_subkeys(order) {
                self.effects.name_subkeys(subkeys);
            }
        }
        // A key that is made has changed, whatever has made it.
        if !note.events.iter().any(|event| event.is_modification()) {
            self.also(key, Event::MADE);
        }
    }

    /// Stores a collection under a key, whatever it held; an empty one removes the key. True when the key existed.
    pub fn store<C: Collection>(&mut self, key: &[u8], made: C, event: Event) -> bool {
        if made.is_empty() {
            return self.remove(key, Event::DEL);
        }
        let expire_at_ms = made.next_deadline();
        let existed = with_new(made, |value| self.set(key, value, Ttl::Clear, event));
        if let Some(at) = expire_at_ms {
            self.fields_expire_at(key, at);
        }
        existed
    }
}

/// A collection to be read, of a value that was looked up.
#[inline]
pub fn view_of<C: Collection>(value: ValueView<'_>) -> Result<C::View<'_>, WrongKind> {
    match value {
        ValueView::Packed(form, bytes) if form.kind() == C::KIND => Ok(C::view_packed(form, bytes)),
        ValueView::Heap(value) => C::of(value).map(C::view).ok_or(WrongKind),
        _ => Err(WrongKind),
    }
}

#[inline]
fn run_on<C: Collection, R>(
    edit: &mut Edit<'_, '_>,
    note: &mut Note,
    write: impl FnOnce(Option<(Packed, &[u8])>, &mut Room, &mut Note) -> Option<Written<R>>,
    change: impl FnOnce(&mut C, &mut Note) -> R,
) -> Opened<R> {
    let mut unpacked = match edit.value() {
        ValueView::Packed(form, bytes) if form.kind() == C::KIND => {
            let mut room = [0; VALUE_INLINE_MAX];
            if let Some((form, bytes, result)) = write(Some((form, bytes)), &mut room, note) {
                edit.set(NewValue::Packed(form, &room[..bytes]));
                return Opened::Ran { result, emptied: false, expire_at_ms: None };
            }
            C::unpack(form, bytes)
        }
        ValueView::Heap(_) => return run_on_heap(edit, note, change),
        _ => return Opened::WrongKind,
    };
    let before = unpacked.next_deadline();
    let result = change(&mut unpacked, note);
    let expire_at_ms = earlier(before, unpacked.next_deadline());
    let emptied = unpacked.is_empty();
    if !note.is_empty() && !emptied {
        with_new(unpacked, |value| edit.set(value));
    }
    Opened::Ran { result, emptied: emptied && !note.is_empty(), expire_at_ms }
}

fn run_on_heap<C: Collection, R>(
    edit: &mut Edit<'_, '_>,
    note: &mut Note,
    change: impl FnOnce(&mut C, &mut Note) -> R,
) -> Opened<R> {
    let Some(value) = edit.heap_mut().and_then(C::of_mut) else { return Opened::WrongKind };
    let before = value.next_deadline();
    let result = change(value, note);
    if note.is_empty() {
        return Opened::Ran { result, emptied: false, expire_at_ms: None };
    }
    let expire_at_ms = earlier(before, value.next_deadline());
    let emptied = value.is_empty();
    if !emptied
        && let Some((form, bytes)) = value.packed()
        && bytes.len() <= RETURN_BYTES
    {
        let mut short = Shortened::new();
        let form = value.shorten(&mut short).unwrap_or_else(|| {
            short = bytes.into();
            form
        });
        edit.set(NewValue::Packed(form, &short));
    }
    Opened::Ran { result, emptied, expire_at_ms }
}

/// The deadline after a change, when it is new or earlier than before.
#[inline]
fn earlier(before: Option<u64>, after: Option<u64>) -> Option<u64> {
    after.filter(|after| before.is_none_or(|before| *after < before))
}

/// Shows a collection as the value it is stored as: inside the entry when it fits.
fn with_new<C: Collection, R>(made: C, store: impl FnOnce(NewValue<'_>) -> R) -> R {
    let mut short = Shortened::new();
    if let Some(form) = made.shorten(&mut short) {
        return store(NewValue::Packed(form, &short));
    }
    match made.packed() {
        Some((form, bytes)) if bytes.len() <= VALUE_INLINE_MAX => store(NewValue::Packed(form, bytes)),
        _ => store(NewValue::Value(made.into_value())),
    }
}
