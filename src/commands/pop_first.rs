//! Popping from the first of several keys that has something: LMPOP and ZMPOP; and BLPOP, BLMPOP, BZPOPMIN, BZMPOP and
//! their kin, which wait until one has.
//!
//! Over shards: every owner *looks* for the first of its keys that exists, and the owner of the first of all *pops*.

use std::marker::PhantomData;

use super::block::{Block, WaitFor, WhenOver, timeout_of_seconds};
use super::spec::{Gathered, Hop, On, Run};
use super::{Args, CommandError, Ctx, Outcome, Part};
use crate::resp::{Argv, Output, Reply, Request};
use crate::types::Kind;

/// A type that can be popped from.
pub trait Popped: 'static {
    const KIND: Kind;
    /// Which end.
    type End: Copy + 'static;
    /// The left end of a list; the lowest score.
    const FIRST: Self::End;
    /// The right end of a list; the highest score.
    const LAST: Self::End;

    /// Reads which end, or refuses the word.
    fn end_of(args: &mut Args<'_>) -> Result<Self::End, CommandError>;

    /// Pops up to so many elements, or one and shows it as itself, and answers with the key and what was popped; false,
    /// and no reply, when there is no such key.
    fn pop(
        ctx: &mut Ctx<'_>,
        key: &[u8],
        end: Self::End,
        count: Option<usize>,
        reply: &mut Reply<'_>,
    ) -> Result<bool, CommandError>;
}

/// How such a command is written.
#[derive(Clone, Copy)]
pub enum Form<End> {
    /// `numkeys key [key ...] end [COUNT count]`
    Counted,
    /// `timeout numkeys key [key ...] end [COUNT count]`
    CountedAfterTimeout,
    /// `key [key ...] timeout`: one element from this end.
    One(End),
}

/// One of these commands.
pub trait Popper: 'static {
    type From: Popped;
    const FORM: Form<<Self::From as Popped>::End>;
}

/// LMPOP, ZMPOP.
pub struct Counted<T>(PhantomData<T>);
/// BLMPOP, BZMPOP.
pub struct CountedAfterTimeout<T>(PhantomData<T>);
/// BLPOP, BZPOPMIN.
pub struct First<T>(PhantomData<T>);
/// BRPOP, BZPOPMAX.
pub struct Last<T>(PhantomData<T>);

impl<T: Popped> Popper for Counted<T> {
    type From = T;
    const FORM: Form<T::End> = Form::Counted;
}

impl<T: Popped> Popper for CountedAfterTimeout<T> {
    type From = T;
    const FORM: Form<T::End> = Form::CountedAfterTimeout;
}

impl<T: Popped> Popper for First<T> {
    type From = T;
    const FORM: Form<T::End> = Form::One(T::FIRST);
}

impl<T: Popped> Popper for Last<T> {
    type From = T;
    const FORM: Form<T::End> = Form::One(T::LAST);
}

/// How the command of this type runs.
pub const fn run<P: Popper>() -> Run {
    Run::Hops {
        here: Some(here::<P>),
        hops: const {
            &[
                Hop { on: On::Owners, run: look::<P> },
                Hop { on: On::Chosen(first_of_all), run: pop_there::<P> },
            ]
        },
        finish: finish::<P>,
    }
}

/// What such a command wants.
struct Asked<P: Popper> {
    /// The argument of the first key.
    first: usize,
    keys: usize,
    end: <P::From as Popped>::End,
    /// How many elements; `None`: one, shown as itself.
    count: Option<usize>,
    timeout_ms: Option<u64>,
}

impl<P: Popper> Asked<P> {
    fn read(argv: Argv<'_>) -> Result<Asked<P>, CommandError> {
        match P::FORM {
            Form::Counted => Asked::counted(argv, 1),
            Form::CountedAfterTimeout => {
                // Redis: the timeout, although it comes first, is looked at last.
                let asked = Asked::counted(argv, 2)?;
                Ok(Asked { timeout_ms: Some(timeout_of_seconds(argv.get(1))?), ..asked })
            }
            Form::One(end) => {
                let timeout_ms = timeout_of_seconds(argv.get(argv.len() - 1))?;
                Ok(Asked { first: 1, keys: argv.len() - 2, end, count: None, timeout_ms: Some(timeout_ms) })
            }
        }
    }

    /// The number of keys is argument `at`.
    fn counted(argv: Argv<'_>, at: usize) -> Result<Asked<P>, CommandError> {
        let (mut args, first) = (Args::new(argv, at), at + 1);
        let keys = args.positive("ERR numkeys should be greater than 0")?;
        if keys >= args.left() {
            return Err(CommandError::Syntax);
        }
        let mut args = Args::new(argv, first + keys);
        let end = P::From::end_of(&mut args)?;
        let mut count = None;
        while !args.is_done() {
            if count.is_some() || args.left() < 2 || !args.token("COUNT") {
                return Err(CommandError::Syntax);
            }
            count = Some(args.positive("ERR count should be greater than 0")?);
        }
        Ok(Asked { first, keys, end, count: Some(count.unwrap_or(1)), timeout_ms: None })
    }

    fn pop(&self, ctx: &mut Ctx<'_>, key: &[u8], reply: &mut Reply<'_>) -> Result<bool, CommandError> {
        P::From::pop(ctx, key, self.end, self.count, reply)
    }

    /// What is answered when no key has anything.
    fn nothing(&self, reply: &mut Reply<'_>) -> Outcome {
        let Some(timeout_ms) = self.timeout_ms else {
            reply.null_array();
            return Outcome::Done;
        };
        Outcome::Block(Box::new(Block {
            wait_for: WaitFor::Every,
            kind: P::From::KIND,
            on_loss: None,
            timeout_ms,
            when_over: WhenOver::NullArray,
            request: None,
            narrow: Some(narrow::<P>),
        }))
    }
}

/// The same request for the key with this order alone.
fn narrow<P: Popper>(argv: Argv<'_>, order: usize) -> Request {
    let at = match P::FORM {
        Form::Counted => 1,
        Form::CountedAfterTimeout => 2,
        Form::One(_) => {
            return [argv.get(0), argv.get(1 + order), argv.get(argv.len() - 1)].into_iter().collect();
        }
    };
    let keys = Asked::<P>::counted(argv, at).map_or(1, |asked| asked.keys);
    let before = (0..at).map(|index| argv.get(index));
    let after = (at + 1 + keys..argv.len()).map(|index| argv.get(index));
    before.chain([&b"1"[..], argv.get(at + 1 + order)]).chain(after).collect()
}

/// All of it, when every key is here.
fn here<P: Popper>(
    ctx: &mut Ctx<'_>,
    args: &mut Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    let argv = args.argv();
    let asked = Asked::<P>::read(argv)?;
    for index in asked.first..asked.first + asked.keys {
        if asked.pop(ctx, argv.get(index), reply)? {
            return Ok(Outcome::Done);
        }
    }
    Ok(asked.nothing(reply))
}

/// The first of the keys here that exists, whatever it holds.
fn look<P: Popper>(
    ctx: &mut Ctx<'_>,
    argv: Argv<'_>,
    mine: &[usize],
    _: &mut Gathered,
) -> Result<Part, CommandError> {
    let asked = Asked::<P>::read(argv)?;
    let mut keys = ctx.keys();
    let first = mine.iter().find(|order| keys.find_to_write(argv.get(asked.first + **order)).is_some());
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
    let asked = Asked::<P>::read(argv)?;
    let mut out = Output::default();
    let mut reply = Reply::new(&mut out, ctx.client.protocol);
    // It may have expired, or been evicted, since it was looked at: intents hold back commands only.
    let popped = asked.pop(ctx, argv.get(asked.first + mine[0]), &mut reply)?;
    Ok(if popped { Part::Output(out) } else { Part::Nothing })
}

fn finish<P: Popper>(
    argv: Argv<'_>,
    got: &mut Gathered,
    reply: &mut Reply<'_>,
) -> Result<Outcome, CommandError> {
    if got.hops.len() > 1
        && let Part::Output(out) = got.only(1)
    {
        reply.out.append(out);
        return Ok(Outcome::Done);
    }
    Ok(Asked::<P>::read(argv)?.nothing(reply))
}
