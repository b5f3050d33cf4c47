//! Adding members, taking them out, moving one: SADD, SREM, SMOVE.

use crate::commands::collection::{self, change};
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::{Event, Note};
use crate::types::Set;
use crate::types::set::Needle;

pub fn sadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let limits = ctx.shard.settings.encodings;
    let add = |set: &mut Set, note: &mut Note| {
        let added = args.rest().filter(|member| set.insert(member, &limits)).count();
        if added > 0 {
            note.events_of(Event::SADD, added as u64);
        }
        Ok(added)
    };
    let added = change(&mut ctx.keys(), key, true, add)?;
    reply.int(added.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

pub fn srem(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let take_out = |set: &mut Set, note: &mut Note| {
        let removed = args.rest().filter(|member| set.remove(member)).count();
        if removed > 0 {
            note.events_of(Event::SREM, removed as u64);
        }
        Ok(removed)
    };
    let removed = change(&mut ctx.keys(), key, false, take_out)?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

/// The orders of SMOVE's two keys.
const SOURCE: usize = 0;
const DESTINATION: usize = 1;

pub const SMOVE: &[Hop] = &[
    Hop { on: On::Owners, run: smove_look },
    Hop { on: On::Key(SOURCE), run: smove_take },
    Hop { on: On::Key(DESTINATION), run: smove_put },
];

/// What the look found at a key.
const NO_SET: i64 = 0;
const OTHER_KIND: i64 = 1;
const A_SET: i64 = 2;

/// What is at a key, for a write that may follow.
fn look(ctx: &mut Ctx<'_>, key: &[u8]) -> i64 {
    match ctx.keys().find_to_write(key).map(|entry| collection::view_of::<Set>(entry.value()).is_ok()) {
        None => NO_SET,
        Some(false) => OTHER_KIND,
        Some(true) => A_SET,
    }
}

pub fn smove(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let (from, to, member) = (args.take()?, args.take()?, args.take()?);
    let moved = match (look(ctx, from), look(ctx, to)) {
        (NO_SET, _) => false,
        (OTHER_KIND, _) | (_, OTHER_KIND) => return Err(CommandError::WrongType),
        _ if from == to => {
            let mut keys = ctx.keys();
            let set = collection::read::<Set>(&mut keys, from)?;
            set.is_some_and(|set| set.contains(&mut Needle::new(member)))
        }
        _ => {
            let moved = take_member(ctx, from, member)?;
            if moved {
                put_member(ctx, to, member)?;
            }
            moved
        }
    };
    reply.int(i64::from(moved));
    Ok(Outcome::Done)
}

fn take_member(ctx: &mut Ctx<'_>, key: &[u8], member: &[u8]) -> Result<bool, CommandError> {
    let removed = change(&mut ctx.keys(), key, false, |set: &mut Set, note| {
        let removed = set.remove(member);
        if removed {
            note.event(Event::SREM);
        }
        Ok(removed)
    })?;
    Ok(removed == Some(true))
}

/// Was it not there before?
fn put_member(ctx: &mut Ctx<'_>, key: &[u8], member: &[u8]) -> Result<bool, CommandError> {
    let limits = ctx.shard.settings.encodings;
    let added = change(&mut ctx.keys(), key, true, |set: &mut Set, note| {
        let added = set.insert(member, &limits);
        if added {
            note.event(Event::SADD);
        }
        Ok(added)
    })?;
    Ok(added == Some(true))
}

/// Redis: a missing source answers before a destination of another kind does. So the owner of the destination only
/// tells what it found.
fn smove_look(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    if mine.contains(&DESTINATION) {
        return Ok(Part::Int(look(ctx, argv.get(2))));
    }
    match look(ctx, argv.get(1)) {
        NO_SET => Ok(Part::Stop),
        OTHER_KIND => Err(CommandError::WrongType),
        _ => Ok(Part::Nothing),
    }
}

fn smove_take(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    if got.parts(0).any(|part| matches!(part, Part::Int(OTHER_KIND))) {
        return Err(CommandError::WrongType);
    }
    // It may have expired since it was looked at: intents hold back commands only.
    let (key, member) = (argv.get(1), argv.get(3));
    let moved = take_member(ctx, key, member)?;
    if moved {
        ctx.say(|log, db| log.say(db, &[b"SREM", key, member]));
    }
    Ok(if moved { Part::Nothing } else { Part::Stop })
}

fn smove_put(ctx: &mut Ctx<'_>, argv: Argv<'_>, _: &[usize], _: &mut Gathered) -> Result<Part, CommandError> {
    let (key, member) = (argv.get(2), argv.get(3));
    if put_member(ctx, key, member)? {
        ctx.say(|log, db| log.say(db, &[b"SADD", key, member]));
    }
    Ok(Part::Nothing)
}

pub const SMOVE_FINISH: FinishFn = |_, got, reply| {
    reply.int(i64::from(got.hops.len() == SMOVE.len()));
    Ok(Outcome::Done)
};
