//! Taking the ends: ZPOPMIN, ZPOPMAX, ZMPOP, and BZPOPMIN, BZPOPMAX, BZMPOP, which wait for something to take.
//!
//! Those with several keys take from the first key that there is, see [`pop_first`](crate::commands::pop_first).

use super::reply_member;
use crate::commands::collection::change;
use crate::commands::pop_first::Popped;
use crate::commands::sliced::{Changing, STEP_ELEMENTS, Step};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::{Protocol, Reply};
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::{Collection, Kind, Value, ZSet};

/// How what was taken is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// Members and scores in turn.
    Flat,
    /// Pairs.
    Pairs,
    /// The key, then a member and its score.
    KeyFlat,
    /// The key, then pairs.
    KeyPairs,
}

/// An end of the order of scores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum End {
    Lowest,
    Highest,
}

/// Which end, and how many.
#[derive(Clone, Copy)]
struct Pop {
    end: End,
    count: usize,
    shown: Shown,
}

impl Pop {
    /// Takes from a key and writes the reply. False when there is no such key.
    fn run(self, ctx: &mut Ctx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        let Pop { end, count, shown } = self;
        let max = end == End::Highest;
        let popped = change::<ZSet, _>(&mut ctx.keys(), key, false, |zset, note| {
            let (len, count) = (zset.len(), count.min(zset.len()));
            match shown {
                Shown::Flat => reply.array(count * 2),
                Shown::Pairs => reply.array(count),
                Shown::KeyFlat => reply.array(1 + count * 2),
                Shown::KeyPairs => reply.array(2),
            }
            if matches!(shown, Shown::KeyFlat | Shown::KeyPairs) {
                reply.bulk(key);
            }
            if shown == Shown::KeyPairs {
                reply.array(count);
            }
            let ranks = if max { len - count..len } else { 0..count };
            zset.remove_ranks(ranks, max, &mut |member, score| {
                if matches!(shown, Shown::Pairs | Shown::KeyPairs) {
                    reply.array(2);
                }
                reply_member(member, reply);
                reply.double(score);
            });
            note.events_of(if max { Event::ZPOPMAX } else { Event::ZPOPMIN }, count as u64);
            Ok(())
        })?;
        Ok(popped.is_some())
    }
}

pub fn zpopmin(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    pop_one_key(ctx, args, End::Lowest, reply)
}

pub fn zpopmax(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    pop_one_key(ctx, args, End::Highest, reply)
}

/// Redis: in RESP3 the reply has pairs only when a count was given.
fn pop_one_key(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    end: End,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    if args.left() > 1 {
        return Err(CommandError::Syntax);
    }
    let count = args.peek().map(|count| parse_i64(count).ok_or(CommandError::NotUnsigned)).transpose()?;
    let pairs = count.is_some() && reply.protocol == Protocol::Resp3;
    let count = usize::try_from(count.unwrap_or(1)).map_err(|_| CommandError::NotUnsigned)?;
    let shown = if pairs { Shown::Pairs } else { Shown::Flat };
    if count == 0 {
        let entry = ctx.keys().find_to_write(key).map(|entry| crate::commands::keys::kind(entry.value()));
        if entry.is_some_and(|kind| kind != Kind::ZSet) {
            return Err(CommandError::WrongType);
        }
        reply.array(0);
    } else if ctx.is_much(count)
        && let Some(all) = ctx.of_big(key, |zset: &ZSet| zset.len().min(count))
        && ctx.is_much(all)
    {
        let popping = Popping { key: key.into(), max: end == End::Highest, pairs, left: all, all };
        return ctx.change_in_slices(key, popping);
    } else if !(Pop { end, count, shown }).run(ctx, key, reply)? {
        reply.array(0);
    }
    Ok(Outcome::Done)
}

/// The same of many members, in slices.
struct Popping {
    key: Box<[u8]>,
    max: bool,
    pairs: bool,
    left: usize,
    all: usize,
}

impl Changing for Popping {
    fn step(&mut self, value: &mut Value, elements: usize, reply: &mut Reply<'_>) -> Step {
        let zset = ZSet::of_mut(value).expect("it was a sorted set when it was pinned");
        if self.left == self.all {
            reply.array(if self.pairs { self.all } else { 2 * self.all });
        }
        let (len, count) = (zset.len(), self.left.min(elements).min(STEP_ELEMENTS));
        let ranks = if self.max { len - count..len } else { 0..count };
        zset.remove_ranks(ranks, self.max, &mut |member, score| {
            if self.pairs {
                reply.array(2);
            }
            reply_member(member, reply);
            reply.double(score);
        });
        self.left -= count;
        if self.left == 0 { Step::Done } else { Step::More }
    }

    fn finish(&mut self, ctx: &mut Ctx<'_>, _: &mut Reply<'_>) -> Result<(), CommandError> {
        let event = if self.max { Event::ZPOPMAX } else { Event::ZPOPMIN };
        change(&mut ctx.keys(), &self.key, false, |_: &mut ZSet, note| {
            note.events_of(event, self.all as u64);
            Ok(())
        })?;
        Ok(())
    }
}

impl Popped for ZSet {
    const KIND: Kind = Kind::ZSet;
    type End = End;
    const FIRST: End = End::Lowest;
    const LAST: End = End::Highest;

    fn end_of(args: &mut Args<'_>) -> Result<End, CommandError> {
        if args.token("min") {
            Ok(End::Lowest)
        } else if args.token("max") {
            Ok(End::Highest)
        } else {
            Err(CommandError::Syntax)
        }
    }

    fn pop(
        ctx: &mut Ctx<'_>,
        key: &[u8],
        end: End,
        count: Option<usize>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError> {
        let shown = if count.is_some() { Shown::KeyPairs } else { Shown::KeyFlat };
        let count = count.unwrap_or(1);
        let popped = Pop { end, count, shown }.run(ctx, key, reply)?;
        if popped {
            ctx.say(|log, db| {
                let name: &[u8] = if end == End::Lowest { b"ZPOPMIN" } else { b"ZPOPMAX" };
                log.say(db, &[name, key, itoa::Buffer::new().format(count).as_bytes()]);
            });
        }
        Ok(popped)
    }
}
