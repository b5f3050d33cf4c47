//! Changes between the ends: LSET, LINSERT, LREM, LTRIM.

use super::sliced::{Inserting, Removing, Trimming};
use super::{node_limit, range_of};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::list::{End, Item, Side};
use crate::types::{Element, List};

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
    let near = ctx.shard.settings.slices_above;
    let is_far = |list: &List| list.len() > near && list.find_some(pivot, &mut 0, near).is_none();
    if ctx.of_big(key, is_far) == Some(true) {
        let (pivot, value, key_of) = (pivot.into(), value.into(), key.into());
        let inserting = Inserting { key: key_of, side, pivot, value, limit, nodes: 0, found: None };
        return ctx.in_slices(key, inserting);
    }
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
    let near = ctx.shard.settings.slices_above;
    if ctx.of_big(key, |list: &List| list.len() > near && !has_near(list, value, end, most, near))
        == Some(true)
    {
        let (value, key_of) = (value.into(), key.into());
        let removing = Removing { key: key_of, value, end, most, removed: 0, nodes: 0 };
        return ctx.change_in_slices(key, removing);
    }
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

/// Are there so many elements with this value among the first `near` from an end?
fn has_near(list: &List, value: &[u8], end: End, most: usize, near: usize) -> bool {
    let (value, mut found) = (Element::of(value), 0);
    let count = |item: Item<'_>| {
        found += usize::from(item.element() == value);
        found < most
    };
    match end {
        End::Front => list.visit(0, near, count),
        End::Back => list.visit_back(list.len() - 1, near, count),
    }
    found >= most
}

/// Redis: one that removes nothing still is a `ltrim` for those who follow, but no change to be saved.
pub fn ltrim(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (key, start, stop) = (args.take()?, args.int()?, args.int()?);
    let ends = ctx.of_big(key, |list: &List| {
        let (start, count) = range_of(start, stop, list.len());
        (start, list.len() - start - count)
    });
    if let Some((front, back)) = ends
        && ctx.is_much(front + back)
    {
        return ctx.change_in_slices(key, Trimming { key: key.into(), front, back, all: front + back });
    }
    change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let (start, count) = range_of(start, stop, list.len());
        note.events_of(Event::LTRIM, (list.len() - count) as u64);
        list.trim(start, count);
        Ok(())
    })?;
    reply.ok();
    Ok(Outcome::Done)
}
