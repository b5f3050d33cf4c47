//! The first of several lists that has something: LMPOP, and BLPOP, BRPOP, BLMPOP, which wait until one has.

use super::end_of;
use super::ends::{pop_many, pop_one};
use super::say_pop;
use crate::commands::pop_first::Popped;
use crate::commands::{Args, CommandError, Ctx};
use crate::resp::Reply;
use crate::types::list::End;
use crate::types::{Kind, List};

impl Popped for List {
    const KIND: Kind = Kind::List;
    type End = End;
    const FIRST: End = End::Front;
    const LAST: End = End::Back;

    fn end_of(args: &mut Args<'_>) -> Result<End, CommandError> {
        end_of(args)
    }

    fn pop(
        ctx: &mut Ctx<'_>,
        key: &[u8],
        end: End,
        count: Option<usize>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let bytes = reply.out.bytes.len();
        reply.array(2);
        reply.bulk(key);
        let popped = match count {
            None => pop_one(ctx, key, end, reply)?,
            Some(count) => pop_many(ctx, key, end, count, reply)?,
        };
        if !popped {
            reply.out.bytes.truncate(bytes);
            return Ok(false);
        }
        ctx.say(|log, db| say_pop(log, db, key, end, count.unwrap_or(1)));
        Ok(true)
    }
}
