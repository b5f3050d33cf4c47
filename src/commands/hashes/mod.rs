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
use super::rebuild::show_fields;
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
    let (is_named, mut gone) = (names_fields(ctx), Vec::new());
    let changed = collection::change::<Hash, R>(&mut ctx.keys(), key, create, |hash, note| {
        let mut name = |field: &[u8]| {
            if is_named {
                gone.push(field.to_vec());
            }
        };
        (expired, _) = hash.expire_due(due_ms, usize::MAX, &mut name);
        if expired > 0 {
            note.events_of(Event::HEXPIRED, expired as u64);
            note.name(gone.iter().map(|field| &field[..]));
        }
        change(hash, note)
    });
    if expired > 0 {
        ctx.shard.stats.expired_fields += expired as u64;
        ctx.say(|log, db| log.say_expired_fields(db, key, &gone));
    }
    changed
}

/// Does anybody want to know which fields a change is about: the log, or who asked for notifications that name them?
fn names_fields(ctx: &Ctx<'_>) -> bool {
    ctx.is_logged() || ctx.shard.effects.wants.subkeys
}

/// What became of fields.
#[derive(Clone, Copy)]
enum Then {
    Expire(u64),
    Persist,
    Delete,
}

/// Says what became of these fields, if there are any.
fn say_fields(ctx: &mut Ctx<'_>, key: &[u8], fields: &[&[u8]], then: Then) {
    if fields.is_empty() {
        return;
    }
    ctx.say(|log, db| {
        let show = &mut |args: &[&[u8]]| log.say(db, args);
        match then {
            Then::Expire(at) => {
                let mut digits = itoa::Buffer::new();
                show_fields(&[b"HPEXPIREAT", key, digits.format(at).as_bytes()], fields, show);
            }
            Then::Persist => show_fields(&[b"HPERSIST", key], fields, show),
            Then::Delete => {
                let args: Vec<&[u8]> =
                    [&b"HDEL"[..], key].into_iter().chain(fields.iter().copied()).collect();
                show(&args);
            }
        }
    });
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
