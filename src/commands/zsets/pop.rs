//! Taking the ends: ZPOPMIN, ZPOPMAX, ZMPOP, and BZPOPMIN, BZPOPMAX, BZMPOP, which wait for something to take.
//!
//! Those with several keys take from the first key that there is. Over several shards the owners say first which of
//! theirs there are, then the owner of the first takes.

use super::reply_member;
use crate::commands::block::{Block, WaitFor, WhenOver, timeout_of_seconds};
use crate::commands::collection::change;
use crate::commands::spec::{FinishFn, Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Protocol, Reply, Request};
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::{Kind, ZSet};

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

/// Which end, and how many.
#[derive(Clone, Copy)]
struct Pop {
    max: bool,
    count: usize,
    shown: Shown,
}

impl Pop {
    /// Takes from a key and writes the reply. False when there is no such key.
    fn run(self, ctx: &mut Ctx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        let Pop { max, count, shown } = self;
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
    pop_one_key(ctx, args, false, reply)
}

pub fn zpopmax(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    pop_one_key(ctx, args, true, reply)
}

/// Redis: in RESP3 the reply has pairs only when a count was given.
fn pop_one_key(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    max: bool,
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
    } else if !(Pop { max, count, shown }).run(ctx, key, reply)? {
        reply.array(0);
    }
    Ok(Outcome::Done)
}

/// The arguments of ZMPOP after its name, and of BZMPOP after its timeout.
struct MultiPop {
    max: bool,
    count: usize,
    first: usize,
    keys: usize,
}

impl MultiPop {
    /// The number of keys is argument `at`.
    fn of(argv: Argv<'_>, at: usize) -> Result<MultiPop, CommandError> {
        let positive = |text: &[u8]| parse_i64(text).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        let keys =
            positive(argv.get(at)).ok_or(CommandError::Line("ERR numkeys should be greater than 0"))?;
        let first = at + 1;
        if keys >= argv.len() - first {
            return Err(CommandError::Syntax);
        }
        let mut args = Args::new(argv, first + keys);
        let max = if args.token("min") {
            false
        } else if args.token("max") {
            true
        } else {
            return Err(CommandError::Syntax);
        };
        let mut count = None;
        while !args.is_done() {
            if count.is_none() && args.left() >= 2 && args.token("count") {
                let read = positive(args.take()?);
                count = Some(read.ok_or(CommandError::Line("ERR count should be greater than 0"))?);
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(MultiPop { max, count: count.unwrap_or(1), first, keys })
    }

    fn pop(&self) -> Pop {
        Pop { max: self.max, count: self.count, shown: Shown::KeyPairs }
    }
}

/// A command with several keys, as far as these commands differ.
trait Several: 'static {
    /// What is popped, where the keys begin and how many they are, and after which time it is given up.
    fn read(argv: Argv<'_>) -> Result<Asked, CommandError>;
    /// The same command for one of its keys.
    fn narrow(argv: Argv<'_>, order: usize) -> Request;
}

struct Asked {
    pop: Pop,
    first: usize,
    keys: usize,
    timeout_ms: Option<u64>,
}

pub struct Zmpop;
pub struct Bzmpop;
pub struct Bzpopmin;
pub struct Bzpopmax;

impl Several for Zmpop {
    fn read(argv: Argv<'_>) -> Result<Asked, CommandError> {
        let multi = MultiPop::of(argv, 1)?;
        Ok(Asked { pop: multi.pop(), first: multi.first, keys: multi.keys, timeout_ms: None })
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_multi(argv, 1, order)
    }
}

impl Several for Bzmpop {
    fn read(argv: Argv<'_>) -> Result<Asked, CommandError> {
        let multi = MultiPop::of(argv, 2)?;
        let timeout_ms = Some(timeout_of_seconds(argv.get(1))?);
        Ok(Asked { pop: multi.pop(), first: multi.first, keys: multi.keys, timeout_ms })
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_multi(argv, 2, order)
    }
}

/// The number of keys is argument `at`.
fn narrow_multi(argv: Argv<'_>, at: usize, order: usize) -> Request {
    let keys = MultiPop::of(argv, at).map_or(1, |multi| multi.keys);
    let before = (0..at).map(|index| argv.get(index));
    let after = (at + 1 + keys..argv.len()).map(|index| argv.get(index));
    before.chain([&b"1"[..], argv.get(at + 1 + order)]).chain(after).collect()
}

fn read_popping_one(argv: Argv<'_>, max: bool) -> Result<Asked, CommandError> {
    let timeout_ms = Some(timeout_of_seconds(argv.get(argv.len() - 1))?);
    let pop = Pop { max, count: 1, shown: Shown::KeyFlat };
    Ok(Asked { pop, first: 1, keys: argv.len() - 2, timeout_ms })
}

fn narrow_popping_one(argv: Argv<'_>, order: usize) -> Request {
    [argv.get(0), argv.get(1 + order), argv.get(argv.len() - 1)].into_iter().collect()
}

impl Several for Bzpopmin {
    fn read(argv: Argv<'_>) -> Result<Asked, CommandError> {
        read_popping_one(argv, false)
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_popping_one(argv, order)
    }
}

impl Several for Bzpopmax {
    fn read(argv: Argv<'_>) -> Result<Asked, CommandError> {
        read_popping_one(argv, true)
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_popping_one(argv, order)
    }
}

impl Asked {
    /// What is answered when no key is there.
    fn nothing<S: Several>(&self, reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.timeout_ms else {
            reply.null_array();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::Every,
            kind: Kind::ZSet,
            on_loss: None,
            timeout_ms,
            when_over: WhenOver::NullArray,
            request: None,
            narrow: Some(S::narrow),
        }))
    }
}

/// All keys are here.
#[allow(private_bounds)]
pub fn here<S: Several>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    let asked = S::read(argv)?;
    for index in asked.first..asked.first + asked.keys {
        if asked.pop.run(ctx, argv.get(index), reply)? {
            return Ok(Outcome::Done);
        }
    }
    Ok(asked.nothing::<S>(reply))
}

#[allow(private_bounds)]
pub const fn hops<S: Several>() -> &'static [Hop] {
    const { &[Hop { on: On::Owners, run: look::<S> }, Hop { on: On::Chosen(first), run: pop_there::<S> }] }
}

/// The first of its keys that there is.
fn look<S: Several>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let asked = S::read(argv)?;
    let mut keys = ctx.keys();
    let there =
        mine.iter().copied().find(|order| keys.find_to_write(argv.get(asked.first + order)).is_some());
    Ok(there.map_or(Part::Nothing, |order| Part::Int(order as i64)))
}

fn first(_: Argv<'_>, got: &Gathered) -> Option<usize> {
    let orders =
        got.parts(0).filter_map(|part| if let Part::Int(order) = part { Some(*order) } else { None });
    orders.min().map(|order| order as usize)
}

fn pop_there<S: Several>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let asked = S::read(argv)?;
    let (protocol, mut out) = (ctx.client.protocol, Output::default());
    let mut popped = false;
    for order in mine {
        popped |= asked.pop.run(ctx, argv.get(asked.first + order), &mut Reply::new(&mut out, protocol))?;
    }
    // It may have expired since it was looked at.
    Ok(if popped { Part::Output(out) } else { Part::Nothing })
}

#[allow(private_bounds)]
pub const fn finish<S: Several>() -> FinishFn {
    |argv, got, reply| {
        if got.hops.len() == 2
            && let Part::Output(out) = got.only(1)
        {
            reply.out.append(out);
            return Ok(Outcome::Done);
        }
        Ok(S::read(argv)?.nothing::<S>(reply))
    }
}
