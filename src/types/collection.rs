//! What the types of collections have in common: how they go into an entry and come out of it.
//!
//! A collection has three homes. Small ones are bytes inside the entry of their key ([`Packed`]); larger ones that are
//! still packed, and big ones, are a heap [`Value`]. Readers get a [`Collection::View`] of any of the three without a
//! copy; writers get the owned type, which goes back to wherever it fits.

use super::{Kind, Packed, Value};

/// A collection as the keyspace sees it.
pub trait Collection: Default + 'static {
    const KIND: Kind;

    /// What a reader gets: borrowed, cheap to make.
    type View<'a>;

    /// A view of bytes inside an entry. They were written by [`Collection::packed`].
    fn view_packed(form: Packed, bytes: &[u8]) -> Self::View<'_>;

    /// A view of a value on the heap.
    fn view(&self) -> Self::View<'_>;

    /// The value of bytes inside an entry, to be changed.
    fn unpack(form: Packed, bytes: &[u8]) -> Self;

    /// The bytes under which it may live inside an entry, if it is in its small form.
    fn packed(&self) -> Option<(Packed, &[u8])>;

    /// Of a heap value.
    fn of(value: &Value) -> Option<&Self>;

    /// Of a heap value, to be changed in place.
    fn of_mut(value: &mut Value) -> Option<&mut Self>;

    /// As a heap value.
    fn into_value(self) -> Value;

    /// A collection without elements has no key. (A stream without entries has: it is never empty in this sense.)
    fn is_empty(&self) -> bool;

    /// When the next of its elements expires: hashes alone have such. It may be early.
    fn next_deadline(&self) -> Option<u64> {
        None
    }
}
