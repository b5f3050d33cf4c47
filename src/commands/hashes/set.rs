//! Setting and deleting fields: HSET, HMSET, HSETNX, HDEL.

use super::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::{Event, Subkeys};
use crate::types::raw::table::Ttl;

pub fn hset(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let created = set_pairs(ctx, args, "hset")?;
    reply.int(created as i64);
    Ok(Outcome::Done)
}

pub fn hmset(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    set_pairs(ctx, args, "hmset")?;
    reply.ok();
    Ok(Outcome::Done)
}

/// Sets the pairs that follow the key, and returns how many fields are new.
fn set_pairs(ctx: &mut Ctx<'_>, args: &mut Args<'_>, command: &'static str) -> Result<usize, CommandError> {
    let key = args.take()?;
    if !args.left().is_multiple_of(2) {
        return Err(CommandError::WrongArity(command));
    }
    let argv = args.argv();
    let pairs = (argv.len() - args.left()..argv.len()).step_by(2).map(|at| (argv.get(at), argv.get(at + 1)));
    let limits = ctx.shard.settings.encodings;
    let created = change(ctx, key, true, |hash, note| {
        note.events_of(Event::HSET, pairs.len() as u64);
        note.name(pairs.clone().map(|(field, _)| field));
        Ok(hash.set_all(pairs, &limits))
    })?;
    Ok(created.unwrap_or(0))
}

pub fn hsetnx(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, field, value) = (args.take()?, args.take()?, args.take()?);
    let limits = ctx.shard.settings.encodings;
    let set = change(ctx, key, true, |hash, note| {
        let missing = hash.get(field).is_none();
        if missing {
            hash.set(field, value, Ttl::Clear, &limits);
            note.event(Event::HSET);
            note.name([field]);
        }
        Ok(missing)
    })?;
    reply.int(i64::from(set == Some(true)));
    Ok(Outcome::Done)
}

pub fn hdel(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let fields = args.rest();
    let removed = change(ctx, key, false, |hash, note| {
        let mut names = Subkeys::default();
        let mut removed = 0;
        for field in fields.filter(|field| hash.remove(field)) {
            removed += 1;
            if note.wants_subkeys() {
                names.push(field);
            }
        }
        if removed > 0 {
            note.events_of(Event::HDEL, removed as u64);
            note.name(names.iter());
        }
        Ok(removed)
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}
