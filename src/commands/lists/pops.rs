//! The first of several lists that has something: LMPOP, and BLPOP, BRPOP, BLMPOP, which wait until one has.
//!
//! Over shards: every owner *looks* for the first of its keys that exists, and the owner of the first of all *pops*.

use super::end_of;
use super::ends::{pop_many, pop_one};
use crate::commands::block::{Block, WaitFor, WhenOver, timeout_of_seconds};
use crate::commands::spec::{Gathered, Hop, On};
use crate::commands::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply, Request};
use crate::types::Kind;
use crate::types::list::End;
use crate::types::number::parse_i64;

/// What such a command wants.
#[derive(Clone, Copy)]
pub struct Pop {
    /// The argument of the first key.
    first: usize,
    keys: usize,
    end: End,
    /// How many elements, shown as an array; `None`: one, shown as itself.
    count: Option<usize>,
    timeout_ms: Option<u64>,
}

/// A command that pops from the first list that exists: how it reads its arguments.
pub trait Popper {
    fn parse(argv: Argv<'_>) -> Result<Pop, CommandError>;

    /// The same request for the key with this order alone.
    fn narrow(argv: Argv<'_>, order: usize) -> Request;
}

pub struct Lmpop;
pub struct Blmpop;
pub struct Blpop;
pub struct Brpop;

impl Popper for Lmpop {
    fn parse(argv: Argv<'_>) -> Result<Pop, CommandError> {
        counted(argv, 1)
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_counted(argv, 1, order)
    }
}

impl Popper for Blmpop {
    fn parse(argv: Argv<'_>) -> Result<Pop, CommandError> {
        // Redis: the timeout, although it comes first, is looked at last.
        let pop = counted(argv, 2)?;
        Ok(Pop { timeout_ms: Some(timeout_of_seconds(argv.get(1))?), ..pop })
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_counted(argv, 2, order)
    }
}

impl Popper for Blpop {
    fn parse(argv: Argv<'_>) -> Result<Pop, CommandError> {
        single(argv, End::Front)
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_single(argv, order)
    }
}

impl Popper for Brpop {
    fn parse(argv: Argv<'_>) -> Result<Pop, CommandError> {
        single(argv, End::Back)
    }

    fn narrow(argv: Argv<'_>, order: usize) -> Request {
        narrow_single(argv, order)
    }
}

/// `key [key ...] timeout`
fn single(argv: Argv<'_>, end: End) -> Result<Pop, CommandError> {
    let timeout_ms = timeout_of_seconds(argv.get(argv.len() - 1))?;
    Ok(Pop { first: 1, keys: argv.len() - 2, end, count: None, timeout_ms: Some(timeout_ms) })
}

fn narrow_single(argv: Argv<'_>, order: usize) -> Request {
    [argv.get(0), argv.get(1 + order), argv.get(argv.len() - 1)].into_iter().collect()
}

/// `numkeys key [key ...] LEFT|RIGHT [COUNT count]`, from this argument on.
fn counted(argv: Argv<'_>, at: usize) -> Result<Pop, CommandError> {
    let positive = |number: &[u8], error| {
        let number = parse_i64(number).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or(CommandError::Line(error))
    };
    let keys = positive(argv.get(at), "ERR numkeys should be greater than 0")?;
    if keys >= argv.len() - at - 1 {
        return Err(CommandError::Syntax);
    }
    let mut args = Args::new(argv, at + 1 + keys);
    let end = end_of(&mut args)?;
    let mut count = None;
    while !args.is_done() {
        if count.is_some() || args.left() < 2 || !args.token("COUNT") {
            return Err(CommandError::Syntax);
        }
        count = Some(positive(args.take()?, "ERR count should be greater than 0")?);
    }
    Ok(Pop { first: at + 1, keys, end, count: Some(count.unwrap_or(1)), timeout_ms: None })
}

fn narrow_counted(argv: Argv<'_>, at: usize, order: usize) -> Request {
    let keys = parse_i64(argv.get(at)).and_then(|keys| usize::try_from(keys).ok()).unwrap_or(1);
    let before = (0..at).map(|index| argv.get(index));
    let after = (at + 1 + keys..argv.len()).map(|index| argv.get(index));
    before.chain([&b"1"[..], argv.get(at + 1 + order)]).chain(after).collect()
}

impl Pop {
    /// Pops from one list and answers; false, and no reply, when there is none.
    fn pop(self, ctx: &mut Ctx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        let bytes = reply.out.bytes.len();
        reply.array(2);
        reply.bulk(key);
        let popped = match self.count {
            None => pop_one(ctx, key, self.end, reply)?,
            Some(count) => pop_many(ctx, key, self.end, count, reply)?,
        };
        if !popped {
            reply.out.bytes.truncate(bytes);
        }
        Ok(popped)
    }

    /// What is answered when no list has anything.
    fn nothing<P: Popper>(self, reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.timeout_ms else {
            reply.null_array();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::Every,
            kind: Kind::List,
            on_loss: None,
            timeout_ms,
            when_over: WhenOver::NullArray,
            request: None,
            narrow: Some(P::narrow),
        }))
    }
}

/// All of it, when every list is here.
pub fn here<P: Popper>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    let pop = P::parse(argv)?;
    for index in pop.first..pop.first + pop.keys {
        if pop.pop(ctx, argv.get(index), reply)? {
            return Ok(Outcome::Done);
        }
    }
    Ok(pop.nothing::<P>(reply))
}

/// The hops of such a command over shards.
pub trait Hops: Popper + Sized {
    const HOPS: &'static [Hop] = &[
        Hop { on: On::Owners, run: look::<Self> },
        Hop { on: On::Chosen(first_of_all), run: pop_there::<Self> },
    ];
}

impl<P: Popper> Hops for P {}

/// The first of the keys here that exists, whatever it holds.
fn look<P: Popper>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let pop = P::parse(argv)?;
    let mut keys = ctx.keys();
    let first = mine.iter().find(|order| keys.find_to_write(argv.get(pop.first + **order)).is_some());
    Ok(first.map_or(Part::Nothing, |order| Part::Int(*order as i64)))
}

fn first_of_all(_: Argv<'_>, got: &Gathered) -> Option<usize> {
    let orders = got.parts(0).filter_map(|part| match part {
        Part::Int(order) => Some(*order as usize),
        _ => None,
    });
    orders.min()
}

fn pop_there<P: Popper>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let pop = P::parse(argv)?;
    let mut out = Output::default();
    let mut reply = Reply::new(&mut out, ctx.client.protocol);
    // It may have expired, or been evicted, since it was looked at: intents hold back commands only.
    let popped = pop.pop(ctx, argv.get(pop.first + mine[0]), &mut reply)?;
    Ok(if popped { Part::Output(out) } else { Part::Nothing })
}

pub fn finish<P: Popper>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let pop = P::parse(argv)?;
    if got.hops.len() > 1
        && let Part::Output(out) = got.only(1)
    {
        reply.out.append(out);
        return Ok(Outcome::Done);
    }
    Ok(pop.nothing::<P>(reply))
}
