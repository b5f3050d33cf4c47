//! PFADD.

use std::sync::Arc;

use super::{corrupted, open};
use crate::commands::strings::raw;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, NewValue};
use crate::types::raw::table::Ttl;
use crate::types::{Value, hll};

pub fn pfadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let sparse_max_bytes = ctx.shard.settings.encodings.hll_sparse_bytes;
    let mut keys = ctx.keys();
    let elements = *args;
    let added = keys.edit_with(key, |edit| {
        let len = open(edit.value(), &mut itoa::Buffer::new())?.0.len();
        let bytes = raw(edit, len)?;
        let added = add_all(bytes, elements, sparse_max_bytes);
        if added.changes > 0 {
            hll::forget_cached(bytes);
            edit.commit_many(Event::PFADD, added.changes);
        }
        added.result.map(|()| added.changes)
    });
    let changes = match added {
        Some(added) => added?,
        None => {
            let mut bytes = hll::new();
            // Redis: that it is there is a change as well.
            let changes = 1 + add_all(&mut bytes, elements, sparse_max_bytes).changes;
            hll::forget_cached(&mut bytes);
            let value = NewValue::Value(Value::String(Arc::new(bytes)));
            keys.set(key, value, Ttl::Clear, Event::PFADD);
            changes
        }
    };
    reply.int(i64::from(changes > 0));
    Ok(Outcome::Done)
}

struct Added {
    changes: u64,
    /// An error ends it, and leaves the elements before it where they are.
    result: Result<(), CommandError>,
}

fn add_all(bytes: &mut Vec<u8>, mut elements: Args<'_>, sparse_max_bytes: usize) -> Added {
    let mut changes = 0;
    for element in elements.rest() {
        match hll::add(bytes, element, sparse_max_bytes) {
            Ok(changed) => changes += u64::from(changed),
            Err(error) => return Added { changes, result: Err(corrupted(error)) },
        }
    }
    Added { changes, result: Ok(()) }
}
