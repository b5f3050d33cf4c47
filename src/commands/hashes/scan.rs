//! HSCAN.

use super::{read, reply_text};
use crate::commands::cursor::{ElementScan, parse_cursor};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;

/// Redis: a missing key is answered before the options are looked at.
pub fn hscan(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, cursor, due_ms) = (args.take()?, parse_cursor(args.take()?)?, ctx.due_ms());
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    let options = if hash.is_some() { Some(ElementScan::take(args, true)?) } else { None };
    reply.array(2);
    let (Some(hash), Some(options)) = (hash, options) else {
        reply.bulk(b"0");
        reply.array(0);
        return Ok(Outcome::Done);
    };
    // The cursor comes first, and is known last: what was found waits beside.
    let (mut found, mut count) = (crate::resp::Output::default(), 0);
    let mut elements = Reply::new(&mut found, reply.protocol);
    let mut digits = itoa::Buffer::new();
    let next = hash.scan(cursor, options.count, due_ms, |field, value| {
        if options.wants(field.as_bytes(&mut digits)) {
            reply_text(field, &mut elements);
            count += 1;
            if !options.no_values {
                reply_text(value, &mut elements);
                count += 1;
            }
        }
    });
    reply.bulk(digits.format(next).as_bytes());
    reply.array(count);
    reply.out.append(&mut found);
    Ok(Outcome::Done)
}
