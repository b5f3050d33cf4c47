//! Intersection, union and difference of the sets of one shard: SINTER, SUNION, SDIFF, and their STORE and CARD forms.

use smallvec::SmallVec;

use super::sliced::{Combining, Goal};
use super::{missing, reply_member};
use crate::commands::collection::{read, view_of};
use crate::commands::{Args, CommandError, Ctx, Outcome};
use crate::resp::Reply;
use crate::shard::Event;
use crate::types::number::parse_i64;
use crate::types::set::{self, Element, How, SetView};
use crate::types::{Encodings, Set};

/// One of the three operations.
pub trait Operation: 'static {
    /// What its STORE form reports.
    const STORED: Event;
    const HOW: How;
    /// Only SUNIONCARD has APPROX.
    const APPROX: bool = false;

    /// Shows the members of the result until `show` returns false.
    fn run<'a>(sets: &[SetView<'a>], limits: &Encodings, show: &mut dyn FnMut(Element<'a>) -> bool);
}

pub struct Inter;
pub struct Union;
pub struct Diff;

impl Operation for Inter {
    const STORED: Event = Event::SINTERSTORE;
    const HOW: How = How::Inter;

    fn run<'a>(sets: &[SetView<'a>], _: &Encodings, show: &mut dyn FnMut(Element<'a>) -> bool) {
        set::intersection(sets, show);
    }
}

impl Operation for Union {
    const STORED: Event = Event::SUNIONSTORE;
    const HOW: How = How::Union;
    const APPROX: bool = true;

    fn run<'a>(sets: &[SetView<'a>], limits: &Encodings, show: &mut dyn FnMut(Element<'a>) -> bool) {
        set::union(sets, limits, show);
    }
}

impl Operation for Diff {
    const STORED: Event = Event::SDIFFSTORE;
    const HOW: How = How::Diff;

    fn run<'a>(sets: &[SetView<'a>], limits: &Encodings, show: &mut dyn FnMut(Element<'a>) -> bool) {
        if let Some((first, others)) = sets.split_first() {
            set::difference(*first, others, limits, show);
        }
    }
}

/// Reads the sets under these keys, missing ones as empty, and runs with all of them side by side.
///
/// Redis: every key's type is checked, even when the result is known to be empty.
pub fn with_sets<'k, R>(
    ctx: &mut Ctx<'_>,
    names: impl Iterator<Item = &'k [u8]> + Clone,
    run: impl FnOnce(&[SetView<'_>]) -> R,
) -> Result<R, CommandError> {
    let mut keys = ctx.keys();
    for name in names.clone() {
        read::<Set>(&mut keys, name)?;
    }
    let mut sets: SmallVec<[SetView<'_>; 8]> = SmallVec::new();
    for name in names {
        let set = keys.again(name).map(|entry| view_of::<Set>(entry.value())).transpose()?;
        sets.push(set.unwrap_or(missing()));
    }
    Ok(run(&sets))
}

pub fn members<O: Operation>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let limits = ctx.shard.settings.encodings;
    let (names, most) = (names(*args), most(ctx));
    let is_done = with_sets(ctx, names.clone(), |sets| {
        if is_long::<O>(sets, most) {
            return false;
        }
        answer::<O>(sets, &limits, reply);
        true
    })?;
    if is_done { Ok(Outcome::Done) } else { Combining::begin::<O>(ctx, names, Goal::Members) }
}

/// Shows the members.
pub fn answer<O: Operation>(sets: &[SetView<'_>], limits: &Encodings, reply: &mut Reply<'_>) {
    let (header, mut count) = (reply.deferred(), 0);
    O::run(sets, limits, &mut |member| {
        reply_member(member, reply);
        count += 1;
        true
    });
    reply.fill_set(header, count);
}

/// The members as a set.
pub fn made_of<O: Operation>(sets: &[SetView<'_>], limits: &Encodings) -> Set {
    let (mut made, mut digits) = (Set::default(), itoa::Buffer::new());
    O::run(sets, limits, &mut |member| {
        made.insert(member.as_bytes(&mut digits), limits);
        true
    });
    made
}

/// How many members there are, up to a limit.
pub fn count<O: Operation>(sets: &[SetView<'_>], limits: &Encodings, limit: usize) -> usize {
    let mut count = 0;
    O::run(sets, limits, &mut |_| {
        count += 1;
        count < limit
    });
    count
}

/// How many members are looked at at one go: more than of one collection, because nothing else is done with most of
/// them, and a step costs more here.
pub fn most(ctx: &Ctx<'_>) -> usize {
    ctx.shard.settings.slices_above.saturating_mul(2)
}

pub fn is_long<O: Operation>(sets: &[SetView<'_>], most: usize) -> bool {
    // Integers of a union come in their order, which no step knows.
    O::HOW.members(sets) > most && !sets.iter().all(|set| matches!(set, SetView::Ints(_)))
}

fn names<'a>(args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + Clone {
    let (argv, from) = (args.argv(), args.argv().len() - args.left());
    (from..argv.len()).map(move |at| argv.get(at))
}

pub fn store<O: Operation>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let destination = args.take()?;
    let limits = ctx.shard.settings.encodings;
    let (names, most) = (names(*args), most(ctx));
    let made = with_sets(ctx, names.clone(), |sets| {
        (!is_long::<O>(sets, most)).then(|| made_of::<O>(sets, &limits))
    })?;
    let Some(made) = made else {
        let goal = Goal::Store { key: destination.into(), made: Set::default(), event: O::STORED };
        return Combining::begin::<O>(ctx, names, goal);
    };
    reply.int(made.len() as i64);
    ctx.keys().store(destination, made, O::STORED);
    Ok(Outcome::Done)
}

pub fn card<O: Operation>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let limits = ctx.shard.settings.encodings;
    let card = Card::take(*args, O::APPROX)?;
    let (names, most) = (names(*args).skip(1).take(card.keys), most(ctx));
    let count = with_sets(ctx, names.clone(), |sets| {
        let is_long = is_long::<O>(sets, most) && card.limit > most;
        (!is_long).then(|| count::<O>(sets, &limits, card.limit))
    })?;
    let Some(count) = count else {
        return Combining::begin::<O>(ctx, names, Goal::Card { limit: card.limit });
    };
    reply.int(count as i64);
    Ok(Outcome::Done)
}

/// The arguments of SINTERCARD and its kin.
pub struct Card {
    /// How many keys follow their number.
    pub keys: usize,
    pub limit: usize,
}

impl Card {
    /// Redis 8.10: APPROX allows an estimate. The exact number is one.
    pub fn take(mut args: Args<'_>, may_approximate: bool) -> Result<Card, CommandError> {
        let keys = parse_i64(args.take()?).filter(|keys| *keys > 0);
        let keys = keys.ok_or(CommandError::Line("ERR numkeys should be greater than 0"))? as usize;
        if keys > args.left() {
            return Err(CommandError::Line("ERR Number of keys can't be greater than number of args"));
        }
        for _ in 0..keys {
            args.take()?;
        }
        let mut card = Card { keys, limit: usize::MAX };
        while !args.is_done() {
            if args.left() >= 2 && args.token("limit") {
                let limit = parse_i64(args.take()?).and_then(|limit| usize::try_from(limit).ok());
                match limit.ok_or(CommandError::Line("ERR LIMIT can't be negative"))? {
                    0 => card.limit = usize::MAX,
                    limit => card.limit = limit,
                }
            } else if !(may_approximate && args.token("approx")) {
                return Err(CommandError::Syntax);
            }
        }
        Ok(card)
    }
}
