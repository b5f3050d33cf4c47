//! The ends of one list: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP.

use super::sliced::Popping;
use super::{node_limit, pop_event, push_event, reply_item};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::types::List;
use crate::types::list::End;
use crate::types::number::parse_i64;

type Result = std::result::Result<Outcome, CommandError>;

pub fn lpush(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    push(ctx, args, reply, End::Front, true)
}

pub fn rpush(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    push(ctx, args, reply, End::Back, true)
}

pub fn lpushx(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    push(ctx, args, reply, End::Front, false)
}

pub fn rpushx(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    push(ctx, args, reply, End::Back, false)
}

#[inline]
fn push(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>, end: End, create: bool) -> Result {
    let (key, limit) = (args.take()?, node_limit(ctx));
    let len = change(&mut ctx.keys(), key, create, |list: &mut List, note| {
        note.events_of(push_event(end), args.left() as u64);
        for value in args.rest() {
            list.push(end, value, limit);
        }
        Ok(list.len())
    })?;
    reply.int(len.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

pub fn lpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    pop(ctx, args, reply, End::Front, "lpop")
}

pub fn rpop(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result {
    pop(ctx, args, reply, End::Back, "rpop")
}

#[inline]
fn pop(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
    end: End,
    command: &'static str,
) -> Result {
    let key = args.take()?;
    if args.left() > 1 {
        return Err(CommandError::WrongArity(command));
    }
    let Some(count) = args.peek() else {
        if !pop_one(ctx, key, end, reply)? {
            reply.null();
        }
        return Ok(Outcome::Done);
    };
    let count = parse_i64(count).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(CommandError::NotUnsigned)?;
    if ctx.is_much(count)
        && let Some(all) = ctx.of_big(key, |list: &List| list.len().min(count))
        && ctx.is_much(all)
    {
        return ctx.change_in_slices(key, Popping { key: key.into(), end, left: all, all });
    }
    if !pop_many(ctx, key, end, count, reply)? {
        reply.null_array();
    }
    Ok(Outcome::Done)
}

/// Pops one element into the reply; false, and no reply, when there is no list.
pub fn pop_one(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    reply: &mut Reply<'_>,
) -> std::result::Result<bool, CommandError> {
    let popped = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        list.pop(end, 1, |item| reply_item(item, reply));
        note.event(pop_event(end));
        Ok(())
    })?;
    Ok(popped.is_some())
}

/// Pops up to so many elements into an array; false, and no reply, when there is no list.
pub fn pop_many(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    count: usize,
    reply: &mut Reply<'_>,
) -> std::result::Result<bool, CommandError> {
    let popped = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let count = count.min(list.len());
        reply.array(count);
        if count > 0 {
            list.pop(end, count, |item| reply_item(item, reply));
            note.events_of(pop_event(end), count as u64);
        }
        Ok(())
    })?;
    Ok(popped.is_some())
}
