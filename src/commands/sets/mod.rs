//! Sets.
//!
//! [`rows`] is the table of contents. What a set is and how it is held is [`crate::types::set`]'s; that commands find it
//! inside its entry or on the heap is the keyspace's.
//!
//! Commands over several sets read the sets where they are ([`combine`]), over several shards too ([`gathered`]); what is
//! long goes on in slices ([`sliced`]).

mod change;
mod combine;
mod gathered;
mod random;
mod read;
mod rows;
mod sliced;
#[cfg(test)]
mod tests;

pub use rows::ROWS;

use crate::types::intset::IntSetRef;
use crate::types::set::{Element, SetView};

use crate::resp::Reply;

/// The set of a key that is not there.
fn missing<'a>() -> SetView<'a> {
    SetView::Ints(IntSetRef::EMPTY)
}

/// Writes a member as a bulk.
#[inline]
fn reply_member(member: Element<'_>, reply: &mut Reply<'_>) {
    match member {
        Element::Int(value) => reply.bulk_int(value),
        Element::Bytes(bytes) => reply.bulk(bytes),
    }
}
