//! DBSIZE, FLUSHDB, FLUSHALL, SWAPDB: whole databases.

use super::options::db_index;
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::types::{DbIndex, ShardId};

pub fn dbsize_each(ctx: &mut Ctx<'_>, _: Argv<'_>) -> Result<Part, CommandError> {
    Ok(Part::Int(ctx.keys().len() as i64))
}

pub fn sum_merge(_: Argv<'_>, parts: &mut [Part], reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.int(parts.iter().map(|part| if let Part::Int(count) = part { *count } else { 0 }).sum());
    Ok(Outcome::Done)
}

pub fn ok_merge(_: Argv<'_>, _: &mut [Part], reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    reply.ok();
    Ok(Outcome::Done)
}

/// Whether a flush gives its memory back later.
fn is_lazy(ctx: &Ctx<'_>, argv: Argv<'_>) -> Result<bool, CommandError> {
    let mut args = Args::new(argv, 1);
    let lazy = if args.token("sync") {
        false
    } else if args.token("async") {
        true
    } else {
        ctx.shard.settings.lazy_user_flush
    };
    args.finish().map(|()| lazy)
}

pub fn flushdb_each(ctx: &mut Ctx<'_>, argv: Argv<'_>) -> Result<Part, CommandError> {
    let lazy = is_lazy(ctx, argv)?;
    ctx.shard.flush(ctx.db, lazy);
    say_for_all(ctx, argv);
    Ok(Part::Nothing)
}

pub fn flushall_each(ctx: &mut Ctx<'_>, argv: Argv<'_>) -> Result<Part, CommandError> {
    let lazy = is_lazy(ctx, argv)?;
    // Redis: a snapshot of what is gone is of no use.
    ctx.shard.end_snapshot();
    ctx.shard.snapshot.flushed_all = true;
    for index in 0..ctx.shard.dbs.len() {
        ctx.shard.flush(DbIndex(index as u16), lazy);
    }
    say_for_all(ctx, argv);
    Ok(Part::Nothing)
}

/// The log has such a command once.
fn say_for_all(ctx: &mut Ctx<'_>, argv: Argv<'_>) {
    let is_first = ctx.shard.id == ShardId(0);
    ctx.say(|log, db| log.say_for_all(is_first, db, argv.iter()));
}

pub fn swapdb_each(ctx: &mut Ctx<'_>, argv: Argv<'_>) -> Result<Part, CommandError> {
    let number = |index, error| {
        let number = Args::new(argv, index).int().ok().and_then(|number| i32::try_from(number).ok());
        number.ok_or(error)
    };
    let left = number(1, CommandError::InvalidFirstDb)?;
    let right = number(2, CommandError::InvalidSecondDb)?;
    let (left, right) = (db_index(left, ctx.shard)?, db_index(right, ctx.shard)?);
    ctx.shard.swap_dbs(left, right);
    say_for_all(ctx, argv);
    // All shards together make one change.
    ctx.shard.effects.dirty += u64::from(ctx.shard.id == ShardId(0));
    Ok(Part::Nothing)
}
