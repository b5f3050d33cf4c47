//! What the types of collections have in common: how they go into an entry and come out of it.
//!
//! A collection has three homes. Small ones are bytes inside the entry of their key ([`Packed`]); larger ones that are
//! still packed, and big ones, are a heap [`Value`]. Readers get a [`Collection::View`] of any of the three without a
//! copy; writers get the owned type, which goes back to wherever it fits.

use smallvec::SmallVec;

use super::raw::table::{TakenValue, VALUE_INLINE_MAX};
use super::{Kind, Packed, Value};

/// Room for bytes that go into an entry.
pub type Shortened = SmallVec<[u8; VALUE_INLINE_MAX]>;

/// The same, of who counts what is written.
pub type Room = [u8; VALUE_INLINE_MAX];

/// A collection as the keyspace sees it.
pub trait Collection: Default + 'static {
    const KIND: Kind;

    /// What a reader gets: borrowed, cheap to make.
    type View<'a>;

    /// A view of bytes inside an entry. They were written by [`Collection::packed`] or [`Collection::shorten`].
    fn view_packed(form: Packed, bytes: &[u8]) -> Self::View<'_>;

    /// A view of a value on the heap.
    fn view(&self) -> Self::View<'_>;

    /// The value of bytes inside an entry, to be changed.
    fn unpack(form: Packed, bytes: &[u8]) -> Self;

    /// The bytes under which it may live inside an entry, if it is in its small form.
    fn packed(&self) -> Option<(Packed, &[u8])>;

    /// The same in fewer bytes, not more than an entry holds, if there is such a form. Without one, what was written
    /// means nothing.
    #[inline]
    fn shorten(&self, _into: &mut Shortened) -> Option<Packed> {
        None
    }

    /// Of a heap value.
    fn of(value: &Value) -> Option<&Self>;

    /// Of a heap value, to be changed in place.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;

    /// As a heap value.
    fn into_value(self) -> Value;

    /// As the value it is stored as when it moves as a whole (RESTORE, COPY): bytes when they fit into an entry.
    fn into_taken(self) -> TakenValue<Value> {
        let mut short = Shortened::new();
        if let Some(form) = self.shorten(&mut short) {
            return TakenValue::Packed(form, short.to_vec());
        }
        match self.packed() {
            Some((form, bytes)) if bytes.len() <= VALUE_INLINE_MAX => {
                TakenValue::Packed(form, bytes.to_vec())
            }
            _ => TakenValue::Heap(self.into_value()),
        }
    }

    /// A collection without elements has no key. (A stream without entries has: it is never empty in this sense.)
    fn is_empty(&self) -> bool;

    /// When the next of its elements expires: hashes alone have such. It may be early.
    fn next_deadline(&self) -> Option<u64> {
        None
    }
}
