//! Hashes. [`rows`] is the table of contents.
//!
//! Readers see the fields that are live at the time of the command. Writers go through [`change`], which first removes
//! those that are not, so that what a handler finds is what clients see.

mod fields;
mod get;
mod getset;
mod incr;
mod random;
mod rows;
mod scan;
mod set;
#[cfg(test)]
mod tests;
mod ttl;

use super::collection;
use super::{CommandError, Ctx};
use crate::resp::Reply;
use crate::shard::{Event, Keyspace, Note};
use crate::types::Hash;
use crate::types::hash::{HashView, Text};

pub use rows::ROWS;

/// The hash under a key, to be read.
#[inline]
fn read<'k>(keys: &'k mut Keyspace<'_>, key: &[u8]) -> Result<Option<HashView<'k>>, CommandError> {
    collection::read::<Hash>(keys, key)
}

/// Changes the hash under a key; see [`collection::change`].
#[inline]
fn change<R>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    create: bool,
    change: impl FnOnce(&mut Hash, &mut Note) -> Result<R, CommandError>,
) -> Result<Option<R>, CommandError> {
    let (due_ms, mut expired) = (ctx.due_ms(), 0);
    let changed = collection::change::<Hash, R>(&mut ctx.keys(), key, create, |hash, note| {
        (expired, _) = hash.expire_due(due_ms, usize::MAX);
        if expired > 0 {
            note.events_of(Event::HEXPIRED, expired as u64);
        }
        change(hash, note)
    });
    ctx.shard.stats.expired_fields += expired as u64;
    changed
}

/// Is there a hash under the key? WRONGTYPE when there is something else. Counts nothing.
fn exists(ctx: &mut Ctx<'_>, key: &[u8]) -> Result<bool, CommandError> {
    match ctx.keys().peek(key) {
        None => Ok(false),
        Some(entry) => collection::view_of::<Hash>(entry.value()).map(|_| true),
    }
}

/// Writes a field or value as a bulk; long values are referred to, not copied.
#[inline]
fn reply_text(text: Text<'_>, reply: &mut Reply<'_>) {
    match text {
        Text::Bytes(bytes) => reply.bulk(bytes),
        Text::Int(value) => reply.bulk_int(value),
        Text::Long(value) => reply.bulk_shared(value, 0..value.len()),
    }
}

/// The same, or null.
#[inline]
fn reply_optional(text: Option<Text<'_>>, reply: &mut Reply<'_>) {
    match text {
        Some(text) => reply_text(text, reply),
        None => reply.null(),
    }
}
