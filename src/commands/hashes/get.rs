//! Reading fields and whole hashes.

use super::{read, reply_optional, reply_text};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;

pub fn hget(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let value = read(&mut keys, key)?.and_then(|hash| hash.get(field, due_ms));
    reply_optional(value, reply);
    Ok(Outcome::Done)
}

pub fn hmget(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let hash = read(&mut keys, key)?;
    reply.array(args.left());
    let mut near = 0;
    for field in args.rest() {
        reply_optional(hash.and_then(|hash| hash.get_near(&mut near, field, due_ms)), reply);
    }
    Ok(Outcome::Done)
}

pub fn hexists(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let found = read(&mut keys, key)?.is_some_and(|hash| hash.get(field, due_ms).is_some());
    reply.int(i64::from(found));
    Ok(Outcome::Done)
}

pub fn hstrlen(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, due_ms) = (args.take()?, args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let value = read(&mut keys, key)?.and_then(|hash| hash.get(field, due_ms));
    reply.int(value.map_or(0, |value| value.text_len()) as i64);
    Ok(Outcome::Done)
}

/// Redis: fields that have expired count until they are removed, which here is at once.
pub fn hlen(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let mut keys = ctx.keys();
    let len = read(&mut keys, key)?.map_or(0, |hash| hash.len());
    reply.int(len as i64);
    Ok(Outcome::Done)
}

pub fn hgetall(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, due_ms) = (args.take()?, ctx.due_ms());
    let mut keys = ctx.keys();
    let Some(hash) = read(&mut keys, key)? else {
        reply.map(0);
        return Ok(Outcome::Done);
    };
    reply.map(hash.live_len(due_ms));
    hash.for_each(due_ms, |field, value, _| {
        reply_text(field, reply);
        reply_text(value, reply);
    });
    Ok(Outcome::Done)
}

pub fn hkeys(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    one_side::<true>(ctx, args.take()?, reply)
}

pub fn hvals(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    one_side::<false>(ctx, args.take()?, reply)
}

fn one_side<const FIELDS: bool>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let due_ms = ctx.due_ms();
    let mut keys = ctx.keys();
    let Some(hash) = read(&mut keys, key)? else {
        reply.array(0);
        return Ok(Outcome::Done);
    };
    reply.array(hash.live_len(due_ms));
    hash.for_each(due_ms, |field, value, _| reply_text(if FIELDS { field } else { value }, reply));
    Ok(Outcome::Done)
}
