//! Taking out: ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.

use std::ops::Range;

use super::{clamp_ranks, lex_range, score_range};
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::zset::ZView;
use crate::types::{Collection, ZSet};

pub fn zrem(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let removed = change::<ZSet, _>(&mut ctx.keys(), key, false, |zset, note| {
        let removed = args.rest().filter(|member| zset.remove(member).is_some()).count();
        if removed > 0 {
            note.events_of(Event::ZREM, removed as u64);
        }
        Ok(removed)
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

fn remove_range(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    event: Event,
    ranks: impl FnOnce(ZView<'_>) -> Range<usize>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let removed = change::<ZSet, _>(&mut ctx.keys(), key, false, |zset, note| {
        let ranks = ranks(zset.view());
        if !ranks.is_empty() {
            note.events_of(event, ranks.len() as u64);
            zset.remove_ranks(ranks.clone(), false, &mut |_, _| ());
        }
        Ok(ranks.len())
    })?;
    reply.int(removed.unwrap_or(0) as i64);
    Ok(Outcome::Done)
}

pub fn zremrangebyrank(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (key, start, end) = (args.take()?, args.int()?, args.int()?);
    let ranks = |zset: ZView<'_>| clamp_ranks(start, end, zset.len());
    remove_range(ctx, key, Event::ZREMRANGEBYRANK, ranks, reply)
}

pub fn zremrangebyscore(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let range = score_range(args.take()?, args.take()?)?;
    remove_range(ctx, key, Event::ZREMRANGEBYSCORE, |zset| zset.ranks_by_score(&range), reply)
}

pub fn zremrangebylex(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    let range = lex_range(args.take()?, args.take()?)?;
    remove_range(ctx, key, Event::ZREMRANGEBYLEX, |zset| zset.ranks_by_lex(&range, false), reply)
}
