//! From one list to another: LMOVE, RPOPLPUSH, and BLMOVE, BRPOPLPUSH, which wait for the source.
//!
//! On one shard the element is pushed, then dropped where it came from. Over shards the same goes in hops: *look* at
//! the source's end, *push* at the destination's owner, which alone can still refuse, *drop* at the source's.

use smallvec::SmallVec;

use super::{end_of, node_limit, pop_event, push_event};
use crate::commands::block::{Block, WaitFor, WhenOver, timeout_of_seconds};
use crate::commands::collection::{change, view_of};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Reply};
use crate::types::list::End;
use crate::types::{Kind, List};

/// The orders of the two keys.
const SOURCE: usize = 0;
const DESTINATION: usize = 1;

/// An element on its way.
type Taken = SmallVec<[u8; 128]>;

/// From where to where, and how long to wait for an element.
#[derive(Clone, Copy)]
pub struct Move {
    from: End,
    to: End,
    timeout_ms: Option<u64>,
}

/// A command that moves an element: how it reads its arguments after the keys.
pub trait Mover {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError>;
}

pub struct Lmove;
pub struct Rpoplpush;
pub struct Blmove;
pub struct Brpoplpush;

impl Mover for Lmove {
    fn parse(args: &mut Args<'_>) -> Result<Move, CommandError> {
        Ok(Move { from: end_of(args)?, to: end_of(args)?, timeout_ms: None })
    }
}

impl Mover for Rpoplpush {
    fn parse(_: &mut Args<'_>) -> Result<Move, CommandError> {
        Ok(Move { from: End::Back, to: End::Front, timeout_ms: None })
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

impl Move {
    /// What is answered when the source has nothing.
    fn nothing(self, reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.timeout_ms else {
            reply.null();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::First,
            kind: Kind::List,
            on_loss: None,
            timeout_ms,
            when_over: WhenOver::Null,
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
    if source == destination {
        return rotate(ctx, source, ends, reply);
    }
    let Some(element) = look_at(ctx, source, ends.from)? else { return Ok(ends.nothing(reply)) };
    push_to(ctx, destination, ends.to, &element)?;
    drop_from(ctx, source, ends.from)?;
    reply.bulk(&element);
    Ok(Outcome::Done)
}

/// A list gives to itself.
fn rotate(ctx: &mut Ctx<'_>, key: &[u8], ends: Move, reply: &mut Reply<'_>) -> Result<Outcome, CommandError> {
    let limit = node_limit(ctx);
    let moved = change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        let mut element = Taken::new();
        list.pop(ends.from, 1, |item| {
            element.extend_from_slice(item.element().as_bytes(&mut itoa::Buffer::new()));
        });
        list.push(ends.to, &element, limit);
        note.event(push_event(ends.to));
        note.also(pop_event(ends.from));
        reply.bulk(&element);
        Ok(())
    })?;
    Ok(if moved.is_some() { Outcome::Done } else { ends.nothing(reply) })
}

/// A copy of the element that is to move.
fn look_at(ctx: &mut Ctx<'_>, key: &[u8], end: End) -> Result<Option<Taken>, CommandError> {
    let mut keys = ctx.keys();
    let Some(entry) = keys.find_to_write(key) else { return Ok(None) };
    let item = view_of::<List>(entry.value())?.get(if end == End::Front { 0 } else { -1 });
    Ok(item.map(|item| item.element().as_bytes(&mut itoa::Buffer::new()).into()))
}

fn push_to(ctx: &mut Ctx<'_>, key: &[u8], end: End, element: &[u8]) -> Result<(), CommandError> {
    let limit = node_limit(ctx);
    change(&mut ctx.keys(), key, true, |list: &mut List, note| {
        list.push(end, element, limit);
        note.event(push_event(end));
        Ok(())
    })?;
    Ok(())
}

/// Redis: arriving and leaving are one change together, and the arrival has counted.
fn drop_from(ctx: &mut Ctx<'_>, key: &[u8], end: End) -> Result<(), CommandError> {
    change(&mut ctx.keys(), key, false, |list: &mut List, note| {
        list.drop_end(end, 1);
        note.events_of(pop_event(end), 0);
        Ok(())
    })?;
    Ok(())
}

/// The hops of a command that moves an element between shards.
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
    let ends = parse::<M>(argv)?;
    let element = look_at(ctx, argv.get(1), ends.from)?;
    Ok(element.map_or(Part::Stop, |element| Part::Bytes(element.into_vec())))
}

fn push<M: Mover>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    let element = handed_on(got);
    push_to(ctx, argv.get(2), parse::<M>(argv)?.to, &element)?;
    Ok(Part::Bytes(element))
}

/// The list may have expired, or been evicted, since it was looked at: intents hold back commands only. Then the
/// element has moved before that.
fn drop_moved<M: Mover>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    _: &[usize],
    got: &mut Gathered,
) -> Result<Part, CommandError> {
    drop_from(ctx, argv.get(1), parse::<M>(argv)?.from)?;
    Ok(Part::Bytes(handed_on(got)))
}

/// The element, which every hop hands on to the next, and the last one to the reply.
fn handed_on(got: &mut Gathered) -> Vec<u8> {
    let last = got.hops.len() - 1;
    match std::mem::take(got.only(last)) {
        Part::Bytes(element) => element,
        _ => unreachable!("the hop before returns the element, or ends the command"),
    }
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
    reply.bulk(&handed_on(got));
    Ok(Outcome::Done)
}
