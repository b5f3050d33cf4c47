//! Giving members scores: ZADD and ZINCRBY.

use super::full;
use crate::commands::collection::change;
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::number::parse_f64;
use crate::types::{Collection, Encodings, ZSet};

/// How members are added.
#[derive(Clone, Copy, Default)]
pub struct Flags {
    /// Only those that are not there.
    pub nx: bool,
    /// Only those that are there.
    pub xx: bool,
    /// Those that are there only when their score becomes greater.
    pub gt: bool,
    /// Or less.
    pub lt: bool,
    /// Count those whose score changed, too.
    pub ch: bool,
    pub incr: bool,
}

/// What became of one member.
enum Added {
    /// The conditions were against it.
    Refused,
    New(f64),
    Changed(f64),
    /// It has had that score.
    Same(f64),
}

pub fn zadd(ctx: &mut Ctx<'_>, args: &mut Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    add(ctx, args, Flags::default(), reply)
}

/// Redis: ZINCRBY is ZADD with INCR and takes its options, for which there is no room.
pub fn zincrby(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    add(ctx, args, Flags { incr: true, ..Flags::default() }, reply)
}

fn add(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    mut flags: Flags,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let key = args.take()?;
    flags.take(args);
    if args.is_done() || !args.left().is_multiple_of(2) {
        return Err(CommandError::Syntax);
    }
    flags.check(args.left() / 2)?;
    let pairs = *args;
    // Redis: all scores are read before anything is changed.
    while !args.is_done() {
        parse_f64(args.take()?).ok_or(CommandError::NotFloat)?;
        args.take()?;
    }
    add_pairs(ctx, key, pairs, flags, reply)
}

/// Adds pairs of score and member, all of them sound. GEOADD too.
fn add_pairs(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    mut pairs: Args<'_>,
    flags: Flags,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let pairs = std::iter::from_fn(move || {
        let score = parse_f64(pairs.take().ok()?)?;
        Some((score, pairs.take().ok()?))
    });
    add_scores(ctx, key, pairs, flags, reply)
}

/// Adds members with their scores, which are numbers.
pub fn add_scores<'a>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    pairs: impl Iterator<Item = (f64, &'a [u8])>,
    flags: Flags,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let limits = ctx.shard.settings.encodings;
    let done = change::<ZSet, _>(&mut ctx.keys(), key, !flags.xx, |zset, note| {
        let (mut added, mut changed, mut last) = (0, 0, Ok(None));
        for (score, member) in pairs {
            match put(zset, member, score, flags, &limits) {
                Ok(Added::Refused) => {}
                Ok(Added::New(score)) => {
                    added += 1;
                    last = Ok(Some(score));
                }
                Ok(Added::Changed(score)) => {
                    changed += 1;
                    last = Ok(Some(score));
                }
                Ok(Added::Same(score)) => last = Ok(Some(score)),
                Err(error) => {
                    last = Err(error);
                    break;
                }
            }
        }
        if added + changed > 0 {
            note.events_of(if flags.incr { Event::ZINCR } else { Event::ZADD }, added + changed);
        }
        Ok((added, changed, last))
    })?;
    let (added, changed, last) = done.unwrap_or((0, 0, Ok(None)));
    match (last?, flags.incr) {
        (Some(score), true) => reply.double(score),
        (None, true) => reply.null(),
        (_, false) => reply.int((if flags.ch { added + changed } else { added }) as i64),
    }
    Ok(Outcome::Done)
}

fn put(
    zset: &mut ZSet,
    member: &[u8],
    score: f64,
    flags: Flags,
    limits: &Encodings,
) -> Result<Added, CommandError> {
    // Without conditions one look-up does it all.
    if !(flags.nx || flags.xx || flags.gt || flags.lt || flags.incr) {
        return Ok(match zset.add(member, score, limits).map_err(full)? {
            None => Added::New(score),
            Some(old) if old == score => Added::Same(score),
            Some(_) => Added::Changed(score),
        });
    }
    let Some(old) = zset.view().score(member) else {
        if flags.xx {
            return Ok(Added::Refused);
        }
        zset.add(member, score, limits).map_err(full)?;
        return Ok(Added::New(score));
    };
    if flags.nx {
        return Ok(Added::Refused);
    }
    let score = if flags.incr { old + score } else { score };
    if score.is_nan() {
        return Err(CommandError::NotANumber);
    }
    if (flags.lt && score >= old) || (flags.gt && score <= old) {
        return Ok(Added::Refused);
    }
    if score == old {
        return Ok(Added::Same(score));
    }
    zset.add(member, score, limits).map_err(full)?;
    Ok(Added::Changed(score))
}

impl Flags {
    /// Takes the options that stand before the pairs.
    fn take(&mut self, args: &mut Args<'_>) {
        loop {
            let flag = if args.token("nx") {
                &mut self.nx
            } else if args.token("xx") {
                &mut self.xx
            } else if args.token("ch") {
                &mut self.ch
            } else if args.token("incr") {
                &mut self.incr
            } else if args.token("gt") {
                &mut self.gt
            } else if args.token("lt") {
                &mut self.lt
            } else {
                return;
            };
            *flag = true;
        }
    }

    /// Refuses options that exclude each other.
    pub fn check(&self, pairs: usize) -> Result<(), CommandError> {
        if self.nx && self.xx {
            return Err(CommandError::Line("ERR XX and NX options at the same time are not compatible"));
        }
        if [self.nx, self.gt, self.lt].into_iter().filter(|is| *is).count() > 1 {
            return Err(CommandError::Line(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(CommandError::Line("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }
}
