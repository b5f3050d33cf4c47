//! Single bits: SETBIT, GETBIT.

use std::sync::Arc;

use super::{grown, offset};
use crate::commands::strings::bytes_of;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, NewValue};
use crate::types::Value;
use crate::types::bitfield::{bit, set_bit};
use crate::types::number::parse_i64;
use crate::types::raw::table::Ttl;

pub fn setbit(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let at = offset(args.take()?, ctx.shard.settings.max_bulk_bytes)?;
    let on = match parse_i64(args.take()?) {
        Some(value @ (0 | 1)) => value == 1,
        _ => return Err(CommandError::Line("ERR bit is not an integer or out of range")),
    };
    let len = (at >> 3) as usize + 1;
    let mut keys = ctx.keys();
    let edited = keys.edit_with(key, |edit| {
        let (bytes, grew) = grown(edit, len)?;
        let before = set_bit(bytes, at, on);
        // Redis: a bit that was so before is no change.
        if grew || before != on {
            edit.commit(Event::SETBIT);
        }
        Ok(before)
    });
    let before = match edited {
        Some(before) => before?,
        None => {
            // Zeroed pages come from the system as they are touched.
            let mut bytes = vec![0; len];
            set_bit(&mut bytes, at, on);
            keys.set(key, NewValue::Value(Value::String(Arc::new(bytes))), Ttl::Clear, Event::SETBIT);
            false
        }
    };
    reply.int(before.into());
    Ok(Outcome::Done)
}

pub fn getbit(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let at = offset(args.take()?, ctx.shard.settings.max_bulk_bytes)?;
    let on = match ctx.keys().read(key) {
        Some(entry) => bit(bytes_of(entry.value(), &mut itoa::Buffer::new())?, at),
        None => false,
    };
    reply.int(on.into());
    Ok(Outcome::Done)
}
