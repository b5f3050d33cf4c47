//! From one list to another: LMOVE, RPOPLPUSH, LMOVEM, and BLMOVE, BRPOPLPUSH, BLMOVEM, which wait for the source.
//!
//! On one shard the elements are pushed, then dropped where they came from. Over shards the same goes in hops: *look* at
//! the source's end, *push* at the destination's owner, which alone can still refuse, *drop* at the source's.

use smallvec::SmallVec;

use super::{end_of, node_limit, pop_event, push_event, say_pop};
use crate::commands::block::{Block, WaitFor, WhenOver, timeout_of_seconds};
use crate::commands::collection::{change, view_of};
use crate::commands::rebuild::Pieces;
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::shard::log::Log;
use crate::types::list::{End, Item, NodeLimit};
use crate::types::number::parse_i64;
use crate::types::{DbIndex, Kind, List};

/// The orders of the two keys.
const SOURCE: usize = 0;
const DESTINATION: usize = 1;

/// Elements on their way, as they will lie in the destination from its front to its back.
type Taken = SmallVec<[SmallVec<[u8; 128]>; 1]>;

/// From where to where, how much, and how long to wait for it.
#[derive(Clone, Copy)]
pub struct Move {
    from: End,
    to: End,
    /// `None`: one element, shown as itself and not as an array.
    many: Option<Many>,
    timeout_ms: Option<u64>,
}

/// How many elements LMOVEM moves.
#[derive(Clone, Copy)]
struct Many {
    count: usize,
    /// Not fewer, then.
    exactly: bool,
    /// In their order, not as if they were moved one by one.
    in_bulk: bool,
}

/// A command that moves elements: how it reads its arguments after the keys.
pub trait Mover {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError>;
}

pub struct Lmove;
pub struct Rpoplpush;
pub struct Lmovem;
pub struct Blmove;
pub struct Brpoplpush;
pub struct Blmovem;

impl Mover for Lmove {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        Ok(Move { from: end_of(args)?, to: end_of(args)?, many: None, timeout_ms: None })
    }
}

impl Mover for Rpoplpush {
    fn parse(_: &mut Args<'_>) -> Result<Move, CommandError> {
        Ok(Move { from: End::Back, to: End::Front, many: None, timeout_ms: None })
    }
}

impl Mover for Lmovem {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        let ends = Lmove::parse(args)?;
        Ok(Move { many: Some(Many::take(args)?), ..ends })
    }
}

impl Mover for Blmove {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        let ends = Lmove::parse(args)?;
        Ok(Move { timeout_ms: Some(timeout_of_seconds(args.take()?)?), ..ends })
    }
}

impl Mover for Brpoplpush {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        let ends = Rpoplpush::parse(args)?;
        Ok(Move { timeout_ms: Some(timeout_of_seconds(args.take()?)?), ..ends })
    }
}

impl Mover for Blmovem {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        let ends = Blmove::parse(args)?;
        Ok(Move { many: Some(Many::take(args)?), ..ends })
    }
}

impl Many {
    /// `[COUNT count | EXACTLY count  OBO | BULK]`
    fn take(args: &mut Args<'_>) -> Result<Many, CommandError> {
        if args.is_done() {
            return Ok(Many { count: 1, exactly: false, in_bulk: false });
        }
        let exactly = args.token("EXACTLY");
        if !exactly && !args.token("COUNT") {
            return Err(CommandError::Syntax);
        }
        let count = args.take()?;
        let in_bulk = args.token("BULK");
        if !in_bulk && !args.token("OBO") {
            return Err(CommandError::Syntax);
        }
        args.finish()?;
        let count = parse_i64(count).and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
        let count = count.ok_or(CommandError::Line("ERR count should be greater than 0"))?;
        Ok(Many { count, exactly, in_bulk })
    }
}

impl Move {
    /// How many of `len` elements move; 0: nothing happens.
    fn count_of(self, len: usize) -> usize {
        match self.many {
            None => len.min(1),
            Some(many) if many.exactly && len < many.count => 0,
            Some(many) => len.min(many.count),
        }
    }

    /// Elements in the order of the source as they will lie in the destination.
    fn arrange(self, mut elements: Taken) -> Taken {
        if self.from == self.to && self.many.is_none_or(|many| !many.in_bulk) {
            elements.reverse();
        }
        elements
    }

    fn reply_with<T: AsRef<[u8]>>(self, elements: &[T], reply: &mut Reply<'_>) {
        if self.many.is_some() {
            reply.array(elements.len());
        }
        elements.iter().for_each(|element| reply.bulk(element.as_ref()));
    }

    /// What is answered when the source has not enough.
    fn nothing(self, reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.timeout_ms else {
            match self.many {
                None => reply.null(),
                Some(many) if many.exactly => reply.null_array(),
                Some(_) => reply.array(0),
            }
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::First,
            kind: Kind::List,
            on_loss: None,
            timeout_ms,
            when_over: if self.many.is_some() { WhenOver::NullArray } else { WhenOver::Null },
            request: None,
            narrow: None,
        }))
    }
}

/// All of it, when both lists are here.
pub fn here<M: Mover>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let (source, destination) = (args.take()?, args.take()?);
    let ends = M::parse(args)?;
    let moved = if source == destination {
        rotate(ctx, source, ends)?
    } else {
        let moved = look_at(ctx, source, ends)?;
        if let Some(elements) = &moved {
            push_to(ctx, destination, ends.to, elements)?;
            drop_from(ctx, source, ends.from, elements.len())?;
        }
        moved
    };
    if let Some(elements) = &moved {
        ctx.say(|log, db| match ends.many {
            None => {
                let word = |end| if end == End::Front { &b"LEFT"[..] } else { b"RIGHT" };
                log.say(db, &[b"LMOVE", source, destination, word(ends.from), word(ends.to)]);
            }
            // Other servers do not know how to move many. A list that gives to itself must not be empty meanwhile: it
            // would lose its deadline.
            Some(_) if source == destination && ends.from == ends.to => {
                let first = if ends.to == End::Front { 0 } else { -(elements.len() as i64) };
                for (index, element) in (first..).zip(elements) {
                    log.say(db, &[b"LSET", source, itoa::Buffer::new().format(index).as_bytes(), element]);
                }
            }
            Some(_) if source == destination => {
                say_push(log, db, destination, ends.to, elements);
                say_pop(log, db, source, ends.from, elements.len());
            }
            Some(_) => {
                say_pop(log, db, source, ends.from, elements.len());
                say_push(log, db, destination, ends.to, elements);
            }
        });
    }
    match moved {
        None => Ok(ends.nothing(reply)),
        Some(elements) => {
            ends.reply_with(&elements, reply);
            Ok(Outcome::Done)
        }
    }
}

/// A list gives to itself.
fn rotate(ctx: &mut Ctx<'_>, key: &[u8], ends: Move) -> Result<Option<Taken>, CommandError> {
    let limit = node_limit(ctx);
    let moved = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let count = ends.count_of(list.len());
        if count == 0 {
            return Ok(None);
        }
        let mut elements = Taken::new();
        list.pop(ends.from, count, |item| copy_to(&mut elements, item));
        if ends.from == End::Back {
            elements.reverse();
        }
        let elements = ends.arrange(elements);
        push_all(list, ends.to, &elements, limit);
        note.events_of(push_event(ends.to), count as u64);
        note.also(pop_event(ends.from));
        Ok(Some(elements))
    })?;
    Ok(moved.flatten())
}

fn copy_to(elements: &mut Taken, item: Item<'_>) {
    elements.push(item.element().as_bytes(&mut itoa::Buffer::new()).into());
}

/// Pushes elements so that they lie as they are given.
fn push_all<T: AsRef<[u8]>>(list: &mut List, end: End, elements: &[T], limit: NodeLimit) {
    match end {
        End::Front => elements.iter().rev().for_each(|element| list.push(end, element.as_ref(), limit)),
        End::Back => elements.iter().for_each(|element| list.push(end, element.as_ref(), limit)),
    }
}

/// Copies of the elements that are to move; `None` when there are not enough.
fn look_at(ctx: &mut Ctx<'_>, key: &[u8], ends: Move) -> Result<Option<Taken>, CommandError> {
    let mut keys = ctx.keys();
    let Some(entry) = keys.find_to_write(key) else { return Ok(None) };
    let list = view_of::<List>(entry.value())?;
    let mut elements = Taken::new();
    if ends.many.is_none() {
        let end = if ends.from == End::Front { 0 } else { -1 };
        list.get(end).into_iter().for_each(|item| copy_to(&mut elements, item));
        return Ok(Some(elements));
    }
    let len = list.len();
    let count = ends.count_of(len);
    if count == 0 {
        return Ok(None);
    }
    let start = if ends.from == End::Front { 0 } else { len - count };
    list.visit(start, count, |item| {
        copy_to(&mut elements, item);
        true
    });
    Ok(Some(ends.arrange(elements)))
}

fn push_to<T: AsRef<[u8]>>(
    ctx: &mut Ctx<'_>,
    key: &[u8],
    end: End,
    elements: &[T],
) -> Result<(), CommandError> {
    let limit = node_limit(ctx);
    change(&mut ctx.keys(), key, true, |list: &mut List, note| {
        push_all(list, end, elements, limit);
        note.events_of(push_event(end), elements.len() as u64);
        Ok(())
    })?;
    Ok(())
}

/// Says that elements came to a list so that they lie as they are given.
fn say_push<T: AsRef<[u8]>>(log: &mut Log, db: DbIndex, key: &[u8], end: End, elements: &[T]) {
    let show = &mut |args: &[&[u8]]| log.say(db, args);
    let mut pieces = Pieces::new(if end == End::Front { b"LPUSH" } else { b"RPUSH" }, key, 1, show);
    match end {
        End::Front => elements.iter().rev().for_each(|element| pieces.element(&[element.as_ref()])),
        End::Back => elements.iter().for_each(|element| pieces.element(&[element.as_ref()])),
    }
    pieces.end();
}

/// Redis: arriving and leaving are one change together, and the arrival has counted.
///
/// Was there a list?
fn drop_from(ctx: &mut Ctx<'_>, key: &[u8], end: End, count: usize) -> Result<bool, CommandError> {
    let dropped = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        list.drop_end(end, count);
        note.events_of(pop_event(end), 0);
        Ok(())
    })?;
    Ok(dropped.is_some())
}

/// The hops of a command that moves elements between shards.
pub trait Hops: Mover + Sized {
    const HOPS: &'static [Hop] = &[
        Hop { on: On::Key(SOURCE), run: look::<Self> },
        Hop { on: On::Key(DESTINATION), run: push::<Self> },
        Hop { on: On::Key(SOURCE), run: drop_moved::<Self> },
    ];
}

impl<M: Mover> Hops for M {}

fn parse<M: Mover>(argv: Argv<'_>) -> Result<Move, CommandError> {
    M::parse(&mut Args::new(argv, 3))
}

fn look<M: Mover>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let elements = look_at(ctx, argv.get(1), parse::<M>(argv)?)?;
    let owned = |elements: Taken| elements.into_iter().map(|element| Some(element.into_vec())).collect();
    Ok(elements.map_or(Part::Stop, |elements| Part::Strings(owned(elements))))
}

fn push<M: Mover>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let elements = handed_on(got);
    let (key, end) = (argv.get(2), parse::<M>(argv)?.to);
    push_to(ctx, key, end, &elements)?;
    ctx.say(|log, db| say_push(log, db, key, end, &elements));
    Ok(hand_on(elements))
}

/// The list may have expired, or been evicted, since it was looked at: intents hold back commands only. Then the
/// elements have moved before that.
fn drop_moved<M: Mover>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let elements = handed_on(got);
    let (key, end) = (argv.get(1), parse::<M>(argv)?.from);
    if drop_from(ctx, key, end, elements.len())? {
        ctx.say(|log, db| say_pop(log, db, key, end, elements.len()));
    }
    Ok(hand_on(elements))
}

/// The elements, which every hop hands on to the next, and the last one to the reply.
fn handed_on(got: &mut Gathered) -> Vec<Vec<u8>> {
    let last = got.hops.len() - 1;
    match std::mem::take(got.only(last)) {
        Part::Strings(elements) => elements.into_iter().flatten().collect(),
        _ => unreachable!("the hop before returns the elements, or ends the command"),
    }
}

fn hand_on(elements: Vec<Vec<u8>>) -> Part {
    Part::Strings(elements.into_iter().map(Some).collect())
}

pub fn finish<M: Mover>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let ends = parse::<M>(argv)?;
    if got.hops.len() < M::HOPS.len() {
        return Ok(ends.nothing(reply));
    }
    ends.reply_with(&handed_on(got), reply);
    Ok(Outcome::Done)
}
