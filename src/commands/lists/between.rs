//! Changes between the ends: LSET, LINSERT, LREM, LTRIM.

use super::{node_limit, range_of};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::List;
use crate::types::list::{End, Side};

pub fn lset(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, limit) = (args.take()?, node_limit(ctx));
    let set = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let (index, value) = (args.int()?, args.take()?);
        let index = if index < 0 { index + list.len() as i64 } else { index };
        let index = usize::try_from(index).map_err(|_| CommandError::IndexOutOfRange)?;
        if !list.set(index, value, limit) {
            return Err(CommandError::IndexOutOfRange);
        }
        note.event(Event::LSET);
        Ok(())
    })?;
    set.ok_or(CommandError::NoSuchKey)?;
    reply.ok();
    Ok(Outcome::Done)
}

pub fn linsert(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, limit) = (args.take()?, node_limit(ctx));
    let side = if args.token("BEFORE") {
        Side::Before
    } else if args.token("AFTER") {
        Side::After
    } else {
        return Err(CommandError::Syntax);
    };
    let (pivot, value) = (args.take()?, args.take()?);
    let len = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        if !list.insert(side, pivot, value, limit) {
            return Ok(-1);
        }
        note.event(Event::LINSERT);
        Ok(list.len() as i64)
    })?;
    reply.int(len.unwrap_or(0));
    Ok(Outcome::Done)
}

pub fn lrem(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, count, value) = (args.take()?, args.int()?, args.take()?);
    let end = if count < 0 { End::Back } else { End::Front };
    let most = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    let removed = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let removed = list.remove(value, end, most);
        if removed > 0 {
            note.events_of(Event::LREM, removed as u64);
        }
        Ok(removed)
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

/// Redis: one that removes nothing still is a `ltrim` for those who follow, but no change to be saved.
pub fn ltrim(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, start, stop) = (args.take()?, args.int()?, args.int()?);
    change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let (start, count) = range_of(start, stop, list.len());
        note.events_of(Event::LTRIM, (list.len() - count) as u64);
        list.trim(start, count);
        Ok(())
    })?;
    reply.ok();
    Ok(Outcome::Done)
}
