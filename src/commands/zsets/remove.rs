//! Taking out: ZREM, ZREMRANGEBYRANK, ZREMRANGEBYSCORE, ZREMRANGEBYLEX.

use std::ops::Range;

use super::{clamp_ranks, lex_range, score_range};
use crate::commands::collection::change;
use crate::commands::sliced::{Changing, STEP_ELEMENTS, Step};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::zset::ZView;
use crate::types::{Collection, Value, ZSet};

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
    ranks: impl Fn(ZView<'_>) -> Range<usize>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    if let Some(ranks) = ctx.of_big(key, |zset: &ZSet| ranks(zset.view()))
        && ctx.is_much(ranks.len())
    {
        return ctx.change_in_slices(key, Removing { key: key.into(), ranks, event, removed: 0 });
    }
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

/// The same of many members, in slices.
struct Removing {
    key: Box<[u8]>,
    /// What is still to go: from the first on.
    ranks: Range<usize>,
    event: Event,
    removed: usize,
}

impl Changing for Removing {
    fn step(&mut self, value: &mut Value, elements: usize, _: &mut Reply<'_>) -> Step {
        let zset = ZSet::of_mut(value).expect("it was a sorted set when it was pinned");
        let count = self.ranks.len().min(elements).min(STEP_ELEMENTS);
        zset.remove_ranks(self.ranks.start..self.ranks.start + count, false, &mut |_, _| ());
        self.ranks.end -= count;
        self.removed += count;
        if self.ranks.is_empty() { Step::Done } else { Step::More }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, reply: &mut Reply<'_>) -> Result<(), CommandError> {
        change(&mut ctx.keys(), &self.key, false, |_: &mut ZSet, note| {
            note.events_of(self.event, self.removed as u64);
            Ok(())
        })?;
        reply.int(self.removed as i64);
        Ok(())
    }
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
